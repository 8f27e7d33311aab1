//! One gateway in virtual time: real MQTT bytes, a store in memory, and a platform played by hand.

mod devices;
mod lwm2m;
mod membership;
mod requests;
mod restarts;
mod secured;
mod world;
