//! The real parts with their real stores, under load, while everything dies: and then the books are compared.
//!
//! 1. A platform, an application and two gateways run as processes of their own. Peripherals of every kind are
//!    registered at both gateways, some of them asleep most of the time ([`fleet`]).
//! 2. Group requests are submitted all the time over the HTTP API, and peripherals report ([`work`],
//!    [`witness`]).
//! 3. Meanwhile, as a seed draws it, each part is killed with `kill -9` and started again, the links are cut
//!    and stall, and the disk of one gateway is full ([`trouble`]).
//! 4. Everything is mended, and must come to rest.
//! 5. What was promised to peripherals, to whoever submitted and to the application is held against what they saw,
//!    and against the stores of all parts ([`audit`]).
//!
//! It takes a quarter of a minute of trouble by itself; `cargo xtask endurance` asks for ten minutes of it.

mod audit;
mod course;
mod fleet;
mod ledger;
mod proxy;
#[path = "../system/mod.rs"]
#[allow(dead_code, reason = "the other binaries need the rest")]
mod system;
mod trouble;
mod witness;
mod work;

use course::Course;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_comes_twice_whatever_dies() {
    let course = Course::asked_for();
    println!("{course}");
    let ledger = course.run().await;
    println!("{ledger}");
    assert!(ledger.is_balanced(), "{course}: something is lost, comes twice, or does not agree:\n{ledger}");
}
