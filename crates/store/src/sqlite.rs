//! One SQLite file: one thread that writes, a few that read, and commits shared by whoever waits.
//!
//! A [`Database`] takes *jobs*: closures over a connection. Jobs that write queue up for one thread,
//! which runs as many as are waiting in one transaction, each in a savepoint of its own, commits
//! (one `fsync` for all of them) and only then answers. So an answer of `Ok` means "on disk", and a
//! job that fails takes back its own changes and nobody else's. Jobs that read run beside that, each
//! in a read transaction, and see only what is committed.
//!
//! What a file holds is told by its [`Layout`]: an application id that marks whose file it is, and
//! the migrations that lead from an empty file to the present tables.

mod checker;
mod copy;
mod database;
mod error;
mod job;
mod layout;
mod lock;
mod measures;
mod write_ahead;

pub use copy::{copy, look_through};
pub use database::{Answer, Database};
pub use error::{OpenError, StoreError};
pub use layout::Layout;
pub use measures::Measures;
pub use rusqlite::blob::Blob;
pub use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};
