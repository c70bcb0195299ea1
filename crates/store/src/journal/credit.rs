//! Prepaid credit in whole coins: what of each grant was used, expired or was taken back on a day.
//!
//! The ledger has each movement to the micro-unit. The journal has one transaction for a grant and a day: what the accounts come to in
//! coins then, less what they came to before.

use super::{
    JournalKind,
    due::{Day, DueOfDay},
    write::{Posting, Subject},
};
use crate::{StoreError, ledger::LedgerAccount, row::ReadRow as _};
use domain::{
    id::PartnerId,
    money::{Currency, Money},
    revenue::{Account, GrantBalances},
};
use sqlx::{PgConnection, Row as _};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A grant of a partner, in the currency that it was sold in.
type Grant = (PartnerId, Uuid, &'static str);

/// What moved within the grants that something was booked of.
pub(super) async fn postings(tx: &mut PgConnection, due: &DueOfDay, day: Day) -> Result<Vec<Posting>, StoreError> {
    let (grants, booked) = due.of_grants();
    let (partners, ids): (Vec<_>, Vec<_>) = grants.into_iter().map(|(partner, grant)| (partner.0, grant)).unzip();
    let targets = booked_by(tx, (&partners, &ids), &booked).await?;
    let written = written_before(tx, (&partners, &ids)).await?;
    let mut postings = Vec::new();
    for ((partner, grant, code), (currency, balances)) in targets {
        let wanted = balances.in_coins(currency);
        let before = written.get(&(partner, grant, code)).copied().unwrap_or_default();
        let accounts = [Account::ContractLiability, Account::BreakageRevenue, Account::Revenue];
        // What was sold on this day is written by itself.
        let sold_today = balances.sold - before.sold;
        let before = [before.liability - sold_today, before.breakage, before.revenue];
        let entries = accounts.into_iter().zip(wanted.into_iter().zip(before));
        postings.push(Posting {
            partner,
            source: format!("credit:{}:{}", grant.simple(), day.date),
            kind: JournalKind::Credit,
            description: "Prepaid credit used, expired or taken back".to_owned(),
            occurred_at: None,
            service: None,
            subject: Subject { grant: Some(grant), ..Subject::default() },
            entries: entries.map(|(account, (to, from))| (account, Money::new(currency, to - from))).collect(),
        });
    }
    Ok(postings)
}

/// What the ledger comes to for each grant, with what is booked by now and without what is a later day's.
async fn booked_by(
    tx: &mut PgConnection,
    (partners, grants): (&[Uuid], &[Uuid]),
    booked: &[Uuid],
) -> Result<BTreeMap<Grant, (Currency, GrantBalances)>, StoreError> {
    let rows = sqlx::query(
        "select t.partner_id, t.credit_grant_id, e.currency, e.account, sum(e.amount_micros)::bigint as micros
         from unnest($1::uuid[], $2::uuid[]) as wanted (partner_id, grant_id)
         join ledger_transactions t on t.partner_id = wanted.partner_id and t.credit_grant_id = wanted.grant_id
         join ledger_entries e on e.partner_id = t.partner_id and e.transaction_id = t.id
         where not exists (select from journal_due d where d.partner_id = t.partner_id and d.transaction_id = t.id
             and not d.transaction_id = any($3))
         group by 1, 2, 3, 4",
    )
    .bind(partners)
    .bind(grants)
    .bind(booked)
    .fetch_all(tx)
    .await?;
    let mut all: BTreeMap<Grant, (Currency, GrantBalances)> = BTreeMap::new();
    for row in &rows {
        let currency: Currency = row.parsed("currency")?;
        let grant = (PartnerId(row.try_get("partner_id")?), row.try_get("credit_grant_id")?, currency.code());
        let (_, balances) = all.entry(grant).or_insert((currency, GrantBalances::default()));
        let micros: i64 = row.try_get("micros")?;
        match row.parsed("account")? {
            LedgerAccount::Receivable | LedgerAccount::Cash => balances.sold += micros,
            LedgerAccount::Credits => balances.liability = micros,
            LedgerAccount::Breakage => balances.breakage = micros,
            // It has the rest.
            LedgerAccount::Revenue => {}
        }
    }
    Ok(all)
}

/// What the journal comes to for a grant.
#[derive(Clone, Copy, Default)]
struct Written {
    sold: i64,
    liability: i64,
    breakage: i64,
    revenue: i64,
}

async fn written_before(
    tx: &mut PgConnection,
    (partners, grants): (&[Uuid], &[Uuid]),
) -> Result<BTreeMap<Grant, Written>, StoreError> {
    let rows = sqlx::query(
        "select t.partner_id, t.credit_grant_id, e.currency, e.account, sum(e.amount_micros)::bigint as micros
         from unnest($1::uuid[], $2::uuid[]) as wanted (partner_id, grant_id)
         join journal_transactions t on t.partner_id = wanted.partner_id and t.credit_grant_id = wanted.grant_id
         join journal_entries e on e.partner_id = t.partner_id and e.transaction_id = t.id
         group by 1, 2, 3, 4",
    )
    .bind(partners)
    .bind(grants)
    .fetch_all(tx)
    .await?;
    let mut all: BTreeMap<Grant, Written> = BTreeMap::new();
    for row in &rows {
        let currency: Currency = row.parsed("currency")?;
        let grant = (PartnerId(row.try_get("partner_id")?), row.try_get("credit_grant_id")?, currency.code());
        let written = all.entry(grant).or_default();
        let micros: i64 = row.try_get("micros")?;
        match row.parsed("account")? {
            Account::ContractLiability => written.liability = micros,
            Account::BreakageRevenue => written.breakage = micros,
            Account::Revenue => written.revenue = micros,
            Account::AccountsReceivable | Account::Cash | Account::ContractAsset | Account::Refunds => {
                written.sold += micros;
            }
        }
    }
    Ok(all)
}
