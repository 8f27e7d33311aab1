//! The gateway's end.

use bugle_wire::{FromGateway, FromPlatform};
use thiserror::Error;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::service::link_client::LinkClient;
use super::{
    CONNECT_TIME, CONNECTION_WINDOW_BYTES, KeepAlive, LinkIdentity, MESSAGE_BYTES_MAX, PLATFORM_NAME, Receiver,
    STREAM_WINDOW_BYTES, Sender, describe,
};
use crate::tls;

/// Why a link does not come about.
#[derive(Debug, Error)]
pub enum DialError {
    /// The address is none. The fault is of whoever configured it.
    #[error("link address {0:?} is not of the form host:port")]
    Address(String),
    /// The certificates are of no use. The fault is of whoever keeps them.
    #[error("link certificates: {0}")]
    Identity(String),
    /// The platform is out of reach, or the certificates do not satisfy one side.
    #[error("cannot reach the platform at {address}: {reason}")]
    Unreachable {
        /// Where it was to be.
        address: String,
        /// What happened.
        reason: String,
    },
}

/// Opens the stream to the platform at `address` (`host:port`).
///
/// # Errors
/// If the platform cannot be reached there, or one side's certificate does not satisfy the other.
pub async fn dial(
    address: &str,
    identity: &LinkIdentity,
    keep_alive: KeepAlive,
) -> Result<(Sender<FromGateway>, Receiver<FromPlatform>), DialError> {
    tls::install_provider();
    let unreachable =
        |reason: &dyn std::error::Error| DialError::Unreachable { address: address.into(), reason: describe(reason) };
    let channel = endpoint(address, identity, keep_alive)?.connect().await.map_err(|error| unreachable(&error))?;
    let mut client = LinkClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let (sender, messages) = Sender::new();
    // With TLS 1.3 a client learns only now that its certificate was refused.
    let answer = client.connect(ReceiverStream::new(messages)).await.map_err(|status| unreachable(&status))?;
    Ok((sender, Receiver::new(answer.into_inner())))
}

fn endpoint(address: &str, identity: &LinkIdentity, keep_alive: KeepAlive) -> Result<Endpoint, DialError> {
    let has_port = address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    let endpoint = Endpoint::from_shared(format!("https://{address}"));
    let Some(endpoint) = endpoint.ok().filter(|_| has_port) else {
        return Err(DialError::Address(address.to_owned()));
    };
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&identity.ca_pem))
        .identity(Identity::from_pem(&identity.certificate_pem, &identity.key_pem))
        .domain_name(PLATFORM_NAME)
        .timeout(CONNECT_TIME);
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIME)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(keep_alive.interval)
        .keep_alive_timeout(keep_alive.answer)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    endpoint.tls_config(tls).map_err(|error| DialError::Identity(describe(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_without_a_port_is_refused() {
        let none = String::new();
        let identity = LinkIdentity { ca_pem: none.clone(), certificate_pem: none.clone(), key_pem: none };
        for address in ["platform", "platform:", ":7443", "platform:x", "plat form:1", ""] {
            let refused = dial(address, &identity, KeepAlive::default()).await.map(|_| ());
            assert!(matches!(refused, Err(DialError::Address(_))), "{address:?}: {refused:?}");
        }
    }
}
