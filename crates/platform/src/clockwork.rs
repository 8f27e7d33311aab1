//! What the clock brings: group requests end, schedules are due, and what is over age goes.

use std::time::Duration;

use bugle_core::platform::{Close, Closed, Fire};
use bugle_core::{RequestId, Time, limits};
use bugle_store::platform::Failure;
use bugle_store::sqlite::StoreError;
use thiserror::Error;

use crate::calendar::next_due;
use crate::secret::NoRandomness;
use crate::{Platform, secret};

/// How long to wait before the store is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// How often what is over age is removed.
const FORGET_INTERVAL: Duration = Duration::from_secs(60);

/// Closes group requests at their deadlines until the process is to end.
pub(crate) async fn keep_deadlines(platform: Platform) {
    loop {
        let turn = async {
            if let Err(error) = keep_next_deadline(&platform).await {
                tracing::warn!(%error, "deadlines wait for the store");
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::select! {
            () = turn => {}
            () = platform.shutdown().requested() => return,
        }
    }
}

async fn keep_next_deadline(platform: &Platform) -> Result<(), StoreError> {
    let next = platform.store().next_deadline().recv().await?;
    let closes_at = next.map_or(Time::MAX, |(_, deadline)| deadline + limits::DEADLINE_GRACE);
    let clock = platform.clock();
    tokio::select! {
        () = clock.sleep_until(closes_at) => {}
        () = platform.deadline_added() => return Ok(()),
    }
    match next {
        Some((request, _)) => close(platform, request).await,
        None => Ok(()),
    }
}

async fn close(platform: &Platform, request: RequestId) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        match platform.perform(Close { request, after: after.take() }).await {
            Ok(Closed::Partly { after: next }) => after = next,
            Ok(Closed::Wholly) => {
                tracing::debug!(%request, "closed at its deadline");
                return Ok(());
            }
            Err(Failure::Store(error)) => return Err(error),
            Err(Failure::Refused(never)) => match never {},
        }
    }
}

/// Fires schedules when they are due until the process is to end.
pub(crate) async fn keep_schedules(platform: Platform) {
    loop {
        let turn = async {
            if let Err(error) = keep_next_schedule(&platform).await {
                tracing::warn!(%error, "schedules wait");
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::select! {
            () = turn => {}
            () = platform.shutdown().requested() => return,
        }
    }
}

/// Why a schedule could not be seen to for now.
#[derive(Debug, Error)]
enum ScheduleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

async fn keep_next_schedule(platform: &Platform) -> Result<(), ScheduleError> {
    let next = platform.store().next_schedule().recv().await?;
    let due = next.as_ref().map_or(Time::MAX, |(_, _, due)| *due);
    let clock = platform.clock();
    tokio::select! {
        () = clock.sleep_until(due) => {}
        () = platform.schedule_changed() => return Ok(()),
    }
    let Some((key, row, due)) = next else { return Ok(()) };
    let now = platform.now();
    let fire = Fire {
        key: key.clone(),
        due,
        id: RequestId::compose(now, secret::number()?),
        next_due: next_due(&row.timing, now.max(due)),
        submitted: row.submitted,
    };
    match platform.perform(fire).await {
        Ok(fired) => {
            tracing::info!(application = %key.0, schedule = %key.1, ?fired, "a schedule was due");
            Ok(())
        }
        // The next turn draws another.
        Err(Failure::Refused(_taken)) => Ok(()),
        Err(Failure::Store(error)) => Err(error.into()),
    }
}

/// Removes what is over age until the process is to end.
pub(crate) async fn forget(platform: Platform) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(FORGET_INTERVAL) => {}
            () = platform.shutdown().requested() => return,
        }
        loop {
            match platform.store().forget(platform.now()).recv().await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "what is over age stays for now");
                    break;
                }
            }
        }
    }
}
