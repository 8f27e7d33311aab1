//! The whole system in real processes, with other people's clients as peripherals.
//!
//! `cargo xtask test` installs what these tests need; without it they fail and say so.

mod aiocoap;
mod asking;
mod coap_node;
mod groups;
mod kills;
mod libcoap;
mod load;
mod lwm2m_node;
mod mosquitto;
mod openssl;
mod paho;
mod rough;
mod script;
#[path = "../system/mod.rs"]
#[allow(dead_code, reason = "the other binary needs the rest")]
mod system;
mod tls;
