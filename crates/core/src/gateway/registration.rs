//! Registering: a peripheral asks, the application decides.
//!
//! 1. The M2M user has allocated the peripheral (`allocating.rs`).
//! 2. The peripheral asks, with its id and what shows who it is: [`Gateway::handle_registration`].
//! 3. The allocation is found by the peripheral id, and the credential checked. Nobody's peripheral
//!    is refused and reported once; a blocked one is refused. One that is registered, shows what it
//!    showed when it was authorized, and whose lease is running is re-admitted at once.
//! 4. The asking goes to the application, through the up log.
//! 5. The application authenticates and authorizes.
//! 6. Its decision comes down: `decide`.
//! 7. On yes the peripheral is active and is answered; on no it is back in its initial state and is
//!    told. No answer in time: `on_undecided` has it try again, while the asking goes on (`asks.rs`).
//!
//! More at once than applications are to be asked by are told when to try again (`admission.rs`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq;

use super::asks::{Ask, AskStage};
use super::outbox::Outbox;
use super::presented::{Presented, TransportIdentity, verify};
use super::registry::Registration;
use super::timers::Timer;
use super::{Change, Effect, Gateway, Link, Reach, Slot, StoredAsk, Undecided};
use crate::credential::PreSharedKey;
use crate::{
    Credential, Description, EndCause, Evidence, GroupId, PeripheralId, Presence, RegistrationAsked, RegistrationId,
    Stranger, Time, UpEntry, Verdict, limits,
};

/// A peripheral asks to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationRequest {
    /// Who it says it is.
    pub peripheral: PeripheralId,
    /// Whoever is to be answered, as the edge knows it.
    pub asker: u64,
    /// What it presents to show who it is.
    pub presented: Presented,
    /// What it says of itself.
    pub description: Description,
    /// Whether a connection holds the registration.
    pub hold: Hold,
}

/// What keeps a registration alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// A connection, for as long as it stands.
    Connection,
    /// The peripheral's word, each for the lifetime. One that sleeps by itself is awake for so long after
    /// each, unless its allocation says otherwise.
    Word {
        /// How long that is; none if it does not sleep.
        awake: Option<Duration>,
    },
}

/// Why a peripheral is not registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It has no allocation here.
    Unknown,
    /// It is blocked.
    Blocked,
    /// What it presents is not what its allocation wants.
    Credential,
    /// The application said no.
    ByApplication {
        /// Why.
        reason: String,
    },
    /// The application has not decided in time, or cannot be reached.
    Undecided {
        /// After how long it may try again.
        retry_after: Duration,
    },
    /// Too many ask at once.
    Busy {
        /// After how long it may try again.
        retry_after: Duration,
    },
    /// It asked again meanwhile, and that asking is the one that counts.
    Superseded,
}

/// Gives out the numbers of registrations, each once, across restarts.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    last: u64,
    reserved: u64,
}

impl Numbers {
    const RESERVED_AT_ONCE: u64 = 1_000;

    pub(super) const fn after(reserved: u64) -> Self {
        Self { last: reserved, reserved }
    }

    fn next(&mut self, outbox: &mut Outbox) -> RegistrationId {
        self.last += 1;
        if self.last > self.reserved {
            self.reserved = self.last + Self::RESERVED_AT_ONCE;
            outbox.record(Change::RegistrationsReserved { through: self.reserved });
        }
        RegistrationId::new(self.last)
    }
}

/// Whom the gateway has reported as a stranger, and when.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    reported: BTreeMap<PeripheralId, Time>,
    in_order: VecDeque<(Time, PeripheralId)>,
}

impl Strangers {
    /// Whether this one is to be reported now.
    fn is_news(&mut self, now: Time, peripheral: &PeripheralId) -> bool {
        while let Some((at, _)) = self.in_order.front()
            && (now - *at >= limits::STRANGER_REPORT_INTERVAL || self.in_order.len() >= limits::STRANGERS_MAX)
            && let Some((_, forgotten)) = self.in_order.pop_front()
        {
            self.reported.remove(&forgotten);
        }
        if self.reported.contains_key(peripheral) {
            return false;
        }
        self.reported.insert(peripheral.clone(), now);
        self.in_order.push_back((now, peripheral.clone()));
        true
    }
}

impl Gateway {
    /// A peripheral asks to register. [`Effect::Admitted`] or [`Effect::Refused`] follows for its asker.
    pub fn handle_registration(&mut self, now: Time, request: RegistrationRequest) {
        let asker = request.asker;
        if let Err(refusal) = self.consider(now, request) {
            self.outbox.effect(Effect::Refused { asker, refusal });
        }
        self.pump_all(now);
    }

    /// Whether a registered peripheral presented just this when it was authorized.
    #[must_use]
    pub fn has_presented(&self, slot: Slot, presented: &Presented) -> bool {
        let registration = self.registry.registration(slot);
        registration.is_some_and(|registration| registration.presented.ct_eq(&presented.digest()).into())
    }

    /// The pre-shared key of the allocation that is known by this identity.
    #[must_use]
    pub fn pre_shared_key(&self, identity: &str) -> Option<&PreSharedKey> {
        self.registry.pre_shared_key(identity)
    }

    /// Whether a peripheral has to show a certificate.
    #[must_use]
    pub fn wants_certificate(&self, peripheral: &PeripheralId) -> bool {
        let known = self.registry.slot(peripheral).and_then(|slot| self.registry.peripheral(slot));
        known.is_some_and(|known| matches!(known.credential.as_deref(), Some(Credential::Certificate { .. })))
    }

    /// Who is called so by the transport, where a protocol lets peripherals leave their name to that. Whether
    /// it is that peripheral, [`handle_registration`](Self::handle_registration) sees.
    #[must_use]
    pub fn name_by_transport(&self, identity: &TransportIdentity) -> Option<PeripheralId> {
        let name = identity.name()?;
        let known = self.registry.slot_of_identity(&name).and_then(|slot| self.registry.peripheral(slot));
        known.map(|peripheral| peripheral.id.clone()).or_else(|| PeripheralId::new(name).ok())
    }

    /// Whoever asked is gone. Whether that was before the answer: if not, an answer is on its way.
    pub fn handle_asker_gone(&mut self, now: Time, peripheral: &PeripheralId, asker: u64) -> bool {
        let Some(slot) = self.registry.slot(peripheral) else { return false };
        let is_early = self.asks.get(slot).is_some_and(|ask| ask.stage == AskStage::Attended { asker });
        if is_early {
            self.give_up_ask(now, slot);
        }
        is_early
    }

    fn consider(&mut self, now: Time, request: RegistrationRequest) -> Result<(), Refusal> {
        let Some(slot) = self.registry.slot(&request.peripheral) else {
            self.report_stranger(now, &request);
            return Err(Refusal::Unknown);
        };
        let peripheral = self.registry.peripheral(slot).expect("a slot that is found is taken");
        if peripheral.is_blocked {
            return Err(Refusal::Blocked);
        }
        let presented = request.presented.digest();
        let is_same = |known: &[u8; 16]| bool::from(known.ct_eq(&presented));
        let lifetime = request.description.lifetime.min(peripheral.profile.lifetime.unwrap_or(Duration::MAX));
        if let Some(registration) = &peripheral.registration
            && is_same(&registration.presented)
            && registration.lease_until > now
        {
            self.supersede_ask(now, slot);
            self.readmit(now, slot, request.asker, request.hold, lifetime);
            return Ok(());
        }
        if self.asks.get(slot).is_some_and(|ask| is_same(&ask.presented)) {
            self.ask_again(now, slot, &request, lifetime);
            return Ok(());
        }
        self.ask(now, slot, request, presented, lifetime)
    }

    /// Step 3: the application is asked already, or has answered when nobody waited.
    fn ask_again(&mut self, now: Time, slot: Slot, request: &RegistrationRequest, lifetime: Duration) {
        match self.asks.attend(slot, request.asker, request.hold, lifetime) {
            Some(AskStage::Granted { groups, lease_until }) => {
                let ask = self.close_ask(slot).expect("it was found a moment ago");
                self.admit(now, slot, &ask, request.asker, groups, lease_until);
            }
            Some(AskStage::Attended { asker }) => {
                self.outbox.effect(Effect::Refused { asker, refusal: Refusal::Superseded });
                self.limit_decision(now, slot);
            }
            Some(AskStage::Unattended { .. }) | None => self.limit_decision(now, slot),
        }
    }

    /// How long whoever asks now waits.
    fn limit_decision(&mut self, now: Time, slot: Slot) {
        if self.config.undecided == Undecided::Refuse {
            self.timers.set(Timer::Decision(slot), now + self.config.decision_time);
        }
    }

    /// Steps 3 and 4: shows the evidence to the application.
    fn ask(
        &mut self,
        now: Time,
        slot: Slot,
        request: RegistrationRequest,
        presented: [u8; 16],
        lifetime: Duration,
    ) -> Result<(), Refusal> {
        let peripheral = self.registry.peripheral(slot).expect("a slot that is found is taken");
        let verifier = verify(&peripheral.id, peripheral.credential.as_deref(), &request.presented)?;
        let retry_after = self.config.retry_after;
        if self.link == Link::Down && self.config.undecided == Undecided::Refuse {
            return Err(Refusal::Undecided { retry_after });
        }
        let application = peripheral.profile.application.clone();
        if !self.asks.has_room(&application) || !self.up_log.has_room() {
            return Err(Refusal::Busy { retry_after });
        }
        let outside = self.registry.len() - self.registry.registered_len();
        self.admission.enter(now, outside).map_err(|retry_after| Refusal::Busy { retry_after })?;
        // What it showed when it was authorized, shown again after the lease, renews a registration.
        // Anything else asks for a new one, so that a no to an impostor ends nothing.
        let renewed =
            peripheral.registration.as_ref().filter(|known| known.presented == presented).map(|known| known.id);
        let groups = Arc::clone(&peripheral.profile.groups);
        self.supersede_ask(now, slot);
        let registration = renewed.unwrap_or_else(|| self.registrations.next(&mut self.outbox));
        let is_attested = self.registry.peripheral(slot).is_some_and(|peripheral| peripheral.credential.is_some());
        let evidence = Evidence {
            attested: is_attested,
            password: verifier.map(|verifier| verifier.prove(&self.config.gateway, registration)),
            token: request.presented.token().map(str::to_owned),
            certificates: request.presented.certificates().cloned(),
        };
        let asked = RegistrationAsked {
            peripheral: request.peripheral,
            registration,
            groups: BTreeSet::clone(&groups),
            evidence,
            description: request.description,
        };
        self.outbox.record(Change::Asked(StoredAsk { slot, registration }));
        self.up_log.append(&mut self.outbox, UpEntry::RegistrationAsked { application: application.clone(), asked });
        let stage = AskStage::Attended { asker: request.asker };
        let ask = Ask { registration, application, groups, presented, lifetime, hold: request.hold, stage };
        self.asks.insert(slot, ask);
        self.limit_decision(now, slot);
        Ok(())
    }

    /// Steps 6 and 7: puts the application's decision in force.
    pub(super) fn decide(
        &mut self,
        now: Time,
        peripheral: &PeripheralId,
        registration: RegistrationId,
        verdict: Verdict,
    ) {
        let Some(slot) = self.registry.slot(peripheral) else { return };
        let Some(ask) = self.asks.get(slot).filter(|ask| ask.registration == registration) else {
            self.on_late_decision(now, slot, registration, &verdict);
            return;
        };
        let verdict = match verdict {
            Verdict::Refused { reason } => Err(reason),
            Verdict::Authorized { groups, lease } => {
                let groups: BTreeSet<GroupId> = groups.intersection(&ask.groups).cloned().collect();
                match groups {
                    groups if groups.is_empty() => {
                        self.refuse_invalid(now, slot);
                        return;
                    }
                    groups if groups == *ask.groups => Ok((Arc::clone(&ask.groups), lease)),
                    groups => Ok((Arc::new(groups), lease)),
                }
            }
        };
        match (verdict, &ask.stage) {
            (Ok((groups, lease)), &AskStage::Attended { asker }) => {
                let ask = self.close_ask(slot).expect("it was found a moment ago");
                self.admit(now, slot, &ask, asker, groups, now + lease);
            }
            (Ok((groups, lease)), AskStage::Unattended { .. } | AskStage::Granted { .. }) => {
                self.grant(now, slot, groups, lease);
            }
            (Err(reason), _) => {
                let ask = self.close_ask(slot).expect("it was found a moment ago");
                self.refuse(&ask, Refusal::ByApplication { reason });
                let is_renewal = self.registry.registration(slot).is_some_and(|known| known.id == registration);
                if is_renewal {
                    self.end(now, slot, EndCause::Refused);
                }
            }
        }
    }

    /// A yes that is none: it names no group of the peripheral.
    fn refuse_invalid(&mut self, now: Time, slot: Slot) {
        let Some(ask) = self.close_ask(slot) else { return };
        let reason = "the application named no group of this peripheral".into();
        self.refuse(&ask, Refusal::ByApplication { reason });
        self.end_ask(now, slot, &ask, EndCause::Refused);
    }

    /// A yes that nobody waits for any more is the peripheral's when it tries again, as it was told to: for as long
    /// as the lease, and at least until it can have tried.
    fn grant(&mut self, now: Time, slot: Slot, groups: Arc<BTreeSet<GroupId>>, lease: Duration) {
        self.asks.move_to(slot, AskStage::Granted { groups, lease_until: now + lease });
        self.timers.set(Timer::Decision(slot), now + lease.max(2 * self.config.retry_after));
    }

    /// A yes to an asking that was given up. The application has replaced an older registration by
    /// that one, and has heard that it ended: so the older one ends here too.
    fn on_late_decision(&mut self, now: Time, slot: Slot, decided: RegistrationId, verdict: &Verdict) {
        let is_older = self.registry.registration(slot).is_some_and(|known| known.id < decided);
        let is_asking = self.asks.contains(slot);
        if matches!(verdict, Verdict::Authorized { .. }) && is_older && !is_asking {
            self.dismiss(now, slot, EndCause::Unanswered);
        }
    }

    fn admit(
        &mut self,
        now: Time,
        slot: Slot,
        ask: &Ask,
        asker: u64,
        groups: Arc<BTreeSet<GroupId>>,
        lease_until: Time,
    ) {
        self.forget_in_flight(now, slot);
        let former = self.registry.deregister(slot);
        let is_sleeper = former.as_ref().is_some_and(|former| former.is_sleeper);
        let waiting = former.map(|former| former.waiting).unwrap_or_default();
        let (kept, left) = self.partition_waiting(&groups, waiting);
        let registration = Registration {
            id: ask.registration,
            groups,
            lifetime: ask.lifetime.into(),
            lease_until,
            presented: ask.presented,
            presence: Presence::Active,
            last_word: now,
            held: ask.hold.into(),
            reach: Reach::Closed,
            is_sleeper,
            last_activated: Time::ZERO,
            waking: None,
            waiting: kept,
            in_flight: None,
            early_answer: None,
        };
        self.registry.register(slot, registration);
        self.on_woken(slot);
        self.settle_left(now, slot, left);
        self.record_registration(slot);
        self.tell_presence(now, slot);
        self.watch(now, slot);
        self.join_late(now, slot);
        self.outbox.effect(Effect::Admitted { asker, slot, lifetime: ask.lifetime });
    }

    /// The peripheral says that it stays, with a new lifetime if it names one. [`Effect::Taken`] with `token`
    /// follows when that is durable.
    pub fn handle_renewal(&mut self, now: Time, slot: Slot, lifetime: Option<Duration>, token: u64) {
        self.handle_word(now, slot);
        let Some(peripheral) = self.registry.registered(slot) else { return };
        let longest = peripheral.profile.lifetime.unwrap_or(Duration::MAX);
        let registration = self.registry.registration_mut(slot).expect("it is registered");
        if lifetime.is_some_and(|lifetime| registration.set_lifetime(lifetime.min(longest))) {
            self.record_registration(slot);
        } else {
            self.record_word(slot);
        }
        self.watch(now, slot);
        self.outbox.effect(Effect::Taken { slot, token });
    }

    /// Step 3: the lease answers at once.
    fn readmit(&mut self, now: Time, slot: Slot, asker: u64, hold: Hold, lifetime: Duration) {
        let registration = self.registry.registration_mut(slot).expect("only the registered are re-admitted");
        registration.held = hold.into();
        registration.reach = Reach::Closed;
        registration.last_word = now;
        let has_new_lifetime = registration.set_lifetime(lifetime);
        self.forget_in_flight(now, slot);
        if has_new_lifetime {
            self.record_registration(slot);
        }
        self.change_presence(now, slot, Presence::Active);
        if matches!(hold, Hold::Word { .. }) {
            self.record_word(slot);
        }
        self.watch(now, slot);
        self.outbox.effect(Effect::Admitted { asker, slot, lifetime });
    }

    /// The application has not decided in time: whoever waits is to try again, and the asking goes on without. One
    /// that went on for long enough is over, as is a yes that nobody has come for.
    pub(super) fn on_undecided(&mut self, now: Time, slot: Slot) {
        let Some(ask) = self.asks.get(slot) else { return };
        let AskStage::Attended { asker } = ask.stage else {
            self.give_up_ask(now, slot);
            return;
        };
        let refusal = Refusal::Undecided { retry_after: self.config.retry_after };
        self.outbox.effect(Effect::Refused { asker, refusal });
        self.asks.move_to(slot, AskStage::Unattended { since: now });
        self.timers.set(Timer::Decision(slot), now + limits::ASKING_KEPT);
        while let Some(oldest) = self.asks.excess() {
            self.give_up_ask(now, oldest);
        }
    }

    /// Another asking takes the place of the one that waits.
    fn supersede_ask(&mut self, now: Time, slot: Slot) {
        let Some(ask) = self.close_ask(slot) else { return };
        self.refuse(&ask, Refusal::Superseded);
        self.end_ask(now, slot, &ask, EndCause::Unanswered);
    }

    /// Nobody waits for the answer any more.
    pub(super) fn give_up_ask(&mut self, now: Time, slot: Slot) {
        if let Some(ask) = self.close_ask(slot) {
            self.end_ask(now, slot, &ask, EndCause::Unanswered);
        }
    }

    /// The registration that an asking would renew has ended: a yes to it must not revive it.
    pub(super) fn refuse_renewal(&mut self, slot: Slot, ended: RegistrationId) {
        if self.asks.get(slot).is_some_and(|ask| ask.registration == ended)
            && let Some(ask) = self.close_ask(slot)
        {
            self.refuse(&ask, Refusal::Undecided { retry_after: self.config.retry_after });
        }
    }

    /// The M2M user has changed what the asking rests on.
    pub(super) fn refuse_ask(&mut self, now: Time, slot: Slot) {
        let Some(ask) = self.close_ask(slot) else { return };
        self.refuse(&ask, Refusal::Undecided { retry_after: self.config.retry_after });
        self.end_ask(now, slot, &ask, EndCause::User);
    }

    /// Tells whoever waits for an asking that it is over.
    fn refuse(&mut self, ask: &Ask, refusal: Refusal) {
        if let AskStage::Attended { asker } = ask.stage {
            self.outbox.effect(Effect::Refused { asker, refusal });
        }
    }

    fn close_ask(&mut self, slot: Slot) -> Option<Ask> {
        let ask = self.asks.remove(slot)?;
        self.timers.clear(Timer::Decision(slot));
        self.outbox.record(Change::AskEnded { slot });
        Some(ask)
    }

    /// Tells the application that an asking came to nothing, lest it believe in a registration that
    /// is not. A renewal that came to nothing leaves the registration as it was.
    fn end_ask(&mut self, now: Time, slot: Slot, ask: &Ask, cause: EndCause) {
        let is_renewal = self.registry.registration(slot).is_some_and(|known| known.id == ask.registration);
        if !is_renewal {
            self.tell_deregistered(now, slot, ask.registration, &ask.groups, cause);
        }
    }

    fn report_stranger(&mut self, now: Time, request: &RegistrationRequest) {
        if !self.up_log.has_room() || !self.strangers.is_news(now, &request.peripheral) {
            return;
        }
        let stranger = Stranger {
            peripheral: request.peripheral.clone(),
            protocol: request.description.protocol,
            address: request.description.address.clone(),
            at: now,
        };
        self.up_log.append(&mut self.outbox, UpEntry::Stranger(stranger));
    }
}
