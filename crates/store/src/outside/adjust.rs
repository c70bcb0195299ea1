//! Late units on their way to an invoice.

use crate::{Store, StoreError, Ts, billing_periods::OpenSubscription, row::ReadRow as _, usage::TeamUsed};
use domain::{
    id::{InvoiceId, OperationId, PartnerId, PlanVersionId, ProductId, SubscriptionId, TeamId},
    period::{Cycle, Period},
    plan::PlanTerms,
    rating::teams::TeamUnits,
};
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow, types::Json};
use std::sync::Arc;
use uuid::Uuid;

/// Late units of one closed stretch.
#[derive(Debug, Clone)]
pub struct LateUnits {
    /// Whose terms count: those of then, whatever the plan is now.
    pub subscription: OpenSubscription,
    /// The closed stretch.
    pub period: Period,
    /// By operation, in the order of their codes.
    pub moved: Vec<Moved>,
    /// Whose the [units](Moved::units) are, by operation; empty where none are a team's.
    pub teams: Vec<TeamUsed>,
    /// Which adjustments the [units](Moved::units) are.
    pub sequences: Vec<i64>,
}

/// Units of one operation that a closed stretch has more than its bill says, or fewer.
#[derive(Debug, Clone)]
pub struct Moved {
    /// `None` for a product that is not known.
    pub product: Option<ProductId>,
    pub operation: Option<OperationId>,
    /// For people.
    pub label: String,
    /// Codes, as rating goes by them.
    pub product_code: String,
    pub operation_code: String,
    /// That no invoice has, and that were read.
    pub units: i64,
    /// That no invoice has.
    pub waiting: i64,
    /// That earlier invoices have.
    pub billed: i64,
    /// Of each of the three, how many prepaid credit paid.
    pub prepaid: i64,
    pub prepaid_waiting: i64,
    pub prepaid_billed: i64,
    /// Whether there is one of either kind among those that were read.
    pub is_late: bool,
    pub is_corrected: bool,
}

impl Store {
    /// The partner's late units that no invoice has, by the stretch that they belong to, oldest first.
    pub async fn late_units(&self, partner: PartnerId) -> Result<Vec<LateUnits>, StoreError> {
        let stretches = sqlx::query(
            "select a.subscription_id, a.period_start, a.period_end, s.plan_version_id, s.anchor, s.time_zone, s.ended_at,
                 s.trial_until, v.terms, plan_since($1, s.plan_version_id) as plan_since, array_agg(a.sequence order by a.sequence) as sequences
             from usage_adjustments a
             join subscriptions s on s.partner_id = a.partner_id and s.id = a.subscription_id
             join plan_versions v on v.id = s.plan_version_id
             where a.partner_id = $1 and a.invoice_id is null
             group by a.subscription_id, a.period_start, a.period_end, s.plan_version_id, s.anchor, s.time_zone, s.ended_at,
                 s.trial_until, v.terms
             order by a.period_start, a.subscription_id",
        )
        .bind(partner.0)
        .fetch_all(self.pool())
        .await?;
        let mut late = Vec::with_capacity(stretches.len());
        for row in stretches {
            let mut stretch = stretch(partner, &row)?;
            stretch.moved = self.moved_units(partner, &stretch).await?;
            stretch.teams = self.teams_that_moved(partner, &stretch.sequences).await?;
            late.push(stretch);
        }
        Ok(late)
    }

    /// How a closed stretch stands beside its bill: all that was adjusted, whatever invoice has it.
    pub async fn adjusted_units(
        &self,
        partner: PartnerId,
        subscription: SubscriptionId,
        period: Period,
    ) -> Result<LateUnits, StoreError> {
        let row = sqlx::query(
            "select s.id as subscription_id, $3 as period_start, $4 as period_end, s.plan_version_id, s.anchor, s.time_zone,
                 s.ended_at, s.trial_until, v.terms, plan_since($1, s.plan_version_id) as plan_since, array[]::bigint[] as sequences
             from subscriptions s join plan_versions v on v.id = s.plan_version_id
             where s.partner_id = $1 and s.id = $2",
        )
        .bind(partner.0)
        .bind(subscription.0)
        .bind(Ts(period.start))
        .bind(Ts(period.end))
        .fetch_one(self.pool())
        .await?;
        let mut stretch = stretch(partner, &row)?;
        stretch.moved = self.moved_units(partner, &stretch).await?;
        Ok(stretch)
    }

    async fn moved_units(&self, partner: PartnerId, stretch: &LateUnits) -> Result<Vec<Moved>, StoreError> {
        let rows = sqlx::query(
            "select a.product_id, a.operation_id, coalesce(p.code, 'unknown') as product, coalesce(o.code, 'unknown') as operation,
                 coalesce(p.name || ', ' || o.method || ' ' || o.path, 'Unknown operation') as label,
                 coalesce(sum(units) filter (where sequence = any($4)), 0)::bigint as units,
                 coalesce(sum(units) filter (where invoice_id is null), 0)::bigint as waiting,
                 coalesce(sum(units) filter (where invoice_id is not null), 0)::bigint as billed,
                 coalesce(sum(credits) filter (where sequence = any($4)), 0)::bigint as prepaid,
                 coalesce(sum(credits) filter (where invoice_id is null), 0)::bigint as prepaid_waiting,
                 coalesce(sum(credits) filter (where invoice_id is not null), 0)::bigint as prepaid_billed,
                 coalesce(bool_or(correction_id is null) filter (where sequence = any($4)), false) as is_late,
                 coalesce(bool_or(correction_id is not null) filter (where sequence = any($4)), false) as is_corrected
             from usage_adjustments a
             left join products p on p.id = a.product_id
             left join operations o on o.product_id = a.product_id and o.id = a.operation_id
             where a.partner_id = $1 and a.subscription_id = $2 and a.period_start = $3
             group by a.product_id, a.operation_id, p.code, p.name, o.code, o.method, o.path
             order by product, operation",
        )
        .bind(partner.0)
        .bind(stretch.subscription.id.0)
        .bind(Ts(stretch.period.start))
        .bind(&stretch.sequences)
        .fetch_all(self.pool())
        .await?;
        let moved = |row: &PgRow| {
            Ok(Moved {
                product: row.try_get::<Option<Uuid>, _>("product_id")?.map(ProductId),
                operation: row.try_get::<Option<Uuid>, _>("operation_id")?.map(OperationId),
                label: row.try_get("label")?,
                product_code: row.try_get("product")?,
                operation_code: row.try_get("operation")?,
                units: row.try_get("units")?,
                waiting: row.try_get("waiting")?,
                billed: row.try_get("billed")?,
                prepaid: row.try_get("prepaid")?,
                prepaid_waiting: row.try_get("prepaid_waiting")?,
                prepaid_billed: row.try_get("prepaid_billed")?,
                is_late: row.try_get("is_late")?,
                is_corrected: row.try_get("is_corrected")?,
            })
        };
        Ok(rows.iter().map(moved).collect::<Result<_, sqlx::Error>>()?)
    }

    async fn teams_that_moved(&self, partner: PartnerId, sequences: &[i64]) -> Result<Vec<TeamUsed>, StoreError> {
        let rows = sqlx::query(TEAMS_THAT_MOVED).bind(partner.0).bind(sequences).fetch_all(self.pool()).await?;
        let team = |row: &PgRow| {
            Ok(TeamUsed {
                product: row.try_get::<Option<Uuid>, _>("product_id")?.map(ProductId),
                operation: row.try_get::<Option<Uuid>, _>("operation_id")?.map(OperationId),
                team: row.try_get::<Option<Uuid>, _>("team_id")?.map(TeamId),
                name: row.try_get("name")?,
                used: TeamUnits { units: row.try_get("units")?, prepaid: row.try_get("prepaid")? },
            })
        };
        let teams = rows.iter().map(team).collect::<Result<Vec<_>, sqlx::Error>>()?;
        Ok(if teams.iter().any(|one| one.team.is_some()) { teams } else { Vec::new() })
    }
}

/// Of adjustments of one stretch, by operation and there by team, with what is of none at the end.
const TEAMS_THAT_MOVED: &str = "
    select a.product_id, a.operation_id, a.team_id, coalesce(t.name, '') as name, sum(a.units)::bigint as units,
        sum(a.credits)::bigint as prepaid
    from usage_adjustments a left join teams t on t.partner_id = a.partner_id and t.id = a.team_id
    where a.partner_id = $1 and a.sequence = any($2)
    group by a.product_id, a.operation_id, a.team_id, t.name
    having sum(a.units) <> 0 or sum(a.credits) <> 0
    order by a.product_id, a.operation_id, a.team_id nulls last";

/// Says that the invoice has them.
pub(crate) async fn bill(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    sequences: &[i64],
    invoice: InvoiceId,
) -> Result<(), StoreError> {
    let billed = sqlx::query(
        "update usage_adjustments set invoice_id = $3
         where partner_id = $1 and sequence = any($2) and invoice_id is null",
    )
    .bind(partner.0)
    .bind(sequences)
    .bind(invoice.0)
    .execute(&mut **tx)
    .await?;
    if billed.rows_affected() != sequences.len() as u64 {
        return Err(StoreError::conflict("", "Some late units are on another invoice already"));
    }
    Ok(())
}

fn stretch(partner: PartnerId, row: &PgRow) -> Result<LateUnits, sqlx::Error> {
    let terms: Json<PlanTerms> = row.try_get("terms")?;
    let period = Period { start: row.at("period_start")?, end: row.at("period_end")? };
    let subscription = OpenSubscription {
        partner,
        id: SubscriptionId(row.try_get("subscription_id")?),
        plan_version: PlanVersionId(row.try_get("plan_version_id")?),
        cycle: Cycle { anchor: row.at("anchor")?, interval: terms.interval, time_zone: row.try_get("time_zone")? },
        terms: Arc::new(terms.0),
        plan_since: row.at("plan_since")?,
        trial_until: row.at_if_any("trial_until")?,
        billed_until: period.start,
        ended_at: row.at_if_any("ended_at")?,
    };
    let sequences = row.try_get("sequences")?;
    Ok(LateUnits { subscription, period, moved: Vec::new(), teams: Vec::new(), sequences })
}
