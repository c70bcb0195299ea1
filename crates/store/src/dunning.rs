//! Invoices that stay unpaid, and what becomes of their partners.
//!
//! Whoever pays, credits, voids or disputes an invoice, and the task that takes the next step, hold the partner's row first. So a
//! step is decided on invoices as they are when it is taken, and a partner that has paid is never left limited or suspended.

mod manage;
mod read;
mod steps;

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    row::ReadRow as _,
};
use domain::{
    dunning::{Days, Next, OwnDays, Stage, Standing, UnpaidRules},
    id::{InvoiceId, PartnerId},
    money::{Currency, Money},
    plan::PlanTerms,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{PgConnection, Row as _, postgres::PgRow, types::Json};

pub use manage::{Collection, Pause};
pub use read::{Dunning, DunningLine, UnpaidInvoice};
pub use steps::DunningStep;

/// A partner's row, its plan's rules and the invoice that counts, as one transaction sees them.
struct Case {
    standing: Standing,
    rules: Option<UnpaidRules>,
    terms: Option<PlanTerms>,
    days: Option<Days>,
    own: OwnDays,
    since: Timestamp,
    paused: Option<(Timestamp, String)>,
    /// The unpaid invoice that was due first.
    invoice: Option<UnpaidInvoice>,
}

/// Brings the partner back as far as its invoices now allow, and never further down: whoever may have made less owed calls it in the same
/// transaction, with the partner's row held.
pub(crate) async fn settle(
    tx: &mut PgConnection,
    partner: PartnerId,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let case = case(tx, partner, now).await?;
    let better = match (case.days, case.standing.owed) {
        (Some(days), Some(_)) => match case.standing.next(days, now) {
            Next::Enter(stage) if stage < case.standing.stage => stage,
            _ => return keep_worsening(tx, partner, &case).await,
        },
        _ => Stage::Good,
    };
    if better < case.standing.stage {
        enter(tx, partner, &case, better, actor, now).await?;
    }
    Ok(())
}

/// Puts the partner back to the stage that it had for the invoice that counts, of which it was told then: for a dispute that its partner
/// withdraws, with the partner's row held.
pub(crate) async fn resume(
    tx: &mut PgConnection,
    partner: PartnerId,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let held = case(tx, partner, now).await?;
    match held.days.and_then(|days| held.standing.had(days, now)) {
        Some(stage) if stage > held.standing.stage => enter(tx, partner, &held, stage, actor, now).await,
        _ => settle(tx, partner, actor, now).await,
    }
}

/// Keeps when the next stage begins, where that changed.
async fn keep_worsening(tx: &mut PgConnection, partner: PartnerId, case: &Case) -> Result<(), StoreError> {
    if case.standing.stage == Stage::Good {
        return Ok(());
    }
    let at = case.days.and_then(|days| case.standing.worsens_at(days));
    sqlx::query(
        "update dunning set worsens_at = $2, invoice_id = $3
         where partner_id = $1 and (worsens_at, invoice_id) is distinct from ($2, $3)",
    )
    .bind(partner.0)
    .bind(at.map(Ts))
    .bind(case.standing.owed.map(|(invoice, _)| invoice.0))
    .execute(tx)
    .await?;
    Ok(())
}

/// Puts the partner into a stage, with the audit log.
async fn enter(
    tx: &mut PgConnection,
    partner: PartnerId,
    case: &Case,
    stage: Stage,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let entered = Standing { stage, ..case.standing };
    let worsens = case.days.and_then(|days| entered.worsens_at(days)).filter(|_| stage != Stage::Good);
    let invoice = case.standing.owed.map(|(invoice, _)| invoice.0).filter(|_| stage != Stage::Good);
    sqlx::query(
        "insert into dunning (partner_id, stage, since, invoice_id, worsens_at) values ($1, $2, $3, $4, $5)
         on conflict (partner_id) do update set stage = $2, since = $3, invoice_id = $4, worsens_at = $5",
    )
    .bind(partner.0)
    .bind(stage.code())
    .bind(Ts(now))
    .bind(invoice)
    .bind(worsens.map(Ts))
    .execute(&mut *tx)
    .await?;
    let action = match stage {
        Stage::Good => "dunning.return",
        Stage::Grace => "dunning.grace",
        Stage::Limited => "dunning.limit",
        Stage::Suspended => "dunning.suspend",
    };
    let subject = case.invoice.as_ref().map(UnpaidInvoice::code).unwrap_or_default();
    let entry = Entry::new(actor, partner, action, &subject)
        .before(json!({"stage": case.standing.stage}))
        .after(json!({"stage": stage, "invoice": case.standing.owed.map(|(invoice, _)| invoice)}));
    audit::append(tx, entry, now).await?;
    tracing::info!(%partner, from = %case.standing.stage, to = %stage, "a partner's stage of unpaid invoices changed");
    Ok(())
}

async fn case(tx: &mut PgConnection, partner: PartnerId, now: Timestamp) -> Result<Case, StoreError> {
    let row =
        sqlx::query("select * from dunning where partner_id = $1").bind(partner.0).fetch_optional(&mut *tx).await?;
    let held = row.as_ref().map(read_held).transpose()?;
    let (stage, since, told, own, paused) = held.unwrap_or((Stage::Good, now, None, OwnDays::default(), None));
    let terms: Option<Json<PlanTerms>> = sqlx::query_scalar(
        "select v.terms from subscriptions s join plan_versions v on v.id = s.plan_version_id
         where s.partner_id = $1 and s.status = 'active'",
    )
    .bind(partner.0)
    .fetch_optional(&mut *tx)
    .await?;
    let terms = terms.map(|terms| terms.0);
    let rules = terms.as_ref().and_then(|terms| terms.unpaid.clone());
    let days = rules.as_ref().map(|rules| Days::of(rules, own));
    let minimum = rules.as_ref().zip(terms.as_ref());
    let minimum = minimum.map(|(rules, terms)| Money::new(terms.currency, rules.minimum_micros));
    let invoice = oldest(tx, partner, minimum).await?;
    let is_paused = paused.as_ref().is_some_and(|(until, _)| now < *until);
    let owed = invoice.as_ref().filter(|_| rules.is_some() && !is_paused).map(|invoice| {
        // After a pause the days begin anew.
        (invoice.id, paused.as_ref().map_or(invoice.due_at, |(until, _)| invoice.due_at.max(*until)))
    });
    let standing = Standing { stage, owed, told };
    Ok(Case { standing, rules, terms, days, own, since, paused, invoice })
}

type Held = (Stage, Timestamp, Option<(Stage, InvoiceId, Timestamp)>, OwnDays, Option<(Timestamp, String)>);

fn read_held(row: &PgRow) -> Result<Held, sqlx::Error> {
    let days = |column: &str| {
        let days: Option<i32> = row.try_get(column)?;
        Ok::<_, sqlx::Error>(days.and_then(|days| u16::try_from(days).ok()))
    };
    let told: Option<String> = row.try_get("told_stage")?;
    let told = match told.and_then(|stage| stage.parse().ok()) {
        Some(stage) => {
            let invoice: Option<_> = row.try_get("told_invoice_id")?;
            invoice.zip(row.at_if_any("told_at")?).map(|(invoice, at)| (stage, InvoiceId(invoice), at))
        }
        None => None,
    };
    let reason: Option<String> = row.try_get("pause_reason")?;
    Ok((
        row.parsed("stage")?,
        row.at("since")?,
        told,
        OwnDays { grace: days("grace_days")?, limited: days("limited_days")? },
        row.at_if_any("paused_until")?.zip(reason),
    ))
}

/// Which invoices have a consequence: due ones that somebody collects, neither paid nor void, of which more than nothing is owed, what
/// open disputes are about and is still left of their lines aside: but a line holds nothing back again after a dispute about it was refused
/// or withdrawn. One that an operator holds back has none, nor one for prepaid units, which cannot be used before they
/// are paid.
async fn oldest(
    tx: &mut PgConnection,
    partner: PartnerId,
    minimum: Option<Money>,
) -> Result<Option<UnpaidInvoice>, StoreError> {
    let row = sqlx::query(
        "select i.id, i.number, i.currency, i.due_at, i.pay_url, i.time_zone, owed.micros,
             coalesce(i.tax_micros > 0, false) as is_taxed
         from invoices i
         cross join lateral (
             select i.total_micros - coalesce(sum(c.total_micros), 0)::bigint as micros from credit_notes c
             where c.partner_id = i.partner_id and c.invoice_id = i.id and c.state = 'issued' and c.kind = 'credit' and not c.was_paid
         ) as unpaid
         cross join lateral (
             select unpaid.micros - coalesce(sum(greatest(least(d.amount_micros, l.amount_micros - coalesce((
                 select sum(n.amount_micros) from credit_note_lines n
                 join credit_notes c on c.partner_id = n.partner_id and c.id = n.credit_note_id
                 where c.partner_id = i.partner_id and c.invoice_id = i.id and c.state = 'issued' and c.kind = 'credit'
                     and n.invoice_position = d.invoice_position
             ), 0)), 0)), 0)::bigint as micros
             from disputes d
             join invoice_lines l on l.partner_id = d.partner_id and l.invoice_id = d.invoice_id and l.position = d.invoice_position
             where d.partner_id = i.partner_id and d.invoice_id = i.id and d.state = 'open' and not exists (
                 select from disputes before
                 where before.partner_id = d.partner_id and before.invoice_id = d.invoice_id
                     and before.invoice_position = d.invoice_position and before.state in ('refused', 'withdrawn'))
         ) as owed
         where i.partner_id = $1 and i.status in ('open', 'sent', 'uncollectible') and i.due_at is not null
             and i.disputed_at is null and not i.stands_alone
             and owed.micros > 0 and (i.currency is distinct from $2 or owed.micros >= $3)
         order by i.due_at, i.number limit 1",
    )
    .bind(partner.0)
    .bind(minimum.map(|minimum| minimum.currency.code()))
    .bind(minimum.map_or(0, |minimum| minimum.micros))
    .fetch_optional(tx)
    .await?;
    let read = |row: &PgRow| {
        let currency: Currency = row.parsed("currency")?;
        Ok::<_, sqlx::Error>(UnpaidInvoice {
            id: InvoiceId(row.try_get("id")?),
            number: row.try_get("number")?,
            owed: Money::new(currency, row.try_get("micros")?),
            is_taxed: row.try_get("is_taxed")?,
            due_at: row.at("due_at")?,
            pay_url: row.try_get("pay_url")?,
            time_zone: row.try_get("time_zone")?,
        })
    };
    Ok(row.as_ref().map(read).transpose()?)
}

impl Store {
    /// How many partners are in each stage but `good`.
    pub async fn all_partners_stages(&self) -> Result<Vec<(Stage, u64)>, StoreError> {
        let rows = sqlx::query("select stage, count(*) as partners from dunning where stage <> 'good' group by stage")
            .fetch_all(self.pool())
            .await?;
        let one = |row: &PgRow| Ok::<_, sqlx::Error>((row.parsed("stage")?, row.count("partners")?));
        Ok(rows.iter().map(one).collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests;
