//! The journal's own guards: a day is written once, stays as it is, and every transaction sums to zero.

use crate::{
    Store,
    invoices::tests::{billed, close},
    test_db,
};
use jiff::{SignedDuration, Timestamp};
use sqlx::Executor as _;

/// After the first period of [`billed`], and the day on which it was invoiced.
fn settled() -> Timestamp {
    test_db::world::now() + SignedDuration::from_hours(32 * 24)
}

async fn write(store: &Store) -> u32 {
    let mut written = 0;
    while store.close_journal_day(settled()).await.expect("written").is_some() {
        written += 1;
    }
    written
}

async fn count(store: &Store, table: &'static str) -> i64 {
    let statement = match table {
        "journal_due" => "select count(*) from journal_due",
        _ => "select count(*) from journal_transactions",
    };
    sqlx::query_scalar(statement).fetch_one(store.pool()).await.expect("a count")
}

#[tokio::test]
async fn a_day_is_written_once_by_whoever_comes_first() {
    let store = test_db::store().await;
    let all = billed(&store).await;
    assert_eq!(store.close_journal_day(settled()).await.expect("asked"), None, "nothing was ever booked");
    for one in &all {
        close(&store, *one, 0, false).await.expect("closed");
    }
    assert_eq!(count(&store, "journal_due").await, i64::try_from(all.len()).expect("few"));
    store.warm().await;
    // Both may write days; no day is written by both, which would be refused.
    let (one, two) = tokio::join!(write(&store), write(&store));
    assert!(one + two >= 1, "{one}, {two}");
    write(&store).await;
    assert_eq!(count(&store, "journal_due").await, 0, "all is taken in");
    assert_eq!(
        count(&store, "journal_transactions").await,
        2 * i64::try_from(all.len()).expect("few"),
        "earned and billed"
    );
    let earned: (i64, i64) = sqlx::query_as(
        "select count(*), count(distinct day) from journal_transactions where kind = 'usage' and day = (
             select (period_end - interval '1 microsecond')::date from invoices limit 1)",
    )
    .fetch_one(store.pool())
    .await
    .expect("a row");
    assert_eq!(earned, (i64::try_from(all.len()).expect("few"), 1));
}

#[tokio::test]
async fn what_is_written_cannot_be_changed_and_sums_to_zero() {
    let store = test_db::store().await;
    let one = billed(&store).await[0];
    close(&store, one, 0, false).await.expect("closed");
    assert!(write(&store).await > 0);
    for refused in [
        "update journal_entries set amount_micros = amount_micros + 1",
        "delete from journal_entries",
        "truncate journal_entries",
        "update journal_transactions set day = day - 1",
        "delete from journal_transactions",
        "update journal_days set closed_at = now()",
        "delete from journal_days",
        "insert into journal_entries select partner_id, id, 9, 'revenue', 'USD', 1 from journal_transactions limit 1",
    ] {
        let error = store.pool().execute(refused).await.expect_err(refused).to_string();
        assert!(
            error.contains("append-only") || error.contains("does not sum to zero") || error.contains("denied"),
            "{error}"
        );
    }
}
