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
    MissingCredential,
    InvalidToken,
    ExpiredToken,
    InvalidCertificate,
    AddressNotAllowed,
    MissingScope,
    FeatureNotInPlan,
    CreditExhausted,
    ConcurrencyExceeded,
    UpstreamBusy,
    UpstreamUnavailable,
    AllowanceUnavailable,
    IdempotencyKeyMissing,
    IdempotencyKeyInvalid,
    IdempotencyInFlight,
    IdempotencyMismatch,
    IdempotencyUnknown,
    IdempotencyUnavailable,
    HeadersTooLarge,
    RequestTimeout,
    MisdirectedRequest,
    TooManyGuesses,
    IssuerUnavailable,
    InvoiceUnpaid,
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
    pub const ALL: [Self; 45] = [
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
        Self::MissingCredential,
        Self::InvalidToken,
        Self::ExpiredToken,
        Self::InvalidCertificate,
        Self::AddressNotAllowed,
        Self::MissingScope,
        Self::FeatureNotInPlan,
        Self::CreditExhausted,
        Self::ConcurrencyExceeded,
        Self::UpstreamBusy,
        Self::UpstreamUnavailable,
        Self::AllowanceUnavailable,
        Self::IdempotencyKeyMissing,
        Self::IdempotencyKeyInvalid,
        Self::IdempotencyInFlight,
        Self::IdempotencyMismatch,
        Self::IdempotencyUnknown,
        Self::IdempotencyUnavailable,
        Self::HeadersTooLarge,
        Self::RequestTimeout,
        Self::MisdirectedRequest,
        Self::TooManyGuesses,
        Self::IssuerUnavailable,
        Self::InvoiceUnpaid,
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
            Self::MissingCredential => (
                "missing-credential",
                401,
                "Another credential is needed",
                "This product asks for more than the credentials that the request carried.",
                "The product's page lists what to send: a key, a token, a client certificate, or several of them.",
            ),
            Self::InvalidToken => (
                "invalid-token",
                401,
                "Invalid token",
                "The token was not signed by an issuer that this product knows, or it is not meant for this API.",
                "Get a new token from your issuer, for the audience that the product's page names.",
            ),
            Self::ExpiredToken => (
                "expired-token",
                401,
                "Expired token",
                "The token is no longer valid, or not yet.",
                "Get a new token from your issuer, and check your clock.",
            ),
            Self::InvalidCertificate => (
                "invalid-certificate",
                401,
                "Invalid client certificate",
                "The connection's certificate is not from an authority that this product knows, has expired, was revoked, or belongs to no app.",
                "Use the certificate that was registered for your app.",
            ),
            Self::AddressNotAllowed => (
                "address-not-allowed",
                403,
                "Address not allowed",
                "The key may not be used from this network address.",
                "Call from an allowed network, or change the key's list of addresses in the portal.",
            ),
            Self::MissingScope => (
                "missing-scope",
                403,
                "Not in the key's scopes",
                "The key has no scope for this operation.",
                "Use a key with that scope, or add it in the portal.",
            ),
            Self::FeatureNotInPlan => (
                "feature-not-in-plan",
                403,
                "Feature not in your plan",
                "Your plan does not open this feature of the operation.",
                "Leave the parameter out, or choose a plan that opens it.",
            ),
            Self::CreditExhausted => (
                "credit-exhausted",
                402,
                "Not enough credit",
                "The account's prepaid credit is too low for this call.",
                "Top up in the portal; the call was not carried out.",
            ),
            Self::ConcurrencyExceeded => (
                "concurrency-exceeded",
                429,
                "Too many calls at once",
                "More calls are in flight than your plan allows at the same time.",
                "Wait for some of them to end before you send more.",
            ),
            Self::UpstreamBusy => (
                "upstream-busy",
                503,
                "Upstream busy",
                "As many calls as this product takes at once are already with the API behind the gateway.",
                "Try again after the number of seconds in Retry-After.",
            ),
            Self::UpstreamUnavailable => (
                "upstream-unavailable",
                503,
                "Upstream unavailable",
                "The API behind the gateway has failed repeatedly and is left alone for a moment. The call is not billed.",
                "Try again after the number of seconds in Retry-After.",
            ),
            Self::AllowanceUnavailable => (
                "allowance-unavailable",
                503,
                "Allowance unavailable",
                "The gateway cannot confirm at the moment that units are left for this call.",
                "Try again after the number of seconds in Retry-After; the call was not carried out.",
            ),
            Self::IdempotencyKeyMissing => (
                "idempotency-key-missing",
                400,
                "No Idempotency-Key",
                "This operation takes only requests with an Idempotency-Key header.",
                "Send a new random key with each new request, and the same key when you send it again.",
            ),
            Self::IdempotencyKeyInvalid => (
                "idempotency-key-invalid",
                400,
                "Invalid Idempotency-Key",
                "The Idempotency-Key header is not one text of 1 to 255 visible ASCII characters.",
                "Send one key, in quotes or without, such as a UUID.",
            ),
            Self::IdempotencyInFlight => (
                "idempotency-in-flight",
                409,
                "Already in flight",
                "A request with this Idempotency-Key is being carried out.",
                "Wait for it to end, then send it again to get its answer.",
            ),
            Self::IdempotencyMismatch => (
                "idempotency-mismatch",
                422,
                "Another request with the same key",
                "This Idempotency-Key was used with another method, path or body.",
                "Use a new key for a new request.",
            ),
            Self::IdempotencyUnknown => (
                "idempotency-unknown",
                409,
                "Outcome unknown",
                "A request with this Idempotency-Key was sent on, and it is not known whether it was carried out.",
                "Ask the API whether it was, and use a new key if it was not.",
            ),
            Self::IdempotencyUnavailable => (
                "idempotency-unavailable",
                503,
                "Idempotency unavailable",
                "The gateway cannot look up Idempotency-Keys at the moment, and does not carry such requests out without it.",
                "Send it again with the same key after the number of seconds in Retry-After.",
            ),
            Self::HeadersTooLarge => (
                "headers-too-large",
                431,
                "Headers too large",
                "The request has more headers, or longer ones, than this gateway takes.",
                "Send fewer and shorter headers.",
            ),
            Self::RequestTimeout => (
                "request-timeout",
                408,
                "Request timeout",
                "The request did not arrive in the time that this gateway waits.",
                "Send it again, faster.",
            ),
            Self::MisdirectedRequest => (
                "misdirected-request",
                421,
                "Misdirected request",
                "This gateway does not answer for that host.",
                "Use the address that the portal shows.",
            ),
            Self::TooManyGuesses => (
                "too-many-guesses",
                429,
                "Too many unknown credentials",
                "Too many credentials that nobody has came from this network address within a minute.",
                "Send a key that exists; keys that exist work from this address all the while.",
            ),
            Self::IssuerUnavailable => (
                "issuer-unavailable",
                503,
                "Issuer unavailable",
                "The keys of the token's issuer have not been fetched yet, so that the token cannot be checked.",
                "Try again after the number of seconds in Retry-After; if it stays, contact the provider.",
            ),
            Self::InvoiceUnpaid => (
                "invoice-unpaid",
                402,
                "Invoice unpaid",
                "An invoice of the account has stayed unpaid for too long after its due date.",
                "Pay it where pay_url leads; calls are served again within a second of the payment.",
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
