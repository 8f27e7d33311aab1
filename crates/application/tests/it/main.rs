//! The application service against a platform that only speaks the API, with faults on demand.

mod approving;
mod platform;
mod policies;
mod recovering;
mod registering;
mod service;
mod together;
