//! How the members of groups stand.

use bugle_core::platform::{Sleeper, Standing};

use super::*;

fn standing(store: &PlatformStore, of: &[&str]) -> Option<Standing> {
    store.standing(&application(), groups(of)).wait().expect("read")
}

pub(super) fn members_stand_as_on_record(store: &PlatformStore) {
    add_gateway(store, "gw1");
    up(store, "gw1", 1, ["m1", "m2", "m3", "m4"].map(|name| allocated(name, &["east"])).to_vec());
    assert_eq!(standing(store, &["east"]), Some(Standing::default()));
    assert_eq!(standing(store, &["west"]), None);
    up(store, "gw1", 5, vec![present("m1", 1, Presence::Active)]);
    assert_eq!(standing(store, &["east"]), Some(Standing { active: 1, sleepers: Vec::new() }));
    let (asleep, woken) = (Presence::Standby { next_wake: Some(NOW) }, Presence::Activating { next_wake: Some(NOW) });
    up(store, "gw1", 6, vec![present("m2", 1, asleep), present("m3", 1, woken)]);
    let sleeper = |name, presence| Sleeper {
        gateway: gateway("gw1"),
        peripheral: peripheral(name),
        presence,
        wakes: Some(Wakes::WhenWoken),
        labels: [("floor".to_owned(), "3".to_owned())].into(),
    };
    let sleepers = vec![sleeper("m2", asleep), sleeper("m3", woken)];
    assert_eq!(standing(store, &["east"]), Some(Standing { active: 1, sleepers }));
}

/// What wakes a member is what its gateway has told last; one that does not tell leaves it open.
pub(super) fn what_wakes_a_member_is_on_record(store: &PlatformStore) {
    add_gateway(store, "gw1");
    let notice = |wakes| {
        let UpEntry::Allocated(notice) = allocated("m1", &["east"]) else { panic!("an allocation") };
        UpEntry::Allocated(AllocationNotice { wakes, ..notice })
    };
    let on_record = || {
        let row = store.peripheral((gateway("gw1"), peripheral("m1"))).wait().expect("read").expect("known");
        let sleepers = standing(store, &["east"]).expect("known").sleepers;
        assert_eq!(sleepers.iter().map(|sleeper| sleeper.wakes).collect::<Vec<_>>(), [row.wakes]);
        row.wakes
    };
    up(store, "gw1", 1, vec![notice(None), present("m1", 1, Presence::Standby { next_wake: None })]);
    assert_eq!(on_record(), None);
    for (sequence, wakes) in (3..).zip([Some(Wakes::WhenWoken), Some(Wakes::ByItself), None]) {
        up(store, "gw1", sequence, vec![notice(wakes)]);
        assert_eq!(on_record(), wakes);
    }
}

pub(super) fn a_member_of_several_groups_stands_once(store: &PlatformStore) {
    add_gateway(store, "gw1");
    up(store, "gw1", 1, vec![allocated("m1", &["east", "all"]), allocated("m2", &["all"])]);
    for name in ["m1", "m2"] {
        let UpEntry::PresenceChanged { application, mut changed } = present(name, 1, Presence::Active) else {
            panic!("a change of presence");
        };
        changed.groups = if name == "m1" { groups(&["east", "all"]) } else { groups(&["all"]) };
        let next = if name == "m1" { 3 } else { 4 };
        up(store, "gw1", next, vec![UpEntry::PresenceChanged { application, changed }]);
    }
    let both = Standing { active: 2, sleepers: Vec::new() };
    assert_eq!(standing(store, &["east", "all", "west"]), Some(both));
}
