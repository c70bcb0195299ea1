//! Totals of a range, broken down by one dimension, or day by day.

use super::{
    Totals, UsageFilter,
    source::{Ranges, from_used, read_totals, sums},
};
use crate::{Store, StoreError};
use domain::{
    id::PartnerId,
    period::{self, Period},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use uuid::Uuid;

/// What to break totals down by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    Product,
    Operation,
    App,
    Key,
    Environment,
}

/// One row of a breakdown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// The product, operation, app or key; `None` for an environment, and for calls that matched no product or operation.
    pub id: Option<Uuid>,
    /// For people: a product's name, an operation's method and path, an app's or key's name, an environment's code. Empty
    /// where nothing matched.
    pub name: String,
    /// The code of the product, for an operation; otherwise empty.
    pub product: String,
    pub totals: Totals,
}

const WHOLE: &str = from_used!("select ", sums!(), "from used");

const DAYS: &str = from_used!("select part, ", sums!(), "from used group by part");

const BY_PRODUCT: &str = from_used!(
    "select product_id as id, coalesce(max(p.name), '') as name, '' as product, ",
    sums!(),
    "from used left join products p on p.id = product_id group by product_id order by sum(calls) desc, product_id"
);

const BY_OPERATION: &str = from_used!(
    "select operation_id as id, coalesce(max(o.method || ' ' || o.path), '') as name, coalesce(max(p.code), '') as product, ",
    sums!(),
    "from used left join operations o on o.id = operation_id left join products p on p.id = used.product_id
     group by used.product_id, operation_id order by sum(calls) desc, operation_id"
);

const BY_APP: &str = from_used!(
    "select app_id as id, coalesce(max(a.name), '') as name, '' as product, ",
    sums!(),
    "from used left join apps a on a.partner_id = $1 and a.id = app_id group by app_id order by sum(calls) desc, app_id"
);

const BY_KEY: &str = from_used!(
    "select key_id as id, coalesce(max(k.name), '') as name, '' as product, ",
    sums!(),
    "from used left join keys k on k.partner_id = $1 and k.id = key_id group by key_id order by sum(calls) desc, key_id"
);

const BY_ENVIRONMENT: &str = from_used!(
    "select '00000000-0000-0000-0000-000000000000'::uuid as id, environment as name, '' as product, ",
    sums!(),
    "from used group by environment order by environment"
);

impl Store {
    /// Everything that the partner used in `range`.
    pub async fn usage_totals(
        &self,
        partner: PartnerId,
        range: Period,
        filter: &UsageFilter,
    ) -> Result<Totals, StoreError> {
        let rows = self.used(WHOLE, partner, &Ranges::new(&[range]), filter).await?;
        Ok(rows.first().map(read_totals).transpose()?.unwrap_or_default())
    }

    /// The same, broken down; what was not used is left out. The slices add up to [`Self::usage_totals`].
    pub async fn usage_by(
        &self,
        partner: PartnerId,
        dimension: Dimension,
        range: Period,
        filter: &UsageFilter,
    ) -> Result<Vec<Slice>, StoreError> {
        let statement = match dimension {
            Dimension::Product => BY_PRODUCT,
            Dimension::Operation => BY_OPERATION,
            Dimension::App => BY_APP,
            Dimension::Key => BY_KEY,
            Dimension::Environment => BY_ENVIRONMENT,
        };
        let rows = self.used(statement, partner, &Ranges::new(&[range]), filter).await?;
        let slice = |row: &sqlx::postgres::PgRow| {
            let id: Uuid = row.try_get("id")?;
            Ok(Slice {
                id: (!id.is_nil()).then_some(id),
                name: row.try_get("name")?,
                product: row.try_get("product")?,
                totals: read_totals(row)?,
            })
        };
        rows.iter().map(slice).collect()
    }

    /// Day by day in the time zone (IANA name), each with its local midnight; days without a call are there with zeros.
    /// The first and last day are cut where the range is.
    pub async fn usage_days(
        &self,
        partner: PartnerId,
        range: Period,
        time_zone: &str,
        filter: &UsageFilter,
    ) -> Result<Vec<(Timestamp, Totals)>, StoreError> {
        let midnights = period::days(range.start, range.end, time_zone)
            .map_err(|error| StoreError::invalid("time_zone", error.to_string()))?;
        let ends = midnights.iter().copied().skip(1).chain([range.end]);
        let parts: Vec<Period> = midnights
            .iter()
            .zip(ends)
            .map(|(start, end)| Period { start: (*start).max(range.start), end: end.min(range.end) })
            .collect();
        let mut days: Vec<(Timestamp, Totals)> = midnights.iter().map(|day| (*day, Totals::default())).collect();
        for row in self.used(DAYS, partner, &Ranges::new(&parts), filter).await? {
            let part: i32 = row.try_get("part")?;
            if let Some((_, totals)) = usize::try_from(part).ok().and_then(|part| days.get_mut(part)) {
                *totals = read_totals(&row)?;
            }
        }
        Ok(days)
    }
}
