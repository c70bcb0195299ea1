//! The event as bytes, as the spool keeps it. The first byte is the format's version.
//!
//! Version 1, numbers little-endian, `varint` as in LEB128, `text` a varint length and UTF-8:
//!
//! ```text
//! version u8 | flags u8 | outcome u8 | at: seconds i64, nanoseconds i32 | status u16
//! partner, app, key: 16 bytes each | team?, member?, plan version?, product?, operation?: 16 bytes each, by flag
//! units, bytes in, bytes out, duration, upstream: varint | request id, method, path: text
//! period? start and end: microseconds since 1970, i64 each, by flag | credits? varint, by flag
//! ```
//!
//! A number of a flag, an outcome or a refusal is never given a second meaning: spools outlive upgrades.

use super::{Outcome, UsageEvent};
use crate::{
    id::{AppId, KeyId, MemberId, OperationId, PartnerId, PlanVersionId, ProductId, TeamId},
    key_text::Environment,
    period::Period,
    refusal::Code,
};
use jiff::Timestamp;
use uuid::Uuid;

/// The bytes are not an event of a version that we know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a usage event: {0}")]
pub struct BadEvent(pub String);

const VERSION: u8 = 1;

const TEST: u8 = 1;
const TEAM: u8 = 2;
const MEMBER: u8 = 4;
const PLAN_VERSION: u8 = 8;
const PRODUCT: u8 = 16;
const OPERATION: u8 = 32;
const PERIOD: u8 = 64;
const CREDITS: u8 = 128;

const SERVED: u8 = 0;
const UPSTREAM_FAILED: u8 = 1;
const CLIENT_GONE: u8 = 2;
const REPLAYED: u8 = 3;
const CACHED: u8 = 4;
/// The first refusal; its number is its place in [`REFUSALS`].
const REFUSED: u8 = 16;

/// Only ever appended to.
const REFUSALS: [Code; 44] = [
    Code::MissingKey,
    Code::MalformedKey,
    Code::UnknownKey,
    Code::ExpiredKey,
    Code::RevokedKey,
    Code::ConflictingCredentials,
    Code::PartnerSuspended,
    Code::NoSubscription,
    Code::NotFound,
    Code::MethodNotAllowed,
    Code::OperationNotInPlan,
    Code::LimitExceeded,
    Code::QuotaExceeded,
    Code::BadRequest,
    Code::BodyTooLarge,
    Code::UriTooLong,
    Code::LoopDetected,
    Code::UpstreamUnreachable,
    Code::UpstreamTimeout,
    Code::MeteringUnavailable,
    Code::Overloaded,
    Code::MissingCredential,
    Code::InvalidToken,
    Code::ExpiredToken,
    Code::InvalidCertificate,
    Code::AddressNotAllowed,
    Code::MissingScope,
    Code::FeatureNotInPlan,
    Code::CreditExhausted,
    Code::ConcurrencyExceeded,
    Code::UpstreamBusy,
    Code::UpstreamUnavailable,
    Code::AllowanceUnavailable,
    Code::IdempotencyKeyMissing,
    Code::IdempotencyKeyInvalid,
    Code::IdempotencyInFlight,
    Code::IdempotencyMismatch,
    Code::IdempotencyUnknown,
    Code::IdempotencyUnavailable,
    Code::HeadersTooLarge,
    Code::RequestTimeout,
    Code::MisdirectedRequest,
    Code::TooManyGuesses,
    Code::IssuerUnavailable,
];

/// Appends the event to `out`.
pub fn encode<Text: AsRef<str>>(event: &UsageEvent<Text>, out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION, flags(event), outcome_number(event.outcome)]);
    out.extend_from_slice(&event.at.as_second().to_le_bytes());
    out.extend_from_slice(&event.at.subsec_nanosecond().to_le_bytes());
    out.extend_from_slice(&event.status.to_le_bytes());
    for id in [event.partner.0, event.app.0, event.key.0] {
        out.extend_from_slice(id.as_bytes());
    }
    let optional = [
        event.team.map(|id| id.0),
        event.member.map(|id| id.0),
        event.plan_version.map(|id| id.0),
        event.product.map(|id| id.0),
        event.operation.map(|id| id.0),
    ];
    for id in optional.iter().flatten() {
        out.extend_from_slice(id.as_bytes());
    }
    for number in [event.units, event.bytes_in, event.bytes_out, event.duration_us, event.upstream_us] {
        put_varint(number, out);
    }
    for text in [&event.request_id, &event.method, &event.path].map(Text::as_ref) {
        put_varint(text.len() as u64, out);
        out.extend_from_slice(text.as_bytes());
    }
    for instant in event.period.iter().flat_map(|period| [period.start, period.end]) {
        out.extend_from_slice(&instant.as_microsecond().to_le_bytes());
    }
    if event.credits > 0 {
        put_varint(event.credits, out);
    }
}

/// Reads one event that fills all of `bytes`.
pub fn decode(bytes: &[u8]) -> Result<UsageEvent, BadEvent> {
    let mut rest = Rest(bytes);
    let [version] = rest.array()?;
    if version != VERSION {
        return Err(bad(format!("version {version} is not known")));
    }
    let [flags] = rest.array()?;
    let [outcome] = rest.array()?;
    let outcome = outcome_of(outcome).ok_or_else(|| bad("the outcome is not known"))?;
    let (seconds, nanoseconds) = (i64::from_le_bytes(rest.array()?), i32::from_le_bytes(rest.array()?));
    let at = Timestamp::new(seconds, nanoseconds).map_err(|error| bad(error.to_string()))?;
    let status = u16::from_le_bytes(rest.array()?);
    let (partner, app, key) = (PartnerId(rest.id()?), AppId(rest.id()?), KeyId(rest.id()?));
    let event = UsageEvent {
        at,
        partner,
        app,
        key,
        team: rest.id_if(flags & TEAM)?.map(TeamId),
        member: rest.id_if(flags & MEMBER)?.map(MemberId),
        plan_version: rest.id_if(flags & PLAN_VERSION)?.map(PlanVersionId),
        product: rest.id_if(flags & PRODUCT)?.map(ProductId),
        operation: rest.id_if(flags & OPERATION)?.map(OperationId),
        environment: if flags & TEST == 0 { Environment::Live } else { Environment::Test },
        status,
        outcome,
        units: rest.varint()?,
        bytes_in: rest.varint()?,
        bytes_out: rest.varint()?,
        duration_us: rest.varint()?,
        upstream_us: rest.varint()?,
        request_id: rest.text()?,
        method: rest.text()?,
        path: rest.text()?,
        period: rest.period_if(flags & PERIOD)?,
        credits: if flags & CREDITS == 0 { 0 } else { rest.varint()? },
    };
    if rest.0.is_empty() { Ok(event) } else { Err(bad("bytes are left over")) }
}

fn flags<Text>(event: &UsageEvent<Text>) -> u8 {
    let flag = |bit: u8, set: bool| if set { bit } else { 0 };
    flag(TEST, event.environment == Environment::Test)
        | flag(TEAM, event.team.is_some())
        | flag(MEMBER, event.member.is_some())
        | flag(PLAN_VERSION, event.plan_version.is_some())
        | flag(PRODUCT, event.product.is_some())
        | flag(OPERATION, event.operation.is_some())
        | flag(PERIOD, event.period.is_some())
        | flag(CREDITS, event.credits > 0)
}

fn outcome_number(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Served => SERVED,
        Outcome::UpstreamFailed => UPSTREAM_FAILED,
        Outcome::ClientGone => CLIENT_GONE,
        Outcome::Replayed => REPLAYED,
        Outcome::Cached => CACHED,
        Outcome::Refused(code) => {
            (REFUSED..).zip(REFUSALS).find(|(_, known)| *known == code).map_or(u8::MAX, |(n, _)| n)
        }
    }
}

fn outcome_of(number: u8) -> Option<Outcome> {
    match number {
        SERVED => Some(Outcome::Served),
        UPSTREAM_FAILED => Some(Outcome::UpstreamFailed),
        CLIENT_GONE => Some(Outcome::ClientGone),
        REPLAYED => Some(Outcome::Replayed),
        CACHED => Some(Outcome::Cached),
        _ => REFUSALS.get(usize::from(number.checked_sub(REFUSED)?)).copied().map(Outcome::Refused),
    }
}

fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn bad(what: impl Into<String>) -> BadEvent {
    BadEvent(what.into())
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], BadEvent> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or_else(|| bad("it ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadEvent> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or_else(|| bad("it ends early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn id(&mut self) -> Result<Uuid, BadEvent> {
        self.array().map(Uuid::from_bytes)
    }

    fn id_if(&mut self, flag: u8) -> Result<Option<Uuid>, BadEvent> {
        if flag == 0 { Ok(None) } else { self.id().map(Some) }
    }

    fn period_if(&mut self, flag: u8) -> Result<Option<Period>, BadEvent> {
        if flag == 0 {
            return Ok(None);
        }
        let mut instant = || {
            let micros = i64::from_le_bytes(self.array()?);
            Timestamp::from_microsecond(micros).map_err(|error| bad(error.to_string()))
        };
        Ok(Some(Period { start: instant()?, end: instant()? }))
    }

    fn varint(&mut self) -> Result<u64, BadEvent> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(bad("a number is too large"))
    }

    fn text(&mut self) -> Result<String, BadEvent> {
        let length = usize::try_from(self.varint()?).map_err(|_| bad("a text is too long"))?;
        String::from_utf8(self.take(length)?.to_vec()).map_err(|_| bad("a text is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id() -> impl Strategy<Value = Uuid> {
        any::<u128>().prop_map(Uuid::from_u128)
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            Just(Outcome::Served),
            Just(Outcome::UpstreamFailed),
            Just(Outcome::ClientGone),
            prop::sample::select(Code::ALL.to_vec()).prop_map(Outcome::Refused),
        ]
    }

    prop_compose! {
        fn event()(
            (seconds, nanos, status, outcome, test) in
                (-300_000_000_000_i64..250_000_000_000, 0..1_000_000_000, any::<u16>(), outcome(), any::<bool>()),
            (partner, app, key) in (id(), id(), id()),
            (team, member, plan_version) in (prop::option::of(id()), prop::option::of(id()), prop::option::of(id())),
            (product, operation) in (prop::option::of(id()), prop::option::of(id())),
            numbers in any::<[u64; 6]>(),
            period in prop::option::of((-9_000_000_000_i64..250_000_000_000, 1..40_000_000_i64)),
            (request_id, method, path) in (".{0,40}", "[A-Z]{0,16}", ".{0,200}"),
        ) -> UsageEvent {
            UsageEvent {
                at: Timestamp::new(seconds, nanos).expect("in range"),
                partner: PartnerId(partner), app: AppId(app), key: KeyId(key),
                team: team.map(TeamId), member: member.map(MemberId),
                plan_version: plan_version.map(PlanVersionId),
                product: product.map(ProductId), operation: operation.map(OperationId),
                environment: if test { Environment::Test } else { Environment::Live },
                status, outcome, request_id, method, path,
                units: numbers[0], bytes_in: numbers[1], bytes_out: numbers[2],
                duration_us: numbers[3], upstream_us: numbers[4], credits: numbers[5],
                period: period.map(|(start, seconds)| {
                    let at = |second| Timestamp::from_second(second).expect("in range");
                    Period { start: at(start), end: at(start + seconds) }
                }),
            }
        }
    }

    #[test]
    fn every_refusal_has_a_number() {
        for code in Code::ALL {
            let outcome = Outcome::Refused(code);
            assert_eq!(outcome_of(outcome_number(outcome)), Some(outcome));
        }
    }

    proptest! {
        #[test]
        fn an_event_reads_back_and_no_part_of_it_does(event in event(), cut in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            encode(&event, &mut bytes);
            prop_assert_eq!(decode(&bytes), Ok(event));
            prop_assert!(decode(&bytes[..cut.index(bytes.len())]).is_err());
            bytes.push(0);
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn any_bytes_are_answered_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), tail in any::<bool>()) {
            let _ = decode(&bytes);
            let mut versioned = vec![VERSION, if tail { u8::MAX } else { 0 }, SERVED];
            versioned.extend(&bytes);
            let _ = decode(&versioned);
        }
    }
}
