//! A job: a closure over a connection, and whoever waits for what it returns.

use rusqlite::Connection;

use super::StoreError;

/// A job of any type, as the queues hold it. Run once, then answered once.
pub(super) trait Job: Send {
    /// Does the work. Whether to keep its changes is in the answer.
    fn run(&mut self, connection: &Connection) -> Verdict;

    /// Tells whoever waits. `committed` says what became of the transaction.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// Whether the changes of a job stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    TakeBack,
}

/// The work `W` and the one to tell, `A`. Dropped unanswered, it tells that the store has stopped.
pub(super) struct Task<W, T, E, A>
where
    E: From<StoreError>,
    A: FnOnce(Result<T, E>),
{
    work: Option<W>,
    result: Option<Result<T, E>>,
    then: Option<A>,
}

impl<W, T, E, A> Task<W, T, E, A>
where
    W: FnOnce(&Connection) -> Result<T, E>,
    E: From<StoreError>,
    A: FnOnce(Result<T, E>),
{
    pub(super) fn new(work: W, then: A) -> Self {
        Self { work: Some(work), result: None, then: Some(then) }
    }
}

impl<W, T, E, A> Job for Task<W, T, E, A>
where
    W: FnOnce(&Connection) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
    A: FnOnce(Result<T, E>) + Send,
{
    fn run(&mut self, connection: &Connection) -> Verdict {
        let work = self.work.take().expect("a job is run once");
        let result = work(connection);
        let verdict = if result.is_ok() { Verdict::Keep } else { Verdict::TakeBack };
        self.result = Some(result);
        verdict
    }

    fn answer(mut self: Box<Self>, committed: Result<(), StoreError>) {
        let then = self.then.take().expect("a job is answered once");
        // A refusal may rest on what an earlier job of the same transaction changed, so it counts
        // no more than a success if that transaction came to nothing.
        then(match (committed, self.result.take()) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(StoreError::Stopped.into()),
            (Err(error), _) => Err(error.into()),
        });
    }
}

impl<W, T, E, A> Drop for Task<W, T, E, A>
where
    E: From<StoreError>,
    A: FnOnce(Result<T, E>),
{
    fn drop(&mut self) {
        if let Some(then) = self.then.take() {
            then(Err(StoreError::Stopped.into()));
        }
    }
}
