//! Installs what the tests need and the machine has not: four tables, and a clear sentence where
//! something cannot be had.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::step::{command, has_program, run};
use crate::tally::Tally;
use crate::workspace::Workspace;

/// A Debian package, and how to tell that it is there.
struct DebianPackage {
    name: &'static str,
    shows: Shows,
}

/// How a package shows that it is there.
enum Shows {
    /// By a program of this name.
    Program(&'static str),
    /// By Python finding this module.
    PythonModule(&'static str),
    /// By this file.
    File(&'static str),
}

/// Servers and clients by other people that the tests talk to, and what the fuzzer's runtime is
/// built with.
const DEBIAN_PACKAGES: &[DebianPackage] = &[
    DebianPackage { name: "g++", shows: Shows::Program("c++") },
    DebianPackage { name: "libcoap3-bin", shows: Shows::Program("coap-client-gnutls") },
    DebianPackage { name: "libmbedtls-dev", shows: Shows::File("/usr/include/mbedtls/ssl.h") },
    DebianPackage { name: "mosquitto", shows: Shows::Program("mosquitto") },
    DebianPackage { name: "mosquitto-clients", shows: Shows::Program("mosquitto_sub") },
    DebianPackage { name: "nodejs", shows: Shows::Program("node") },
    DebianPackage { name: "npm", shows: Shows::Program("npm") },
    DebianPackage { name: "openssl", shows: Shows::Program("openssl") },
    DebianPackage { name: "python3", shows: Shows::Program("python3") },
    DebianPackage { name: "python3-venv", shows: Shows::PythonModule("ensurepip") },
];

/// What the tests' Python finds, beside its own library.
const PYTHON_PACKAGES: &[&str] = &["aiocoap==0.4.17", "paho-mqtt==2.2.0"];

/// What the tests' scripts for Node find. They name some that others bring along, so that those stay as they are.
const NODE_PACKAGES: &[&str] = &["coap-node@0.2.5", "logops@2.1.2", "lwm2m-node-lib@1.4.0", "smartobject@1.5.3"];

/// A tool of cargo's, built from source where the machine has not got it.
struct CargoTool {
    name: &'static str,
    version: &'static str,
}

/// Half a minute to build.
const FUZZER: CargoTool = CargoTool { name: "cargo-fuzz", version: "0.13.2" };
/// Three minutes to build, once.
const LICENCE_CHECK: CargoTool = CargoTool { name: "cargo-deny", version: "0.20.2" };

/// What a run from a clean clone writes at the least, below `target` and into the folders of tests.
const RUN_KIB: u64 = 6 << 20;

/// Stands in for `policy-rc.d` while packages are installed, and says that no service is to be started.
const NO_SERVICES: &str = "/usr/sbin/policy-rc.d";

/// Room on the disk for what the run is going to write. A linker that finds none says "bus error", and that late.
pub(crate) fn disk(workspace: &Workspace) -> anyhow::Result<Tally> {
    let last_number = |program: &str, arguments: &[&str], path: &Path| {
        let output = command(workspace, program).args(arguments).arg(path).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        text.lines().last()?.split_whitespace().next()?.parse::<u64>().ok()
    };
    let free =
        last_number("df", &["-k", "--output=avail"], &workspace.target).context("df does not say what is free")?;
    let written = last_number("du", &["-sk"], &workspace.target).unwrap_or_default();
    let needed = RUN_KIB.saturating_sub(written);
    ensure!(
        free >= needed,
        "a run writes another {} MiB at least, and only {} MiB are free where {} is: make room, or have \
         CARGO_TARGET_DIR name a folder on another disk",
        needed >> 10,
        free >> 10,
        workspace.target.display(),
    );
    println!("{} MiB are free", free >> 10);
    Ok(Tally::PASSED)
}

/// Debian's packages: those that are missing, with one `apt-get update`.
pub(crate) fn debian_packages(workspace: &Workspace) -> anyhow::Result<Tally> {
    let missing = missing_packages(workspace);
    if missing.is_empty() {
        println!("nothing is missing");
        return Ok(Tally::PASSED);
    }
    let names = missing.join(" ");
    ensure!(
        has_program(workspace, "apt-get"),
        "these Debian packages are missing, and there is no apt-get to install them with: {names}"
    );
    ensure!(is_root(), "these Debian packages are missing, and only root can install them: {names}");
    let policy = keep_services_down()?;
    let installed = apt_get(workspace, &["update"]).and_then(|()| {
        let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
        arguments.extend(&missing);
        apt_get(workspace, &arguments)
    });
    if policy == Policy::Ours {
        fs::remove_file(NO_SERVICES).with_context(|| format!("cannot remove {NO_SERVICES}"))?;
    }
    installed.with_context(|| format!("the tests need these Debian packages: {names}"))?;
    let missing = missing_packages(workspace);
    ensure!(missing.is_empty(), "apt-get installed everything, but this is still missing: {}", missing.join(" "));
    Ok(Tally::PASSED)
}

fn missing_packages(workspace: &Workspace) -> Vec<&'static str> {
    let is_missing = |package: &&DebianPackage| match package.shows {
        Shows::Program(program) => !has_program(workspace, program),
        Shows::File(path) => !Path::new(path).exists(),
        Shows::PythonModule(module) => {
            let import = format!("import {module}");
            let output = command(workspace, "python3").args(["-c", &import]).output();
            !output.is_ok_and(|output| output.status.success())
        }
    };
    DEBIAN_PACKAGES.iter().filter(is_missing).map(|package| package.name).collect()
}

fn apt_get(workspace: &Workspace, arguments: &[&str]) -> anyhow::Result<()> {
    run(command(workspace, "apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    /// The machine has one of its own, which stays.
    Theirs,
    /// We have written one, and remove it afterwards.
    Ours,
}

/// Installing Debian's mosquitto would otherwise start it on its standard port. The tests start their own.
fn keep_services_down() -> anyhow::Result<Policy> {
    if Path::new(NO_SERVICES).exists() {
        return Ok(Policy::Theirs);
    }
    let write = || {
        fs::write(NO_SERVICES, "#!/bin/sh\nexit 101\n")?;
        fs::set_permissions(NO_SERVICES, fs::Permissions::from_mode(0o755))
    };
    write().with_context(|| format!("cannot write {NO_SERVICES}"))?;
    Ok(Policy::Ours)
}

/// The tests' own virtual environment with other people's clients in Python.
pub(crate) fn python_packages(workspace: &Workspace) -> anyhow::Result<Tally> {
    let python = workspace.python();
    let marker = workspace.venv().join("installed");
    let wanted = PYTHON_PACKAGES.join("\n");
    if python.exists() && fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        println!("nothing is missing");
        return Ok(Tally::PASSED);
    }
    let needs = || format!("the tests need these Python packages: {}", PYTHON_PACKAGES.join(" "));
    run(command(workspace, "python3").args(["-m", "venv", "--clear"]).arg(workspace.venv())).with_context(needs)?;
    let Some(python) = python.to_str() else { bail!("the target directory's name is not UTF-8") };
    run(command(workspace, python).args(["-m", "pip", "install", "--quiet"]).args(PYTHON_PACKAGES))
        .with_context(needs)?;
    fs::write(&marker, wanted).with_context(|| format!("cannot write {}", marker.display()))?;
    Ok(Tally::PASSED)
}

/// The tests' own folder with other people's clients for Node. Nothing of theirs is run to install them.
pub(crate) fn node_packages(workspace: &Workspace) -> anyhow::Result<Tally> {
    let folder = workspace.node();
    let marker = folder.join("installed");
    let wanted = NODE_PACKAGES.join("\n");
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        println!("nothing is missing");
        return Ok(Tally::PASSED);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    run(command(workspace, "npm")
        .args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"])
        .arg("--prefix")
        .arg(&folder)
        .args(NODE_PACKAGES))
    .with_context(|| format!("the tests need these npm packages: {}", NODE_PACKAGES.join(" ")))?;
    fs::write(&marker, wanted).with_context(|| format!("cannot write {}", marker.display()))?;
    Ok(Tally::PASSED)
}

/// The fuzzer.
pub(crate) fn fuzzer(workspace: &Workspace) -> anyhow::Result<Tally> {
    cargo_tool(workspace, &FUZZER)
}

/// The check of what is linked in, and from where.
pub(crate) fn licence_check(workspace: &Workspace) -> anyhow::Result<Tally> {
    cargo_tool(workspace, &LICENCE_CHECK)
}

fn cargo_tool(workspace: &Workspace, tool: &CargoTool) -> anyhow::Result<Tally> {
    let CargoTool { name, version } = tool;
    if has_program(workspace, name) {
        println!("nothing is missing");
        return Ok(Tally::PASSED);
    }
    run(command(workspace, "cargo")
        .args(["install", "--locked", "--version", version, name, "--root"])
        .arg(workspace.tools()))
    .with_context(|| format!("{name} {version} is needed and cannot be installed"))?;
    Ok(Tally::PASSED)
}
