//! The platform's end.

use std::io;
use std::net::SocketAddr;

use bugle_core::GatewayId;
use bugle_wire::{FromGateway, FromPlatform, proto};
use rustls::pki_types::CertificateDer;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use super::service::link_server::{Link, LinkServer};
use super::{
    CONNECT_TIME, CONNECTION_WINDOW_BYTES, KeepAlive, LinkIdentity, MESSAGE_BYTES_MAX, Receiver, STREAM_WINDOW_BYTES,
    Sender, describe, gateway_of,
};
use crate::tls;

/// Streams that wait to be accepted.
const ACCEPTED_WAITING_MAX: usize = 64;

/// Takes the streams of gateways. When it is dropped, no new ones are taken; those there live on.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    connected: mpsc::Receiver<Connected>,
    _stop: oneshot::Sender<()>,
}

/// A gateway's stream.
#[derive(Debug)]
pub struct Connected {
    /// The gateway, as its certificate names it.
    pub gateway: GatewayId,
    /// Its certificate, for whoever takes no other than the latest one.
    pub certificate: CertificateDer<'static>,
    /// Where it dialled from.
    pub address: SocketAddr,
    /// To it.
    pub sender: Sender<FromPlatform>,
    /// From it.
    pub receiver: Receiver<FromGateway>,
}

/// Why links cannot be taken. The fault is of whoever configured them.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The certificates are of no use.
    #[error("link certificates: {0}")]
    Identity(String),
    /// The system's socket is of no use.
    #[error("link listener: {0}")]
    Socket(#[from] io::Error),
}

impl Listener {
    /// Takes the streams of gateways that the authority in `identity` vouches for.
    ///
    /// # Errors
    /// If the certificates or the socket are of no use.
    pub fn new(socket: TcpListener, identity: &LinkIdentity, keep_alive: KeepAlive) -> Result<Self, ListenError> {
        tls::install_provider();
        let address = socket.local_addr()?;
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(&identity.certificate_pem, &identity.key_pem))
            .client_ca_root(Certificate::from_pem(&identity.ca_pem))
            .timeout(CONNECT_TIME);
        let (take, connected) = mpsc::channel(ACCEPTED_WAITING_MAX);
        let service = LinkServer::new(Taker { take })
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let server = Server::builder()
            .tls_config(tls)
            .map_err(|error| ListenError::Identity(describe(&error)))?
            // A gateway has one stream; more on one connection is no link.
            .max_concurrent_streams(1)
            .http2_keepalive_interval(Some(keep_alive.interval))
            .http2_keepalive_timeout(Some(keep_alive.answer))
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .add_service(service);
        let (stop, stopped) = oneshot::channel();
        let incoming = TcpIncoming::from(socket).with_nodelay(Some(true));
        tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or(()) };
            if let Err(error) = server.serve_with_incoming_shutdown(incoming, stopped).await {
                tracing::error!(%address, error = describe(&error), "links are no longer taken");
            }
        });
        Ok(Self { address, connected, _stop: stop })
    }

    /// Where gateways dial.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next gateway's stream; none if no more can come. Giving up on the wait loses nothing.
    pub async fn accept(&mut self) -> Option<Connected> {
        self.connected.recv().await
    }
}

/// Hands over what comes in.
struct Taker {
    take: mpsc::Sender<Connected>,
}

type Answer = std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<proto::FromPlatform, Status>> + Send>>;

#[tonic::async_trait]
impl Link for Taker {
    type ConnectStream = Answer;

    async fn connect(
        &self,
        request: Request<Streaming<proto::FromGateway>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let certificates = request.peer_certs();
        let certificate = certificates.as_ref().and_then(|chain| chain.first());
        let Some((certificate, gateway)) = certificate.and_then(|shown| Some((shown.clone(), gateway_of(shown)?)))
        else {
            tracing::warn!(address = ?request.remote_addr(), "a certificate that names no gateway was refused");
            return Err(Status::permission_denied("the certificate names no gateway"));
        };
        let address = request.remote_addr().ok_or_else(|| Status::internal("the connection has no address"))?;
        let (sender, messages) = Sender::new();
        let receiver = Receiver::new(request.into_inner());
        let connected = Connected { gateway, certificate, address, sender, receiver };
        self.take.send(connected).await.map_err(|_| Status::unavailable("this node stops"))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(messages).map(Ok))))
    }
}
