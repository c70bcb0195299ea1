//! Bonuses for fees in advance: what a plan gives is noted with the fee's invoice, and given in the transaction in which that becomes paid,
//! once. What is unused goes back where the invoice is credited in full, and the share for what does not run where the plan ends before.
//!
//! What gateways hold at that instant goes back as they let go of it: each run takes what is free by then.

use super::{
    Void, allocations, allotments,
    cover::cover,
    grant::{left_of, settle_all, void},
    post,
};
use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    credit_notes, partners,
    row::{ReadRow as _, unreadable},
};
use domain::{
    credit::{
        fee_bonus::{self, FeeBonus},
        full_hour,
    },
    id::{CreditGrantId, InvoiceId, PartnerId, PlanVersionId, SubscriptionId},
    period::{Cycle, Period},
    plan::PlanTerms,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::{PgConnection, Postgres, Row as _, Transaction, types::Json};

const DAY_HOURS: i64 = 24;

impl Store {
    /// Partners with bonuses that a server of the version before did not give, or of which something is still to go back.
    pub async fn all_partners_fee_bonuses_due(&self, now: Timestamp) -> Result<Vec<PartnerId>, StoreError> {
        let partners: Vec<uuid::Uuid> = sqlx::query_scalar(
            "select b.partner_id from fee_bonuses b
             join invoices i on i.partner_id = b.partner_id and i.id = b.invoice_id
             where b.decided_at is null and i.status = 'paid'
             union
             select b.partner_id from fee_bonuses b
             join subscriptions s on s.partner_id = b.partner_id and s.id = b.subscription_id
             where b.grant_id is not null and b.settled_at is null
                 and (b.due_back > b.back_units or s.ended_at <= $1 and s.ended_at < b.period_end)
             order by 1",
        )
        .bind(Ts(now))
        .fetch_all(self.pool())
        .await?;
        Ok(partners.into_iter().map(PartnerId).collect())
    }

    /// Gives and takes back what is due of the partner's bonuses; how many units went back.
    pub async fn settle_fee_bonuses(&self, partner: PartnerId, now: Timestamp) -> Result<u64, StoreError> {
        let unpaid: Vec<uuid::Uuid> = sqlx::query_scalar(
            "select b.invoice_id from fee_bonuses b join invoices i on i.partner_id = b.partner_id and i.id = b.invoice_id
             where b.partner_id = $1 and b.decided_at is null and i.status = 'paid'",
        )
        .bind(partner.0)
        .fetch_all(self.pool())
        .await?;
        for invoice in unpaid {
            let mut tx = self.begin().await?;
            partners::lock(&mut tx, partner).await?;
            open(&mut tx, partner, InvoiceId(invoice), now).await?;
            tx.commit().await?;
        }
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        cut_short(&mut tx, partner, now).await?;
        let due: Vec<uuid::Uuid> = sqlx::query_scalar(
            "select invoice_id from fee_bonuses
             where partner_id = $1 and grant_id is not null and settled_at is null and due_back > back_units
             order by period_start, invoice_id",
        )
        .bind(partner.0)
        .fetch_all(&mut *tx)
        .await?;
        let mut back = 0;
        for invoice in due {
            back += go_back(&mut tx, partner, InvoiceId(invoice), now).await?.unsigned_abs();
        }
        tx.commit().await?;
        Ok(back)
    }
}

/// Notes what the plan gives once the fee's invoice is paid, where it gives something.
pub(crate) async fn promise(
    tx: &mut PgConnection,
    (partner, invoice): (PartnerId, InvoiceId),
    subscription: SubscriptionId,
    paid: Period,
) -> Result<(), StoreError> {
    let row = sqlx::query(
        "select v.terms, s.anchor, s.time_zone from subscriptions s join plan_versions v on v.id = s.plan_version_id
         where s.partner_id = $1 and s.id = $2 and v.terms #> '{admission,credit,fee_bonus}' is not null",
    )
    .bind(partner.0)
    .bind(subscription.0)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let Json(terms): Json<PlanTerms> = row.try_get("terms")?;
    let Some(bonus) = terms.admission.credit.fee_bonus else { return Ok(()) };
    let FeeBonus { valid_days, .. } = bonus;
    let cycle = Cycle { anchor: row.at("anchor")?, interval: terms.interval, time_zone: row.try_get("time_zone")? };
    let whole = cycle.period_at(paid.start).map_err(|error| unreadable("anchor", error))?;
    sqlx::query(
        "insert into fee_bonuses (partner_id, invoice_id, subscription_id, period_start, period_end, units, valid_days)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(partner.0)
    .bind(invoice.0)
    .bind(subscription.0)
    .bind(Ts(paid.start))
    .bind(Ts(paid.end))
    .bind(i64::try_from(bonus.of_part(paid, whole)).unwrap_or(i64::MAX))
    .bind(valid_days.and_then(|days| i32::try_from(days).ok()))
    .execute(tx)
    .await?;
    Ok(())
}

/// Locks the balance, where the plan gives a bonus, for who is about to bill its fee and to note that as paid.
pub(crate) async fn lock(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    version: PlanVersionId,
) -> Result<(), StoreError> {
    let gives: bool = sqlx::query_scalar(
        "select exists (select from plan_versions where id = $1 and terms #> '{admission,credit,fee_bonus}' is not null)",
    )
    .bind(version.0)
    .fetch_one(&mut **tx)
    .await?;
    if gives { post::lock(tx, partner).await } else { Ok(()) }
}

/// Gives what was noted with the invoice, which is paid: once, whoever says so how often.
pub(crate) async fn open(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    invoice: InvoiceId,
    now: Timestamp,
) -> Result<(), StoreError> {
    // Who pays it twice at once waits here, and finds it decided.
    let row = sqlx::query(
        "update fee_bonuses b set decided_at = $3
         from subscriptions s join plan_versions v on v.id = s.plan_version_id join plans p on p.id = v.plan_id
         where b.partner_id = $1 and b.invoice_id = $2 and b.decided_at is null
             and s.partner_id = b.partner_id and s.id = b.subscription_id
         returning b.units, b.period_start, b.period_end, b.valid_days, s.ended_at, p.name",
    )
    .bind(partner.0)
    .bind(invoice.0)
    .bind(Ts(now))
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = row else { return Ok(()) };
    // A plan that has ended meanwhile gives the share of what it ran.
    let noted = Period { start: row.at("period_start")?, end: row.at("period_end")? };
    let ended_at = row.at_if_any("ended_at")?.unwrap_or(noted.end).clamp(noted.start, noted.end);
    let promised = row.count("units")?;
    let units = promised.saturating_sub(fee_bonus::after(promised, noted, ended_at));
    let expires_at = full_hour(match row.try_get::<Option<i32>, _>("valid_days")? {
        Some(days) => {
            let valid = SignedDuration::from_hours(DAY_HOURS * i64::from(days));
            now.saturating_add(valid).unwrap_or(Timestamp::MAX)
        }
        None => noted.end,
    });
    // Nobody paid what was credited before, and nobody can use what is over.
    let standing = credit_notes::standing(tx, partner, invoice).await?;
    let is_credited = standing.credited.micros > 0 && standing.left().micros == 0;
    if units == 0 || is_credited || expires_at <= now {
        return Ok(());
    }
    let units = i64::try_from(units).unwrap_or(i64::MAX);
    let words = format!("Bonus for the fee of {}", row.try_get::<String, _>("name")?);
    let grant = allotments::give(tx, partner, (units, &words), (now, expires_at), now).await?;
    cover(tx, partner, now).await?;
    sqlx::query(
        "update fee_bonuses set grant_id = $3, units = $4, period_end = $5 where partner_id = $1 and invoice_id = $2",
    )
    .bind(partner.0)
    .bind(invoice.0)
    .bind(grant.0)
    .bind(units)
    .bind(Ts(ended_at))
    .execute(&mut **tx)
    .await?;
    let after = json!({"units": units, "expires_at": expires_at, "grant": grant});
    let subject = invoice.to_string();
    audit::append(tx, Entry::new(Actor::System, partner, "credit.fee_bonus", &subject).after(after), now).await
}

/// The invoice is paid back in full: what is unused of its bonus goes back.
pub(crate) async fn take_back(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    invoice: InvoiceId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let given = sqlx::query(
        "update fee_bonuses set due_back = units, settled_at = null
         where partner_id = $1 and invoice_id = $2 and grant_id is not null",
    )
    .bind(partner.0)
    .bind(invoice.0)
    .execute(&mut **tx)
    .await?;
    if given.rows_affected() > 0 {
        go_back(tx, partner, invoice, now).await?;
    }
    Ok(())
}

/// The bonus for the fee that the subscription paid last: how many units, and for what.
pub(crate) async fn running(
    tx: &mut PgConnection,
    partner: PartnerId,
    subscription: SubscriptionId,
) -> Result<Option<(u64, Period)>, StoreError> {
    let row = sqlx::query(
        "select units, period_start, period_end from fee_bonuses
         where partner_id = $1 and subscription_id = $2 and grant_id is not null and settled_at is null
         order by period_start desc limit 1",
    )
    .bind(partner.0)
    .bind(subscription.0)
    .fetch_optional(tx)
    .await?;
    let read = |row: &sqlx::postgres::PgRow| {
        let paid = Period { start: row.at("period_start")?, end: row.at("period_end")? };
        Ok::<_, sqlx::Error>((row.count("units")?, paid))
    };
    Ok(row.as_ref().map(read).transpose()?)
}

/// Notes what has to go back of those whose plan ended before what was paid for was over.
async fn cut_short(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "select b.invoice_id, b.units, b.period_start, b.period_end, s.ended_at from fee_bonuses b
         join subscriptions s on s.partner_id = b.partner_id and s.id = b.subscription_id
         where b.partner_id = $1 and b.grant_id is not null and b.settled_at is null and s.ended_at <= $2
             and s.ended_at < b.period_end
         for update of b",
    )
    .bind(partner.0)
    .bind(Ts(now))
    .fetch_all(&mut **tx)
    .await?;
    for row in rows {
        let paid = Period { start: row.at("period_start")?, end: row.at("period_end")? };
        let due = fee_bonus::after(row.count("units")?, paid, row.at("ended_at")?);
        // The share of less than a unit that did not run: nothing goes back.
        sqlx::query(
            "update fee_bonuses set due_back = greatest(due_back, $3),
                 settled_at = case when greatest(due_back, $3) <= back_units then $4::timestamptz end
             where partner_id = $1 and invoice_id = $2",
        )
        .bind(partner.0)
        .bind(row.try_get::<uuid::Uuid, _>("invoice_id")?)
        .bind(i64::try_from(due).unwrap_or(i64::MAX))
        .bind(Ts(now))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Takes back what is due of one, as far as it is unused and no gateway holds it; how many units.
async fn go_back(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    invoice: InvoiceId,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let mut grants = settle_all(tx, partner, now).await?;
    let row = sqlx::query(
        "select grant_id, due_back - back_units as rest, back_units from fee_bonuses
         where partner_id = $1 and invoice_id = $2 for update",
    )
    .bind(partner.0)
    .bind(invoice.0)
    .fetch_one(&mut **tx)
    .await?;
    let id = CreditGrantId(row.try_get("grant_id")?);
    let (rest, before): (i64, i64) = (row.try_get("rest")?, row.try_get("back_units")?);
    let mut part = 0;
    let mut is_over = true;
    let place = grants
        .iter()
        .position(|grant| grant.id == id && !grant.has_ended && grant.expires_at.is_none_or(|expires| expires > now));
    if let Some(place) = place {
        // Where what is common does not do, what was allocated meanwhile does not stay either.
        let allocated = rest - left_of(tx, partner, (&grants, place), now).await?.min(rest);
        if let Some(grant) = grants.get_mut(place).filter(|_| allocated > 0) {
            allocations::pull_back(tx, partner, grant, allocated, now).await?;
        }
        part = left_of(tx, partner, (&grants, place), now).await?.min(rest);
        if let Some(grant) = grants.get_mut(place) {
            let key = format!("fee-bonus-back:{invoice}:{before}");
            void(tx, partner, grant, part, Void::Kept, &key, now).await?;
            let is_used_up = grant.left == 0 && grant.allocated == 0;
            if is_used_up {
                sqlx::query(
                    "update credit_grants set ended_at = $3, ended_by = 'voided' where partner_id = $1 and id = $2",
                )
                .bind(partner.0)
                .bind(id.0)
                .bind(Ts(now))
                .execute(&mut **tx)
                .await?;
            }
            is_over = is_used_up || part == rest;
        }
    }
    sqlx::query(
        "update fee_bonuses set back_units = back_units + $3, settled_at = case when $4 then $5::timestamptz end
         where partner_id = $1 and invoice_id = $2",
    )
    .bind(partner.0)
    .bind(invoice.0)
    .bind(part)
    .bind(is_over)
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    if part > 0 {
        let subject = invoice.to_string();
        let after = json!({"units": part, "grant": id});
        audit::append(tx, Entry::new(Actor::System, partner, "credit.fee_bonus_back", &subject).after(after), now)
            .await?;
    }
    Ok(part)
}
