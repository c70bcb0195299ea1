//! What could not be booked of prepaid credit as it was counted. It is noted in the transaction that books the rest: nothing else knows
//! of it afterwards.

use super::{Finding, Kind, findings};
use crate::{StoreError, time::Ts};
use domain::id::{AllocationId, PartnerId};
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _};
use std::collections::{BTreeMap, BTreeSet};

/// Collected while a partner's credit is booked.
#[derive(Debug, Default)]
pub(crate) struct Unbooked {
    /// By hour and whose units they are: to be moved, and moved.
    taken: BTreeMap<(Timestamp, String), (i64, i64)>,
    /// Hours of which more came back than was ever booked as used.
    used: BTreeSet<Timestamp>,
}

impl Unbooked {
    /// By so much what gateways count as taken was to be moved, and was.
    pub(crate) fn taken(&mut self, hour: Timestamp, of: Option<AllocationId>, (wanted, moved): (i64, i64)) {
        if wanted == moved {
            return;
        }
        let whose = of.map_or_else(|| "common credit".to_owned(), |of| format!("allocation {of}"));
        let sum = self.taken.entry((hour, whose)).or_default();
        *sum = (sum.0.saturating_add(wanted), sum.1.saturating_add(moved));
    }

    /// More came back of that hour than was ever booked.
    pub(crate) fn used(&mut self, hour: Timestamp) {
        self.used.insert(hour);
    }

    /// Makes findings of it, in the order in which all lock them. What could not be moved before is added to.
    pub(crate) async fn note(
        self,
        tx: &mut PgConnection,
        partner: PartnerId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let hours: BTreeSet<Timestamp> =
            self.taken.keys().map(|(hour, _)| *hour).chain(self.used.iter().copied()).collect();
        for hour in hours {
            for ((_, place), (wanted, moved)) in self.taken.iter().filter(|((of, _), _)| *of == hour) {
                let (before, done) = open(tx, partner, hour, place).await?;
                let found = Finding {
                    meter: "taken".to_owned(),
                    place: place.clone(),
                    expected: before.saturating_add(*wanted).to_string(),
                    actual: done.saturating_add(*moved).to_string(),
                    ..finding(partner, hour)
                };
                tracing::error!(%found, "what gateways took of prepaid credit could not be moved");
                findings::keep(tx, &[found], now).await?;
            }
            if self.used.contains(&hour) {
                let row = sqlx::query(
                    "select coalesce((select sum(settled) from usage_credit_hourly
                             where partner_id = $1 and hour = $2), 0)::text as expected,
                         coalesce((select sum(units) from ledger_unit_entries
                             where partner_id = $1 and hour = $2 and account = 'used'), 0)::text as actual",
                )
                .bind(partner.0)
                .bind(Ts(hour))
                .fetch_one(&mut *tx)
                .await?;
                let (expected, actual): (String, String) = (row.try_get("expected")?, row.try_get("actual")?);
                if expected == actual {
                    continue;
                }
                let found = Finding { meter: "used".to_owned(), expected, actual, ..finding(partner, hour) };
                tracing::error!(%found, "more prepaid credit came back than was ever booked");
                findings::keep(tx, &[found], now).await?;
            }
        }
        Ok(())
    }
}

/// What the finding has so far.
async fn open(
    tx: &mut PgConnection,
    partner: PartnerId,
    hour: Timestamp,
    place: &str,
) -> Result<(i64, i64), StoreError> {
    let row = sqlx::query(
        "select expected::bigint, actual::bigint from reconciliation_findings
         where kind = 'credit' and partner_id = $1 and hour = $2 and meter = 'taken' and node = '' and lane = -1 and place = $3
         for update",
    )
    .bind(partner.0)
    .bind(Ts(hour))
    .bind(place)
    .fetch_optional(tx)
    .await?;
    row.map_or(Ok((0, 0)), |row| Ok((row.try_get("expected")?, row.try_get("actual")?)))
}

fn finding(partner: PartnerId, hour: Timestamp) -> Finding {
    Finding {
        kind: Kind::Credit,
        partner: Some(partner),
        hour,
        meter: String::new(),
        lane: None,
        place: String::new(),
        expected: String::new(),
        actual: String::new(),
    }
}
