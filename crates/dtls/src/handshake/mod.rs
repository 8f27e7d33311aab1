//! Handshakes, of both sides.

mod client;
mod dialogue;
mod key_exchange;
mod reassembly;
mod server;

pub(crate) use client::{ClientContext, ClientHandshake, ClientProgress};
pub(crate) use server::{Context, Farewell, ServerHandshake, ServerProgress, Start};
