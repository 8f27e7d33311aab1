//! Sets up and runs every check of the project.

fn main() -> anyhow::Result<()> {
    anyhow::bail!("usage: cargo xtask test | check")
}
