//! The layout check: dependencies run one way.
//!
//! Every crate of the workspace has a level in [`CRATES`], and depends only on crates of lower
//! levels. Pure crates, moreover, know no clock, socket, thread, runtime or randomness, so they do not
//! depend on crates that bring them. What only tests need is exempt.

use crate::workspace::{Kind, Workspace};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purity {
    /// Knows no clock, socket, thread, runtime or randomness.
    Pure,
    /// Touches the world.
    Io,
}

use Purity::{Io, Pure};

/// Every crate of the workspace, its level and whether it is pure.
const CRATES: &[(&str, u8, Purity)] = &[
    ("bugle-core", 0, Pure),
    ("bugle-mqtt", 1, Pure),
    ("bugle-coap", 1, Pure),
    ("bugle-dtls", 1, Pure),
    ("bugle-lwm2m", 1, Pure),
    ("bugle-wire", 1, Pure),
    ("bugle-api", 1, Pure),
    ("bugle-edge", 2, Pure),
    ("bugle-sim", 3, Pure),
    ("bugle-store", 4, Io),
    ("bugle-runtime", 4, Io),
    ("bugle-client", 5, Io),
    ("bugle-gateway", 6, Io),
    ("bugle-platform", 6, Io),
    ("bugle-application", 6, Io),
    ("bugle-load", 6, Io),
    ("bugle", 7, Io),
    ("xtask", 8, Io),
];

/// What a pure crate does not depend on, and what that would bring into it.
const IMPURE: &[(&str, &str)] = &[
    ("async-nats", "sockets"),
    ("async-std", "an async runtime"),
    ("axum", "sockets"),
    ("chrono", "a clock"),
    ("crossbeam-channel", "threads"),
    ("fastrand", "randomness"),
    ("getrandom", "randomness"),
    ("hyper", "sockets"),
    ("hyper-util", "sockets"),
    ("jiff", "a clock"),
    ("libc", "the operating system"),
    ("mio", "sockets"),
    ("nix", "the operating system"),
    ("notify", "files"),
    ("quinn-udp", "sockets"),
    ("rand", "randomness"),
    ("rayon", "threads"),
    ("reqwest", "sockets"),
    ("rusqlite", "files"),
    ("rustix", "the operating system"),
    ("smol", "an async runtime"),
    ("socket2", "sockets"),
    ("tempfile", "files"),
    ("tokio", "an async runtime"),
    ("tokio-postgres", "sockets"),
    ("tonic", "sockets"),
    ("ureq", "sockets"),
];

/// Everything about the workspace that breaks the layout, one sentence each.
pub(crate) fn faults(workspace: &Workspace) -> Vec<String> {
    let mut faults = Vec::new();
    for package in &workspace.packages {
        let Some((level, purity)) = place_of(&package.name) else {
            faults.push(format!("crate {} has no level: give it one in xtask/src/layout.rs", package.name));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.kind != Kind::Dev) {
            if let Some((below, _)) = place_of(&dependency.name)
                && below >= level
            {
                faults.push(format!(
                    "crate {} (level {level}) must not depend on {} (level {below}): only on crates of lower levels",
                    package.name, dependency.name
                ));
            }
            if purity == Pure
                && dependency.kind == Kind::Normal
                && let Some((_, brings)) = IMPURE.iter().find(|(name, _)| *name == dependency.name)
            {
                faults.push(format!(
                    "crate {} is pure and must not depend on {}: it brings {brings}",
                    package.name, dependency.name
                ));
            }
        }
    }
    faults
}

fn place_of(name: &str) -> Option<(u8, Purity)> {
    CRATES.iter().find(|(known, ..)| *known == name).map(|(_, level, purity)| (*level, *purity))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::workspace::{Dependency, Package};

    fn faults_of(name: &str, dependencies: &[(&str, Kind)]) -> Vec<String> {
        let dependencies =
            dependencies.iter().map(|(name, kind)| Dependency { name: (*name).into(), kind: *kind }).collect();
        let packages = vec![Package { name: name.into(), dependencies }];
        faults(&Workspace { packages, root: PathBuf::new(), target: PathBuf::new() })
    }

    #[test]
    fn a_crate_may_depend_on_lower_levels() {
        let dependencies = [("bugle-core", Kind::Normal), ("bugle-mqtt", Kind::Normal), ("serde", Kind::Normal)];
        assert_eq!(faults_of("bugle-edge", &dependencies), Vec::<String>::new());
    }

    #[test]
    fn a_dependency_upwards_or_sideways_is_a_fault() {
        assert_eq!(
            faults_of("bugle-core", &[("bugle-edge", Kind::Normal)]),
            ["crate bugle-core (level 0) must not depend on bugle-edge (level 2): only on crates of lower levels"]
        );
        assert_eq!(faults_of("bugle-gateway", &[("bugle-platform", Kind::Normal)]).len(), 1);
        assert_eq!(faults_of("bugle-gateway", &[("bugle-platform", Kind::Build)]).len(), 1);
    }

    #[test]
    fn tests_may_depend_on_anything() {
        assert_eq!(faults_of("bugle-core", &[("bugle-edge", Kind::Dev), ("tokio", Kind::Dev)]).len(), 0);
    }

    #[test]
    fn a_pure_crate_depends_on_nothing_that_touches_the_world() {
        assert_eq!(
            faults_of("bugle-mqtt", &[("tokio", Kind::Normal)]),
            ["crate bugle-mqtt is pure and must not depend on tokio: it brings an async runtime"]
        );
        assert_eq!(faults_of("bugle-store", &[("rusqlite", Kind::Normal)]).len(), 0);
    }

    #[test]
    fn a_crate_without_a_level_is_a_fault() {
        assert_eq!(
            faults_of("bugle-extra", &[]),
            ["crate bugle-extra has no level: give it one in xtask/src/layout.rs"]
        );
    }
}
