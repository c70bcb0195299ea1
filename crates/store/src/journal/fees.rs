//! Fees in advance: what of each is earned by the end of a day, less what the journal has as earned.

use super::{
    JournalKind,
    due::{Day, DueOfDay},
    write::{Posting, Subject},
};
use crate::{StoreError, Ts, row::ReadRow as _};
use domain::{
    id::PartnerId,
    money::{Currency, Money},
    period::Period,
    revenue::{Account, Fee},
};
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

/// Fees that run, that were cut off, or that something was booked of. An invoice that gives a fee back counts from when the journal
/// has it: one in arrears at the end of its period, another one when it was made.
pub(super) async fn postings(tx: &mut PgConnection, due: &DueOfDay, day: Day) -> Result<Vec<Posting>, StoreError> {
    let rows = sqlx::query(
        "select a.partner_id, a.invoice_id, a.period_start, a.period_end, a.currency, a.fee_micros - a.coupon_micros as fee_micros,
             i.total_micros, s.ended_at,
             b.created_at is not null as is_given_back, case when b.created_at is null then 0 else a.given_back_micros end as given_back,
             coalesce(j.billed, 0) as billed, coalesce(j.deferred, 0) as deferred, coalesce(j.is_void, false) as is_void
         from advance_fees a
         join invoices i on i.partner_id = a.partner_id and i.id = a.invoice_id
         join subscriptions s on s.partner_id = a.partner_id and s.id = a.subscription_id
         left join invoices b on b.partner_id = a.partner_id and b.id = a.given_back_by
             and (b.created_at < $2 or not b.in_advance and not b.stands_alone and b.period_end <= $2
                 and b.created_at < $4)
         left join lateral (
             select sum(-e.amount_micros) filter (where t.kind <> 'fee')::bigint as billed,
                 sum(-e.amount_micros)::bigint as deferred, bool_or(t.kind = 'void') as is_void
             from journal_transactions t join journal_entries e on e.partner_id = t.partner_id and e.transaction_id = t.id
             where t.partner_id = a.partner_id and t.invoice_id = a.invoice_id and e.account = 'contract_liability'
         ) as j on true
         where i.created_at < $2 and (a.period_start < $2 and a.period_end > $1 or s.ended_at < a.period_end
             or a.invoice_id = any($3) or a.given_back_by = any($3))
         order by a.partner_id, a.period_start, a.invoice_id",
    )
    .bind(Ts(day.start))
    .bind(Ts(day.end))
    .bind(due.invoices())
    .bind(Ts(day.settled))
    .fetch_all(tx)
    .await?;
    rows.iter().map(|row| Ok(posting(row, day)?)).collect()
}

fn posting(row: &PgRow, day: Day) -> Result<Posting, sqlx::Error> {
    let currency: Currency = row.parsed("currency")?;
    let micros = |column| row.try_get::<i64, _>(column);
    // The invoice may give another fee back besides; that is no part of this one's price.
    let besides = micros("fee_micros")? - micros("total_micros")?;
    let price = match row.try_get("is_void")? {
        true => 0,
        false => micros("billed")? + besides - micros("given_back")?,
    };
    let period = Period { start: row.at("period_start")?, end: row.at("period_end")? };
    let fee = Fee {
        price: Money::new(currency, price),
        period,
        ended_at: row.at_if_any("ended_at")?,
        is_given_back: row.try_get("is_given_back")?,
    };
    let still_deferred = price - fee.earned(day.end).micros;
    let earned = micros("deferred")? - still_deferred;
    let invoice: Uuid = row.try_get("invoice_id")?;
    Ok(Posting {
        partner: PartnerId(row.try_get("partner_id")?),
        source: format!("fee:{}:{}", invoice.simple(), day.date),
        kind: JournalKind::Fee,
        description: "Fee in advance, earned over its period".to_owned(),
        occurred_at: None,
        service: Some(period),
        subject: Subject { invoice: Some(invoice), ..Subject::default() },
        entries: vec![
            (Account::ContractLiability, Money::new(currency, earned)),
            (Account::Revenue, Money::new(currency, -earned)),
        ],
    })
}
