//! The attributes that a server writes, and that say when a client notifies (LwM2M 1.1 core, 5.1.2,
//! 7.3; 1.2 core, 5.1.2).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::{Link, Path, Version};

/// Which value of a boolean resource is worth a notification (LwM2M 1.2 core, 5.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// When it turns false.
    Falling,
    /// When it turns true.
    Rising,
}

impl FromStr for Edge {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "0" => Ok(Self::Falling),
            "1" => Ok(Self::Rising),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Falling => "0",
            Self::Rising => "1",
        })
    }
}

/// How a notification travels (LwM2M 1.2 core, 5.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transmission {
    /// Without an acknowledgement.
    NonConfirmable,
    /// With one.
    Confirmable,
}

impl FromStr for Transmission {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "0" => Ok(Self::NonConfirmable),
            "1" => Ok(Self::Confirmable),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Transmission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NonConfirmable => "0",
            Self::Confirmable => "1",
        })
    }
}

/// What a Write-Attributes does to one attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// Leaves it.
    #[default]
    Keep,
    /// Takes it away, so that the one of the level above holds again.
    Unset,
    /// Gives it a value.
    Set(T),
}

impl<T: Copy> Change<T> {
    fn apply(self, attribute: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Unset => *attribute = None,
            Self::Set(value) => *attribute = Some(value),
        }
    }

    const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

/// Attributes that may not be written so. The fault is of whoever writes them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AttributeError {
    /// There is no such attribute, or the client's version has none.
    #[error("there is no attribute {0}")]
    Unknown(String),
    /// The value is out of range or of another type.
    #[error("{0} cannot have this value")]
    Value(&'static str),
    /// It may not be written at this level.
    #[error("{0} is not written to {1}")]
    Level(&'static str, Path),
    /// Together they make no sense: `lt` has to be below `gt`, by more than two steps; `epmin` below
    /// `epmax`.
    #[error("{0} contradict each other")]
    Contradiction(&'static str),
}

macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident: $type:ty, $since:ident, $least:literal;)*) => {
        /// The attributes of one object, instance, resource or resource instance.
        #[derive(Debug, Clone, Copy, PartialEq, Default)]
        pub struct Attributes {
            $($(#[$doc])* pub $name: Option<$type>,)*
        }

        /// What a Write-Attributes does.
        #[derive(Debug, Clone, Copy, PartialEq, Default)]
        pub struct AttributeChanges {
            $($(#[$doc])* pub $name: Change<$type>,)*
        }

        impl Attributes {
            /// Carries out a Write-Attributes.
            pub fn apply(&mut self, changes: &AttributeChanges) {
                $(changes.$name.apply(&mut self.$name);)*
            }

            /// Where these have no value, those of the level above hold.
            #[must_use]
            pub fn or(self, above: &Self) -> Self {
                Self { $($name: self.$name.or(above.$name),)* }
            }

            /// Adds them to a link, as Discover answers them.
            #[must_use]
            pub fn describe(&self, mut link: Link) -> Link {
                $(if let Some(value) = self.$name {
                    link = link.with(stringify!($name), value);
                })*
                link
            }
        }

        impl AttributeChanges {
            /// The query that a Write-Attributes has.
            #[must_use]
            pub fn to_query(&self) -> Vec<String> {
                let mut query = Vec::new();
                $(match &self.$name {
                    Change::Keep => {}
                    Change::Unset => query.push(stringify!($name).to_owned()),
                    Change::Set(value) => query.push(format!("{}={value}", stringify!($name))),
                })*
                query
            }

            /// Reads the query of a Write-Attributes.
            ///
            /// # Errors
            /// If there is an attribute unknown or with a value that it cannot have.
            pub fn from_query<S: AsRef<str>>(query: &[S]) -> Result<Self, AttributeError> {
                let mut changes = Self::default();
                for part in query {
                    let part = part.as_ref();
                    let (name, value) = part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value)));
                    match name {
                        $(stringify!($name) => changes.$name = match value {
                            None => Change::Unset,
                            Some(value) => Change::Set(
                                value.parse().map_err(|_| AttributeError::Value(stringify!($name)))?,
                            ),
                        },)*
                        unknown => return Err(AttributeError::Unknown(unknown.to_owned())),
                    }
                }
                Ok(changes)
            }

            /// Whether nothing is changed.
            #[must_use]
            pub const fn is_empty(&self) -> bool {
                $(self.$name.is_keep())&&*
            }

            fn check_each(&self, path: &Path, version: Version) -> Result<(), AttributeError> {
                $(if !self.$name.is_keep() {
                    if version < Version::$since {
                        return Err(AttributeError::Unknown(stringify!($name).to_owned()));
                    }
                    if path.depth() < $least {
                        return Err(AttributeError::Level(stringify!($name), *path));
                    }
                })*
                Ok(())
            }
        }
    };
}

attributes! {
    /// The least time between two notifications, in seconds.
    pmin: u32, V1_0, 1;
    /// The most time between two notifications, in seconds.
    pmax: u32, V1_0, 1;
    /// A notification when the value rises above or falls below this.
    gt: f64, V1_0, 3;
    /// A notification when the value falls below or rises above this.
    lt: f64, V1_0, 3;
    /// A notification when the value has moved by at least this.
    st: f64, V1_0, 3;
    /// The least time between two looks at the value, in seconds.
    epmin: u32, V1_1, 1;
    /// The most time between two looks at the value, in seconds.
    epmax: u32, V1_1, 1;
    /// A notification when the value turns to this.
    edge: Edge, V1_2, 3;
    /// How notifications travel.
    con: Transmission, V1_2, 1;
    /// How many notifications are kept while the server cannot be reached.
    hqmax: u32, V1_2, 1;
}

impl AttributeChanges {
    /// Checks whether a client of this version may be asked to have these attributes at this path.
    ///
    /// # Errors
    /// If an attribute is not of this version or level, has an impossible value, or contradicts another.
    pub fn check(&self, path: &Path, version: Version) -> Result<(), AttributeError> {
        if path.depth() == 0 {
            return Err(AttributeError::Level("an attribute", *path));
        }
        self.check_each(path, version)?;
        for (name, change) in [("gt", self.gt), ("lt", self.lt), ("st", self.st)] {
            if matches!(change, Change::Set(value) if !value.is_finite()) {
                return Err(AttributeError::Value(name));
            }
        }
        if matches!(self.st, Change::Set(step) if step <= 0.0) {
            return Err(AttributeError::Value("st"));
        }
        // LwM2M 1.1 core, 5.1.2: "lt" value + 2 * "st" value < "gt" value.
        if let (Change::Set(low), Change::Set(high)) = (self.lt, self.gt) {
            let step = if let Change::Set(step) = self.st { step } else { 0.0 };
            if low + 2.0 * step >= high {
                return Err(AttributeError::Contradiction("lt, st and gt"));
            }
        }
        if matches!((self.epmin, self.epmax), (Change::Set(least), Change::Set(most)) if least >= most) {
            return Err(AttributeError::Contradiction("epmin and epmax"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> Path {
        text.parse().expect("a path")
    }

    fn changes(query: &[&str]) -> AttributeChanges {
        AttributeChanges::from_query(query).expect("attributes")
    }

    #[test]
    fn a_query_sets_and_unsets() {
        let written = changes(&["pmin=10", "pmax", "gt=23.5", "edge=1", "con=0"]);
        assert_eq!((written.pmin, written.pmax, written.lt), (Change::Set(10), Change::Unset, Change::Keep));
        assert_eq!(written.to_query(), ["pmin=10", "pmax", "gt=23.5", "edge=1", "con=0"]);
        let mut attributes = Attributes { pmax: Some(60), lt: Some(1.0), ..Attributes::default() };
        attributes.apply(&written);
        assert_eq!((attributes.pmin, attributes.pmax, attributes.lt), (Some(10), None, Some(1.0)));
        assert_eq!(attributes.edge, Some(Edge::Rising));
        assert_eq!(
            attributes.describe(Link::new("/3303/0/5700")).to_string(),
            "</3303/0/5700>;pmin=10;gt=23.5;lt=1;edge=1;con=0"
        );
    }

    #[test]
    fn what_is_no_attribute_is_refused() {
        let error = |query: &str| AttributeChanges::from_query(&[query]).expect_err("no attribute");
        assert_eq!(error("min=1"), AttributeError::Unknown("min".into()));
        assert_eq!(error("pmin=-1"), AttributeError::Value("pmin"));
        assert_eq!(error("edge=2"), AttributeError::Value("edge"));
        assert_eq!(error("con="), AttributeError::Value("con"));
    }

    #[test]
    fn thresholds_belong_to_resources_and_leave_room_between_them() {
        let check = |query: &[&str], at: &str| changes(query).check(&path(at), Version::V1_2);
        assert_eq!(check(&["pmin=10", "pmax=60"], "/3303"), Ok(()));
        assert_eq!(check(&["gt=20"], "/3303/0"), Err(AttributeError::Level("gt", path("/3303/0"))));
        assert_eq!(check(&["pmin=1"], "/"), Err(AttributeError::Level("an attribute", Path::ROOT)));
        assert_eq!(check(&["lt=10", "gt=20", "st=4"], "/3303/0/5700"), Ok(()));
        let contradiction = Err(AttributeError::Contradiction("lt, st and gt"));
        assert_eq!(check(&["lt=10", "gt=20", "st=5"], "/3303/0/5700"), contradiction);
        assert_eq!(check(&["lt=20", "gt=20"], "/3303/0/5700"), contradiction);
        assert_eq!(check(&["st=0"], "/3303/0/5700"), Err(AttributeError::Value("st")));
        assert_eq!(check(&["gt=inf"], "/3303/0/5700"), Err(AttributeError::Value("gt")));
        let contradiction = Err(AttributeError::Contradiction("epmin and epmax"));
        assert_eq!(check(&["epmin=5", "epmax=5"], "/3303/0"), contradiction);
    }

    #[test]
    fn a_client_is_asked_only_for_what_its_version_knows() {
        let at = path("/3303/0/5700");
        let unknown = |name: &str| Err(AttributeError::Unknown(name.into()));
        assert_eq!(changes(&["epmin=1"]).check(&at, Version::V1_0), unknown("epmin"));
        assert_eq!(changes(&["epmin=1"]).check(&at, Version::V1_1), Ok(()));
        assert_eq!(changes(&["hqmax=1"]).check(&at, Version::V1_1), unknown("hqmax"));
        assert_eq!(changes(&["edge=0"]).check(&at, Version::V1_2), Ok(()));
    }

    #[test]
    fn the_level_above_fills_in() {
        let above = Attributes { pmin: Some(1), pmax: Some(2), ..Attributes::default() };
        let own = Attributes { pmax: Some(9), ..Attributes::default() };
        assert_eq!(own.or(&above), Attributes { pmin: Some(1), pmax: Some(9), ..Attributes::default() });
    }

    proptest! {
        #[test]
        fn changes_read_back_as_written(pmin: u32, gt in -1e9..1e9_f64, keep: bool) {
            let written = AttributeChanges {
                pmin: Change::Set(pmin),
                gt: Change::Set(gt),
                st: if keep { Change::Keep } else { Change::Unset },
                ..AttributeChanges::default()
            };
            prop_assert_eq!(AttributeChanges::from_query(&written.to_query()), Ok(written));
            prop_assert!(!written.is_empty());
        }
    }
}
