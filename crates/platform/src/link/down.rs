//! The down log goes out.

use std::convert::Infallible;

use bugle_core::GatewayId;
use bugle_runtime::link::Sender;
use bugle_store::sqlite::StoreError;
use bugle_wire::{Entries, FromPlatform, Outgoing, Span, encode_down};
use tokio::sync::watch;

use super::session::End;
use crate::Platform;

/// Entries in one message, at most.
const ENTRIES_PER_MESSAGE: u64 = 256;

/// Sends what is in the down log as fast as the gateway takes it, and trims it as it is acknowledged.
/// Ends when the link does.
pub(super) async fn send(
    platform: &Platform,
    gateway: &GatewayId,
    mut outgoing: Outgoing,
    sender: &Sender<FromPlatform>,
    mut news: watch::Receiver<()>,
    mut acknowledged: watch::Receiver<u64>,
) -> Result<Infallible, End> {
    loop {
        let through = *acknowledged.borrow_and_update();
        if outgoing.handle_acknowledged(through).map_err(End::protocol)? {
            platform.acknowledge_down(gateway, through).await?;
        }
        if news.has_changed().unwrap_or(false) {
            news.mark_unchanged();
            let record = platform.store().gateway(gateway).recv().await?;
            outgoing.handle_available(record.map_or(0, |record| record.logs.down_last));
        }
        if let Some(span) = outgoing.next() {
            let entries = read(platform, gateway, span).await?;
            let last = entries.last();
            sender.send(FromPlatform::Down(entries)).await.map_err(|_| End::Gone)?;
            outgoing.handle_sent(last);
            continue;
        }
        tokio::select! {
            changed = acknowledged.changed() => changed.map_err(|_| End::Gone)?,
            changed = news.changed() => {
                changed.map_err(|_| End::Gone)?;
                // Seen at the top.
                news.mark_changed();
            }
        }
    }
}

async fn read(platform: &Platform, gateway: &GatewayId, span: Span) -> Result<Entries, End> {
    let limit = span.count.min(ENTRIES_PER_MESSAGE) as u32;
    let entries = platform.down_entries(gateway, span.after, limit).await?;
    let has_gap = entries.iter().zip(span.after + 1..).any(|((sequence, _), expected)| *sequence != expected);
    if has_gap {
        return Err(StoreError::Corrupt(format!("the down log of {gateway} has a gap after {}", span.after)).into());
    }
    let now = platform.now();
    let bytes = entries.iter().map(|(_, entry)| encode_down(entry, now).into()).collect();
    Entries::new(span.after + 1, bytes)
        .map_err(|_| StoreError::Corrupt(format!("the down log of {gateway} ends after {}", span.after)).into())
}
