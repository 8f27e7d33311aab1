//! The up log comes in.

use std::convert::Infallible;
use std::iter;

use bugle_core::platform::{Applied, UpError, weight};
use bugle_core::{GatewayId, UpEntry};
use bugle_runtime::link::{ReceiveError, Receiver, Sender};
use bugle_store::platform::Failure;
use bugle_wire::{CloseReason, Entries, FromGateway, FromPlatform, Incoming, decode_up};
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tokio::sync::watch;

use super::session::End;
use crate::Platform;

/// Batches that are on their way to disk at once; no more is read from the gateway meanwhile.
const APPLYING_MAX: usize = 16;
/// Entries and members in one transaction, about: so that nobody waits long behind it.
const BATCH_WEIGHT: usize = 1_000;

/// Applies what the gateway sends and acknowledges it once it is on disk. Ends when the link does.
pub(super) async fn receive(
    platform: &Platform,
    gateway: &GatewayId,
    mut incoming: Incoming,
    sender: &Sender<FromPlatform>,
    receiver: &mut Receiver<FromGateway>,
    acknowledge: &watch::Sender<u64>,
) -> Result<Infallible, End> {
    let mut applying = FuturesOrdered::new();
    loop {
        tokio::select! {
            Some(applied) = applying.next(), if !applying.is_empty() => {
                let through = applied_through(applied)?;
                send(sender, FromPlatform::UpAcknowledged { through }).await?;
            }
            message = receiver.next(), if applying.len() < APPLYING_MAX => match message {
                Ok(Some(FromGateway::Up(entries))) => {
                    let news = incoming.handle_entries(entries).map_err(End::protocol)?;
                    for batch in batches(news) {
                        applying.push_back(platform.apply_up(gateway, batch?));
                    }
                }
                Ok(Some(FromGateway::DownAcknowledged { through })) => {
                    acknowledge.send_if_modified(|known| std::mem::replace(known, through.max(*known)) < through);
                }
                Ok(Some(FromGateway::Ping { token })) => send(sender, FromPlatform::Pong { token }).await?,
                Ok(Some(FromGateway::Hello(_))) => return Err(End::protocol("a second hello")),
                Ok(None) | Err(ReceiveError::Broken(_)) => return Err(End::Gone),
                Err(ReceiveError::Misbehaved(error)) => return Err(End::protocol(error)),
            },
        }
    }
}

async fn send(sender: &Sender<FromPlatform>, message: FromPlatform) -> Result<(), End> {
    sender.send(message).await.map_err(|_| End::Gone)
}

fn applied_through(applied: Result<Applied, Failure<UpError>>) -> Result<u64, End> {
    match applied {
        Ok(applied) => Ok(applied.up_applied),
        Err(Failure::Refused(error)) => Err(End::Told(CloseReason::LogConflict, error.to_string())),
        Err(Failure::Store(error)) => Err(error.into()),
    }
}

/// Puts entries into batches of about one weight, in order. Each is decoded only when it is asked for: the first is on
/// its way to disk by then.
fn batches(entries: Option<Entries>) -> impl Iterator<Item = Result<Vec<(u64, UpEntry)>, End>> {
    let mut entries = entries.into_iter().flatten();
    iter::from_fn(move || {
        let (mut batch, mut sum) = (Vec::new(), 0);
        while sum < BATCH_WEIGHT
            && let Some((sequence, bytes)) = entries.next()
        {
            match decode_up(&bytes) {
                Ok(entry) => {
                    sum += weight(&entry);
                    batch.push((sequence, entry));
                }
                Err(error) => return Some(Err(End::protocol(error))),
            }
        }
        (!batch.is_empty()).then_some(Ok(batch))
    })
}

#[cfg(test)]
mod tests {
    use bugle_core::RequestId;
    use bugle_wire::encode_up;

    use super::*;

    fn fixed(members: usize) -> Vec<u8> {
        let request = RequestId::from_number(1).expect("at most 63 bits");
        let member = |number| format!("m{number}").parse().expect("a peripheral id");
        encode_up(&UpEntry::MembersFixed { request, members: (0..members).map(member).collect(), is_last: true })
    }

    #[test]
    fn batches_are_bounded_by_weight_and_keep_the_order() {
        let sizes = [0, 400, 500, 200, 3_000, 0];
        let entries = Entries::new(7, sizes.iter().map(|size| fixed(*size).into()).collect()).expect("entries");
        let batches = batches(Some(entries)).map(|batch| batch.expect("decodes"));
        let sequences: Vec<Vec<u64>> =
            batches.map(|batch| batch.iter().map(|(sequence, _)| *sequence).collect()).collect();
        assert_eq!(sequences, [vec![7, 8, 9, 10], vec![11], vec![12]]);
    }

    #[test]
    fn what_is_no_entry_is_the_gateways_fault() {
        let entries = Entries::new(1, vec![vec![0xff, 0xff].into()]).expect("entries");
        assert!(matches!(batches(Some(entries)).next(), Some(Err(End::Told(CloseReason::Protocol, _)))));
    }
}
