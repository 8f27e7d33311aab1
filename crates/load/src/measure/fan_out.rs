//! How long one message takes to all members of a group.
//!
//! At a plain MQTT server one publisher publishes to a topic that all subscribe to, with QoS 1. A bare server
//! sends it without having to be told by anybody. At a
//! Bugle the message is a group request over the platform's HTTP API. Measured from the moment before
//! it is sent until the last member has it, until the last acknowledgement has gone out, and, at a
//! Bugle, until the platform has the receipts of all.
//!
//! A machine is faster in one minute than in the next: what the datagrams alone take is measured after each message.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use bugle_core::{Content, PeripheralId, Protocol, Totals};
use serde::Serialize;

use super::fleet::{Conduct, Fleet, Goal};
use super::target::Member;
use super::{MeasureError, Raw, Samples, Target, Watch};
use crate::command::Command;
use crate::event::Happening;
use crate::mqtt::Subscription;

const TOPIC: &str = "everybody";
/// How long the machine rests before whatever is measured.
const REST: Duration = Duration::from_millis(500);

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FanOut {
    /// Members of the group.
    pub members: usize,
    /// How often, at each target.
    pub repetitions: usize,
    /// The size of the message.
    pub payload_bytes: usize,
    /// What the members speak.
    pub protocol: Protocol,
    /// How long anything may take for all members.
    pub patience: Duration,
    /// The datagrams of which each message is made, if it is to be held against them.
    pub raw: Option<Raw>,
}

/// What was measured at one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FanOutResult {
    /// Which.
    pub target: &'static str,
    /// Until the last member had the message.
    pub received: Samples,
    /// Until the last acknowledgement had gone out.
    pub acknowledged: Samples,
    /// Until all receipts were with the platform; none where there are none.
    pub settled: Option<Samples>,
    /// How long as many datagrams take to go back and forth with nothing done to them; none if that is not measured.
    pub raw: Option<Samples>,
    /// What the server's memory grew by for each connection, in bytes; none where there are no connections, or where
    /// the server is in this process. What a peripheral without one takes, `bugle load memory` measures.
    pub memory_per_connection: Option<u64>,
    /// The server's memory with all members connected, in bytes.
    pub memory: u64,
}

/// What was measured, target by target, and the ratios.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FanOutResults(pub Vec<FanOutResult>);

/// One target with its members connected.
struct Side<'target, 'w> {
    target: &'target mut Target,
    fleet: Fleet<'w>,
    result: FanOutResult,
}

impl FanOut {
    /// Connects the members and measures, at one of `targets` after the other: members of all at once would
    /// be more than a process may have connections. `watch` is told how far it is.
    ///
    /// # Errors
    /// If a member does not get there in time, or a target does not do its part.
    pub fn run(&self, targets: &mut [Target], watch: &Watch) -> Result<FanOutResults, MeasureError> {
        let results = targets.iter_mut().map(|target| {
            let mut side = self.connect(target, watch)?;
            (0..self.repetitions).try_for_each(|repetition| self.measure(&mut side, repetition))?;
            Ok(side.result)
        });
        Ok(FanOutResults(results.collect::<Result<_, MeasureError>>()?))
    }

    fn connect<'target, 'w>(
        &self,
        target: &'target mut Target,
        watch: &'w Watch,
    ) -> Result<Side<'target, 'w>, MeasureError> {
        let before = target.memory()?;
        let mut members = target.members(self.members)?;
        let subscription = match target {
            Target::Mosquitto(mosquitto) => {
                // One more, who publishes.
                let id = PeripheralId::new("publisher").expect("letters");
                members.push(Member { id, gateway: mosquitto.address(), shows: None });
                Subscription::Topic(TOPIC.to_owned())
            }
            Target::Bare(_) => Subscription::Topic(TOPIC.to_owned()),
            Target::Bugle(_) => Subscription::Requests,
        };
        let connected = members.len();
        let conduct = Conduct::new(self.protocol, subscription, Duration::ZERO);
        let fleet = Fleet::start(target, members, &conduct, self.patience, watch)?;
        fleet.wait(&mut [conduct.ready(connected)])?;
        let memory = target.memory()?;
        let is_connected = matches!(self.protocol, Protocol::Mqtt311 | Protocol::Mqtt5);
        let each = memory.saturating_sub(before) / connected.max(1) as u64;
        let result = FanOutResult {
            target: target.name(),
            received: Samples::default(),
            acknowledged: Samples::default(),
            settled: matches!(target, Target::Bugle(_)).then(Samples::default),
            raw: None,
            memory_per_connection: (is_connected && memory > 0).then_some(each),
            memory,
        };
        Ok(Side { target, fleet, result })
    }

    fn measure(&self, side: &mut Side<'_, '_>, repetition: usize) -> Result<(), MeasureError> {
        let payload = format!("{repetition:>width$}", width = self.payload_bytes);
        let mut goals = [
            Goal::new("received the message", self.members, |what| matches!(what, Happening::Received { .. })),
            Goal::new("acknowledged the message", self.members, |what| matches!(what, Happening::Acknowledged)),
        ];
        rest();
        side.fleet.forget();
        let began = Instant::now();
        match side.target {
            Target::Mosquitto(_) => {
                let publish = Command::Publish { topic: TOPIC.to_owned(), payload: payload.into() };
                side.fleet.peripherals.command(self.members, publish);
                side.fleet.wait(&mut goals)?;
            }
            Target::Bare(bare) => {
                bare.publish(TOPIC, payload.as_bytes()).map_err(MeasureError::Bare)?;
                side.fleet.wait(&mut goals)?;
            }
            Target::Bugle(bugle) => {
                let request = (bugle.group.send)(&Content::text(payload)).map_err(MeasureError::Request)?;
                // The platform is asked only when the receipts are all that is missing: asking costs it time.
                side.fleet.wait(&mut goals)?;
                let totals = (bugle.group.wait)(request).map_err(MeasureError::Request)?;
                let settled = began.elapsed();
                self.check(&totals)?;
                side.result.settled.get_or_insert_default().push(settled);
            }
        }
        let [received, acknowledged] = goals;
        side.result.received.push(received.took(began));
        side.result.acknowledged.push(acknowledged.took(began));
        if let Some(raw) = &self.raw {
            rest();
            side.result.raw.get_or_insert_default().push(raw.run()?.time_for(self.members));
        }
        Ok(())
    }

    fn check(&self, totals: &Totals) -> Result<(), MeasureError> {
        if totals.served() == self.members as u64 {
            Ok(())
        } else {
            Err(MeasureError::Unserved { served: totals.served(), wanted: self.members })
        }
    }
}

/// What was done before has left things to do, which are none of the time of what is measured next.
fn rest() {
    thread::sleep(REST);
}

impl fmt::Display for FanOutResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |samples: &Samples| samples.median().as_secs_f64() * 1e3;
        write!(
            f,
            "{:<10} received {:>8.1} ms  acknowledged {:>8.1} ms",
            self.target,
            millis(&self.received),
            millis(&self.acknowledged)
        )?;
        if let Some(settled) = &self.settled {
            write!(f, "  receipts in {:>8.1} ms", millis(settled))?;
        }
        if let Some(bytes) = self.memory_per_connection {
            write!(f, "  memory {:.1} KiB a connection", bytes as f64 / 1024.0)?;
        }
        write!(f, "  {} MiB in all", self.memory >> 20)
    }
}

impl fmt::Display for FanOutResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|result| writeln!(f, "{result}"))?;
        let [yardstick, others @ ..] = &self.0[..] else { return Ok(()) };
        for other in others {
            let settled = other.settled.as_ref().and_then(|settled| settled.ratio_to(&yardstick.acknowledged));
            let ratios = [
                ("received", other.received.ratio_to(&yardstick.received)),
                ("acknowledged", other.acknowledged.ratio_to(&yardstick.acknowledged)),
                ("receipts in, to the other's acknowledged", settled),
            ];
            write!(f, "{} takes, as a multiple of {}:", other.target, yardstick.target)?;
            for (what, ratio) in ratios {
                if let Some(ratio) = ratio {
                    write!(f, "  {what} {ratio:.2}")?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(target: &'static str, millis: u64, settled: Option<u64>) -> FanOutResult {
        let samples = |millis| {
            let mut samples = Samples::default();
            samples.push(Duration::from_millis(millis));
            samples
        };
        FanOutResult {
            target,
            received: samples(millis),
            acknowledged: samples(millis * 2),
            settled: settled.map(samples),
            raw: None,
            memory_per_connection: Some(1024),
            memory: 9 << 20,
        }
    }

    #[test]
    fn results_end_with_the_ratios_to_the_first_target() {
        let results = FanOutResults(vec![result("mosquitto", 100, None), result("bugle", 50, Some(300))]);
        let text = results.to_string();
        assert_eq!(
            text.lines().last(),
            Some(
                "bugle takes, as a multiple of mosquitto:  received 0.50  acknowledged 0.50  \
                 receipts in, to the other's acknowledged 1.50"
            )
        );
        assert!(text.lines().next().is_some_and(|line| line.contains("memory 1.0 KiB a connection  9 MiB in all")));
    }
}
