//! Pacing: how fast what waits is begun.
//!
//! A [`Lane`] holds what waits, request by request: peripherals to be delivered to, or to be woken. It
//! gives out one after the other, as fast as the gateway and the request allow:
//!
//! 1. Of an urgent request before a normal one, of a normal one before one in the background.
//! 2. Requests of the same priority take turns, a member each.
//! 3. Never more than allowed leave the gateway within any second (or minute), nor are in flight at any
//!    instant. What has begun and waits for the disk counts until it has left: it may leave at any time.
//!
//! Each step is logarithmic in what waits, however large a group is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Slot;
use crate::{Priority, RequestId, Time};

/// On whose behalf something is begun: a request's, or whoever asked for just that.
pub(super) type Cause = Option<RequestId>;

/// Whether one more may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    /// It opens then.
    OpensAt(Time),
    /// It opens when something ends.
    Full,
}

/// What became of something that had begun and waited for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Departure {
    /// It left the gateway.
    At(Time),
    /// Nobody wants it any more.
    Never,
}

/// What may leave within a time, and be in flight at an instant.
#[derive(Debug, Default)]
pub(super) struct Meter {
    rate: Option<Rate>,
    in_flight_max: Option<u32>,
    in_flight: u32,
}

#[derive(Debug)]
struct Rate {
    count: usize,
    per: Duration,
    /// When the last ones left, at most `count`.
    left: VecDeque<Time>,
    /// How many have begun, and not left yet.
    leaving: usize,
    /// Until when nothing is known of what left before.
    unknown_until: Time,
}

impl Meter {
    /// So many may leave within any time as long as `per`.
    pub(super) fn of_rate(count: Option<u32>, per: Duration) -> Self {
        let rate = count.map(|count| Rate {
            count: count as usize,
            per,
            left: VecDeque::new(),
            leaving: 0,
            unknown_until: Time::ZERO,
        });
        Self { rate, ..Self::default() }
    }

    /// And so many may be in flight.
    pub(super) fn with_in_flight(self, max: Option<u32>) -> Self {
        Self { in_flight_max: max, ..self }
    }

    /// Until this process has run for a while, nobody knows what the one before it began.
    pub(super) fn restored(mut self, now: Time) -> Self {
        if let Some(rate) = &mut self.rate {
            rate.unknown_until = now + rate.per;
        }
        self
    }

    /// Has something begin that is over at once, if it may.
    pub(super) fn pass(&mut self, now: Time) -> bool {
        let is_open = self.gate(now) == Gate::Open;
        if is_open {
            self.begin();
            self.leave(Departure::At(now));
            self.end();
        }
        is_open
    }

    fn gate(&self, now: Time) -> Gate {
        if self.in_flight_max.is_some_and(|max| self.in_flight >= max) {
            return Gate::Full;
        }
        let Some(rate) = &self.rate else { return Gate::Open };
        if rate.leaving >= rate.count {
            return Gate::Full;
        }
        // So many of those that left must be long gone before one more may begin.
        let gone = (rate.left.len() + rate.leaving + 1).saturating_sub(rate.count);
        let opens_at = match gone.checked_sub(1) {
            Some(last) => (rate.left[last] + rate.per).max(rate.unknown_until),
            None => rate.unknown_until,
        };
        if opens_at <= now { Gate::Open } else { Gate::OpensAt(opens_at) }
    }

    fn begin(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
        if let Some(rate) = &mut self.rate {
            rate.leaving += 1;
        }
    }

    fn leave(&mut self, departure: Departure) {
        let Some(rate) = &mut self.rate else { return };
        rate.leaving = rate.leaving.saturating_sub(1);
        if let Departure::At(now) = departure {
            if rate.left.len() >= rate.count {
                rate.left.pop_front();
            }
            rate.left.push_back(now);
        }
    }

    fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}

/// What waits of one request.
#[derive(Debug)]
struct Queue {
    priority: Priority,
    meter: Meter,
    /// With a rank; lower ones go first.
    waiting: BTreeSet<(u32, Slot)>,
    place: Place,
}

/// Where a queue stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It has nothing to begin, or may not before something ends.
    Aside,
    /// It has this turn.
    Turn(u64),
    /// It may not begin anything before this time.
    Resting(Time),
}

/// What waits to be begun.
#[derive(Debug, Default)]
pub(super) struct Lane {
    meter: Meter,
    queues: BTreeMap<Cause, Queue>,
    turns: BTreeSet<(Priority, u64, Cause)>,
    resting: BTreeSet<(Time, Cause)>,
    last_turn: u64,
}

impl Lane {
    /// Nothing waits. `meter` is the whole gateway's.
    pub(super) fn new(meter: Meter) -> Self {
        Self { meter, ..Self::default() }
    }

    /// The process was started anew.
    pub(super) fn restore(&mut self, now: Time) {
        self.meter = std::mem::take(&mut self.meter).restored(now);
    }

    /// There is a request, of which something may come to wait.
    pub(super) fn open(&mut self, cause: Cause, priority: Priority, meter: Meter) {
        let queue = Queue { priority, meter, waiting: BTreeSet::new(), place: Place::Aside };
        self.queues.entry(cause).or_insert(queue);
    }

    /// A request is over, and nothing of it waits any more.
    pub(super) fn close(&mut self, cause: Cause) {
        if let Some(queue) = self.queues.remove(&cause) {
            self.displace(cause, queue.priority, queue.place);
        }
    }

    /// Has a peripheral wait.
    pub(super) fn add(&mut self, now: Time, cause: Cause, rank: u32, slot: Slot) {
        let queue = self.queues.get_mut(&cause).expect("a request is opened before anything of it waits");
        if queue.waiting.insert((rank, slot)) && queue.place == Place::Aside {
            self.place(now, cause);
        }
    }

    /// The next that may begin now. It has begun only with [`begin`](Self::begin): whether it still
    /// wants to is the caller's to know.
    pub(super) fn take_next(&mut self, now: Time) -> Option<(Cause, Slot)> {
        while let Some((_, cause)) = self.resting.first().copied().filter(|(at, _)| *at <= now) {
            self.place(now, cause);
        }
        if self.meter.gate(now) != Gate::Open {
            return None;
        }
        let (.., cause) = *self.turns.first()?;
        let queue = self.queues.get_mut(&cause).expect("a queue that has a turn is there");
        let (_, slot) = queue.waiting.pop_first().expect("a queue that has a turn has something to begin");
        if queue.waiting.is_empty() {
            self.place(now, cause);
        }
        Some((cause, slot))
    }

    /// What was taken begins, and the next turn is another request's, if there is one.
    pub(super) fn begin(&mut self, now: Time, cause: Cause) {
        self.meter.begin();
        let is_alone = self.turns.len() == 1;
        let Some(queue) = self.queues.get_mut(&cause) else { return };
        queue.meter.begin();
        let has_turn = matches!(queue.place, Place::Turn(_)) && queue.meter.gate(now) == Gate::Open;
        if !(is_alone && has_turn) {
            self.place(now, cause);
        }
    }

    /// What had begun has left the gateway, or never will.
    pub(super) fn leave(&mut self, now: Time, cause: Cause, departure: Departure) {
        self.meter.leave(departure);
        if let Some(queue) = self.queues.get_mut(&cause) {
            queue.meter.leave(departure);
            if !matches!(queue.place, Place::Turn(_)) {
                self.place(now, cause);
            }
        }
    }

    /// What had begun has ended.
    pub(super) fn end(&mut self, now: Time, cause: Cause) {
        self.meter.end();
        if let Some(queue) = self.queues.get_mut(&cause) {
            queue.meter.end();
            if queue.place == Place::Aside {
                self.place(now, cause);
            }
        }
    }

    /// When the next may begin that may not now.
    pub(super) fn next_due(&self, now: Time) -> Option<Time> {
        let opens_at = match self.meter.gate(now) {
            Gate::Open => now,
            Gate::OpensAt(at) => at,
            Gate::Full => return None,
        };
        if !self.turns.is_empty() {
            return Some(opens_at);
        }
        self.resting.first().map(|(at, _)| opens_at.max(*at))
    }

    /// Puts a queue where it belongs; behind the others of its priority if it may begin something.
    fn place(&mut self, now: Time, cause: Cause) {
        let Some(queue) = self.queues.get(&cause) else { return };
        let (priority, former) = (queue.priority, queue.place);
        let place = match queue.meter.gate(now) {
            _ if queue.waiting.is_empty() => Place::Aside,
            Gate::Open => {
                self.last_turn += 1;
                Place::Turn(self.last_turn)
            }
            Gate::OpensAt(at) => Place::Resting(at),
            Gate::Full => Place::Aside,
        };
        self.displace(cause, priority, former);
        match place {
            Place::Aside => {}
            Place::Turn(turn) => drop(self.turns.insert((priority, turn, cause))),
            Place::Resting(at) => drop(self.resting.insert((at, cause))),
        }
        if let Some(queue) = self.queues.get_mut(&cause) {
            queue.place = place;
        }
    }

    fn displace(&mut self, cause: Cause, priority: Priority, place: Place) {
        match place {
            Place::Aside => {}
            Place::Turn(turn) => drop(self.turns.remove(&(priority, turn, cause))),
            Place::Resting(at) => drop(self.resting.remove(&(at, cause))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn cause(number: u64) -> Cause {
        RequestId::from_number(number)
    }

    fn time(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn lane(per_second: Option<u32>, in_flight: Option<u32>) -> Lane {
        Lane::new(Meter::of_rate(per_second, SECOND).with_in_flight(in_flight))
    }

    fn fill(lane: &mut Lane, number: u64, priority: Priority, meter: Meter, slots: std::ops::Range<u32>) {
        lane.open(cause(number), priority, meter);
        slots.for_each(|slot| lane.add(time(0), cause(number), 0, Slot::new(slot)));
    }

    /// Begins all that may begin, and has it leave at once.
    fn begin_all(lane: &mut Lane, now: Time) -> Vec<(u64, u32)> {
        let mut begun = Vec::new();
        while let Some((cause, slot)) = lane.take_next(now) {
            lane.begin(now, cause);
            lane.leave(now, cause, Departure::At(now));
            begun.push((cause.expect("a request's").number(), slot.number()));
        }
        begun
    }

    #[test]
    fn urgent_goes_first_and_equals_take_turns() {
        let mut lane = lane(None, None);
        fill(&mut lane, 1, Priority::Background, Meter::default(), 0..1);
        fill(&mut lane, 2, Priority::Normal, Meter::default(), 10..13);
        fill(&mut lane, 3, Priority::Normal, Meter::default(), 20..22);
        fill(&mut lane, 4, Priority::Urgent, Meter::default(), 30..32);
        let begun = begin_all(&mut lane, time(0));
        assert_eq!(begun, [(4, 30), (4, 31), (2, 10), (3, 20), (2, 11), (3, 21), (2, 12), (1, 0)]);
    }

    #[test]
    fn a_request_that_may_not_go_on_leaves_its_turn_to_the_others() {
        let mut lane = lane(None, None);
        fill(&mut lane, 1, Priority::Normal, Meter::default().with_in_flight(Some(1)), 0..3);
        fill(&mut lane, 2, Priority::Background, Meter::default(), 10..12);
        assert_eq!(begin_all(&mut lane, time(0)), [(1, 0), (2, 10), (2, 11)]);
        assert_eq!(lane.next_due(time(0)), None);
        lane.end(time(5), cause(1));
        assert_eq!(begin_all(&mut lane, time(5)), [(1, 1)]);
    }

    #[test]
    fn what_may_not_begin_yet_is_due_when_it_may() {
        let mut lane = lane(Some(2), None);
        fill(&mut lane, 1, Priority::Normal, Meter::default(), 0..5);
        assert_eq!(begin_all(&mut lane, time(0)).len(), 2);
        assert_eq!(lane.next_due(time(400)), Some(time(1_000)));
        assert_eq!(begin_all(&mut lane, time(999)), []);
        assert_eq!(begin_all(&mut lane, time(1_000)).len(), 2);
        lane.close(cause(1));
        assert_eq!(lane.next_due(time(1_000)), None);
    }

    #[test]
    fn after_a_start_nothing_begins_before_the_past_is_past() {
        let mut lane = lane(Some(2), None);
        lane.restore(time(100));
        fill(&mut lane, 1, Priority::Normal, Meter::default(), 0..1);
        assert_eq!(begin_all(&mut lane, time(1_099)), []);
        assert_eq!(begin_all(&mut lane, time(1_100)), [(1, 0)]);
    }

    #[test]
    fn what_has_begun_and_not_left_counts_until_it_has() {
        let mut lane = lane(Some(2), None);
        fill(&mut lane, 1, Priority::Normal, Meter::default(), 0..5);
        for _ in 0..2 {
            let (cause, _) = lane.take_next(time(0)).expect("it may begin");
            lane.begin(time(0), cause);
        }
        assert_eq!((lane.take_next(time(5_000)), lane.next_due(time(5_000))), (None, None));
        lane.leave(time(5_000), cause(1), Departure::At(time(5_000)));
        lane.leave(time(5_000), cause(1), Departure::Never);
        assert_eq!(begin_all(&mut lane, time(5_000)).len(), 1);
        assert_eq!(lane.next_due(time(5_000)), Some(time(6_000)));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Add {
            request: u64,
            slot: u32,
        },
        /// What has begun leaves.
        Commit,
        End {
            at: usize,
        },
        Pass {
            millis: u64,
        },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..4_u64, 0..200_u32).prop_map(|(request, slot)| Step::Add { request, slot }),
            2 => Just(Step::Commit),
            2 => any::<prop::sample::Index>().prop_map(|at| Step::End { at: at.index(1_000) }),
            3 => (0..600_u64).prop_map(|millis| Step::Pass { millis }),
        ];
        prop::collection::vec(step, 1..200)
    }

    fn rate_holds(left: &[Time], count: u32) -> bool {
        left.windows(count as usize + 1).all(|window| window[count as usize] - window[0] >= SECOND)
    }

    proptest! {
        #[test]
        fn no_limit_is_ever_exceeded_and_nothing_is_left_behind(
            steps in steps(),
            of_all in (1..6_u32, 1..6_u32),
            of_each in (1..4_u32, 1..4_u32),
        ) {
            let mut lane = lane(Some(of_all.0), Some(of_all.1));
            for number in 0..4 {
                let priority = [Priority::Urgent, Priority::Normal][number as usize % 2];
                let meter = Meter::of_rate(Some(of_each.0), SECOND).with_in_flight(Some(of_each.1));
                fill(&mut lane, number, priority, meter, 0..0);
            }
            let (mut now, mut left, mut flying) = (time(0), Vec::new(), Vec::<(u64, u32, bool)>::new());
            let (mut added, mut ended) = (BTreeSet::new(), BTreeSet::new());
            let quiet = (0..1_000).flat_map(|_| [Step::Pass { millis: 300 }, Step::Commit, Step::End { at: 0 }]);
            for step in steps.into_iter().chain(quiet) {
                match step {
                    Step::Add { request, slot } if !added.contains(&(request, slot)) => {
                        lane.add(now, cause(request), 0, Slot::new(slot));
                        added.insert((request, slot));
                    }
                    Step::Add { .. } => {}
                    Step::Commit => {
                        for (request, _, waits) in flying.iter_mut().filter(|(.., waits)| *waits) {
                            lane.leave(now, cause(*request), Departure::At(now));
                            left.push((*request, now));
                            *waits = false;
                        }
                    }
                    Step::End { at } if !flying.is_empty() => {
                        let (request, slot, waits) = flying.swap_remove(at % flying.len());
                        if waits {
                            lane.leave(now, cause(request), Departure::Never);
                        }
                        lane.end(now, cause(request));
                        ended.insert((request, slot));
                    }
                    Step::End { .. } => {}
                    Step::Pass { millis } => now += Duration::from_millis(millis),
                }
                while let Some((cause, slot)) = lane.take_next(now) {
                    lane.begin(now, cause);
                    flying.push((cause.expect("a request's").number(), slot.number(), true));
                }
                prop_assert!(flying.len() <= of_all.1 as usize);
                for number in 0..4 {
                    let of_it = flying.iter().filter(|(request, ..)| *request == number).count();
                    prop_assert!(of_it <= of_each.1 as usize);
                }
            }
            let times = |of: Option<u64>| -> Vec<Time> {
                left.iter().filter(|(request, _)| of.is_none_or(|of| of == *request)).map(|(_, at)| *at).collect()
            };
            prop_assert!(rate_holds(&times(None), of_all.0));
            prop_assert!((0..4).all(|number| rate_holds(&times(Some(number)), of_each.0)));
            prop_assert_eq!(ended, added);
        }
    }
}
