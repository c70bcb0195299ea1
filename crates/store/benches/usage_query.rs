//! How long a month's dashboard takes to read, by how much is stored: `cargo xtask bench usage-query`.
//!
//! Raw events and hourly roll-ups are filled by SQL from a fixed seed into a private Postgres, days are made as the server makes
//! them, and the dashboard's queries are timed for the busiest partner, which has a fifth of all, and for a middling one.
//! Sizes in millions are the arguments; without any: 1, 3 and 10.

use domain::{id::PartnerId, key_text::Environment, period::Period};
use jiff::Timestamp;
use sqlx::Row as _;
use std::time::{Duration, Instant};
use store::{
    test_db::{self, TestStore},
    usage::{Dimension, UsageFilter, UsageQuery, Window},
};
use uuid::Uuid;

const ROUNDS: usize = 40;
const ZONE: &str = "Europe/Zurich";
/// Rows that one statement fills.
const BATCH: i64 = 500_000;

/// 100 partners, of which the first has a fifth of the calls; 8 keys of 4 apps each, 50 operations of 3 products.
const EVENTS: &str = "
    insert into usage_events (partner_id, at, node, lane, sequence, request_id, app_id, key_id, environment, plan_version_id,
        product_id, operation_id, method, path, status, outcome, units, bytes_in, bytes_out, duration_us, upstream_us)
    select md5('partner' || p)::uuid, at, 'bench', 0, n, 'bench-' || n, md5('app' || p || '/' || k / 2)::uuid,
        md5('key' || p || '/' || k)::uuid, case when k = 0 then 'test' else 'live' end, md5('plan')::uuid,
        md5('product' || o % 3)::uuid, md5('operation' || o)::uuid, 'GET', '/things/{id}',
        case when r < 0.9 then 200 when r < 0.96 then 404 when r < 0.99 then 429 else 502 end,
        case when r < 0.96 then 'served' when r < 0.99 then 'refused' else 'upstream_failed' end,
        case when r < 0.96 then 1 else 0 end, 100, 2000, (1000 + 50000 * d * d)::bigint, 1000
    from (
        select n, floor(100 * random() ^ 3)::int as p, floor(8 * random())::int as k, floor(50 * random() ^ 2)::int as o,
            random() as r, random() as d, '2026-10-01T00:00:00Z'::timestamptz + random() * interval '30 days' as at
        from generate_series($1::bigint, $2::bigint) as n offset 0
    ) as calls";

const HOURS: &str = "
    insert into usage_hourly
    select partner_id, date_trunc('hour', at, 'UTC'), environment, product_id, operation_id, app_id, key_id,
        '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000', plan_version_id, outcome,
        (status / 100)::smallint, count(*), sum(units), sum(bytes_in), sum(bytes_out), sum(duration_us),
        array[0, 0, count(*) filter (where duration_us <= 5000), count(*) filter (where duration_us between 5001 and 10000), 0,
            count(*) filter (where duration_us between 10001 and 50000), count(*) filter (where duration_us > 50000), 0, 0, 0, 0,
            0, 0]
    from usage_events group by 1, 2, 3, 4, 5, 6, 7, 10, 11, 12";

fn main() {
    let mut sizes: Vec<u64> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![1, 3, 10];
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut measured = Vec::new();
        for millions in sizes {
            measured.push((millions, measure(millions).await));
        }
        slope(&measured);
    });
}

/// The 95th percentile of the whole dashboard of the busiest partner.
async fn measure(millions: u64) -> Duration {
    let store = test_db::store().await;
    let began = Instant::now();
    fill(&store, i64::try_from(millions * 1_000_000).expect("fits")).await;
    let filled = began.elapsed();
    store.make_usage_days("2026-11-01T12:00:00Z".parse().expect("an instant")).await.expect("days");
    println!(
        "\n{millions} million events: filled in {} s, days made in {} s",
        filled.as_secs(),
        (began.elapsed() - filled).as_secs()
    );
    let mut connection = store.pool().acquire().await.expect("a connection");
    sqlx::query("set statement_timeout = 0").execute(&mut *connection).await.expect("set");
    sqlx::query("vacuum analyze").execute(&mut *connection).await.expect("analysed");
    drop(connection);
    for table in store.usage_storage().await.expect("storage").tables {
        println!("  {:<14} {:>7} MB", table.name, table.bytes >> 20);
    }
    let busiest = time(&store, "busiest", PartnerId(Uuid::from_u128(BUSIEST))).await;
    time(&store, "middling", PartnerId(Uuid::from_u128(MIDDLING))).await;
    busiest
}

async fn fill(store: &TestStore, events: i64) {
    let first: Timestamp = "2026-10-01T00:00:00Z".parse().expect("an instant");
    store.make_partitions(first, 40).await.expect("partitions");
    let mut connection = store.pool().acquire().await.expect("a connection");
    sqlx::query(
        "select setseed(0.42), set_config('statement_timeout', '0', false), set_config('work_mem', '512MB', false)",
    )
    .execute(&mut *connection)
    .await
    .expect("set");
    let mut from = 1;
    while from <= events {
        let to = (from + BATCH - 1).min(events);
        sqlx::query(EVENTS).bind(from).bind(to).execute(&mut *connection).await.expect("events");
        from = to + 1;
    }
    sqlx::query(HOURS).execute(&mut *connection).await.expect("hours");
}

/// As Postgres makes them of their texts.
const BUSIEST: u128 = 0x2b1aeeefd1a6c414f0a5aa33c8d34aa1;
const MIDDLING: u128 = 0x571a9cabfdc17725a54373670e42735d;

/// Times what `/usage` of one month asks.
async fn time(store: &TestStore, which: &str, partner: PartnerId) -> Duration {
    let range = Period {
        start: "2026-09-30T22:00:00Z".parse().expect("an instant"),
        end: "2026-10-31T23:00:00Z".parse().expect("an instant"),
    };
    let filter = UsageFilter { environment: Some(Environment::Live), ..UsageFilter::EVERYTHING };
    let rows: i64 = sqlx::query("select count(*) from usage_hourly where partner_id = $1")
        .bind(partner.0)
        .fetch_one(store.pool())
        .await
        .expect("a count")
        .get(0);
    println!("  the {which} partner, {rows} hourly rows");
    let questions: [(&str, Window, &[Dimension]); 5] = [
        ("total", Window::Total, &[]),
        ("by day, Zurich", Window::Day, &[]),
        ("by operation", Window::Total, &[Dimension::Operation]),
        ("by app and key", Window::Total, &[Dimension::App, Dimension::Key]),
        ("by hour and product", Window::Hour, &[Dimension::Product]),
    ];
    let mut whole = vec![Duration::ZERO; ROUNDS];
    for (place, (name, window, by)) in questions.into_iter().enumerate() {
        let query = UsageQuery { range, time_zone: ZONE, window, by, filter };
        let mut taken = Vec::with_capacity(ROUNDS);
        for round in &mut whole {
            let began = Instant::now();
            store.usage(partner, &query).await.expect("an answer");
            let took = began.elapsed();
            // The page asks these two, and sums its total from the days.
            if matches!(place, 1 | 2) {
                *round += took;
            }
            taken.push(took);
        }
        println!(
            "    {name:<22} median {:>9}  p95 {:>9}",
            text(percentile(&mut taken, 50)),
            text(percentile(&mut taken, 95))
        );
    }
    let page = percentile(&mut whole, 95);
    println!("    {:<22} p95 {:>9}   (goal at 10 million: 100 ms)", "the page's two", text(page));
    page
}

fn percentile(taken: &mut [Duration], percent: usize) -> Duration {
    taken.sort();
    taken.get(taken.len() * percent / 100).copied().unwrap_or_default()
}

fn text(took: Duration) -> String {
    format!("{}.{:02} ms", took.as_millis(), took.subsec_micros() % 1_000 / 10)
}

/// What the last two sizes promise of 100 million.
fn slope(measured: &[(u64, Duration)]) {
    let [.., (less, fast), (more, slow)] = measured else { return };
    let by_million = slow.saturating_sub(*fast).as_micros() as u64 / (more - less).max(1);
    let far = slow.as_micros() as u64 + by_million * 100_u64.saturating_sub(*more);
    println!(
        "\nFrom {less} to {more} million each million costs {by_million} µs; at that slope 100 million take {} ms.",
        far / 1_000
    );
}
