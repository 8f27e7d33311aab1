//! Groups that contain groups of the same application.
//!
//! 1. An application nests a group in another ([`Nest`]): from then on whatever is asked of the outer
//!    group's members is asked of the inner group's too. Doing it twice does nothing.
//! 2. No group lies in itself, and groups lie at most [`limits::GROUP_DEPTH_MAX`] deep in each other: what
//!    would break that is refused, with the path that it would make.
//! 3. What a group contains is looked up when a group request is accepted or foreseen. The request names
//!    all of these groups to its gateways, and a peripheral that is in several of them is one member. What is
//!    nested or taken out later does not change it.
//! 4. An application takes a group out of another again ([`Unnest`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use thiserror::Error;

use super::{Needs, Procedure, Work};
use crate::{ApplicationId, GroupId, Time, limits};

/// A group of an application, and one that lies in it.
pub type NestingKey = (ApplicationId, GroupId, GroupId);

/// A group to nest in another.
#[derive(Debug, Clone)]
pub struct Nest {
    /// Whose groups.
    pub application: ApplicationId,
    /// The group that contains the other from then on.
    pub outer: GroupId,
    /// The group that lies in it.
    pub inner: GroupId,
}

/// Why a group was not nested in another.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NestRefusal {
    /// There is no such application.
    #[error("the application is unknown")]
    UnknownApplication,
    /// A group would contain itself.
    #[error("a group would lie in itself: {0}")]
    Circle(GroupPath),
    /// Groups would lie too deep in each other.
    #[error("groups lie at most {max} deep in each other, and these would lie deeper: {0}", max = limits::GROUP_DEPTH_MAX)]
    TooDeep(GroupPath),
    /// The application has nested too many.
    #[error("at most {max} times a group is nested in another", max = limits::NESTINGS_PER_APPLICATION_MAX)]
    TooMany,
}

/// Groups of which each contains the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPath(Vec<GroupId>);

impl fmt::Display for GroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(GroupId::as_str).collect();
        f.write_str(&names.join(" > "))
    }
}

impl Procedure for Nest {
    type Answer = ();
    type Refusal = NestRefusal;

    fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        needs.applications.insert(self.application.clone());
        needs.nestings_of = Some(self.application.clone());
        needs
    }

    fn decide(&self, work: &mut Work, _now: Time) -> Result<(), NestRefusal> {
        if work.applications.get(&self.application).is_none() {
            return Err(NestRefusal::UnknownApplication);
        }
        let key = (self.application.clone(), self.outer.clone(), self.inner.clone());
        let known: Vec<(&GroupId, &GroupId)> =
            work.nestings.iter().map(|((_, outer, inner), ())| (outer, inner)).collect();
        if known.contains(&(&self.outer, &self.inner)) {
            return Ok(());
        }
        if known.len() >= limits::NESTINGS_PER_APPLICATION_MAX {
            return Err(NestRefusal::TooMany);
        }
        let inward = Paths::new(known.iter().copied());
        if let Some(mut path) = inward.find(&self.inner, &self.outer) {
            path.insert(0, self.outer.clone());
            return Err(NestRefusal::Circle(GroupPath(path)));
        }
        let outward = Paths::new(known.iter().map(|(outer, inner)| (*inner, *outer)));
        let mut path = outward.longest(&self.outer);
        path.reverse();
        path.extend(inward.longest(&self.inner));
        if path.len() > limits::GROUP_DEPTH_MAX {
            return Err(NestRefusal::TooDeep(GroupPath(path)));
        }
        work.nestings.put(key, ());
        Ok(())
    }
}

/// A group to take out of another.
#[derive(Debug, Clone)]
pub struct Unnest {
    /// Whose groups.
    pub application: ApplicationId,
    /// The group that contains the other.
    pub outer: GroupId,
    /// The group that lies in it.
    pub inner: GroupId,
}

/// The one group does not lie directly in the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the one group does not lie directly in the other")]
pub struct NotNested;

impl Procedure for Unnest {
    type Answer = ();
    type Refusal = NotNested;

    fn needs(&self) -> Needs {
        Needs { nestings_of: Some(self.application.clone()), ..Needs::default() }
    }

    fn decide(&self, work: &mut Work, _now: Time) -> Result<(), NotNested> {
        let key = (self.application.clone(), self.outer.clone(), self.inner.clone());
        if !work.nestings.iter().any(|(known, ())| *known == key) {
            return Err(NotNested);
        }
        work.nestings.remove(key);
        Ok(())
    }
}

/// The ways from group to group, in one direction. None of them leads in a circle.
struct Paths<'a>(BTreeMap<&'a GroupId, Vec<&'a GroupId>>);

impl<'a> Paths<'a> {
    fn new(steps: impl Iterator<Item = (&'a GroupId, &'a GroupId)>) -> Self {
        let mut ways: BTreeMap<&GroupId, Vec<&GroupId>> = BTreeMap::new();
        for (from, to) in steps {
            ways.entry(from).or_default().push(to);
        }
        Self(ways)
    }

    fn next(&self, from: &GroupId) -> impl Iterator<Item = &'a GroupId> {
        self.0.get(from).into_iter().flatten().copied()
    }

    /// A way from one group to another, both included.
    fn find(&self, from: &GroupId, to: &GroupId) -> Option<Vec<GroupId>> {
        let mut seen = BTreeSet::from([from]);
        let mut open = vec![vec![from]];
        while let Some(path) = open.pop() {
            let last = *path.last().expect("a path has a start");
            if last == to {
                return Some(path.into_iter().cloned().collect());
            }
            for next in self.0.get(last).into_iter().flatten().copied() {
                if seen.insert(next) {
                    open.push(path.iter().copied().chain([next]).collect());
                }
            }
        }
        None
    }

    /// The longest way from a group, with it.
    fn longest(&self, from: &GroupId) -> Vec<GroupId> {
        let mut known = BTreeMap::new();
        let longest = self.longest_after(from, &mut known);
        std::iter::once(from).chain(longest).cloned().collect()
    }

    /// The longest way from a group, without it. Recursion is bounded by the depth of the groups.
    fn longest_after(&self, from: &GroupId, known: &mut BTreeMap<&'a GroupId, Vec<&'a GroupId>>) -> Vec<&'a GroupId> {
        let mut longest = Vec::new();
        for next in self.next(from) {
            if !known.contains_key(next) {
                let after = self.longest_after(next, known);
                known.insert(next, after);
            }
            let after = &known[next];
            if after.len() + 1 > longest.len() {
                longest = std::iter::once(next).chain(after.iter().copied()).collect();
            }
        }
        longest
    }
}
