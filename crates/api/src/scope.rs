//! What a token lets its holder do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

macro_rules! scopes {
    ($($(#[doc = $doc:literal])* $scope:ident, $word:literal;)*) => {
        /// What a token lets its holder do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Scope {
            $($(#[doc = $doc])* $scope,)*
        }

        impl Scope {
            /// Every scope.
            pub const ALL: &'static [Self] = &[$(Self::$scope,)*];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$scope => $word,)* }
            }

            /// What it lets its holder do, as a phrase.
            #[must_use]
            pub fn description(self) -> &'static str {
                match self { $(Self::$scope => concat!($($doc),*).trim(),)* }
            }
        }
    };
}

scopes! {
    /// See groups and their members.
    GroupsRead, "groups:read";
    /// See peripherals.
    PeripheralsRead, "peripherals:read";
    /// Allocate, remove, release, block, deregister peripherals and put them into standby.
    PeripheralsWrite, "peripherals:write";
    /// See group requests and what became of them.
    RequestsRead, "requests:read";
    /// Send and cancel group requests.
    RequestsWrite, "requests:write";
    /// Decide which peripherals may register.
    RegistrationsDecide, "registrations:decide";
    /// Read the event log and the snapshot.
    EventsRead, "events:read";
    /// Everything, in every application, and gateways, applications and tokens besides.
    Operator, "operator";
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text is no scope. The fault is of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no scope; scopes are {list}", list = Scope::ALL.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", "))]
pub struct ScopeError(String);

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let found = Self::ALL.iter().copied().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| ScopeError(text.to_owned()))
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl utoipa::PartialSchema for Scope {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::Type::String)
            .description(Some("What a token lets its holder do."))
            .enum_values(Some(Self::ALL.iter().map(|scope| scope.as_str())))
            .into()
    }
}

impl utoipa::ToSchema for Scope {
    fn name() -> std::borrow::Cow<'static, str> {
        "Scope".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reads_back_as_written_and_says_what_it_is_for() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(*scope));
            assert!(scope.description().ends_with('.'), "{scope}");
        }
    }

    #[test]
    fn an_unknown_scope_is_refused_with_the_list_of_those_there_are() {
        let error = "groups:write".parse::<Scope>().expect_err("no scope").to_string();
        assert!(error.contains("groups:read"), "{error}");
    }
}
