//! What a call counts for on its product's meters ([`domain::policy::Meter`]).
//!
//! What the answer says is noted when its head is here ([`crate::cost::measure`]); the rest is known when the call ends. A value
//! that is missing, or that is no whole number from 0 to 10^12, measures nothing, and is counted in
//! `turnpike_gateway_meter_unreadable_total`. An operation that no meter measures pays one comparison.

mod only_where;

use crate::reserve::Ending;
use domain::{
    id::{PartnerId, ProductId},
    policy,
    usage::{MeterKind, Metered, Outcome},
};
use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderName};
use only_where::OnlyWhere;
use serde_json::Value;
use sha2::Sha256;
use std::{borrow::Cow, time::Duration};

/// The most that one call can count for: beyond it an upstream's number is a mistake.
const MOST: u64 = 1_000_000_000_000;
/// The longest text that can be a value of its own, or name a thing, in bytes.
const LONGEST_TEXT: usize = 1_024;

/// A meter of an operation, compiled.
#[derive(Debug)]
pub(crate) struct Measure {
    code: String,
    kind: MeterKind,
    value: Source,
    /// The least and the most that one call counts for.
    bounds: (i64, i64),
    /// Which thing's level it is.
    resource: Option<Told>,
    only_where: Option<OnlyWhere>,
}

/// Where values come from.
#[derive(Debug)]
enum Source {
    Calls,
    Weight,
    BytesIn,
    BytesOut,
    Milliseconds,
    Answer(Told),
}

/// Where the answer says something.
#[derive(Debug)]
pub(crate) enum Told {
    /// `None` for a name that no header can have.
    Header(Option<HeaderName>),
    JsonField(String),
}

/// What an answer says for one meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// That it is measured; the gateway knows the value itself.
    Measured,
    Value {
        quantity: i64,
        item: Option<[u8; 16]>,
    },
}

/// What is known when a call has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub weight: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub upstream: Duration,
}

/// Turns what partners' users are called into what tells them apart and nothing else: the same on all gateways of an
/// installation, and of no use beside another partner, product or meter.
pub(crate) struct Items(Hmac<Sha256>);

impl Items {
    pub(crate) fn new(pepper: &[u8; 32]) -> Self {
        Self(crate::authenticate::keyed(&crate::authenticate::hash_key(pepper, "meter items 1")))
    }

    fn hash(&self, (partner, product): (PartnerId, ProductId), meter: &str, text: &str) -> [u8; 16] {
        let mut mac = self.0.clone();
        for part in [partner.0.as_bytes(), product.0.as_bytes(), meter.as_bytes(), &[0], text.as_bytes()] {
            mac.update(part);
        }
        let hash = mac.finalize().into_bytes();
        let mut item = [0; 16];
        item.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        item
    }
}

impl Measure {
    /// The product's meters that measure the operation with that code.
    pub(crate) fn all(policy: &policy::Policy, operation: &str) -> Vec<Self> {
        let mine = policy.meters.iter().filter(|(_, meter)| meter.measures(operation));
        mine.map(|(code, meter)| Self::new(code, meter)).collect()
    }

    fn new(code: &str, meter: &policy::Meter) -> Self {
        Self {
            code: code.to_owned(),
            kind: meter.kind,
            value: match &meter.value {
                policy::MeterValue::Calls => Source::Calls,
                policy::MeterValue::Weight => Source::Weight,
                policy::MeterValue::BytesIn => Source::BytesIn,
                policy::MeterValue::BytesOut => Source::BytesOut,
                policy::MeterValue::Milliseconds => Source::Milliseconds,
                policy::MeterValue::Header { name } => Source::Answer(Told::header(name)),
                policy::MeterValue::JsonField { pointer } => Source::Answer(Told::JsonField(pointer.clone())),
            },
            bounds: (stored(meter.at_least.unwrap_or(0)), stored(meter.at_most.unwrap_or(MOST))),
            resource: meter.resource.as_ref().map(Told::new),
            only_where: meter.only_where.as_ref().map(OnlyWhere::new),
        }
    }

    /// What the answer has to say for it.
    pub(crate) fn told(&self) -> impl Iterator<Item = &Told> {
        let value = match &self.value {
            Source::Answer(told) => Some(told),
            _ => None,
        };
        value.into_iter().chain(&self.resource).chain(self.only_where.as_ref().map(|only| &only.says))
    }

    /// Reads what the answer says; `Err` where it should have said something and did not.
    fn read(&self, answer: &Saying<'_>) -> Result<Option<Reading>, Unreadable> {
        if let Some(only) = &self.only_where
            && !only.holds(answer)?
        {
            return Ok(None);
        }
        let Source::Answer(told) = &self.value else { return Ok(Some(Reading::Measured)) };
        if self.kind == MeterKind::Unique {
            return Ok(Some(Reading::Value { quantity: 1, item: Some(answer.item(&self.code, told)?) }));
        }
        let item = self.resource.as_ref().map(|told| answer.item(&self.code, told)).transpose()?;
        Ok(Some(Reading::Value { quantity: answer.number(told)?, item }))
    }

    fn metered(&self, read: Option<Reading>, facts: Facts) -> Option<Metered<Cow<'_, str>>> {
        if self.only_where.is_some() && read.is_none() {
            return None;
        }
        let known = |quantity: u64| Some((stored(quantity), None));
        let (quantity, item) = match (&self.value, read) {
            (Source::Calls, _) => known(1),
            (Source::Weight, _) => known(facts.weight),
            (Source::BytesIn, _) => known(facts.bytes_in),
            (Source::BytesOut, _) => known(facts.bytes_out),
            (Source::Milliseconds, _) => {
                known(u64::try_from(facts.upstream.as_micros()).unwrap_or(u64::MAX).div_ceil(1_000))
            }
            (Source::Answer(_), Some(Reading::Value { quantity, item })) => Some((quantity, item)),
            (Source::Answer(_), _) => None,
        }?;
        // Where the least is more than the most, which no form takes, the most counts.
        let (least, most) = self.bounds;
        let quantity = quantity.max(least).min(most);
        Some(Metered { meter: Cow::Borrowed(&self.code), kind: self.kind, quantity, item })
    }
}

/// As events have it.
fn stored(quantity: u64) -> i64 {
    quantity.min(MOST) as i64
}

impl Told {
    fn new(told: &policy::Told) -> Self {
        match told {
            policy::Told::Header { name } => Self::header(name),
            policy::Told::JsonField { pointer } => Self::JsonField(pointer.clone()),
        }
    }

    fn header(name: &str) -> Self {
        Self::Header(HeaderName::from_bytes(name.as_bytes()).ok())
    }

    /// The header that is taken out of the answer.
    pub(crate) const fn taken(&self) -> Option<&HeaderName> {
        match self {
            Self::Header(name) => name.as_ref(),
            Self::JsonField(_) => None,
        }
    }

    pub(crate) const fn is_json(&self) -> bool {
        matches!(self, Self::JsonField(_))
    }
}

/// The answer does not say what it should.
#[derive(Debug)]
struct Unreadable;

/// Where an answer says things, and to whom it was given.
pub(crate) struct Saying<'a> {
    pub items: &'a Items,
    pub whose: (PartnerId, ProductId),
    pub headers: &'a HeaderMap,
    /// The body, where it was read and is JSON.
    pub body: Option<&'a Value>,
    /// Whether it need not repeat all headers: 304.
    pub is_partial: bool,
}

impl Saying<'_> {
    fn number(&self, told: &Told) -> Result<i64, Unreadable> {
        let number = match told {
            Told::Header(name) => {
                name.as_ref().and_then(|name| header(self.headers, name)).and_then(|text| whole(text, MOST))
            }
            Told::JsonField(pointer) => self.body.and_then(|body| field(body, pointer, MOST)),
        };
        number.and_then(|number| i64::try_from(number).ok()).ok_or(Unreadable)
    }

    /// The text that stands there, hashed. A number in JSON is the text that it is written as.
    fn item(&self, meter: &str, told: &Told) -> Result<[u8; 16], Unreadable> {
        let text = match told {
            Told::Header(name) => name.as_ref().and_then(|name| header(self.headers, name)).map(Cow::Borrowed),
            Told::JsonField(pointer) => match self.body.and_then(|body| body.pointer(pointer)) {
                Some(Value::String(text)) => Some(Cow::Borrowed(text.as_str())),
                Some(number @ Value::Number(_)) => Some(Cow::Owned(number.to_string())),
                _ => None,
            },
        };
        let text = text.filter(|text| (1..=LONGEST_TEXT).contains(&text.len())).ok_or(Unreadable)?;
        Ok(self.items.hash(self.whose, meter, &text))
    }
}

/// What an answer says for each of the meters, in their order, and how many of them it should have said something for and did not.
pub(crate) fn read(meters: &[Measure], answer: &Saying<'_>) -> (Box<[Option<Reading>]>, u64) {
    let mut unreadable = 0;
    let readings = meters.iter().map(|meter| {
        meter.read(answer).unwrap_or_else(|Unreadable| {
            unreadable += 1;
            None
        })
    });
    (readings.collect(), unreadable)
}

/// What a call counts for, by what its answer said.
pub(crate) fn metered<'a>(
    meters: &'a [Measure],
    readings: &[Option<Reading>],
    facts: Facts,
) -> Vec<Metered<Cow<'a, str>>> {
    let readings = readings.iter().copied().chain(std::iter::repeat(None));
    meters.iter().zip(readings).filter_map(|(meter, reading)| meter.metered(reading, facts)).collect()
}

/// Whether a call that ended so, and whose status counts, is measured. An answer that is given again was measured when it was given
/// first; one from the cache is free where its price is zero.
pub(crate) const fn is_measured(ending: Ending, price: Option<u64>, interrupted: bool) -> bool {
    match ending.outcome {
        Outcome::Served => true,
        Outcome::Cached => !matches!(price, Some(0)),
        Outcome::ClientGone => ending.bytes_out > 0 && interrupted,
        Outcome::Replayed | Outcome::Refused(_) | Outcome::UpstreamFailed => false,
    }
}

/// The header's text, where it is there exactly once.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() {
        return None;
    }
    first.to_str().ok().map(str::trim)
}

/// A whole number in digits, not above `most`.
pub(crate) fn whole(text: &str, most: u64) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number <= most)
}

/// The number in a JSON text, rounded up, not above `most`.
pub(crate) fn field(body: &Value, pointer: &str, most: u64) -> Option<u64> {
    let number = body.pointer(pointer)?;
    let rounded = match (number.as_u64(), number.as_f64()) {
        (Some(number), _) => number,
        (None, Some(number)) if (0.0..=most as f64).contains(&number) => number.ceil() as u64,
        _ => return None,
    };
    (rounded <= most).then_some(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use uuid::Uuid;

    fn measure(kind: MeterKind, value: policy::MeterValue, resource: Option<policy::Told>) -> Measure {
        Measure::new("m", &policy::Meter { resource, ..policy::Meter::new("", kind, value) })
    }

    fn said(meter: &Measure, headers: &HeaderMap, body: &str, partner: u128) -> Option<Metered<Cow<'static, str>>> {
        let items = Items::new(&[7; 32]);
        let body = serde_json::from_str(body).ok();
        let whose = (PartnerId(Uuid::from_u128(partner)), ProductId(Uuid::nil()));
        let saying = Saying { items: &items, whose, headers, body: body.as_ref(), is_partial: false };
        let (readings, unreadable) = read(std::slice::from_ref(meter), &saying);
        let facts = Facts { weight: 3, bytes_in: 4, bytes_out: u64::MAX, upstream: Duration::from_micros(1_001) };
        let metered = metered(std::slice::from_ref(meter), &readings, facts).pop();
        assert_eq!(unreadable == 1, metered.is_none());
        metered.map(|Metered { meter, kind, quantity, item }| {
            let meter = Cow::Owned(meter.into_owned());
            Metered { meter, kind, quantity, item }
        })
    }

    fn field_of(pointer: &str) -> policy::MeterValue {
        policy::MeterValue::JsonField { pointer: pointer.to_owned() }
    }

    #[test]
    fn what_the_gateway_knows_itself_is_measured_without_a_look_at_the_answer() {
        for (value, quantity) in [
            (policy::MeterValue::Calls, 1),
            (policy::MeterValue::Weight, 3),
            (policy::MeterValue::BytesIn, 4),
            (policy::MeterValue::BytesOut, 1_000_000_000_000),
            (policy::MeterValue::Milliseconds, 2),
        ] {
            let meter = measure(MeterKind::Maximum, value, None);
            assert_eq!(meter.told().count(), 0);
            let metered = said(&meter, &HeaderMap::new(), "", 1).expect("measured");
            assert_eq!((metered.kind, metered.quantity, metered.item), (MeterKind::Maximum, quantity, None));
        }
    }

    #[test]
    fn a_value_that_is_no_amount_measures_nothing() {
        let meter = measure(MeterKind::Sum, policy::MeterValue::Header { name: "X-T".to_owned() }, None);
        for (values, quantity) in [
            (&["1000000000000"][..], Some(1_000_000_000_000)),
            (&["0"], Some(0)),
            (&["1000000000001"], None),
            (&["-1"], None),
            (&["1.5"], None),
            (&["\u{e4}"], None),
            (&["1", "1"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-t", HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
            }
            assert_eq!(said(&meter, &headers, "", 1).map(|metered| metered.quantity), quantity, "{values:?}");
        }
        let meter = measure(MeterKind::Latest, field_of("/a/0"), None);
        for (body, quantity) in [(r#"{"a":[2.1]}"#, Some(3)), (r#"{"a":["2"]}"#, None), ("[", None), ("null", None)] {
            assert_eq!(said(&meter, &HeaderMap::new(), body, 1).map(|metered| metered.quantity), quantity, "{body}");
        }
    }

    #[test]
    fn a_different_value_is_told_apart_for_one_partner_and_never_kept_as_it_is() {
        let meter = measure(MeterKind::Unique, field_of("/user"), None);
        let item =
            |body: &str, partner| said(&meter, &HeaderMap::new(), body, partner).and_then(|metered| metered.item);
        let anna = item(r#"{"user":"anna"}"#, 1).expect("an item");
        assert_eq!(item(r#"{"user":"anna","more":1}"#, 1), Some(anna));
        assert_ne!(item(r#"{"user":"bert"}"#, 1), Some(anna));
        assert_ne!(item(r#"{"user":"anna"}"#, 2), Some(anna));
        assert_eq!(item(r#"{"user":5}"#, 1), item(r#"{"user":"5"}"#, 1));
        for body in [r#"{"user":""}"#, r#"{"user":null}"#, r#"{"user":["anna"]}"#, "{}"] {
            assert_eq!(item(body, 1), None, "{body}");
        }
        assert_eq!(item(&format!("{{\"user\":\"{}\"}}", "x".repeat(1_025)), 1), None);
    }

    #[test]
    fn a_level_is_measured_only_together_with_what_it_is_the_level_of() {
        let resource = Some(policy::Told::Header { name: "X-Machine".to_owned() });
        let meter = measure(MeterKind::Gauge, field_of("/level"), resource);
        assert_eq!(meter.told().count(), 2);
        let mut headers = HeaderMap::new();
        assert_eq!(said(&meter, &headers, r#"{"level":4}"#, 1), None);
        headers.insert("x-machine", HeaderValue::from_static("m-1"));
        let metered = said(&meter, &headers, r#"{"level":4}"#, 1).expect("measured");
        assert_eq!((metered.quantity, metered.item.is_some()), (4, true));
        assert_eq!(said(&meter, &headers, "{}", 1), None);
    }

    #[test]
    fn what_was_not_delivered_is_not_measured() {
        let measured = |outcome, bytes_out, price, interrupted| {
            is_measured(Ending { status: 200, outcome, bytes_out }, price, interrupted)
        };
        assert!(measured(Outcome::Served, 0, None, false));
        assert!(measured(Outcome::Cached, 0, None, false) && measured(Outcome::Cached, 0, Some(2), false));
        assert!(!measured(Outcome::Cached, 9, Some(0), true));
        assert!(measured(Outcome::ClientGone, 1, None, true));
        assert!(!measured(Outcome::ClientGone, 0, None, true) && !measured(Outcome::ClientGone, 9, None, false));
        assert!(!measured(Outcome::Replayed, 9, None, true) && !measured(Outcome::UpstreamFailed, 9, None, true));
    }
}
