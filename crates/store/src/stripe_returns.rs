//! Money that went back at Stripe and not by a credit note of ours. Each is taken over once, by Stripe's name of it: a credit note of ours has
//! it, with the units that it paid for; what cannot be taken over waits for a person.

mod carried;
mod own;

use crate::{
    InvoiceStatus, Store, StoreError, Ts,
    audit::Actor,
    credit_notes::{self, CreditKind, Issue, NewCreditLine, NewCreditNote, Payback},
    partners,
    row::{ReadRow as _, unreadable},
};
use carried::{is_closed, is_to_carry, of_void};
use domain::{
    id::{CreditNoteId, InvoiceId, PartnerId},
    money::Money,
};
use jiff::Timestamp;
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};

/// How money went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnKind {
    Refund,
    CreditNote,
    /// The holder of the card disputes the payment.
    Dispute,
}

/// How far it is at Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    /// It is not decided whether it goes back.
    Open,
    /// It has gone back.
    Back,
    /// It has not, after all: a dispute that was won, a refund that failed, a credit note that was made void.
    Kept,
}

/// What Stripe says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeReturn {
    /// As `re_…`, `cn_…` or `du_…`.
    pub stripe_id: String,
    pub kind: ReturnKind,
    /// Above zero, in whole coins.
    pub amount: Money,
    pub returned: Returned,
    /// How much of it was taken off before the invoice was paid at Stripe, so that nobody paid it. The rest went back to whoever paid.
    pub unpaid: Money,
    /// In Stripe's words, or of whoever made it; may be empty.
    pub reason: String,
}

/// How far it is with us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnState {
    Open,
    Taken,
    Undecided,
    Over,
}

/// One as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldReturn {
    pub partner: PartnerId,
    pub invoice: InvoiceId,
    pub stripe_id: String,
    pub kind: ReturnKind,
    pub amount: Money,
    pub state: ReturnState,
    /// What a person has to know; empty where nothing is to be done.
    pub problem: String,
    /// The credit note that has it.
    pub credit_note: Option<CreditNoteId>,
    /// The invoices after a threshold invoice that was void by then take it off.
    pub is_carried: bool,
}

/// What becomes of one.
struct Outcome {
    state: ReturnState,
    problem: String,
    credit_note: Option<CreditNoteId>,
    is_carried: bool,
}

impl Outcome {
    const fn new(state: ReturnState, problem: String) -> Self {
        Self { state, problem, credit_note: None, is_carried: false }
    }
}

impl ReturnKind {
    const ALL: [Self; 3] = [Self::Refund, Self::CreditNote, Self::Dispute];

    const fn code(self) -> &'static str {
        match self {
            Self::Refund => "refund",
            Self::CreditNote => "credit_note",
            Self::Dispute => "dispute",
        }
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Refund => "refund",
            Self::CreditNote => "credit note",
            Self::Dispute => "dispute",
        }
    }
}

impl ReturnState {
    const ALL: [Self; 4] = [Self::Open, Self::Taken, Self::Undecided, Self::Over];

    const fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Taken => "taken",
            Self::Undecided => "undecided",
            Self::Over => "over",
        }
    }
}

impl Store {
    /// Takes one over as it is now, once; the same again changes nothing. What cannot be taken over is noted with the reason.
    pub async fn take_stripe_return(
        &self,
        (partner, invoice): (PartnerId, InvoiceId),
        back: &StripeReturn,
        now: Timestamp,
    ) -> Result<HeldReturn, StoreError> {
        let why = match self.try_to_take(partner, invoice, back, now).await {
            Ok(held) => return Ok(held),
            Err(StoreError::Conflict { message, .. } | StoreError::Invalid { message, .. }) => message,
            Err(error) => return Err(error),
        };
        let problem = not_taken(back, &why);
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        let held = match held(&mut tx, partner, &back.stripe_id).await? {
            Some(held) if matches!(held.state, ReturnState::Taken | ReturnState::Over) => held,
            _ => {
                let outcome = Outcome::new(ReturnState::Undecided, problem);
                note(&mut tx, (partner, invoice), back, outcome, now).await?
            }
        };
        tx.commit().await?;
        Ok(held)
    }

    async fn try_to_take(
        &self,
        partner: PartnerId,
        invoice: InvoiceId,
        back: &StripeReturn,
        now: Timestamp,
    ) -> Result<HeldReturn, StoreError> {
        let mut tx = self.begin().await?;
        // Who hears of it twice at once waits here.
        partners::lock(&mut tx, partner).await?;
        let before = held(&mut tx, partner, &back.stripe_id).await?;
        let outcome = match (back.returned, before) {
            (Returned::Back, Some(held)) if held.state == ReturnState::Taken => return Ok(held),
            // A server of a version before carries nothing.
            (Returned::Back, Some(held))
                if held.state == ReturnState::Over && !is_to_carry(&mut tx, (partner, invoice), back).await? =>
            {
                return Ok(held);
            }
            (Returned::Back, _) => match status(&mut tx, partner, invoice).await? {
                InvoiceStatus::Void => of_void(&mut tx, (partner, invoice), back).await?,
                status => {
                    let id = credit(&mut tx, (partner, invoice), back, status == InvoiceStatus::Paid, now).await?;
                    Outcome { credit_note: Some(id), ..Outcome::new(ReturnState::Taken, String::new()) }
                }
            },
            (Returned::Open, Some(held)) if held.state != ReturnState::Open => return Ok(held),
            (Returned::Open, _) => {
                let problem = format!(
                    "The payment is disputed at Stripe ({}, {}{}): answer it there. If it is lost, it is taken over here",
                    back.stripe_id,
                    back.amount,
                    said(&back.reason)
                );
                Outcome::new(ReturnState::Open, problem)
            }
            (Returned::Kept, Some(held)) if held.is_carried => {
                if is_closed(&mut tx, partner, invoice).await? == Some(false) {
                    Outcome::new(ReturnState::Over, String::new())
                } else {
                    let problem = format!(
                        "Stripe's {} {} of {} does not count after all, and the last invoice of its period takes it off: bill it anew",
                        back.kind.text(),
                        back.stripe_id,
                        back.amount
                    );
                    Outcome { is_carried: true, ..Outcome::new(ReturnState::Taken, problem) }
                }
            }
            (Returned::Kept, Some(held)) if held.state == ReturnState::Taken => {
                let problem = match own::of_unpaid(&mut tx, (partner, invoice), held.credit_note, back).await? {
                    Some(problem) => problem,
                    None => format!(
                        "Stripe's {} {} of {} did not go back after all, and a credit note has it here: bill it anew",
                        back.kind.text(),
                        back.stripe_id,
                        back.amount
                    ),
                };
                Outcome { credit_note: held.credit_note, ..Outcome::new(ReturnState::Taken, problem) }
            }
            (Returned::Kept, Some(_)) => Outcome::new(ReturnState::Over, String::new()),
            (Returned::Kept, None) => {
                tx.rollback().await?;
                return Ok(unheard(partner, invoice, back));
            }
        };
        let held = note(&mut tx, (partner, invoice), back, outcome, now).await?;
        tx.commit().await?;
        Ok(held)
    }

    /// Those of the invoice.
    pub async fn stripe_returns_of(
        &self,
        partner: PartnerId,
        invoice: InvoiceId,
    ) -> Result<Vec<HeldReturn>, StoreError> {
        let rows = sqlx::query(
            "select * from stripe_returns where partner_id = $1 and invoice_id = $2 order by first_seen_at, stripe_id",
        )
        .bind(partner.0)
        .bind(invoice.0)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// All that a person has to know of, or that is not decided, the oldest first.
    pub async fn all_partners_stripe_returns_to_look_at(&self, at_most: u32) -> Result<Vec<HeldReturn>, StoreError> {
        let rows = sqlx::query(
            "select * from stripe_returns where state in ('open', 'undecided') or problem <> ''
             order by updated_at, partner_id, stripe_id limit $1",
        )
        .bind(i64::from(at_most))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// All that a person has to know of, by partner and name; `after` is the last one of those that were read before.
    pub async fn all_partners_stripe_returns_with_problems(
        &self,
        after: Option<&HeldReturn>,
        at_most: u32,
    ) -> Result<Vec<HeldReturn>, StoreError> {
        let rows = sqlx::query(
            "select * from stripe_returns
             where problem <> '' and ($1::uuid is null or (partner_id, stripe_id) > ($1, $2::text))
             order by partner_id, stripe_id limit $3",
        )
        .bind(after.map(|last| last.partner.0))
        .bind(after.map(|last| last.stripe_id.as_str()))
        .bind(i64::from(at_most))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Which of these are known, by Stripe's names, and taken over or over; of those that Stripe says are `undone`, only what is over. What was
    /// credited of a threshold invoice that is void is not among them where nobody carries it: a server of a version before may have noted it.
    pub async fn all_partners_settled_returns(
        &self,
        names: &[String],
        undone: &[String],
    ) -> Result<Vec<String>, StoreError> {
        let known = sqlx::query_scalar(
            "select r.stripe_id from stripe_returns r
             where r.stripe_id = any($1) and (r.state = 'over' or r.state = 'taken' and r.stripe_id <> all($2)) and r.problem = ''
                 and not (r.state = 'over' and r.kind = 'credit_note' and exists (select from invoices i
                     where i.partner_id = r.partner_id and i.id = r.invoice_id and i.status = 'void' and i.threshold_number > 0))",
        );
        Ok(known.bind(names).bind(undone).fetch_all(self.pool()).await?)
    }
}

/// One that never came to anything here.
fn unheard(partner: PartnerId, invoice: InvoiceId, back: &StripeReturn) -> HeldReturn {
    HeldReturn {
        partner,
        invoice,
        stripe_id: back.stripe_id.clone(),
        kind: back.kind,
        amount: back.amount,
        state: ReturnState::Over,
        problem: String::new(),
        credit_note: None,
        is_carried: false,
    }
}

fn not_taken(back: &StripeReturn, why: &str) -> String {
    format!("Stripe's {} {} of {} is not taken over: {why}", back.kind.text(), back.stripe_id, back.amount)
}

fn said(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(", {reason}") }
}

/// Issues a credit note that Stripe need not be told of.
async fn credit(
    tx: &mut Transaction<'static, Postgres>,
    (partner, invoice): (PartnerId, InvoiceId),
    back: &StripeReturn,
    was_paid: bool,
    now: Timestamp,
) -> Result<CreditNoteId, StoreError> {
    let what = match back.kind {
        ReturnKind::Refund => "Refunded at Stripe",
        ReturnKind::CreditNote => "Credited at Stripe",
        ReturnKind::Dispute => "Charged back by the holder of the card",
    };
    let reason: String = format!("{what} ({}{})", back.stripe_id, said(&back.reason)).chars().take(500).collect();
    let new = NewCreditNote {
        invoice,
        kind: CreditKind::Credit,
        lines: vec![NewCreditLine { invoice_position: None, amount: back.amount }],
        payback: if was_paid { Payback::Outside } else { Payback::Refund },
        reason,
    };
    let id = credit_notes::draft(tx, partner, &new, false, Actor::System, now).await?;
    let issue = Issue { seen_paid: was_paid, four_eyes: false };
    credit_notes::issue(tx, partner, id, issue, Actor::System, now).await?;
    sqlx::query("update credit_notes set pushed_at = $3 where partner_id = $1 and id = $2")
        .bind(partner.0)
        .bind(id.0)
        .bind(Ts(now))
        .execute(&mut **tx)
        .await?;
    Ok(id)
}

async fn status(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    invoice: InvoiceId,
) -> Result<InvoiceStatus, StoreError> {
    let row = sqlx::query("select status from invoices where partner_id = $1 and id = $2 for update")
        .bind(partner.0)
        .bind(invoice.0)
        .fetch_one(&mut **tx)
        .await?;
    Ok(row.parsed("status")?)
}

async fn held(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    stripe_id: &str,
) -> Result<Option<HeldReturn>, StoreError> {
    let row = sqlx::query("select * from stripe_returns where partner_id = $1 and stripe_id = $2 for update")
        .bind(partner.0)
        .bind(stripe_id)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(row.as_ref().map(read).transpose()?)
}

async fn note(
    tx: &mut Transaction<'static, Postgres>,
    (partner, invoice): (PartnerId, InvoiceId),
    back: &StripeReturn,
    outcome: Outcome,
    now: Timestamp,
) -> Result<HeldReturn, StoreError> {
    let row = sqlx::query(
        "insert into stripe_returns (partner_id, stripe_id, invoice_id, kind, currency, amount_micros, state, problem, credit_note_id,
             is_carried, first_seen_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
         on conflict (partner_id, stripe_id) do update set amount_micros = excluded.amount_micros, state = excluded.state,
             problem = excluded.problem, credit_note_id = excluded.credit_note_id, is_carried = excluded.is_carried,
             updated_at = excluded.updated_at
         returning *",
    )
    .bind(partner.0)
    .bind(&back.stripe_id)
    .bind(invoice.0)
    .bind(back.kind.code())
    .bind(back.amount.currency.code())
    .bind(back.amount.micros)
    .bind(outcome.state.code())
    .bind(outcome.problem)
    .bind(outcome.credit_note.map(|id| id.0))
    .bind(outcome.is_carried)
    .bind(Ts(now))
    .fetch_one(&mut **tx)
    .await?;
    Ok(read(&row)?)
}

fn read(row: &PgRow) -> Result<HeldReturn, sqlx::Error> {
    let (kind, state): (&str, &str) = (row.try_get("kind")?, row.try_get("state")?);
    let known = |column: &str| unreadable(column, "it is not known");
    Ok(HeldReturn {
        partner: PartnerId(row.try_get("partner_id")?),
        invoice: InvoiceId(row.try_get("invoice_id")?),
        stripe_id: row.try_get("stripe_id")?,
        kind: ReturnKind::ALL.into_iter().find(|held| held.code() == kind).ok_or_else(|| known("kind"))?,
        amount: Money::new(row.parsed("currency")?, row.try_get("amount_micros")?),
        state: ReturnState::ALL.into_iter().find(|held| held.code() == state).ok_or_else(|| known("state"))?,
        problem: row.try_get("problem")?,
        credit_note: row.try_get::<Option<uuid::Uuid>, _>("credit_note_id")?.map(CreditNoteId),
        is_carried: row.try_get("is_carried")?,
    })
}

#[cfg(test)]
mod tests;
