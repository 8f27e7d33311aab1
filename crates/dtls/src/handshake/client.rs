//! A handshake, seen from the client. The messages are those in `server.rs`.

use bugle_core::Time;
use bugle_core::certificate::{CertificateChain, KeyPurpose};

use super::dialogue::{Dialogue, Protection};
use super::key_exchange::{ServerKeyExchange, put_signature, signed, write_identity, write_public};
use super::reassembly::{Message, Reassembly};
use crate::certificate::{is_signed_by, read_chain};
use crate::config::{ClientConfig, ClientCredential, ConnectionIdUse, ExtendedMasterSecret};
use crate::connection_id::{ConnectionId, THEIRS_BYTES_MAX};
use crate::credential::Identity;
use crate::crypto::{Ephemeral, Finisher, Generator, Master, psk_premaster};
use crate::error::HandshakeError;
use crate::session::{ConnectionIds, Session};
use crate::suite::CipherSuite;
use crate::wire::{
    Alert, AlertLevel, ClientHello, ContentType, Extensions, Fragment, MessageType, Reader, Record, ServerHello,
    Version,
};

/// Bytes of a server's messages that are kept at once until they are whole.
const HANDSHAKE_BYTES_MAX: usize = 16 * 1024;

/// A handshake under way.
#[derive(Debug)]
pub(crate) struct ClientHandshake {
    client_random: [u8; 32],
    server_random: [u8; 32],
    /// What was offered, and in the end what was chosen.
    suites: Vec<CipherSuite>,
    has_extended_master_secret: bool,
    ids: ConnectionIds,
    /// What the server may put on records to us; none if that is not offered.
    offered_id: Option<ConnectionId>,
    dialogue: Dialogue,
    expected: Expected,
    server_certificate: Option<CertificateChain>,
    server_public: Vec<u8>,
    secrets: Option<(Master, Session)>,
}

/// What the server must say next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// Or a HelloVerifyRequest.
    ServerHello,
    Certificate,
    /// With a pre-shared key, it may be left out.
    KeyExchange,
    /// It may be left out.
    CertificateRequest,
    /// After a request for a certificate.
    HelloDone,
    Finished,
}

/// How far a handshake is.
#[derive(Debug)]
pub(crate) enum ClientProgress {
    /// More must come.
    UnderWay,
    /// It is done.
    Done(Identity, Box<Session>),
}

/// What a handshake needs from around it.
pub(crate) struct ClientContext<'c> {
    pub(crate) now: Time,
    pub(crate) config: &'c ClientConfig,
    pub(crate) generator: &'c mut Generator,
    /// Datagrams to the server.
    pub(crate) out: &'c mut Vec<Vec<u8>>,
}

impl ClientHandshake {
    /// Begins with a ClientHello.
    pub(crate) fn begin(context: &mut ClientContext<'_>) -> Self {
        let config = context.config;
        let has_certificate = matches!(config.credential, ClientCredential::Certificate(_));
        let suites = config.suites.iter().copied().filter(|suite| suite.uses_certificates() == has_certificate);
        let offered_id =
            (config.connection_ids == ConnectionIdUse::Used).then(|| ConnectionId::new(0, context.generator.draw()));
        let incoming = Reassembly::new(0, HANDSHAKE_BYTES_MAX);
        let mut handshake = Self {
            client_random: context.generator.draw(),
            server_random: [0; 32],
            suites: suites.collect(),
            has_extended_master_secret: config.extended_master_secret != ExtendedMasterSecret::NotUsed,
            ids: ConnectionIds::default(),
            offered_id,
            dialogue: Dialogue::new(incoming, 0, 0, config.datagram_bytes_max, config.retransmission),
            expected: Expected::ServerHello,
            server_certificate: None,
            server_public: Vec::new(),
            secrets: None,
        };
        handshake.say_hello(&[], context);
        handshake
    }

    fn say_hello(&mut self, cookie: &[u8], context: &mut ClientContext<'_>) {
        let extensions = Extensions {
            has_extended_master_secret: self.has_extended_master_secret,
            connection_id: self.offered_id.as_ref().map(ConnectionId::as_bytes),
            ..Extensions::of_client()
        };
        let hello = ClientHello::write(&self.client_random, cookie, &self.suites, &extensions);
        // RFC 6347 §4.2.1: what was said before the cookie does not count.
        self.dialogue.transcript.clear();
        self.dialogue.say(MessageType::CLIENT_HELLO, hello);
        self.dialogue.transmit(context.now, None, context.out);
    }

    /// When the server should have answered.
    pub(crate) const fn due(&self) -> Time {
        self.dialogue.due()
    }

    /// The server has not answered in time.
    pub(crate) fn on_due(&mut self, context: &mut ClientContext<'_>) -> Result<(), HandshakeError> {
        if !self.dialogue.may_retry(context.config.retransmission) {
            return Err(HandshakeError::TimedOut);
        }
        let session = self.secrets.as_mut().map(|(_, session)| session);
        self.dialogue.transmit(context.now, session, context.out);
        Ok(())
    }

    /// A record of the server came.
    pub(crate) fn handle_record(
        &mut self,
        record: &Record<'_>,
        context: &mut ClientContext<'_>,
    ) -> Result<ClientProgress, HandshakeError> {
        if record.epoch > 0 {
            let Some((_, session)) = &mut self.secrets else { return Ok(ClientProgress::UnderWay) };
            return match session.open(record) {
                Ok(opened) if opened.content_type == ContentType::Handshake => {
                    self.on_messages(&opened.text, Protection::Session, context)
                }
                _ => Ok(ClientProgress::UnderWay),
            };
        }
        match record.content_type {
            ContentType::Handshake => self.on_messages(record.body, Protection::None, context),
            ContentType::Alert => match Alert::parse(record.body) {
                Some((AlertLevel::Fatal, alert)) => Err(HandshakeError::Alert(alert)),
                _ => Ok(ClientProgress::UnderWay),
            },
            _ => Ok(ClientProgress::UnderWay),
        }
    }

    fn on_messages(
        &mut self,
        body: &[u8],
        protection: Protection,
        context: &mut ClientContext<'_>,
    ) -> Result<ClientProgress, HandshakeError> {
        let mut reader = Reader::new(body);
        while let Some(fragment) = Fragment::read(&mut reader) {
            if !protection.suits(fragment.message_type) {
                break;
            }
            if !self.dialogue.incoming.push(&fragment) {
                return Err(HandshakeError::Malformed);
            }
        }
        while let Some(message) = self.dialogue.incoming.pop() {
            if let ClientProgress::Done(identity, session) = self.on_message(&message, context)? {
                return Ok(ClientProgress::Done(identity, session));
            }
        }
        Ok(ClientProgress::UnderWay)
    }

    fn on_message(
        &mut self,
        message: &Message,
        context: &mut ClientContext<'_>,
    ) -> Result<ClientProgress, HandshakeError> {
        let message_type = message.message_type;
        match (self.expected, message_type) {
            (Expected::ServerHello, MessageType::HELLO_VERIFY_REQUEST) => {
                self.on_verify_request(message, context)?;
            }
            (Expected::ServerHello, MessageType::SERVER_HELLO) => self.on_server_hello(message, context)?,
            (Expected::Certificate, MessageType::CERTIFICATE) => self.on_certificate(message, context)?,
            (Expected::KeyExchange, MessageType::SERVER_KEY_EXCHANGE) => self.on_key_exchange(message)?,
            (Expected::CertificateRequest, MessageType::CERTIFICATE_REQUEST) => {
                self.dialogue.hear(message);
                self.expected = Expected::HelloDone;
            }
            (_, MessageType::SERVER_HELLO_DONE) => self.on_hello_done(message, context)?,
            (Expected::Finished, MessageType::FINISHED) => return self.on_finished(message, context.config),
            _ => return Err(HandshakeError::Unexpected),
        }
        Ok(ClientProgress::UnderWay)
    }

    fn on_verify_request(&mut self, message: &Message, context: &mut ClientContext<'_>) -> Result<(), HandshakeError> {
        let mut reader = Reader::new(&message.body);
        let cookie = reader.u16().and_then(|_| reader.vector8()).ok_or(HandshakeError::Malformed)?;
        self.dialogue.begin_flight(context.config.retransmission);
        self.say_hello(cookie, context);
        Ok(())
    }

    fn on_server_hello(&mut self, message: &Message, context: &ClientContext<'_>) -> Result<(), HandshakeError> {
        let hello = ServerHello::parse(&message.body).ok_or(HandshakeError::Malformed)?;
        if hello.version != Version::DTLS_1_2 {
            return Err(HandshakeError::Version);
        }
        self.suites.retain(|suite| suite.code() == hello.suite);
        let suite = *self.suites.first().ok_or(HandshakeError::Illegal)?;
        let agrees = hello.extensions.has_extended_master_secret;
        if agrees && !self.has_extended_master_secret {
            return Err(HandshakeError::Illegal);
        }
        if !agrees && context.config.extended_master_secret == ExtendedMasterSecret::Required {
            return Err(HandshakeError::NoExtendedMasterSecret);
        }
        self.has_extended_master_secret = agrees;
        self.ids = match (hello.extensions.connection_id, self.offered_id) {
            (None, _) => ConnectionIds::default(),
            (Some(theirs), Some(ours)) if theirs.len() <= THEIRS_BYTES_MAX => {
                ConnectionIds { ours: Some(ours), theirs: theirs.into() }
            }
            (Some(_), _) => return Err(HandshakeError::Illegal),
        };
        self.server_random = hello.random;
        self.expected = if suite.uses_certificates() { Expected::Certificate } else { Expected::KeyExchange };
        self.dialogue.hear(message);
        Ok(())
    }

    fn on_certificate(&mut self, message: &Message, context: &ClientContext<'_>) -> Result<(), HandshakeError> {
        let ClientCredential::Certificate(certificates) = &context.config.credential else {
            return Err(HandshakeError::Unexpected);
        };
        let chain = read_chain(&message.body)?;
        let verified = certificates.trusted.verify(context.now, &chain, KeyPurpose::ServerAuthentication);
        verified.map_err(|_| HandshakeError::Certificate)?;
        self.server_certificate = Some(chain);
        self.dialogue.hear(message);
        self.expected = Expected::KeyExchange;
        Ok(())
    }

    fn on_key_exchange(&mut self, message: &Message) -> Result<(), HandshakeError> {
        // With pre-shared keys it has a hint in it, of which nothing is made.
        if let Some(certificate) = &self.server_certificate {
            let exchange = ServerKeyExchange::parse(&message.body).ok_or(HandshakeError::Malformed)?;
            let signed = signed(&self.client_random, &self.server_random, exchange.parameters);
            if !is_signed_by(certificate.own(), exchange.signature.scheme, &signed, exchange.signature.bytes) {
                return Err(HandshakeError::Signature);
            }
            self.server_public = exchange.public.to_vec();
        }
        self.dialogue.hear(message);
        self.expected = Expected::CertificateRequest;
        Ok(())
    }

    /// The server has said everything: the client answers with its whole last flight.
    fn on_hello_done(&mut self, message: &Message, context: &mut ClientContext<'_>) -> Result<(), HandshakeError> {
        let is_expected = matches!(
            (self.expected, &context.config.credential),
            (Expected::KeyExchange | Expected::CertificateRequest, ClientCredential::PreSharedKey { .. })
                | (Expected::CertificateRequest | Expected::HelloDone, ClientCredential::Certificate(_))
        );
        if !is_expected || !message.body.is_empty() {
            return Err(HandshakeError::Unexpected);
        }
        let is_asked = self.expected == Expected::HelloDone;
        self.dialogue.hear(message);
        self.dialogue.begin_flight(context.config.retransmission);
        let premaster = match &context.config.credential {
            ClientCredential::PreSharedKey { identity, key } => {
                self.dialogue.say(MessageType::CLIENT_KEY_EXCHANGE, write_identity(identity));
                psk_premaster(key.as_bytes())
            }
            ClientCredential::Certificate(certificates) => {
                if is_asked {
                    self.dialogue.say(MessageType::CERTIFICATE, certificates.own.message());
                }
                let ephemeral = Ephemeral::draw(context.generator);
                self.dialogue.say(MessageType::CLIENT_KEY_EXCHANGE, write_public(&ephemeral.public()));
                ephemeral.agree(&self.server_public).ok_or(HandshakeError::Illegal)?
            }
        };
        let (master, mut session) = self.derive(&premaster);
        if let (ClientCredential::Certificate(certificates), true) = (&context.config.credential, is_asked) {
            let mut verify = Vec::new();
            put_signature(&mut verify, &certificates.own.sign(&self.dialogue.transcript));
            self.dialogue.say(MessageType::CERTIFICATE_VERIFY, verify);
        }
        let verify_data = master.verify_data(Finisher::Client, &self.dialogue.transcript);
        self.dialogue.change_cipher_spec();
        self.dialogue.say(MessageType::FINISHED, verify_data.to_vec());
        self.dialogue.transmit(context.now, Some(&mut session), context.out);
        self.secrets = Some((master, session));
        self.expected = Expected::Finished;
        Ok(())
    }

    fn derive(&mut self, premaster: &[u8]) -> (Master, Session) {
        let master = if self.has_extended_master_secret {
            Master::extended(premaster, &self.dialogue.transcript)
        } else {
            Master::plain(premaster, &self.client_random, &self.server_random)
        };
        let keys = master.record_keys(&self.client_random, &self.server_random);
        let suite = *self.suites.first().expect("a suite was chosen before the server was done");
        let session = Session::new(suite.aead(), keys.server, keys.client, std::mem::take(&mut self.ids));
        (master, session)
    }

    fn on_finished(&mut self, message: &Message, config: &ClientConfig) -> Result<ClientProgress, HandshakeError> {
        let (master, session) = self.secrets.take().ok_or(HandshakeError::Unexpected)?;
        let expected = master.verify_data(Finisher::Server, &self.dialogue.transcript);
        if !bool::from(subtle::ConstantTimeEq::ct_eq(&expected[..], &message.body[..])) {
            return Err(HandshakeError::Finished);
        }
        let identity = match (&config.credential, self.server_certificate.take()) {
            (_, Some(certificate)) => Identity::Certificate(certificate),
            (ClientCredential::PreSharedKey { identity, key }, None) => {
                Identity::PreSharedKey { identity: identity.clone(), key: key.clone() }
            }
            (ClientCredential::Certificate(_), None) => return Err(HandshakeError::Certificate),
        };
        Ok(ClientProgress::Done(identity, Box::new(session)))
    }

    /// The datagram that tells the server why nothing comes of it.
    pub(crate) fn alert(&mut self, alert: Alert) -> Vec<u8> {
        self.dialogue.plain_alert(alert.to_bytes(AlertLevel::Fatal))
    }
}
