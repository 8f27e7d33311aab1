//! One link of one gateway.
//!
//! 1. The certificate must be the one that the gateway enrolled with last.
//! 2. The gateway says hello: who it is, which version it speaks, where its logs stand.
//! 3. Logs that do not fit together are refused: one side has lost what it had promised to keep.
//! 4. The platform welcomes it with the place up to which the up log is applied.
//! 5. From then on the up log comes ([`up`]) and the down log goes ([`down`]), each on its own.
//! 6. The session ends when the link breaks, either side misbehaves, the gateway connects anew or the
//!    platform ends.

use std::time::Duration;

use bugle_core::GatewayId;
use bugle_core::platform::GatewayRow;
use bugle_runtime::link::{Connected, ReceiveError, Receiver, Sender};
use bugle_store::sqlite::StoreError;
use bugle_wire::{CloseReason, FromGateway, FromPlatform, Hello, Incoming, LogConflict, Outgoing, VERSION};
use thiserror::Error;
use tokio::sync::watch;

use super::{Place, down, up};
use crate::{Platform, secret};

/// How long a gateway may take to say hello, and to take the last message.
const HELLO_TIME: Duration = Duration::from_secs(10);
/// Entries of the down log that are sent ahead of their acknowledgement.
const WINDOW: u64 = 4_096;
/// How often it is noted that the link is up.
const SEEN_INTERVAL: Duration = Duration::from_secs(60);

/// Why a session ends.
#[derive(Debug, Error)]
pub(super) enum End {
    /// The gateway is told why.
    #[error("{1} ({0:?})")]
    Told(CloseReason, String),
    /// The link broke, or the gateway has ended it.
    #[error("the link has ended")]
    Gone,
    /// The store cannot go on for now; the gateway will be back.
    #[error("the store cannot go on: {0}")]
    Store(#[from] StoreError),
}

impl End {
    pub(super) fn protocol(error: impl std::fmt::Display) -> Self {
        Self::Told(CloseReason::Protocol, error.to_string())
    }

    fn conflict(log: &str, conflict: &LogConflict) -> Self {
        let detail = format!("the {log} log: {conflict}; restore the disk, or enrol under a new gateway id");
        Self::Told(CloseReason::LogConflict, detail)
    }
}

/// Serves a link until it ends.
pub(super) async fn serve(platform: Platform, connected: Connected) {
    let Connected { gateway, certificate, address, sender, mut receiver } = connected;
    let end = match check_certificate(&platform, &gateway, &certificate).await {
        Ok(()) => {
            let mut place = platform.links().enter(&gateway);
            tracing::info!(%gateway, %address, "link is up");
            let end = run(&platform, &gateway, &mut place, &sender, &mut receiver).await;
            platform.links().leave(&gateway, &place);
            end
        }
        Err(end) => end,
    };
    match &end {
        End::Told(CloseReason::Stopping | CloseReason::Replaced, _) | End::Gone => {
            tracing::info!(%gateway, %address, %end, "link is down");
        }
        End::Told(..) | End::Store(_) => tracing::warn!(%gateway, %address, %end, "link is down"),
    }
    if let End::Told(reason, detail) = end {
        let closing = sender.send(FromPlatform::Closing { reason, detail });
        // A gateway that takes nothing any more learns it from the end of the stream.
        let _ = tokio::time::timeout(HELLO_TIME, closing).await;
    }
}

async fn check_certificate(platform: &Platform, gateway: &GatewayId, certificate: &[u8]) -> Result<(), End> {
    let record = platform.store().gateway(gateway).recv().await?;
    if record.and_then(|record| record.certificate) == Some(secret::hash(certificate)) {
        return Ok(());
    }
    let detail = "the certificate is not the one of the latest enrolment; enrol the gateway again";
    Err(End::Told(CloseReason::Identity, detail.to_owned()))
}

async fn run(
    platform: &Platform,
    gateway: &GatewayId,
    place: &mut Place,
    sender: &Sender<FromPlatform>,
    receiver: &mut Receiver<FromGateway>,
) -> End {
    let session = async {
        let hello = expect_hello(gateway, receiver).await?;
        // Before the logs are looked at, so that nothing new goes unnoticed after it.
        let news = platform.watch_gateway(gateway);
        let (incoming, outgoing) = resume(platform, gateway, &hello).await?;
        sender.send(FromPlatform::Welcome { up_applied: incoming.received() }).await.map_err(|_| End::Gone)?;
        platform.acknowledge_down(gateway, hello.down_received).await?;
        let (acknowledge, acknowledged) = watch::channel(hello.down_received);
        let up = up::receive(platform, gateway, incoming, sender, receiver, &acknowledge);
        let down = down::send(platform, gateway, outgoing, sender, news, acknowledged);
        tokio::select! {
            end = up => end,
            end = down => end,
            end = note_seen(platform, gateway) => end,
        }
    };
    let end = tokio::select! {
        end = session => end,
        _ = &mut place.replaced => Err(End::Told(CloseReason::Replaced, "the gateway has connected anew".into())),
        () = platform.shutdown().requested() => Err(End::Told(CloseReason::Stopping, "the platform stops".into())),
    };
    if let Err(error) = platform.store().see_gateway(gateway, platform.now()).recv().await {
        tracing::warn!(%gateway, %error, "when the link was last up is not noted");
    }
    match end {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

async fn expect_hello(gateway: &GatewayId, receiver: &mut Receiver<FromGateway>) -> Result<Hello, End> {
    let first = tokio::time::timeout(HELLO_TIME, receiver.next()).await;
    let hello = match first.map_err(|_| End::protocol("no hello came in time"))? {
        Ok(Some(FromGateway::Hello(hello))) => hello,
        Ok(Some(_)) => return Err(End::protocol("the first message is to be a hello")),
        Ok(None) | Err(ReceiveError::Broken(_)) => return Err(End::Gone),
        Err(ReceiveError::Misbehaved(error)) => return Err(End::protocol(error)),
    };
    if hello.version != VERSION {
        let detail = format!("version {} of the link is not spoken here, {VERSION} is", hello.version);
        return Err(End::Told(CloseReason::Version, detail));
    }
    if hello.gateway != *gateway {
        let detail = format!("the certificate names {gateway}, the hello {}", hello.gateway);
        return Err(End::Told(CloseReason::Identity, detail));
    }
    tracing::debug!(%gateway, software = hello.software, "hello");
    Ok(hello)
}

async fn resume(platform: &Platform, gateway: &GatewayId, hello: &Hello) -> Result<(Incoming, Outgoing), End> {
    let record = platform.store().gateway(gateway).recv().await?;
    let GatewayRow { up_applied, down_last, down_acknowledged } = record.map(|record| record.logs).unwrap_or_default();
    // The up log is the gateway's to send: it resumes it, and here only what it finds is foretold.
    Outgoing::resume(up_applied, hello.up_first, hello.up_last, WINDOW)
        .map_err(|conflict| End::conflict("up", &conflict))?;
    let outgoing = Outgoing::resume(hello.down_received, down_acknowledged + 1, down_last, WINDOW)
        .map_err(|conflict| End::conflict("down", &conflict))?;
    Ok((Incoming::new(up_applied), outgoing))
}

/// Notes from time to time that the link is up, for as long as it is.
async fn note_seen(platform: &Platform, gateway: &GatewayId) -> Result<std::convert::Infallible, End> {
    let mut interval = tokio::time::interval(SEEN_INTERVAL);
    loop {
        interval.tick().await;
        platform.store().see_gateway(gateway, platform.now()).recv().await?;
    }
}
