//! A year of billing on the test clock: `cargo xtask bench year`.
//!
//! 500 partners in seven time zones, on fourteen plans of four intervals, use a product for thirteen months; one in six of those who can
//! changes its plan in the middle of a month, and of the threshold invoices that a few have one in four is made void. Each day's usage is taken in as a gateway hands it over, then the day is summed up and
//! what is due is closed, as the server's tasks do it, in a private Postgres. The time that billing takes is printed; whoever was told what, and
//! each invoice that came of it, is written to the file that is named, for an oracle that shares no code with this
//! (`end2end/rating-oracle/year.py`).

mod report;
mod town;

use billing::{Closing, close_due_periods};
use jiff::{SignedDuration, Timestamp};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use store::test_db;
use town::{Dice, Town};

/// Unless the second argument says otherwise.
const PARTNERS: usize = 500;
/// From the first of January, in whose course all partners begin, so that each has a whole year.
const DAYS: i64 = 396;
const SEED: u64 = 20_260_101;

fn main() {
    let Some(file) = std::env::args().nth(1).map(PathBuf::from) else {
        eprintln!("Name the file that the oracle reads: cargo bench -p billing --bench year -- FILE");
        std::process::exit(2);
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let partners = std::env::args().nth(2).and_then(|number| number.parse().ok()).unwrap_or(PARTNERS);
    runtime.block_on(run(file, partners));
}

async fn run(file: PathBuf, partners: usize) {
    let store = test_db::store().await;
    let first: Timestamp = "2026-01-01T00:00:00Z".parse().expect("an instant");
    let mut town = Town::build(&store, first, partners, Dice::new(SEED)).await;
    let (mut summed, mut closed) = (Duration::ZERO, Duration::ZERO);
    let (mut invoices, mut empty, mut slowest) = (0, 0, Duration::ZERO);
    let mut now = first;
    for _ in 0..DAYS {
        let day = now;
        now = day + SignedDuration::from_hours(24);
        store.make_partitions(now, 2).await.expect("partitions");
        town.live_a_day(&store, day).await;
        let begin = Instant::now();
        store.make_usage_days(now).await.expect("days");
        summed += begin.elapsed();
        let begin = Instant::now();
        let closing = Closing { grace: SignedDuration::ZERO, ingested_through: Some(now) };
        let report = close_due_periods(&store, closing, now).await.expect("closes");
        let took = begin.elapsed();
        assert!(report.problems.is_empty() && report.doubtful.is_empty() && report.waiting == 0, "{report:?}");
        if !report.invoices.is_empty() {
            town.make_some_void(&store, &report.invoices, now).await;
        }
        invoices += report.invoices.len();
        empty += report.empty;
        slowest = slowest.max(took);
        closed += took;
    }
    report::write(&store, &town, now, &file).await;
    println!("{partners} partners, {DAYS} days, {} events of usage", town.events());
    println!("{invoices} invoices, {empty} periods with nothing to bill");
    println!(
        "summing the days up took {:.1} s, closing {:.1} s; the slowest day {:.2} s",
        summed.as_secs_f64(),
        closed.as_secs_f64(),
        slowest.as_secs_f64()
    );
    println!("a year of billing: {:.1} s", (summed + closed).as_secs_f64());
}
