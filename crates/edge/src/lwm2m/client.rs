//! What is known of each registered LwM2M client.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bugle_coap::ExchangeId;
use bugle_core::gateway::{Hold, Slot};
use bugle_core::{RequestId, ResourcePath};
use bugle_lwm2m::registration::{RESOURCE, Register, Registration};
use bugle_lwm2m::{ContentFormat, Method, Request, Version};
use serde::{Deserialize, Serialize};

use super::delivering::RESETS_MAX;
use super::keeping::StoredSession;
use super::peer::{DatagramSocket, Peer, Security};
use super::prepared::Prepared;
use super::{AWAKE_TIME, VERSION_NEWEST};

/// A registered client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(super) peer: Peer,
    pub(super) registration: Registration,
    /// Makes its location hard to guess: over plain CoAP nothing else shows that an Update is its own.
    pub(super) secret: u32,
    /// What is being put to it.
    pub(super) delivering: Option<Box<Delivering>>,
    /// What is observed of it, which is mostly nothing.
    observed: Option<Box<Observations>>,
}

#[derive(Debug, Default)]
struct Observations {
    by_path: BTreeMap<ResourcePath, Observed>,
    /// How often it has reset what it was asked since its last update.
    resets: u8,
}

/// What became of the wish to observe a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Observed {
    /// The client is to be asked.
    Waiting,
    /// It is asked, and has not answered,
    Asked(ExchangeId),
    /// It is observed in this exchange.
    In(ExchangeId),
    /// The client does not let it be observed.
    Refused,
}

impl Observed {
    pub(super) const fn exchange(self) -> Option<ExchangeId> {
        match self {
            Self::Asked(exchange) | Self::In(exchange) => Some(exchange),
            Self::Waiting | Self::Refused => None,
        }
    }
}

/// A group request on its way to a client.
#[derive(Debug)]
pub(super) struct Delivering {
    pub(super) exchange: ExchangeId,
    pub(super) attempt: Attempt,
    pub(super) prepared: Arc<Prepared>,
}

/// Which delivery it is, and how often it was tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    pub(super) request: RequestId,
    /// Its number at the gateway's machine.
    pub(super) number: u16,
    /// In how many other formats the client has refused it.
    pub(super) tries: u8,
    /// How often the client has reset it in this one.
    pub(super) resets: u8,
}

impl Client {
    pub(super) const fn new(peer: Peer, registration: Registration, secret: u32) -> Self {
        Self { peer, registration, secret, delivering: None, observed: None }
    }

    pub(super) fn observed(&self, path: ResourcePath) -> Option<Observed> {
        self.observed.as_ref()?.by_path.get(&path).copied()
    }

    pub(super) fn set_observed(&mut self, path: ResourcePath, observed: Option<Observed>) {
        match (observed, &mut self.observed) {
            (Some(observed), all) => drop(all.get_or_insert_default().by_path.insert(path, observed)),
            (None, Some(all)) => drop(all.by_path.remove(&path)),
            (None, None) => {}
        }
    }

    /// It has reset what it was asked to be observed. Whether it is to be asked again before its next update.
    pub(super) fn note_reset(&mut self) -> bool {
        let Some(observed) = &mut self.observed else { return false };
        let is_patient = observed.resets < RESETS_MAX;
        observed.resets += u8::from(is_patient);
        is_patient
    }

    /// It has had something to say, and is ready for more.
    pub(super) fn forget_resets(&mut self) {
        if let Some(observed) = &mut self.observed {
            observed.resets = 0;
        }
    }

    /// The exchanges in which it is observed.
    pub(super) fn observations(&self) -> impl Iterator<Item = ExchangeId> {
        let observed = self.observed.iter().flat_map(|observed| observed.by_path.values());
        observed.filter_map(|observed| observed.exchange())
    }

    /// The path to ask for, if none is asked for.
    pub(super) fn next_to_observe(&self) -> Option<ResourcePath> {
        let by_path = &self.observed.as_ref()?.by_path;
        if by_path.values().any(|observed| matches!(observed, Observed::Asked(_))) {
            return None;
        }
        by_path.iter().find(|(_, observed)| **observed == Observed::Waiting).map(|(path, _)| *path)
    }

    /// The exchanges in which it is observed, which are none from now on.
    pub(super) fn take_observations(&mut self) -> Vec<ExchangeId> {
        let exchanges = self.observations().collect();
        if let Some(observed) = &mut self.observed {
            observed.by_path.retain(|_, observed| *observed == Observed::Refused);
        }
        exchanges
    }

    /// What keeps its registration alive.
    pub(super) fn hold(&self) -> Hold {
        Hold::Word { awake: self.registration.binding().is_queue_mode().then_some(AWAKE_TIME) }
    }

    /// The path that it was given when it registered, without the slash in front.
    pub(super) fn location(&self, slot: Slot) -> Vec<String> {
        vec![RESOURCE.to_owned(), format!("{:x}-{:08x}", slot.number(), self.secret)]
    }

    pub(super) fn store(&self, session: Option<StoredSession>) -> StoredClient {
        let register =
            Register { endpoint: None, registration: self.registration.clone(), profiles: None }.to_request();
        StoredClient {
            socket: self.peer.socket().number,
            is_secured: self.peer.socket().security == Security::Dtls,
            address: self.peer.address(),
            secret: self.secret,
            query: register.query.join("&"),
            links: String::from_utf8(register.payload).expect("links are text"),
            session,
        }
    }
}

/// Which slot and which secret a location names.
pub(super) fn parse_location(location: &str) -> Option<(Slot, u32)> {
    let (slot, secret) = location.split_once('-')?;
    Some((Slot::new(u32::from_str_radix(slot, 16).ok()?), u32::from_str_radix(secret, 16).ok()?))
}

/// What outlives a restart of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredClient {
    #[serde(rename = "socket")]
    socket: u8,
    #[serde(rename = "secured", default, skip_serializing_if = "std::ops::Not::not")]
    is_secured: bool,
    address: SocketAddr,
    secret: u32,
    /// As the client registered: the parameters,
    query: String,
    /// and the objects.
    links: String,
    /// Its session of DTLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<StoredSession>,
}

/// Told from what MQTT keeps by its name.
#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    lwm2m: T,
}

impl StoredClient {
    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&Envelope { lwm2m: self }).expect("it is JSON")
    }

    /// Reads what [`encode`](Self::encode) wrote; none if it is not that.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().map(|envelope: Envelope<Self>| envelope.lwm2m)
    }

    /// Where the client speaks from.
    pub(super) fn peer(&self) -> Peer {
        let security = if self.is_secured { Security::Dtls } else { Security::Plain };
        Peer::new(DatagramSocket { number: self.socket, security }, self.address)
    }

    pub(super) const fn session(&self) -> Option<&StoredSession> {
        self.session.as_ref()
    }

    /// The client; none if what was kept cannot be understood any more.
    pub(super) fn restore(&self) -> Option<Client> {
        let query = self.query.split('&').map(str::to_owned).collect();
        let request = Request { query, ..Request::new(Method::Post, vec![RESOURCE.to_owned()]) }
            .with_payload(ContentFormat::LINK_FORMAT, self.links.clone().into_bytes());
        let registration = Register::from_request(&request, VERSION_NEWEST).ok()?.registration;
        Some(Client::new(self.peer(), registration, self.secret))
    }
}

/// Who asks to register, and is not answered.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) handle: bugle_coap::RequestHandle,
    pub(super) peer: Peer,
    pub(super) registration: Registration,
}

pub(super) const fn protocol(version: Version) -> bugle_core::Protocol {
    match version {
        Version::V1_0 => bugle_core::Protocol::Lwm2m10,
        Version::V1_1 => bugle_core::Protocol::Lwm2m11,
        Version::V1_2 => bugle_core::Protocol::Lwm2m12,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn client(address: &str, query: &str, links: &str) -> Client {
        let query = query.split('&').map(str::to_owned).collect();
        let request = Request { query, ..Request::new(Method::Post, vec![RESOURCE.to_owned()]) }
            .with_payload(ContentFormat::LINK_FORMAT, links.as_bytes().to_vec());
        let socket = DatagramSocket { number: 1, security: Security::Plain };
        let peer = Peer::new(socket, address.parse().expect("an address"));
        let register = Register::from_request(&request, VERSION_NEWEST).expect("a registration");
        Client::new(peer, register.registration, 0x00c0_ffee)
    }

    #[test]
    fn a_client_reads_back_as_stored() {
        let links = r#"</lwm2m>;rt="oma.lwm2m";ct=110,</lwm2m/1>;ver=1.1,</lwm2m/1/0>,</lwm2m/3303/0>"#;
        let client = client("[::1]:5683", "lwm2m=1.1&lt=77&b=U&Q&sms=49", links);
        let stored = StoredClient::decode(&client.store(None).encode()).expect("it was encoded");
        let restored = stored.restore().expect("it was a client");
        assert_eq!((restored.peer, &restored.registration), (client.peer, &client.registration));
        assert_eq!(restored.location(Slot::new(26)), client.location(Slot::new(26)));
        assert!(restored.registration.binding().is_queue_mode());
        assert_eq!(StoredClient::decode(br#"{"expiry":0}"#), None);
    }

    #[test]
    fn a_location_names_slot_and_secret() {
        let client = client("127.0.0.1:5683", "lt=60", "");
        let location = client.location(Slot::new(26));
        assert_eq!(location, ["rd", "1a-00c0ffee"]);
        assert_eq!(parse_location(&location[1]), Some((Slot::new(26), 0x00c0_ffee)));
        for other in ["", "1a", "1a-", "-1", "x-1", "1a-1-1"] {
            assert_eq!(parse_location(other), None, "{other}");
        }
    }
}
