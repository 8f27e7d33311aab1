//! The registration interface (LwM2M 1.1 core, 6.2): what clients say when they come, stay and go.

mod binding;
mod described;
mod kept;
mod objects;
mod parameters;
mod register;
mod update;

pub use binding::{Binding, BindingError, Transport};
pub use kept::Registration;
pub use objects::{Models, Object, ObjectVersion, Objects};
pub use register::{Register, RegistrationError};
pub use update::Update;

/// The first part of the path that clients register at (LwM2M 1.1 transport, 6.4.3).
pub const RESOURCE: &str = "rd";
