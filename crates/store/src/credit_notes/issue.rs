//! The way of a credit note: draft, then issued or discarded. Each step is on record.

use super::{CreditKind, CreditNote, CreditState, NewCreditLine, NewCreditNote, Payback, read, standing};
use crate::{
    InvoiceStatus, Store, StoreError, Ts, api_requests,
    audit::{self, Actor, Entry},
    credits::{fee_bonus, sold},
    disputes, dunning, invoices,
    ledger::{self, LedgerAccount},
    partners,
    row::ReadRow as _,
    thresholds,
};
use domain::{
    id::{CreditNoteId, InvoiceId, PartnerId},
    money::{Currency, Money},
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Postgres, Row as _, Transaction};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What was looked at when somebody says to issue it.
#[derive(Debug, Clone, Copy)]
pub struct Issue {
    /// Whether the invoice was shown as paid: then money goes back, and else less is owed.
    pub seen_paid: bool,
    /// Whether it takes two operators.
    pub four_eyes: bool,
}

/// What is locked of an invoice.
struct Held {
    status: InvoiceStatus,
    currency: Currency,
    total: Money,
    /// Text and amount of each line.
    lines: BTreeMap<i32, (String, i64)>,
}

impl Store {
    /// Keeps a credit note to be looked at. Nothing is credited yet.
    ///
    /// # Errors
    /// There is no such invoice or line, it would take more than is left, or it takes two people and a token asks.
    pub async fn draft_credit_note(
        &self,
        partner: PartnerId,
        new: &NewCreditNote,
        four_eyes: bool,
        actor: Actor,
        now: Timestamp,
    ) -> Result<CreditNoteId, StoreError> {
        let mut tx = self.begin().await?;
        let id = draft(&mut tx, partner, new, four_eyes, actor, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// As [`Store::draft_credit_note`], at most once for this attempt of an API call ([`crate::ApiRequest::Fresh`]).
    ///
    /// # Errors
    /// As there; or another attempt has taken the call over.
    pub async fn draft_credit_note_once(
        &self,
        partner: PartnerId,
        (new, attempt): (&NewCreditNote, Uuid),
        four_eyes: bool,
        actor: Actor,
        now: Timestamp,
    ) -> Result<CreditNoteId, StoreError> {
        let mut tx = self.begin().await?;
        let id = draft(&mut tx, partner, new, four_eyes, actor, now).await?;
        api_requests::made(&mut tx, attempt, id.0).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Issues it, once: number, ledger, audit log, and for a void the invoice's status. False where it was issued already.
    ///
    /// # Errors
    /// It was discarded, it would take more than is left by now, the invoice was paid or became void since it was looked at, or its maker
    /// issues it although it takes two.
    pub async fn issue_credit_note(
        &self,
        partner: PartnerId,
        id: CreditNoteId,
        issue: Issue,
        actor: Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        disputes::answers_none(&mut tx, partner, id).await?;
        let issued = self::issue(&mut tx, partner, id, issue, actor, now).await?;
        tx.commit().await?;
        Ok(issued)
    }

    /// Gives a draft up.
    ///
    /// # Errors
    /// It is no draft any more.
    pub async fn discard_credit_note(
        &self,
        partner: PartnerId,
        id: CreditNoteId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        discard(&mut tx, partner, id, actor, now).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Keeps one in the caller's transaction.
pub(crate) async fn draft(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    new: &NewCreditNote,
    four_eyes: bool,
    actor: Actor,
    now: Timestamp,
) -> Result<CreditNoteId, StoreError> {
    if four_eyes && !matches!(actor, Actor::Operator(_)) {
        return Err(of_people());
    }
    let reason = new.reason.trim();
    if reason.is_empty() || reason.chars().count() > 500 {
        return Err(StoreError::invalid("reason", "Say why, in at most 500 characters"));
    }
    let held = hold(tx, partner, new.invoice).await?;
    if new.payback == Payback::Outside && held.status != InvoiceStatus::Paid {
        let message = "The invoice is not paid: so much less of it is owed, and nothing is paid back";
        return Err(StoreError::invalid("payback", message));
    }
    let lines = match new.kind {
        CreditKind::Credit => new.lines.clone(),
        CreditKind::Void => {
            let amount = standing(tx, partner, new.invoice).await?.left();
            vec![NewCreditLine { invoice_position: None, amount }]
        }
    };
    fits(tx, partner, new.invoice, (new.kind, &lines), &held).await?;
    let sells_units = sold::of_invoice(tx, partner, new.invoice).await?.is_some();
    if sells_units && new.kind == CreditKind::Credit && held.status != InvoiceStatus::Paid {
        let message = "Prepaid units are sold whole: make the invoice void, and let them buy what they want";
        return Err(StoreError::conflict("", message));
    }
    let total: i64 = lines.iter().map(|line| line.amount.micros).sum();
    let id = CreditNoteId(Uuid::now_v7());
    sqlx::query(
        "insert into credit_notes (partner_id, id, invoice_id, kind, state, currency, total_micros, payback, reason,
             made_by_kind, made_by, made_at, updated_at)
         values ($1, $2, $3, $4, 'draft', $5, $6, $7, $8, $9, $10, $11, $11)",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(new.invoice.0)
    .bind(new.kind.code())
    .bind(held.currency.code())
    .bind(total)
    .bind(new.payback.code())
    .bind(reason)
    .bind(actor.kind())
    .bind(actor.id())
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    for (position, line) in (0_i32..).zip(&lines) {
        let of = line.invoice_position.and_then(|position| held.lines.get(&position));
        let description = of.map_or("Amount of the invoice", |(text, _)| text.as_str());
        sqlx::query(
            "insert into credit_note_lines (partner_id, credit_note_id, position, invoice_position, description, amount_micros)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(partner.0)
        .bind(id.0)
        .bind(position)
        .bind(line.invoice_position)
        .bind(description)
        .bind(line.amount.micros)
        .execute(&mut **tx)
        .await?;
    }
    let subject = id.to_string();
    let after = json!({"invoice": new.invoice, "kind": new.kind, "total_micros": total, "payback": new.payback, "reason": reason});
    audit::append(tx, Entry::new(actor, partner, "credit_note.draft", &subject).after(after), now).await?;
    Ok(id)
}

/// Issues one for a partner whose row is held.
pub(crate) async fn issue(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    id: CreditNoteId,
    issue: Issue,
    actor: Actor,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (note, lines) = locked(tx, partner, id).await?;
    match note.state {
        CreditState::Draft => {}
        CreditState::Issued => return Ok(false),
        CreditState::Discarded => return Err(StoreError::conflict("", "This credit note was discarded")),
    }
    if issue.four_eyes {
        by_another(&note, actor)?;
    }
    let held = hold(tx, partner, note.invoice).await?;
    let was_paid = held.status == InvoiceStatus::Paid;
    if was_paid != issue.seen_paid {
        return Err(StoreError::conflict(
            "",
            "The invoice was paid in the meantime, or was not when you looked. Look again at what would happen",
        ));
    }
    fits(tx, partner, note.invoice, (note.kind, &lines), &held).await?;
    let back = Money::new(note.total.currency, -note.total.micros);
    let number: Option<i64> = match note.kind {
        CreditKind::Credit => {
            let sold = sold::of_invoice(tx, partner, note.invoice).await?;
            if let Some(sold) = &sold {
                sold.take_back(tx, partner, (note.total, &format!("credit_note:{id}:units")), now).await?;
            }
            if standing(tx, partner, note.invoice).await?.left().micros <= note.total.micros {
                fee_bonus::take_back(tx, partner, note.invoice, now).await?;
            }
            // The units' money has gone to breakage.
            let from = if sold.is_some() { LedgerAccount::Breakage } else { LedgerAccount::Revenue };
            // What is not owed any more, or goes back.
            let account = if was_paid { LedgerAccount::Cash } else { LedgerAccount::Receivable };
            let entries = [(from, note.total), (account, back)];
            ledger::post(tx, partner, &format!("credit_note:{id}"), "Credit note", &entries, now).await?;
            sqlx::query_scalar("select next_document_number('credit_note')").fetch_one(&mut **tx).await?
        }
        CreditKind::Void => {
            invoices::become_void(tx, partner, note.invoice, now).await?;
            None
        }
    };
    sqlx::query(
        "update credit_notes set state = 'issued', number = $3, was_paid = $4, ended_by_kind = $5, ended_by = $6, ended_at = $7,
             updated_at = $7
         where partner_id = $1 and id = $2",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(number)
    .bind(was_paid)
    .bind(actor.kind())
    .bind(actor.id())
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    let subject = id.to_string();
    let after =
        json!({"invoice": note.invoice, "number": number, "total_micros": note.total.micros, "was_paid": was_paid});
    let action = if note.kind == CreditKind::Void { "invoice.void" } else { "credit_note.issue" };
    audit::append(tx, Entry::new(actor, partner, action, &subject).after(after), now).await?;
    dunning::settle(tx, partner, actor, now).await?;
    Ok(true)
}

/// Gives a draft up in the caller's transaction.
pub(crate) async fn discard(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    id: CreditNoteId,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (note, _) = locked(tx, partner, id).await?;
    if note.state != CreditState::Draft {
        return Err(StoreError::conflict("", format!("This credit note is {}; only a draft is discarded", note.state)));
    }
    sqlx::query(
        "update credit_notes set state = 'discarded', ended_by_kind = $3, ended_by = $4, ended_at = $5, updated_at = $5
         where partner_id = $1 and id = $2",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(actor.kind())
    .bind(actor.id())
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    let subject = id.to_string();
    audit::append(tx, Entry::new(actor, partner, "credit_note.discard", &subject), now).await?;
    Ok(())
}

/// Whoever credits the same invoice at once waits here.
async fn hold(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    invoice: InvoiceId,
) -> Result<Held, StoreError> {
    let row =
        sqlx::query("select status, currency, total_micros from invoices where partner_id = $1 and id = $2 for update")
            .bind(partner.0)
            .bind(invoice.0)
            .fetch_one(&mut **tx)
            .await?;
    let rows = sqlx::query(
        "select position, description, amount_micros from invoice_lines where partner_id = $1 and invoice_id = $2",
    )
    .bind(partner.0)
    .bind(invoice.0)
    .fetch_all(&mut **tx)
    .await?;
    let currency: Currency = row.parsed("currency")?;
    let mut lines = BTreeMap::new();
    for row in rows {
        lines.insert(row.try_get("position")?, (row.try_get("description")?, row.try_get("amount_micros")?));
    }
    Ok(Held {
        status: row.parsed("status")?,
        currency,
        total: Money::new(currency, row.try_get("total_micros")?),
        lines,
    })
}

async fn locked(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    id: CreditNoteId,
) -> Result<(CreditNote, Vec<NewCreditLine>), StoreError> {
    sqlx::query("select from credit_notes where partner_id = $1 and id = $2 for update")
        .bind(partner.0)
        .bind(id.0)
        .fetch_one(&mut **tx)
        .await?;
    let row = sqlx::query(read::credit_notes!("where c.partner_id = $1 and c.id = $2"))
        .bind(partner.0)
        .bind(id.0)
        .fetch_one(&mut **tx)
        .await?;
    let note = read::read(&row)?;
    let rows = sqlx::query(
        "select invoice_position, amount_micros from credit_note_lines where partner_id = $1 and credit_note_id = $2
         order by position",
    )
    .bind(partner.0)
    .bind(id.0)
    .fetch_all(&mut **tx)
    .await?;
    let line = |row: &sqlx::postgres::PgRow| {
        let amount = Money::new(note.total.currency, row.try_get("amount_micros")?);
        Ok::<_, sqlx::Error>(NewCreditLine { invoice_position: row.try_get("invoice_position")?, amount })
    };
    let lines = rows.iter().map(line).collect::<Result<_, _>>()?;
    Ok((note, lines))
}

/// Whether the invoice can be credited like that, as it stands now.
async fn fits(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    invoice: InvoiceId,
    (kind, lines): (CreditKind, &[NewCreditLine]),
    held: &Held,
) -> Result<(), StoreError> {
    if held.status == InvoiceStatus::Void {
        return Err(StoreError::conflict("", "The invoice is void: there is nothing to credit"));
    }
    if kind == CreditKind::Void && held.status == InvoiceStatus::Paid {
        return Err(StoreError::conflict("", "The invoice is paid: credit it in place of making it void"));
    }
    let standing = standing(tx, partner, invoice).await?;
    let left = standing.left();
    if held.total.micros <= 0 || left.micros == 0 {
        return Err(StoreError::conflict("", "Nothing is left on this invoice to credit"));
    }
    if lines.is_empty() {
        return Err(StoreError::invalid("amount", "Say how much"));
    }
    let mut of_line: BTreeMap<i32, i64> = standing.by_line.iter().map(|(line, money)| (*line, money.micros)).collect();
    let mut total: i64 = 0;
    for line in lines {
        let Money { currency, micros } = line.amount;
        if currency != held.currency {
            return Err(StoreError::invalid("amount", format!("The invoice is in {}", held.currency)));
        }
        if micros <= 0 || line.amount.minor_units().is_none() {
            return Err(StoreError::invalid("amount", "Write an amount above zero, in whole coins"));
        }
        total = total.checked_add(micros).ok_or_else(|| StoreError::invalid("amount", "The amount is too large"))?;
        let Some(position) = line.invoice_position else { continue };
        let (_, billed) =
            held.lines.get(&position).ok_or_else(|| StoreError::invalid("line", "There is no such line"))?;
        let own = thresholds::own_part(tx, partner, invoice, position).await?;
        let billed = own.as_ref().map_or(*billed, |own| own.amount.micros);
        let credited = of_line.entry(position).or_insert(0);
        *credited = credited.saturating_add(micros);
        if *credited > billed {
            let left = Money::new(held.currency, billed.saturating_sub(*credited).saturating_add(micros).max(0));
            let rest = own.and_then(|own| own.rest).map(|rest| format!(": {rest}")).unwrap_or_default();
            return Err(StoreError::conflict("amount", format!("Of this line {left} is left to credit{rest}")));
        }
    }
    if total > left.micros {
        return Err(StoreError::conflict("amount", format!("Of this invoice {left} is left to credit")));
    }
    if kind == CreditKind::Void && total != left.micros {
        return Err(StoreError::conflict("", "Some of the invoice was credited in the meantime. Make a new draft"));
    }
    Ok(())
}

fn by_another(note: &CreditNote, actor: Actor) -> Result<(), StoreError> {
    match actor {
        Actor::Operator(id) if note.made_by != (actor.kind().to_owned(), Some(id.0)) => Ok(()),
        Actor::Operator(_) => Err(StoreError::conflict("", "It takes two: another operator has to issue it")),
        _ => Err(of_people()),
    }
}

fn of_people() -> StoreError {
    StoreError::conflict("", "It takes two operators here, and nobody knows who uses a token")
}
