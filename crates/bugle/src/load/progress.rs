//! Measuring, while somebody watches how far it is.

use std::error::Error;
use std::io::{self, IsTerminal};
use std::thread;

use anyhow::Context;
use bugle_load::measure::Watch;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::oneshot;

use crate::failure::Failure;
use crate::output::Output;

/// Measures on a thread of its own, for measuring blocks. If nobody waits for it any more, the thread ends
/// with the process.
pub(crate) async fn measure<T: Send + 'static, E: Error + Send + Sync + 'static>(
    output: Output,
    measure: impl FnOnce(&Watch) -> Result<T, E> + Send + 'static,
) -> Result<T, Failure> {
    let bar = progress_bar(output);
    let (sender, receiver) = oneshot::channel();
    let shown = bar.clone();
    let measuring = move || {
        let watch = move |what: &str, done: usize, of: usize| {
            shown.set_length(of as u64);
            shown.set_position(done as u64);
            shown.set_message(what.to_owned());
        };
        // Whoever does not want to wait longer does not want the result.
        let _ = sender.send(measure(&watch));
    };
    thread::Builder::new().name("measuring".into()).spawn(measuring).context("the measuring thread")?;
    let measured = receiver.await;
    bar.finish_and_clear();
    Ok(measured.context("the measurement was broken off")?.map_err(anyhow::Error::new)?)
}

fn progress_bar(output: Output) -> ProgressBar {
    let target = match output {
        Output::People if io::stderr().is_terminal() => ProgressDrawTarget::stderr(),
        Output::People | Output::Json => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(Some(0), target);
    let style = ProgressStyle::with_template("[{bar:32}] {pos}/{len} {msg}").expect("the template is sound");
    bar.set_style(style.progress_chars("=> "));
    bar
}
