//! A stretch of network between a gateway and the platform that can be cut and can stall.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How the stretch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    Open,
    /// Connections break, and none is made.
    Cut,
    /// Connections stand, and nothing passes.
    Stalled,
}

const CHUNK_BYTES: usize = 16 * 1024;

/// The stretch of network. It is gone when this is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    passage: watch::Sender<Passage>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// One that leads to `to`.
    pub(crate) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (passage, state) = watch::channel(Passage::Open);
        let listening = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *state.borrow() != Passage::Cut {
                    tokio::spawn(join(near, to, state.clone()));
                }
            }
        });
        Self { address, passage, listening }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, passage: Passage) {
        self.passage.send_replace(passage);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Carries bytes both ways until either side ends or the stretch is cut.
async fn join(near: TcpStream, to: SocketAddr, mut passage: watch::Receiver<Passage>) {
    let Ok(far) = TcpStream::connect(to).await else { return };
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = carry(near_in, far_out, passage.clone()) => {}
        () = carry(far_in, near_out, passage.clone()) => {}
        _ = passage.wait_for(|passage| *passage == Passage::Cut) => {}
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut passage: watch::Receiver<Passage>,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = match from.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(length) => length,
        };
        if passage.wait_for(|passage| *passage != Passage::Stalled).await.is_err() {
            return;
        }
        if to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
    }
}
