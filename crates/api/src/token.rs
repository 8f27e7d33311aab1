//! Tokens: who may use the API, and for what.

use std::collections::BTreeSet;

use bugle_core::{ApplicationId, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Scope;

/// A token to issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for, in words.
    pub name: String,
    /// What it lets its holder do; at least one.
    pub scopes: BTreeSet<Scope>,
    /// The only application that it is good for; all of them without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationId>,
    /// How long it is good for; forever without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<u64>,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Which; not the secret.
    pub id: String,
    /// What it is for, in words.
    pub name: String,
    /// What it lets its holder do.
    pub scopes: BTreeSet<Scope>,
    /// The only application that it is good for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationId>,
    /// When it was issued.
    pub created_at: Time,
    /// Until when it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

/// A token that was issued just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuedToken {
    /// What to send as `Authorization: Bearer …`. Told only now: the platform keeps a hash.
    pub secret: String,
    /// The rest.
    #[serde(flatten)]
    pub token: Token,
}
