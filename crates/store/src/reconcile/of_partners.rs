//! What partners used, compared before it is billed.

use super::{Compared, findings, statements};
use crate::{Store, StoreError, time::Ts};
use domain::{id::PartnerId, period::Period};
use jiff::Timestamp;
use std::collections::BTreeSet;
use uuid::Uuid;

impl Store {
    /// Compares what each of these partners used in its time, with all that was stored until now, and answers in their order. What is
    /// found is kept. Invoices are made after this and from the same numbers.
    ///
    /// They are compared together, over the time from the first start to the last end, which should therefore be about the same of all
    /// of them: to plan the statements takes several times as long as to compare what a quiet partner used. Part by part
    /// ([`Store::parts_to_compare`]), so that no statement takes long however much they used.
    ///
    /// # Errors
    /// Postgres does not answer, or not in time.
    pub async fn compare_partners(
        &self,
        stretches: &[(PartnerId, Period)],
        now: Timestamp,
    ) -> Result<Vec<Compared>, StoreError> {
        let whole: Vec<Period> = stretches.iter().map(|(_, part)| whole_hours(*part)).collect();
        let starts = whole.iter().map(|hours| hours.start);
        let (Some(start), Some(end)) = (starts.min(), whole.iter().map(|hours| hours.end).max()) else {
            return Ok(Vec::new());
        };
        let partners: Vec<Uuid> = stretches.iter().map(|(partner, _)| partner.0).collect();
        let starts: Vec<Ts> = whole.iter().map(|hours| Ts(hours.start)).collect();
        let ends: Vec<Ts> = whole.iter().map(|hours| Ts(hours.end)).collect();

        let (mut found, mut told_more) = (Vec::new(), BTreeSet::new());
        for range in self.parts_to_compare(&partners, Period { start, end }).await? {
            let mut tx = self.one_long_instant().await?;
            let told: Vec<Uuid> = sqlx::query_scalar(statements::WHO_IS_TOLD_MORE)
                .bind(Ts(range.start))
                .bind(Ts(range.end))
                .bind(&partners)
                .bind(&starts)
                .bind(&ends)
                .fetch_all(&mut *tx)
                .await?;
            told_more.extend(told);
            // Nothing is billed of what follows either.
            if partners.iter().all(|partner| told_more.contains(partner)) {
                break;
            }
            for (kind, statement) in statements::OF_PARTNERS {
                let compared = sqlx::query(statement).bind(Ts(range.start)).bind(Ts(range.end)).bind(&partners);
                for row in compared.fetch_all(&mut *tx).await? {
                    found.extend(findings::read(kind, &row)?);
                }
            }
            tx.commit().await?;
        }
        if !found.is_empty() {
            found.sort_by(|one, other| one.key().cmp(&other.key()));
            let mut tx = self.begin().await?;
            findings::keep(&mut tx, &found, now).await?;
            tx.commit().await?;
        }
        let doubts = if found.is_empty() { vec![None; stretches.len()] } else { self.doubts(stretches).await? };
        let compared = stretches.iter().zip(doubts).map(|((partner, _), doubt)| match doubt {
            _ if told_more.contains(&partner.0) => Compared::NotYet,
            None => Compared::Agrees,
            Some(finding) => Compared::Differs(finding),
        });
        Ok(compared.collect())
    }
}

/// The whole hours that the time lies in.
fn whole_hours(part: Period) -> Period {
    let hour = |second: i64| second - second.rem_euclid(3_600);
    let at = |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    let last = part.end.as_second().saturating_add(i64::from(part.end.subsec_nanosecond() > 0));
    Period { start: at(hour(part.start.as_second())), end: at(hour(last.saturating_add(3_599))) }
}
