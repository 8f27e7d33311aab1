//! Who is allocated, who is registered, and who is in which group.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thin_vec::ThinVec;

use crate::credential::PreSharedKey;
use crate::{
    Allocation, ApplicationId, Credential, GroupId, GroupRequest, InitialState, Origin, PeripheralId, Presence,
    Priority, RegistrationId, RequestId, Stage, State, Time, Waker,
};

use super::activation::Waking;
use super::distribution::{EarlyAnswer, InFlight};
use super::{Hold, Reach};

/// Where a peripheral is in the gateway's tables, in memory and on disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u32);

impl Slot {
    /// The slot of this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {}", self.0)
    }
}

/// What many allocations have in common, kept once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Profile {
    pub(super) application: ApplicationId,
    pub(super) groups: Arc<BTreeSet<GroupId>>,
    pub(super) initial_state: InitialState,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) waker: Waker,
    pub(super) lifetime: Option<Duration>,
    pub(super) idle: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Peripheral {
    pub(super) id: PeripheralId,
    pub(super) profile: Arc<Profile>,
    pub(super) credential: Option<Box<Credential>>,
    pub(super) origin: Origin,
    pub(super) is_blocked: bool,
    pub(super) next_delivery: u16,
    pub(super) registration: Option<Box<Registration>>,
}

#[derive(Debug)]
pub(super) struct Registration {
    pub(super) id: RegistrationId,
    pub(super) groups: Arc<BTreeSet<GroupId>>,
    pub(super) lifetime: Millis,
    pub(super) lease_until: Time,
    pub(super) presented: [u8; 16],
    pub(super) presence: Presence,
    pub(super) last_word: Time,
    pub(super) held: Held,
    pub(super) reach: Reach,
    /// Whether it was in standby before, and so may be again soon.
    pub(super) is_sleeper: bool,
    pub(super) last_activated: Time,
    /// How it is being woken, which mostly it is not.
    pub(super) waking: Option<Box<Waking>>,
    /// Requests for it, by priority and in order of acceptance; the first may be in flight.
    pub(super) waiting: ThinVec<Waiting>,
    pub(super) in_flight: Option<InFlight>,
    /// It rarely comes.
    pub(super) early_answer: Option<EarlyAnswer>,
}

/// A duration in half the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Millis(u64);

impl From<Duration> for Millis {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<Millis> for Duration {
    fn from(Millis(millis): Millis) -> Self {
        Self::from_millis(millis)
    }
}

/// A short duration in a quarter of the bytes: of more than 49 days it is 49 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShortMillis(u32);

impl From<Duration> for ShortMillis {
    fn from(duration: Duration) -> Self {
        Self(u32::try_from(duration.as_millis()).unwrap_or(u32::MAX))
    }
}

impl From<ShortMillis> for Duration {
    fn from(ShortMillis(millis): ShortMillis) -> Self {
        Self::from_millis(millis.into())
    }
}

/// What keeps a registration alive now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// A connection: its lifetime does not count.
    ByConnection,
    /// The peripheral's word; one that sleeps by itself is awake for so long after each.
    ByWord { awake: Option<ShortMillis> },
    /// Nothing: its connection is gone.
    Not,
}

impl From<Hold> for Held {
    fn from(hold: Hold) -> Self {
        match hold {
            Hold::Connection => Self::ByConnection,
            Hold::Word { awake } => Self::ByWord { awake: awake.map(ShortMillis::from) },
        }
    }
}

impl Registration {
    pub(super) fn lifetime(&self) -> Duration {
        self.lifetime.into()
    }

    /// Whether it is another than before.
    pub(super) fn set_lifetime(&mut self, lifetime: Duration) -> bool {
        let lifetime = lifetime.into();
        std::mem::replace(&mut self.lifetime, lifetime) != lifetime
    }

    /// When it is over, if nothing is heard of the peripheral before.
    pub(super) fn over_at(&self) -> Time {
        self.last_word + self.lifetime()
    }

    /// Puts a request behind all that it does not overtake: those of its own priority, and one that the
    /// peripheral may have already.
    pub(super) fn wait(&mut self, waiting: Waiting) {
        let is_begun = self.waiting.first().is_some_and(|first| self.in_flight.is_some() || first.tries > 0);
        let last = self.waiting.iter().rposition(|other| other.priority <= waiting.priority);
        let position = last.map_or(0, |last| last + 1).max(usize::from(is_begun));
        self.waiting.insert(position, waiting);
    }

    /// The request that can be put to it now, if one can.
    pub(super) fn ready_for(&self) -> Option<RequestId> {
        let is_ready = self.presence == Presence::Active && self.reach == Reach::Open && self.in_flight.is_none();
        self.waiting.first().filter(|_| is_ready).map(|waiting| waiting.request)
    }

    pub(super) fn position_of(&self, request: RequestId) -> Option<usize> {
        self.waiting.iter().position(|waiting| waiting.request == request)
    }

    pub(super) fn waking(&self) -> Waking {
        self.waking.as_deref().copied().unwrap_or_default()
    }

    pub(super) fn waking_mut(&mut self) -> &mut Waking {
        self.waking.get_or_insert_default()
    }

    /// Nothing that waits wakes it any more.
    pub(super) fn call_no_more(&mut self) {
        self.waiting.iter_mut().for_each(|waiting| waiting.activates = false);
        if let Some(waking) = &mut self.waking {
            waking.ask_no_more();
        }
    }
}

/// A request that waits for one member.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) request: RequestId,
    pub(super) priority: Priority,
    pub(super) delivery: u16,
    /// Whether the member is activated for it, if it is in standby and was not since.
    pub(super) activates: bool,
    /// Whether it may have been sent before.
    pub(super) is_repeat: bool,
    /// How often it was sent.
    pub(super) tries: u8,
    /// Where the member was last seen.
    pub(super) stage: Stage,
}

impl Peripheral {
    pub(super) fn state(&self, is_asking: bool) -> State {
        match &self.registration {
            Some(registration) => registration.presence.into(),
            None if is_asking => State::Registering,
            None if self.is_blocked => State::Blocked,
            None => State::Allocated,
        }
    }

    pub(super) fn allocation(&self) -> Allocation {
        let profile = &*self.profile;
        Allocation {
            peripheral: self.id.clone(),
            application: profile.application.clone(),
            groups: BTreeSet::clone(&profile.groups),
            initial_state: profile.initial_state,
            credential: self.credential.as_deref().cloned(),
            waker: profile.waker.clone(),
            labels: profile.labels.clone(),
            lifetime: profile.lifetime,
            idle: profile.idle,
        }
    }
}

#[derive(Debug)]
pub(super) struct Registry {
    slots: Vec<Option<Peripheral>>,
    free: BTreeSet<Slot>,
    by_id: HashMap<PeripheralId, Slot>,
    /// Those whose pre-shared key has an identity other than the peripheral id.
    by_identity: HashMap<String, Slot>,
    profiles: BTreeSet<Arc<Profile>>,
    members: BTreeMap<(ApplicationId, GroupId), BTreeSet<Slot>>,
    registered: usize,
    seed: u64,
}

impl Registry {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            slots: Vec::new(),
            free: BTreeSet::new(),
            by_id: HashMap::new(),
            by_identity: HashMap::new(),
            profiles: BTreeSet::new(),
            members: BTreeMap::new(),
            registered: 0,
            seed,
        }
    }

    pub(super) fn slot(&self, peripheral: &PeripheralId) -> Option<Slot> {
        self.by_id.get(peripheral).copied()
    }

    /// Whom an identity may be of: whoever is allocated with it, or else is called the same.
    pub(super) fn slot_of_identity(&self, identity: &str) -> Option<Slot> {
        let by_id = || self.slot(&PeripheralId::new(identity).ok()?);
        self.by_identity.get(identity).copied().or_else(by_id)
    }

    pub(super) fn pre_shared_key(&self, identity: &str) -> Option<&PreSharedKey> {
        let slot = self.slot_of_identity(identity)?;
        match self.peripheral(slot)?.credential.as_deref()? {
            Credential::PreSharedKey { identity: known, key } => {
                let known = known.as_deref().unwrap_or(self.peripheral(slot)?.id.as_str());
                (known == identity).then_some(key)
            }
            Credential::Password { .. } | Credential::Certificate { .. } => None,
        }
    }

    pub(super) fn peripheral(&self, slot: Slot) -> Option<&Peripheral> {
        self.slots.get(slot.index())?.as_ref()
    }

    pub(super) fn peripheral_mut(&mut self, slot: Slot) -> Option<&mut Peripheral> {
        self.slots.get_mut(slot.index())?.as_mut()
    }

    pub(super) fn registered(&self, slot: Slot) -> Option<&Peripheral> {
        self.peripheral(slot).filter(|peripheral| peripheral.registration.is_some())
    }

    pub(super) fn registered_mut(&mut self, slot: Slot) -> Option<&mut Peripheral> {
        self.peripheral_mut(slot).filter(|peripheral| peripheral.registration.is_some())
    }

    pub(super) fn registration(&self, slot: Slot) -> Option<&Registration> {
        self.peripheral(slot)?.registration.as_deref()
    }

    pub(super) fn registration_mut(&mut self, slot: Slot) -> Option<&mut Registration> {
        self.peripheral_mut(slot)?.registration.as_deref_mut()
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) const fn registered_len(&self) -> usize {
        self.registered
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = (Slot, &Peripheral)> {
        self.slots_after(None)
    }

    pub(super) fn slots_after(&self, after: Option<Slot>) -> impl Iterator<Item = (Slot, &Peripheral)> {
        let number = |index: usize| Slot(u32::try_from(index).expect("slots are numbered with 32 bits"));
        let first = after.map_or(0, |slot| slot.index() + 1);
        let rest = self.slots.iter().enumerate().skip(first);
        rest.filter_map(move |(index, entry)| Some((number(index), entry.as_ref()?)))
    }

    /// A slot that nobody is in.
    pub(super) fn vacant(&self) -> Slot {
        let next = || Slot(u32::try_from(self.slots.len()).expect("slots are numbered with 32 bits"));
        self.free.first().copied().unwrap_or_else(next)
    }

    /// Puts an allocation into a slot, in place of the one that was there for the same peripheral.
    pub(super) fn put(&mut self, slot: Slot, allocation: Allocation, origin: Origin, is_blocked: bool) {
        let profile = self.intern(Profile {
            application: allocation.application,
            groups: Arc::new(allocation.groups),
            initial_state: allocation.initial_state,
            labels: allocation.labels,
            waker: allocation.waker,
            lifetime: allocation.lifetime,
            idle: allocation.idle,
        });
        let credential = allocation.credential.map(Box::new);
        while self.slots.len() <= slot.index() {
            let vacant = Slot(u32::try_from(self.slots.len()).expect("slots are numbered with 32 bits"));
            self.free.insert(vacant);
            self.slots.push(None);
        }
        self.free.remove(&slot);
        self.forget_identity(slot);
        if let Some(Credential::PreSharedKey { identity: Some(identity), .. }) = credential.as_deref() {
            self.by_identity.insert(identity.clone(), slot);
        }
        let next_delivery = self.first_delivery(slot);
        match &mut self.slots[slot.index()] {
            Some(peripheral) => {
                let former = std::mem::replace(&mut peripheral.profile, profile);
                peripheral.credential = credential;
                peripheral.origin = origin;
                peripheral.is_blocked = is_blocked;
                self.release_profile(former);
            }
            vacant => {
                self.by_id.insert(allocation.peripheral.clone(), slot);
                *vacant = Some(Peripheral {
                    id: allocation.peripheral,
                    profile,
                    credential,
                    origin,
                    is_blocked,
                    next_delivery,
                    registration: None,
                });
            }
        }
    }

    fn forget_identity(&mut self, slot: Slot) {
        let Some(peripheral) = self.peripheral(slot) else { return };
        let Some(Credential::PreSharedKey { identity: Some(identity), .. }) = peripheral.credential.as_deref() else {
            return;
        };
        let identity = identity.clone();
        if self.by_identity.get(&identity) == Some(&slot) {
            self.by_identity.remove(&identity);
        }
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        self.forget_identity(slot);
        let Some(peripheral) = self.slots.get_mut(slot.index()).and_then(Option::take) else { return };
        assert!(peripheral.registration.is_none(), "a registration ends before its allocation");
        self.by_id.remove(&peripheral.id);
        self.free.insert(slot);
        self.release_profile(peripheral.profile);
    }

    pub(super) fn register(&mut self, slot: Slot, registration: Registration) {
        let peripheral = self.slots[slot.index()].as_mut().expect("only the allocated register");
        for group in registration.groups.iter() {
            let key = (peripheral.profile.application.clone(), group.clone());
            self.members.entry(key).or_default().insert(slot);
        }
        let former = peripheral.registration.replace(Box::new(registration));
        assert!(former.is_none(), "a registration ends before the next");
        self.registered += 1;
    }

    pub(super) fn deregister(&mut self, slot: Slot) -> Option<Box<Registration>> {
        let peripheral = self.slots.get_mut(slot.index())?.as_mut()?;
        let registration = peripheral.registration.take()?;
        for group in registration.groups.iter() {
            let key = (peripheral.profile.application.clone(), group.clone());
            if let Some(members) = self.members.get_mut(&key) {
                members.remove(&slot);
                if members.is_empty() {
                    self.members.remove(&key);
                }
            }
        }
        self.registered -= 1;
        Some(registration)
    }

    /// The registered members of a group.
    pub(super) fn members_of(&self, application: &ApplicationId, group: &GroupId) -> impl Iterator<Item = Slot> {
        self.members.get(&(application.clone(), group.clone())).into_iter().flatten().copied()
    }

    /// The registered members of a request's groups, each once.
    pub(super) fn members(&self, request: &GroupRequest) -> Vec<Slot> {
        let of = |group: &GroupId| self.members.get(&(request.application.clone(), group.clone()));
        let mut members: Vec<Slot> = request.groups().filter_map(of).flatten().copied().collect();
        members.sort_unstable();
        members.dedup();
        members
    }

    fn intern(&mut self, profile: Profile) -> Arc<Profile> {
        if let Some(known) = self.profiles.get(&profile) {
            return Arc::clone(known);
        }
        let profile = Arc::new(profile);
        self.profiles.insert(Arc::clone(&profile));
        profile
    }

    fn release_profile(&mut self, profile: Arc<Profile>) {
        // One is the table's own, one is this.
        if Arc::strong_count(&profile) == 2 {
            self.profiles.remove(&profile);
        }
    }

    /// Where the numbers of the deliveries to a slot start: different after every start, so that one
    /// given out before a crash is hardly met again while a peripheral still remembers it.
    fn first_delivery(&self, slot: Slot) -> u16 {
        let mixed = (self.seed ^ u64::from(slot.0)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 48) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_is_small() {
        assert!(size_of::<Registration>() <= 128, "{}", size_of::<Registration>());
    }
}
