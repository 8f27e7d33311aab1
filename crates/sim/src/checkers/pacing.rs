//! At no instant are more deliveries begun, more under way, or more wake-ups sent than the gateway and the
//! request allow, whatever dies meanwhile.
//!
//! What counts is what leaves a gateway. What CoAP sends again by itself is no new delivery, and one that CoAP
//! holds back, because its peer has another exchange in progress, may leave at any time. A delivery is under
//! way until its outcome is on disk, its peripheral is cut off, or the gateway has died.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use bugle_core::gateway::{Change, Slot};
use bugle_core::{GatewayId, Pacing, PeripheralId, Presence, RequestId, Time, UpEntry};

use super::Checker;
use super::places::Places;
use crate::fact::{Carrier, Fact};
use crate::network::Moment;
use crate::state::State;

type Member = (GatewayId, PeripheralId);
/// A gateway as a whole, or one request at it.
type Account = (GatewayId, Option<RequestId>);

#[derive(Debug)]
pub(super) struct Pace {
    allowed: BTreeMap<Account, Pacing>,
    begun: BTreeMap<Account, VecDeque<Time>>,
    woken: BTreeMap<Account, VecDeque<Time>>,
    places: Places,
    under_way: BTreeMap<Member, RequestId>,
    /// All that was ever sent.
    sent: BTreeSet<(Member, RequestId)>,
    now: Time,
}

impl Pace {
    /// With the pacing of each gateway.
    pub(super) fn new(gateways: impl Iterator<Item = (GatewayId, Pacing)>) -> Self {
        Self {
            allowed: gateways.map(|(gateway, pacing)| ((gateway, None), pacing)).collect(),
            begun: BTreeMap::new(),
            woken: BTreeMap::new(),
            places: Places::default(),
            under_way: BTreeMap::new(),
            sent: BTreeSet::new(),
            now: Time::ZERO,
        }
    }
}

impl Checker for Pace {
    fn promise(&self) -> &'static str {
        "pacing and wake budgets are never exceeded"
    }

    fn observe(&mut self, moment: Moment, fact: &Fact<'_>) -> Result<(), String> {
        if moment.at > self.now {
            self.count_under_way()?;
            self.now = moment.at;
        }
        match fact {
            Fact::GatewayKept { gateway, change } => return self.kept(gateway, change),
            Fact::Sent { gateway, peripheral, request, carrier, .. } => {
                let member = ((*gateway).clone(), (*peripheral).clone());
                let is_first = self.sent.insert((member.clone(), *request));
                if is_first || *carrier == Carrier::Stream {
                    self.under_way.insert(member, *request);
                    return if *carrier == Carrier::HeldBack { Ok(()) } else { self.begin(gateway, *request) };
                }
            }
            Fact::Received { gateway, peripheral, request, .. } => {
                let member = ((*gateway).clone(), (*peripheral).clone());
                if !self.sent.contains(&(member, *request)) {
                    return Err(format!("{peripheral} got request {request}, and nobody saw it leave {gateway}"));
                }
            }
            Fact::WakeSent { gateway, request, .. } => {
                for account in accounts(gateway, *request) {
                    let count = self.allowed.get(&account).and_then(|pacing| pacing.activations_per_minute);
                    let times = self.woken.entry(account.clone()).or_default();
                    tally(times, self.now, count, Pacing::MINUTE)
                        .map_err(|count| format!("{account:?} sends more than {count} wake-ups in a minute"))?;
                }
            }
            Fact::CutOff { gateway, peripheral } => {
                self.under_way.remove(&((*gateway).clone(), (*peripheral).clone()));
            }
            Fact::GatewayDied { gateway } => self.under_way.retain(|(at, _), _| at != *gateway),
            _ => {}
        }
        Ok(())
    }

    fn conclude(&mut self, _: &State<'_>) -> Result<(), String> {
        self.count_under_way()
    }
}

impl Pace {
    fn kept(&mut self, gateway: &GatewayId, change: &Change) -> Result<(), String> {
        self.places.observe(gateway, change);
        match change {
            Change::Taken(stored) => {
                let account = (gateway.clone(), Some(stored.request.id));
                self.allowed.insert(account, stored.request.pacing);
            }
            Change::Presence { slot, presence, .. } if *presence != Presence::Active => {
                self.cut_off(gateway, *slot)?;
            }
            Change::Registered { slot, .. } | Change::Deregistered { slot } | Change::Removed { slot } => {
                self.cut_off(gateway, *slot)?;
            }
            Change::Up { entry: UpEntry::Receipts { request, receipts }, .. } => {
                for receipt in receipts {
                    let member = (gateway.clone(), receipt.peripheral.clone());
                    if self.under_way.get(&member) == Some(request) {
                        self.under_way.remove(&member);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn cut_off(&mut self, gateway: &GatewayId, slot: Slot) -> Result<(), String> {
        let peripheral = self.places.at(gateway, slot)?;
        self.under_way.remove(&(gateway.clone(), peripheral));
        Ok(())
    }

    fn begin(&mut self, gateway: &GatewayId, request: RequestId) -> Result<(), String> {
        for account in accounts(gateway, Some(request)) {
            let count = self.allowed.get(&account).and_then(|pacing| pacing.members_per_second);
            let times = self.begun.entry(account.clone()).or_default();
            tally(times, self.now, count, Pacing::SECOND)
                .map_err(|count| format!("{account:?} begins more than {count} deliveries in a second"))?;
        }
        Ok(())
    }

    /// What changes within an instant is one change.
    fn count_under_way(&self) -> Result<(), String> {
        let mut counts: BTreeMap<Account, u32> = BTreeMap::new();
        for ((gateway, _), request) in &self.under_way {
            for account in accounts(gateway, Some(*request)) {
                *counts.entry(account).or_default() += 1;
            }
        }
        for (account, count) in counts {
            let most = self.allowed.get(&account).and_then(|pacing| pacing.members_in_flight);
            if most.is_some_and(|most| count > most.get()) {
                return Err(format!("{count} deliveries of {account:?} are under way: {:?}", self.under_way));
            }
        }
        Ok(())
    }
}

fn accounts(gateway: &GatewayId, request: Option<RequestId>) -> impl Iterator<Item = Account> {
    let of_request = request.map(|request| (gateway.clone(), Some(request)));
    std::iter::once((gateway.clone(), None)).chain(of_request)
}

/// Counts one more now; the bound, if that is more than it within any time as long as `per`.
fn tally(times: &mut VecDeque<Time>, now: Time, count: Option<NonZeroU32>, per: Duration) -> Result<(), u32> {
    let Some(count) = count else { return Ok(()) };
    times.push_back(now);
    if times.len() <= count.get() as usize {
        return Ok(());
    }
    match times.pop_front() {
        Some(first) if now - first < per => Err(count.get()),
        _ => Ok(()),
    }
}
