//! Each number that is changed behind our back is found and named, and none that was not.

use super::*;
use crate::{
    ingest::{
        Position,
        tests::{at, event, partner, take_in},
    },
    test_db::{self, TestStore},
};
use domain::{
    key_text::Environment,
    usage::{MeterKind, Metered, UsageEvent},
};

const HOUR: &str = "2026-03-01T10:00:00Z";

fn day() -> Period {
    Period { start: at("2026-03-01T00:00:00Z"), end: at("2026-03-02T00:00:00Z") }
}

fn of_life(epoch: u64, event: UsageEvent) -> UsageEvent {
    UsageEvent { epoch, ..event }
}

/// Forty events over two hours, of records 5 to 44, and the tallies that their gateway told.
async fn filled() -> TestStore {
    let store = test_db::store().await;
    let now = at("2026-03-01T13:00:00Z");
    let at_of = |number: i64| at(HOUR) + jiff::SignedDuration::from_mins(number * 2);
    let events: Vec<(u64, UsageEvent)> =
        (0..40).map(|number| (number as u64 + 5, of_life(1, event(at_of(number), &format!("r{number}"))))).collect();
    let (from, to) =
        (Position { sequence: 5, ..Position::default() }, Position { segment: 1, byte_offset: 9, sequence: 45 });
    store.ingest(("a", 0, vec![]), Position::default(), from, now).await.expect("moved");
    store.ingest(("a", 0, events), from, to, now).await.expect("taken in");
    store.tell_tallies("a", &[told(45, &[(HOUR, 30), ("2026-03-01T11:00:00Z", 10)])], now).await.expect("told");
    store
}

fn told(through: u64, hours: &[(&str, u64)]) -> ToldLane {
    let tally = |(hour, calls): &(&str, u64)| ToldTally {
        partner: partner(),
        hour: at(hour),
        environment: Environment::Live,
        part: 0,
        calls: *calls,
        units: *calls,
    };
    ToldLane { lane: 0, epoch: 1, first: 5, through, told: 0, tallies: hours.iter().map(tally).collect() }
}

async fn findings(store: &TestStore) -> Vec<(Kind, Option<domain::id::PartnerId>, String, String, String)> {
    let done = store.reconcile_all(day(), &Kind::ALL, at("2026-03-01T14:00:00Z")).await.expect("compared");
    let one = |found: Finding| {
        let change = format!("{} {} -> {}", found.meter, found.expected, found.actual);
        (found.kind, found.partner, found.hour.to_string(), change, found.place)
    };
    let mut findings: Vec<_> = done.findings.into_iter().map(one).collect();
    findings.sort_by_key(|found| (found.0.code(), found.2.clone(), found.3.clone()));
    findings
}

async fn sql(store: &TestStore, statement: &'static str) {
    sqlx::query("set session_replication_role = replica").execute(store.pool()).await.expect("triggers are off");
    assert_eq!(sqlx::query(statement).execute(store.pool()).await.expect(statement).rows_affected(), 1, "{statement}");
}

#[tokio::test]
async fn what_agrees_raises_no_alarm_and_says_how_much_was_compared() {
    let store = filled().await;
    let done = store.reconcile_all(day(), &Kind::ALL, at("2026-03-01T14:00:00Z")).await.expect("compared");
    assert_eq!(done.findings, []);
    // Two meters of two hours, 39 steps, and six sums of two roll-ups.
    assert_eq!(done.compared, 4 + 39 + 12);
    let (run_at, to) = store.last_reconciliation().await.expect("asked").expect("a run");
    assert_eq!((run_at, to), (at("2026-03-01T14:00:00Z"), day().end));
    // A gateway that is ahead of what is stored is compared later, and numbers that come twice or late change nothing.
    let now = at("2026-03-01T13:00:01Z");
    store.tell_tallies("a", &[told(44, &[(HOUR, 29)])], now).await.expect("told");
    assert_eq!(findings(&store).await, []);
    store.tell_tallies("a", &[told(46, &[(HOUR, 31)])], now).await.expect("told");
    assert_eq!(findings(&store).await, []);
}

#[tokio::test]
async fn an_event_that_is_changed_taken_out_or_put_in_is_found_by_partner_meter_and_hour() {
    let (eleven, partner) = ("2026-03-01T11:00:00Z", Some(partner()));
    type Expected<'a> = &'a [(Kind, Option<domain::id::PartnerId>, &'a str, &'a str)];
    let cases: [(&'static str, Expected<'_>); 4] = [
        (
            "update usage_events set units = units + 1 where sequence = 20",
            &[(Kind::Gateway, partner, HOUR, "units 30 -> 31"), (Kind::Hourly, partner, HOUR, "units 31 -> 30")],
        ),
        (
            "delete from usage_events where sequence = 20",
            &[
                (Kind::Gateway, partner, HOUR, "calls 30 -> 29"),
                (Kind::Gateway, partner, HOUR, "units 30 -> 29"),
                (Kind::Hourly, partner, HOUR, "bytes_in 290 -> 300"),
                (Kind::Sequence, None, HOUR, "records 1 -> 0"),
            ],
        ),
        (
            "insert into usage_events select * from usage_events where sequence = 20",
            &[
                (Kind::Gateway, partner, HOUR, "calls 30 -> 31"),
                (Kind::Hourly, partner, HOUR, "calls 31 -> 30"),
                (Kind::Sequence, partner, HOUR, "records 1 -> 2"),
            ],
        ),
        (
            "update usage_events set at = at + interval '1 hour' where sequence = 20",
            &[
                (Kind::Gateway, partner, HOUR, "calls 30 -> 29"),
                (Kind::Gateway, partner, eleven, "calls 10 -> 11"),
                (Kind::Hourly, partner, HOUR, "calls 29 -> 30"),
                (Kind::Hourly, partner, eleven, "calls 11 -> 10"),
            ],
        ),
    ];
    for (statement, expected) in cases {
        let store = filled().await;
        sql(&store, statement).await;
        let found = findings(&store).await;
        for (kind, partner, hour, change) in expected {
            let is = |one: &(Kind, Option<domain::id::PartnerId>, String, String, String)| {
                (one.0, one.1, one.2.as_str(), one.3.as_str()) == (*kind, *partner, *hour, *change)
            };
            assert!(found.iter().any(is), "{statement}: {kind:?} {hour} {change} is not in {found:#?}");
        }
        assert!(!store.all_open_findings(99).await.expect("findings").is_empty());
    }
}

#[tokio::test]
async fn a_roll_up_or_a_tally_that_is_changed_is_found_and_no_longer_once_it_is_mended() {
    for (wrong, right, kind, change) in [
        (
            "update usage_hourly set calls = calls + 1 where hour = '2026-03-01T10:00:00Z'",
            "update usage_hourly set calls = calls - 1 where hour = '2026-03-01T10:00:00Z'",
            Kind::Hourly,
            "calls 30 -> 31",
        ),
        (
            "update gateway_tallies set units = units - 1 where hour = '2026-03-01T10:00:00Z'",
            "update gateway_tallies set units = units + 1 where hour = '2026-03-01T10:00:00Z'",
            Kind::Gateway,
            "units 29 -> 30",
        ),
    ] {
        let store = filled().await;
        sql(&store, wrong).await;
        let found = findings(&store).await;
        let [one] = found.as_slice() else { panic!("{found:#?}") };
        assert_eq!((one.0, one.1, one.2.as_str(), one.3.as_str()), (kind, Some(partner()), HOUR, change));
        let kept = store.all_open_findings(99).await.expect("findings");
        assert_eq!(
            (kept.len(), kept[0].kind, kept[0].expected.as_str()),
            (1, kind, change.split(' ').nth(1).expect("one"))
        );
        sql(&store, right).await;
        assert_eq!(
            store.reconcile_all(day(), &Kind::ALL, at("2026-03-01T15:00:00Z")).await.expect("compared").findings,
            []
        );
        assert_eq!(store.all_open_findings(99).await.expect("findings"), []);
    }
}

#[tokio::test]
async fn records_that_are_accounted_for_are_no_drift() {
    let store = filled().await;
    let now = at("2026-03-01T13:10:00Z");
    let (from, to) =
        (Position { segment: 1, byte_offset: 9, sequence: 45 }, Position { segment: 1, byte_offset: 99, sequence: 51 });
    store.note_unsynced("a", 0, &[(45, 47), (47, 48)], now).await.expect("noted");
    let later = vec![(50, event(at("2026-03-01T12:10:00Z"), "later"))];
    store.ingest(("a", 0, later), from, to, now).await.expect("taken in");
    let found = findings(&store).await;
    let [one] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((one.0, one.3.as_str(), one.4.as_str()), (Kind::Sequence, "records 2 -> 0", "records 45 to 49"));
    store.note_unsynced("a", 0, &[(48, 50)], now).await.expect("noted");
    assert_eq!(findings(&store).await, []);
}

#[tokio::test]
async fn what_was_accepted_is_no_doubt_any_more_until_the_numbers_change_again() {
    let store = filled().await;
    let other = Period { start: at("2026-03-01T11:00:00Z"), end: day().end };
    sql(&store, "update usage_hourly set units = units - 1 where hour = '2026-03-01T10:00:00Z'").await;
    assert_eq!(findings(&store).await.len(), 1);
    assert!(store.doubt(partner(), day()).await.expect("asked").is_some());
    assert_eq!(store.doubt(partner(), other).await.expect("asked"), None, "of another hour");
    let now = at("2026-03-01T14:30:00Z");
    assert_eq!(store.accept_findings("the backup was old", Actor::System, now).await.expect("accepted"), 1);
    assert_eq!(findings(&store).await.len(), 1, "it still differs");
    assert_eq!(store.doubt(partner(), day()).await.expect("asked"), None);
    let entry = store.all_audit_page(None, 1).await.expect("a page").items.remove(0);
    assert_eq!(entry.action, "usage.accept_drift");
    sql(&store, "update usage_hourly set units = units - 1 where hour = '2026-03-01T10:00:00Z'").await;
    assert_eq!(findings(&store).await.len(), 1);
    assert!(store.doubt(partner(), day()).await.expect("asked").is_some());
}

#[tokio::test]
async fn a_day_that_is_not_the_sum_of_its_hours_is_found() {
    let store = filled().await;
    let later = at("2026-03-03T12:00:00Z");
    store.make_usage_days(later).await.expect("made");
    let done = store.reconcile_all(day(), &[Kind::Daily], later).await.expect("compared");
    // Five sums of a day, of a day by operation and of two brief hours.
    assert_eq!((done.compared, done.findings), (20, vec![]));
    for (less, again, hour, drift) in [
        (
            "update usage_daily set units = units - 1",
            "update usage_daily set units = units + 1",
            "2026-03-01T00:00:00Z",
            "units 40 -> 39",
        ),
        (
            "update usage_operation_daily set units = units - 1",
            "update usage_operation_daily set units = units + 1",
            "2026-03-01T00:00:00Z",
            "units 40 -> 39",
        ),
        (
            "update usage_brief set units = units - 1 where hour = '2026-03-01T10:00:00Z'",
            "update usage_brief set units = units + 1 where hour = '2026-03-01T10:00:00Z'",
            HOUR,
            "units 30 -> 29",
        ),
    ] {
        sql(&store, less).await;
        let found = findings(&store).await;
        let [one] = found.as_slice() else { panic!("{found:#?}") };
        assert_eq!((one.0, one.1, one.2.as_str(), one.3.as_str()), (Kind::Daily, Some(partner()), hour, drift));
        sql(&store, again).await;
        assert_eq!(findings(&store).await, []);
    }
}

/// Compares those hours of the day again, an hour after [`findings`]; how many findings are open then.
async fn open_after(store: &TestStore, hours: (&str, &str)) -> usize {
    let range = Period { start: at(hours.0), end: at(hours.1) };
    store.reconcile_all(range, &Kind::ALL, at("2026-03-01T15:00:00Z")).await.expect("compared");
    store.all_open_findings(99).await.expect("findings").len()
}

#[tokio::test]
async fn what_a_run_does_not_compare_it_does_not_resolve() {
    let whole = ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z");
    // A lane that has told more than is stored.
    let store = filled().await;
    sql(&store, "update gateway_tallies set units = units - 1 where hour = '2026-03-01T10:00:00Z'").await;
    assert_eq!(findings(&store).await.len(), 1);
    sql(&store, "update gateway_tallies set units = units + 1 where hour = '2026-03-01T10:00:00Z'").await;
    sql(&store, "update spool_positions set sequence = sequence - 1").await;
    assert_eq!(open_after(&store, whole).await, 2, "a lane behind, of which nobody handed over the last record");
    sql(&store, "update spool_positions set sequence = sequence + 1").await;
    store.reconcile_all(day(), &Kind::ALL, at("2026-03-01T16:00:00Z")).await.expect("compared");
    assert_eq!(store.all_open_findings(99).await.expect("findings").len(), 0);
    // A gap at the beginning of a range.
    let store = filled().await;
    sql(&store, "delete from gateway_tally_lanes").await;
    let (from, to) =
        (Position { segment: 1, byte_offset: 9, sequence: 45 }, Position { segment: 1, byte_offset: 99, sequence: 51 });
    let later = vec![(50, event(at("2026-03-01T12:10:00Z"), "later"))];
    store.ingest(("a", 0, later), from, to, at("2026-03-01T13:10:00Z")).await.expect("taken in");
    assert_eq!(findings(&store).await.len(), 1);
    assert_eq!(open_after(&store, ("2026-03-01T12:00:00Z", whole.1)).await, 1, "the gap is before the first");
    assert_eq!(open_after(&store, whole).await, 1, "still missing");
    store.note_unsynced("a", 0, &[(45, 50)], at("2026-03-01T14:00:00Z")).await.expect("noted");
    let last = store.reconcile_all(day(), &Kind::ALL, at("2026-03-01T16:00:00Z")).await.expect("compared");
    assert_eq!((last.findings.len(), store.all_open_findings(99).await.expect("findings").len()), (0, 0));
}

#[tokio::test]
async fn a_day_that_is_not_wholly_in_the_range_or_waits_for_its_sums_stays_open() {
    let store = filled().await;
    store.make_usage_days(at("2026-03-03T12:00:00Z")).await.expect("made");
    sql(&store, "update usage_daily set units = units - 1").await;
    assert_eq!(findings(&store).await.len(), 1);
    sql(&store, "update usage_daily set units = units + 1").await;
    assert_eq!(open_after(&store, ("2026-03-01T00:00:00Z", "2026-03-01T20:00:00Z")).await, 1, "a part of the day");
    sql(&store, "insert into usage_days_changed (partner_id, day) select partner_id, day from usage_daily").await;
    assert_eq!(open_after(&store, ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")).await, 1, "the day waits");
    sql(&store, "delete from usage_days_changed").await;
    assert_eq!(open_after(&store, ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")).await, 0);
}

#[tokio::test]
async fn two_lives_of_a_node_that_gave_the_same_numbers_are_told_apart() {
    let store = filled().await;
    // The first life had told two more calls than its disk kept; the second gives their numbers again.
    let now = at("2026-03-01T13:10:00Z");
    store.tell_tallies("a", &[told(47, &[("2026-03-01T12:00:00Z", 2)])], now).await.expect("told");
    let second = ToldLane { epoch: 2, first: 45, ..told(47, &[("2026-03-01T12:00:00Z", 2)]) };
    store.tell_tallies("a", &[second], now).await.expect("told");
    let again = |number: u64| of_life(2, event(at("2026-03-01T12:10:00Z"), &format!("again{number}")));
    let (from, to) =
        (Position { segment: 1, byte_offset: 9, sequence: 45 }, Position { segment: 1, byte_offset: 99, sequence: 47 });
    store.ingest(("a", 0, vec![(45, again(0)), (46, again(1))]), from, to, now).await.expect("taken in");
    let found = findings(&store).await;
    assert!(found.iter().all(|one| one.0 == Kind::Gateway && one.2 == "2026-03-01T12:00:00Z"), "{found:#?}");
    assert!(found.iter().any(|one| one.3 == "calls 4 -> 2"), "{found:#?}");
}

#[tokio::test]
async fn two_do_not_compare_at_once() {
    let store = filled().await;
    let mut other = store.pool().begin().await.expect("a transaction");
    sqlx::query("select pg_advisory_xact_lock($1)").bind(COMPARING).execute(&mut *other).await.expect("locked");
    let refused = store.reconcile_all(day(), &Kind::ALL, at("2026-03-01T14:00:00Z")).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    other.rollback().await.expect("released");
    assert_eq!(findings(&store).await, []);
}

#[tokio::test]
async fn a_lane_that_had_told_more_than_is_known_here_begins_anew() {
    let store = filled().await;
    let now = at("2026-03-01T13:00:01Z");
    let known = ToldLane { told: 45, ..told(45, &[(HOUR, 30)]) };
    assert_eq!(store.tell_tallies("a", &[known], now).await.expect("told"), [0_u16; 0]);
    // As after a restore: what changed since 46 would not be all.
    let later = ToldLane { told: 46, ..told(47, &[(HOUR, 31)]) };
    assert_eq!(store.tell_tallies("a", &[later], now).await.expect("told"), [0]);
    assert_eq!(findings(&store).await, []);
    let anew = ToldLane { first: 35, ..told(45, &[("2026-03-01T11:00:00Z", 10)]) };
    assert_eq!(store.tell_tallies("a", &[anew], now).await.expect("told"), [0_u16; 0]);
    assert_eq!(findings(&store).await, [], "only what it counted since is compared");
    sql(&store, "update usage_upkeep set live_from = '2026-03-01T12:00:00Z'").await;
    assert_eq!(store.forget_tallies().await.expect("gone"), 1);
}

#[tokio::test]
async fn a_meter_that_is_changed_is_found_by_its_name() {
    let said = |minute: &str, quantity| {
        let metered = Metered { meter: "tokens".to_owned(), kind: MeterKind::Sum, quantity, item: None };
        UsageEvent { meters: vec![metered], ..event(at(&format!("2026-03-01T10:{minute}:00Z")), "r") }
    };
    let cases: [(&'static str, &[&str]); 5] = [
        ("update usage_meter_hourly set total = total + 1", &["tokens: total 7 -> 8"]),
        ("update usage_meter_hourly set maximum = 9", &["tokens: maximum 5 -> 9"]),
        ("update usage_meter_hourly set latest = 3", &["tokens: latest 2 -> 3"]),
        (
            "delete from usage_meter_hourly",
            &["tokens: events 2 -> 0", "tokens: latest 2 -> 0", "tokens: maximum 5 -> 0", "tokens: total 7 -> 0"],
        ),
        (
            "update usage_events set meters = '[[\"tokens\", 6]]' where sequence = 0",
            &["tokens: maximum 6 -> 5", "tokens: total 8 -> 7"],
        ),
    ];
    for (statement, expected) in cases {
        let store = test_db::store().await;
        take_in(&store, "a", vec![said("10", 5), said("20", 2)]).await;
        let now = at("2026-03-01T14:00:00Z");
        let done = store.reconcile_all(day(), &[Kind::Meters], now).await.expect("compared");
        assert_eq!((done.findings.len(), done.compared), (0, 4));
        sql(&store, statement).await;
        let done = store.reconcile_all(day(), &[Kind::Meters], now).await.expect("compared");
        let named = |finding: &Finding| format!("{} {} -> {}", finding.meter, finding.expected, finding.actual);
        let mut told: Vec<String> = done.findings.iter().map(named).collect();
        told.sort();
        assert_eq!(told, expected, "{statement}");
        assert!(done.findings.iter().all(|found| found.partner == Some(partner()) && found.hour == at(HOUR)));
    }
}

#[tokio::test]
async fn events_of_a_node_that_handed_nothing_over_are_found_and_are_no_finding_once_they_are_gone() {
    for (ghost, place) in [
        (r#"{"node": "ghost"}"#, "records 20 to 20, which no gateway has handed over"),
        (r#"{"sequence": 45}"#, "records 45 to 45, which no gateway has handed over"),
    ] {
        let store = filled().await;
        let put_in = "insert into usage_events select (jsonb_populate_record(e, $1::jsonb)).* from usage_events e where sequence = 20";
        sqlx::query("set session_replication_role = replica").execute(store.pool()).await.expect("triggers are off");
        sqlx::query(put_in).bind(ghost).execute(store.pool()).await.expect("put in");
        let found: Vec<_> = findings(&store).await.into_iter().filter(|found| found.0 == Kind::Sequence).collect();
        let whose = (Kind::Sequence, Some(partner()), HOUR.to_owned(), "records 0 -> 1".to_owned(), place.to_owned());
        assert!(found.contains(&whose), "{found:?}");
        let take_out = "delete from usage_events where node = 'ghost' or sequence = 45";
        assert_eq!(sqlx::query(take_out).execute(store.pool()).await.expect("taken out").rows_affected(), 1);
        assert_eq!(open_after(&store, ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")).await, 0);
    }
}

#[tokio::test]
async fn a_gauges_level_that_is_changed_is_found_by_partner_meter_and_hour() {
    let said = |minute: &str, quantity| {
        let metered = Metered { meter: "machines".to_owned(), kind: MeterKind::Gauge, quantity, item: Some([7; 16]) };
        UsageEvent { meters: vec![metered], ..event(at(&format!("2026-03-01T10:{minute}:00Z")), "r") }
    };
    let cases: [(&'static str, &[&str]); 3] = [
        ("update usage_gauge_levels set level = level + 1 where sequence = 1", &["machines: level 2 -> 3"]),
        (
            "delete from usage_gauge_levels where sequence = 1",
            &["machines: level 2 -> 0", "machines: levels 1 -> 0"],
        ),
        (
            "insert into usage_gauge_levels select partner_id, product_id, meter, environment, item, at, node, lane, 9, 4
             from usage_gauge_levels where sequence = 1",
            &["machines: level 0 -> 4", "machines: levels 0 -> 1"],
        ),
    ];
    for (statement, expected) in cases {
        let store = test_db::store().await;
        take_in(&store, "a", vec![said("10", 5), said("20", 2)]).await;
        let now = at("2026-03-01T14:00:00Z");
        let done = store.reconcile_all(day(), &[Kind::Meters], now).await.expect("compared");
        // Four sums of an hour, and two levels that are there and how high they are.
        assert_eq!((done.findings.len(), done.compared), (0, 8));
        sql(&store, statement).await;
        let done = store.reconcile_all(day(), &[Kind::Meters], now).await.expect("compared");
        let named = |finding: &Finding| format!("{} {} -> {}", finding.meter, finding.expected, finding.actual);
        let mut told: Vec<String> = done.findings.iter().map(named).collect();
        told.sort();
        assert_eq!(told, expected, "{statement}");
        assert!(done.findings.iter().all(|found| found.partner == Some(partner()) && found.hour == at(HOUR)));
        assert!(done.findings.iter().all(|found| found.lane == Some(("a".to_owned(), 0))), "{:?}", done.findings);
        let whole = store.compare_partners(&[(partner(), day())], now).await.expect("compared");
        assert!(matches!(whole[..], [Compared::Differs(_)]), "no invoice is made of it: {whole:?}");
    }
}

#[tokio::test]
async fn a_range_that_is_compared_on_demand_gives_what_it_gives_at_once_and_two_do_not_run_together() {
    let store = filled().await;
    sql(&store, "update usage_hourly set units = units - 1 where hour = '2026-03-01T10:00:00Z'").await;
    sql(&store, "delete from usage_events where sequence = 20").await;
    let range = Period { start: at("2026-02-20T05:00:00Z"), end: at("2026-03-02T03:00:00Z") };
    let now = at("2026-03-01T14:00:00Z");
    let at_once = store.reconcile_all(range, &Kind::ALL, now).await.expect("compared");
    let asked = store.begin_to_reconcile().await.expect("nobody compares");
    let refused = store.begin_to_reconcile().await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "one is asked for already");
    assert!(
        store.reconcile_all(day(), &Kind::ALL, now).await.is_ok(),
        "whoever compares all the time is let in between"
    );
    let mut in_slices = asked.run(range, &Kind::ALL, now).await.expect("compared");
    in_slices.findings.sort_by(|one, other| one.key().cmp(&other.key()));
    assert_eq!(in_slices, at_once);
    assert_eq!(store.last_reconciliation().await.expect("asked").map(|(_, to)| to), Some(range.end));
    store.begin_to_reconcile().await.expect("it has ended").run(day(), &[Kind::Hourly], now).await.expect("compared");
    // One that is given up lets others.
    drop(store.begin_to_reconcile().await.expect("free"));
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while store.begin_to_reconcile().await.is_err() {
        assert!(std::time::Instant::now() < limit, "it is held for ever");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn open_findings_of_any_age_are_compared_again_a_few_days_at_a_time() {
    let store = filled().await;
    store.make_usage_days(at("2026-03-03T12:00:00Z")).await.expect("made");
    sql(&store, "update usage_daily set units = units - 1").await;
    sql(&store, "update gateway_tallies set units = units - 1 where hour = '2026-03-01T10:00:00Z'").await;
    let of_kinds = findings(&store).await.into_iter().map(|found| found.0).collect::<Vec<_>>();
    assert_eq!(of_kinds, [Kind::Daily, Kind::Gateway]);
    sql(&store, "update usage_daily set units = units + 1").await;
    let (now, later) = (at("2026-03-20T14:00:00Z"), at("2026-03-20T14:05:00Z"));
    let again = async |after: &str, at_once| store.reconcile_open(now, at(after), 4, at_once).await.expect("compared");
    assert_eq!(again("1970-01-01T00:00:00Z", now).await, Some(day().start));
    let open = store.all_open_findings(9).await.expect("findings");
    assert_eq!(open.iter().map(|finding| finding.kind).collect::<Vec<_>>(), [Kind::Gateway], "the other stays");
    sql(&store, "update gateway_tallies set units = units + 1 where hour = '2026-03-01T10:00:00Z'").await;
    let none = store.reconcile_open(day().start, day().start, 4, later).await.expect("compared");
    assert_eq!(none, None, "not before the day");
    assert_eq!(again("2026-03-01T00:00:00Z", later).await, Some(day().start), "from the beginning after the last");
    assert_eq!(store.all_open_findings(9).await.expect("findings"), []);
    assert_eq!(again("1970-01-01T00:00:00Z", later).await, None);
}

#[tokio::test]
async fn partners_are_compared_together_and_each_by_its_own_hours() {
    let store = filled().await;
    let other = domain::id::PartnerId(Uuid::from_u128(77));
    let of_other = |time: &str| UsageEvent { partner: other, ..event(at(time), &format!("of other {time}")) };
    let events = [HOUR, "2026-03-01T11:00:00Z"].map(of_other).to_vec();
    take_in(&store, "b", events).await;
    let until = |end: &str| Period { start: day().start, end: at(end) };
    let compared = async |one: Period, two: Period| {
        let stretches = [(partner(), one), (other, two)];
        let compared = store.compare_partners(&stretches, at("2026-03-01T14:00:00Z")).await.expect("compared");
        let [one, two] = <[Compared; 2]>::try_from(compared).expect("one for each");
        (one, two)
    };
    assert_eq!(compared(day(), day()).await, (Compared::Agrees, Compared::Agrees));

    // More than is stored.
    let now = at("2026-03-01T13:00:01Z");
    store.tell_tallies("a", &[told(46, &[("2026-03-01T11:00:00Z", 11)])], now).await.expect("told");
    assert_eq!(compared(day(), day()).await, (Compared::NotYet, Compared::Agrees));
    let begun = compared(until("2026-03-01T10:00:00.5Z"), day()).await;
    assert_eq!(begun, (Compared::NotYet, Compared::Agrees), "by whole hours");
    assert_eq!(compared(until(HOUR), day()).await, (Compared::Agrees, Compared::Agrees), "no hour of that lane");

    let change = "update usage_hourly set units = units + 1 where hour = '2026-03-01T10:00:00Z'
         and partner_id = '00000000-0000-0000-0000-00000000004d'";
    sql(&store, change).await;
    let early = until("2026-03-01T09:00:00Z");
    let (one, two) = compared(early, day()).await;
    assert_eq!(one, Compared::Agrees);
    assert!(matches!(two, Compared::Differs(found) if found.partner == Some(other) && found.hour == at(HOUR)));
    assert_eq!(compared(early, early).await, (Compared::Agrees, Compared::Agrees), "it is of no hour of theirs");
}
