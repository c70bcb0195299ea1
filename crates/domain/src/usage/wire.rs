//! The event as bytes, as the spool keeps it. The first byte is the format's version.
//!
//! Version 2, which is written; numbers little-endian, `varint` as in LEB128, `text` a varint length and UTF-8:
//!
//! ```text
//! version u8 | flags u16 | outcome u8 | at: microseconds since 1970 i64 | status u16
//! partner, app, key: 16 bytes each | team?, member?, plan version?, product?, operation?: 16 bytes each, by flag
//! units, bytes in, bytes out, duration, upstream: varint | request id, method, path: text
//! then by flag: period: start and end in microseconds since 1970, i64 each | credits varint | epoch varint
//!   | trace id: 16 bytes | region text | price rule text | meters: how many varint, each code text, kind u8,
//!     item 16 bytes where the kind's highest bit is set, quantity i64 | allocation: 16 bytes, units varint
//! ```
//!
//! Version 1, which is read for ever: `flags u8` without the last five, and `at` as seconds i64 and nanoseconds i32.
//!
//! An event has exactly one form in bytes, and Postgres keeps all of it: what [`encode`] makes of a stored event are the
//! very bytes that the usage log has under its checksums and seals (those of version 1 excepted, whose epoch is 0).
//!
//! A number of a flag, an outcome or a refusal is never given a second meaning: spools outlive upgrades.

use super::{Allocated, MeterKind, Metered, Outcome, UsageEvent, whole_micros};
use crate::{
    id::{AllocationId, AppId, KeyId, MemberId, OperationId, PartnerId, PlanVersionId, ProductId, TeamId},
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

const VERSION_1: u8 = 1;
const VERSION: u8 = 2;

const TEST: u16 = 1;
const TEAM: u16 = 2;
const MEMBER: u16 = 4;
const PLAN_VERSION: u16 = 8;
const PRODUCT: u16 = 16;
const OPERATION: u16 = 32;
const PERIOD: u16 = 64;
const CREDITS: u16 = 128;
const EPOCH: u16 = 256;
const TRACE_ID: u16 = 512;
const REGION: u16 = 1024;
const PRICE_RULE: u16 = 2048;
const METERS: u16 = 4096;
const ALLOCATED: u16 = 8192;
/// Whoever sets another one means something that this version does not know.
const KNOWN: u16 = 16383;

/// A kind's number is its place. Only ever appended to.
const KINDS: [MeterKind; 5] =
    [MeterKind::Sum, MeterKind::Maximum, MeterKind::Latest, MeterKind::Unique, MeterKind::Gauge];
/// Set in a kind where an item follows.
const ITEM: u8 = 128;

const SERVED: u8 = 0;
const UPSTREAM_FAILED: u8 = 1;
const CLIENT_GONE: u8 = 2;
const REPLAYED: u8 = 3;
const CACHED: u8 = 4;
/// The first refusal; its number is its place in [`REFUSALS`].
const REFUSED: u8 = 16;

/// Only ever appended to.
const REFUSALS: [Code; 45] = [
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
    Code::InvoiceUnpaid,
];

/// Appends the event to `out`.
pub fn encode<Text: AsRef<str>>(event: &UsageEvent<Text>, out: &mut Vec<u8>) {
    let [low, high] = flags(event).to_le_bytes();
    out.extend_from_slice(&[VERSION, low, high, outcome_number(event.outcome)]);
    out.extend_from_slice(&whole_micros(event.at).to_le_bytes());
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
    for text in [&event.request_id, &event.method, &event.path] {
        put_text(text.as_ref(), out);
    }
    for instant in event.period.iter().flat_map(|period| [period.start, period.end]) {
        out.extend_from_slice(&instant.as_microsecond().to_le_bytes());
    }
    for number in [event.credits, event.epoch] {
        if number > 0 {
            put_varint(number, out);
        }
    }
    if let Some(trace_id) = &event.trace_id {
        out.extend_from_slice(trace_id);
    }
    for text in [&event.region, &event.price_rule].map(Text::as_ref) {
        if !text.is_empty() {
            put_text(text, out);
        }
    }
    if !event.meters.is_empty() {
        put_varint(event.meters.len() as u64, out);
        for Metered { meter, kind, quantity, item } in &event.meters {
            put_text(meter.as_ref(), out);
            let number = (0..).zip(KINDS).find(|(_, known)| known == kind).map_or(0, |(number, _)| number);
            out.push(number | if item.is_some() { ITEM } else { 0 });
            out.extend_from_slice(item.as_ref().map_or(&[][..], |item| item));
            out.extend_from_slice(&quantity.to_le_bytes());
        }
    }
    if let Some(Allocated { allocation, units }) = event.allocated {
        out.extend_from_slice(allocation.0.as_bytes());
        put_varint(units, out);
    }
}

/// Reads one event that fills all of `bytes`.
pub fn decode(bytes: &[u8]) -> Result<UsageEvent, BadEvent> {
    Ok(read(bytes)?.map_text(str::to_owned))
}

/// [`decode`] without a copy of any text: for those who read many.
pub fn read(bytes: &[u8]) -> Result<UsageEvent<&str>, BadEvent> {
    let mut rest = Rest(bytes);
    let [version] = rest.array()?;
    let flags = match version {
        VERSION_1 => rest.array().map(|[flags]| u16::from(flags))?,
        VERSION => u16::from_le_bytes(rest.array()?),
        _ => return Err(bad(format!("version {version} is not known"))),
    };
    if flags & !KNOWN != 0 {
        return Err(bad("a flag is not known"));
    }
    let [outcome] = rest.array()?;
    let outcome = outcome_of(outcome).ok_or_else(|| bad("the outcome is not known"))?;
    let at = match version {
        VERSION_1 => {
            let (seconds, nanoseconds) = (i64::from_le_bytes(rest.array()?), i32::from_le_bytes(rest.array()?));
            Timestamp::new(seconds, nanoseconds).map_err(|error| bad(error.to_string()))?
        }
        _ => rest.instant()?,
    };
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
        credits: rest.varint_if(flags & CREDITS)?,
        epoch: rest.varint_if(flags & EPOCH)?,
        trace_id: if flags & TRACE_ID == 0 { None } else { Some(rest.array()?) },
        region: rest.text_if(flags & REGION)?,
        price_rule: rest.text_if(flags & PRICE_RULE)?,
        meters: rest.meters_if(flags & METERS)?,
        allocated: rest.allocated_if(flags & ALLOCATED)?,
    };
    if !rest.0.is_empty() {
        return Err(bad("bytes are left over"));
    }
    // Else there were two forms of one event.
    if version == VERSION && flags != self::flags(&event) {
        return Err(bad("a flag is set for what is not there"));
    }
    Ok(event)
}

fn flags<Text: AsRef<str>>(event: &UsageEvent<Text>) -> u16 {
    let flag = |bit: u16, set: bool| if set { bit } else { 0 };
    flag(TEST, event.environment == Environment::Test)
        | flag(TEAM, event.team.is_some())
        | flag(MEMBER, event.member.is_some())
        | flag(PLAN_VERSION, event.plan_version.is_some())
        | flag(PRODUCT, event.product.is_some())
        | flag(OPERATION, event.operation.is_some())
        | flag(PERIOD, event.period.is_some())
        | flag(CREDITS, event.credits > 0)
        | flag(EPOCH, event.epoch > 0)
        | flag(TRACE_ID, event.trace_id.is_some())
        | flag(REGION, !event.region.as_ref().is_empty())
        | flag(PRICE_RULE, !event.price_rule.as_ref().is_empty())
        | flag(METERS, !event.meters.is_empty())
        | flag(ALLOCATED, event.allocated.is_some())
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

fn put_text(text: &str, out: &mut Vec<u8>) {
    put_varint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
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

    fn id_if(&mut self, flag: u16) -> Result<Option<Uuid>, BadEvent> {
        if flag == 0 { Ok(None) } else { self.id().map(Some) }
    }

    fn instant(&mut self) -> Result<Timestamp, BadEvent> {
        let micros = i64::from_le_bytes(self.array()?);
        Timestamp::from_microsecond(micros).map_err(|error| bad(error.to_string()))
    }

    fn period_if(&mut self, flag: u16) -> Result<Option<Period>, BadEvent> {
        if flag == 0 {
            return Ok(None);
        }
        Ok(Some(Period { start: self.instant()?, end: self.instant()? }))
    }

    fn varint_if(&mut self, flag: u16) -> Result<u64, BadEvent> {
        if flag == 0 { Ok(0) } else { self.varint() }
    }

    fn text_if(&mut self, flag: u16) -> Result<&'a str, BadEvent> {
        if flag == 0 { Ok("") } else { self.text() }
    }

    fn meters_if(&mut self, flag: u16) -> Result<Vec<Metered<&'a str>>, BadEvent> {
        let count = self.varint_if(flag)?;
        // Collected one by one: a count that the bytes do not hold takes no memory.
        let meter = |_| {
            let meter = self.text()?;
            let [number] = self.array()?;
            let kind = KINDS.get(usize::from(number & !ITEM)).copied();
            let kind = kind.ok_or_else(|| bad(format!("a meter's kind {number} is not known")))?;
            let item = if number & ITEM == 0 { None } else { Some(self.array()?) };
            Ok(Metered { meter, kind, quantity: i64::from_le_bytes(self.array()?), item })
        };
        (0..count).map(meter).collect()
    }

    fn allocated_if(&mut self, flag: u16) -> Result<Option<Allocated>, BadEvent> {
        let Some(id) = self.id_if(flag)? else { return Ok(None) };
        Ok(Some(Allocated { allocation: AllocationId(id), units: self.varint()? }))
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
            if byte == 0 && shift > 0 {
                return Err(bad("a number is longer than it need be"));
            }
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(bad("a number is too large"))
    }

    fn text(&mut self) -> Result<&'a str, BadEvent> {
        let length = usize::try_from(self.varint()?).map_err(|_| bad("a text is too long"))?;
        std::str::from_utf8(self.take(length)?).map_err(|_| bad("a text is not UTF-8"))
    }
}

#[cfg(test)]
pub(super) mod tests {
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
            Just(Outcome::Replayed),
            Just(Outcome::Cached),
            prop::sample::select(Code::ALL.to_vec()).prop_map(Outcome::Refused),
        ]
    }

    prop_compose! {
        pub(in crate::usage) fn event()(
            (seconds, micros, status, outcome, test) in
                (-300_000_000_000_i64..250_000_000_000, 0..1_000_000, 0..1_000_u16, outcome(), any::<bool>()),
            (partner, app, key) in (id(), id(), id()),
            (team, member, plan_version) in (prop::option::of(id()), prop::option::of(id()), prop::option::of(id())),
            (product, operation) in (prop::option::of(id()), prop::option::of(id())),
            numbers in any::<[u64; 6]>(),
            period in prop::option::of((-9_000_000_000_i64..250_000_000_000, 1..40_000_000_i64)),
            (request_id, method, path) in (".{0,40}", "[A-Z]{0,16}", ".{0,200}"),
            (epoch, trace_id) in (any::<u64>(), prop::option::of(any::<[u8; 16]>())),
            (region, price_rule) in (".{0,20}", ".{0,40}"),
            meters in prop::collection::vec(
                (".{0,20}", prop::sample::select(KINDS.to_vec()), any::<i64>(), prop::option::of(any::<[u8; 16]>())), 0..4),
            allocated in prop::option::of((id(), any::<u64>())),
        ) -> UsageEvent {
            UsageEvent {
                at: Timestamp::new(seconds, micros * 1_000).expect("in range"),
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
                epoch, trace_id, region, price_rule,
                meters: meters
                    .into_iter()
                    .map(|(meter, kind, quantity, item)| Metered { meter, kind, quantity, item })
                    .collect(),
                allocated: allocated.map(|(id, units)| Allocated { allocation: AllocationId(id), units }),
            }
        }
    }

    #[test]
    fn every_kind_of_a_meter_has_a_number() {
        assert!(MeterKind::ALL.iter().all(|kind| KINDS.contains(kind)));
    }

    #[test]
    fn every_refusal_has_a_number() {
        for code in Code::ALL {
            let outcome = Outcome::Refused(code);
            assert_eq!(outcome_of(outcome_number(outcome)), Some(outcome));
        }
    }

    /// What version 1 wrote, and what it meant. These bytes are on disks.
    #[test]
    fn version_1_is_read_for_ever() {
        let id = |byte: u8| Uuid::from_bytes([byte; 16]);
        let at = |seconds, nanos| Timestamp::new(seconds, nanos).expect("in range");
        let refused = UsageEvent {
            request_id: "req_1".to_owned(),
            method: "POST".to_owned(),
            status: 429,
            outcome: Outcome::Refused(Code::LimitExceeded),
            duration_us: 1_500,
            upstream_us: 1_000,
            ..UsageEvent::new(at(-2, -1), PartnerId(id(1)), AppId(id(2)), KeyId(id(3)))
        };
        let full = UsageEvent {
            at: at(1_763_000_000, 123_456_789),
            team: Some(TeamId(id(4))),
            member: Some(MemberId(id(5))),
            environment: Environment::Test,
            plan_version: Some(PlanVersionId(id(6))),
            product: Some(ProductId(id(7))),
            operation: Some(OperationId(id(8))),
            path: "/payments/{id}".to_owned(),
            status: 201,
            outcome: Outcome::ClientGone,
            units: 300,
            credits: 7,
            period: Some(Period { start: at(1_761_955_200, 0), end: at(1_764_547_200, 0) }),
            bytes_out: 70_000,
            ..refused.clone()
        };
        let fixture = include_str!("version_1.hex");
        let events: Vec<_> = fixture.lines().map(|line| decode(&bytes_of(line))).collect();
        assert_eq!(events, [Ok(full), Ok(refused)]);
    }

    fn bytes_of(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.chars().map(|c| u8::try_from(c.to_digit(16).expect("hex")).expect("fits")).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// What spools of the version before hold, and what a gateway of that version reads: units of no allocation change no byte.
    #[test]
    fn an_event_of_no_allocation_is_as_it_was_before_there_were_any() {
        let nil = Uuid::nil();
        let plain = UsageEvent::<String> {
            credits: 300,
            ..UsageEvent::new(Timestamp::UNIX_EPOCH, PartnerId(nil), AppId(nil), KeyId(nil))
        };
        let own = UsageEvent {
            allocated: Some(Allocated { allocation: AllocationId(Uuid::from_bytes([9; 16])), units: 300 }),
            ..plain.clone()
        };
        let bytes = |event: &UsageEvent| {
            let mut bytes = Vec::new();
            encode(event, &mut bytes);
            bytes
        };
        let (before, after) = (bytes(&plain), bytes(&own));
        let flags = |bytes: &[u8]| u16::from_le_bytes([bytes[1], bytes[2]]);
        assert_eq!((flags(&before), before.len()), (CREDITS, 72));
        assert_eq!((flags(&after), &after[3..72]), (CREDITS | ALLOCATED, &before[3..]));
        assert_eq!(after[72..], [&[9; 16][..], &[0xac, 0x02]].concat());
    }

    #[test]
    fn an_instant_is_written_in_whole_microseconds_of_the_past() {
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        for (told, kept) in [
            ("2026-03-01T10:00:00.123456789Z", "2026-03-01T10:00:00.123456Z"),
            ("2026-03-01T10:59:59.999999999Z", "2026-03-01T10:59:59.999999Z"),
            ("1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999Z"),
        ] {
            let nil = Uuid::nil();
            let event = UsageEvent::<String>::new(at(told), PartnerId(nil), AppId(nil), KeyId(nil));
            let mut bytes = Vec::new();
            encode(&event, &mut bytes);
            assert_eq!(decode(&bytes).map(|event| event.at), Ok(at(kept)));
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
            for mut versioned in [vec![VERSION_1, if tail { u8::MAX } else { 0 }, SERVED],
                vec![VERSION, if tail { u8::MAX } else { 0 }, if tail { 31 } else { 0 }, SERVED]] {
                versioned.extend(&bytes);
                let _ = decode(&versioned);
            }
        }
    }
}
