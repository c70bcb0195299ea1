//! One number everywhere: every total equals a plain count of the events.

use super::*;
use crate::{
    ingest::tests::{at, event, partner, take_in},
    test_db,
    time::Ts,
};
use domain::{
    id::PartnerId,
    period::Period,
    refusal::Code,
    usage::{Outcome, UsageEvent},
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A small generator with a fixed beginning, so that a failure is found again.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Three days around a clock change of Zurich, with many events close to hours and half hours.
pub(super) fn random_events(random: &mut Random, count: u64) -> Vec<UsageEvent> {
    let start = at("2026-03-28T00:00:00Z").as_microsecond();
    let mut events = Vec::new();
    for number in 0..count {
        let micros = match random.below(3) {
            0 => random.below(144) * 1_800_000_000 + random.below(3),
            1 => (random.below(143) + 1) * 1_800_000_000 - 1,
            _ => random.below(3 * 86_400_000_000),
        };
        let at = Timestamp::from_microsecond(start + i64::try_from(micros).expect("fits")).expect("in range");
        let mut event = event(at, &format!("r{number}"));
        event.app = AppId(Uuid::from_u128(u128::from(10 + random.below(3))));
        event.key = KeyId(Uuid::from_u128(u128::from(20 + random.below(4))));
        event.product = (random.below(10) > 0).then(|| ProductId(Uuid::from_u128(u128::from(30 + random.below(2)))));
        event.operation = event.product.map(|_| OperationId(Uuid::from_u128(u128::from(40 + random.below(3)))));
        event.team = (random.below(3) > 0).then(|| TeamId(Uuid::from_u128(u128::from(50 + random.below(2)))));
        event.member = (random.below(4) == 0).then(|| MemberId(Uuid::from_u128(u128::from(60 + random.below(2)))));
        event.plan_version = Some(PlanVersionId(Uuid::from_u128(u128::from(70 + random.below(2)))));
        event.environment = if random.below(3) == 0 { Environment::Test } else { Environment::Live };
        event.duration_us = [1, 999, 1_000, 1_001, 7_000, 5_000_000, 5_000_001][random.below(7) as usize];
        (event.status, event.outcome, event.units) = match random.below(4) {
            0 => (429, Outcome::Refused(Code::LimitExceeded), 0),
            1 => (502, Outcome::UpstreamFailed, 0),
            2 => (404, Outcome::Served, 2),
            _ => (200, Outcome::Served, 1 + random.below(5)),
        };
        if random.below(20) == 0 {
            event.partner = PartnerId(Uuid::from_u128(77));
        }
        events.push(event);
    }
    events
}

fn plain<'a>(events: impl Iterator<Item = &'a UsageEvent>) -> Totals {
    let mut totals = Totals::default();
    for event in events {
        totals.calls += 1;
        totals.served += u64::from(event.outcome == Outcome::Served);
        totals.refused += u64::from(matches!(event.outcome, Outcome::Refused(_)));
        totals.errors += u64::from(event.status >= 400);
        totals.server_errors += u64::from(event.status >= 500);
        totals.units += event.units;
        totals.bytes_in += event.bytes_in;
        totals.bytes_out += event.bytes_out;
        if event.outcome == Outcome::Served {
            let longest = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];
            let slot = longest.iter().position(|ms| event.duration_us <= ms * 1_000).unwrap_or(12);
            totals.durations[slot] += 1;
        }
    }
    totals
}

fn mine(event: &&UsageEvent, range: Period) -> bool {
    event.partner == partner() && range.contains(event.at)
}

#[tokio::test]
async fn totals_days_and_slices_equal_a_plain_count_for_any_range_and_zone() {
    let store = test_db::store().await;
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let events = random_events(&mut random, 1_500);
    store.make_partitions(at("2026-03-28T12:00:00Z"), 1).await.expect("made");
    take_in(&store, "a", events[..700].to_vec()).await;
    // Two of three days are made, and then most of their calls come late.
    store.make_usage_days(at("2026-03-30T01:30:00Z")).await.expect("made");
    take_in(&store, "b", events[700..].to_vec()).await;
    let all = UsageFilter::default();
    let zones = ["UTC", "Europe/Zurich", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Auckland", "America/St_Johns"];
    for round in 0..60 {
        match round {
            20 => {
                assert_eq!(store.make_usage_days(at("2026-03-30T01:30:00Z")).await.expect("again"), 4, "two partners")
            }
            40 => assert_eq!(store.make_usage_days(at("2026-04-02T00:00:00Z")).await.expect("all"), 0),
            _ => {}
        }
        let base = at("2026-03-28T00:00:00Z").as_microsecond();
        let mut instant = |step: u64| {
            let micros = if round % 2 == 0 {
                random.below(3 * 86_400_000_000 / step) * step
            } else {
                random.below(3 * 86_400_000_000)
            };
            Timestamp::from_microsecond(base + i64::try_from(micros).expect("fits")).expect("in range")
        };
        let (a, b) = (instant(1_800_000_000), instant(3_600_000_000));
        let range = Period { start: a.min(b), end: a.max(b) };
        let expected = plain(events.iter().filter(|event| mine(event, range)));
        assert_eq!(store.usage_totals(partner(), range, &all).await.expect("totals"), expected, "{range:?}");

        let zone = zones[round % zones.len()];
        let days = store.usage_days(partner(), range, zone, &all).await.expect("days");
        let local = domain::period::zone(zone).expect("a zone");
        for (midnight, totals) in &days {
            let day = midnight.to_zoned(local.clone()).date();
            let expected = plain(
                events.iter().filter(|event| mine(event, range) && event.at.to_zoned(local.clone()).date() == day),
            );
            assert_eq!(*totals, expected, "{zone} {day}");
        }
        assert_eq!(days.iter().map(|(_, totals)| totals.calls).sum::<u64>(), expected.calls);

        for dimension in
            [Dimension::Product, Dimension::Operation, Dimension::App, Dimension::Key, Dimension::Environment]
        {
            let slices = store.usage_by(partner(), dimension, range, &all).await.expect("slices");
            assert_eq!(slices.iter().map(|slice| slice.totals.units).sum::<u64>(), expected.units, "{dimension:?}");
            assert_eq!(slices.iter().map(|slice| slice.totals.calls).sum::<u64>(), expected.calls, "{dimension:?}");
        }

        let filter = UsageFilter {
            environment: Some(Environment::Live),
            key: Some(KeyId(Uuid::from_u128(21))),
            ..UsageFilter::default()
        };
        let of_key = |event: &&UsageEvent| event.environment == Environment::Live && event.key.0.as_u128() == 21;
        let expected = plain(events.iter().filter(|event| mine(event, range) && of_key(event)));
        assert_eq!(store.usage_totals(partner(), range, &filter).await.expect("totals"), expected);
    }
}

/// What an event's row of an answer is found by.
fn group(dimension: Dimension, event: &UsageEvent) -> String {
    let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    match dimension {
        Dimension::Product => id(event.product.map(|id| id.0)),
        Dimension::Operation => format!("{} {}", id(event.operation.map(|id| id.0)), id(event.product.map(|id| id.0))),
        Dimension::App => id(Some(event.app.0)),
        Dimension::Key => id(Some(event.key.0)),
        Dimension::Team => id(event.team.map(|id| id.0)),
        Dimension::Member => id(event.member.map(|id| id.0)),
        Dimension::Environment => event.environment.code().to_owned(),
        Dimension::PlanVersion => id(event.plan_version.map(|id| id.0)),
        Dimension::Outcome => event.outcome.code().to_owned(),
        Dimension::StatusClass => (event.status / 100).to_string(),
        Dimension::Partner => id(Some(event.partner.0)),
    }
}

fn random_filter(random: &mut Random) -> UsageFilter {
    let mut one_in = |end: u64| (random.below(end) == 0, u128::from(random.below(2)));
    let mut id = |from: u128| {
        let (asked, which) = one_in(6);
        asked.then(|| Uuid::from_u128(from + which))
    };
    UsageFilter {
        product: id(30).map(ProductId),
        operation: id(40).map(OperationId),
        app: id(10).map(AppId),
        key: id(20).map(KeyId),
        team: id(50).map(TeamId),
        member: id(60).map(MemberId),
        plan_version: id(70).map(PlanVersionId),
        environment: one_in(4).0.then_some(Environment::Live),
        outcome: one_in(6).0.then_some(Ending::Served),
        status_class: one_in(6).0.then_some(2),
    }
}

fn passes(filter: &UsageFilter, event: &UsageEvent) -> bool {
    filter.product.is_none_or(|id| event.product == Some(id))
        && filter.operation.is_none_or(|id| event.operation == Some(id))
        && filter.app.is_none_or(|id| event.app == id)
        && filter.key.is_none_or(|id| event.key == id)
        && filter.team.is_none_or(|id| event.team == Some(id))
        && filter.member.is_none_or(|id| event.member == Some(id))
        && filter.plan_version.is_none_or(|id| event.plan_version == Some(id))
        && filter.environment.is_none_or(|environment| event.environment == environment)
        && filter.outcome.is_none_or(|ending| event.outcome.code() == ending.code())
        && filter.status_class.is_none_or(|class| event.status / 100 == u16::from(class))
}

#[tokio::test]
async fn every_pair_of_dimensions_window_zone_and_filter_equals_a_plain_count() {
    let store = test_db::store().await;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let events = random_events(&mut random, 1_200);
    take_in(&store, "a", events[..900].to_vec()).await;
    store.make_usage_days(at("2026-03-30T01:30:00Z")).await.expect("made");
    take_in(&store, "b", events[900..].to_vec()).await;
    let by = &Dimension::ALL;
    let windows = [Window::Total, Window::Hour, Window::Day, Window::Week, Window::Month];
    let zones = ["UTC", "Europe/Zurich", "Asia/Kolkata", "Pacific/Auckland"];
    for round in 0..60 {
        let begin = at("2026-03-28T00:00:00Z") + jiff::SignedDuration::from_mins(15 * random.below(48) as i64);
        let range =
            Period { start: begin, end: begin + jiff::SignedDuration::from_mins(15 * random.below(240) as i64) };
        let pair = [by[random.below(11) as usize], by[random.below(11) as usize]];
        let by = &pair[..random.below(3) as usize];
        let filter = if round % 2 == 0 { UsageFilter::default() } else { random_filter(&mut random) };
        let (time_zone, window) = (zones[random.below(4) as usize], windows[random.below(5) as usize]);
        let query = UsageQuery { range, time_zone, window, by, filter };
        let answer = store.usage(partner(), &query).await.expect("an answer");
        let mut expected: BTreeMap<(usize, Vec<String>), Vec<&UsageEvent>> = BTreeMap::new();
        for event in events.iter().filter(|event| mine(event, range) && passes(&filter, event)) {
            let window = answer.windows.iter().position(|window| window.contains(event.at)).expect("a window");
            let groups = by.iter().map(|dimension| group(*dimension, event)).collect();
            expected.entry((window, groups)).or_default().push(event);
        }
        let mut rows = BTreeMap::new();
        for row in answer.rows {
            let id = |group: &Group| group.id.map(|id| id.to_string()).unwrap_or_default();
            let text = |(dimension, group): (&Dimension, &Group)| match dimension {
                // The product of an operation is told by its code, which these do not have.
                Dimension::Operation => id(group),
                Dimension::Environment | Dimension::Outcome | Dimension::StatusClass => group.code.clone(),
                _ => id(group),
            };
            let groups: Vec<String> = by.iter().zip(&row.groups).map(text).collect();
            let held: &mut Totals = rows.entry((row.window, groups)).or_default();
            add(held, &row.totals);
        }
        let mut plainly: BTreeMap<(usize, Vec<String>), Totals> = BTreeMap::new();
        for ((window, groups), events) in expected {
            let groups = groups.iter().map(|text| text.split(' ').next().unwrap_or_default().to_owned()).collect();
            add(plainly.entry((window, groups)).or_default(), &plain(events.into_iter()));
        }
        assert_eq!(rows, plainly, "{query:?}");
    }
}

fn add(held: &mut Totals, more: &Totals) {
    held.calls += more.calls;
    held.served += more.served;
    held.refused += more.refused;
    held.errors += more.errors;
    held.server_errors += more.server_errors;
    held.units += more.units;
    held.bytes_in += more.bytes_in;
    held.bytes_out += more.bytes_out;
    for (slot, count) in held.durations.iter_mut().zip(more.durations) {
        *slot += count;
    }
}

#[tokio::test]
async fn the_invoice_the_quota_and_the_operator_count_the_same_units() {
    let store = test_db::store().await;
    let mut random = Random(99);
    let (mut events, mut changed) = (random_events(&mut random, 800), Vec::new());
    // Credit pays for live units alone.
    for event in events.iter_mut().filter(|event| event.environment == Environment::Live) {
        event.credits = random.below(event.units + 1);
    }
    sqlx::query("insert into partners (id, name, created_at) values ($1, 'Acme', now()), ($2, 'Other', now())")
        .bind(partner().0)
        .bind(Uuid::from_u128(77))
        .execute(store.pool())
        .await
        .expect("partners");
    take_in(&store, "a", events.clone()).await;
    store.make_usage_days(at("2026-03-30T01:30:00Z")).await.expect("made");
    let ranges = [
        ("2026-03-28T10:15:00Z", "2026-03-30T01:45:00.5Z"),
        ("2026-03-28T10:15:00Z", "2026-03-28T10:45:00Z"),
        ("2026-03-28T10:45:00Z", "2026-03-28T11:15:00Z"),
        ("2026-03-28T10:00:00Z", "2026-03-29T10:00:00Z"),
        ("2026-03-28T00:00:00Z", "2026-03-30T10:20:00Z"),
        ("2026-03-28T00:00:00Z", "2026-03-30T00:00:00Z"),
        ("2026-03-28T13:00:00Z", "2026-03-31T02:00:00Z"),
        ("2026-03-29T22:00:00Z", "2026-03-30T03:00:00Z"),
    ];
    // The second time with calls that came after their day was made.
    for late in [0, 200] {
        if late > 0 {
            let late = random_events(&mut random, late);
            take_in(&store, "b", late.clone()).await;
            events.extend(late);
        }
        let is_changed: i64 = sqlx::query_scalar("select count(*) from usage_days_changed where partner_id = $1")
            .bind(partner().0)
            .fetch_one(store.pool())
            .await
            .expect("counted");
        changed.push(is_changed > 0);
        for (start, end) in ranges {
            let range = Period { start: at(start), end: at(end) };
            for environment in [Environment::Live, Environment::Test] {
                let counted = |event: &&UsageEvent| mine(event, range) && event.environment == environment;
                let expected: u64 = events.iter().filter(counted).map(|event| event.units).sum();
                let lines = store.units_between(partner(), range, environment).await.expect("lines");
                assert_eq!(lines.iter().map(|line| line.used.units).sum::<u64>(), expected);
                assert_eq!(by_operation(&lines), plain_by_operation(events.iter().filter(counted)), "{range:?}");
                assert_eq!(store.units_used(partner(), range, environment).await.expect("units"), expected);
                if environment == Environment::Live {
                    // What a new allowance begins with.
                    let stored: i64 = sqlx::query_scalar("select units_stored($1, $2, $3)")
                        .bind(partner().0)
                        .bind(Ts(range.start))
                        .bind(Ts(range.end))
                        .fetch_one(store.pool())
                        .await
                        .expect("units");
                    assert_eq!(u64::try_from(stored).expect("not negative"), expected);
                }
                let partners = store.all_partners_usage(range, Some(environment), 10).await.expect("partners");
                assert_eq!(partners.iter().find(|row| row.partner == partner()).map_or(0, |row| row.units), expected);
            }
        }
    }
    assert_eq!(changed, [false, true]);
}

#[tokio::test]
async fn the_request_log_shows_each_call_once_page_by_page() {
    let store = test_db::store().await;
    let mut random = Random(5);
    let mut events = random_events(&mut random, 300);
    // Several at the very same instant, on two nodes.
    for event in &mut events[..60] {
        event.at = at("2026-03-29T12:00:00Z");
    }
    take_in(&store, "node.a", events[..150].to_vec()).await;
    take_in(&store, "node.b", events[150..].to_vec()).await;
    let range = Period { start: at("2026-03-28T00:00:00Z"), end: at("2026-03-31T00:00:00Z") };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page =
            store.request_log(partner(), range, &RequestFilter::default(), after.as_ref(), 7).await.expect("a page");
        seen.extend(page.requests.iter().map(|request| (request.at, request.request_id.clone())));
        match page.next {
            // Through the text, as an address carries it.
            Some(place) => after = Some(place.to_string().parse().expect("a place")),
            None => break,
        }
    }
    assert!(seen.is_sorted_by(|a, b| a.0 >= b.0), "newest first");
    let mut ids: Vec<_> = seen.into_iter().map(|(_, id)| id).collect();
    let mut expected: Vec<_> =
        events.iter().filter(|event| mine(event, range)).map(|event| event.request_id.clone()).collect();
    ids.sort();
    expected.sort();
    assert_eq!(ids, expected);

    let filter = RequestFilter {
        status_class: Some(4),
        outcome: Some("refused".to_owned()),
        request_id: Some("r1".to_owned()),
        ..RequestFilter::default()
    };
    let page = store.request_log(partner(), range, &filter, None, 500).await.expect("a page");
    let counted = |event: &&UsageEvent| mine(event, range) && event.status == 429 && event.request_id.starts_with("r1");
    assert_eq!(page.requests.len(), events.iter().filter(counted).count());
    assert!(page.requests.iter().all(|request| request.refusal.as_deref() == Some("limit-exceeded")));

    let one = page.requests.first().expect("at least one");
    assert_eq!(store.request_at(partner(), &one.place).await.expect("the call"), *one);
    let other = store.request_at(PartnerId(Uuid::from_u128(78)), &one.place).await;
    assert!(matches!(other, Err(crate::StoreError::NotFound)), "another partner's call does not exist");
    assert_eq!(store.requests_by_id(partner(), &one.request_id).await.expect("calls").first(), Some(one));
}

#[test]
fn percentiles_lie_in_their_slot() {
    let mut totals = Totals::default();
    assert_eq!(totals.latency(), None);
    totals.durations[4] = 100; // 10 to 20 ms
    totals.durations[12] = 1;
    let latency = totals.latency().expect("some");
    assert!((10_000..=20_000).contains(&latency.p50_us), "{latency:?}");
    assert_eq!(totals.percentile(100), Some(5_000_000), "the last slot answers with its beginning");
}

#[tokio::test]
async fn a_breakdown_may_be_as_long_as_it_likes_and_adds_up_to_the_total() {
    let store = test_db::store().await;
    let hour = at("2026-03-01T10:00:00Z");
    take_in(&store, "a", vec![event(hour, "r")]).await;
    let more =
        "insert into usage_hourly select (jsonb_populate_record(h, jsonb_build_object('key_id', gen_random_uuid()))).*
        from usage_hourly h, generate_series(1, 20499)";
    sqlx::query(more).execute(store.pool()).await.expect("put in");
    let range = Period { start: at("2026-03-01T00:00:00Z"), end: at("2026-03-02T00:00:00Z") };
    let everything = UsageFilter::EVERYTHING;
    let slices = store.usage_by(partner(), Dimension::Key, range, &everything).await.expect("slices");
    assert_eq!(slices.len(), 20_500);
    let ids: std::collections::HashSet<_> = slices.iter().map(|slice| slice.id).collect();
    assert_eq!(ids.len(), 20_500, "each once");
    let totals = store.usage_totals(partner(), range, &everything).await.expect("totals");
    assert_eq!(slices.iter().map(|slice| slice.totals.units).sum::<u64>(), totals.units);
    let query = UsageQuery { by: &[Dimension::Key], ..UsageQuery::whole(range, everything) };
    let refused = store.usage(partner(), &query).await;
    assert!(matches!(refused, Err(crate::StoreError::Invalid { .. })), "{refused:?}");
}

/// Units, and how many of them credit paid.
type ByOperation = BTreeMap<(Option<Uuid>, Option<Uuid>), (u64, u64)>;

fn by_operation(lines: &[UsedUnits]) -> ByOperation {
    let line = |line: &UsedUnits| {
        ((line.product.map(|id| id.0), line.operation.map(|id| id.0)), (line.used.units, line.used.prepaid))
    };
    lines.iter().map(line).collect()
}

fn plain_by_operation<'a>(events: impl Iterator<Item = &'a UsageEvent>) -> ByOperation {
    let mut sums = ByOperation::new();
    for event in events.filter(|event| event.units > 0) {
        let sum = sums.entry((event.product.map(|id| id.0), event.operation.map(|id| id.0))).or_default();
        sum.0 += event.units;
        sum.1 += event.credits;
    }
    sums
}
