//! The town of the story: its street lamps and meters, and which groups they belong to.

use bugle_core::{ApplicationId, GatewayId, GroupId, PeripheralId};

/// The fewest peripherals with which everything in the story can happen.
pub(crate) const PERIPHERALS_MIN: u32 = 6;
/// The most that one demonstration takes.
pub(crate) const PERIPHERALS_MAX: u32 = 1_000;

/// Who lives where.
#[derive(Debug)]
pub(crate) struct Town {
    pub(crate) application: ApplicationId,
    /// Two of them.
    pub(crate) gateways: [GatewayId; 2],
    /// All are in it, at both gateways.
    pub(crate) street: GroupId,
    pub(crate) lamps: GroupId,
    pub(crate) meters: GroupId,
    /// The lamps first, then the meters; each kind at both gateways.
    pub(crate) peripherals: Vec<Resident>,
    /// Who has no allocation.
    pub(crate) stranger: PeripheralId,
}

/// A peripheral of the town.
#[derive(Debug, Clone)]
pub(crate) struct Resident {
    pub(crate) id: PeripheralId,
    pub(crate) kind: Kind,
    pub(crate) speaks: Speaks,
    /// At the first gateway, or the second.
    pub(crate) gateway: usize,
}

/// What a peripheral speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// MQTT, with a password.
    Mqtt,
    /// LwM2M under DTLS, with a pre-shared key.
    Lwm2m,
}

/// What a peripheral is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Always on.
    Lamp,
    /// Runs on a battery, and sleeps.
    Meter,
}

impl Town {
    /// A town with so many peripherals, half of them lamps.
    pub(crate) fn new(peripherals: u32) -> Self {
        let lamps = peripherals.div_ceil(2);
        let named = |kind, prefix: &'static str, count: u32| {
            (1..=count).map(move |number| Resident {
                id: PeripheralId::new(format!("{prefix}-{number:02}")).expect("the name is plain"),
                kind,
                // Two lamps of four, so that both gateways have both.
                speaks: if kind == Kind::Lamp && matches!(number % 4, 3 | 0) { Speaks::Lwm2m } else { Speaks::Mqtt },
                gateway: (number as usize + 1) % 2,
            })
        };
        let all = named(Kind::Lamp, "lamp", lamps).chain(named(Kind::Meter, "meter", peripherals - lamps));
        Self {
            application: ApplicationId::new("town").expect("the name is plain"),
            gateways: ["east", "west"].map(|name| GatewayId::new(name).expect("the name is plain")),
            street: group("mill-street"),
            lamps: group("lamps"),
            meters: group("meters"),
            peripherals: all.collect(),
            stranger: PeripheralId::new("stranger").expect("the name is plain"),
        }
    }

    /// How many are of this kind.
    pub(crate) fn count(&self, kind: Kind) -> u64 {
        self.peripherals.iter().filter(|resident| resident.kind == kind).count() as u64
    }

    /// How many speak so.
    pub(crate) fn speakers(&self, speaks: Speaks) -> u64 {
        self.peripherals.iter().filter(|resident| resident.speaks == speaks).count() as u64
    }

    /// The groups of a peripheral of this kind.
    pub(crate) fn groups(&self, kind: Kind) -> [&GroupId; 2] {
        match kind {
            Kind::Lamp => [&self.lamps, &self.street],
            Kind::Meter => [&self.meters, &self.street],
        }
    }

    /// Places in the list of the peripherals of this kind.
    pub(crate) fn places(&self, kind: Kind) -> impl DoubleEndedIterator<Item = usize> + '_ {
        self.peripherals.iter().enumerate().filter(move |(_, resident)| resident.kind == kind).map(|(place, _)| place)
    }
}

fn group(name: &str) -> GroupId {
    GroupId::new(name).expect("the name is plain")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_at_both_gateways_from_the_smallest_town_on() {
        let town = Town::new(PERIPHERALS_MIN);
        assert_eq!((town.count(Kind::Lamp), town.count(Kind::Meter)), (3, 3));
        for kind in [Kind::Lamp, Kind::Meter] {
            for gateway in [0, 1] {
                let found = town.peripherals.iter().any(|known| known.kind == kind && known.gateway == gateway);
                assert!(found, "{kind:?} at {gateway}");
            }
        }
        assert_eq!(town.peripherals[0].id.as_str(), "lamp-01");
        assert_eq!(town.peripherals[0].gateway, 0);
        assert_eq!((town.speakers(Speaks::Lwm2m), town.speakers(Speaks::Mqtt)), (1, 5));
    }

    #[test]
    fn a_town_may_be_empty() {
        assert!(Town::new(0).peripherals.is_empty());
    }
}
