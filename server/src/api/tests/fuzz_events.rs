//! Any body for `POST /api/events`, over the whole router: it is answered event by event or refused whole, and just what was
//! accepted counts, once.
//!
//! The judge reads the bodies and the answers by itself and asks for the sums as a partner would.

use crate::test_app::TestApp;
use domain::scope::Scope;
use jiff::{SignedDuration, Timestamp};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};
use store::test_db::world::World;

/// What a producer sends in one request, before a case gives its events a source of their own.
#[derive(Debug, Clone)]
enum Sent {
    /// Events out of few ids, so that some are told again.
    Batch(Vec<Value>),
    /// One of their fields is anything.
    Odd(Vec<Value>, usize, &'static str, Value),
    /// Bytes of a batch turned over, and its end cut off.
    Harmed(Vec<Value>, Vec<(usize, u8)>, Option<usize>),
    Json(Value),
    Bytes(Vec<u8>),
}

const PLACES: [&str; 10] = [
    "/specversion",
    "/type",
    "/source",
    "/id",
    "/time",
    "/data",
    "/data/units",
    "/data/environment",
    "/data/product",
    "/data/bytes_in",
];

fn events() -> impl Strategy<Value = Vec<Value>> {
    let event = (0_u8..4, 0_u64..3, 0_i64..3, any::<bool>()).prop_map(|(id, units, days, live)| {
        let time = Timestamp::now() - SignedDuration::from_hours(24 * days);
        // Whole days, so that the same event comes again.
        let time = Timestamp::from_second(time.as_second() / 86_400 * 86_400).expect("an instant");
        let environment = if live { "live" } else { "test" };
        json!({
            "specversion": "1.0", "type": "io.turnpike.usage.v2", "source": "SOURCE", "id": format!("job-{id}"), "time": time,
            "data": {"units": units, "environment": environment, "product": null, "bytes_in": units},
        })
    });
    prop::collection::vec(event, 1..8)
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "[ -~]{0,300}".prop_map(Value::from),
        Just(json!("a\u{0}b")),
        Just(json!("-009999-01-01T00:00:00Z")),
        Just(json!("2026-03-29T02:30:00[Europe/Zurich]")),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{0,12}", inner, 0..5).prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

fn sent() -> impl Strategy<Value = Sent> {
    prop_oneof![
        3 => events().prop_map(Sent::Batch),
        4 => (events(), any::<usize>(), prop::sample::select(&PLACES[..]), any_json())
            .prop_map(|(events, which, place, any)| Sent::Odd(events, which, place, any)),
        4 => (events(), prop::collection::vec((any::<usize>(), any::<u8>()), 0..4), prop::option::weighted(0.3, any::<usize>()))
            .prop_map(|(events, changes, cut)| Sent::Harmed(events, changes, cut)),
        1 => any_json().prop_map(Sent::Json),
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Sent::Bytes),
    ]
}

impl Sent {
    fn bytes(&self, source: &str) -> Vec<u8> {
        let written =
            |events: &[Value]| Value::from(events.to_vec()).to_string().replace("SOURCE", source).into_bytes();
        match self {
            Self::Batch(events) => written(events),
            Self::Odd(events, which, place, any) => {
                let mut events = events.clone();
                let which = which % events.len();
                if let Some(field) = events[which].pointer_mut(place) {
                    *field = any.clone();
                }
                written(&events)
            }
            Self::Harmed(events, changes, cut) => {
                let mut bytes = written(events);
                for (place, change) in changes {
                    let length = bytes.len();
                    bytes[place % length] ^= change;
                }
                if let Some(cut) = cut {
                    bytes.truncate(cut % (bytes.len() + 1));
                }
                bytes
            }
            Self::Json(any) => any.to_string().into_bytes(),
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

/// Calls, units and bytes, of live and of test.
type Sums = [[u64; 3]; 2];

/// What has to count, by the answers.
#[derive(Default)]
struct Ledger {
    /// The first event of each source and id that was taken.
    taken: HashMap<(String, String), Value>,
    sums: Sums,
}

impl Ledger {
    /// Judges the answer for one event, and counts it where it was accepted.
    fn judge(&mut self, event: &Value, result: &Value) -> Result<(), TestCaseError> {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let name = (text("source"), text("id"));
        let before = self.taken.get(&name);
        let errors = result["errors"].as_array().map_or(0, Vec::len);
        match result["result"].as_str() {
            Some("accepted") => {
                prop_assert!(before.is_none(), "{event} was accepted, and {before:?} before");
                prop_assert_eq!(errors, 0);
                let data = &event["data"];
                let number = |name: &str| data[name].as_u64().unwrap_or_default();
                let sums = &mut self.sums[usize::from(data["environment"] == "test")];
                for (sum, more) in sums.iter_mut().zip([1, number("units"), number("bytes_in")]) {
                    *sum += more;
                }
                self.taken.insert(name, event.clone());
            }
            Some("duplicate") => {
                let first = before.ok_or_else(|| TestCaseError::fail(format!("{event} was never accepted")))?;
                prop_assert_eq!(&first["data"]["units"], &event["data"]["units"]);
            }
            Some("conflict") => prop_assert!(before.is_some_and(|first| first != event), "{event} and {before:?}"),
            Some("invalid") => prop_assert!(errors > 0, "{event} was refused without a reason"),
            other => prop_assert!(false, "{event}: {other:?}"),
        }
        Ok(())
    }
}

async fn counted(app: &TestApp, token: &str) -> Sums {
    let now = app.state.clock.now();
    // As far as an event may be told, but for the earliest day.
    let (from, to) = (now - SignedDuration::from_hours(24 * 398), now + SignedDuration::from_hours(25));
    let mut sums = Sums::default();
    for (sums, environment) in sums.iter_mut().zip(["live", "test"]) {
        let answer = app.get(token, &format!("/api/usage?from={from}&to={to}&environment={environment}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let total = &answer.json()["total"];
        *sums = ["calls", "units", "bytes_in"].map(|name| total[name].as_u64().expect("a number"));
    }
    sums
}

#[test]
fn fuzz_any_body_is_answered_event_by_event_and_counts_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (app, token) = runtime.block_on(async {
        let app = TestApp::start().await;
        let world = World::new(&app.store).await;
        let token = app.token(Some(world.partner), &[Scope::UsageRead, Scope::UsageWrite]).await;
        (app, token)
    });
    let (cases, ledger) = (AtomicU64::new(0), std::cell::RefCell::new(Ledger::default()));
    // A case asks a database some ten times: fewer than usual, unless somebody says how many.
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let config = Config {
        cases: if asked { Config::default().cases } else { 32 },
        source_file: Some(file!()),
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&prop::collection::vec(sent(), 1..4), |requests| {
        let source = format!("https://p.example/{}", cases.fetch_add(1, Ordering::Relaxed));
        let mut ledger = ledger.borrow_mut();
        runtime.block_on(async {
            for sent in &requests {
                let bytes = sent.bytes(&source);
                let answer = app.send_bytes(Some(&token), "POST", "/api/events", bytes.clone()).await;
                if answer.status != 200 {
                    prop_assert!(
                        [400, 413, 422].contains(&answer.status.as_u16()),
                        "{} {}",
                        answer.status,
                        answer.text
                    );
                    prop_assert_eq!(&answer.headers["content-type"], "application/problem+json");
                    continue;
                }
                let body = serde_json::from_slice(&bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
                let events = match body {
                    Value::Array(events) => events,
                    one => vec![one],
                };
                let results = answer.json()["results"].as_array().cloned().unwrap_or_default();
                prop_assert_eq!(results.len(), events.len());
                for (event, result) in events.iter().zip(&results) {
                    ledger.judge(event, result)?;
                }
            }
            prop_assert_eq!(counted(&app, &token).await, ledger.sums);
            Ok(())
        })
    });
    if let Err(problem) = outcome {
        panic!("{problem}");
    }
}
