//! What a failing store is answered with.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::IntoResponse;
use bugle_runtime::{Authority, Clock, Shutdown};
use bugle_store::platform::PlatformStore;
use bugle_store::sqlite::StoreError;
use tower::ServiceExt;

use super::error::ApiError;
use crate::Platform;

#[test]
fn a_failing_disk_is_no_defect_and_says_when_to_come_back() {
    for (error, status, retry) in [
        (StoreError::Busy, StatusCode::TOO_MANY_REQUESTS, true),
        (StoreError::Full, StatusCode::SERVICE_UNAVAILABLE, true),
        (StoreError::Io("gone".into()), StatusCode::SERVICE_UNAVAILABLE, true),
        (StoreError::Stopped, StatusCode::SERVICE_UNAVAILABLE, true),
        (StoreError::Corrupt("page 7".into()), StatusCode::INTERNAL_SERVER_ERROR, false),
        (StoreError::Statement("no such table".into()), StatusCode::INTERNAL_SERVER_ERROR, false),
    ] {
        let response = ApiError::from(error).into_response();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers().contains_key(header::RETRY_AFTER), retry);
    }
}

#[tokio::test]
async fn when_too_much_waits_to_be_stored_one_more_is_told_to_come_back() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("platform.db");
    let store = PlatformStore::open(&path).expect("opens");
    let clock = Clock::start();
    let authority = Authority::create(clock.now()).expect("an authority");
    let platform = Platform::new(store, clock, Shutdown::manual(), authority, "localhost:1".into());
    let router = super::router(platform.clone());
    let ready = || router.clone().oneshot(Request::get("/readyz").body(Body::empty()).expect("a request"));
    assert_eq!(ready().await.expect("an answer").status(), StatusCode::NO_CONTENT);

    // Somebody else holds the file, so that the store cannot write and its queue fills.
    let holder = bugle_store::sqlite::Connection::open(&path).expect("opens");
    holder.execute_batch("BEGIN IMMEDIATE").expect("holds");
    let mut waiting = Vec::new();
    let refused = loop {
        waiting.push(tokio::spawn(ready()));
        assert!(waiting.len() < 10_000, "the queue is not bounded");
        tokio::task::yield_now().await;
        if let Some(done) = waiting.pop_if(|answer| answer.is_finished()) {
            break done.await;
        }
    };
    let refused = refused.expect("no panic").expect("an answer");
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    holder.execute_batch("ROLLBACK").expect("lets go");
    for answer in waiting {
        let status = answer.await.expect("no panic").expect("an answer").status();
        assert!(status == StatusCode::NO_CONTENT || status == StatusCode::TOO_MANY_REQUESTS, "{status}");
    }
    assert_eq!(ready().await.expect("an answer").status(), StatusCode::NO_CONTENT);
}
