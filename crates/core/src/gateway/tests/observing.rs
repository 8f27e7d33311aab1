//! Observing values of peripherals.

use std::collections::BTreeSet;

use super::world::{World, allocation, peripheral};
use crate::gateway::Effect;
use crate::{DownEntry, ResourcePath, UpEntry, limits};

fn path(text: &str) -> ResourcePath {
    text.parse().expect("a path")
}

#[test]
fn a_wish_stays_until_it_is_taken_back_or_the_allocation_is_removed() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    let slot = world.slot("p");
    for text in ["/3303/0/5700", "/3/0/9", "/3/0/9"] {
        world.down(DownEntry::Observe { peripheral: peripheral("p"), path: path(text) });
    }
    world.crash();
    assert_eq!(world.gateway.observed(slot), BTreeSet::from([path("/3/0/9"), path("/3303/0/5700")]));
    world.down(DownEntry::ObserveNoMore { peripheral: peripheral("p"), path: path("/3/0/9") });
    assert!(world.effects.contains(&Effect::ObserveNoMore { slot, path: path("/3/0/9") }));
    world.crash();
    assert_eq!(world.gateway.observed(slot), BTreeSet::from([path("/3303/0/5700")]));
    assert!(world.gateway.handle_allocations(world.now, Vec::new()).is_empty());
    world.run();
    world.crash();
    assert_eq!(world.gateway.observed(slot), BTreeSet::new());
}

#[test]
fn one_wish_too_many_is_told_as_a_problem() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    for number in 0..=limits::OBSERVED_PER_PERIPHERAL_MAX {
        world.down(DownEntry::Observe { peripheral: peripheral("p"), path: path(&format!("/3303/{number}")) });
    }
    let problems = world.up().into_iter().filter(|entry| {
        matches!(entry, UpEntry::Report { report, .. } if report.content.content_type == "application/problem+json")
    });
    assert_eq!(problems.count(), 1);
}
