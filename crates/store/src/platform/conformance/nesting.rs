//! Groups that lie in groups.

use bugle_core::platform::{Close, Closed, GroupCount, Nest, NestRefusal, Unnest};
use bugle_core::{DownEntry, limits};

use super::*;
use crate::platform::{Belonging, MemberCursor, MembersShown, PeripheralFilter};

fn nest(store: &PlatformStore, pairs: &[(&str, &str)]) {
    for (outer, inner) in pairs {
        perform(store, Nest { application: application(), outer: group(outer), inner: group(inner) }, NOW);
    }
}

/// `m1` in `east` and `all`, `m2` in `west`, all registered, and `site` around them.
fn world(store: &PlatformStore) {
    add_gateway(store, "gw1");
    up(store, "gw1", 1, vec![allocated("m1", &["east", "all"]), allocated("m2", &["west"])]);
    for (sequence, name, of) in [(3, "m1", &["east", "all"][..]), (4, "m2", &["west"][..])] {
        let UpEntry::PresenceChanged { application, mut changed } = present(name, 1, Presence::Active) else {
            panic!("a change of presence");
        };
        changed.groups = groups(of);
        up(store, "gw1", sequence, vec![UpEntry::PresenceChanged { application, changed }]);
    }
    nest(store, &[("site", "building"), ("building", "east"), ("site", "all"), ("site", "west")]);
}

pub(super) fn a_group_is_shown_with_what_lies_in_it_and_around_it(store: &PlatformStore) {
    world(store);
    let nesting = |name| store.nesting(&application(), &group(name)).wait().expect("read");
    let site = nesting("site");
    assert_eq!(site.inside, ["all", "building", "west"].map(group));
    let whole = GroupCount { allocated: 2, members: 2, active: 2 };
    assert_eq!((site.around, site.contained, site.whole), (Vec::new(), 4, whole));
    assert_eq!((nesting("east").around, nesting("east").contained), (vec![group("building")], 0));
    let listed = store.groups(&application(), 0, 10).wait().expect("read");
    let listed: BTreeSet<_> = listed.into_iter().map(|(_, (id, _))| id).collect();
    assert_eq!(listed, groups(&["all", "building", "east", "site", "west"]));
    perform(store, Unnest { application: application(), outer: group("building"), inner: group("east") }, NOW);
    assert_eq!((nesting("site").contained, nesting("building").inside), (3, Vec::new()));
}

pub(super) fn members_of_a_group_that_contains_groups_are_listed_once(store: &PlatformStore) {
    world(store);
    let list = |after| -> Vec<(i64, String)> {
        let filter = PeripheralFilter::default();
        let page = store.peripherals_of_group(&application(), &group("site"), Belonging::Member, filter, after, 1);
        page.wait().expect("read").into_iter().map(|(number, ((_, name), _))| (number, name.to_string())).collect()
    };
    let first = list(0);
    let second = list(first[0].0);
    assert_eq!((first[0].1.as_str(), second[0].1.as_str()), ("m1", "m2"));
    assert_eq!(list(second[0].0), []);
    let standing = store.standing(&application(), groups(&["site"])).wait().expect("read").expect("known");
    assert_eq!((standing.active, standing.sleepers.len()), (2, 0));
}

pub(super) fn a_request_keeps_what_its_group_contained(store: &PlatformStore) {
    world(store);
    let mut submit = submission(1);
    submit.submitted.group = group("site");
    let id = perform(store, submit, NOW);
    perform(store, Unnest { application: application(), outer: group("building"), inner: group("east") }, NOW);
    let contained = groups(&["all", "building", "east", "west"]);
    let down = store.down(&gateway("gw1"), 0, 10).wait().expect("read");
    let [(1, DownEntry::Request(request))] = &down[..] else { panic!("a request") };
    assert_eq!(request.contained, contained);
    let record = store.request(&application(), id).wait().expect("read").expect("there");
    assert_eq!((record.row.contained, record.accepted), (contained, 2));
    let due = NOW + Duration::from_secs(60) + limits::DEADLINE_GRACE;
    let mut after = None;
    while let Closed::Partly { after: next } = perform(store, Close { request: id, after: after.take() }, due) {
        after = next;
    }
    let members = store.members(id, MembersShown::All, MemberCursor::default(), 10).wait().expect("read");
    let names: Vec<_> = members.into_iter().map(|(_, (_, name, _))| name).collect();
    assert_eq!(names, ["m1", "m2"].map(peripheral), "the one in two groups once");
}

pub(super) fn a_circle_of_groups_is_refused(store: &PlatformStore) {
    world(store);
    let circle = Nest { application: application(), outer: group("east"), inner: group("site") };
    let refused = store.perform(circle, NOW).wait();
    let Err(Failure::Refused(NestRefusal::Circle(path))) = refused else { panic!("a circle") };
    assert_eq!(path.to_string(), "east > site > building > east");
}
