//! MQTT peripherals: connecting is registering, leaving the session behind is standby, leaving with
//! it is deregistering.

mod connections;
mod envelope;
mod session;

use std::sync::Arc;
use std::time::Duration;

use bugle_core::gateway::{Hold, Presented, Reach, Refusal, RegistrationRequest, Rejection, Slot, TransportIdentity};
use bugle_core::{Content, Description, GroupRequest, State, Time};
use bugle_mqtt::{
    Accept, CloseReason, Closed, Connect, Delivery, Ending, Event, PacketId, Publication, Publish, PublishError,
    Resumption, Start, Topic, Transmission, Will,
};

pub use connections::ConnectionId;
pub(crate) use connections::{Connections, Phase};
pub(crate) use envelope::Envelopes;
pub(crate) use session::Session;

use crate::edge::{Edge, Store};
use connections::{Asking, LastWord};

impl Edge {
    /// Handles what a connection has to say, then has its bytes sent.
    pub(crate) fn after_mqtt(&mut self, now: Time, connection: ConnectionId) {
        while let Some(event) = self.connections.get_mut(connection).and_then(|known| known.mqtt.poll_event()) {
            self.on_event(now, connection, event);
        }
        self.connections.arm(connection);
        self.touch(connection);
    }

    fn on_event(&mut self, now: Time, connection: ConnectionId, event: Event) {
        match event {
            Event::Connect(connect) => self.on_connect(now, connection, *connect),
            Event::Closed(closed) => self.on_closed(now, connection, closed),
            Event::Noise(_) => self.counters.noise += 1,
            event => match self.slot_of(connection) {
                Some(slot) => self.on_word(now, connection, slot, event),
                None => self.on_word_of_nobody(connection, &event),
            },
        }
    }

    fn on_connect(&mut self, now: Time, connection: ConnectionId, connect: Connect) {
        let Some(known) = self.connections.get_mut(connection) else { return };
        if self.store == Store::Failing {
            known.mqtt.refuse(bugle_mqtt::Refusal::Busy, "the gateway cannot store anything now; try again in 30 s");
            return;
        }
        let certificates = match &mut known.phase {
            Phase::Opening { certificates } => certificates.take(),
            _ => None,
        };
        // Else a certificate opens the door for all that its authority vouches for, and says no more.
        let is_wanted = self.gateway.wants_certificate(&connect.peripheral);
        let request = RegistrationRequest {
            peripheral: connect.peripheral.clone(),
            asker: connection.number(),
            presented: Presented {
                username: connect.username,
                password: connect.password.map(|password| password.as_bytes().to_vec()),
                transport: certificates.filter(|_| is_wanted).map(TransportIdentity::Certificate),
            },
            description: Description {
                protocol: connect.version.into(),
                address: known.address.to_string(),
                lifetime: connect.session_expiry,
                objects: String::new(),
            },
            hold: Hold::Connection,
        };
        known.phase = Phase::Asking(Box::new(Asking {
            peripheral: connect.peripheral,
            start: connect.start,
            keep_alive: connect.keep_alive,
            session_expiry: connect.session_expiry,
        }));
        self.gateway.handle_registration(now, request);
    }

    pub(crate) fn on_admitted(&mut self, now: Time, asker: u64, slot: Slot, lifetime: Duration) {
        self.counters.admitted += 1;
        let connection = ConnectionId::from_number(asker);
        if let Some(asking) = self.connections.answered_late.remove(&connection) {
            self.sessions.insert(slot, Session::new(asking.session_expiry, grace_of(asking.keep_alive)));
            return self.lose_connection_of(now, slot);
        }
        let Some(known) = self.connections.get_mut(connection) else { return };
        let Phase::Asking(asking) = std::mem::replace(&mut known.phase, Phase::Idle) else { return };
        let client = self.drop_client(now, slot);
        let Some(known) = self.connections.get_mut(connection) else { return };
        let expiry = asking.session_expiry.min(lifetime);
        let grace = grace_of(asking.keep_alive);
        let resumed = match asking.start {
            Start::Resume => self.sessions.remove(&slot),
            Start::Clean => None,
        };
        let is_resumed = resumed.is_some();
        let resumption = resumed.as_ref().map_or(Resumption::New, |session| Resumption::Resumed {
            is_subscribed: session.is_subscribed,
            exactly_once: session.received(),
        });
        let mut session = resumed.unwrap_or_default();
        session.connect(expiry, grace);
        let is_subscribed = session.is_subscribed;
        self.gateway.keep_session(slot, session.encode());
        self.sessions.insert(slot, session);
        known.phase = Phase::Holding { slot, keep_alive: asking.keep_alive, is_resumed };
        known.mqtt.accept(now, Accept { session: resumption, session_expiry_max: expiry });
        self.wills.retain(|(_, of), _| *of != slot);
        if let Some(former) = self.holders.insert(slot, connection) {
            self.end(now, former, Ending::SessionTakenOver);
        }
        if let Some(client) = client {
            self.release_session(slot, &client);
        }
        if is_subscribed {
            self.gateway.handle_reach(now, slot, Reach::Open);
        }
        self.after_mqtt(now, connection);
    }

    pub(crate) fn on_refused(&mut self, now: Time, asker: u64, refusal: &Refusal) {
        self.counters.refused += 1;
        let connection = ConnectionId::from_number(asker);
        self.connections.answered_late.remove(&connection);
        let Some(known) = self.connections.get_mut(connection) else { return };
        known.phase = Phase::Idle;
        let (code, reason) = explain(refusal);
        known.mqtt.refuse(code, &reason);
        self.after_mqtt(now, connection);
    }

    /// A word from a connection that holds a registration.
    fn on_word(&mut self, now: Time, connection: ConnectionId, slot: Slot, event: Event) {
        match event {
            Event::Subscribe { packet_id } => {
                self.gateway.handle_word(now, slot);
                self.keep(connection, slot, |session| session.is_subscribed = true);
                self.gateway.confirm(slot, connection.token(Some(packet_id)));
                self.gateway.handle_reach(now, slot, Reach::Open);
            }
            Event::Unsubscribe { packet_id } => {
                self.gateway.handle_reach(now, slot, Reach::Closed);
                self.keep(connection, slot, |session| session.is_subscribed = false);
                self.gateway.confirm(slot, connection.token(Some(packet_id)));
            }
            Event::Publish(publish) => self.on_publish(now, connection, slot, publish),
            Event::Released { packet_id } => {
                self.gateway.handle_word(now, slot);
                self.keep(connection, slot, |_| {});
                self.gateway.confirm(slot, connection.token(Some(packet_id)));
            }
            Event::Delivered { packet_id } => {
                self.gateway.handle_word(now, slot);
                self.gateway.handle_acknowledged(now, slot, packet_id.number());
            }
            Event::Refused { packet_id, code, reason } => {
                let rejection = Rejection { code: format!("0x{code:02X}"), reason: reason.into() };
                self.gateway.handle_rejected(now, slot, packet_id.number(), rejection);
            }
            Event::Ping => self.gateway.handle_word(now, slot),
            Event::Connect(_) | Event::Closed(_) | Event::Noise(_) => {}
        }
    }

    fn on_publish(&mut self, now: Time, connection: ConnectionId, slot: Slot, publish: Publish) {
        let Publish { delivery, topic, payload, content_type, refusal } = publish;
        let packet_id = match delivery {
            Delivery::AtMostOnce => None,
            Delivery::AtLeastOnce(packet_id) => Some(packet_id),
            Delivery::ExactlyOnce(packet_id) => {
                // The id is kept in the same batch as what was published under it.
                self.keep(connection, slot, |_| {});
                Some(packet_id)
            }
        };
        let token = connection.token(packet_id);
        let content = Content { content_type: content_type.into(), bytes: payload.to_vec() };
        match topic {
            Topic::Response(request) => match refusal {
                Some(reason) => {
                    let rejection = Rejection { code: "refused".into(), reason: reason.into() };
                    self.gateway.handle_refusing_answer(now, slot, request, rejection, token);
                }
                None => self.gateway.handle_answer(now, slot, request, content, token),
            },
            Topic::Standby => {
                self.gateway.handle_standby(now, slot, seconds(&content));
                self.gateway.confirm(slot, token);
            }
            Topic::Deregister => {
                // What it may have said since its registration ended nobody takes.
                let is_registered = self.gateway.is_registered(slot);
                let last_word = if is_registered { LastWord::Leaving } else { LastWord::Unanswered };
                self.release(slot);
                self.gateway.handle_deregistration(now, slot);
                self.gateway.confirm(slot, token);
                let leaving = |packet_id| Phase::Leaving { packet_id, last_word };
                let phase = packet_id.map_or(Phase::Idle, leaving);
                self.set_phase(connection, phase);
            }
            Topic::Report(_) if packet_id.is_none() && self.store == Store::Failing => {
                self.counters.reports_dropped += 1;
            }
            Topic::Report(name) => self.gateway.handle_report(now, slot, name.into_string(), content, token),
        }
    }

    /// A word from a connection that holds nothing: it has left, or was dismissed.
    fn on_word_of_nobody(&mut self, connection: ConnectionId, event: &Event) {
        let Some(known) = self.connections.get_mut(connection) else { return };
        let wants_answer = matches!(event, Event::Subscribe { .. } | Event::Publish(_));
        if let Phase::Leaving { last_word, .. } = &mut known.phase {
            // Cut off now, it would never learn that it has left, and would leave again and again.
            self.counters.noise += 1;
            if wants_answer {
                *last_word = LastWord::Unanswered;
            }
        } else if wants_answer {
            known.mqtt.disconnect(Ending::AdministrativeAction);
        }
    }

    fn on_closed(&mut self, now: Time, connection: ConnectionId, closed: Closed) {
        let Some(known) = self.connections.get_mut(connection) else { return };
        if matches!(closed.reason, CloseReason::Fault(_)) {
            self.counters.faults += 1;
        }
        match std::mem::replace(&mut known.phase, Phase::Idle) {
            Phase::Asking(asking) => {
                if !self.gateway.handle_asker_gone(now, &asking.peripheral, connection.number()) {
                    self.connections.answered_late.insert(connection, *asking);
                }
            }
            Phase::Holding { slot, keep_alive, .. } if self.holders.get(&slot) == Some(&connection) => {
                self.holders.remove(&slot);
                self.on_holder_gone(now, slot, keep_alive, closed);
            }
            Phase::Holding { .. } | Phase::Opening { .. } | Phase::Leaving { .. } | Phase::Idle => {}
        }
    }

    /// The connection that held a registration is over, in good order or not.
    fn on_holder_gone(&mut self, now: Time, slot: Slot, keep_alive: Option<Duration>, closed: Closed) {
        let Closed { reason, session_expiry, will } = closed;
        match reason {
            CloseReason::Disconnected { .. } if session_expiry.is_zero() => {
                if let Some(will) = will {
                    self.publish_will(now, slot, *will);
                }
                self.release(slot);
                self.gateway.handle_deregistration(now, slot);
                return;
            }
            CloseReason::Disconnected { .. } => {
                if self.gateway.state(slot) == Some(State::Active) {
                    self.gateway.handle_standby(now, slot, None);
                }
                self.gateway.handle_connection_lost(now, slot, Duration::ZERO, session_expiry);
            }
            CloseReason::KeepAlive | CloseReason::Ended(_) => {
                self.gateway.handle_connection_lost(now, slot, Duration::ZERO, session_expiry);
            }
            CloseReason::Fault(_) | CloseReason::Lost | CloseReason::Refused(_) => {
                let grace = grace_of(keep_alive).unwrap_or(self.reconnect_grace);
                self.gateway.handle_connection_lost(now, slot, grace, session_expiry);
            }
        }
        if let Some(session) = self.sessions.get_mut(&slot) {
            let grace = session.grace();
            session.connect(session_expiry, grace);
        }
        if let Some(will) = will {
            self.wills.insert((now + will.delay, slot), will);
            self.publish_wills(now);
        }
    }

    /// After a restart: the connection of this registration is gone, nobody saw how.
    pub(crate) fn lose_connection_of(&mut self, now: Time, slot: Slot) {
        let (grace, expiry) = match self.sessions.get(&slot) {
            Some(session) => (session.grace().unwrap_or(self.reconnect_grace), session.expiry()),
            None => (self.reconnect_grace, Duration::ZERO),
        };
        self.gateway.handle_connection_lost(now, slot, grace, expiry);
    }

    pub(crate) fn publish_wills(&mut self, now: Time) {
        while let Some(entry) = self.wills.first_entry()
            && entry.key().0 <= now
        {
            let ((_, slot), will) = entry.remove_entry();
            self.publish_will(now, slot, *will);
        }
    }

    fn publish_will(&mut self, now: Time, slot: Slot, will: Will) {
        let content = Content { content_type: will.content_type.into(), bytes: will.payload.to_vec() };
        match will.topic {
            Topic::Report(name) => self.gateway.handle_will(now, slot, name.into_string(), content),
            Topic::Standby => self.gateway.handle_standby(now, slot, seconds(&content)),
            Topic::Deregister => {
                self.release(slot);
                self.gateway.handle_deregistration(now, slot);
            }
            // It cannot answer any more.
            Topic::Response(_) => self.counters.noise += 1,
        }
    }

    pub(crate) fn deliver(
        &mut self,
        now: Time,
        slot: Slot,
        delivery: u16,
        is_repeat: bool,
        request: &Arc<GroupRequest>,
    ) {
        let Some(connection) = self.holders.get(&slot).copied() else { return };
        let Some(known) = self.connections.get_mut(connection) else { return };
        let is_resumed = matches!(known.phase, Phase::Holding { is_resumed: true, .. });
        let payload = self.envelopes.of(request);
        let publication = Publication {
            packet_id: PacketId::new(delivery).expect("deliveries are numbered from one"),
            // In a session that began anew nothing was sent before.
            transmission: if is_repeat && is_resumed { Transmission::Again } else { Transmission::First },
            request: request.id,
            payload: &payload,
            content_type: envelope::CONTENT_TYPE,
            message_expiry: request.deadline - now,
        };
        match known.mqtt.publish(&publication) {
            Ok(()) => self.counters.deliveries += 1,
            Err(error @ PublishError::TooLarge { .. }) => {
                let rejection = Rejection { code: "0x95".into(), reason: error.to_string() };
                self.gateway.handle_rejected(now, slot, delivery, rejection);
            }
            // The connection is about to end, or its peripheral is stuck: both are heard of
            // otherwise, and the delivery is put again.
            Err(PublishError::NotConnected | PublishError::NotSubscribed) => {}
            Err(PublishError::InFlight(_) | PublishError::ReceiveMaximum) => {}
        }
        self.touch(connection);
    }

    /// A peripheral does not acknowledge: its connection is of no use.
    pub(crate) fn on_stalled(&mut self, now: Time, slot: Slot) {
        if let Some(connection) = self.holders.get(&slot).copied() {
            self.end(now, connection, Ending::Busy);
        }
    }

    pub(crate) fn on_dismissed(&mut self, now: Time, slot: Slot) {
        self.send_off(now, slot, Ending::AdministrativeAction);
    }

    /// Ends the connection that holds a registration, if one does, and forgets its session.
    pub(crate) fn send_off(&mut self, now: Time, slot: Slot, ending: Ending) {
        let connection = self.holders.get(&slot).copied();
        self.release(slot);
        if let Some(connection) = connection {
            self.set_phase(connection, Phase::Idle);
            self.end(now, connection, ending);
        }
    }

    /// MQTT has no word for it but the end of the connection; the session stays.
    pub(crate) fn on_put_into_standby(&mut self, now: Time, slot: Slot) {
        if let Some(connection) = self.holders.get(&slot).copied() {
            self.end(now, connection, Ending::AdministrativeAction);
        }
    }

    pub(crate) fn on_taken(&mut self, now: Time, token: u64) {
        let (connection, Some(packet_id)) = ConnectionId::of_token(token) else { return };
        let Some(known) = self.connections.get_mut(connection) else { return };
        known.mqtt.acknowledge(now, packet_id);
        if let Phase::Leaving { packet_id: leaving, last_word } = known.phase
            && leaving == packet_id
        {
            known.phase = Phase::Idle;
            if last_word == LastWord::Unanswered {
                // It would wait for ever: what is not taken is not acknowledged [MQTT-3.3.5-2].
                known.mqtt.disconnect(Ending::AdministrativeAction);
            }
        }
        self.after_mqtt(now, connection);
    }

    fn end(&mut self, now: Time, connection: ConnectionId, ending: Ending) {
        if let Some(known) = self.connections.get_mut(connection) {
            known.mqtt.disconnect(ending);
            self.after_mqtt(now, connection);
        }
    }

    fn slot_of(&self, connection: ConnectionId) -> Option<Slot> {
        match self.connections.get(connection)?.phase {
            Phase::Holding { slot, .. } => Some(slot),
            _ => None,
        }
    }

    fn set_phase(&mut self, connection: ConnectionId, phase: Phase) {
        if let Some(known) = self.connections.get_mut(connection) {
            known.phase = phase;
        }
    }

    /// The registration in a slot is over, and all that the edge kept for it.
    fn release(&mut self, slot: Slot) {
        self.holders.remove(&slot);
        self.sessions.remove(&slot);
        self.wills.retain(|(_, of), _| *of != slot);
    }

    /// Changes a session, and has it kept.
    fn keep(&mut self, connection: ConnectionId, slot: Slot, change: impl FnOnce(&mut Session)) {
        let Some(known) = self.connections.get(connection) else { return };
        let Some(session) = self.sessions.get_mut(&slot) else { return };
        session.set_received(known.mqtt.exactly_once());
        change(session);
        self.gateway.keep_session(slot, session.encode());
    }
}

/// How long a silent connection counts as alive: one and a half times the keep-alive [MQTT-3.1.2-22].
fn grace_of(keep_alive: Option<Duration>) -> Option<Duration> {
    keep_alive.map(|keep_alive| keep_alive * 3 / 2)
}

/// The seconds until the next wake, if that is what a standby notice says.
fn seconds(content: &Content) -> Option<Duration> {
    content.as_text()?.trim().parse().ok().map(Duration::from_secs)
}

fn explain(refusal: &Refusal) -> (bugle_mqtt::Refusal, String) {
    let hint = |retry_after: &Duration| format!("try again in {} s", retry_after.as_secs());
    match refusal {
        Refusal::Unknown => (bugle_mqtt::Refusal::NotAuthorized, "this peripheral is not allocated here".into()),
        Refusal::Blocked => (bugle_mqtt::Refusal::Blocked, "this peripheral is blocked".into()),
        Refusal::Credential => (bugle_mqtt::Refusal::BadCredentials, "wrong user name or password".into()),
        Refusal::ByApplication { reason } => (bugle_mqtt::Refusal::NotAuthorized, reason.clone()),
        Refusal::Undecided { retry_after } => (bugle_mqtt::Refusal::Unavailable, hint(retry_after)),
        Refusal::Busy { retry_after } => (bugle_mqtt::Refusal::Busy, hint(retry_after)),
        Refusal::Superseded => (bugle_mqtt::Refusal::Busy, "another connection asks for this peripheral".into()),
    }
}
