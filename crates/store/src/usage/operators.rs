//! Usage of all partners side by side, for the operator.

use super::{
    UsageFilter,
    source::{Detail, Ranges, from_used, used},
};
use crate::{Store, StoreError, row::ReadRow as _};
use domain::{id::PartnerId, key_text::Environment, period::Period};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

/// What one partner used in a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerUsage {
    pub partner: PartnerId,
    pub name: String,
    pub calls: u64,
    /// Calls answered with a status of 400 or more.
    pub errors: u64,
    pub units: u64,
}

const BY_PARTNER: &str = from_used!(
    all;
    "select p.id, p.name, sum(calls)::bigint as calls, coalesce(sum(calls) filter (where status_class >= 4), 0)::bigint as errors,
         sum(units)::bigint as units
     from used join partners p on p.id = used.partner_id
     group by p.id order by calls desc, p.name limit $28"
);

impl Store {
    /// The partners that made calls in the range, busiest first; `environment` limits it to one.
    pub async fn all_partners_usage(
        &self,
        range: Period,
        environment: Option<Environment>,
        at_most: u32,
    ) -> Result<Vec<PartnerUsage>, StoreError> {
        let filter = UsageFilter { environment, ..UsageFilter::default() };
        let mut tx = self.one_planned_instant().await?;
        let rows = used(BY_PARTNER, None, Ranges::new(&[range]), &filter, Detail::Brief)
            .bind(i64::from(at_most))
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        let usage = |row: sqlx::postgres::PgRow| {
            Ok(PartnerUsage {
                partner: PartnerId(row.try_get("id")?),
                name: row.try_get("name")?,
                calls: row.count("calls")?,
                errors: row.count("errors")?,
                units: row.count("units")?,
            })
        };
        rows.into_iter().map(usage).collect()
    }
}
