//! Nothing that is kept small or dropped changes a total, and nothing is dropped that a bill needs.

use super::*;
use crate::{
    Actor, Store,
    ingest::{
        Position,
        tests::{at, event, partner, take_in},
    },
    plans::tests as plans,
    pool::MIGRATIONS,
    test_db::{self, TestStore, world::World},
    time::Ts,
    usage::{MeterQuery, UsageFilter, UsageQuery, Window},
};
use domain::{
    key_text::Environment,
    period::Period,
    usage::{MeterKind, Metered, UsageEvent},
};
use jiff::SignedDuration;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use uuid::Uuid;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A call each 20 minutes of each of `days` days from the first of January 2026 on, in turns live and test.
fn calls(days: i64) -> Vec<UsageEvent> {
    let begin = at("2026-01-01T00:10:00Z");
    let call = |number: i64| {
        let mut event = event(begin + SignedDuration::from_mins(20 * number), &format!("r{number}"));
        event.environment = if number % 2 == 0 { Environment::Live } else { Environment::Test };
        event.units = u64::from(number % 2 == 0);
        event
    };
    (0..days * 72).map(call).collect()
}

async fn calls_between(store: &Store, from: &str, to: &str) -> u64 {
    let range = Period { start: at(from), end: at(to) };
    store.usage_totals(partner(), range, &UsageFilter::default()).await.expect("totals").calls
}

async fn count(store: &TestStore, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(store.pool()).await.expect("a count")
}

fn keep(live: u32, test: u32, hourly: u32, daily: u32) -> Kept {
    Kept { live: Some(live), test: Some(test), hourly: Some(hourly), daily: Some(daily) }
}

#[tokio::test]
async fn a_day_that_is_made_while_calls_of_it_arrive_counts_each_once() {
    let store = test_db::store().await;
    store.warm().await;
    let start = at("2026-01-01T00:00:00Z");
    let writers = (0..4_u64).map(|lane| {
        let store = store.handle();
        tokio::spawn(async move {
            for batch in 0..40_u64 {
                let number = |place: u64| (lane * 40 + batch) * 5 + place;
                // Two days, of which the makers make first one, then both.
                let events = (0..5).map(|place| {
                    let at = start + SignedDuration::from_mins((number(place) * 37 % 2_880) as i64);
                    (batch * 5 + place, event(at, "r"))
                });
                let position = |batch: u64| Position { segment: 0, byte_offset: batch, sequence: batch * 5 };
                let (from, to) = (position(batch), position(batch + 1));
                store.ingest(("a", lane as u16, events.collect::<Vec<_>>()), from, to, start).await.expect("taken in");
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let makers = (0..2).map(|_| {
        let store = store.handle();
        tokio::spawn(async move {
            for round in 0..60 {
                let now = at(if round < 30 { "2026-01-02T02:00:00Z" } else { "2026-01-03T02:00:00Z" });
                // One that meets the other finds it busy, or waits too long for the writers.
                let _ = store.make_usage_days(now).await;
                let counted = calls_between(&store, "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z").await;
                assert!(counted <= 800, "{counted}");
            }
        })
    });
    for maker in makers.collect::<Vec<_>>() {
        maker.await.expect("no panic");
    }
    for writer in writers {
        writer.await.expect("no panic");
    }
    assert_eq!(
        calls_between(&store, "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z").await,
        800,
        "before the last round"
    );
    store.make_usage_days(at("2026-01-03T02:00:00Z")).await.expect("made");
    assert_eq!(count(&store, "select count(*) from usage_days_changed").await, 0);
    for statement in [
        "select sum(calls)::bigint from usage_hourly",
        "select sum(calls)::bigint from usage_daily",
        "select sum(calls)::bigint from usage_brief",
        "select sum(calls)::bigint from usage_operation_daily",
    ] {
        assert_eq!(count(&store, statement).await, 800, "{statement}");
    }
}

/// All of it begins at once where the portal starts.
#[tokio::test]
async fn days_are_made_at_the_first_run_although_something_else_is_at_it_for_a_moment() {
    let store = test_db::store().await;
    take_in(&store, "a", calls(2)).await;
    let mut other = store.begin().await.expect("a transaction");
    assert!(alone(&mut other).await.expect("locked"));
    let making = {
        let store = store.handle();
        tokio::spawn(async move { store.make_usage_days(at("2026-01-03T02:00:00Z")).await })
    };
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    other.commit().await.expect("over");
    making.await.expect("no panic").expect("made");
    assert_eq!(count(&store, "select count(distinct day) from usage_daily").await, 2);
}

#[tokio::test]
async fn what_is_dropped_changes_no_total_of_whole_hours_then_days() {
    let store = test_db::store().await;
    take_in(&store, "a", calls(95)).await;
    let now = at("2026-04-06T12:00:00Z");
    store.make_partitions(now, 1).await.expect("made");
    store.place_strays().await.expect("placed");
    assert_eq!(
        count(&store, "select count(*) from usage_events_other").await,
        6_840 - 51 * 72,
        "yesterday, and fifty days at once"
    );
    store.place_strays().await.expect("placed");
    store.make_usage_days(now).await.expect("made");
    let months = || async {
        let mut query = UsageQuery::whole(
            Period { start: at("2026-01-01T00:00:00Z"), end: at("2026-04-05T06:00:00Z") },
            UsageFilter::default(),
        );
        query.window = Window::Month;
        query.time_zone = "Africa/Abidjan";
        store.usage(partner(), &query).await.expect("an answer").rows.iter().map(|row| row.totals).collect::<Vec<_>>()
    };
    let before = months().await;
    assert_eq!(before.iter().map(|totals| totals.calls).sum::<u64>(), 94 * 72 + 18);

    let dropped = store.drop_old_usage(&keep(60, 30, 1_000, 1_000), now).await.expect("dropped");
    assert_eq!((dropped.partitions, dropped.held_by), (35, None), "January and four days: {dropped:?}");
    assert_eq!(dropped.events, 30 * 36, "test calls of the days from then until a month ago");
    assert_eq!(months().await, before);
    let oldest: Timestamp = store
        .request_log(
            partner(),
            Period { start: at("2026-01-01T00:00:00Z"), end: now },
            &Default::default(),
            None,
            10_000,
        )
        .await
        .map(|page| page.requests.iter().map(|call| call.at).min().expect("some"))
        .expect("the log");
    assert!(oldest >= now - DAY * 61 && oldest < now - DAY * 59, "{oldest}");
    // The half hour counts with its hour, and nothing is lost between two ranges that touch there.
    let halves = calls_between(&store, "2026-01-05T00:00:00Z", "2026-01-05T10:30:00Z").await
        + calls_between(&store, "2026-01-05T10:30:00Z", "2026-01-06T00:00:00Z").await;
    assert_eq!(halves, 72);
    assert_eq!(store.drop_old_usage(&keep(60, 30, 1_000, 1_000), now).await.expect("again"), Dropped::default());

    let dropped = store.drop_old_usage(&keep(60, 30, 60, 1_000), now).await.expect("dropped");
    assert_eq!(dropped.partitions, 1, "January's hours");
    assert_eq!(count(&store, "select count(*) from usage_hourly where hour < '2026-02-01 00:00:00+00'").await, 0);
    assert_eq!(months().await, before);
    let kept = store.usage_storage().await.expect("storage").kept_from;
    assert_eq!((kept.hourly, kept.daily), (Some(at("2026-02-01T00:00:00Z")), None));

    // A call that comes later than anything is kept for is counted all the same.
    take_in(&store, "late", vec![event(at("2026-01-20T10:00:00Z"), "late")]).await;
    store.make_usage_days(now).await.expect("made");
    assert_eq!(months().await[0].calls, before[0].calls + 1);
    assert_eq!(count(&store, "select count(*) from usage_hourly_other").await, 0);

    store.drop_old_usage(&keep(60, 30, 60, 60), now).await.expect("dropped");
    assert_eq!(months().await.iter().map(|totals| totals.calls).sum::<u64>(), 94 * 72 + 18 - 31 * 72);
}

#[tokio::test]
async fn a_period_that_is_not_closed_keeps_all_that_its_bill_needs() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let plan = plans::create(&store, "starter", plans::terms()).await;
    let began = at("2026-02-10T10:30:00Z");
    store.choose_plan(world.partner, plan, Actor::System, began).await.expect("chosen");
    let events = calls(95).into_iter().map(|event| UsageEvent { partner: world.partner, ..event }).collect();
    take_in(&store, "a", events).await;
    let now = at("2026-04-06T12:00:00Z");
    for _ in 0..2 {
        store.place_strays().await.expect("made");
    }
    store.make_usage_days(now).await.expect("made");
    let period = Period { start: began, end: at("2026-03-10T10:30:00Z") };
    let units = || async { store.units_used(world.partner, period, Environment::Live).await.expect("units") };
    let before = units().await;
    let dropped = store.drop_old_usage(&keep(1, 1, 1, 1), now).await.expect("dropped");
    assert_eq!(dropped.held_by, Some(began));
    assert_eq!(units().await, before);
    let first: Ts = sqlx::query_scalar("select min(at) from usage_events where environment = 'live'")
        .fetch_one(store.pool())
        .await
        .expect("one");
    assert_eq!(first.0, at("2026-02-10T00:10:00Z"), "the day in which it began");

    let subscription = store.open_subscription(world.partner).await.expect("answered").expect("one");
    // As if it had been billed.
    sqlx::query(
        "insert into billing_periods (partner_id, subscription_id, period_start, period_end, closed_at) values ($1, $2, $3, $4, $5)",
    )
    .bind(world.partner.0)
    .bind(subscription.id.0)
    .bind(Ts(period.start))
    .bind(Ts(period.end))
    .bind(Ts(now))
    .execute(store.pool())
    .await
    .expect("closed");
    let dropped = store.drop_old_usage(&keep(1, 1, 1, 1), now).await.expect("dropped");
    assert_eq!(dropped.held_by, Some(period.end), "the next one is open as well");
    assert_eq!(
        dropped.partitions,
        28 + 5,
        "its days, and the hours, the three shorter roll-ups and the meters of February"
    );
}

#[tokio::test]
async fn meters_go_with_the_daily_usage_and_a_level_that_still_holds_stays() {
    let store = test_db::store().await;
    let metered = |kind, quantity| Metered { meter: "m".to_owned(), kind, quantity, item: None };
    let said = |when: &str, level| UsageEvent {
        meters: vec![metered(MeterKind::Sum, 10), metered(MeterKind::Gauge, level)],
        ..event(at(when), "r")
    };
    let events = vec![
        said("2026-01-10T10:00:00Z", 1),
        said("2026-01-20T10:20:00Z", 7),
        said("2026-03-10T00:00:00Z", 2),
        said("2026-04-05T10:00:00Z", 3),
    ];
    take_in(&store, "a", events).await;
    let now = at("2026-04-06T12:00:00Z");
    for _ in 0..2 {
        store.place_strays().await.expect("made");
    }
    store.make_usage_days(now).await.expect("made");
    let amounts = async |from: &str, to: &str| -> Vec<(MeterKind, i64)> {
        let usage = UsageQuery::whole(Period { start: at(from), end: at(to) }, UsageFilter::default());
        let query = MeterQuery { usage, meter: None, now };
        let rows = store.metered(partner(), &query).await.expect("an answer").rows;
        rows.iter().map(|row| (row.kind, row.level_seconds.unwrap_or(row.quantity))).collect()
    };
    let february = async || amounts("2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z").await;
    let whole = async || amounts("2026-01-01T00:10:00Z", "2026-04-06T00:00:00Z").await[0];
    assert_eq!((whole().await, february().await), ((MeterKind::Sum, 40), vec![(MeterKind::Gauge, 7 * 86_400)]));
    // Single calls only: their hours are there.
    store.drop_old_usage(&keep(1, 1, 400, 400), now).await.expect("dropped");
    assert_eq!(whole().await, (MeterKind::Sum, 40));
    store.drop_old_usage(&keep(1, 1, 50, 50), now).await.expect("dropped");
    assert_eq!((whole().await, february().await), ((MeterKind::Sum, 20), vec![(MeterKind::Gauge, 7 * 86_400)]));
    assert_eq!(count(&store, "select count(*) from usage_gauge_levels").await, 3, "that of before it is gone");
    assert_eq!(count(&store, "select count(*) from usage_meter_hourly where hour < '2026-02-01'").await, 0);
}

#[tokio::test]
async fn the_new_tables_hold_what_the_old_one_held() {
    let test = test_db::store().await;
    let database = format!("t_{}", Uuid::new_v4().simple());
    test.pool().execute(AssertSqlSafe(format!("create database {database} template template0"))).await.expect("made");
    let options = test.options().database(&database);
    let mut old =
        sqlx::PgConnection::connect_with(&options.clone().options([("TimeZone", "UTC")])).await.expect("connected");
    for migration in MIGRATIONS.iter().filter(|migration| migration.version < 14) {
        old.execute(migration.sql.clone()).await.expect("the schema of before");
    }
    // A month; one hour of which raw events are lost.
    old.execute(
        "insert into usage_events (partner_id, at, node, lane, sequence, request_id, app_id, key_id, team_id, member_id,
             environment, plan_version_id, product_id, operation_id, method, path, status, outcome, refusal, units, bytes_in,
             bytes_out, duration_us, upstream_us)
         select md5('partner' || n % 3)::uuid, '2026-01-20'::timestamptz + n * interval '7 minutes', 'a', 0, n, 'r' || n,
             md5('app' || n % 2)::uuid, md5('key' || n % 4)::uuid, case when n % 5 = 0 then md5('team')::uuid end,
             case when n % 7 = 0 then md5('member')::uuid end, case when n % 2 = 0 then 'live' else 'test' end,
             md5('plan')::uuid, case when n % 11 > 0 then md5('product')::uuid end,
             case when n % 11 > 0 then md5('operation' || n % 3)::uuid end, 'GET', '/', case when n % 13 = 0 then 429 else 200 end,
             case when n % 13 = 0 then 'refused' else 'served' end, null, n % 4, n, 2 * n, n * 1000, 0
         from generate_series(1, 5000) as n;

         insert into usage_hourly
         select partner_id, date_trunc('hour', at), environment, coalesce(product_id, '00000000-0000-0000-0000-000000000000'),
             coalesce(operation_id, '00000000-0000-0000-0000-000000000000'), app_id, key_id, plan_version_id, outcome,
             (status / 100)::smallint, count(*), sum(units), sum(bytes_in), sum(bytes_out), sum(duration_us),
             array[0, count(*) filter (where duration_us <= 2000), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
         from usage_events group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;

         create table held as select * from usage_hourly;
         delete from usage_events where at >= '2026-02-01 10:00:00+00' and at < '2026-02-01 11:00:00+00'",
    )
    .await
    .expect("usage of before");
    for migration in MIGRATIONS.iter().filter(|migration| migration.version >= 14) {
        old.execute(migration.sql.clone()).await.expect("the new schema");
    }
    // Beside the durations, which a migration of real rows takes from them: those above are not counted in full.
    let differ: i64 = sqlx::query_scalar(
        "with now as (
             select partner_id, hour, environment, product_id, operation_id, app_id, key_id, plan_version_id, outcome,
                 status_class, sum(calls) as calls, sum(units) as units, sum(bytes_in) as bytes_in, sum(bytes_out) as bytes_out,
                 sum(duration_us) as duration_us
             from usage_hourly group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
         )
         select count(*) from held full join now using (partner_id, hour, environment, product_id, operation_id, app_id, key_id,
             plan_version_id, outcome, status_class)
         where (held.calls, held.units, held.bytes_in, held.bytes_out, held.duration_us)
             is distinct from (now.calls, now.units, now.bytes_in, now.bytes_out, now.duration_us)",
    )
    .fetch_one(&mut old)
    .await
    .expect("compared");
    assert_eq!(differ, 0);
    let strays: i64 =
        sqlx::query_scalar("select count(*) from usage_hourly_other").fetch_one(&mut old).await.expect("counted");
    assert_eq!(strays, 0);
    old.close().await.expect("closed");

    let store = Store::connect_with(options, 2).await.expect("connected");
    store.make_usage_days(at("2026-03-01T00:00:00Z")).await.expect("made");
    let sums: (i64, i64) = sqlx::query_as(
        "select (select sum(calls) from usage_daily)::bigint, (select sum(calls) from usage_brief)::bigint",
    )
    .fetch_one(store.pool())
    .await
    .expect("sums");
    assert_eq!(sums, (5_000, 5_000));
    store.pool().close().await;
    test.pool().execute(AssertSqlSafe(format!("drop database {database}"))).await.expect("dropped");
}

#[tokio::test]
async fn days_that_an_older_server_made_get_their_sums_by_operation_and_no_invoice_waits_for_them() {
    let store = test_db::store().await;
    take_in(&store, "a", calls(4)).await;
    let range = Period { start: at("2026-01-01T00:00:00Z"), end: at("2026-01-05T00:00:00Z") };
    let drift = async || {
        let done = store.reconcile_all(range, &[crate::reconcile::Kind::Daily], at("2026-01-05T12:00:00Z")).await;
        done.expect("compared").findings.len()
    };
    store.make_usage_days(at("2026-01-03T12:00:00Z")).await.expect("made");
    let sums = "select sum(calls)::bigint from usage_operation_daily where day < '2026-01-04'";
    assert_eq!(count(&store, sums).await, 144);
    // As one before 0019 makes the third day, and makes the second again after a late call.
    store.make_usage_days(at("2026-01-04T12:00:00Z")).await.expect("made");
    let older = "with later as (update usage_upkeep set operations_before = '2026-01-03 00:00:00+00'),
             gone as (delete from usage_operation_daily where day = '2026-01-03')
         update usage_operation_daily set calls = calls - 1 where day = '2026-01-02'";
    sqlx::query(older).execute(store.pool()).await.expect("as an older server");
    assert!(drift().await > 0, "an invoice would wait");
    store.make_usage_days(at("2026-01-04T12:01:00Z")).await.expect("made");
    assert_eq!((drift().await, count(&store, sums).await), (0, 216));
    // Once it was looked at, what differs is a finding like any other.
    sqlx::query("delete from usage_operation_daily where day = '2026-01-02'")
        .execute(store.pool())
        .await
        .expect("gone");
    store.make_usage_days(at("2026-01-04T12:02:00Z")).await.expect("made");
    assert!(drift().await > 0, "nobody mends it silently");
}

#[tokio::test]
async fn searches_by_lane_and_time_are_summarised_as_tables_grow_in_new_partitions_too() {
    let store = test_db::store().await;
    store.make_partitions(at("2026-03-01T00:00:00Z"), 2).await.expect("made");
    let of_blocks =
        "select count(*) from pg_class c join pg_am a on a.oid = c.relam where a.amname = 'brin' and c.relkind = 'i'";
    assert!(count(&store, of_blocks).await > 6, "those of days and months, and of what is there from the beginning");
    let unsummarised = "select count(*) from pg_class c join pg_am a on a.oid = c.relam
         where a.amname = 'brin' and c.relkind = 'i' and not coalesce(c.reloptions @> array['autosummarize=on'], false)";
    assert_eq!(count(&store, unsummarised).await, 0);
}
