//! What bills of stretches start from, read of several partners at one instant.
//!
//! Most bills have no more on them than a fee and usage. What others have besides is read for them alone, and who has none of it is known
//! from here. Nothing of this is held: [`Store::close_billing_period`] sees whether it is still so.

use crate::{
    Store, StoreError, Ts,
    credits::overdraft::has_overdraft,
    outside::ToldMark,
    row::{ReadRow as _, unreadable},
    usage::{TeamUsed, UsedUnits, of_teams, units_of},
};
use domain::{
    id::{PartnerId, SubscriptionId},
    key_text::Environment,
    period::Period,
};
use sqlx::{Row as _, postgres::PgRow};
use std::{collections::BTreeSet, str::FromStr};

/// What there was of a stretch, all at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BillGround {
    /// How far the usage was.
    pub mark: ToldMark,
    /// Live units by product and operation.
    pub units: Vec<UsedUnits>,
    /// What teams used of them; empty where nothing is a team's.
    pub teams: Vec<TeamUsed>,
    /// What else may be on the bill: nothing that is not here.
    pub beside: BTreeSet<Beside>,
}

/// What only some bills have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Beside {
    /// [`Store::late_units`]
    LateUnits,
    /// [`Store::unused_fees`]
    UnusedFees,
    /// [`Store::coupons_of_bill`]
    Coupons,
    /// [`Store::overdrawn_credit`]
    Overdraft,
    /// [`Store::billed_before`]
    ThresholdInvoices,
    /// [`BillGround::teams`]
    Teams,
}

impl Beside {
    const ALL: [Self; 6] =
        [Self::LateUnits, Self::UnusedFees, Self::Coupons, Self::Overdraft, Self::ThresholdInvoices, Self::Teams];

    /// As [`GROUND`] has them.
    const fn code(self) -> &'static str {
        match self {
            Self::LateUnits => "late_units",
            Self::UnusedFees => "unused_fees",
            Self::Coupons => "coupons",
            Self::Overdraft => "overdraft",
            Self::ThresholdInvoices => "threshold_invoices",
            Self::Teams => "teams",
        }
    }
}

impl FromStr for Beside {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|beside| beside.code() == text);
        known.ok_or_else(|| format!("{text:?} is on no bill"))
    }
}

const GROUND: &str = concat!(
    "select asked.part, coalesce(told.accepted, 0) as accepted, coalesce(told.corrected, 0) as corrected, array_remove(array[
         case when exists (select from usage_adjustments a where a.partner_id = asked.partner_id and a.invoice_id is null)
             then 'late_units' end,
         case when exists (
             select from advance_fees a
             where a.partner_id = asked.partner_id and a.given_back_by is null and a.fee_micros > 0 and a.period_end > (
                 select s.ended_at from subscriptions s where s.partner_id = a.partner_id and s.id = a.subscription_id)
             ) then 'unused_fees' end,
         case when exists (select from coupon_redemptions r where r.partner_id = asked.partner_id and r.ended_at is null)
             then 'coupons' end,
         case when ",
    has_overdraft!("asked.partner_id"),
    " then 'overdraft' end,
         case when exists (
             select from invoices i where i.partner_id = asked.partner_id and i.subscription_id = asked.subscription_id
                 and i.period_start = asked.first and i.threshold_number > 0
             ) then 'threshold_invoices' end,
         case when exists (select from teams t where t.partner_id = asked.partner_id) then 'teams' end], null) as beside
     from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) with ordinality as asked (partner_id, subscription_id, first, part)
     left join outside_usage told on told.partner_id = asked.partner_id
     order by asked.part"
);

impl Store {
    /// What bills of these stretches start from, in their order.
    pub async fn bill_grounds(
        &self,
        stretches: &[(PartnerId, SubscriptionId, Period)],
    ) -> Result<Vec<BillGround>, StoreError> {
        if stretches.is_empty() {
            return Ok(Vec::new());
        }
        let ranges: Vec<_> = stretches.iter().map(|(partner, _, part)| (*partner, *part)).collect();
        let mut tx = self.one_instant().await?;
        let rows = sqlx::query(GROUND)
            .bind(stretches.iter().map(|(partner, ..)| partner.0).collect::<Vec<_>>())
            .bind(stretches.iter().map(|(_, subscription, _)| subscription.0).collect::<Vec<_>>())
            .bind(stretches.iter().map(|(.., part)| Ts(part.start)).collect::<Vec<_>>())
            .fetch_all(&mut *tx)
            .await?;
        let units = units_of(&mut tx, &ranges, Environment::Live).await?;
        let mut grounds = Vec::with_capacity(rows.len());
        for ((row, units), range) in rows.iter().zip(units).zip(ranges) {
            let ground = read(row)?;
            let teams = match ground.beside.contains(&Beside::Teams) {
                true => of_teams(&mut tx, range, &units).await?,
                false => Vec::new(),
            };
            grounds.push(BillGround { units, teams, ..ground });
        }
        tx.commit().await?;
        Ok(grounds)
    }
}

fn read(row: &PgRow) -> Result<BillGround, sqlx::Error> {
    let codes: Vec<String> = row.try_get("beside")?;
    let beside = codes.iter().map(|code| code.parse().map_err(|error: String| unreadable("beside", error)));
    Ok(BillGround {
        mark: ToldMark { accepted: row.count("accepted")?, corrected: row.count("corrected")?, metered: None },
        units: Vec::new(),
        teams: Vec::new(),
        beside: beside.collect::<Result<_, _>>()?,
    })
}
