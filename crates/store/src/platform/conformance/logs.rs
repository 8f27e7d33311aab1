//! The event logs and the down logs.

use std::collections::BTreeSet;

use bugle_core::platform::{Direct, Direction};
use bugle_core::{DownEntry, EventKind, Report, StopCause, limits};

use super::*;

fn report(bytes: usize) -> UpEntry {
    let content = Content { content_type: String::new(), bytes: vec![b'x'; bytes] };
    let report = Report { peripheral: peripheral("m1"), name: "level".into(), content, at: NOW };
    UpEntry::Report { application: application(), report }
}

pub(super) fn events_are_numbered_from_one_without_gaps_for_each_application(store: &PlatformStore) {
    add_gateway(store, "gw1");
    let other: ApplicationId = "other".parse().expect("an application id");
    store.add_application(&other, NOW).wait().expect("stored");
    let lost = |application: &ApplicationId| UpEntry::ReportsLost { application: application.clone(), count: 1 };
    up(store, "gw1", 1, vec![allocated("m1", &["east"]), report(1), lost(&other), report(2)]);
    let numbers = |application: &ApplicationId, after| {
        let log = store.events(application, after, None, (9, usize::MAX)).wait().expect("read").expect("known");
        (log.events.into_iter().map(|(sequence, _)| sequence).collect::<Vec<_>>(), log.last, log.gone)
    };
    assert_eq!(numbers(&application(), None), (vec![1, 2], 2, 0));
    assert_eq!(numbers(&application(), Some(1)), (vec![2], 2, 0));
    assert_eq!(numbers(&application(), Some(7)), (vec![], 2, 0));
    assert_eq!(numbers(&other, None), (vec![1], 1, 0));
    assert!(matches!(events(store, 1).as_slice(), [Event::Report { .. }]));
    let unknown = "nobody".parse().expect("an application id");
    assert_eq!(store.events(&unknown, None, None, (9, usize::MAX)).wait(), Ok(None));
}

pub(super) fn events_of_other_kinds_are_passed_over(store: &PlatformStore) {
    add_gateway(store, "gw1");
    let lost = |count| UpEntry::ReportsLost { application: application(), count };
    up(store, "gw1", 1, vec![allocated("m1", &["east"]), report(1), lost(1), lost(2), report(5_000), lost(3)]);
    let read = |after, kind, limit| {
        let kinds = Some(BTreeSet::from([kind]));
        let log = store.events(&application(), after, kinds, (limit, usize::MAX)).wait().expect("read").expect("known");
        assert!(log.events.iter().all(|(_, body)| body.contains(kind.as_str())), "{log:?}");
        (log.events.into_iter().map(|(sequence, _)| sequence).collect::<Vec<_>>(), log.through, log.last)
    };
    assert_eq!(read(None, EventKind::Report, 9), (vec![1, 4], 5, 5));
    assert_eq!(read(None, EventKind::Report, 1), (vec![1], 1, 5));
    assert_eq!(read(Some(1), EventKind::Report, 1), (vec![4], 4, 5));
    assert_eq!(read(Some(4), EventKind::Report, 9), (vec![], 5, 5));
    assert_eq!(read(Some(5), EventKind::Report, 9), (vec![], 5, 5));
    assert_eq!(read(None, EventKind::ReportsLost, 9), (vec![2, 3, 5], 5, 5));
    assert_eq!(read(None, EventKind::RequestCompleted, 9), (vec![], 5, 5));
}

pub(super) fn a_page_of_large_events_is_cut_short(store: &PlatformStore) {
    add_gateway(store, "gw1");
    let large = limits::PERIPHERAL_PAYLOAD_BYTES_MAX;
    let reports = (0..40).map(|_| report(large));
    up(store, "gw1", 1, std::iter::once(allocated("m1", &["east"])).chain(reports).collect());
    let read =
        |bytes_max| store.events(&application(), None, None, (1_000, bytes_max)).wait().expect("read").expect("known");
    let log = read(4 * large);
    assert!((1..=4).contains(&log.events.len()), "{}", log.events.len());
    assert_eq!(log.last, 40);
    assert_eq!(read(1).events.len(), 1, "one event however large it is");
}

pub(super) fn a_down_log_is_read_after_any_entry_and_goes_as_it_is_acknowledged(store: &PlatformStore) {
    add_gateway(store, "gw1");
    add_gateway(store, "gw2");
    up(store, "gw1", 1, vec![allocated("m1", &["east"])]);
    let id = perform(store, submission(1), NOW);
    for direction in [Direction::Standby, Direction::Block] {
        let direct = Direct { application: None, gateway: gateway("gw1"), peripheral: peripheral("m1"), direction };
        perform(store, direct, NOW);
    }
    let entries = store.down(&gateway("gw1"), 0, 9).wait().expect("read");
    let row = store.request(&application(), id).wait().expect("read").expect("there").row;
    let request = submission(1).submitted.into_request(id, row);
    let sent = [
        (1, DownEntry::Request(request)),
        (2, DownEntry::Standby { peripheral: peripheral("m1") }),
        (3, DownEntry::Block { peripheral: peripheral("m1") }),
    ];
    assert_eq!(entries, sent);
    assert_eq!(store.down(&gateway("gw1"), 1, 1).wait(), Ok(sent[1..2].to_vec()));
    store.acknowledge_down(&gateway("gw1"), 2).wait().expect("stored");
    store.acknowledge_down(&gateway("gw1"), 1).wait().expect("stored");
    assert_eq!(store.down(&gateway("gw1"), 0, 9).wait(), Ok(sent[2..].to_vec()));
    let logs = store.gateway(&gateway("gw1")).wait().expect("read").expect("there").logs;
    assert_eq!((logs.down_last, logs.down_acknowledged), (3, 2));
    assert_eq!(store.down(&gateway("gw2"), 0, 9).wait(), Ok(Vec::new()));
}

pub(super) fn a_request_that_is_no_longer_kept_leaves_no_gap_in_a_down_log(store: &PlatformStore) {
    add_gateway(store, "gw1");
    up(store, "gw1", 1, vec![allocated("m1", &["east"])]);
    let request = perform(store, submission(1), NOW);
    up(store, "gw1", 2, vec![members_fixed(request, &[])]);
    let later = NOW + limits::REQUEST_KEPT + Duration::from_secs(1);
    while store.forget(later).wait().expect("stored") {}
    assert_eq!(store.request(&application(), request).wait(), Ok(None));
    assert_eq!(
        store.down(&gateway("gw1"), 0, 9).wait(),
        Ok(vec![(1, DownEntry::Cancel { request, cause: StopCause::Cancelled })])
    );
}
