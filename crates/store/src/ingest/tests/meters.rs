//! What meters come to is what a plain fold over all events says, in whatever order and however often they came.

use super::{
    order::{EVENTS, LANES, Random, bring_in_disorder, lane},
    *,
};
use crate::usage::{Dimension, MeterQuery, UsageFilter, UsageQuery, Window};
use domain::{id::ProductId, key_text::Environment};
use std::collections::{BTreeMap, BTreeSet};

const METERS: [(&str, MeterKind); 6] = [
    ("tokens", MeterKind::Sum),
    ("depth", MeterKind::Maximum),
    ("version", MeterKind::Latest),
    ("users", MeterKind::Unique),
    ("seats", MeterKind::Gauge),
    ("machines", MeterKind::Gauge),
];

/// What an event may count for.
pub(super) fn some(random: &mut Random) -> Vec<Metered> {
    let mut meters = Vec::new();
    for (meter, kind) in METERS {
        if random.below(3) == 0 {
            continue;
        }
        let (quantity, item) = match meter {
            "users" => (1, Some([u8::try_from(random.below(7)).expect("small"); 16])),
            "machines" => {
                let item = Some([u8::try_from(random.below(3)).expect("small"); 16]);
                (i64::try_from(random.below(4)).expect("small"), item)
            }
            _ => (i64::try_from(random.below(1_000_000)).expect("small"), None),
        };
        meters.push(Metered { meter: meter.to_owned(), kind, quantity, item });
    }
    meters
}

/// An event, and where it stands in the log.
type Stood<'a> = ((Timestamp, &'a str, u16, u64), &'a UsageEvent);

fn all(lanes: &[Vec<UsageEvent>]) -> Vec<Stood<'_>> {
    let mut all: Vec<Stood<'_>> = Vec::new();
    for ((node, number), events) in LANES.iter().zip(lanes) {
        all.extend((0..).zip(events).map(|(sequence, event)| ((event.at, *node, *number, sequence), event)));
    }
    all.sort_by_key(|(place, _)| *place);
    all
}

/// The meter's values in the range, in the order of time.
fn values<'a>(all: &'a [Stood<'_>], meter: &'a str, range: Period) -> impl Iterator<Item = (Timestamp, &'a Metered)> {
    let within = all.iter().filter(move |(_, event)| range.contains(event.at));
    within.flat_map(move |(_, event)| {
        event.meters.iter().filter(move |metered| metered.meter == meter).map(|metered| (event.at, metered))
    })
}

/// What the meter comes to, step by step.
fn fold(all: &[Stood<'_>], (meter, kind): (&str, MeterKind), range: Period) -> Option<i64> {
    let quantities = || values(all, meter, range).map(|(_, metered)| metered.quantity);
    match kind {
        MeterKind::Sum => quantities().reduce(|one, other| one + other),
        MeterKind::Maximum => quantities().max(),
        MeterKind::Latest => quantities().last(),
        MeterKind::Unique => {
            let items: BTreeSet<_> = values(all, meter, range).map(|(_, metered)| metered.item).collect();
            (!items.is_empty()).then(|| i64::try_from(items.len()).expect("few"))
        }
        MeterKind::Gauge => {
            // From before the range on, each thing by itself; microsecond by microsecond would say the same.
            let ever = Period { start: Timestamp::UNIX_EPOCH, end: range.end };
            let mut levels: BTreeMap<Option<[u8; 16]>, (Timestamp, i64)> = BTreeMap::new();
            let mut level_micros = 0_i128;
            let mut lasted = |level: i64, from: Timestamp, until: Timestamp| {
                let micros = until.max(range.start).as_microsecond() - from.max(range.start).as_microsecond();
                level_micros += i128::from(level) * i128::from(micros);
            };
            for (at, metered) in values(all, meter, ever) {
                if let Some((from, level)) = levels.insert(metered.item, (at, metered.quantity)) {
                    lasted(level, from, at);
                }
            }
            let any = !levels.is_empty();
            levels.into_values().for_each(|(from, level)| lasted(level, from, range.end));
            any.then(|| i64::try_from(level_micros / 1_000_000).expect("fits"))
        }
    }
}

#[tokio::test]
async fn each_kind_of_meter_comes_to_what_a_plain_fold_says_in_any_range_and_order() {
    let now = at("2026-03-05T00:00:00Z");
    let ranges = [
        ("2026-02-27T00:00:00Z", "2026-03-04T00:00:00Z"),
        ("2026-02-27T10:00:00Z", "2026-02-28T22:00:00Z"),
        ("2026-02-27T23:59:59.999999Z", "2026-02-28T13:17:01.5Z"),
        ("2026-02-28T10:15:00Z", "2026-02-28T10:45:00Z"),
        ("2026-03-02T09:00:00.000001Z", "2026-03-02T10:00:00Z"),
        ("2026-03-03T00:00:00Z", "2026-03-04T00:00:00Z"),
    ]
    .map(|(start, end)| Period { start: at(start), end: at(end) });
    for seed in 10..13 {
        let mut random = Random(seed);
        let lanes: Vec<_> = LANES.iter().map(|_| lane(&mut random)).collect();
        let (store, all) = (test_db::store().await, all(&lanes));
        bring_in_disorder(&store, &lanes, &mut random, seed).await;
        for range in ranges {
            let query = MeterQuery { usage: UsageQuery::whole(range, UsageFilter::EVERYTHING), meter: None, now };
            let answer = store.metered(partner(), &query).await.expect("an answer");
            for (meter, kind) in METERS {
                let told = answer.rows.iter().find(|row| row.meter == meter);
                assert!(told.is_none_or(|row| row.kind == kind));
                let amount =
                    told.map(
                        |row| if kind == MeterKind::Gauge { row.level_seconds.expect("it has") } else { row.quantity },
                    );
                assert_eq!(amount, fold(&all, (meter, kind), range), "seed {seed}, {meter} in {range:?}");
                let events = told.map_or(0, |row| row.events);
                assert_eq!(
                    events,
                    values(&all, meter, range).count() as u64,
                    "seed {seed}, calls of {meter} in {range:?}"
                );
            }
        }
        let by = [Dimension::Key];
        let (range, window) = (ranges[0], Window::Hour);
        let usage = UsageQuery { range, time_zone: "Asia/Kathmandu", window, by: &by, filter: UsageFilter::EVERYTHING };
        let told =
            store.metered(partner(), &MeterQuery { usage, meter: Some("tokens"), now }).await.expect("an answer");
        assert!(told.rows.iter().all(|row| row.meter == "tokens" && row.groups.len() == 1));
        let parts: i64 = told.rows.iter().map(|row| row.quantity).sum();
        assert_eq!(Some(parts), fold(&all, METERS[0], range), "windows and keys add up");
        assert!(told.windows.len() > 100 && all.len() == LANES.len() * EVENTS as usize);
    }
}

fn level(hour: &str, environment: Environment, item: u8, quantity: i64) -> UsageEvent {
    let metered = Metered { meter: "seats".to_owned(), kind: MeterKind::Gauge, quantity, item: Some([item; 16]) };
    let product = Some(ProductId(Uuid::from_u128(77)));
    let plain = event(at(&format!("2026-03-01T{hour}:00Z")), "r");
    UsageEvent { environment, product, meters: vec![metered], ..plain }
}

#[tokio::test]
async fn a_gauge_holds_its_level_until_the_next_one_and_not_beyond_now() {
    let store = test_db::store().await;
    let events = vec![
        level("10:00", Environment::Live, 1, 4),
        level("12:00", Environment::Live, 1, 0),
        level("11:00", Environment::Live, 2, 2),
        level("10:30", Environment::Test, 1, 100),
    ];
    take_in(&store, "a", events).await;
    let asked = |from: &str, to: &str, now: &str, environment| {
        let filter = UsageFilter { environment, ..UsageFilter::EVERYTHING };
        let range = Period { start: at(from), end: at(to) };
        MeterQuery { usage: UsageQuery::whole(range, filter), meter: None, now: at(now) }
    };
    let live = Some(Environment::Live);
    for (from, to, now, environment, seats) in [
        // 4 for two hours and 2 for three, of four hours.
        ("10:00", "14:00", "23:00", live, Some((14 * 3_600, 4, 3))),
        ("12:00", "14:00", "13:00", live, Some((2 * 3_600, 2, 1))),
        ("09:00", "10:00", "23:00", live, None),
        ("20:00", "21:00", "23:00", live, Some((2 * 3_600, 2, 0))),
        ("20:00", "21:00", "20:00", live, None),
        ("11:30", "11:31", "23:00", None, Some((106 * 60, 106, 0))),
    ] {
        let day = |hour: &str| format!("2026-03-01T{hour}:00Z");
        let query = asked(&day(from), &day(to), &day(now), environment);
        let rows = store.metered(partner(), &query).await.expect("an answer").rows;
        let told = rows.first().map(|row| (row.level_seconds.expect("a gauge"), row.quantity, row.events));
        assert_eq!((told, rows.len()), (seats, usize::from(seats.is_some())), "{from} to {to} at {now}");
    }
    let query = asked("2026-03-01T10:00:00Z", "2026-03-01T14:00:00Z", "2026-03-02T00:00:00Z", None);
    let by = [Dimension::Environment];
    let query = MeterQuery { usage: UsageQuery { by: &by, ..query.usage }, ..query };
    let rows = store.metered(partner(), &query).await.expect("an answer").rows;
    let mut told: Vec<_> = rows.iter().map(|row| (row.groups[0].code.as_str(), row.quantity)).collect();
    told.sort_unstable();
    assert_eq!(told, [("live", 4), ("test", 88)]);
    let by = [Dimension::App];
    let query = MeterQuery { usage: UsageQuery { by: &by, ..query.usage }, ..query };
    assert_eq!(store.metered(partner(), &query).await.expect("an answer").rows, []);
}

#[tokio::test]
async fn what_meters_do_not_know_is_refused_and_a_total_too_large_is_the_largest() {
    let store = test_db::store().await;
    let most = |number: i64| Metered { meter: "most".to_owned(), kind: MeterKind::Sum, quantity: number, item: None };
    let events = (0..3).map(|_| UsageEvent { meters: vec![most(i64::MAX)], ..event(at("2026-03-01T10:00:00Z"), "r") });
    take_in(&store, "a", events.collect()).await;
    take_in(&store, "b", vec![UsageEvent { meters: vec![most(i64::MAX)], ..event(at("2026-03-01T10:00:00Z"), "r") }])
        .await;
    let range = Period { start: at("2026-03-01T00:00:00Z"), end: at("2026-03-02T00:00:00Z") };
    let whole = UsageQuery::whole(range, UsageFilter::EVERYTHING);
    let ask = |usage| MeterQuery { usage, meter: None, now: range.end };
    let rows = store.metered(partner(), &ask(whole.clone())).await.expect("an answer").rows;
    assert_eq!(rows.iter().map(|row| (row.quantity, row.events)).collect::<Vec<_>>(), [(i64::MAX, 4)]);
    let by = [Dimension::Outcome];
    let refused = store.metered(partner(), &ask(UsageQuery { by: &by, ..whole.clone() })).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("outcome")));
    let filter = UsageFilter { status_class: Some(2), ..UsageFilter::EVERYTHING };
    assert!(store.metered(partner(), &ask(UsageQuery { filter, ..whole })).await.is_err());
}
