//! How a partner stands with its invoices, for pages, the REST API and the gateway.

use super::{case, read_held};
use crate::{Store, StoreError, page::Page, row::ReadRow as _};
use domain::{
    dunning::{Days, OwnDays, Stage},
    id::{InvoiceId, PartnerId},
    money::Money,
};
use jiff::Timestamp;
use sqlx::{Row as _, postgres::PgRow};

/// An invoice that counts as unpaid, due or not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpaidInvoice {
    pub id: InvoiceId,
    pub number: i64,
    /// What is left of it to pay, before tax.
    pub owed: Money,
    /// Whether Stripe Tax adds a tax to it.
    pub is_taxed: bool,
    pub due_at: Timestamp,
    /// Stripe's page on which it is paid.
    pub pay_url: Option<String>,
    /// IANA name, for its dates.
    pub time_zone: String,
}

impl UnpaidInvoice {
    /// `TP-000042`: the number as people write it.
    pub fn code(&self) -> String {
        format!("TP-{:06}", self.number)
    }
}

/// How a partner stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dunning {
    pub stage: Stage,
    pub since: Timestamp,
    /// The unpaid invoice that was due first, or is due next.
    pub invoice: Option<UnpaidInvoice>,
    /// When the next stage begins at the earliest.
    pub worsens_at: Option<Timestamp>,
    /// Until when nothing follows, and why.
    pub paused: Option<(Timestamp, String)>,
    pub own_days: OwnDays,
    /// Days that count; `None` where the plan does nothing about unpaid invoices.
    pub days: Option<Days>,
    /// What is left of the limits where they are lowered, in words.
    pub lowered: Option<String>,
}

/// A partner that is not in good standing, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DunningLine {
    pub partner: PartnerId,
    pub partner_name: String,
    pub time_zone: String,
    pub stage: Stage,
    pub since: Timestamp,
    pub invoice: InvoiceId,
    pub invoice_number: i64,
    pub worsens_at: Option<Timestamp>,
}

impl DunningLine {
    /// The invoice's number as people write it.
    pub fn code(&self) -> String {
        format!("TP-{:06}", self.invoice_number)
    }
}

macro_rules! lines {
    ($rest:literal) => {
        concat!(
            "select d.*, p.name as partner_name, p.time_zone, i.number from dunning d
             join partners p on p.id = d.partner_id
             join invoices i on i.partner_id = d.partner_id and i.id = d.invoice_id
             where d.stage <> 'good' ",
            $rest
        )
    };
}

impl Store {
    /// How the partner stands at `now`.
    pub async fn dunning(&self, partner: PartnerId, now: Timestamp) -> Result<Dunning, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
        let case = case(&mut tx, partner, now).await?;
        tx.commit().await?;
        let lowered = case.rules.as_ref().zip(case.terms.as_ref()).map(|(rules, terms)| rules.describe(terms));
        Ok(Dunning {
            stage: case.standing.stage,
            since: case.since,
            worsens_at: case.days.and_then(|days| case.standing.worsens_at(days)),
            invoice: case.invoice,
            paused: case.paused.filter(|(until, _)| now < *until),
            own_days: case.own,
            days: case.days,
            lowered,
        })
    }

    /// Whether the partner is in another stage than `good`, in one look-up.
    pub async fn unpaid_stage(&self, partner: PartnerId) -> Result<Option<DunningLine>, StoreError> {
        let row = sqlx::query(lines!("and d.partner_id = $1")).bind(partner.0).fetch_optional(self.pool()).await?;
        Ok(row.as_ref().map(read_line).transpose()?)
    }

    /// Partners that are not in good standing, the worst first; `after` is the `next` of the page before.
    pub async fn all_partners_unpaid(&self, after: Option<&str>, size: u32) -> Result<Page<DunningLine>, StoreError> {
        let after: Option<PartnerId> = match after {
            None => None,
            Some(text) => {
                Some(text.parse().map_err(|_| StoreError::invalid("after", "This is not a place in the list"))?)
            }
        };
        let rows = sqlx::query(lines!(
            "and ($1::uuid is null or (-array_position(array['grace', 'limited', 'suspended'], d.stage), d.since, d.partner_id)
                 > (select -array_position(array['grace', 'limited', 'suspended'], b.stage), b.since, b.partner_id
                    from dunning b where b.partner_id = $1))
             order by -array_position(array['grace', 'limited', 'suspended'], d.stage), d.since, d.partner_id limit $2"
        ))
        .bind(after.map(|partner| partner.0))
        .bind(Page::<()>::rows(size))
        .fetch_all(self.pool())
        .await?;
        let items = rows.iter().map(read_line).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, size, |line| line.partner.to_string()))
    }
}

fn read_line(row: &PgRow) -> Result<DunningLine, sqlx::Error> {
    let (stage, since, ..) = read_held(row)?;
    Ok(DunningLine {
        partner: PartnerId(row.try_get("partner_id")?),
        partner_name: row.try_get("partner_name")?,
        time_zone: row.try_get("time_zone")?,
        stage,
        since,
        invoice: InvoiceId(row.try_get("invoice_id")?),
        invoice_number: row.try_get("number")?,
        worsens_at: row.at_if_any("worsens_at")?,
    })
}
