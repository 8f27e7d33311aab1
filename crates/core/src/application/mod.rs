//! The application: it decides who may register, and holds the group configurations.
//!
//! [`GroupConfigurations`] takes the events of the event log, asks an [`Authorizer`] about each new
//! registration, and says what changes durably, the answers for the gateways among it. [`Policy`] is
//! an authorizer that works by rules.
//!
//! Whoever drives it commits the changes of a batch of events together with the cursor, and sends the
//! answers only then:
//!
//! ```
//! use bugle_core::application::{Authorizer, Change, GroupConfigurations};
//! use bugle_core::{Event, Time};
//!
//! fn on_batch(
//!     configurations: &mut GroupConfigurations,
//!     authorizer: &impl Authorizer,
//!     now: Time,
//!     events: &[(u64, Event)],
//!     mut commit: impl FnMut(u64, &[Change]),
//!     mut send: impl FnMut(&Change),
//! ) {
//!     let mut changes = Vec::new();
//!     for (sequence, event) in events {
//!         configurations.handle_event(now, *sequence, event, authorizer, &mut changes);
//!     }
//!     commit(configurations.cursor(), &changes);
//!     changes.iter().filter(|change| matches!(change, Change::Answered(_))).for_each(&mut send);
//! }
//! ```

mod approval;
mod asking;
mod authorizer;
mod change;
mod configuration;
mod pattern;
mod policy;
mod rebuild;
mod registration;
#[cfg(test)]
mod tests;
mod token;

pub use approval::NothingAsked;
pub use authorizer::{Authorizer, Decision, RegistrationQuestion};
pub use change::{Change, Recorded};
pub use configuration::{GroupConfiguration, GroupConfigurations};
pub use pattern::Patterns;
pub use policy::{ApprovalMode, CertificateRules, Policy, PolicyError, PolicyRules, RequiredEvidence, Rule};
pub use registration::{Answer, Approval, ApprovalState, Member, Registration, Standing};
pub use token::{PublicKey, PublicKeyError, TokenError};
