//! The command line's end of the socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bugle_core::gateway::{Allocated, Direction};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::{Order, Reply, SOCKET_FILE};

/// How long the gateway may take. It takes longer only while its store takes nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// Speaks to the gateway that runs in a data folder.
#[derive(Debug)]
pub struct Control {
    stream: BufReader<UnixStream>,
}

/// Why the gateway did not do what it was told.
#[derive(Debug, Error)]
pub enum ControlError {
    /// None runs there.
    #[error("no gateway runs in {folder}: nobody listens at its {SOCKET_FILE}")]
    NotRunning {
        /// The data folder.
        folder: PathBuf,
    },
    /// Only the user that the gateway runs as may speak to it.
    #[error("{path}: {source}; only the user that the gateway runs as may speak to it")]
    Forbidden {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It says no.
    #[error("{0}")]
    Refused(String),
    /// It has not answered.
    #[error("the gateway has not answered within {} s; it does what it was told once its store takes it", PATIENCE.as_secs())]
    Slow,
    /// The conversation broke off. Whether it has done what it was told is not known.
    #[error("the gateway broke off: {0}")]
    Broken(#[from] io::Error),
}

impl Control {
    /// Reaches the gateway that runs in this data folder.
    ///
    /// # Errors
    /// If none runs there, or this user may not speak to it.
    pub async fn connect(data_folder: &Path) -> Result<Self, ControlError> {
        let path = data_folder.join(SOCKET_FILE);
        match UnixStream::connect(&path).await {
            Ok(stream) => Ok(Self { stream: BufReader::new(stream) }),
            Err(source) => match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    Err(ControlError::NotRunning { folder: data_folder.to_owned() })
                }
                io::ErrorKind::PermissionDenied => Err(ControlError::Forbidden { path, source }),
                _ => Err(source.into()),
            },
        }
    }

    /// Has the gateway do this, and returns when it is on disk.
    ///
    /// # Errors
    /// If it is refused, or the gateway is gone.
    pub async fn direct(&mut self, direction: Direction) -> Result<(), ControlError> {
        match self.ask(&Order::Direct(direction)).await? {
            Reply::Done => Ok(()),
            reply => Err(not_expected(reply)),
        }
    }

    /// Allocations, at most so many.
    ///
    /// # Errors
    /// If the gateway is gone.
    pub async fn allocations(&mut self, limit: usize) -> Result<Vec<Allocated>, ControlError> {
        let mut all = Vec::new();
        let mut after = None;
        while all.len() < limit {
            match self.ask(&Order::Show { after, limit: limit - all.len() }).await? {
                Reply::Shown { allocations, last: Some(last) } => {
                    all.extend(allocations);
                    after = Some(last);
                }
                Reply::Shown { last: None, .. } => break,
                reply => return Err(not_expected(reply)),
            }
        }
        Ok(all)
    }

    async fn ask(&mut self, order: &Order) -> Result<Reply, ControlError> {
        let mut bytes = serde_json::to_vec(order).map_err(io::Error::from)?;
        bytes.push(b'\n');
        let conversation = async {
            self.stream.get_mut().write_all(&bytes).await?;
            let mut line = String::new();
            match self.stream.read_line(&mut line).await? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(serde_json::from_str(&line)?),
            }
        };
        match tokio::time::timeout(PATIENCE, conversation).await {
            Ok(reply) => reply.map_err(ControlError::Broken),
            Err(_) => Err(ControlError::Slow),
        }
    }
}

fn not_expected(reply: Reply) -> ControlError {
    match reply {
        Reply::Refused { reason } => ControlError::Refused(reason),
        Reply::Done | Reply::Shown { .. } => ControlError::Broken(io::ErrorKind::InvalidData.into()),
    }
}
