//! One gateway: what comes in, what goes out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bugle_core::certificate::CertificateChain;
use bugle_core::gateway::{
    Allocated, AllocationConflict, Batch, Census, Config, Direction, DirectionRefusal, Effect, FileContents, Gateway,
    Link, Restored, Slot, Ticket, WakeUp,
};
use bugle_core::{Allocation, DownEntry, NumberMap, NumberSet, PeripheralId, RequestId, State, Time, Waker};
use bytes::BytesMut;

use crate::counters::Counters;
use crate::lwm2m::{Dtls, Lwm2m, Peer, StoredClient};
use crate::mqtt::{ConnectionId, Connections, Envelopes, Phase, Session};

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Of the gateway's machine.
    pub gateway: Config,
    /// Of every MQTT connection.
    pub mqtt: bugle_mqtt::Config,
    /// Of CoAP, which LwM2M is spoken in.
    pub coap: bugle_coap::Config,
    /// Of DTLS, which CoAP may be spoken in; none if it is not.
    pub dtls: Option<Dtls>,
    /// How long a peripheral without keep-alive counts as active after its connection broke.
    pub reconnect_grace: Duration,
}

impl Settings {
    /// The defaults, for a gateway of this configuration.
    #[must_use]
    pub fn new(gateway: Config) -> Self {
        // No longer than the machine waits for an answer.
        let coap = bugle_coap::Config { response_timeout: gateway.answer_time, ..bugle_coap::Config::default() };
        Self {
            gateway,
            mqtt: bugle_mqtt::Config::default(),
            coap,
            dtls: None,
            reconnect_grace: Duration::from_secs(60),
        }
    }
}

/// Whether the store takes what is to be persisted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// It does.
    Working,
    /// It does not now, as when the disk is full. Nobody new is let in; what came already waits.
    Failing,
}

/// What is to be done.
#[derive(Debug)]
pub enum Output {
    /// Send these bytes.
    Transmit {
        /// On this connection.
        connection: ConnectionId,
        /// The bytes.
        bytes: BytesMut,
    },
    /// Send this datagram.
    Datagram {
        /// To this peer.
        peer: Peer,
        /// The datagram.
        datagram: bugle_coap::Datagram,
    },
    /// Close the transport, once what was to be sent on it is sent.
    Close {
        /// This one.
        connection: ConnectionId,
    },
    /// Make this durable, then call [`Edge::handle_persisted`] with its ticket. No other follows before.
    Persist(Batch),
    /// What an operator directed with this token is done, durably.
    Directed {
        /// The token.
        token: u64,
    },
    /// The up log holds entries up to this sequence number.
    UpAvailable {
        /// The last one.
        through: u64,
    },
    /// The down log is applied up to this sequence number, durably.
    DownAcknowledged {
        /// The last one.
        through: u64,
    },
    /// Send a wake-up; if that fails, tell of it with [`Edge::handle_wake_failed`].
    Wake(WakeCall),
}

/// A wake-up to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WakeCall {
    /// Where the peripheral is in the gateway's tables.
    pub slot: Slot,
    /// The request on whose behalf; none if somebody asked for just that.
    pub request: Option<RequestId>,
    /// Which wake-up.
    pub wake_up: WakeUp,
    /// Whom it is to wake.
    pub peripheral: PeripheralId,
    /// How.
    pub waker: Waker,
    /// Which try this is, from 1.
    pub tries: u8,
}

/// One gateway, pure.
#[derive(Debug)]
pub struct Edge {
    pub(crate) gateway: Gateway,
    pub(crate) connections: Connections,
    /// Which connection holds the registration in a slot.
    pub(crate) holders: NumberMap<Slot, ConnectionId>,
    pub(crate) sessions: NumberMap<Slot, Session>,
    pub(crate) wills: BTreeMap<(Time, Slot), Box<bugle_mqtt::Will>>,
    pub(crate) envelopes: Envelopes,
    pub(crate) mqtt: Arc<bugle_mqtt::Config>,
    pub(crate) lwm2m: Lwm2m,
    pub(crate) reconnect_grace: Duration,
    pub(crate) store: Store,
    pub(crate) counters: Counters,
    touched: VecDeque<ConnectionId>,
    is_touched: NumberSet<ConnectionId>,
    pub(crate) outputs: VecDeque<Output>,
}

impl Edge {
    /// A gateway that has never run. `seed` makes what must be hard to guess hard to guess.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        let gateway = Gateway::new(settings.gateway.clone(), seed);
        Self::around(gateway, settings, seed)
    }

    /// A gateway that goes on from what its store kept. All connections are gone.
    #[must_use]
    pub fn restore(now: Time, settings: Settings, seed: u64, mut restored: Restored) -> Self {
        let sessions: BTreeMap<Slot, Vec<u8>> = std::mem::take(&mut restored.sessions).into_iter().collect();
        let registered: Vec<Slot> = restored.registrations.iter().map(|(slot, _)| *slot).collect();
        let gateway = Gateway::restore(now, settings.gateway.clone(), seed, restored);
        let mut edge = Self::around(gateway, settings, seed);
        let client = |slot: &Slot| Some((*slot, StoredClient::decode(sessions.get(slot)?)?));
        let clients: BTreeMap<Slot, StoredClient> = registered.iter().filter_map(client).collect();
        edge.resume_sessions(now, clients.values());
        for slot in registered {
            let session = sessions.get(&slot);
            if let Some(client) = clients.get(&slot) {
                edge.restore_client(now, slot, client);
            } else {
                edge.sessions.extend(session.and_then(|session| Some((slot, Session::decode(session)?))));
                edge.lose_connection_of(now, slot);
            }
        }
        edge
    }

    fn around(gateway: Gateway, settings: Settings, seed: u64) -> Self {
        let Settings { mqtt, coap, dtls, reconnect_grace, .. } = settings;
        Self {
            gateway,
            connections: Connections::default(),
            holders: NumberMap::default(),
            sessions: NumberMap::default(),
            wills: BTreeMap::new(),
            envelopes: Envelopes::default(),
            mqtt: Arc::new(mqtt),
            lwm2m: Lwm2m::new(coap, dtls, seed),
            reconnect_grace,
            store: Store::Working,
            counters: Counters::default(),
            touched: VecDeque::new(),
            is_touched: NumberSet::default(),
            outputs: VecDeque::new(),
        }
    }

    /// A connection is up, from `address`.
    pub fn handle_accepted(&mut self, now: Time, address: Box<str>) -> ConnectionId {
        self.counters.accepted += 1;
        self.connections.open(bugle_mqtt::Connection::new(now, Arc::clone(&self.mqtt)), address)
    }

    /// Whoever is on a connection has shown, before its first bytes, that it has the key of a certificate.
    pub fn handle_certificates(&mut self, connection: ConnectionId, shown: CertificateChain) {
        if let Some(Phase::Opening { certificates }) =
            self.connections.get_mut(connection).map(|known| &mut known.phase)
        {
            *certificates = Some(shown);
        }
    }

    /// Bytes came on a connection.
    pub fn handle_bytes(&mut self, now: Time, connection: ConnectionId, bytes: &[u8]) {
        let Some(known) = self.connections.get_mut(connection) else { return };
        known.mqtt.handle_bytes(now, bytes);
        self.after_mqtt(now, connection);
    }

    /// A connection is gone.
    pub fn handle_closed(&mut self, now: Time, connection: ConnectionId) {
        let Some(known) = self.connections.get_mut(connection) else { return };
        known.mqtt.handle_lost();
        self.after_mqtt(now, connection);
        self.connections.remove(connection);
    }

    /// Whether no more should be read from a connection for now.
    #[must_use]
    pub fn is_paused(&self, connection: ConnectionId) -> bool {
        self.connections.get(connection).is_some_and(|known| known.mqtt.is_paused())
    }

    /// The link to the platform came up or went down.
    pub fn handle_link(&mut self, link: Link) {
        self.gateway.handle_link(link);
    }

    /// An entry of the down log.
    pub fn handle_down(&mut self, now: Time, sequence: u64, entry: DownEntry) {
        self.gateway.handle_down(now, sequence, entry);
    }

    /// The platform has the up log up to `through` on disk.
    pub fn handle_up_acknowledged(&mut self, through: u64) {
        self.gateway.handle_up_acknowledged(through);
    }

    /// The batch with this ticket, and all before it, are durable.
    pub fn handle_persisted(&mut self, ticket: Ticket) {
        self.gateway.handle_persisted(ticket);
    }

    /// A wake-up could not be sent.
    pub fn handle_wake_failed(&mut self, now: Time, slot: Slot, wake_up: WakeUp) {
        self.gateway.handle_wake_failed(now, slot, wake_up);
    }

    /// The store works, or does not.
    pub fn handle_store(&mut self, store: Store) {
        self.store = store;
    }

    /// Takes `allocations` as all that the gateway's own file holds. Returns what could not be taken.
    pub fn handle_allocations(&mut self, now: Time, allocations: Vec<Allocation>) -> Vec<AllocationConflict> {
        self.gateway.handle_allocations(now, allocations)
    }

    /// Takes allocations of the gateway's own file, which `file` then contains. Returns what could not be taken.
    pub fn handle_allocations_part(
        &mut self,
        now: Time,
        file: &mut FileContents,
        allocations: Vec<Allocation>,
    ) -> Vec<AllocationConflict> {
        self.gateway.handle_allocations_part(now, file, allocations)
    }

    /// Removes those that the gateway's own file held before and holds no longer: it contains no others than `file`.
    pub fn handle_allocations_end(&mut self, now: Time, file: &FileContents) {
        self.gateway.handle_allocations_end(now, file);
    }

    /// Does what an operator directs. [`Output::Directed`] with `token` follows when it is durable.
    ///
    /// # Errors
    /// If it cannot be done; then nothing has changed, and no output follows.
    pub fn handle_direction(&mut self, now: Time, direction: Direction, token: u64) -> Result<(), DirectionRefusal> {
        self.gateway.handle_direction(now, direction, token)
    }

    /// Allocations, by slot: at most so many after one.
    #[must_use]
    pub fn allocations(&self, after: Option<Slot>, limit: usize) -> Vec<(Slot, Allocated)> {
        self.gateway.allocations(after, limit)
    }

    /// The gateway stops: every connection is told. Registrations stay.
    pub fn handle_shutdown(&mut self, now: Time) {
        self.gateway.handle_shutdown();
        self.end_sessions();
        for connection in self.connections.ids() {
            if let Some(known) = self.connections.get_mut(connection) {
                known.mqtt.disconnect(bugle_mqtt::Ending::ShuttingDown);
                self.after_mqtt(now, connection);
            }
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.gateway.handle_timeout(now);
        self.lwm2m.handle_timeout(now);
        self.ask_again(now);
        while let Some(connection) = self.connections.pop_due(now) {
            if let Some(known) = self.connections.get_mut(connection) {
                known.mqtt.handle_timeout(now);
                self.after_mqtt(now, connection);
            }
        }
        self.publish_wills(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        let will = self.wills.first_key_value().map(|((at, _), _)| *at);
        let lwm2m = self.lwm2m.next_timeout();
        [self.gateway.next_timeout(), self.connections.next_timeout(), lwm2m, will].into_iter().flatten().min()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self, now: Time) -> Option<Output> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            if self.step_lwm2m(now) {
                continue;
            }
            if let Some(output) = self.gateway.poll_output(now) {
                match output {
                    bugle_core::gateway::Output::Persist(batch) => return Some(Output::Persist(batch)),
                    bugle_core::gateway::Output::Effect(effect) => self.carry_out(now, effect),
                }
                continue;
            }
            let connection = self.touched.pop_front()?;
            self.is_touched.remove(&connection);
            self.transmit(connection);
        }
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.lwm2m.count(Counters { connections: self.connections.len() as u64, ..self.counters })
    }

    /// How much the gateway's machine holds.
    #[must_use]
    pub fn census(&self) -> Census {
        self.gateway.census()
    }

    /// The state of a peripheral; none if it has no allocation.
    #[must_use]
    pub fn state(&self, peripheral: &PeripheralId) -> Option<State> {
        self.gateway.state(self.gateway.slot(peripheral)?)
    }

    fn carry_out(&mut self, now: Time, effect: Effect) {
        match effect {
            Effect::Admitted { asker, slot, .. } if Lwm2m::is_ours(asker) => {
                self.on_client_admitted(now, asker, slot);
            }
            Effect::Admitted { asker, slot, lifetime } => self.on_admitted(now, asker, slot, lifetime),
            Effect::Refused { asker, refusal } if Lwm2m::is_ours(asker) => {
                self.on_client_refused(now, asker, &refusal);
            }
            Effect::Refused { asker, refusal } => self.on_refused(now, asker, &refusal),
            Effect::Deliver { slot, delivery, request, .. } if self.lwm2m.has(slot) => {
                self.deliver_to_client(now, slot, delivery, &request);
            }
            Effect::Deliver { slot, delivery, is_repeat, request } => {
                self.deliver(now, slot, delivery, is_repeat, &request);
            }
            Effect::Stalled { slot } if self.lwm2m.has(slot) => self.on_client_stalled(now, slot),
            Effect::Stalled { slot } => self.on_stalled(now, slot),
            Effect::Withdrawn { slot } => self.abandon(now, slot),
            Effect::Dismissed { slot, cause } if self.lwm2m.has(slot) => self.on_client_dismissed(now, slot, cause),
            Effect::Dismissed { slot, .. } => self.on_dismissed(now, slot),
            Effect::PutIntoStandby { slot } => self.on_put_into_standby(now, slot),
            Effect::Observe { slot, path } => self.observe(now, slot, path),
            Effect::ObserveNoMore { slot, path } => self.observe_no_more(now, slot, path),
            Effect::Taken { token, .. } if Lwm2m::is_ours(token) => self.on_lwm2m_taken(now, token),
            Effect::Wake { slot, request, wake_up, waker, tries } => {
                // With its allocation gone there is nobody to wake.
                let Some(peripheral) = self.gateway.peripheral(slot).cloned() else { return };
                self.outputs.push_back(Output::Wake(WakeCall { slot, request, wake_up, peripheral, waker, tries }));
            }
            Effect::Taken { token, .. } => self.on_taken(now, token),
            Effect::Directed { token } => self.outputs.push_back(Output::Directed { token }),
            Effect::UpAvailable { through } => self.outputs.push_back(Output::UpAvailable { through }),
            Effect::DownAcknowledged { through } => self.outputs.push_back(Output::DownAcknowledged { through }),
        }
    }

    /// Has a connection looked at for bytes to send.
    pub(crate) fn touch(&mut self, connection: ConnectionId) {
        if self.is_touched.insert(connection) {
            self.touched.push_back(connection);
        }
    }

    fn transmit(&mut self, connection: ConnectionId) {
        let Some(known) = self.connections.get_mut(connection) else { return };
        if let Some(bytes) = known.mqtt.poll_transmit() {
            self.outputs.push_back(Output::Transmit { connection, bytes });
        }
        if known.mqtt.is_closed() {
            self.outputs.push_back(Output::Close { connection });
        }
    }
}
