//! Usage of all partners side by side, for the operator.

use crate::{Store, StoreError, row::ReadRow as _, time::Ts};
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

impl Store {
    /// The partners that made calls in the range, busiest first; `environment` limits it to one.
    pub async fn all_partners_usage(
        &self,
        range: Period,
        environment: Option<Environment>,
        at_most: u32,
    ) -> Result<Vec<PartnerUsage>, StoreError> {
        let rows = sqlx::query(
            "with bounds as (
                 select case when date_trunc('hour', $1, 'UTC') = $1 then $1
                         else date_trunc('hour', $1, 'UTC') + interval '1 hour' end as first_hour,
                     date_trunc('hour', $2, 'UTC') as past_hour
             ), used as (
                 select u.partner_id, calls, case when status_class >= 4 then calls else 0 end as errors, units
                 from bounds join usage_hourly u on u.hour >= first_hour and u.hour < past_hour
                 where $3::text is null or environment = $3
                 union all
                 select e.partner_id, 1, (status >= 400)::int, units
                 from bounds join usage_events e on e.at >= $1 and e.at < least(first_hour, $2)
                 where $3::text is null or environment = $3
                 union all
                 select e.partner_id, 1, (status >= 400)::int, units
                 from bounds join usage_events e on e.at >= greatest(past_hour, first_hour) and e.at < $2
                 where $3::text is null or environment = $3
             )
             select p.id, p.name, sum(calls)::bigint as calls, sum(errors)::bigint as errors, sum(units)::bigint as units
             from used join partners p on p.id = used.partner_id
             group by p.id order by calls desc, p.name limit $4",
        )
        .bind(Ts(range.start))
        .bind(Ts(range.end))
        .bind(environment.map(Environment::code))
        .bind(i64::from(at_most))
        .fetch_all(self.pool())
        .await?;
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
