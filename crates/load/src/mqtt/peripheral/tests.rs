//! One peripheral against a server that is played by hand, in virtual time.

use bugle_core::{Content, PeripheralId, RequestId};

use super::*;
use crate::mqtt::behaviour::{Announcing, Reconnecting, Reporting, Sleeping};
use crate::mqtt::packet::{Dup, ToPublish};

const READ: &str = r#"{"request":"01M8QZ4T7B0XK","do":"read","path":"/3/0/2"}"#;

/// A peripheral, the time, and what it has wanted so far.
struct Played {
    machine: SimulatedPeripheral,
    now: Time,
    sent: Vec<ToServer>,
    happened: Vec<Happening>,
    opens: usize,
    closes: usize,
}

impl Played {
    fn new(behaviour: Behaviour) -> Self {
        let peripheral = Peripheral {
            id: PeripheralId::new("m1").expect("a peripheral id"),
            server: ([127, 0, 0, 1], 1883).into(),
            credentials: None,
            behaviour: Arc::new(behaviour),
        };
        let machine = SimulatedPeripheral::new(Time::ZERO, peripheral, Numbers::new(1, 0));
        let mut played = Self { machine, now: Time::ZERO, sent: vec![], happened: vec![], opens: 0, closes: 0 };
        played.pass(Duration::ZERO);
        played
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Open => self.opens += 1,
                Output::Close => self.closes += 1,
                Output::Send(packet) => self.sent.push(packet),
                Output::Happened(happening) => self.happened.push(happening),
            }
        }
    }

    /// Lets time pass, from timeout to timeout.
    fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(at) = self.machine.next_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.machine.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn packet(&mut self, packet: FromServer) {
        self.machine.handle_packet(self.now, packet);
        self.drain();
    }

    fn command(&mut self, command: Command) {
        self.machine.handle_command(self.now, command);
        self.drain();
        self.pass(Duration::ZERO);
    }

    fn opened(&mut self) {
        self.machine.handle_opened(self.now);
        self.drain();
    }

    fn connected(&mut self, session: Session) {
        self.opened();
        self.packet(FromServer::Connected { session, keep_alive: None, receive_max: u16::MAX });
    }

    /// Takes the peripheral to where it is active, and forgets how it got there.
    fn active(behaviour: Behaviour) -> Self {
        let mut played = Self::new(behaviour);
        played.connected(Session::New);
        played.subscribed();
        played.sent.clear();
        played.happened.clear();
        played
    }

    fn subscribed(&mut self) {
        let Some(ToServer::Subscribe { id, .. }) = self.sent.last() else { panic!("no SUBSCRIBE: {:?}", self.sent) };
        let id = *id;
        self.packet(FromServer::Subscribed { id });
    }

    fn message(&mut self, payload: &'static str) {
        self.marked_message(Dup::First, payload);
    }

    fn marked_message(&mut self, dup: Dup, payload: &'static str) {
        self.packet(FromServer::Message(Message {
            id: NonZeroU16::new(7),
            dup,
            payload: payload.into(),
            response_topic: Some("answers".into()),
            correlation: Some("c".into()),
        }));
    }

    fn published(&self) -> Vec<&ToPublish> {
        let publishes = self.sent.iter().filter_map(|packet| match packet {
            ToServer::Publish(publish) => Some(publish),
            _ => None,
        });
        publishes.collect()
    }

    /// The server takes everything that was published, once.
    fn take_published(&mut self) {
        for id in self.published().iter().map(|publish| publish.id).collect::<Vec<_>>() {
            self.packet(FromServer::Acknowledged { id, code: 0 });
        }
    }
}

fn steady() -> Behaviour {
    Behaviour::steady(Version::Mqtt5)
}

fn request() -> RequestId {
    "01M8QZ4T7B0XK".parse().expect("a request id")
}

#[test]
fn it_connects_subscribes_to_its_requests_and_is_active() {
    let mut played = Played::new(steady());
    assert_eq!(played.opens, 1);
    played.opened();
    assert!(matches!(&played.sent[..], [ToServer::Connect(connect)] if connect.client_id == "m1"));
    played.packet(FromServer::Connected { session: Session::New, keep_alive: None, receive_max: 20 });
    assert!(matches!(&played.sent[1], ToServer::Subscribe { topic, .. } if topic == "bugle/m1/requests"));
    played.subscribed();
    assert_eq!(played.happened, [Happening::Connected { session: Session::New }, Happening::Subscribed]);
}

#[test]
fn a_subscription_that_the_server_remembers_is_not_made_again() {
    let mut played = Played::active(steady());
    played.machine.handle_closed(played.now, None);
    played.pass(Duration::from_secs(2));
    played.sent.clear();
    played.connected(Session::Resumed);
    assert!(matches!(played.sent[..], [ToServer::Connect(_)]));
    played.machine.handle_closed(played.now, None);
    played.pass(Duration::from_secs(2));
    played.sent.clear();
    played.connected(Session::New);
    assert!(matches!(played.sent[..], [ToServer::Connect(_), ToServer::Subscribe { .. }]));
}

#[test]
fn a_request_is_acknowledged_at_once_and_answered_when_it_is_done() {
    let mut played = Played::active(steady());
    played.message(READ);
    assert!(matches!(played.sent[..], [ToServer::Acknowledge { .. }]));
    assert_eq!(
        played.happened,
        [Happening::Received { request: Some(request()), delivery: Delivery::First }, Happening::Acknowledged]
    );
    played.pass(Duration::from_millis(100));
    let [answer] = played.published()[..] else { panic!("one answer: {:?}", played.sent) };
    assert_eq!((answer.topic.as_ref(), &answer.payload[..]), ("answers", &b"m1"[..]));
    assert_eq!(answer.correlation.as_deref(), Some(&b"c"[..]));
    played.take_published();
    assert_eq!(played.happened.last(), Some(&Happening::Answered { request: request() }));
}

#[test]
fn a_request_that_comes_again_is_not_done_again_but_answered_as_before() {
    let mut played = Played::active(steady());
    let write = r#"{"request":"01M8QZ4T7B0XK","do":"write","path":"/3/0/0","content":{"text":"x"}}"#;
    for dup in [Dup::First, Dup::Again] {
        played.marked_message(dup, write);
        played.pass(Duration::from_millis(100));
        played.take_published();
    }
    let [first, second] = played.published()[..] else { panic!("two answers: {:?}", played.sent) };
    assert_eq!((&first.payload, &first.property), (&second.payload, &second.property));
    let received = |delivery| Happening::Received { request: Some(request()), delivery };
    assert!(played.happened.contains(&received(Delivery::First)));
    assert!(played.happened.contains(&received(Delivery::Again)));
}

#[test]
fn a_request_that_comes_again_as_if_it_were_new_is_told_from_a_retransmission() {
    let mut played = Played::active(steady());
    played.message(READ);
    played.message(READ);
    let again = Happening::Received { request: Some(request()), delivery: Delivery::AskedAgain };
    assert!(played.happened.contains(&again));
}

#[test]
fn a_request_that_comes_again_while_its_answer_is_under_way_is_answered_once() {
    let mut played = Played::active(steady());
    played.message(READ);
    played.message(READ);
    played.pass(Duration::from_millis(100));
    played.message(READ);
    assert_eq!(played.published().len(), 1);
}

#[test]
fn one_that_refuses_says_why() {
    let mut played = Played::active(Behaviour { answering: Answering::Refusing("not today".into()), ..steady() });
    played.message(READ);
    let [answer] = played.published()[..] else { panic!("one answer: {:?}", played.sent) };
    assert_eq!(answer.property, Some(("bugle-refused".into(), "not today".into())));
}

#[test]
fn a_subscriber_acknowledges_and_no_more() {
    let mut played = Played::active(Behaviour::subscriber(Version::Mqtt5, Subscription::Topic("t".into())));
    played.message("anything");
    played.message(READ);
    played.pass(Duration::from_secs(10));
    assert!(matches!(played.sent[..], [ToServer::Acknowledge { .. }, ToServer::Acknowledge { .. }]));
}

#[test]
fn an_answer_that_the_server_has_not_taken_goes_out_again_after_a_break() {
    let mut played = Played::active(steady());
    played.message(READ);
    played.pass(Duration::from_millis(100));
    let first = played.published()[0].clone();
    played.machine.handle_closed(played.now, Some("reset".into()));
    played.pass(Duration::from_secs(2));
    played.sent.clear();
    played.connected(Session::Resumed);
    assert_eq!(played.published(), [&ToPublish { dup: Dup::Again, ..first }]);
}

#[test]
fn it_shows_that_it_is_still_there_before_the_keep_alive_has_passed() {
    let mut played = Played::active(steady());
    played.pass(Duration::from_secs(29));
    assert_eq!(played.sent, [ToServer::Ping]);
    played.packet(FromServer::Pong);
    played.pass(Duration::from_secs(23));
    assert_eq!(played.sent, [ToServer::Ping, ToServer::Ping]);
}

#[test]
fn the_servers_keep_alive_counts_if_it_has_one() {
    let mut played = Played::new(steady());
    played.opened();
    let keep_alive = Some(Duration::from_secs(8));
    played.packet(FromServer::Connected { session: Session::New, keep_alive, receive_max: 20 });
    played.subscribed();
    played.pass(Duration::from_secs(6));
    assert_eq!(played.sent.last(), Some(&ToServer::Ping));
}

#[test]
fn a_server_that_does_not_answer_a_ping_is_left_and_tried_again() {
    let mut played = Played::active(steady());
    played.pass(Duration::from_secs(50));
    assert!(matches!(played.happened[..], [Happening::Disconnected(Ending::Broken { .. })]));
    assert_eq!((played.closes, played.opens), (1, 2));
}

#[test]
fn a_server_that_does_not_answer_a_connect_is_left_and_tried_again() {
    let mut played = Played::new(steady());
    played.opened();
    played.pass(Duration::from_secs(59));
    assert_eq!(played.closes, 0);
    played.pass(Duration::from_secs(10));
    assert_eq!((played.closes, played.opens), (1, 2));
}

#[test]
fn each_try_waits_longer_up_to_a_bound_and_then_it_gives_up() {
    let reconnecting = Reconnecting { first: Duration::from_secs(1), most: Duration::from_secs(4), tries: Some(6) };
    let mut played = Played::new(Behaviour { reconnecting, ..steady() });
    let mut waits = Vec::new();
    for _ in 0..6 {
        played.opened();
        played.packet(FromServer::Refused { code: 0x87, reason: None });
        waits.extend(played.machine.next_timeout().map(|at| at - played.now));
        played.pass(Duration::from_secs(6));
    }
    for (wait, least) in waits.iter().zip([1, 2, 4, 4, 4]) {
        let least = Duration::from_secs(least);
        assert!((least..=least * 3 / 2).contains(wait), "{waits:?}");
    }
    assert_eq!(waits.len(), 5);
    assert_eq!(played.happened.last(), Some(&Happening::GaveUp));
    assert_eq!(played.opens, 6);
}

#[test]
fn it_sleeps_says_when_it_wakes_and_keeps_its_session_meanwhile() {
    let mut played = Played::active(Behaviour::sleepy(Version::Mqtt5, Duration::from_secs(80)));
    played.pass(Duration::from_secs(2));
    let [standby] = played.published()[..] else { panic!("one message: {:?}", played.sent) };
    assert_eq!(standby.topic, "bugle/m1/standby");
    let seconds: u64 = String::from_utf8_lossy(&standby.payload).parse().expect("seconds");
    assert!((80..=90).contains(&seconds), "{seconds}");
    played.take_published();
    assert_eq!(played.sent.last(), Some(&ToServer::Disconnect { session_expiry: Some(Duration::from_secs(3600)) }));
    assert_eq!(played.happened.last(), Some(&Happening::Disconnected(Ending::Slept)));
    played.pass(Duration::from_secs(79));
    assert_eq!(played.opens, 1);
    played.pass(Duration::from_secs(12));
    assert_eq!(played.opens, 2);
}

#[test]
fn it_does_not_fall_asleep_while_an_answer_is_under_way() {
    let sleeping = Sleeping {
        awake: Duration::from_secs(1),
        asleep: Duration::from_secs(60),
        jitter: Duration::ZERO,
        announcing: Announcing::Nothing,
    };
    let answering = Answering::Honestly { after: Duration::from_secs(5), jitter: Duration::ZERO };
    let mut played = Played::active(Behaviour { sleeping: Some(sleeping), answering, ..steady() });
    played.message(READ);
    played.pass(Duration::from_secs(5));
    assert_eq!(played.closes, 0);
    played.take_published();
    assert_eq!(played.happened.last(), Some(&Happening::Disconnected(Ending::Slept)));
}

#[test]
fn it_deregisters_when_told_even_out_of_its_sleep_and_stays_away() {
    let mut played = Played::active(steady());
    played.command(Command::Sleep(Duration::from_secs(600)));
    assert_eq!(played.happened.last(), Some(&Happening::Disconnected(Ending::Slept)));
    played.command(Command::Deregister);
    assert_eq!(played.opens, 2);
    played.connected(Session::Resumed);
    assert_eq!(played.published()[0].topic, "bugle/m1/deregister");
    played.take_published();
    assert_eq!(played.sent.last(), Some(&ToServer::Disconnect { session_expiry: Some(Duration::ZERO) }));
    assert_eq!(played.happened.last(), Some(&Happening::Disconnected(Ending::Left)));
    played.pass(Duration::from_secs(10_000));
    assert_eq!(played.opens, 2);
    played.command(Command::Connect);
    assert_eq!(played.opens, 3);
}

#[test]
fn it_deregisters_by_itself_so_long_after_it_has_registered() {
    let mut played = Played::active(Behaviour { leaves_after: Some(Duration::from_secs(9)), ..steady() });
    played.pass(Duration::from_secs(9));
    played.take_published();
    assert_eq!(played.happened.last(), Some(&Happening::Disconnected(Ending::Left)));
}

#[test]
fn a_gateway_that_closes_on_a_deregistration_has_understood() {
    let mut played = Played::active(steady());
    played.command(Command::Deregister);
    played.machine.handle_closed(played.now, None);
    played.drain();
    assert_eq!(played.happened.last(), Some(&Happening::Disconnected(Ending::Left)));
}

#[test]
fn one_that_vanishes_comes_back_only_when_told() {
    let mut played = Played::active(steady());
    played.command(Command::Vanish);
    assert!(played.sent.is_empty());
    played.pass(Duration::from_secs(10_000));
    assert_eq!((played.closes, played.opens), (1, 1));
    played.command(Command::Connect);
    assert_eq!(played.opens, 2);
}

#[test]
fn it_reports_as_often_as_it_should() {
    let reporting = Reporting { name: "level".into(), every: Duration::from_secs(10), content: Content::text("7") };
    let mut played = Played::active(Behaviour { reporting: Some(reporting), keep_alive: Duration::ZERO, ..steady() });
    for _ in 0..100 {
        played.pass(Duration::from_secs(1));
        played.take_published();
    }
    let reports = played.published();
    assert_eq!(reports[0].topic, "bugle/m1/reports/level");
    assert!((9..=11).contains(&reports.len()), "{}", reports.len());
}

#[test]
fn what_the_server_does_not_take_is_told() {
    let mut played = Played::active(steady());
    played.command(Command::Publish { topic: "t".into(), payload: Bytes::new() });
    let id = played.published()[0].id;
    played.packet(FromServer::Acknowledged { id, code: 0x87 });
    assert_eq!(played.happened.last(), Some(&Happening::Rejected { code: 0x87 }));
}

#[test]
fn what_comes_before_the_connection_is_there_is_nothing() {
    let mut played = Played::new(steady());
    played.message(READ);
    played.packet(FromServer::Pong);
    assert!(played.sent.is_empty() && played.happened.is_empty());
}
