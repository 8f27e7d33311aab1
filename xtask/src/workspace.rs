//! What cargo says of the workspace.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// The workspace as `cargo metadata` describes it, without the dependencies' own dependencies.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    /// Its members.
    pub(crate) packages: Vec<Package>,
    /// Where it is.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// Where whatever is built or installed for it goes.
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
}

/// A crate of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// What it depends on directly.
    pub(crate) dependencies: Vec<Dependency>,
}

/// A direct dependency.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    /// The name of the crate depended on.
    pub(crate) name: String,
    /// For what it is needed.
    #[serde(default, deserialize_with = "kind_or_normal")]
    pub(crate) kind: Kind,
}

/// For what a dependency is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The crate itself.
    #[default]
    Normal,
    /// Its build script.
    Build,
    /// Its tests and examples.
    Dev,
}

/// Cargo writes null for the normal kind.
fn kind_or_normal<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
    Option::<Kind>::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Workspace {
    /// Asks cargo for the workspace that this program was built from.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let output = Command::new("cargo")
            .args(["metadata", "--format-version=1", "--no-deps"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .context("cannot start cargo")?;
        ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("cannot read what cargo metadata printed")
    }

    /// The Python of the tests' own virtual environment.
    pub(crate) fn python(&self) -> PathBuf {
        self.venv().join("bin/python")
    }

    /// The tests' own virtual environment.
    pub(crate) fn venv(&self) -> PathBuf {
        self.target.join("xtask/venv")
    }

    /// The tests' own packages for Node are installed in this folder.
    pub(crate) fn node(&self) -> PathBuf {
        self.target.join("xtask/node")
    }

    /// Where tools are installed that the machine has not.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("xtask/tools")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_metadata_is_read_with_and_without_a_kind() {
        let json = r#"{"workspace_root":"/w","target_directory":"/w/target","packages":[{"name":"a","dependencies":[
            {"name":"b","kind":null},{"name":"c","kind":"dev"},{"name":"d","kind":"build"}]}]}"#;
        let workspace: Workspace = serde_json::from_str(json).expect("metadata");
        let kinds: Vec<Kind> = workspace.packages[0].dependencies.iter().map(|dependency| dependency.kind).collect();
        assert_eq!(kinds, [Kind::Normal, Kind::Dev, Kind::Build]);
    }
}
