//! The late and corrected units that an invoice bills: what is behind its adjustment lines.

use crate::{Store, StoreError, Ts, row::ReadRow as _};
use domain::{
    id::{CorrectionId, InvoiceId, OperationId, PartnerId, ProductId, SubscriptionId, TeamId},
    period::Period,
};
use jiff::Timestamp;
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

/// Units that a closed period has more than its bill says, or fewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdjustedUnits {
    /// Its place among the partner's.
    pub sequence: i64,
    pub at: Timestamp,
    /// The closed period that they are of.
    pub period: Period,
    /// Who told it; empty where a gateway handed calls over late, or a correction made it.
    pub source: String,
    /// The event's id at its source; empty where it is not a single one.
    pub id: String,
    /// Below zero where it takes some back.
    pub units: i64,
    /// The correction that made it.
    pub correction: Option<CorrectionId>,
}

/// Those of one operation on one invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdjustedPage {
    /// Of all, on this page or not.
    pub units: i64,
    /// Earliest first.
    pub rows: Vec<AdjustedUnits>,
    /// Where the next page begins.
    pub next: Option<i64>,
}

macro_rules! on_invoice {
    ($columns:literal, $rest:literal) => {
        concat!(
            "select ",
            $columns,
            " from usage_adjustments where partner_id = $1 and invoice_id = $2 and product_id is not distinct from $3
                 and operation_id is not distinct from $4
                 and ($5::uuid is null or coalesce(team_id, '00000000-0000-0000-0000-000000000000') = $5) ",
            $rest
        )
    };
}

impl Store {
    /// Late and corrected units on the invoice, of that product and operation, and of one team (all zeros for none) where it is given; `after` is the `next` of the page before.
    pub async fn adjusted_on_invoice(
        &self,
        partner: PartnerId,
        invoice: InvoiceId,
        (product, operation): (Option<ProductId>, Option<OperationId>),
        team: Option<TeamId>,
        after: Option<i64>,
        size: u16,
    ) -> Result<AdjustedPage, StoreError> {
        let mut tx = self.begin().await?;
        let units: i64 = sqlx::query_scalar(on_invoice!("coalesce(sum(units), 0)::bigint", ""))
            .bind(partner.0)
            .bind(invoice.0)
            .bind(product.map(|id| id.0))
            .bind(operation.map(|id| id.0))
            .bind(team.map(|id| id.0))
            .fetch_one(&mut *tx)
            .await?;
        let rows = sqlx::query(on_invoice!(
            "sequence, at, period_start, period_end, units, correction_id,
             case when node is null and correction_id is null then source else '' end as source,
             case when node is null and correction_id is null then id else '' end as id",
            "and ($6::bigint is null or sequence > $6) order by sequence limit $7"
        ))
        .bind(partner.0)
        .bind(invoice.0)
        .bind(product.map(|id| id.0))
        .bind(operation.map(|id| id.0))
        .bind(team.map(|id| id.0))
        .bind(after)
        .bind(i64::from(size) + 1)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        let mut rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let more = rows.len() > usize::from(size);
        rows.truncate(usize::from(size));
        let next = rows.last().filter(|_| more).map(|row| row.sequence);
        Ok(AdjustedPage { units, rows, next })
    }

    /// Live units of a closed period that gateways handed over after it was closed: usage has them, its bill does not. Of that
    /// product and operation, and of one team (all zeros for none) where it is given.
    pub async fn handed_over_late(
        &self,
        partner: PartnerId,
        (subscription, period): (SubscriptionId, Period),
        (product, operation): (Option<ProductId>, Option<OperationId>),
        team: Option<TeamId>,
    ) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar(
            "select coalesce(sum(units), 0)::bigint from usage_adjustments
             where partner_id = $1 and subscription_id = $2 and period_start = $3 and node is not null
                 and product_id is not distinct from $4 and operation_id is not distinct from $5
                 and ($6::uuid is null or coalesce(team_id, '00000000-0000-0000-0000-000000000000') = $6)",
        )
        .bind(partner.0)
        .bind(subscription.0)
        .bind(Ts(period.start))
        .bind(product.map(|id| id.0))
        .bind(operation.map(|id| id.0))
        .bind(team.map(|id| id.0))
        .fetch_one(self.pool())
        .await?)
    }
}

fn read(row: &PgRow) -> Result<AdjustedUnits, sqlx::Error> {
    Ok(AdjustedUnits {
        sequence: row.try_get("sequence")?,
        at: row.at("at")?,
        period: Period { start: row.at("period_start")?, end: row.at("period_end")? },
        source: row.try_get("source")?,
        id: row.try_get("id")?,
        units: row.try_get("units")?,
        correction: row.try_get::<Option<Uuid>, _>("correction_id")?.map(CorrectionId),
    })
}
