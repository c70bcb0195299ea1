//! Totals of a range, broken down by one dimension, or day by day.

use super::{Dimension, MOST_ROWS, Totals, UsageFilter, UsageQuery, Window};
use crate::{Store, StoreError};
use domain::{
    id::PartnerId,
    period::{self, Period},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One row of a breakdown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Slice {
    /// The product, operation, app and so on; `None` for what has a code, and for calls that matched no product or operation.
    pub id: Option<Uuid>,
    /// For people: a product's name, an operation's method and path, an app's or key's name, an environment's code. Empty
    /// where nothing matched.
    pub name: String,
    /// The code of the product, for an operation; otherwise empty.
    pub product: String,
    pub totals: Totals,
}

impl Store {
    /// Everything that the partner used in `range`.
    pub async fn usage_totals(
        &self,
        partner: PartnerId,
        range: Period,
        filter: &UsageFilter,
    ) -> Result<Totals, StoreError> {
        let answer = self.usage(partner, &UsageQuery::whole(range, *filter)).await?;
        Ok(answer.rows.first().map(|row| row.totals).unwrap_or_default())
    }

    /// The same, broken down; what was not used is left out. The slices add up to [`Self::usage_totals`].
    pub async fn usage_by(
        &self,
        partner: PartnerId,
        dimension: Dimension,
        range: Period,
        filter: &UsageFilter,
    ) -> Result<Vec<Slice>, StoreError> {
        let query = UsageQuery { by: &[dimension], ..UsageQuery::whole(range, *filter) };
        let (mut slices, mut behind) = (Vec::new(), 0);
        loop {
            let (answer, rows) = self.usage_page(Some(partner), &query, behind).await?;
            slices.extend(answer.rows.into_iter().map(|row| {
                let group = row.groups.into_iter().next().unwrap_or_default();
                let product = if dimension == Dimension::Operation { group.code } else { String::new() };
                Slice { id: group.id, name: group.name, product, totals: row.totals }
            }));
            behind += rows;
            if rows < MOST_ROWS {
                return Ok(slices);
            }
        }
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
        let query = UsageQuery { range, time_zone, window: Window::Day, by: &[], filter: *filter };
        let answer = self.usage(partner, &query).await?;
        let mut days: Vec<(Timestamp, Totals)> = midnights.iter().map(|day| (*day, Totals::default())).collect();
        for row in answer.rows {
            if let Some((_, totals)) = days.get_mut(row.window) {
                *totals = row.totals;
            }
        }
        Ok(days)
    }
}
