//! Serving connections, with TLS or without.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bugle_runtime::Shutdown;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// Connections at once; more wait to be taken.
const CONNECTIONS_MAX: usize = 10_000;
/// How long a TLS handshake may take, and the headers of a request.
const ARRIVAL_TIME: Duration = Duration::from_secs(10);
/// How long requests that are under way may take to end when the platform ends.
const ENDING_TIME: Duration = Duration::from_secs(10);
/// How long to wait when the system has no more connections to give.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves connections until the process is to end, and then lets those that are under way end.
pub(crate) async fn serve(socket: TcpListener, tls: Option<Arc<ServerConfig>>, router: Router, shutdown: Shutdown) {
    let tls = tls.map(TlsAcceptor::from);
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = async {
            let permit = Arc::clone(&connections).acquire_owned().await;
            (permit, socket.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = shutdown.requested() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "no connection could be taken");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        // Answers are small and each is waited for.
        let _ = stream.set_nodelay(true);
        let (tls, router, watcher) = (tls.clone(), router.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _permit = permit;
            match tls {
                Some(tls) => serve_tls(stream, &tls, router, watcher).await,
                None => serve_connection(stream, router, watcher).await,
            }
        });
    }
    drop(socket);
    if tokio::time::timeout(ENDING_TIME, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were cut off, as they did not end in time");
    }
}

async fn serve_tls(stream: TcpStream, tls: &TlsAcceptor, router: Router, watcher: Watcher) {
    match tokio::time::timeout(ARRIVAL_TIME, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve_connection(stream, router, watcher).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn serve_connection<S>(stream: S, router: Router, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(ARRIVAL_TIME);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(ARRIVAL_TIME);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(error, "a connection broke");
    }
}
