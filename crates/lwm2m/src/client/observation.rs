//! What servers observe in a device, and when they are told (LwM2M 1.1 core, 5.1.2 and 6.4).

use std::time::Duration;

use bugle_core::Time;

use super::answer::Observed;
use super::tree::Tree;
use crate::codec::Record;
use crate::{Attributes, Edge, Path, Response, Transmission, Value, limits};

/// A notification that is to go.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Notification {
    pub(super) token: u64,
    pub(super) response: Response,
    pub(super) transmission: Transmission,
}

/// The observations of a device.
#[derive(Debug, Default)]
pub(super) struct Observations(Vec<Observation>);

#[derive(Debug)]
struct Observation {
    token: u64,
    observed: Observed,
    /// Of the last notification; it grows so that the server can tell an old one (RFC 7641, 3.4).
    sequence: u32,
    told_at: Time,
    told: Vec<Record>,
    /// Something has changed that is worth telling.
    is_due: bool,
}

impl Observations {
    /// Opens an observation, in place of one of the same paths; the sequence number that its answer
    /// carries. None if there is no room, and the answer is then a read's (RFC 7641, 4.1).
    pub(super) fn open(&mut self, now: Time, token: u64, observed: Observed, tree: &Tree) -> Option<u32> {
        self.cancel(&observed.paths);
        if self.0.len() == limits::OBSERVATIONS_MAX {
            return None;
        }
        let told = observed.records(tree).unwrap_or_default();
        self.0.push(Observation { token, observed, sequence: 0, told_at: now, told, is_due: false });
        Some(0)
    }

    /// Ends the observation of these paths.
    pub(super) fn cancel(&mut self, paths: &[Path]) {
        self.0.retain(|observation| observation.observed.paths != paths);
    }

    /// Ends the observation that was opened with this token.
    pub(super) fn forget(&mut self, token: u64) {
        self.0.retain(|observation| observation.token != token);
    }

    /// Ends all of them: what a registration's end does (LwM2M 1.1 core, 6.4.1).
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Looks for values that have changed.
    pub(super) fn handle_change(&mut self, tree: &Tree) {
        for observation in &mut self.0 {
            if let Ok(current) = observation.observed.records(tree) {
                let attributes = observation.attributes(tree);
                observation.is_due |= is_worth_telling(&attributes, &observation.told, &current);
            }
        }
    }

    /// When the next notification goes.
    pub(super) fn next_timeout(&self, tree: &Tree) -> Option<Time> {
        self.0.iter().filter_map(|observation| observation.tells_at(tree)).min()
    }

    /// Takes the notifications that go now.
    pub(super) fn take_due(&mut self, now: Time, tree: &Tree) -> Vec<Notification> {
        let due = self.0.iter_mut().filter(|observation| observation.tells_at(tree).is_some_and(|at| at <= now));
        due.filter_map(|observation| observation.tell(now, tree)).collect()
    }
}

impl Observation {
    /// Those of the path; a composite observation has none of its own.
    fn attributes(&self, tree: &Tree) -> Attributes {
        match &self.observed.paths[..] {
            [path] if !self.observed.is_composite => tree.attributes(path),
            _ => Attributes::default(),
        }
    }

    fn tells_at(&self, tree: &Tree) -> Option<Time> {
        let attributes = self.attributes(tree);
        let least = attributes.pmin.unwrap_or(0);
        let after = |seconds: u32| self.told_at + Duration::from_secs(u64::from(seconds));
        let changed = self.is_due.then(|| after(least));
        // LwM2M 1.1 core, 5.1.2: a pmax of 0, or one below pmin, is ignored.
        let overdue = attributes.pmax.filter(|most| *most > 0 && *most >= least).map(after);
        [changed, overdue].into_iter().flatten().min()
    }

    fn tell(&mut self, now: Time, tree: &Tree) -> Option<Notification> {
        (self.told_at, self.is_due) = (now, false);
        let mut response = self.observed.response(tree).ok()?;
        self.told = self.observed.records(tree).ok()?;
        // Three bytes at most (RFC 7641, 2).
        self.sequence = (self.sequence + 1) & 0xff_ffff;
        response.observe = Some(self.sequence);
        let transmission = self.attributes(tree).con.unwrap_or(Transmission::NonConfirmable);
        Some(Notification { token: self.token, response, transmission })
    }
}

/// Whether values differ by as much as the attributes ask for.
fn is_worth_telling(attributes: &Attributes, told: &[Record], current: &[Record]) -> bool {
    let ([told], [current]) = (told, current) else { return told != current };
    if let (Some(edge), Value::Boolean(before), Value::Boolean(after)) = (attributes.edge, &told.value, &current.value)
    {
        return before != after && *after == (edge == Edge::Rising);
    }
    let has_thresholds = attributes.gt.is_some() || attributes.lt.is_some() || attributes.st.is_some();
    match (told.value.as_number(), current.value.as_number()) {
        (Some(before), Some(after)) if has_thresholds => {
            let crosses =
                |threshold: Option<f64>| threshold.is_some_and(|threshold| (before < threshold) != (after < threshold));
            crosses(attributes.gt)
                || crosses(attributes.lt)
                || attributes.st.is_some_and(|step| (after - before).abs() >= step)
        }
        _ => told.value != current.value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttributeChanges, ContentFormat, objects};

    const TEMPERATURE: Path = Path::of_resource(objects::TEMPERATURE, 0, 5700);

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    /// A temperature of 20 degrees, observed from second 0 on with token 1.
    fn observed(attributes: &[&str]) -> (Tree, Observations) {
        let mut tree = Tree::default();
        tree.set(TEMPERATURE, Value::Float(20.0));
        let changes = AttributeChanges::from_query(attributes).expect("attributes");
        tree.write_attributes(&TEMPERATURE, &changes).expect("it is there");
        let mut observations = Observations::default();
        let observed = Observed { paths: vec![TEMPERATURE], format: ContentFormat::TEXT, is_composite: false };
        assert_eq!(observations.open(at(0), 1, observed, &tree), Some(0));
        (tree, observations)
    }

    /// What is told at a second at which the temperature becomes this.
    fn told(tree: &mut Tree, observations: &mut Observations, second: u64, degrees: f64) -> Vec<String> {
        tree.set(TEMPERATURE, Value::Float(degrees));
        observations.handle_change(tree);
        texts(observations.take_due(at(second), tree))
    }

    fn texts(notifications: Vec<Notification>) -> Vec<String> {
        let text = |notification: Notification| String::from_utf8(notification.response.payload).expect("text");
        notifications.into_iter().map(text).collect()
    }

    #[test]
    fn a_change_is_told_once() {
        let (mut tree, mut observations) = observed(&[]);
        assert_eq!(told(&mut tree, &mut observations, 1, 21.0), ["21"]);
        assert!(told(&mut tree, &mut observations, 2, 21.0).is_empty());
        assert_eq!(observations.next_timeout(&tree), None);
    }

    #[test]
    fn no_sooner_than_pmin_and_no_later_than_pmax() {
        let (mut tree, mut observations) = observed(&["pmin=10", "pmax=60"]);
        assert!(told(&mut tree, &mut observations, 4, 21.0).is_empty());
        assert_eq!(observations.next_timeout(&tree), Some(at(10)));
        assert_eq!(told(&mut tree, &mut observations, 10, 22.0), ["22"]);
        assert_eq!(observations.next_timeout(&tree), Some(at(70)));
        assert_eq!(told(&mut tree, &mut observations, 70, 22.0), ["22"]);
        let (tree, observations) = observed(&["pmin=10", "pmax=5"]);
        assert_eq!(observations.next_timeout(&tree), None);
    }

    #[test]
    fn only_steps_and_crossed_thresholds_are_told() {
        let (mut tree, mut observations) = observed(&["gt=25", "lt=10"]);
        assert!(told(&mut tree, &mut observations, 1, 24.0).is_empty());
        assert_eq!(told(&mut tree, &mut observations, 2, 26.0), ["26"]);
        assert!(told(&mut tree, &mut observations, 3, 30.0).is_empty());
        assert_eq!(told(&mut tree, &mut observations, 4, 9.0), ["9"]);
        let (mut tree, mut observations) = observed(&["st=2"]);
        assert!(told(&mut tree, &mut observations, 1, 21.5).is_empty());
        assert_eq!(told(&mut tree, &mut observations, 2, 18.0), ["18"]);
    }

    #[test]
    fn only_the_edge_asked_for_is_told() {
        let records = |value| [Record::new(Path::of_resource(3311, 0, 5850), Value::Boolean(value))];
        let rising = Attributes { edge: Some(Edge::Rising), ..Attributes::default() };
        assert!(is_worth_telling(&rising, &records(false), &records(true)));
        assert!(!is_worth_telling(&rising, &records(true), &records(false)));
        let falling = Attributes { edge: Some(Edge::Falling), ..Attributes::default() };
        assert!(is_worth_telling(&falling, &records(true), &records(false)));
    }

    #[test]
    fn notifications_are_numbered_and_travel_as_the_attribute_says() {
        let (mut tree, mut observations) = observed(&["con=1"]);
        tree.set(TEMPERATURE, Value::Float(1.0));
        observations.handle_change(&tree);
        let notifications = observations.take_due(at(1), &tree);
        assert_eq!(notifications[0].response.observe, Some(1));
        assert_eq!((notifications[0].token, notifications[0].transmission), (1, Transmission::Confirmable));
    }

    #[test]
    fn an_observation_ends_when_it_is_cancelled_or_forgotten() {
        let (mut tree, mut observations) = observed(&[]);
        observations.cancel(&[TEMPERATURE]);
        assert!(told(&mut tree, &mut observations, 1, 1.0).is_empty());
        let (mut tree, mut observations) = observed(&[]);
        observations.forget(1);
        assert!(told(&mut tree, &mut observations, 1, 1.0).is_empty());
    }

    #[test]
    fn observations_stop_at_the_limit() {
        let (tree, mut observations) = observed(&[]);
        let instance = |number| Observed {
            paths: vec![TEMPERATURE, Path::of_object(number)],
            format: ContentFormat::SENML_JSON,
            is_composite: true,
        };
        for number in 1..limits::OBSERVATIONS_MAX as u16 {
            assert!(observations.open(at(0), u64::from(number) + 1, instance(number), &tree).is_some());
        }
        assert_eq!(observations.open(at(0), 0, instance(60_000), &tree), None);
        assert_eq!(observations.open(at(0), 0, instance(1), &tree), Some(0), "in place of the one there is");
    }
}
