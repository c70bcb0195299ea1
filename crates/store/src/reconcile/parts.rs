//! How a stretch of partners' usage is cut for comparing: by days, of which quiet ones that follow each other go together. A statement
//! takes a while to plan whatever it finds, and must not take long however much it finds.

use super::days_of;
use crate::{Store, StoreError, row::ReadRow as _, time::Ts};
use domain::period::Period;
use jiff::{SignedDuration, Timestamp};
use sqlx::Row as _;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Calls that are compared at once, unless a single day has more.
const CALLS: i64 = 50_000;
/// What is compared at once at the longest, however quiet it seems: roll-ups that lack a busy partner's rows are what is looked for.
const LONGEST: SignedDuration = SignedDuration::from_hours(31 * 24);

impl Store {
    /// Parts of the range, one after the other. What the roll-ups say of the partners' calls decides about their sizes, and about
    /// nothing else.
    pub(super) async fn parts_to_compare(&self, partners: &[Uuid], range: Period) -> Result<Vec<Period>, StoreError> {
        let rows = sqlx::query(
            "select date_trunc('day', hour, 'UTC') as day, sum(greatest(calls, 0))::bigint as calls from usage_hourly
             where partner_id = any($1) and hour >= $2 and hour < $3 group by 1",
        )
        .bind(partners)
        .bind(Ts(range.start))
        .bind(Ts(range.end))
        .fetch_all(self.pool())
        .await?;
        let read = |row: &sqlx::postgres::PgRow| Ok((row.at("day")?, row.try_get("calls")?));
        let calls = rows.iter().map(read).collect::<Result<BTreeMap<_, _>, sqlx::Error>>()?;
        Ok(cut(range, &calls))
    }
}

/// `calls` are by the day's start.
fn cut(range: Period, calls: &BTreeMap<Timestamp, i64>) -> Vec<Period> {
    let (mut parts, mut within) = (Vec::<Period>::new(), 0_i64);
    for day in days_of(range) {
        let own = calls.range(crate::ingest::days::midnight(day.start)..day.end).map(|(_, calls)| *calls).sum();
        within = within.saturating_add(own);
        match parts.last_mut() {
            Some(part) if within <= CALLS && day.end.duration_since(part.start) <= LONGEST => part.end = day.end,
            _ => {
                parts.push(day);
                within = own;
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn shown(parts: &[Period]) -> Vec<String> {
        parts.iter().map(|part| format!("{}/{}", part.start, part.end)).collect()
    }

    #[test]
    fn quiet_days_go_together_and_a_busy_one_stands_alone() {
        let range = Period { start: at("2026-03-01T11:00:00Z"), end: at("2026-03-06T02:00:00Z") };
        assert_eq!(shown(&cut(range, &BTreeMap::new())), ["2026-03-01T11:00:00Z/2026-03-06T02:00:00Z"]);
        let month = Period { start: at("2026-03-01T11:00:00Z"), end: at("2026-05-03T00:00:00Z") };
        let expected = [
            "2026-03-01T11:00:00Z/2026-04-01T00:00:00Z",
            "2026-04-01T00:00:00Z/2026-05-02T00:00:00Z",
            "2026-05-02T00:00:00Z/2026-05-03T00:00:00Z",
        ];
        assert_eq!(shown(&cut(month, &BTreeMap::new())), expected);
        let calls = [("2026-03-01", 20_000), ("2026-03-02", 30_000), ("2026-03-03", 1), ("2026-03-04", 900_000)];
        let calls = calls.into_iter().map(|(day, calls)| (at(&format!("{day}T00:00:00Z")), calls)).collect();
        let expected = [
            "2026-03-01T11:00:00Z/2026-03-03T00:00:00Z",
            "2026-03-03T00:00:00Z/2026-03-04T00:00:00Z",
            "2026-03-04T00:00:00Z/2026-03-05T00:00:00Z",
            "2026-03-05T00:00:00Z/2026-03-06T02:00:00Z",
        ];
        assert_eq!(shown(&cut(range, &calls)), expected);
    }

    #[test]
    fn nothing_is_left_out_and_nothing_is_compared_twice() {
        for seed in 0..200_i64 {
            let start = at("2026-02-27T00:00:00Z").as_second() + seed * 3_600;
            let range = Period {
                start: Timestamp::from_second(start).expect("in range"),
                end: Timestamp::from_second(start + 3_600 * (1 + seed * 7 % 800)).expect("in range"),
            };
            let calls = days_of(range).zip(1_i64..).map(|(day, number)| (day.start, number * seed * 911 % 70_000));
            let parts = cut(range, &calls.collect());
            assert_eq!(parts.first().map(|part| part.start), Some(range.start));
            assert_eq!(parts.last().map(|part| part.end), Some(range.end));
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start), "{parts:?}");
        }
    }
}
