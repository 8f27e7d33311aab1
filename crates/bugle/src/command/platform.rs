//! `bugle platform`: runs the platform.

use clap::Args;

use crate::failure::{Ended, Failure};
use crate::part::{PartArgs, shutdown_on_signals};

/// Run the platform: it connects gateways with applications, durably
///
/// Settings are overridden by variables as BUGLE_PLATFORM__HTTP_LISTEN=127.0.0.1:9000. At its first
/// start it puts an operator's token into operator.token of its data folder.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  bugle config platform > platform.toml
  bugle platform --config platform.toml")]
pub(crate) struct PlatformArgs {
    #[command(flatten)]
    part: PartArgs,
}

impl PlatformArgs {
    pub(crate) async fn run(self) -> Result<Ended, Failure> {
        let config = self.part.prepare("platform")?;
        let platform = bugle_platform::start(config, shutdown_on_signals()?).await?;
        platform.ended().await;
        Ok(Ended::Well)
    }
}
