//! However long somebody tells levels, an answer looks at those of its range and at one before it of each thing.

use super::*;
use crate::{
    test_db::{self, world::World},
    usage::{UsageFilter, Window},
};
use serde_json::Value;
use sqlx::AssertSqlSafe;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

/// Levels of `things` things in turn, one a minute.
async fn told(store: &Store, partner: PartnerId, things: i32, levels: i32) {
    sqlx::query(
        "insert into usage_gauge_levels (partner_id, product_id, meter, environment, item, at, node, lane, sequence, level)
         select $1, $2, 'machines', 'live', int4send(number % $3), timestamptz '2026-01-01' + number * interval '1 minute', 'a', 0,
             number, 1 from generate_series(0, $4 - 1) as number",
    )
    .bind(partner.0)
    .bind(Uuid::from_u128(7))
    .bind(things)
    .bind(levels)
    .execute(store.pool())
    .await
    .expect("told");
    sqlx::query("analyze usage_gauge_levels").execute(store.pool()).await.expect("looked at");
}

/// Rows that the plan's steps took from the table of levels.
fn rows_read(plan: &Value) -> u64 {
    let own = match plan["Relation Name"].as_str() {
        Some("usage_gauge_levels") => {
            // Rows are told as an average of the step's loops.
            let of = |name: &str| plan[name].as_f64().unwrap_or_default().round() as u64;
            (of("Actual Rows") + of("Rows Removed by Filter")) * of("Actual Loops")
        }
        _ => 0,
    };
    own + plan["Plans"].as_array().into_iter().flatten().map(rows_read).sum::<u64>()
}

#[tokio::test]
async fn a_range_reads_its_own_levels_and_not_all_that_were_ever_told() {
    let store = test_db::store().await;
    let partner = World::new(&store).await.partner;
    told(&store, partner, 4, 40_000).await;
    let explained = format!("explain (analyze, timing off, format json) {LEVELS}");
    let plan: sqlx::types::Json<Value> = sqlx::query_scalar(AssertSqlSafe(explained))
        .bind(partner.0)
        .bind(vec![0])
        .bind(vec![Ts(at("2026-01-28T00:00:00Z"))])
        .bind(vec![Ts(at("2026-01-28T02:00:00Z"))])
        .bind(Some("live"))
        .bind(None::<Uuid>)
        .bind(None::<&str>)
        .bind(100_i64)
        .fetch_one(store.pool())
        .await
        .expect("a plan");
    let read = rows_read(&plan[0]["Plan"]);
    // 120 levels of the two hours, one before of each thing, and a few steps from thing to thing.
    assert!((100..1_000).contains(&read), "{read} of 40,000 rows were read: {}", plan[0]);
    let range = Period { start: at("2026-01-28T00:00:00Z"), end: at("2026-01-28T02:00:00Z") };
    let usage = UsageQuery::whole(range, UsageFilter::EVERYTHING);
    let answer = store.metered(partner, &MeterQuery { usage, meter: None, now: range.end }).await.expect("an answer");
    let figures: Vec<_> = answer.rows.iter().map(|row| (row.quantity, row.level_seconds, row.events)).collect();
    assert_eq!(figures, [(4, Some(4 * 7_200), 120)]);
}

#[tokio::test]
async fn more_things_and_windows_than_a_request_can_wait_for_are_refused_with_what_to_do() {
    let store = test_db::store().await;
    let partner = World::new(&store).await.partner;
    told(&store, partner, 1_500, 1_500).await;
    let range = Period { start: at("2026-01-01T00:00:00Z"), end: at("2026-01-31T00:00:00Z") };
    let ask = async |window| {
        let usage = UsageQuery { window, ..UsageQuery::whole(range, UsageFilter::EVERYTHING) };
        store.metered(partner, &MeterQuery { usage, meter: None, now: range.end }).await
    };
    let refused = ask(Window::Hour).await.expect_err("720 windows of 1,500 things");
    let StoreError::Invalid { field, message } = refused else { panic!("{refused:?}") };
    assert_eq!(field, "window");
    assert!(message.contains("longer windows"), "{message}");
    assert_eq!(ask(Window::Day).await.expect("30 windows").rows.len(), 30);
}
