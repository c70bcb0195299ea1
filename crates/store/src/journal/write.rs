//! Transactions of the journal as they are written, many in one statement.

use super::{JournalKind, due::Day};
use crate::{StoreError, Ts};
use domain::{id::PartnerId, money::Money, period::Period, revenue::Account};
use jiff::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

/// A transaction of a day.
#[derive(Debug)]
pub(super) struct Posting {
    pub partner: PartnerId,
    /// What it is made from; the same source is written once.
    pub source: String,
    pub kind: JournalKind,
    pub description: String,
    pub occurred_at: Option<Timestamp>,
    pub service: Option<Period>,
    pub subject: Subject,
    /// They sum to zero; those of nothing are not written.
    pub entries: Vec<(Account, Money)>,
}

/// What it is about.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Subject {
    pub invoice: Option<Uuid>,
    pub credit_note: Option<Uuid>,
    pub grant: Option<Uuid>,
}

/// Columns of the entries.
#[derive(Default)]
struct Entries {
    partners: Vec<Uuid>,
    sources: Vec<String>,
    positions: Vec<i32>,
    accounts: Vec<&'static str>,
    currencies: Vec<&'static str>,
    micros: Vec<i64>,
}

pub(super) async fn postings(tx: &mut PgConnection, day: Day, all: &[Posting]) -> Result<(), StoreError> {
    let is_any = |posting: &&Posting| posting.entries.iter().any(|(_, money)| money.micros != 0);
    let all: Vec<&Posting> = all.iter().filter(is_any).collect();
    let subjects = |of: fn(&Subject) -> Option<Uuid>| all.iter().map(|one| of(&one.subject)).collect::<Vec<_>>();
    let instants =
        |of: fn(&Posting) -> Option<Timestamp>| all.iter().map(|one| of(one).map(Ts)).collect::<Vec<Option<Ts>>>();
    sqlx::query(
        "insert into journal_transactions (partner_id, id, number, day, kind, source, description, occurred_at, service_start,
             service_end, invoice_id, credit_note_id, credit_grant_id)
         select new.partner_id, md5(new.source)::uuid, (select coalesce(max(number), 0) from journal_transactions) + new.place,
             $1::text::date, new.kind, new.source, new.description, new.occurred_at, new.service_start, new.service_end, new.invoice_id,
             new.credit_note_id, new.credit_grant_id
         from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[],
             $9::uuid[], $10::uuid[], $11::uuid[]) with ordinality
             as new (partner_id, kind, source, description, occurred_at, service_start, service_end, invoice_id, credit_note_id,
                 credit_grant_id, place)",
    )
    .bind(day.date.to_string())
    .bind(all.iter().map(|one| one.partner.0).collect::<Vec<_>>())
    .bind(all.iter().map(|one| one.kind.code()).collect::<Vec<_>>())
    .bind(all.iter().map(|one| one.source.clone()).collect::<Vec<_>>())
    .bind(all.iter().map(|one| one.description.clone()).collect::<Vec<_>>())
    .bind(instants(|one| one.occurred_at))
    .bind(instants(|one| one.service.map(|service| service.start)))
    .bind(instants(|one| one.service.map(|service| service.end)))
    .bind(subjects(|subject| subject.invoice))
    .bind(subjects(|subject| subject.credit_note))
    .bind(subjects(|subject| subject.grant))
    .execute(&mut *tx)
    .await?;
    let mut entries = Entries::default();
    for posting in all {
        let moving = posting.entries.iter().filter(|(_, money)| money.micros != 0);
        for (position, (account, money)) in (0_i32..).zip(moving) {
            entries.partners.push(posting.partner.0);
            entries.sources.push(posting.source.clone());
            entries.positions.push(position);
            entries.accounts.push(account.code());
            entries.currencies.push(money.currency.code());
            entries.micros.push(money.micros);
        }
    }
    sqlx::query(
        "insert into journal_entries (partner_id, transaction_id, position, account, currency, amount_micros)
         select partner_id, md5(source)::uuid, position, account, currency, micros
         from unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[], $6::bigint[])
             as new (partner_id, source, position, account, currency, micros)",
    )
    .bind(entries.partners)
    .bind(entries.sources)
    .bind(entries.positions)
    .bind(entries.accounts)
    .bind(entries.currencies)
    .bind(entries.micros)
    .execute(tx)
    .await?;
    Ok(())
}
