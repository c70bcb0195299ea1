//! Any bytes in the place of a usage event, or of one that somebody else tells us: they are one, in their only form, or refused.
//! `cargo xtask check fuzz` runs this for as long as one likes.

use domain::{
    id::{AppId, KeyId, PartnerId, ProductId},
    usage::{
        UsageEvent,
        outside::{self, MOST_UNITS, Outside},
        wire,
    },
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

fn encoded(event: &UsageEvent<String>) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::encode(event, &mut bytes);
    bytes
}

/// What is decoded has one form in bytes, which is the one it came from; versions before are read, and written as the newest.
fn check(bytes: &[u8]) {
    if let Ok(event) = wire::decode(bytes) {
        let again = encoded(&event);
        assert_eq!(wire::decode(&again).as_ref(), Ok(&event));
        if bytes.first() == again.first() {
            assert_eq!(again, bytes, "the only form");
        }
    }
}

fn event() -> UsageEvent<String> {
    let ids = |number| Uuid::from_u128(number);
    let mut event = UsageEvent::new(Timestamp::UNIX_EPOCH, PartnerId(ids(1)), AppId(ids(2)), KeyId(ids(3)));
    event.product = Some(ProductId(ids(4)));
    event.path = "/payments/{id}".to_owned();
    event.request_id = "a request".to_owned();
    event.units = 300;
    event.credits = 7;
    event
}

/// An event of the body of `POST /api/events`, as its sender should write it.
fn told() -> Value {
    json!({
        "specversion": "1.0", "type": "io.turnpike.usage.v2", "source": "https://billing.example/eu", "id": "job-17",
        "subject": PartnerId(Uuid::from_u128(1)), "time": "2026-03-01T10:00:00Z",
        "data": { "units": 5, "environment": "live", "product": "payments", "operation": "create", "bytes_in": 7, "region": "eu" },
    })
}

/// What is taken is within its bounds, names what it is for ever, and is taken for the same again in the form that is compared;
/// what is refused is told why.
fn check_told(event: &Value) {
    match outside::read(event) {
        Ok(Outside { source, id, partner, time, data }) => {
            assert!((1..=255).contains(&source.chars().count()) && (1..=128).contains(&id.len()), "{event}");
            assert!(!source.chars().chain(id.chars()).any(|letter| letter.is_control() || letter.is_whitespace()));
            assert!(data.units <= MOST_UNITS, "{event}");
            let sum = data.bytes_in.checked_add(data.bytes_out).and_then(|sum| sum.checked_add(data.duration_us));
            assert!(sum.is_some_and(|sum| i64::try_from(sum).is_ok()), "{event}");
            let again = json!({
                "specversion": "1.0", "type": "io.turnpike.usage.v2", "source": &source, "id": &id, "subject": partner,
                "time": time, "data": &data,
            });
            assert_eq!(outside::read(&again), Ok(Outside { source, id, partner, time, data }));
        }
        Err(wrong) => assert!(!wrong.is_empty() && wrong.iter().all(|wrong| !wrong.message.is_empty()), "{event}"),
    }
}

/// Any JSON, small and not deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "[ -~]{0,300}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{0,12}", inner, 0..5).prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn fuzz_any_json_is_an_event_that_somebody_tells_or_refused(
        any in any_json(), place in prop::sample::select(vec![
            "/specversion", "/type", "/source", "/id", "/subject", "/time", "/data", "/data/units", "/data/environment",
            "/data/product", "/data/operation", "/data/bytes_in", "/data/region",
        ]),
    ) {
        check_told(&any);
        let mut event = told();
        *event.pointer_mut(place).expect("it is there") = any;
        check_told(&event);
    }

    #[test]
    fn fuzz_a_harmed_body_is_an_event_that_somebody_tells_or_refused(
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..4), cut in prop::option::of(any::<usize>()),
    ) {
        let mut bytes = told().to_string().into_bytes();
        for (place, change) in changes {
            let length = bytes.len();
            bytes[place % length] ^= change;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut % (bytes.len() + 1));
        }
        if let Ok(event) = serde_json::from_slice(&bytes) {
            check_told(&event);
        }
    }

    #[test]
    fn fuzz_any_bytes_are_an_event_or_refused(version in 0_u8..4, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes);
        // Further than the version, which chance seldom guesses.
        check(&[&[version], bytes.as_slice()].concat());
    }

    #[test]
    fn fuzz_a_harmed_event_is_another_one_or_refused(
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<usize>()), more in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = encoded(&event());
        for (place, change) in changes {
            let length = bytes.len();
            bytes[place % length] ^= change;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut % (bytes.len() + 1));
        }
        check(&bytes);
        bytes.extend_from_slice(&more);
        check(&bytes);
    }
}
