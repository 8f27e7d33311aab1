//! Keeps the group configurations: one task owns them, their store, and the answers that wait.
//!
//! 1. A batch of events, or what a person decides, changes the configurations in memory.
//! 2. The changes, the answers among them and the cursor are committed.
//! 3. The answers wait for the courier, which carries one load at a time; what it has delivered is
//!    forgotten. While too many wait no more events are taken.
//! 4. If a commit fails, what is in memory is worth nothing: everything begins anew from the store.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bugle_api::EventRecord;
use bugle_client::Client;
use bugle_core::ApplicationId;
use bugle_core::application::{Authorizer, Change, GroupConfigurations};
use bugle_runtime::{Backoff, Clock};
use bugle_store::application::{ApplicationStore, OutgoingAnswer};
use bugle_store::sqlite::StoreError;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::courier::{Courier, LOAD_MAX};
use crate::reader::{Batch, Reach, Reader};

/// Answers that wait for the courier before no more events are taken.
const OUTGOING_MAX: usize = 10 * LOAD_MAX;
/// Batches that wait to be handled. Larger ones are better than more.
const BATCHES_WAITING_MAX: usize = 1;
/// Events without a change before the cursor is committed all the same.
const UNCOMMITTED_EVENTS_MAX: u64 = 10_000;
/// Commands that wait to be done.
const COMMANDS_WAITING_MAX: usize = 256;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// The application does not answer now: its store takes nothing, or it is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the application cannot look into its store or change it now")]
pub(crate) struct Unavailable;

/// Something to do with the configurations between two batches.
pub(crate) type Work = Box<dyn FnOnce(&mut GroupConfigurations, &Census, &mut Vec<Change>) -> Answered + Send>;
/// Tells whoever asked, once all is committed.
type Answered = Box<dyn FnOnce() + Send>;

/// What else there is to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Census {
    /// The time.
    pub(crate) now: bugle_core::Time,
    /// Answers that the platform has not taken.
    pub(crate) outgoing: usize,
    /// Answers since the start.
    pub(crate) answered: u64,
}

/// Asks the keeper.
#[derive(Clone)]
pub(crate) struct Commands(mpsc::Sender<Work>);

impl Commands {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Work>) {
        let (sender, receiver) = mpsc::channel(COMMANDS_WAITING_MAX);
        (Self(sender), receiver)
    }

    /// Does something with the configurations, and returns what it returns, once its changes are
    /// committed.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut GroupConfigurations, &Census, &mut Vec<Change>) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |configurations, census, changes| {
            let done = work(configurations, census, changes);
            Box::new(move || drop(answer.send(done)))
        });
        self.0.send(work).await.map_err(|_| Unavailable)?;
        answered.await.map_err(|_| Unavailable)
    }

    /// Looks into the configurations.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&GroupConfigurations, &Census) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.change(|configurations, census, _| look(configurations, census)).await
    }
}

pub(crate) struct Keeper<A> {
    pub(crate) application: ApplicationId,
    pub(crate) client: Client,
    pub(crate) store: Arc<ApplicationStore>,
    pub(crate) authorizer: A,
    pub(crate) clock: Clock,
    pub(crate) commands: mpsc::Receiver<Work>,
    pub(crate) reach: watch::Sender<Reach>,
    pub(crate) seed: u64,
}

/// What is in memory between two failures of the store.
struct Session {
    configurations: GroupConfigurations,
    /// The cursor in the store, which may be behind where nothing changed.
    committed: u64,
    outgoing: VecDeque<OutgoingAnswer>,
    /// Answers that the courier has.
    in_flight: usize,
    /// Answers since the session began.
    answered: u64,
    /// The reader and the courier. Aborted with the session.
    tasks: JoinSet<Result<(), StoreError>>,
}

impl<A: Authorizer> Keeper<A> {
    /// Never returns; to be dropped at any time.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, self.seed);
        loop {
            let error = match self.restore().await {
                Ok(mut session) => {
                    let error = self.keep(&mut session, &mut backoff).await;
                    session.tasks.shutdown().await;
                    error
                }
                Err(error) => error,
            };
            tracing::error!(%error, "the store failed; going on from what it holds");
            self.reach.send_replace(Reach::Out(format!("the store failed: {error}")));
            self.turn_away(backoff.next_wait()).await;
        }
    }

    async fn restore(&self) -> Result<Session, StoreError> {
        let restored = self.store.restore().await?;
        let outgoing = VecDeque::from(restored.outgoing);
        let configurations = GroupConfigurations::restore(restored.recorded);
        let (groups, cursor) = (configurations.groups().len(), configurations.cursor());
        tracing::info!(groups, cursor, outgoing = outgoing.len(), "restored");
        Ok(Session { configurations, committed: cursor, outgoing, in_flight: 0, answered: 0, tasks: JoinSet::new() })
    }

    /// Goes on until the store fails.
    async fn keep(&mut self, session: &mut Session, backoff: &mut Backoff) -> StoreError {
        let mut batches = self.read(session);
        loop {
            self.dispatch(session);
            let mut changes = Vec::new();
            let mut answered: Option<Answered> = None;
            tokio::select! {
                Some(ended) = session.tasks.join_next() => {
                    match ended {
                        Ok(Ok(())) => session.in_flight = 0,
                        Ok(Err(error)) => return error,
                        Err(error) => std::panic::resume_unwind(error.into_panic()),
                    }
                }
                Some(work) = self.commands.recv() => {
                    let outgoing = session.outgoing.len() + session.in_flight;
                    let census = Census { now: self.clock.now(), outgoing, answered: session.answered };
                    answered = Some(work(&mut session.configurations, &census, &mut changes));
                }
                Some(batch) = batches.recv(), if session.outgoing.len() < OUTGOING_MAX => {
                    self.handle(&mut session.configurations, batch, &mut changes);
                }
            }
            if let Err(error) = self.commit(session, changes).await {
                return error;
            }
            backoff.reset();
            if let Some(answered) = answered {
                answered();
            }
        }
    }

    /// Step 1.
    fn handle(&self, configurations: &mut GroupConfigurations, batch: Batch, changes: &mut Vec<Change>) {
        let now = self.clock.now();
        match batch {
            Batch::Events { events, through } => {
                for EventRecord { sequence, event } in &events {
                    configurations.handle_event(now, *sequence, event, &self.authorizer, changes);
                }
                configurations.pass_over(through);
            }
            Batch::Snapshot { sequence, events } => {
                configurations.rebuild(now, sequence, &events, &self.authorizer, changes);
            }
        }
    }

    /// Step 2. Events that change nothing may be read again.
    async fn commit(&self, session: &mut Session, changes: Vec<Change>) -> Result<(), StoreError> {
        let cursor = session.configurations.cursor();
        if changes.is_empty() && cursor.abs_diff(session.committed) < UNCOMMITTED_EVENTS_MAX {
            return Ok(());
        }
        let answers = self.store.commit(cursor, changes).await?;
        session.answered += answers.len() as u64;
        session.outgoing.extend(answers);
        session.committed = cursor;
        Ok(())
    }

    /// Step 3: gives the courier the next load when it has delivered the one before.
    fn dispatch(&self, session: &mut Session) {
        if session.in_flight > 0 || session.outgoing.is_empty() {
            return;
        }
        let load: Vec<_> = session.outgoing.drain(..session.outgoing.len().min(LOAD_MAX)).collect();
        let through = load.last().map_or(0, |last| last.number);
        session.in_flight = load.len();
        let (client, application) = (self.client.clone(), self.application.clone());
        let courier = Courier { client, application, seed: self.seed };
        let store = Arc::clone(&self.store);
        session.tasks.spawn(async move {
            courier.deliver(load).await;
            store.acknowledge(through).await
        });
    }

    fn read(&self, session: &mut Session) -> mpsc::Receiver<Batch> {
        let (batches, receiver) = mpsc::channel(BATCHES_WAITING_MAX);
        let reader = Reader {
            client: self.client.clone(),
            application: self.application.clone(),
            cursor: session.configurations.cursor(),
            batches,
            reach: self.reach.clone(),
            seed: self.seed,
        };
        session.tasks.spawn(async move {
            reader.run().await;
            Ok(())
        });
        receiver
    }

    /// Waits, and has nobody wait for what cannot be done now.
    async fn turn_away(&mut self, wait: Duration) {
        let wait = tokio::time::sleep(wait);
        tokio::pin!(wait);
        loop {
            tokio::select! {
                () = &mut wait => return,
                Some(unanswered) = self.commands.recv() => drop(unanswered),
            }
        }
    }
}
