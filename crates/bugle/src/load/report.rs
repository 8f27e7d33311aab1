//! What a measurement found: tables for people, and the same as data.

use bugle_core::Protocol;
use bugle_load::measure::{
    Admission, FanOutResult, FanOutResults, RawResult, RegistrationsResult, RegistrationsResults, ResidenceResult,
    Samples,
};
use serde::Serialize;

use super::recovery::Recovered;
use super::world::Security;
use crate::output::{facts, table};

/// What the peripherals of a measurement speak.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spoken {
    pub(crate) protocol: Protocol,
    pub(crate) security: Security,
}

impl Spoken {
    /// After how many they are.
    const fn manner(self) -> &'static str {
        match self.security {
            Security::Plain => "",
            Security::Dtls => " under DTLS",
        }
    }
}

/// One group request to all members.
#[derive(Debug, Serialize)]
pub(crate) struct FanOutReport {
    #[serde(flatten)]
    spoken: Spoken,
    members: usize,
    payload_bytes: usize,
    results: Vec<FanOutResult>,
    /// What each takes, as a multiple of what the first takes, until the last acknowledgement.
    ratios: Vec<f64>,
    /// How fast bugle works until the last receipt, as a share of the speed at which the datagrams alone go back and forth.
    share_of_raw: Option<f64>,
}

impl FanOutReport {
    pub(crate) fn new(spoken: Spoken, members: usize, payload_bytes: usize, results: FanOutResults) -> Self {
        let FanOutResults(results) = results;
        let ratios = match &results[..] {
            [yardstick, others @ ..] => {
                others.iter().filter_map(|other| other.acknowledged.ratio_to(&yardstick.acknowledged)).collect()
            }
            [] => Vec::new(),
        };
        let share = |result: &FanOutResult| result.raw.as_ref()?.pairwise_ratio_to(result.settled.as_ref()?);
        let share_of_raw = results.iter().find_map(share);
        Self { spoken, members, payload_bytes, results, ratios, share_of_raw }
    }

    /// In words.
    pub(crate) fn tell(&self) -> String {
        let rows = self.results.iter().map(|result| {
            let memory = result.memory_per_connection.map_or_else(|| "-".to_owned(), bytes);
            [
                result.target.to_owned(),
                millis(&result.received),
                millis(&result.acknowledged),
                result.settled.as_ref().map_or_else(|| "-".to_owned(), millis),
                memory,
            ]
        });
        let headings = ["at", "all have it", "all acknowledged", "all receipts in", "memory a connection"];
        let mut text = format!(
            "One message of {} bytes to {} members{}: medians, with the shortest and the longest.\n\n{}",
            self.payload_bytes,
            self.members,
            self.spoken.manner(),
            table(headings, rows, "Nothing was measured.")
        );
        if let [yardstick, others @ ..] = &self.results[..] {
            for (other, ratio) in others.iter().zip(&self.ratios).rev() {
                text += &format!(
                    "\n\nUntil the last acknowledgement, {} takes {ratio:.2} times as long as {}.",
                    other.target, yardstick.target
                );
            }
        }
        if let (Some(share), Some(raw)) = (self.share_of_raw, self.results.iter().find_map(|it| it.raw.as_ref())) {
            text += &format!(
                "\n\nThe same datagrams, right after each message and with nothing done to them, go back and forth in \
                 {}: until the last receipt, bugle works at {share:.2} of that speed.",
                millis(raw)
            );
        }
        text
    }
}

/// How fast peripherals register.
#[derive(Debug, Serialize)]
pub(crate) struct RegistrationsReport {
    #[serde(flatten)]
    spoken: Spoken,
    admission: Admission,
    results: Vec<Registered>,
}

#[derive(Debug, Serialize)]
struct Registered {
    #[serde(flatten)]
    result: RegistrationsResult,
    per_second: f64,
}

impl RegistrationsReport {
    pub(crate) fn new(spoken: Spoken, admission: Admission, results: RegistrationsResults) -> Self {
        let registered = |result: RegistrationsResult| Registered { per_second: result.per_second(), result };
        Self { spoken, admission, results: results.0.into_iter().map(registered).collect() }
    }

    /// In words.
    pub(crate) fn tell(&self) -> String {
        let rows = self.results.iter().map(|Registered { result, per_second }| {
            [
                result.target.to_owned(),
                result.peripherals.to_string(),
                millis(&result.accepted),
                millis(&result.ready),
                format!("{per_second:.0}"),
            ]
        });
        let on_whose_word = match self.admission {
            Admission::Application => "each on the application's word",
            Admission::Lease => "each anew, under its lease",
        };
        let headings = ["at", "peripherals", "all accepted", "all ready", "a second"];
        let rows = table(headings, rows, "Nothing was measured.");
        let manner = self.spoken.manner();
        format!("Registrations{manner}, {on_whose_word}: medians, with the shortest and the longest.\n\n{rows}")
    }
}

/// What a registered peripheral costs the gateway.
#[derive(Debug, Serialize)]
pub(crate) struct MemoryReport {
    #[serde(flatten)]
    spoken: Spoken,
    peripherals: usize,
    /// The gateway's memory without any peripheral, in bytes.
    empty: Option<u64>,
    /// With all of them allocated, in bytes.
    allocated: u64,
    /// With all of them registered, in bytes.
    registered: u64,
    bytes_per_registered_peripheral: u64,
    /// When they had been left alone, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_rest: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_registered_peripheral_at_rest: Option<u64>,
    /// The most since it was started with its allocations, in bytes.
    peak: u64,
}

impl MemoryReport {
    pub(crate) fn new(spoken: Spoken, empty: Option<u64>, result: ResidenceResult) -> Self {
        Self {
            spoken,
            peripherals: result.peripherals,
            empty,
            allocated: result.before,
            registered: result.after,
            bytes_per_registered_peripheral: result.per_peripheral(),
            at_rest: result.at_rest,
            bytes_per_registered_peripheral_at_rest: result.per_peripheral_at_rest(),
            peak: result.peak,
        }
    }

    /// In words.
    pub(crate) fn tell(&self) -> String {
        let each = |bytes: u64| bytes.checked_div(self.peripherals as u64).unwrap_or_default();
        let allocation = self.empty.map(|empty| format!("{} B", each(self.allocated.saturating_sub(empty))));
        let more = |bytes: u64| format!("{bytes} B more");
        facts([
            ("peripherals", Some(format!("{}{}", self.peripherals, self.spoken.manner()))),
            ("gateway without any", self.empty.map(bytes)),
            ("with all allocated", Some(bytes(self.allocated))),
            ("with all registered", Some(bytes(self.registered))),
            ("when they had rested", self.at_rest.map(bytes)),
            ("at most since its start", Some(bytes(self.peak))),
            ("an allocation", allocation),
            ("a registered peripheral", Some(more(self.bytes_per_registered_peripheral))),
            ("one that has rested", self.bytes_per_registered_peripheral_at_rest.map(more)),
        ])
    }
}

/// How soon a gateway with a large store is back.
#[derive(Debug, Serialize)]
pub(crate) struct RecoveryReport(pub(crate) Recovered);

impl RecoveryReport {
    /// In words.
    pub(crate) fn tell(&self) -> String {
        let found = &self.0;
        facts([
            ("allocations", Some(found.allocations.to_string())),
            ("registered, with a delivery waiting", Some(found.deliveries.to_string())),
            ("store", Some(bytes(found.store_bytes))),
            ("from the start until the first is served", Some(format!("{:.2} s", found.served_seconds))),
            ("memory then", Some(bytes(found.memory))),
            ("copy of the store meanwhile", Some(format!("{:.2} s", found.backup_seconds))),
        ])
    }
}

/// What the machine's sockets can do at all.
#[derive(Debug, Serialize)]
pub(crate) struct RawReport {
    request_bytes: usize,
    answer_bytes: usize,
    #[serde(flatten)]
    result: RawResult,
}

impl RawReport {
    pub(crate) const fn new(request_bytes: usize, answer_bytes: usize, result: RawResult) -> Self {
        Self { request_bytes, answer_bytes, result }
    }

    /// In words.
    pub(crate) fn tell(&self) -> String {
        let Self { request_bytes, answer_bytes, result } = self;
        facts([
            ("datagrams", Some(format!("{request_bytes} bytes there, {answer_bytes} bytes back"))),
            ("outstanding", Some(result.outstanding.to_string())),
            ("round trips a second", Some(format!("{:.0}", result.per_second))),
            ("10,000 round trips", Some(format!("{:.1} ms", result.time_for(10_000).as_secs_f64() * 1e3))),
            ("lost", Some(result.lost.to_string())),
        ])
    }
}

fn millis(samples: &Samples) -> String {
    let [median, shortest, longest] = {
        let (shortest, longest) = samples.range();
        [samples.median(), shortest, longest].map(|duration| duration.as_secs_f64() * 1e3)
    };
    format!("{median:.1} ms ({shortest:.1} to {longest:.1})")
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MQTT: Spoken = Spoken { protocol: Protocol::Mqtt5, security: Security::Plain };
    const LWM2M: Spoken = Spoken { protocol: Protocol::Lwm2m11, security: Security::Dtls };

    fn samples(millis: u64) -> Samples {
        let mut samples = Samples::default();
        samples.push(Duration::from_millis(millis));
        samples
    }

    fn fan_out(target: &'static str, millis: u64, settled: Option<u64>) -> FanOutResult {
        FanOutResult {
            target,
            received: samples(millis),
            acknowledged: samples(2 * millis),
            settled: settled.map(samples),
            raw: None,
            memory_per_connection: Some(3_000),
            memory: 30 << 20,
        }
    }

    #[test]
    fn a_table_ends_with_the_ratio() {
        let results = FanOutResults(vec![fan_out("mosquitto", 100, None), fan_out("bugle", 40, Some(90))]);
        let text = FanOutReport::new(MQTT, 1_000, 64, results).tell();
        assert!(text.contains("80.0 ms (80.0 to 80.0)"), "{text}");
        assert!(text.ends_with("bugle takes 0.40 times as long as mosquitto."), "{text}");
    }

    #[test]
    fn one_target_alone_has_no_ratio() {
        let text = FanOutReport::new(MQTT, 10, 64, FanOutResults(vec![fan_out("bugle", 1, None)])).tell();
        assert!(!text.contains("times"), "{text}");
    }

    #[test]
    fn the_speed_is_told_as_a_share_of_the_raw_limit() {
        let bugle = FanOutResult { raw: Some(samples(100)), ..fan_out("bugle", 40, Some(400)) };
        let text = FanOutReport::new(LWM2M, 1_000, 64, FanOutResults(vec![bugle])).tell();
        assert!(text.contains("1000 members under DTLS: "), "{text}");
        assert!(text.contains("in 100.0 ms (100.0 to 100.0)") && text.ends_with("0.25 of that speed."), "{text}");
    }

    #[test]
    fn memory_is_told_for_one_peripheral() {
        let result = ResidenceResult {
            target: "bugle",
            peripherals: 10,
            before: 20_000,
            after: 26_000,
            at_rest: None,
            peak: 31 << 20,
        };
        let text = MemoryReport::new(MQTT, Some(15_000), result).tell();
        assert!(text.contains("600 B more") && text.contains("500 B") && text.contains("31 MiB"), "{text}");
    }

    #[test]
    fn sizes_are_told_in_the_unit_that_suits_them() {
        assert_eq!([500, 20_480, 31_457_280].map(bytes), ["500 B", "20 KiB", "30 MiB"]);
    }
}
