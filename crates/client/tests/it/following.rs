//! Following an event log across what breaks in between.

use std::time::{Duration, Instant};

use bugle_api::{EventKinds, ProblemCode};
use bugle_client::{ClientError, Follower};
use bugle_core::EventKind;
use tokio::time::timeout;

use crate::server::{Server, events, problem};

const PATIENCE: Duration = Duration::from_secs(30);

const ONE: &str = "id: 1\ndata: {\"sequence\":1,\"event\":\"reports_lost\",\"gateway\":\"gw\",\"count\":1}\n\n";
const TWO_THREE: &str = "data: {\"sequence\":2,\"event\":\"reports_lost\",\"gateway\":\"gw\",\"count\":1}\n\n\
                         : a sign of life\n\n\
                         data: {\"sequence\":3,\"event\":\"reports_lost\",\"gateway\":\"gw\",\"count\":1}\n\n";
const HALF_OF_TWO: &str = "data: {\"sequence\":2,\"event\":\"repo";

fn follow(server: &Server, after: Option<u64>) -> Follower {
    server.client().follow(&"metering".parse().expect("an application id"), after)
}

async fn next(follower: &mut Follower) -> Result<Vec<u64>, ClientError> {
    let events = timeout(PATIENCE, follower.next()).await.expect("in time")?;
    Ok(events.iter().map(|event| event.sequence).collect())
}

fn paths(server: &Server) -> Vec<String> {
    server.calls().into_iter().map(|call| call.path).collect()
}

#[tokio::test]
async fn a_stream_that_breaks_goes_on_after_the_last_event_that_was_given_out() {
    let server = Server::start([events([ONE, HALF_OF_TWO]), events([TWO_THREE])]).await;
    let mut follower = follow(&server, None);
    assert_eq!(next(&mut follower).await, Ok(vec![1]));
    assert_eq!(follower.after(), Some(1));
    assert_eq!(next(&mut follower).await, Ok(vec![2, 3]));
    assert_eq!(paths(&server), ["/v1/applications/metering/events", "/v1/applications/metering/events?after=1"]);
    assert_eq!(server.calls()[0].header("accept"), Some("text/event-stream"));
}

#[tokio::test]
async fn a_platform_that_cannot_answer_for_now_is_asked_again_when_it_says() {
    let server = Server::start([problem(ProblemCode::Overloaded, "too much"), events([ONE])]).await;
    let asked = Instant::now();
    assert_eq!(next(&mut follow(&server, Some(0))).await, Ok(vec![1]));
    assert!(asked.elapsed() >= Duration::from_secs(1), "it is asked when it said to be asked");
    assert_eq!(paths(&server), ["/v1/applications/metering/events?after=0"; 2]);
}

#[tokio::test]
async fn events_that_are_no_longer_kept_are_the_callers_to_deal_with() {
    let server = Server::start([problem(ProblemCode::EventsGone, "from 900 on")]).await;
    let gone = next(&mut follow(&server, Some(5))).await.expect_err("they are gone");
    assert_eq!(gone.status(), Some(410));
    assert_eq!(paths(&server).len(), 1);
}

#[tokio::test]
async fn an_event_that_is_not_understood_is_told_and_not_passed_over() {
    let server = Server::start([events(["data: {\"sequence\":1,\"event\":\"novel\"}\n\n"]), events([ONE])]).await;
    let mut follower = follow(&server, None);
    assert!(matches!(next(&mut follower).await, Err(ClientError::Answer { .. })));
    assert_eq!(follower.after(), None);
    assert_eq!(next(&mut follower).await, Ok(vec![1]));
}

#[tokio::test]
async fn what_the_platform_passes_over_is_not_asked_for_again() {
    let server = Server::start([events(["id: 7\n\n"]), events(["retry: 5\nid: 9\n\n", ": alive\n\n"])]).await;
    let kinds = EventKinds::that(|kind| kind == EventKind::Receipts).expect("a kind");
    let mut follower = follow(&server, Some(3)).of_kinds(kinds);
    assert_eq!(next(&mut follower).await, Ok(vec![]));
    assert_eq!(follower.after(), Some(7));
    assert_eq!(next(&mut follower).await, Ok(vec![]));
    assert_eq!(follower.after(), Some(9));
    let events = "/v1/applications/metering/events";
    assert_eq!(paths(&server), [3, 7].map(|after| format!("{events}?after={after}&kinds=receipts")));
}
