//! Refusals: every no of the gateway and of the REST API, named once, with the words and the status for each.

use serde::{Deserialize, Serialize};

/// Why a call was refused. The code is stable; the portal has a page for each under `/docs/errors/<code>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    MissingKey,
    MalformedKey,
    UnknownKey,
    ExpiredKey,
    RevokedKey,
    ConflictingCredentials,
    PartnerSuspended,
    NoSubscription,
    NotFound,
    MethodNotAllowed,
    OperationNotInPlan,
    LimitExceeded,
    QuotaExceeded,
    BadRequest,
    BodyTooLarge,
    UriTooLong,
    LoopDetected,
    UpstreamUnreachable,
    UpstreamTimeout,
    MeteringUnavailable,
    Overloaded,
}

/// One row of the table of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// Stable text, as in the page's address.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// The problem's title (RFC 9457): the same for each occurrence.
    pub title: &'static str,
    /// What happened, in general.
    pub meaning: &'static str,
    /// What the caller should do.
    pub remedy: &'static str,
}

impl Code {
    /// In the order in which the docs list them.
    pub const ALL: [Self; 21] = [
        Self::MissingKey,
        Self::MalformedKey,
        Self::UnknownKey,
        Self::ExpiredKey,
        Self::RevokedKey,
        Self::ConflictingCredentials,
        Self::PartnerSuspended,
        Self::NoSubscription,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::OperationNotInPlan,
        Self::LimitExceeded,
        Self::QuotaExceeded,
        Self::BadRequest,
        Self::BodyTooLarge,
        Self::UriTooLong,
        Self::LoopDetected,
        Self::UpstreamUnreachable,
        Self::UpstreamTimeout,
        Self::MeteringUnavailable,
        Self::Overloaded,
    ];

    /// The table.
    pub const fn describe(self) -> Description {
        let (code, status, title, meaning, remedy) = match self {
            Self::MissingKey => (
                "missing-key",
                401,
                "No API key",
                "The request carried no API key.",
                "Send your key as \"Authorization: Bearer <key>\" or as \"X-API-Key: <key>\".",
            ),
            Self::MalformedKey => (
                "malformed-key",
                401,
                "Not an API key",
                "The text that was sent as a key has the wrong form or a wrong checksum.",
                "Check that the whole key was copied; it starts with tp_live_ or tp_test_ and is 44 characters long.",
            ),
            Self::UnknownKey => (
                "unknown-key",
                401,
                "Unknown API key",
                "The key has the right form, but no such key exists here.",
                "Check that the key belongs to this gateway, or create a new one in the portal.",
            ),
            Self::ExpiredKey => (
                "expired-key",
                401,
                "Expired API key",
                "The key was valid until its expiry date or the end of its rotation overlap.",
                "Use the key that replaced it, or create a new one in the portal.",
            ),
            Self::RevokedKey => (
                "revoked-key",
                401,
                "Revoked API key",
                "Somebody of your company revoked the key.",
                "Create a new key in the portal, or ask the colleague who revoked this one.",
            ),
            Self::ConflictingCredentials => (
                "conflicting-credentials",
                401,
                "Conflicting credentials",
                "The request carried more than one credential and they are not the same.",
                "Send one key, in one header.",
            ),
            Self::PartnerSuspended => (
                "partner-suspended",
                403,
                "Account suspended",
                "The provider has suspended this account.",
                "Contact the provider; the portal shows the reason if one was given.",
            ),
            Self::NoSubscription => (
                "no-subscription",
                403,
                "No active plan",
                "The account has no active plan.",
                "Choose a plan in the portal.",
            ),
            Self::NotFound => (
                "not-found",
                404,
                "Not found",
                "No product that you may use answers at this address.",
                "Check the path against the product's reference page.",
            ),
            Self::MethodNotAllowed => (
                "method-not-allowed",
                405,
                "Method not allowed",
                "The path exists, but not with this method.",
                "The Allow header lists the methods that work.",
            ),
            Self::OperationNotInPlan => (
                "operation-not-in-plan",
                403,
                "Not in your plan",
                "The operation exists, but your plan does not open it.",
                "Compare plans in the portal and choose one that opens it.",
            ),
            Self::LimitExceeded => (
                "limit-exceeded",
                429,
                "Too many calls",
                "More calls arrived within a window than your plan allows.",
                "Wait for the number of seconds in Retry-After and slow down; a larger plan has higher limits.",
            ),
            Self::QuotaExceeded => (
                "quota-exceeded",
                429,
                "Quota used up",
                "The units of this billing period are used up.",
                "Wait for the next period or choose a larger plan in the portal.",
            ),
            Self::BadRequest => (
                "bad-request",
                400,
                "Bad request",
                "The request is not well-formed HTTP, or its path could be read in two ways.",
                "Send a plain path: no dot segments, no encoded slashes, no control characters.",
            ),
            Self::BodyTooLarge => (
                "body-too-large",
                413,
                "Body too large",
                "The request body is larger than this gateway takes.",
                "Send less at once.",
            ),
            Self::UriTooLong => (
                "uri-too-long",
                414,
                "Address too long",
                "The path and query are longer than this gateway takes.",
                "Send long values in the body.",
            ),
            Self::LoopDetected => (
                "loop-detected",
                508,
                "Loop detected",
                "The request has already passed through this gateway.",
                "The provider's upstream address points back at the gateway; contact the provider.",
            ),
            Self::UpstreamUnreachable => (
                "upstream-unreachable",
                502,
                "Upstream unreachable",
                "The API behind the gateway could not be reached or broke off its answer. The call is not billed.",
                "Try again in a moment; if it stays, contact the provider.",
            ),
            Self::UpstreamTimeout => (
                "upstream-timeout",
                504,
                "Upstream timeout",
                "The API behind the gateway did not answer in time. The call is not billed.",
                "Try again; a call that changes something may have been carried out, so check first.",
            ),
            Self::MeteringUnavailable => (
                "metering-unavailable",
                503,
                "Metering unavailable",
                "The gateway cannot record usage at the moment and takes no billable calls without it.",
                "Try again after the number of seconds in Retry-After.",
            ),
            Self::Overloaded => (
                "overloaded",
                503,
                "Overloaded",
                "The gateway has more calls than it can take.",
                "Try again after the number of seconds in Retry-After.",
            ),
        };
        Description { code, status, title, meaning, remedy }
    }

    /// The code of a page's address.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.describe().code == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_its_own_and_reads_back() {
        for code in Code::ALL {
            assert_eq!(Code::from_code(code.describe().code), Some(code));
        }
    }
}
