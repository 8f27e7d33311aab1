//! Tokens and enrolment.

use super::*;
use crate::platform::TokenRow;

fn token(application: Option<ApplicationId>) -> TokenRow {
    TokenRow {
        name: "ci".into(),
        scopes: vec!["groups:read".into(), "events:read".into()],
        application,
        created_at: NOW,
        expires_at: Some(NOW + Duration::from_secs(60)),
    }
}

pub(super) fn a_token_is_found_by_its_secret_alone_until_it_is_removed(store: &PlatformStore) {
    store.add_application(&application(), NOW).wait().expect("stored");
    let kept = token(Some(application()));
    let number = store.add_token([1; 32], kept.clone()).wait().expect("stored").expect("known");
    assert_eq!(store.token([1; 32]).wait(), Ok(Some(kept.clone())));
    assert_eq!(store.token([2; 32]).wait(), Ok(None));
    assert_eq!(store.tokens(0, 9).wait(), Ok(vec![(number, kept)]));
    assert_eq!(store.remove_token(number).wait(), Ok(true));
    assert_eq!(store.remove_token(number).wait(), Ok(false));
    assert_eq!(store.token([1; 32]).wait(), Ok(None));
}

pub(super) fn a_token_of_an_unknown_application_is_not_added(store: &PlatformStore) {
    assert_eq!(store.add_token([1; 32], token(Some(application()))).wait(), Ok(None));
    assert_eq!(store.tokens(0, 9).wait(), Ok(Vec::new()));
}

pub(super) fn an_enrolment_token_serves_once_and_the_latest_only(store: &PlatformStore) {
    let expires = NOW + Duration::from_secs(60);
    store.add_enrollment([1; 32], &gateway("gw1"), expires, NOW).wait().expect("stored");
    store.add_enrollment([2; 32], &gateway("gw1"), expires, NOW).wait().expect("stored");
    assert_eq!(store.enrollment([1; 32]).wait(), Ok(None));
    assert_eq!(store.enrollment([2; 32]).wait(), Ok(Some((gateway("gw1"), expires))));
    assert_eq!(store.enrol([2; 32], [7; 32]).wait(), Ok(true));
    assert_eq!(store.enrol([2; 32], [8; 32]).wait(), Ok(false));
    let record = store.gateway(&gateway("gw1")).wait().expect("read").expect("there");
    assert_eq!((record.certificate, record.last_seen), (Some([7; 32]), None));
    store.see_gateway(&gateway("gw1"), expires).wait().expect("stored");
    let gateways = store.gateways(0, 9).wait().expect("read");
    assert_eq!(gateways.len(), 1);
    assert_eq!(gateways[0].1.last_seen, Some(expires));
}
