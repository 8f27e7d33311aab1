//! What went wrong, as a problem document (RFC 9457).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const TYPE_PREFIX: &str = "urn:bugle:problem:";

/// A problem document (RFC 9457), sent as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Which problem it is, for programs: a URN that ends in the problem's code.
    #[serde(rename = "type")]
    pub problem_type: String,
    /// Which problem it is, for people.
    pub title: String,
    /// The status code of the answer.
    pub status: u16,
    /// What was wrong this time, and what to do.
    pub detail: String,
}

impl Problem {
    /// The content type of a problem document.
    pub const CONTENT_TYPE: &'static str = "application/problem+json";

    /// The problem of this code; `detail` says what was wrong this time, and what to do.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            problem_type: format!("{TYPE_PREFIX}{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
        }
    }

    /// Its code, if it is one that this release knows.
    #[must_use]
    pub fn code(&self) -> Option<ProblemCode> {
        let word = self.problem_type.strip_prefix(TYPE_PREFIX)?;
        ProblemCode::ALL.iter().copied().find(|code| code.as_str() == word)
    }
}

macro_rules! problem_codes {
    ($($(#[doc = $doc:literal])* $code:ident, $word:literal, $status:literal, $title:literal;)*) => {
        /// Which problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ProblemCode {
            $($(#[doc = $doc])* $code,)*
        }

        impl ProblemCode {
            /// Every problem.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// The word for it, as it ends the type.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $word,)* }
            }

            /// The status code that it is answered with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$code => $status,)* }
            }

            /// What it is called.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$code => $title,)* }
            }
        }
    };
}

problem_codes! {
    /// The body is no JSON, or the query no query.
    Malformed, "malformed", 400, "The request cannot be read";
    /// There is no token, or an unknown one.
    Unauthenticated, "unauthenticated", 401, "A valid token is needed";
    /// The token has expired.
    TokenExpired, "token-expired", 401, "The token has expired";
    /// The token does not have the scope that is needed, or is of another application.
    Forbidden, "forbidden", 403, "The token does not allow this";
    /// The enrolment token is unknown, used or expired.
    EnrollmentRefused, "enrollment-refused", 403, "The enrolment token is not valid";
    /// There is nothing at this path.
    NotFound, "not-found", 404, "There is nothing here";
    /// There is no such application.
    UnknownApplication, "unknown-application", 404, "The application is unknown";
    /// There is no such gateway.
    UnknownGateway, "unknown-gateway", 404, "The gateway is unknown";
    /// No allocation names the group.
    UnknownGroup, "unknown-group", 404, "The group is unknown";
    /// No allocation of the peripheral is known.
    UnknownPeripheral, "unknown-peripheral", 404, "The peripheral is unknown";
    /// The one group does not lie directly in the other.
    NotNested, "not-nested", 404, "The one group does not lie in the other";
    /// There is no such group request.
    UnknownRequest, "unknown-request", 404, "The group request is unknown";
    /// There is no such schedule.
    UnknownSchedule, "unknown-schedule", 404, "The schedule is unknown";
    /// There is no such token.
    UnknownToken, "unknown-token", 404, "The token is unknown";
    /// The path exists, but not with this method.
    MethodNotAllowed, "method-not-allowed", 405, "The method is not allowed here";
    /// The allocation was made somewhere else, and only that place may change it.
    AllocatedElsewhere, "allocated-elsewhere", 409, "The allocation is not made here";
    /// A group would lie in itself, or too deep in others.
    GroupNesting, "group-nesting", 409, "The groups cannot lie in each other so";
    /// The events after the cursor are no longer kept.
    EventsGone, "events-gone", 410, "The events are no longer kept";
    /// The body is too large.
    TooLarge, "too-large", 413, "The request is too large";
    /// The body is not sent as JSON.
    UnsupportedMediaType, "unsupported-media-type", 415, "The body must be JSON";
    /// Something in the body or the query is not allowed.
    Invalid, "invalid", 422, "The request is not valid";
    /// The idempotency key was used before, with another request.
    IdempotencyKeyReused, "idempotency-key-reused", 422, "The idempotency key belongs to another request";
    /// Too much waits already.
    Overloaded, "overloaded", 429, "Too much waits already";
    /// A defect of the platform.
    Internal, "internal", 500, "The platform has a defect";
    /// The disk does not take what must be kept.
    Unavailable, "unavailable", 503, "The platform cannot store anything now";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_tells_its_code() {
        for code in ProblemCode::ALL {
            assert_eq!(Problem::new(*code, "").code(), Some(*code));
        }
    }

    #[test]
    fn a_problem_of_a_later_release_has_no_code_but_still_reads() {
        let json = r#"{"type":"urn:bugle:problem:novel","title":"New","status":418,"detail":"d","extra":1}"#;
        let problem: Problem = serde_json::from_str(json).expect("a problem");
        assert_eq!((problem.code(), problem.status), (None, 418));
    }
}
