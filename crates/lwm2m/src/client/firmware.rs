//! The firmware update of a device (LwM2M 1.1 core, E.6): a package is pushed to it, and installed when
//! a server says so.

use super::settings::{FIRMWARE_PACKAGE, FIRMWARE_RESULT, FIRMWARE_STATE, FIRMWARE_VERSION};
use super::tree::Tree;
use crate::codec::Record;
use crate::{Code, Value};

const IDLE: Value = Value::Integer(0);
const DOWNLOADED: Value = Value::Integer(2);
const UPDATING: Value = Value::Integer(3);
const INITIAL: Value = Value::Integer(0);
const SUCCESS: Value = Value::Integer(1);

/// Takes a package that was written; an empty one takes it back.
pub(super) fn handle_written(tree: &mut Tree, written: &[Record]) {
    let Some(package) = written.iter().find(|record| record.path == FIRMWARE_PACKAGE) else { return };
    let is_empty = matches!(&package.value, Value::Opaque(bytes) if bytes.is_empty());
    tree.set(FIRMWARE_STATE, if is_empty { IDLE } else { DOWNLOADED });
    tree.set(FIRMWARE_RESULT, INITIAL);
}

/// Whether there is a package to install.
pub(super) fn may_install(tree: &Tree) -> Result<(), Code> {
    if tree.value(&FIRMWARE_STATE) == Some(&DOWNLOADED) { Ok(()) } else { Err(Code::METHOD_NOT_ALLOWED) }
}

/// Begins to install.
pub(super) fn begin(tree: &mut Tree) {
    tree.set(FIRMWARE_STATE, UPDATING);
}

/// Has installed: the version is the next one, and the package is gone.
pub(super) fn finish(tree: &mut Tree) {
    let version = match tree.value(&FIRMWARE_VERSION) {
        Some(Value::String(version)) => version.parse().unwrap_or(0_u32).saturating_add(1),
        _ => 1,
    };
    tree.set(FIRMWARE_VERSION, Value::String(version.to_string()));
    tree.set(FIRMWARE_PACKAGE, Value::Opaque(Vec::new()));
    tree.set(FIRMWARE_STATE, IDLE);
    tree.set(FIRMWARE_RESULT, SUCCESS);
}
