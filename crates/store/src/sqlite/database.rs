//! The open file and its threads.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::checker::Checker;
use super::job::{Job, Task, Verdict};
use super::layout::CHECKED_BYTES_MAX;
use super::lock::Lock;
use super::measures::Counts;
use super::write_ahead::WriteAheadLog;
use super::{Layout, Measures, OpenError, StoreError};

/// Jobs that wait for the thread that writes; one more is told to come back later.
const WRITES_WAITING_MAX: usize = 4_096;
/// Jobs that wait for a thread that reads; one more is told to come back later.
const READS_WAITING_MAX: usize = 1_024;
/// Jobs in one transaction. A bound, so that the first of them does not wait forever.
const JOBS_PER_COMMIT_MAX: usize = 1_024;
/// Threads that read.
const READERS: usize = 4;

/// An open file. Closed when dropped, after the jobs that wait are done.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    writes: Option<SyncSender<Box<dyn Job>>>,
    reads: Option<SyncSender<Box<dyn Job>>>,
    threads: Vec<JoinHandle<()>>,
    counts: Arc<Counts>,
    /// What is wrong with the file, once that is known.
    damage: Arc<OnceLock<String>>,
    checker: Option<Checker>,
    lock: Option<Lock>,
}

/// What becomes of a job, to wait for.
#[derive(Debug)]
#[must_use = "a job is done whether or not anybody waits, but its failure shows only here"]
pub struct Answer<T, E>(oneshot::Receiver<Result<T, E>>);

impl<T, E: From<StoreError>> Answer<T, E> {
    /// Waits for it in a task.
    ///
    /// # Errors
    /// With the job's own error, or if the store could not do it.
    pub async fn recv(self) -> Result<T, E> {
        self.0.await.unwrap_or_else(|_| Err(StoreError::Stopped.into()))
    }

    /// Waits for it in a thread. Panics in a task, which it would block.
    ///
    /// # Errors
    /// With the job's own error, or if the store could not do it.
    pub fn wait(self) -> Result<T, E> {
        self.0.blocking_recv().unwrap_or_else(|_| Err(StoreError::Stopped.into()))
    }
}

impl Database {
    /// Opens the file at `path`, creating it and its folder if need be, and brings it to the present
    /// layout.
    ///
    /// # Errors
    /// If another process has it open, it is damaged, of another kind or of a later release, or the
    /// disk does not let it be opened.
    pub fn open(path: &Path, layout: &Layout) -> Result<Self, OpenError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| OpenError::from_io(folder, &error))?;
        }
        let lock = Lock::take(path)?;
        let mut writer = layout.open(path)?;
        let log = WriteAheadLog::watch(&mut writer).map_err(|error| OpenError::from_sqlite(path, error))?;
        let spawn = |name: String, run: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name).spawn(run);
            thread.map_err(|error| OpenError::from_io(path, &error))
        };
        let counts = Arc::new(Counts::default());
        let (writes, waiting) = sync_channel(WRITES_WAITING_MAX);
        let counted = Arc::clone(&counts);
        let run = Box::new(move || write(&writer, &log, &waiting, &counted));
        let mut threads = vec![spawn(format!("{}-writer", layout.kind), run)?];
        let (reads, waiting) = sync_channel(READS_WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..READERS {
            let reader = layout.open_to_read(path)?;
            let (waiting, counted) = (Arc::clone(&waiting), Arc::clone(&counts));
            let run = Box::new(move || read(&reader, &waiting, &counted.reads_waiting));
            threads.push(spawn(format!("{}-reader-{number}", layout.kind), run)?);
        }
        let damage = Arc::default();
        let bytes = std::fs::metadata(path).map_err(|error| OpenError::from_io(path, &error))?.len();
        let is_large = bytes > CHECKED_BYTES_MAX;
        let checker = is_large.then(|| Checker::start(path, layout.kind, Arc::clone(&damage))).transpose()?;
        Ok(Self {
            path: path.to_owned(),
            writes: Some(writes),
            reads: Some(reads),
            threads,
            counts,
            damage,
            checker,
            lock: Some(lock),
        })
    }

    /// How it is doing.
    #[must_use]
    pub fn measures(&self) -> Measures {
        self.counts.measures(&self.path)
    }

    /// Queues a job that writes. Its changes are kept if it returns `Ok`, and are on disk when the
    /// answer comes. If the queue is full the answer is [`StoreError::Busy`], at once.
    ///
    /// A job must not begin, commit or roll back a transaction.
    pub fn write<T, E>(&self, job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Answer<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, receiver) = oneshot::channel();
        self.write_then(job, move |result| drop(answer.send(result)));
        Answer(receiver)
    }

    /// Like [`write`](Self::write), and the answer goes to `then`, which runs in the thread that
    /// writes (or, if the queue is full, in this one) and must be brief.
    pub fn write_then<T, E>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        then: impl FnOnce(Result<T, E>) + Send + 'static,
    ) where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.submit(self.writes.as_ref(), &self.counts.writes_waiting, Box::new(Task::new(job, then)));
    }

    /// Queues a job that reads. It sees one state of the file, with every change in it whose answer
    /// has come. If the queue is full the answer is [`StoreError::Busy`], at once.
    pub fn read<T, E>(&self, job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Answer<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, receiver) = oneshot::channel();
        let task = Box::new(Task::new(job, move |result| drop(answer.send(result))));
        self.submit(self.reads.as_ref(), &self.counts.reads_waiting, task);
        Answer(receiver)
    }

    fn submit(&self, queue: Option<&SyncSender<Box<dyn Job>>>, waiting: &AtomicU64, job: Box<dyn Job>) {
        if let Some(reason) = self.damage.get() {
            return job.answer(Err(StoreError::Corrupt(reason.clone())));
        }
        let queue = queue.expect("the queues close only when the database is dropped");
        // Before it is queued: whoever takes it counts it down.
        waiting.fetch_add(1, Relaxed);
        let (job, error) = match queue.try_send(job) {
            Ok(()) => return,
            Err(TrySendError::Full(job)) => (job, StoreError::Busy),
            Err(TrySendError::Disconnected(job)) => (job, StoreError::Stopped),
        };
        waiting.fetch_sub(1, Relaxed);
        self.counts.turned_away.fetch_add(1, Relaxed);
        job.answer(Err(error));
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.writes = None;
        self.reads = None;
        if let Some(checker) = self.checker.take() {
            checker.stop();
        }
        let this_thread = std::thread::current().id();
        for thread in self.threads.drain(..) {
            // The last to hold a database may be an answer, run by the very thread to wait for.
            if thread.thread().id() != this_thread && thread.join().is_err() {
                tracing::error!(file = %self.path.display(), "a thread of the store has panicked");
            }
        }
        self.lock = None;
    }
}

/// The thread that writes.
fn write(connection: &Connection, log: &WriteAheadLog, waiting: &Receiver<Box<dyn Job>>, counts: &Counts) {
    // What fails is tried again and again, and told once.
    let mut failure = None;
    while let Some(first) = first_job(connection, log, waiting) {
        let mut jobs = vec![first];
        counts.writes_waiting.fetch_sub(1, Relaxed);
        let mut next = || {
            let job = waiting.try_recv().ok()?;
            counts.writes_waiting.fetch_sub(1, Relaxed);
            Some(job)
        };
        let committed = commit(connection, &mut next, &mut jobs);
        let outcome = if committed.is_ok() { &counts.commits } else { &counts.failed_commits };
        outcome.fetch_add(1, Relaxed);
        match &committed {
            Err(error) if failure.as_ref() != Some(error) => {
                tracing::error!(%error, jobs = jobs.len(), "nothing was stored");
            }
            Ok(()) if failure.is_some() => tracing::info!("something was stored again"),
            _ => {}
        }
        failure = committed.clone().err();
        for job in jobs {
            job.answer(committed.clone());
        }
        if log.is_full() {
            log.carry_over(connection);
        }
    }
}

/// Waits for a job, and does meanwhile what is to be done when there is none. None if none will come.
fn first_job(connection: &Connection, log: &WriteAheadLog, waiting: &Receiver<Box<dyn Job>>) -> Option<Box<dyn Job>> {
    if log.is_long() {
        match waiting.recv_timeout(WriteAheadLog::QUIET) {
            Err(RecvTimeoutError::Timeout) => log.carry_over(connection),
            job => return job.ok(),
        }
    }
    waiting.recv().ok()
}

/// Runs what waits in one transaction. On failure none of it has happened.
fn commit(
    connection: &Connection,
    next: &mut impl FnMut() -> Option<Box<dyn Job>>,
    jobs: &mut Vec<Box<dyn Job>>,
) -> Result<(), StoreError> {
    let result = statement(connection, "BEGIN IMMEDIATE").and_then(|()| {
        for number in 0.. {
            if number == jobs.len() {
                match (number < JOBS_PER_COMMIT_MAX).then(&mut *next).flatten() {
                    Some(job) => jobs.push(job),
                    None => break,
                }
            }
            let verdict = run(connection, jobs[number].as_mut())?;
            // A full or failing disk makes SQLite take back the whole transaction by itself.
            if connection.is_autocommit() {
                if verdict == Verdict::TakeBack {
                    // This one knows best what was wrong.
                    jobs.remove(number).answer(Ok(()));
                }
                return Err(StoreError::Io("it is full, or fails to write".to_owned()));
            }
        }
        statement(connection, "COMMIT")
    });
    if result.is_err() && !connection.is_autocommit() {
        // What cannot even be rolled back will fail at the next BEGIN, and be told there.
        let _ = statement(connection, "ROLLBACK");
    }
    result
}

/// Runs one job in a savepoint.
fn run(connection: &Connection, job: &mut dyn Job) -> Result<Verdict, StoreError> {
    statement(connection, "SAVEPOINT job")?;
    let verdict = job.run(connection);
    if !connection.is_autocommit() {
        if verdict == Verdict::TakeBack {
            statement(connection, "ROLLBACK TO job")?;
        }
        statement(connection, "RELEASE job")?;
    }
    Ok(verdict)
}

/// A thread that reads.
fn read(connection: &Connection, waiting: &Mutex<Receiver<Box<dyn Job>>>, count: &AtomicU64) {
    loop {
        let received = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut job) = received else { return };
        count.fetch_sub(1, Relaxed);
        let ended = statement(connection, "BEGIN").and_then(|()| {
            job.run(connection);
            statement(connection, "COMMIT")
        });
        if ended.is_err() && !connection.is_autocommit() {
            let _ = statement(connection, "ROLLBACK");
        }
        job.answer(ended);
    }
}

fn statement(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tempfile::TempDir;

    use super::*;
    use crate::sqlite::params;

    const LAYOUT: Layout = Layout::of_tests(&["
            CREATE TABLE number (value INTEGER PRIMARY KEY) STRICT;
            CREATE TABLE reference (value INTEGER REFERENCES number DEFERRABLE INITIALLY DEFERRED) STRICT"]);

    fn open(folder: &TempDir) -> Result<Database, OpenError> {
        Database::open(&folder.path().join("test.db"), &LAYOUT)
    }

    fn insert(value: i64) -> impl FnOnce(&Connection) -> Result<(), StoreError> + Send {
        move |connection| {
            connection.execute("INSERT INTO number VALUES (?1)", params![value])?;
            Ok(())
        }
    }

    fn numbers(database: &Database) -> Vec<i64> {
        let all = |connection: &Connection| -> Result<Vec<i64>, StoreError> {
            let mut statement = connection.prepare_cached("SELECT value FROM number ORDER BY value")?;
            let values = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(values)
        };
        database.read(all).wait().expect("the numbers are read")
    }

    /// Keeps the writer busy until the sender is dropped or sent to.
    fn hold(database: &Database) -> mpsc::Sender<()> {
        let (release, held) = mpsc::channel::<()>();
        let (started, starting) = mpsc::channel();
        drop(database.write(move |_| -> Result<(), StoreError> {
            let _ = started.send(());
            let _ = held.recv();
            Ok(())
        }));
        starting.recv().expect("the job starts");
        release
    }

    #[test]
    fn a_failing_job_takes_back_its_own_changes_and_nobody_elses() {
        let folder = TempDir::new().expect("a folder");
        let database = open(&folder).expect("opens");
        let release = hold(&database);
        let first = database.write(insert(1));
        let twice = database.write(|connection| {
            insert(2)(connection)?;
            insert(1)(connection)
        });
        let last = database.write(insert(3));
        drop(release);
        assert_eq!(first.wait(), Ok(()));
        assert!(matches!(twice.wait(), Err(StoreError::Statement(_))));
        assert_eq!(last.wait(), Ok(()));
        assert_eq!(numbers(&database), [1, 3]);
    }

    #[test]
    fn what_waits_is_bounded_and_one_more_is_told_to_come_back() {
        let folder = TempDir::new().expect("a folder");
        let database = open(&folder).expect("opens");
        let release = hold(&database);
        let mut waiting: Vec<_> = (0..WRITES_WAITING_MAX as i64).map(|value| database.write(insert(value))).collect();
        assert_eq!(database.write(insert(-1)).wait(), Err(StoreError::Busy));
        let measures = database.measures();
        assert_eq!((measures.writes_waiting, measures.turned_away), (WRITES_WAITING_MAX as u64, 1));
        drop(release);
        assert!(waiting.drain(..).all(|answer| answer.wait().is_ok()));
        assert_eq!(numbers(&database).len(), WRITES_WAITING_MAX);
    }

    #[test]
    fn a_commit_that_fails_is_told_to_every_job_of_it_and_nothing_is_kept() {
        let folder = TempDir::new().expect("a folder");
        let database = open(&folder).expect("opens");
        let release = hold(&database);
        let good = database.write(insert(1));
        // A reference that is checked at the commit stands for a disk that fails at the commit.
        let bad = database.write(|connection| -> Result<(), StoreError> {
            connection.execute("INSERT INTO reference VALUES (99)", [])?;
            Ok(())
        });
        drop(release);
        assert!(good.wait().is_err());
        assert!(bad.wait().is_err());
        assert!(numbers(&database).is_empty());
        assert_eq!(database.write(insert(1)).wait(), Ok(()));
    }

    #[test]
    fn a_full_disk_is_named_and_the_same_job_succeeds_once_there_is_room() {
        let folder = TempDir::new().expect("a folder");
        let database = open(&folder).expect("opens");
        let limit = |pages: i64| {
            move |connection: &Connection| -> Result<(), StoreError> {
                Ok(connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?)
            }
        };
        let many = |connection: &Connection| (0..10_000).try_for_each(|value| insert(value)(connection));
        database.write(limit(1)).wait().expect("the limit is set");
        assert_eq!(database.write(many).wait(), Err(StoreError::Full));
        assert!(numbers(&database).is_empty());
        database.write(limit(1_000)).wait().expect("the limit is lifted");
        assert_eq!(database.write(many).wait(), Ok(()));
    }

    #[test]
    fn a_second_process_on_the_same_file_is_told_who_holds_it() {
        let folder = TempDir::new().expect("a folder");
        let database = open(&folder).expect("opens");
        let refused = open(&folder).expect_err("in use").to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(database);
        open(&folder).expect("opens once the first has closed");
    }

    #[test]
    fn what_was_answered_is_there_after_reopening() {
        let folder = TempDir::new().expect("a folder");
        open(&folder).expect("opens").write(insert(5)).wait().expect("stored");
        assert_eq!(numbers(&open(&folder).expect("opens again")), [5]);
    }

    #[test]
    fn a_job_that_panics_stops_the_store_and_leaves_nobody_waiting() {
        let folder = TempDir::new().expect("a folder");
        let database = open(&folder).expect("opens");
        let broken = database.write(|_| -> Result<(), StoreError> { panic!("a defect") });
        assert_eq!(broken.wait(), Err(StoreError::Stopped));
        assert_eq!(database.write(insert(1)).wait(), Err(StoreError::Stopped));
    }
}
