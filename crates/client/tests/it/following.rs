//! Following an event log across what breaks in between.

use std::time::{Duration, Instant};

use bugle_api::ProblemCode;
use bugle_client::{ClientError, Follower, UnreadEvent};
use bugle_core::{Event, EventKind};
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
    Ok(events.iter().map(UnreadEvent::sequence).collect())
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
async fn what_an_event_says_is_read_only_when_it_is_asked_for() {
    let maimed = "data: {\"sequence\":1,\"event\":\"reports_lost\",\"gateway\":\"gw\"}\n\n";
    let server = Server::start([events([maimed, TWO_THREE])]).await;
    let mut follower = follow(&server, None);
    let mut told = Vec::new();
    while told.len() < 3 {
        told.extend(timeout(PATIENCE, follower.next()).await.expect("in time").expect("their heads are understood"));
    }
    assert!(told.iter().all(|event| event.kind() == EventKind::ReportsLost));
    assert!(matches!(follower.read(&told[0]), Err(ClientError::Answer { .. })));
    let second = follower.read(&told[1]).expect("it is understood");
    assert_eq!(second.sequence, 2);
    assert!(matches!(second.event, Event::ReportsLost { count: 1, .. }));
}
