//! Exactly once, and nothing ever refused for what an event holds.

mod meters;
mod order;

use super::*;
use crate::{
    Actor,
    test_db::{self, TestStore},
};
use domain::{
    id::{AllocationId, AppId, KeyId, MemberId, OperationId, PartnerId, PlanVersionId, ProductId, TeamId},
    key_text::Environment,
    period::Period,
    refusal::Code,
    usage::{Allocated, MeterKind, Metered, Outcome, UsageEvent, wire},
};
use uuid::Uuid;

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

pub(crate) fn partner() -> PartnerId {
    PartnerId(Uuid::from_u128(1))
}

/// A served live call of one unit.
pub(crate) fn event(at: Timestamp, request_id: &str) -> UsageEvent {
    UsageEvent {
        request_id: request_id.to_owned(),
        plan_version: Some(PlanVersionId(Uuid::from_u128(4))),
        product: Some(ProductId(Uuid::from_u128(5))),
        operation: Some(OperationId(Uuid::from_u128(6))),
        method: "GET".to_owned(),
        path: "/payments/{id}".to_owned(),
        units: 1,
        bytes_in: 10,
        bytes_out: 20,
        duration_us: 1_500,
        upstream_us: 1_000,
        ..UsageEvent::new(at, partner(), AppId(Uuid::from_u128(2)), KeyId(Uuid::from_u128(3)))
    }
}

/// Takes in events as the first and only batch of a fresh node.
pub(crate) async fn take_in(store: &TestStore, node: &str, events: Vec<UsageEvent>) {
    let to = Position { segment: 1, byte_offset: 9, sequence: events.len() as u64 };
    let now = at("2026-03-01T00:00:00Z");
    store.ingest((node, 0, numbered(events)), Position::default(), to, now).await.expect("the batch is taken in");
}

fn numbered(events: Vec<UsageEvent>) -> Vec<(u64, UsageEvent)> {
    (0..).zip(events).collect()
}

async fn counts(store: &TestStore) -> (i64, i64) {
    sqlx::query_as(
        "select (select count(*) from usage_events), (select coalesce(sum(calls), 0)::bigint from usage_hourly)",
    )
    .fetch_one(store.pool())
    .await
    .expect("counts")
}

fn hundred() -> Vec<UsageEvent> {
    (0..100).map(|second| event(at("2026-03-01T10:00:00Z") + jiff::SignedDuration::from_secs(second), "r")).collect()
}

#[tokio::test]
async fn a_batch_replayed_counts_once_and_says_where_the_lane_stands() {
    let store = test_db::store().await;
    let (from, to) = (Position::default(), Position { segment: 1, byte_offset: 5_000, sequence: 100 });
    let now = at("2026-03-01T11:00:00Z");
    let first = store.ingest(("a", 3, numbered(hundred())), from, to, now).await.expect("taken in");
    assert_eq!(first, Ingested { events: 100, missing: 0, late_meters: 0 });
    let again = store.ingest(("a", 3, numbered(hundred())), from, to, now).await;
    assert!(matches!(again, Err(IngestError::Moved { stands_at }) if stands_at == to), "{again:?}");
    assert_eq!(counts(&store).await, (100, 100));
    assert_eq!(store.positions("a").await.expect("positions"), BTreeMap::from([(3, to)]));
}

#[tokio::test]
async fn without_the_position_the_same_batch_counts_twice() {
    // The control: a lane that nobody has seen has no memory, so the test above can fail.
    let store = test_db::store().await;
    for node in ["a", "b"] {
        take_in(&store, node, hundred()).await;
    }
    assert_eq!(counts(&store).await, (200, 200));
}

#[tokio::test]
async fn racing_shippers_of_one_lane_count_once() {
    let store = test_db::store().await;
    let to = Position { segment: 1, byte_offset: 5_000, sequence: 100 };
    let now = at("2026-03-01T11:00:00Z");
    let race = (0..6).map(|_| {
        let store = store.handle();
        tokio::spawn(
            async move { store.ingest(("a", 0, numbered(hundred())), Position::default(), to, now).await.is_ok() },
        )
    });
    let mut taken = 0;
    for attempt in race.collect::<Vec<_>>() {
        taken += usize::from(attempt.await.expect("no panic"));
    }
    assert_eq!((taken, counts(&store).await), (1, (100, 100)));
}

#[tokio::test]
async fn a_failure_before_the_commit_leaves_nothing_and_the_retry_takes_all() {
    let store = test_db::store().await;
    let to = Position { segment: 1, byte_offset: 5_000, sequence: 100 };
    let now = at("2026-03-01T11:00:00Z");
    // The roll-up fails after the events were copied.
    sqlx::query("alter table usage_hourly add constraint broken check (calls < 0)")
        .execute(store.pool())
        .await
        .expect("done");
    let failed = store.ingest(("a", 0, numbered(hundred())), Position::default(), to, now).await;
    assert!(matches!(failed, Err(IngestError::Store(_))), "{failed:?}");
    assert_eq!(counts(&store).await, (0, 0));
    sqlx::query("alter table usage_hourly drop constraint broken").execute(store.pool()).await.expect("done");
    store.ingest(("a", 0, numbered(hundred())), Position::default(), to, now).await.expect("taken in");
    assert_eq!(counts(&store).await, (100, 100));
}

#[tokio::test]
async fn giving_up_on_the_answer_does_not_break_the_connection() {
    let store = test_db::store().await;
    for _ in 0..20 {
        let work = store.ingest(
            ("a", 0, numbered(hundred())),
            Position::default(),
            Position { sequence: 100, ..Position::default() },
            at("2026-03-01T11:00:00Z"),
        );
        let _ = tokio::time::timeout(std::time::Duration::from_micros(300), work).await;
    }
    // Whatever was given up has either happened whole or not at all, and every connection still works.
    for _ in 0..16 {
        store.ping().await.expect("answers");
    }
    let mut settled = counts(&store).await;
    for _ in 0..3_000 {
        if settled == (100, 100) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        settled = counts(&store).await;
    }
    assert_eq!(settled, (100, 100));
}

#[tokio::test]
async fn behind_a_postgres_that_does_not_answer_a_try_ends_in_time_and_holds_no_connection() {
    let test = test_db::store().await;
    let store = Store::connect_with(test.options(), 1).await.expect("connected");
    // Somebody holds the lane's row, as a Postgres that hangs holds everything.
    store.caught_up("a", 0, at("2026-03-01T11:00:00Z")).await.expect("noted");
    let mut held = test.begin().await.expect("a transaction");
    lock_position(&mut held, "a", 0, at("2026-03-01T11:00:00Z")).await.expect("locked");
    let to = Position { sequence: 100, ..Position::default() };
    let began = std::time::Instant::now();
    let now = at("2026-03-01T11:00:00Z");
    let batch = Batch { events: ("a", 0, numbered(hundred())).into(), from: Position::default(), to, now };
    let outcome = store.ingest_within(Duration::from_millis(200), batch).await;
    assert!(matches!(outcome, Err(IngestError::Store(StoreError::Unavailable(_)))), "{outcome:?}");
    // The only connection there is serves again, while the row is still held.
    store.ping().await.expect("answers");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    held.rollback().await.expect("let go");
    assert_eq!(counts(&test).await, (0, 0));
}

#[tokio::test]
async fn any_text_and_any_figure_is_taken_in_as_it_is() {
    let store = test_db::store().await;
    let mut odd = event(at("1999-12-31T23:59:59.999999999Z"), "tab\tnew\nline\\N \"quote\" \u{1f980} nul\0");
    odd.path = "\\.".to_owned();
    odd.status = 599;
    odd.outcome = Outcome::Refused(Code::QuotaExceeded);
    odd.units = u64::MAX;
    odd.team = Some(domain::id::TeamId(Uuid::from_u128(9)));
    (odd.product, odd.operation, odd.plan_version) = (None, None, None);
    take_in(&store, "a", vec![odd]).await;
    let row = sqlx::query(
        "select request_id, path, status, outcome, refusal, units, team_id, product_id,
             at = '1999-12-31T23:59:59.999999Z' as cut from usage_events",
    )
    .fetch_one(store.pool())
    .await
    .expect("the event");
    assert_eq!(row.get::<String, _>("request_id"), "tab\tnew\nline\\N \"quote\" \u{1f980} nul\u{fffd}");
    assert_eq!(row.get::<String, _>("path"), "\\.");
    assert_eq!((row.get::<i16, _>("status"), row.get::<i64, _>("units")), (599, i64::MAX));
    assert_eq!(row.get::<String, _>("outcome"), "refused");
    assert_eq!(row.get::<String, _>("refusal"), "quota-exceeded");
    assert_eq!(row.get::<Option<Uuid>, _>("team_id"), Some(Uuid::from_u128(9)));
    assert_eq!(row.get::<Option<Uuid>, _>("product_id"), None);
    assert!(row.get::<bool, _>("cut"), "a timestamp is cut to the microsecond, never rounded into the next hour");
}

#[tokio::test]
async fn a_gap_in_the_sequence_is_told() {
    let store = test_db::store().await;
    let to = Position { segment: 1, byte_offset: 5_000, sequence: 103 };
    let taken = store.ingest(("a", 0, numbered(hundred())), Position::default(), to, at("2026-03-01T11:00:00Z")).await;
    assert_eq!(taken.expect("taken in"), Ingested { events: 100, missing: 3, late_meters: 0 });
}

#[tokio::test]
async fn usage_is_in_through_the_lane_that_is_furthest_behind() {
    let store = test_db::store().await;
    assert_eq!(store.ingested_through(Timestamp::UNIX_EPOCH).await.expect("asked"), None);
    store.caught_up("a", 0, at("2026-03-01T11:00:00Z")).await.expect("done");
    store.caught_up("a", 1, at("2026-03-01T10:00:00Z")).await.expect("done");
    store.caught_up("a", 1, at("2026-03-01T09:00:00Z")).await.expect("done");
    assert_eq!(store.ingested_through(Timestamp::UNIX_EPOCH).await.expect("asked"), Some(at("2026-03-01T10:00:00Z")));
    let lag = store.usage_lag(at("2026-03-01T11:30:00Z")).await.expect("asked");
    assert_eq!(lag, Some(jiff::SignedDuration::from_mins(90)));
    take_in(&store, "b", hundred()).await;
    assert_eq!(
        store.ingested_through(Timestamp::UNIX_EPOCH).await.expect("asked"),
        None,
        "a lane that never caught up holds all back"
    );
    let behind = store.nodes_behind(at("2026-03-01T10:30:00Z"), Timestamp::UNIX_EPOCH).await.expect("asked");
    let behind: Vec<_> = behind.iter().map(|behind| (behind.node.as_str(), behind.since)).collect();
    assert_eq!(behind, [("b", at("2026-03-01T00:00:00Z")), ("a", at("2026-03-01T10:00:00Z"))]);
    let behind = store.nodes_behind(at("2026-03-01T10:00:00Z"), Timestamp::UNIX_EPOCH).await.expect("asked");
    assert_eq!(behind.len(), 1, "a has caught up by then");
    store.forget_node("b", None).await.expect("done");
    assert_eq!(store.ingested_through(Timestamp::UNIX_EPOCH).await.expect("asked"), Some(at("2026-03-01T10:00:00Z")));
}

#[tokio::test]
async fn bills_do_not_wait_for_a_node_that_ended_as_it_should_long_ago() {
    let store = test_db::store().await;
    let (ended, later) = (at("2026-03-01T10:00:00Z"), at("2026-03-09T10:00:00Z"));
    let bound = |at: &str| at.parse::<Timestamp>().expect("a timestamp");
    store.caught_up("a", 0, ended).await.expect("noted");
    store.note_end("a", ended, ended).await.expect("noted");
    store.caught_up("b", 0, later).await.expect("noted");
    let through = async |ended_before| store.ingested_through(ended_before).await.expect("asked");
    assert_eq!(through(ended).await, Some(ended), "it may have begun again, unseen");
    assert_eq!(store.nodes_behind(later, ended).await.expect("asked").len(), 1);
    let long_after = bound("2026-03-02T10:00:00Z");
    assert_eq!(through(long_after).await, Some(later));
    assert_eq!(store.nodes_behind(later, long_after).await.expect("asked"), []);
    // It told of a call that nobody has.
    let told = crate::reconcile::ToldLane { lane: 0, epoch: 0, first: 0, through: 1, told: 0, tallies: Vec::new() };
    store.tell_tallies("a", &[told], ended).await.expect("told");
    assert_eq!(through(long_after).await, Some(ended));
    assert_eq!(store.nodes_behind(later, long_after).await.expect("asked").len(), 1);
    // It hands it over and goes on, and is waited for again.
    let to = Position { sequence: 1, ..Position::default() };
    store.ingest(("a", 0, numbered(vec![event(ended, "r")])), Position::default(), to, later).await.expect("taken in");
    assert_eq!(through(long_after).await, Some(ended));
    store.note_end("a", ended, ended).await.expect("noted");
    assert_eq!(through(long_after).await, Some(later));
    // All have ended.
    store.note_end("b", later, later).await.expect("noted");
    let bound = bound("2026-03-20T10:00:00Z");
    assert_eq!(through(bound).await, Some(bound));
    assert_eq!(store.usage_lag(bound).await.expect("asked"), Some(jiff::SignedDuration::ZERO));
}

#[tokio::test]
async fn a_node_that_comes_back_after_it_was_forgotten_counts_nothing_twice() {
    let store = test_db::store().await;
    take_in(&store, "a", hundred()).await;
    store.forget_node("a", None).await.expect("forgotten");
    assert_eq!(
        store.nodes_behind(at("2026-03-02T00:00:00Z"), Timestamp::UNIX_EPOCH).await.expect("asked"),
        [],
        "nobody waits for it"
    );
    let stands_at = store.positions("a").await.expect("positions")[&0];
    assert_eq!(stands_at.sequence, 100, "it goes on where it stood");
    let to = Position { sequence: 101, ..stands_at };
    let more = vec![(100, event(at("2026-03-01T12:00:00Z"), "back"))];
    store.ingest(("a", 0, more), stands_at, to, at("2026-03-01T13:00:00Z")).await.expect("taken in");
    assert_eq!(counts(&store).await, (101, 101));
    assert_eq!(
        store.ingested_through(Timestamp::UNIX_EPOCH).await.expect("asked"),
        None,
        "and bills wait for it again"
    );
}

#[tokio::test]
async fn damage_is_skipped_by_decision_only_and_stays_on_record() {
    let store = test_db::store().await;
    take_in(&store, "a", hundred()).await;
    let from = store.positions("a").await.expect("positions")[&0];
    let to = Position { segment: 2, byte_offset: 0, sequence: 103 };
    let now = at("2026-03-01T13:00:00Z");
    let wrong = store.skip_damage("a", 0, (Position::default(), to), "the disk broke", Actor::System, now).await;
    assert!(matches!(wrong, Err(IngestError::Moved { stands_at }) if stands_at == from), "{wrong:?}");
    assert_eq!(store.usage_gaps("a", 0).await.expect("gaps"), []);
    store.skip_damage("a", 0, (from, to), "the disk broke", Actor::System, now).await.expect("skipped");
    for _ in 0..2 {
        store.note_unsynced("a", 0, &[(110, 112)], now).await.expect("noted once");
    }
    let gap = |first, past, cause, note: &str| Gap { first, past, cause, note: note.to_owned() };
    assert_eq!(
        store.usage_gaps("a", 0).await.expect("gaps"),
        [gap(100, 103, GapCause::Damage, "the disk broke"), gap(110, 112, GapCause::Unsynced, "")]
    );
    assert_eq!(store.positions("a").await.expect("positions")[&0], to);
    let entry = store.all_audit_page(None, 1).await.expect("a page").items.remove(0);
    assert_eq!((entry.action.as_str(), entry.subject.as_str()), ("usage.skip_damage", "a/0"));
    assert_eq!(entry.after.expect("told")["records_lost"], 3);
    assert!(sqlx::query("delete from usage_gaps").execute(store.pool()).await.is_err(), "nobody takes it back");
}

#[tokio::test]
async fn seals_are_kept_once_and_nobody_changes_them() {
    let store = test_db::store().await;
    let now = at("2026-03-01T13:00:00Z");
    let seal = |first, past, byte| StoredSeal { first, past, sealed_at: now, entry: vec![byte; 204] };
    assert_eq!(store.sealed_past("a", 0).await.expect("asked"), 0);
    store.keep_seals("a", 0, &[seal(0, 4, 1), seal(4, 9, 2)]).await.expect("kept");
    // As where the answer to the commit was lost: what is there first stays.
    store.keep_seals("a", 0, &[seal(0, 4, 7), seal(9, 12, 3)]).await.expect("kept");
    store.keep_seals("b", 3, &[seal(0, 1, 4)]).await.expect("kept");
    assert_eq!(store.sealed_past("a", 0).await.expect("asked"), 12);
    assert_eq!(store.seals("a", 0, 0, 2).await.expect("seals"), [seal(0, 4, 1), seal(4, 9, 2)]);
    assert_eq!(store.seals("a", 0, 9, 2).await.expect("seals"), [seal(9, 12, 3)]);
    assert_eq!(store.sealed_lanes().await.expect("lanes"), [("a".to_owned(), 0), ("b".to_owned(), 3)]);
    for change in ["update spool_seals set past_sequence = 5 where lane = 3", "delete from spool_seals"] {
        assert!(sqlx::query(change).execute(store.pool()).await.is_err(), "{change}");
    }
}

#[tokio::test]
async fn partitions_are_made_ahead_and_events_without_one_move_into_theirs() {
    let store = test_db::store().await;
    let now = at("2026-03-01T23:30:00Z");
    take_in(&store, "early", vec![event(at("2026-03-02T01:00:00Z"), "before its partition")]).await;
    assert_eq!(store.make_partitions(now, 3).await.expect("made"), 5, "yesterday, today and three days ahead");
    assert_eq!(store.make_partitions(now, 3).await.expect("made again"), 5);
    store.place_strays().await.expect("placed");
    take_in(&store, "b", vec![event(at("2026-03-01T10:00:00Z"), "today"), event(at("2031-01-01T00:00:00Z"), "far")])
        .await;
    let places: Vec<(String, String)> =
        sqlx::query_as("select tableoid::regclass::text, request_id from usage_events order by at")
            .fetch_all(store.pool())
            .await
            .expect("events");
    let places: Vec<_> = places.iter().map(|(table, id)| (table.as_str(), id.as_str())).collect();
    assert_eq!(
        places,
        [
            ("usage_events_20260301", "today"),
            ("usage_events_20260302", "before its partition"),
            ("usage_events_other", "far")
        ]
    );
    store.place_strays().await.expect("placed");
    let far: String = sqlx::query_scalar("select tableoid::regclass::text from usage_events where request_id = 'far'")
        .fetch_one(store.pool())
        .await
        .expect("it is still there");
    assert_eq!(far, "usage_events_20310101");
    let strays: i64 =
        sqlx::query_scalar("select count(*) from usage_hourly_other").fetch_one(store.pool()).await.expect("a count");
    assert_eq!(strays, 0, "its hour went with it");
}

#[tokio::test]
async fn a_stored_event_gives_back_the_bytes_that_the_usage_log_has_of_it() {
    let store = test_db::store().await;
    let within = Period { start: at("1960-01-01T00:00:00Z"), end: at("2100-01-01T00:00:00Z") };
    let plain = event(at("2026-03-01T10:00:00.123456Z"), "plain");
    let full = UsageEvent {
        team: Some(TeamId(Uuid::from_u128(7))),
        member: Some(MemberId(Uuid::from_u128(8))),
        environment: Environment::Test,
        credits: 3,
        period: Some(Period { start: at("2026-03-01T00:00:00.5Z"), end: at("2026-04-01T00:00:00Z") }),
        epoch: 9,
        region: "eu-central".to_owned(),
        trace_id: Some([0x4b; 16]),
        price_rule: "header:x-units".to_owned(),
        // An order that a JSON object would not keep.
        meters: [
            ("tokens", MeterKind::Sum, i64::MAX, None),
            ("a", MeterKind::Latest, -1, None),
            ("tokens", MeterKind::Gauge, 0, Some([0; 16])),
            ("\"\u{e9}\\", MeterKind::Unique, 1, Some([0xAB; 16])),
            ("a", MeterKind::Sum, 1, Some([1; 16])),
        ]
        .map(|(meter, kind, quantity, item)| Metered { meter: meter.to_owned(), kind, quantity, item })
        .to_vec(),
        ..plain.clone()
    };
    let mut events = vec![plain, full.clone(), UsageEvent { at: at("1969-12-31T23:59:59.000001Z"), ..full.clone() }];
    let outcomes = [Outcome::Served, Outcome::Replayed, Outcome::Cached, Outcome::UpstreamFailed, Outcome::ClientGone];
    let outcomes = outcomes.into_iter().chain(Code::ALL.into_iter().map(Outcome::Refused));
    events.extend(outcomes.map(|outcome| UsageEvent { outcome, ..full.clone() }));
    let written = |event: &UsageEvent| {
        let mut bytes = Vec::new();
        wire::encode(event, &mut bytes);
        bytes
    };
    let logged: Vec<_> = (0_u64..).zip(events.iter().map(written)).collect();
    take_in(&store, "a", events).await;
    take_in(&store, "b", hundred()).await;
    let stored = store.all_partners_events_of_lane(("a", 0), within, 0..1_000, 1_000).await.expect("events");
    let again: Vec<_> = stored.iter().map(|(sequence, event)| (*sequence, written(event))).collect();
    assert_eq!(again, logged);
    let some = store.all_partners_events_of_lane(("a", 0), within, 1..3, 1).await.expect("events");
    assert_eq!(some, [(1, full)]);
}

/// Its sums have no more than that either, so that both say the same.
#[tokio::test]
async fn an_event_has_no_more_of_an_allocation_than_credit_paid() {
    let store = test_db::store().await;
    let own = |credits, units| UsageEvent {
        units: 9,
        credits,
        allocated: Some(Allocated { allocation: AllocationId(Uuid::from_u128(9)), units }),
        ..event(at("2026-03-01T10:00:00Z"), "r")
    };
    take_in(&store, "a", vec![own(3, 5), own(4, 2), own(0, 7)]).await;
    let stored: Vec<(Option<Uuid>, i64)> =
        sqlx::query_as("select allocation_id, allocated from usage_events order by sequence")
            .fetch_all(store.pool())
            .await
            .expect("events");
    let id = Some(Uuid::from_u128(9));
    assert_eq!(stored, [(id, 3), (id, 2), (None, 0)]);
}
