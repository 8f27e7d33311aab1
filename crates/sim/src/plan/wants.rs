//! What a seed draws of what people want.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use bugle_core::platform::{Direct, DirectGroup, Direction, GroupDirection, Nest, Submitted, Unnest};
use bugle_core::{
    Abort, Activation, Allocation, CollapseKey, Content, FailuresMax, GroupId, InitialState, LateJoiners, Operation,
    Pacing, Priority, Receipt, Sleepers, WakeEffort, Waker,
};

use super::{Draw, application_id, gateway_id, group_id, peripheral_id};
use crate::work::{Choice, Regret, Since, Work};

impl Draw {
    pub(super) fn works(&mut self) -> Vec<(Duration, Work)> {
        let count = 2 + self.random.index(60);
        (0..count).map(|_| (self.moment(), self.work())).collect()
    }

    fn work(&mut self) -> Work {
        let application = self.random.index(self.applications);
        match self.random.of(0..100) {
            0..46 => Work::Submit { application, submitted: self.submitted(), regret: self.regret() },
            46..56 => Work::Cancel { application, choice: Choice::OfLast(self.random.next()) },
            56..70 => Work::Direct { application, direct: self.direct(application) },
            70..83 => Work::DirectGroup { application, direct: self.direct_group(application) },
            83..87 => Work::Nest { application, nest: self.nest(application) },
            87..89 => {
                let Nest { application: of, outer, inner } = self.nest(application);
                Work::Unnest { application, unnest: Unnest { application: of, outer, inner } }
            }
            89..94 => {
                let (not_before, submitted) = (self.random.seconds(0..60), self.submitted());
                Work::Schedule { application, not_before, submitted: Box::new(submitted) }
            }
            _ => {
                let peripheral = self.random.index(self.peripherals);
                let allocation = self.allocation(peripheral);
                Work::Edit { gateway: self.random.index(self.gateways), allocation }
            }
        }
    }

    fn regret(&mut self) -> Option<Regret> {
        let random = &mut self.random;
        let longest = *random.pick(&[1, 300, 3_000, 15_000]);
        let after = random.millis(0..longest);
        let since = *random.pick(&[Since::Accepted, Since::Sent]);
        random.chance(300).then_some(Regret { since, after })
    }

    fn submitted(&mut self) -> Submitted {
        let group = group_id(self.random.index(self.groups));
        // Each another and none a part of another, so that who sees it knows the request by it.
        self.words += 1;
        let content = Content::text(crate::work::word(self.words));
        let (pacing, abort) = (self.pacing(), self.abort());
        let random = &mut self.random;
        let collapse_key = random.chance(200).then(|| {
            let key = *random.pick(&["setting", "tariff"]);
            CollapseKey::new(key).expect("a collapse key")
        });
        Submitted {
            group,
            operation: Operation::Message { content },
            activation: random
                .pick(&[
                    Activation::All,
                    Activation::All,
                    Activation::All,
                    Activation::None,
                    Activation::Count(1),
                    Activation::Percentage(50),
                    Activation::Labels("zone=north".parse().expect("a selector")),
                    Activation::Labels("zone!=north,!spare".parse().expect("a selector")),
                ])
                .clone(),
            sleepers: if random.chance(750) { Sleepers::Queue } else { Sleepers::Skip },
            receipt: if random.chance(500) { Receipt::Delivered } else { Receipt::Executed },
            late_joiners: if random.chance(250) { LateJoiners::Include } else { LateJoiners::Exclude },
            lifespan: random.seconds(1..120),
            priority: *random.pick(&[Priority::Normal, Priority::Normal, Priority::Urgent, Priority::Background]),
            pacing,
            abort,
            collapse_key,
        }
    }

    /// How fast something may go: often as fast as it can.
    pub(super) fn pacing(&mut self) -> Pacing {
        let random = &mut self.random;
        if random.chance(500) {
            return Pacing::default();
        }
        let mut number = |per_mille, most| {
            let number = random.of(1..most) as u32;
            NonZeroU32::new(number).filter(|_| random.chance(per_mille))
        };
        Pacing {
            members_per_second: number(500, 4),
            members_in_flight: number(500, 4),
            activations_per_minute: number(800, 6),
        }
    }

    fn abort(&mut self) -> Option<Abort> {
        let random = &mut self.random;
        let failures = if random.chance(500) {
            FailuresMax::Count(random.of(0..4) as u32)
        } else {
            FailuresMax::Percentage(random.of(0..60) as u8)
        };
        let minimum = random.of(0..4) as u32;
        random.chance(200).then_some(Abort { failures, minimum })
    }

    fn direct(&mut self, application: usize) -> Direct {
        let number = self.random.index(self.peripherals);
        let direction = match self.random.of(0..100) {
            0..30 => Direction::Allocate(Box::new(self.allocation_of(number, application))),
            30..40 => Direction::Remove,
            40..52 => Direction::Release,
            52..64 => Direction::Block,
            64..74 => Direction::Deregister,
            74..86 => Direction::Standby,
            _ => Direction::Activate,
        };
        Direct {
            application: Some(application_id(application)),
            gateway: gateway_id(self.random.index(self.gateways)),
            peripheral: peripheral_id(number),
            direction,
        }
    }

    fn direct_group(&mut self, application: usize) -> DirectGroup {
        let direction = if self.random.chance(500) { GroupDirection::Activate } else { GroupDirection::Standby };
        let group = group_id(self.random.index(self.groups));
        DirectGroup { application: application_id(application), group, direction }
    }

    fn nest(&mut self, application: usize) -> Nest {
        // One that no allocation names lies around others, too.
        let outer = group_id(self.random.index(self.groups + 1));
        let inner = group_id(self.random.index(self.groups));
        Nest { application: application_id(application), outer, inner }
    }

    pub(super) fn allocation(&mut self, peripheral: usize) -> Allocation {
        // A peripheral has an application of its own, mostly.
        let application = if self.random.chance(900) { peripheral } else { self.random.next() as usize };
        self.allocation_of(peripheral, application % self.applications)
    }

    fn allocation_of(&mut self, peripheral: usize, application: usize) -> Allocation {
        let first = group_id(self.random.index(self.groups));
        let groups: BTreeSet<GroupId> =
            (0..self.groups).filter(|_| self.random.chance(600)).map(group_id).chain([first]).collect();
        let (waker, labels) = (self.waker(), self.labels());
        // A device that registers for longer than its allocation lets it would come and go.
        let is_client = peripheral < self.peripherals - self.devices;
        let random = &mut self.random;
        Allocation {
            peripheral: peripheral_id(peripheral),
            application: application_id(application),
            groups,
            initial_state: if random.chance(60) { InitialState::Blocked } else { InitialState::Allocated },
            credential: None,
            waker,
            labels,
            lifetime: (is_client && random.chance(300)).then(|| random.seconds(10..200)),
            idle: random.chance(200).then(|| random.seconds(5..60)),
        }
    }

    fn waker(&mut self) -> Waker {
        let random = &mut self.random;
        let effort = WakeEffort {
            time_limit: random.seconds(2..20),
            tries: random.of(1..4) as u8,
            back_off: random.seconds(1..15),
        };
        match random.of(0..10) {
            0..2 => Waker::Window,
            2..5 => Waker::WakeOnLan { mac: "02:00:5e:10:00:01".parse().expect("an address"), broadcast: None, effort },
            5..8 => Waker::Coap { uri: "coap://192.0.2.250/wake".parse().expect("a URI"), effort },
            _ => Waker::Exec { program: "wake".into(), arguments: vec!["{peripheral}".into()], effort },
        }
    }

    fn labels(&mut self) -> BTreeMap<String, String> {
        let zone = (*self.random.pick(&["north", "south"])).to_owned();
        let mut labels = BTreeMap::from([("zone".to_owned(), zone)]);
        if self.random.chance(200) {
            labels.insert("spare".into(), "yes".into());
        }
        labels
    }
}
