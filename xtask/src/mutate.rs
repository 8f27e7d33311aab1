//! Shows that the simulation finds what it is there to find: breaks a promise in a copy of the code, one
//! at a time, and demands that a seed shows it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::mutations::{MUTATIONS, Mutation};
use crate::step::command;
use crate::workspace::Workspace;

/// Within so many seeds a broken promise must show.
const SEEDS: &str = "100";
/// What the copy is made of.
const PARTS: &[&str] = &["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "crates", "xtask", ".cargo"];

/// What became of a mutation.
enum Verdict {
    /// This seed, and what it broke.
    Found(String),
    NotFound,
}

/// Tries all mutations whose description contains `word`, and prints what became of each.
pub(crate) fn run(workspace: &Workspace, word: &str) -> anyhow::Result<()> {
    let copy = Copy::of(workspace)?;
    let unmutated = copy.simulate(workspace)?;
    if let Verdict::Found(found) = unmutated {
        bail!("the code breaks a promise as it is: {found}");
    }
    let mut missed = 0;
    for mutation in MUTATIONS.iter().filter(|mutation| mutation.what.contains(word)) {
        let Mutation { what, .. } = mutation;
        match copy.with(mutation, || copy.simulate(workspace))? {
            Verdict::Found(found) => println!("{what:<66} {found}"),
            Verdict::NotFound => {
                missed += 1;
                println!("{what:<66} NOT FOUND in {SEEDS} seeds");
            }
        }
    }
    ensure!(missed == 0, "{missed} mutations are not found");
    Ok(())
}

/// A copy of the workspace that may be broken.
struct Copy {
    root: PathBuf,
}

impl Copy {
    /// Files that are the same keep their times, so that nothing is built twice.
    fn of(workspace: &Workspace) -> anyhow::Result<Self> {
        let root = workspace.target.join("xtask/mutate");
        fs::create_dir_all(&root)?;
        for part in PARTS.iter().map(Path::new) {
            if workspace.root.join(part).exists() {
                copy(&workspace.root.join(part), &root.join(part))?;
            }
        }
        Ok(Self { root })
    }

    /// Does something with the mutation in place.
    fn with<T>(&self, mutation: &Mutation, act: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let Mutation { what, file, from, to } = mutation;
        let path = self.root.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
        ensure!(text.matches(from).count() == 1, "{what}: {file} does not hold, once: {from}");
        fs::write(&path, text.replace(from, to))?;
        let done = act();
        fs::write(&path, text)?;
        done
    }

    /// Builds the simulation and runs it until a promise is broken.
    fn simulate(&self, workspace: &Workspace) -> anyhow::Result<Verdict> {
        let mut build = self.cargo(workspace, "build");
        let built = build.stderr(Stdio::piped()).output().context("cannot start cargo")?;
        ensure!(built.status.success(), "it does not build:\n{}", String::from_utf8_lossy(&built.stderr));
        let mut run = self.cargo(workspace, "run");
        let ran = run.args(["--", "--find", SEEDS]).output().context("cannot start the simulation")?;
        let (told, cried) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        if ran.status.success() {
            return Ok(Verdict::NotFound);
        }
        // A machine that panics has found out by itself.
        let found = told.lines().last().or_else(|| cried.lines().find(|line| line.contains("panicked")));
        let found = found.unwrap_or("it died").chars().take(120).collect();
        Ok(Verdict::Found(found))
    }

    /// Its target folder is its own: cargo would take what is built of the copy for what is built of the workspace.
    fn cargo(&self, workspace: &Workspace, what: &str) -> Command {
        let mut cargo = command(workspace, "cargo");
        cargo.args([what, "--quiet", "--profile", "simulation", "--package", "bugle-sim", "--target-dir"]);
        cargo.arg(self.root.join("target")).current_dir(&self.root);
        cargo
    }
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else if fs::read(from)? != fs::read(to).unwrap_or_default() {
        fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}
