//! Sending wake-ups, beside the reactor.
//!
//! Each is sent as its allocation says, within the time that a try may take. That one was sent says
//! nothing yet: the peripheral is awake once it is heard, and the gateway's machine waits for that. What
//! could not be sent is told to the reactor, so that the next try need not wait for the time to pass.

mod coap;
mod http;
mod magic_packet;
mod placeholder;
mod program;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bugle_core::{GatewayId, Waker};
use bugle_edge::WakeCall;
use bugle_runtime::{Clock, Shutdown, tls};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::reactor::{Command, Commands};

/// Wake-ups that are being sent at once; the others wait.
const CALLS_MAX: usize = 64;

/// Why a wake-up could not be sent.
#[derive(Debug, Error)]
enum WakeError {
    /// The network does not let it out.
    #[error("it cannot be sent: {0}")]
    Network(#[from] io::Error),
    /// A name has no address.
    #[error("{0} has no address")]
    NoAddress(String),
    /// Nobody answered a CoAP request.
    #[error("no answer to the CoAP request: {0}")]
    Silent(String),
    /// A CoAP request was answered with an error.
    #[error("the CoAP request was answered with {0}")]
    Code(String),
    /// The HTTP call failed.
    #[error("the call failed: {0}")]
    Call(#[from] reqwest::Error),
    /// The HTTP call was answered with an error.
    #[error("the call was answered with {0}")]
    Status(u16),
    /// No folder is set aside for programs.
    #[error("no program is run: set programs in [wake] of the gateway's configuration")]
    NoPrograms,
    /// A program ended badly.
    #[error("the program ended with {0}")]
    Program(std::process::ExitStatus),
    /// It took longer than a try may take.
    #[error("it took longer than its time limit")]
    TimeLimit,
}

/// What it takes to send wake-ups.
#[derive(Debug)]
pub(crate) struct Wakers {
    gateway: GatewayId,
    programs: Option<PathBuf>,
    http: reqwest::Client,
    clock: Clock,
}

impl Wakers {
    /// Programs are those in the folder `programs`; none if there is none.
    ///
    /// # Errors
    /// If the system lacks what HTTP calls need.
    pub(crate) fn new(gateway: GatewayId, programs: Option<PathBuf>, clock: Clock) -> io::Result<Self> {
        tls::install_provider();
        // Where a call goes is said in the allocation, and nowhere else.
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
        Ok(Self { gateway, programs, http: http.map_err(io::Error::other)?, clock })
    }

    async fn send(&self, call: &WakeCall) -> Result<(), WakeError> {
        match &call.waker {
            // It wakes by itself.
            Waker::Window => Ok(()),
            Waker::WakeOnLan { mac, broadcast, .. } => magic_packet::send(mac, *broadcast).await,
            Waker::Coap { uri, .. } => coap::send(uri, &call.peripheral, self.clock).await,
            Waker::Http { url, method, headers, body, .. } => {
                http::send(&self.http, (*method, url), headers, body, &call.peripheral).await
            }
            Waker::Exec { program, arguments, .. } => {
                let folder = self.programs.as_deref().ok_or(WakeError::NoPrograms)?;
                program::run(&folder.join(program), arguments, &self.gateway, call).await
            }
        }
    }

    async fn send_in_time(&self, call: &WakeCall) -> Result<(), WakeError> {
        let Some(effort) = call.waker.effort() else { return Ok(()) };
        tokio::time::timeout(effort.time_limit, self.send(call)).await.unwrap_or(Err(WakeError::TimeLimit))
    }
}

/// Sends wake-ups until the gateway stops.
pub(crate) async fn run(
    mut calls: mpsc::UnboundedReceiver<WakeCall>,
    wakers: Wakers,
    commands: Commands,
    shutdown: Shutdown,
) {
    let wakers = Arc::new(wakers);
    let mut sending = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            Some(_) = sending.join_next() => {}
            call = calls.recv(), if sending.len() < CALLS_MAX => {
                let Some(call) = call else { return };
                let (wakers, commands) = (Arc::clone(&wakers), commands.clone());
                sending.spawn(async move {
                    let WakeCall { slot, request, wake_up, ref peripheral, tries, .. } = call;
                    let request = request.map(tracing::field::display);
                    match wakers.send_in_time(&call).await {
                        Ok(()) => tracing::debug!(%peripheral, request, tries, "a wake-up is sent"),
                        Err(error) => {
                            tracing::warn!(%peripheral, request, tries, %error, "a wake-up could not be sent");
                            commands.send(Command::WakeFailed { slot, wake_up });
                        }
                    }
                });
            }
        }
    }
}
