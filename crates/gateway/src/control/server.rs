//! The gateway's end of its socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bugle_core::gateway::Slot;
use bugle_runtime::{DataFolder, Shutdown};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::{LINE_BYTES_MAX, Order, Reply, SOCKET_FILE};
use crate::reactor::{Command, Commands};

/// Command lines that are served at once; one more waits.
const CONNECTIONS_MAX: usize = 16;
/// How long one may take to say something, and the longest that what it directs may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most allocations in one reply.
const SHOWN_MAX: usize = 1_000;

/// The socket, open.
#[derive(Debug)]
pub(crate) struct ControlListener {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlListener {
    /// Opens it in a data folder that is held, in place of one that a gateway before has left.
    pub(crate) fn open(folder: &DataFolder) -> Result<Self, (PathBuf, io::Error)> {
        let path = folder.file(SOCKET_FILE);
        let open = || {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&path)?;
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        match open() {
            Ok(listener) => Ok(Self { listener, path }),
            Err(error) => Err((path, error)),
        }
    }

    /// Serves until shutdown is requested.
    pub(crate) async fn serve(self, commands: Commands, shutdown: Shutdown) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let serve = async {
            loop {
                let place = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
                match self.listener.accept().await {
                    Ok((stream, _)) => {
                        let commands = commands.clone();
                        tokio::spawn(async move {
                            let _place = place;
                            if let Err(error) = converse(stream, &commands).await {
                                tracing::debug!(%error, "a command line broke off");
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "no command line can be served now");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            }
        };
        tokio::select! {
            () = serve => {}
            () = shutdown.requested() => {}
        }
        // Left behind it would be refused as that of a gateway that does not run, which is as clear.
        let _ = fs::remove_file(&self.path);
    }
}

/// Answers one line after the other.
async fn converse(stream: UnixStream, commands: &Commands) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = String::new();
        let read = async { (&mut reader).take(LINE_BYTES_MAX).read_line(&mut line).await };
        if timeout(PATIENCE, read).await?? == 0 {
            return Ok(());
        }
        let reply = match serde_json::from_str(&line) {
            Ok(order) => timeout(PATIENCE, carry_out(order, commands)).await?,
            Err(error) => Reply::Refused { reason: format!("this gateway does not understand that: {error}") },
        };
        let mut bytes = serde_json::to_vec(&reply)?;
        bytes.push(b'\n');
        writer.write_all(&bytes).await?;
    }
}

async fn carry_out(order: Order, commands: &Commands) -> Reply {
    let stopping = || Reply::Refused { reason: "the gateway is stopping".to_owned() };
    match order {
        Order::Direct(direction) => {
            tracing::info!(peripheral = %direction.peripheral(), what = direction.word(), "directed at the command line");
            let (directed, done) = oneshot::channel();
            commands.send(Command::Direct { direction, directed });
            match done.await {
                Ok(Ok(())) => Reply::Done,
                Ok(Err(refusal)) => Reply::Refused { reason: refusal.to_string() },
                Err(_) => stopping(),
            }
        }
        Order::Show { after, limit } => {
            let (shown, allocations) = oneshot::channel();
            let after = after.map(Slot::new);
            commands.send(Command::Show { after, limit: limit.min(SHOWN_MAX), shown });
            let Ok(allocations) = allocations.await else { return stopping() };
            let last = allocations.last().map(|(slot, _)| slot.number());
            Reply::Shown { allocations: allocations.into_iter().map(|(_, shown)| shown).collect(), last }
        }
    }
}
