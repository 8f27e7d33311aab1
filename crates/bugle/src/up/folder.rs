//! The data folder of `bugle up`: configuration files that a person may look at and edit, one folder
//! for each part, and what the command line needs to find the platform.
//!
//! A file that is there is left as it is, but for allocations: peripherals that are missing in it are
//! added at its end.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bugle_runtime::{DataFolder, config};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::town::{Resident, Speaks, Town};
use crate::connection::{CLIENT_FILE, ClientFile};
use crate::failure::Failure;

const PASSWORD_FILE: &str = "peripherals.password";
const POLICY_FILE: &str = "policy.toml";
const POLICY: &str = include_str!("../templates/up-policy.toml");

/// The data folder, ready for the parts.
#[derive(Debug)]
pub(crate) struct Folder {
    data: DataFolder,
    /// Without any link or relative part, so that the files serve from everywhere.
    path: PathBuf,
    password: String,
}

impl Folder {
    /// Writes what does not depend on ports.
    pub(crate) fn prepare(data: DataFolder, town: &Town) -> Result<Self, Failure> {
        let path = data.path().canonicalize().context("cannot find the data folder")?;
        let password = match data.read(PASSWORD_FILE).map_err(anyhow::Error::new)? {
            Some(password) => password.trim().to_owned(),
            None => {
                let secret = || getrandom::u64().map_err(|error| anyhow::anyhow!("no random numbers: {error}"));
                let password = format!("{:016x}{:016x}", secret()?, secret()?);
                write(&data, PASSWORD_FILE, &password)?;
                password
            }
        };
        let folder = Self { data, path, password };
        folder.write_once(POLICY_FILE, || POLICY.to_owned())?;
        for place in 0..town.gateways.len() {
            folder.write_allocations(town, place)?;
        }
        Ok(folder)
    }

    /// The folder as the person has named it.
    pub(crate) fn shown(&self) -> &Path {
        self.data.path()
    }

    /// The password of all simulated peripherals.
    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// Where a file or folder in it is, from everywhere.
    pub(crate) fn inner(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The policy of the application.
    pub(crate) fn policy(&self) -> PathBuf {
        self.inner(POLICY_FILE)
    }

    /// The name of the file of allocations of a gateway.
    pub(crate) fn allocations_name(town: &Town, place: usize) -> String {
        format!("allocations-{}.toml", town.gateways[place])
    }

    /// Loads a configuration file, which is made of `text` if it is not there.
    pub(crate) fn config<T: DeserializeOwned>(
        &self,
        name: &str,
        text: impl FnOnce() -> Result<String, Failure>,
    ) -> Result<T, Failure> {
        if self.read(name)?.is_none() {
            write(&self.data, name, &text()?)?;
        }
        // The environment speaks of parts that run alone.
        config::load_with(Some(&self.inner(name)), "", []).map_err(|error| Failure::Usage(error.to_string()))
    }

    /// What a file holds, if it is there.
    pub(crate) fn read(&self, name: &str) -> Result<Option<String>, Failure> {
        Ok(self.data.read(name).map_err(anyhow::Error::new)?)
    }

    /// Puts a secret into a file.
    pub(crate) fn write_secret(&self, name: &str, secret: &str) -> Result<(), Failure> {
        write(&self.data, name, secret)
    }

    /// Tells the command line where the platform is.
    pub(crate) fn write_client_file(&self, client: &ClientFile) -> Result<(), Failure> {
        let text = toml::to_string(client).context("the connection cannot be written")?;
        write(&self.data, CLIENT_FILE, &format!("# Where `bugle up` runs; written each time it starts.\n{text}"))
    }

    fn write_once(&self, name: &str, text: impl FnOnce() -> String) -> Result<(), Failure> {
        match self.read(name)? {
            Some(_) => Ok(()),
            None => write(&self.data, name, &text()),
        }
    }

    fn write_allocations(&self, town: &Town, place: usize) -> Result<(), Failure> {
        let name = Self::allocations_name(town, place);
        let there = self.read(&name)?;
        let known = there.as_deref().map(peripherals_of).transpose()?.unwrap_or_default();
        let mut text = there.unwrap_or_else(|| head(town, place, &self.password));
        let before = text.len();
        for resident in town.peripherals.iter().filter(|resident| resident.gateway == place) {
            if !known.contains(resident.id.as_str()) {
                append(&mut text, town, resident, &self.password);
            }
        }
        if known.is_empty() || text.len() > before { write(&self.data, &name, &text) } else { Ok(()) }
    }
}

fn write(data: &DataFolder, name: &str, text: &str) -> Result<(), Failure> {
    Ok(data.write(name, text.as_bytes()).map_err(anyhow::Error::new)?)
}

/// What is needed of a file of allocations here; the gateway reads all of it.
#[derive(Deserialize)]
struct AllocationFile {
    #[serde(default, rename = "peripheral")]
    peripherals: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

fn peripherals_of(text: &str) -> Result<BTreeSet<String>, Failure> {
    let file: AllocationFile =
        toml::from_str(text).map_err(|error| Failure::Usage(format!("a file of allocations is damaged: {error}")))?;
    Ok(file.peripherals.into_iter().map(|named| named.id).collect())
}

fn head(town: &Town, place: usize, password: &str) -> String {
    format!(
        "# The allocations of gateway {}: who belongs to which groups. Edit it while `bugle up` runs:\n\
         # the gateway reads it again. `bugle config allocations` explains everything that may stand here.\n\n\
         [defaults]\napplication = \"{}\"\npassword = \"{password}\"\n",
        town.gateways[place], town.application
    )
}

fn append(text: &mut String, town: &Town, resident: &Resident, password: &str) {
    let Resident { id, kind, speaks, .. } = resident;
    let [own, street] = town.groups(*kind);
    let _ = write!(text, "\n[[peripheral]]\nid = \"{id}\"\ngroups = [\"{own}\", \"{street}\"]\n");
    if *speaks == Speaks::Lwm2m {
        // The password is hexadecimal, and serves as a key as well.
        let _ = writeln!(text, "pre_shared_key = \"{password}\"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepare(path: &Path, peripherals: u32) -> Folder {
        Folder::prepare(DataFolder::open(path).expect("a folder"), &Town::new(peripherals)).expect("prepared")
    }

    #[test]
    fn what_a_person_has_edited_stays_and_what_is_missing_is_added() {
        let outer = tempfile::tempdir().expect("a folder");
        let password = prepare(outer.path(), 6).password().to_owned();
        let file = outer.path().join("allocations-east.toml");
        let edited = std::fs::read_to_string(&file).expect("there") + "\n# mine\n";
        std::fs::write(&file, &edited).expect("written");
        std::fs::write(outer.path().join(POLICY_FILE), "# mine\n").expect("written");
        let again = prepare(outer.path(), 10);
        assert_eq!(again.password(), password);
        let now = std::fs::read_to_string(&file).expect("there");
        assert!(now.starts_with(&edited) && now.len() > edited.len());
        assert!(peripherals_of(&now).expect("sound").contains("lamp-05"));
        assert_eq!(again.read(POLICY_FILE).expect("readable").as_deref(), Some("# mine\n"));
    }
}
