//! A program of the operator's that wakes peripherals.
//!
//! It is run without a shell, with nothing in its environment but what it must know, and is ended when
//! its time is over.

use std::path::Path;
use std::process::Stdio;

use bugle_core::GatewayId;
use bugle_edge::WakeCall;
use tokio::process::Command;

use super::WakeError;
use super::placeholder::fill;

pub(super) async fn run(
    program: &Path,
    arguments: &[String],
    gateway: &GatewayId,
    call: &WakeCall,
) -> Result<(), WakeError> {
    let status = Command::new(program)
        .args(arguments.iter().map(|argument| fill(argument, &call.peripheral)))
        .env_clear()
        .env("BUGLE_GATEWAY", gateway.as_str())
        .env("BUGLE_PERIPHERAL", call.peripheral.as_str())
        .env("BUGLE_TRY", call.tries.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await?;
    if status.success() { Ok(()) } else { Err(WakeError::Program(status)) }
}
