//! A handshake, seen from the server.
//!
//! ```text
//!   client                                             server
//! 1 ClientHello                       ──────────────▶                      stateless: see `cookie.rs`
//!                                     ◀──────────────  HelloVerifyRequest
//! 2 ClientHello with cookie           ──────────────▶  here this begins
//! 3                                   ◀──────────────  ServerHello, [Certificate, ServerKeyExchange,
//!                                                      CertificateRequest,] ServerHelloDone
//! 4 [Certificate,] ClientKeyExchange, ──────────────▶
//!   [CertificateVerify,] ChangeCipherSpec, Finished
//! 5                                   ◀──────────────  ChangeCipherSpec, Finished
//! ```
//!
//! What is in brackets is there with certificates, and not with pre-shared keys. With a pre-shared key that is not
//! known, everything goes on under a key that nobody has.

use bugle_core::Time;
use bugle_core::certificate::{CertificateChain, KeyPurpose};
use bugle_core::credential::PreSharedKey;

use super::dialogue::{Dialogue, Protection};
use super::key_exchange::{
    Signature, certificate_request, put_signature, read_identity, read_public, signed, write_parameters,
};
use super::reassembly::{Message, Reassembly};
use crate::certificate::{is_signed_by, read_chain};
use crate::config::{Config, ConnectionIdUse, ExtendedMasterSecret};
use crate::connection_id::{ConnectionId, THEIRS_BYTES_MAX};
use crate::credential::Identity;
use crate::crypto::{Ephemeral, Finisher, Generator, Master, psk_premaster};
use crate::error::HandshakeError;
use crate::session::{ConnectionIds, Session, Unopened};
use crate::suite::CipherSuite;
use crate::wire::{
    Alert, AlertLevel, ClientHello, ContentType, Extensions, Fragment, MessageType, Reader, Record, ServerHello,
    Version, put_plain,
};

/// What a handshake needs from around it.
pub(crate) struct Context<'c> {
    pub(crate) now: Time,
    pub(crate) config: &'c Config,
    /// Finds the key of an identity.
    pub(crate) keys: &'c dyn Fn(&[u8]) -> Option<PreSharedKey>,
    pub(crate) generator: &'c mut Generator,
    /// Datagrams to the peer.
    pub(crate) out: &'c mut Vec<Vec<u8>>,
}

/// The ClientHello with a valid cookie that a handshake begins with.
pub(crate) struct Start<'d> {
    pub(crate) hello: ClientHello<'d>,
    pub(crate) fragment: Fragment<'d>,
    /// Of the record that it came in.
    pub(crate) record_sequence: u64,
    /// Where the association is kept.
    pub(crate) place: u32,
}

/// A handshake under way.
#[derive(Debug)]
pub(crate) struct ServerHandshake {
    client_random: [u8; 32],
    server_random: [u8; 32],
    suite: CipherSuite,
    has_extended_master_secret: bool,
    ids: ConnectionIds,
    dialogue: Dialogue,
    expected: Expected,
    /// Of the server's own key exchange, with certificates.
    ephemeral: Option<Ephemeral>,
    certificate: Option<CertificateChain>,
    /// The identity that was claimed, with pre-shared keys, and the key for it, if there is one.
    claimed: Option<(Vec<u8>, Option<PreSharedKey>)>,
    secrets: Option<(Master, Session)>,
}

/// What the client must say next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Certificate,
    ClientKeyExchange,
    CertificateVerify,
    Finished,
}

/// How far a handshake is.
#[derive(Debug)]
pub(crate) enum ServerProgress {
    /// More must come.
    UnderWay,
    /// It is done.
    Done(Identity, Box<(Session, Farewell)>),
}

/// The server's last flight, which is sent again when the client repeats its own (RFC 6347 §4.2.4).
#[derive(Debug)]
pub(crate) struct Farewell {
    message_sequence: u16,
    next_record: u64,
    verify_data: [u8; 12],
}

impl Farewell {
    /// Sends it again.
    pub(crate) fn repeat(&mut self, session: &mut Session) -> Vec<u8> {
        let mut datagram = Vec::new();
        let version = Version::DTLS_1_2;
        put_plain(&mut datagram, ContentType::ChangeCipherSpec, version, self.next_record, &[1]);
        self.next_record += 1;
        let mut finished = Vec::new();
        crate::wire::put_message(&mut finished, MessageType::FINISHED, self.message_sequence, &self.verify_data);
        session.seal(ContentType::Handshake, &finished, &mut datagram);
        datagram
    }
}

impl ServerHandshake {
    /// Answers a ClientHello with a valid cookie (steps 2 and 3).
    pub(crate) fn begin(start: &Start<'_>, context: &mut Context<'_>) -> Result<Self, HandshakeError> {
        let Start { hello, fragment, record_sequence, place } = start;
        let config = context.config;
        // Versions of DTLS count down. Whoever speaks a later one also speaks 1.2.
        if hello.version.0 > Version::DTLS_1_2.0 {
            return Err(HandshakeError::Version);
        }
        let suite = choose_suite(config, hello).ok_or(HandshakeError::NoCommonSuite)?;
        let offers_binding = hello.extensions.has_extended_master_secret;
        if config.extended_master_secret == ExtendedMasterSecret::Required && !offers_binding {
            return Err(HandshakeError::NoExtendedMasterSecret);
        }
        let incoming = Reassembly::new(fragment.sequence.wrapping_add(1), config.limits.handshake_bytes_max);
        // RFC 6347 §4.2.1: the numbers go on from those of the ClientHello, since none was kept before.
        let dialogue = Dialogue::new(
            incoming,
            fragment.sequence,
            *record_sequence,
            config.datagram_bytes_max,
            config.retransmission,
        );
        let mut handshake = Self {
            client_random: hello.random,
            server_random: context.generator.draw(),
            suite,
            has_extended_master_secret: offers_binding
                && config.extended_master_secret != ExtendedMasterSecret::NotUsed,
            ids: choose_ids(config, hello, *place, context.generator),
            dialogue,
            expected: if suite.uses_certificates() { Expected::Certificate } else { Expected::ClientKeyExchange },
            ephemeral: None,
            certificate: None,
            claimed: None,
            secrets: None,
        };
        handshake.dialogue.hear(&Message {
            message_type: MessageType::CLIENT_HELLO,
            sequence: fragment.sequence,
            body: fragment.body.to_vec(),
        });
        handshake.say_hello(hello, context);
        handshake.dialogue.transmit(context.now, None, context.out);
        Ok(handshake)
    }

    fn say_hello(&mut self, hello: &ClientHello<'_>, context: &mut Context<'_>) {
        let extensions = Extensions {
            has_extended_master_secret: self.has_extended_master_secret,
            has_renegotiation_info: hello.extensions.has_renegotiation_info,
            has_point_formats: hello.extensions.has_point_formats && self.suite.uses_certificates(),
            connection_id: self.ids.ours.as_ref().map(ConnectionId::as_bytes),
            ..Extensions::default()
        };
        let server_hello = ServerHello::write(&self.server_random, self.suite, &extensions);
        self.dialogue.say(MessageType::SERVER_HELLO, server_hello);
        if let Some(certificates) = context.config.certificates.as_ref().filter(|_| self.suite.uses_certificates()) {
            self.dialogue.say(MessageType::CERTIFICATE, certificates.own.message());
            let ephemeral = Ephemeral::draw(context.generator);
            let mut exchange = write_parameters(&ephemeral.public());
            let signed = signed(&self.client_random, &self.server_random, &exchange);
            put_signature(&mut exchange, &certificates.own.sign(&signed));
            self.ephemeral = Some(ephemeral);
            self.dialogue.say(MessageType::SERVER_KEY_EXCHANGE, exchange);
            self.dialogue.say(MessageType::CERTIFICATE_REQUEST, certificate_request());
        }
        self.dialogue.say(MessageType::SERVER_HELLO_DONE, Vec::new());
    }

    /// Whether the handshake began with this ClientHello.
    pub(crate) fn began_with(&self, hello: &ClientHello<'_>) -> bool {
        self.client_random == hello.random
    }

    /// The client has not heard us: everything again.
    pub(crate) fn repeat(&mut self, context: &mut Context<'_>) {
        self.dialogue.transmit(context.now, None, context.out);
    }

    /// When the client should have answered.
    pub(crate) const fn due(&self) -> Time {
        self.dialogue.due()
    }

    /// The client has not answered in time.
    pub(crate) fn on_due(&mut self, context: &mut Context<'_>) -> Result<(), HandshakeError> {
        if !self.dialogue.may_retry(context.config.retransmission) {
            return Err(HandshakeError::TimedOut);
        }
        self.repeat(context);
        Ok(())
    }

    /// A record of the client came.
    pub(crate) fn handle_record(
        &mut self,
        record: &Record<'_>,
        context: &mut Context<'_>,
    ) -> Result<ServerProgress, HandshakeError> {
        if record.epoch > 0 {
            return self.on_protected(record, context);
        }
        match record.content_type {
            ContentType::Handshake => self.on_messages(record.body, Protection::None, context),
            ContentType::Alert => match Alert::parse(record.body) {
                Some((AlertLevel::Fatal, alert)) => Err(HandshakeError::Alert(alert)),
                _ => Ok(ServerProgress::UnderWay),
            },
            // RFC 6347 §4.2.4: that what follows is protected shows in its epoch.
            _ => Ok(ServerProgress::UnderWay),
        }
    }

    fn on_protected(
        &mut self,
        record: &Record<'_>,
        context: &mut Context<'_>,
    ) -> Result<ServerProgress, HandshakeError> {
        // What overtook the messages that the keys come from comes again.
        let Some((_, session)) = &mut self.secrets else { return Ok(ServerProgress::UnderWay) };
        match session.open(record) {
            Ok(opened) if opened.content_type == ContentType::Handshake => {
                self.on_messages(&opened.text, Protection::Session, context)
            }
            Ok(_) | Err(Unopened::Foreign | Unopened::Replayed) => Ok(ServerProgress::UnderWay),
            // The first that is protected does not open: the client has other keys. It had better know at once.
            Err(Unopened::Forged) => Err(match self.claimed {
                Some((_, None)) => HandshakeError::UnknownIdentity,
                _ => HandshakeError::WrongKey,
            }),
        }
    }

    fn on_messages(
        &mut self,
        body: &[u8],
        protection: Protection,
        context: &mut Context<'_>,
    ) -> Result<ServerProgress, HandshakeError> {
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
            if let ServerProgress::Done(identity, end) = self.on_message(&message, context)? {
                return Ok(ServerProgress::Done(identity, end));
            }
        }
        Ok(ServerProgress::UnderWay)
    }

    /// Step 4.
    fn on_message(&mut self, message: &Message, context: &mut Context<'_>) -> Result<ServerProgress, HandshakeError> {
        match (self.expected, message.message_type) {
            (Expected::Certificate, MessageType::CERTIFICATE) => self.on_certificate(message, context)?,
            (Expected::ClientKeyExchange, MessageType::CLIENT_KEY_EXCHANGE) => {
                self.on_key_exchange(message, context)?;
            }
            (Expected::CertificateVerify, MessageType::CERTIFICATE_VERIFY) => self.on_certificate_verify(message)?,
            (Expected::Finished, MessageType::FINISHED) => return self.on_finished(message, context),
            _ => return Err(HandshakeError::Unexpected),
        }
        Ok(ServerProgress::UnderWay)
    }

    fn on_certificate(&mut self, message: &Message, context: &Context<'_>) -> Result<(), HandshakeError> {
        let chain = read_chain(&message.body)?;
        let certificates = context.config.certificates.as_ref().ok_or(HandshakeError::Unexpected)?;
        let verified = certificates.trusted.verify(context.now, &chain, KeyPurpose::ClientAuthentication);
        verified.map_err(|_| HandshakeError::Certificate)?;
        self.certificate = Some(chain);
        self.dialogue.hear(message);
        self.expected = Expected::ClientKeyExchange;
        Ok(())
    }

    fn on_key_exchange(&mut self, message: &Message, context: &mut Context<'_>) -> Result<(), HandshakeError> {
        let premaster = if let Some(ephemeral) = &self.ephemeral {
            let public = read_public(&message.body).ok_or(HandshakeError::Malformed)?;
            self.expected = Expected::CertificateVerify;
            ephemeral.agree(public).ok_or(HandshakeError::Illegal)?
        } else {
            let identity = read_identity(&message.body).ok_or(HandshakeError::Malformed)?;
            // Drawn for known identities too, so that nobody can tell by the time that it takes.
            let nobodys = context.generator.draw::<16>();
            let key = (context.keys)(identity);
            let premaster = psk_premaster(key.as_ref().map_or(&nobodys[..], PreSharedKey::as_bytes));
            self.claimed = Some((identity.to_vec(), key));
            self.expected = Expected::Finished;
            premaster
        };
        self.dialogue.hear(message);
        let master = if self.has_extended_master_secret {
            Master::extended(&premaster, &self.dialogue.transcript)
        } else {
            Master::plain(&premaster, &self.client_random, &self.server_random)
        };
        let keys = master.record_keys(&self.client_random, &self.server_random);
        let session = Session::new(self.suite.aead(), keys.client, keys.server, std::mem::take(&mut self.ids));
        self.secrets = Some((master, session));
        Ok(())
    }

    fn on_certificate_verify(&mut self, message: &Message) -> Result<(), HandshakeError> {
        let signature = Signature::parse(&message.body).ok_or(HandshakeError::Malformed)?;
        let certificate = self.certificate.as_ref().ok_or(HandshakeError::Unexpected)?;
        if !is_signed_by(certificate.own(), signature.scheme, &self.dialogue.transcript, signature.bytes) {
            return Err(HandshakeError::Signature);
        }
        self.dialogue.hear(message);
        self.expected = Expected::Finished;
        Ok(())
    }

    /// Step 5.
    fn on_finished(&mut self, message: &Message, context: &mut Context<'_>) -> Result<ServerProgress, HandshakeError> {
        let (master, mut session) = self.secrets.take().ok_or(HandshakeError::Unexpected)?;
        let expected = master.verify_data(Finisher::Client, &self.dialogue.transcript);
        if !bool::from(subtle::ConstantTimeEq::ct_eq(&expected[..], &message.body[..])) {
            return Err(HandshakeError::Finished);
        }
        let identity = match (self.certificate.take(), &self.claimed) {
            (Some(certificate), _) => Identity::Certificate(certificate),
            (None, Some((identity, Some(key)))) => {
                Identity::PreSharedKey { identity: identity.clone(), key: key.clone() }
            }
            _ => return Err(HandshakeError::UnknownIdentity),
        };
        self.dialogue.hear(message);
        let verify_data = master.verify_data(Finisher::Server, &self.dialogue.transcript);
        self.dialogue.begin_flight(context.config.retransmission);
        self.dialogue.change_cipher_spec();
        let message_sequence = self.dialogue.say(MessageType::FINISHED, verify_data.to_vec());
        self.dialogue.transmit(context.now, Some(&mut session), context.out);
        let farewell = Farewell { message_sequence, next_record: self.dialogue.next_record(), verify_data };
        Ok(ServerProgress::Done(identity, Box::new((session, farewell))))
    }

    /// The connection id that the client will use, if it was agreed on.
    pub(crate) fn connection_id(&self) -> Option<ConnectionId> {
        self.secrets.as_ref().map_or(self.ids.ours, |(_, session)| session.connection_id())
    }

    /// The datagram that tells the client why nothing comes of it.
    pub(crate) fn alert(&mut self, alert: Alert) -> Vec<u8> {
        self.dialogue.plain_alert(alert.to_bytes(AlertLevel::Fatal))
    }

    /// The identity that the client claimed, if it came that far.
    pub(crate) fn into_claimed(self) -> Option<Vec<u8>> {
        self.claimed.map(|(identity, _)| identity)
    }
}

fn choose_suite(config: &Config, hello: &ClientHello<'_>) -> Option<CipherSuite> {
    let has_certificates = config.certificates.is_some() && hello.extensions.allows_our_curve();
    let is_possible =
        |suite: &CipherSuite| config.suites.contains(suite) && (has_certificates || !suite.uses_certificates());
    hello.known_suites().find(is_possible)
}

fn choose_ids(config: &Config, hello: &ClientHello<'_>, place: u32, generator: &mut Generator) -> ConnectionIds {
    match hello.extensions.connection_id {
        Some(theirs) if config.connection_ids == ConnectionIdUse::Used && theirs.len() <= THEIRS_BYTES_MAX => {
            ConnectionIds { ours: Some(ConnectionId::new(place, generator.draw())), theirs: theirs.into() }
        }
        _ => ConnectionIds::default(),
    }
}
