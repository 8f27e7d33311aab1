//! Says `ready`, and `ending` when it is asked to end; then it would go on for ever. A second signal ends it at once.

use bugle_runtime::Shutdown;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let shutdown = Shutdown::on_signals()?;
    println!("ready");
    shutdown.requested().await;
    println!("ending");
    std::future::pending().await
}
