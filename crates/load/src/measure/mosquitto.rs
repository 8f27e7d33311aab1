//! A stock mosquitto on a free loopback port, for as long as it is held.

use std::env;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use thiserror::Error;

/// How long a mosquitto may take until it listens.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// How often somebody else may take the port first.
const PORTS_TRIED: usize = 3;

/// A running mosquitto. Dropping it ends it.
#[derive(Debug)]
pub struct Mosquitto {
    process: Child,
    address: SocketAddr,
    /// Holds its configuration.
    _folder: TempDir,
}

/// Why there is no mosquitto. The fault is of the system.
#[derive(Debug, Error)]
pub enum MosquittoError {
    /// It is not installed.
    #[error("mosquitto is not installed: `cargo xtask test` installs it, and so does `apt-get install mosquitto`")]
    Missing,
    /// It cannot be started.
    #[error("cannot start mosquitto: {0}")]
    Start(#[from] io::Error),
    /// It was started, but does not listen.
    #[error("mosquitto does not listen on {0}")]
    Silent(SocketAddr),
}

impl Mosquitto {
    /// Starts one that takes anybody, with everything else as it comes. It may open as many files as this
    /// process may.
    ///
    /// # Errors
    /// If it is not installed, cannot be started, or does not listen.
    pub fn start() -> Result<Self, MosquittoError> {
        let program = find_program().ok_or(MosquittoError::Missing)?;
        let mut tried = 1;
        loop {
            match Self::start_once(&program) {
                Err(MosquittoError::Silent(_)) if tried < PORTS_TRIED => tried += 1,
                result => return result,
            }
        }
    }

    fn start_once(program: &PathBuf) -> Result<Self, MosquittoError> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let folder = tempfile::tempdir()?;
        let configuration = folder.path().join("mosquitto.conf");
        let port = address.port();
        fs::write(&configuration, format!("listener {port} 127.0.0.1\nallow_anonymous true\nlog_dest none\n"))?;
        let process = Command::new(program)
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut mosquitto = Self { process, address, _folder: folder };
        if mosquitto.listens_in_time()? { Ok(mosquitto) } else { Err(MosquittoError::Silent(address)) }
    }

    fn listens_in_time(&mut self) -> io::Result<bool> {
        let until = Instant::now() + START_PATIENCE;
        while Instant::now() < until && self.process.try_wait()?.is_none() {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(true);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Debian keeps servers where not every user looks.
fn find_program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("mosquitto")).find(|program| program.is_file())
}
