//! The client against servers that answer as the tests have them.

mod calls;
mod following;
mod server;
