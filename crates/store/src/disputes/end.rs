//! How a dispute ends: accepted with a credit note, refused with an answer, or withdrawn.

use super::{Dispute, DisputeNews, DisputeState, Letters, read, told};
use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    credit_notes::{self, CreditKind, CreditState, Issue, NewCreditLine, NewCreditNote, Payback},
    dunning, mails, partners,
};
use domain::{
    id::{CreditNoteId, DisputeId, PartnerId},
    money::Money,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{PgConnection, Postgres, Transaction};

/// What is accepted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    /// At most what is disputed; all of it where it is left out. Of no meaning where a draft waits.
    pub amount: Option<Money>,
    pub payback: Payback,
    /// Whether the invoice was shown as paid.
    pub seen_paid: bool,
    /// Whether it takes two operators.
    pub four_eyes: bool,
    /// The partner reads this; may be empty.
    pub answer: String,
}

/// What accepting did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// The credit note is a draft, and another operator has to agree.
    Drafted(CreditNoteId),
    /// The credit note is issued.
    Credited(CreditNoteId),
}

impl Store {
    /// Accepts it: a credit note over the line, once. Asked again it says what was done.
    ///
    /// # Errors
    /// It was refused or withdrawn, more is left neither of the line nor disputed, the invoice was paid since it was looked at, or it takes
    /// two operators and the same one asks again.
    pub async fn accept_dispute(
        &self,
        partner: PartnerId,
        id: DisputeId,
        (accept, letters): (&Accept, Letters<'_>),
        actor: Actor,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        let answer = match accept.answer.trim() {
            "" => None,
            text => Some(told("answer", text, "Write an answer")?),
        };
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        let dispute = locked(&mut tx, partner, id).await?;
        match (dispute.state, dispute.credit_note) {
            (DisputeState::Accepted, Some(note)) => return Ok(Accepted::Credited(note)),
            (DisputeState::Open, _) => {}
            (state, _) => return Err(over(state)),
        }
        let (note, answer) = match drafted(&mut tx, &dispute).await? {
            // What the first operator wrote, unless the second one writes something else.
            Some(note) => (note, answer.or(dispute.drafted_answer.as_deref())),
            None => {
                let note = draft(&mut tx, &dispute, (accept, answer), actor, now).await?;
                if accept.four_eyes {
                    tx.commit().await?;
                    return Ok(Accepted::Drafted(note));
                }
                (note, answer)
            }
        };
        // First: what it disputes must not count as not owed beside what is credited.
        end(&mut tx, &dispute, (DisputeState::Accepted, answer), actor, now).await?;
        let issue = Issue { seen_paid: accept.seen_paid, four_eyes: accept.four_eyes };
        credit_notes::issue(&mut tx, partner, note, issue, actor, now).await?;
        tell_again(&mut tx, &dispute, letters, now).await?;
        tx.commit().await?;
        Ok(Accepted::Credited(note))
    }

    /// Refuses it with an answer.
    ///
    /// # Errors
    /// It has ended, or no answer is given.
    pub async fn refuse_dispute(
        &self,
        partner: PartnerId,
        id: DisputeId,
        (answer, letters): (&str, Letters<'_>),
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let answer = told("answer", answer, "Say why, for the partner")?;
        self.end_dispute(partner, id, (DisputeState::Refused, Some(answer)), letters, actor, now).await
    }

    /// Withdraws it, for the partner.
    ///
    /// # Errors
    /// It has ended.
    pub async fn withdraw_dispute(
        &self,
        partner: PartnerId,
        id: DisputeId,
        letters: Letters<'_>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.end_dispute(partner, id, (DisputeState::Withdrawn, None), letters, actor, now).await
    }

    async fn end_dispute(
        &self,
        partner: PartnerId,
        id: DisputeId,
        (state, answer): (DisputeState, Option<&str>),
        letters: Letters<'_>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        let dispute = locked(&mut tx, partner, id).await?;
        if dispute.state != DisputeState::Open {
            return Err(over(dispute.state));
        }
        if let Some(note) = drafted(&mut tx, &dispute).await? {
            credit_notes::discard(&mut tx, partner, note, actor, now).await?;
        }
        end(&mut tx, &dispute, (state, answer), actor, now).await?;
        match state {
            DisputeState::Withdrawn => dunning::resume(&mut tx, partner, actor, now).await?,
            _ => dunning::settle(&mut tx, partner, actor, now).await?,
        }
        tell_again(&mut tx, &dispute, letters, now).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Refuses to issue the draft that answers an open dispute by itself: the dispute would stay open beside it.
pub(crate) async fn answers_none(
    tx: &mut PgConnection,
    partner: PartnerId,
    note: CreditNoteId,
) -> Result<(), StoreError> {
    let answers: bool = sqlx::query_scalar(
        "select exists (select from disputes where partner_id = $1 and credit_note_id = $2 and state = 'open')",
    )
    .bind(partner.0)
    .bind(note.0)
    .fetch_one(tx)
    .await?;
    if answers {
        return Err(StoreError::conflict("", "This draft answers a dispute: accept that, and it is issued"));
    }
    Ok(())
}

async fn locked(tx: &mut PgConnection, partner: PartnerId, id: DisputeId) -> Result<Dispute, StoreError> {
    sqlx::query("select from disputes where partner_id = $1 and id = $2 for update")
        .bind(partner.0)
        .bind(id.0)
        .fetch_one(&mut *tx)
        .await?;
    read::one(tx, partner, id).await
}

/// The draft that waits for another operator.
async fn drafted(
    tx: &mut Transaction<'static, Postgres>,
    dispute: &Dispute,
) -> Result<Option<CreditNoteId>, StoreError> {
    let Some(note) = dispute.credit_note else { return Ok(None) };
    let state = credit_notes::state_of(tx, dispute.partner, note).await?;
    Ok((state == CreditState::Draft).then_some(note))
}

async fn draft(
    tx: &mut Transaction<'static, Postgres>,
    dispute: &Dispute,
    (accept, answer): (&Accept, Option<&str>),
    actor: Actor,
    now: Timestamp,
) -> Result<CreditNoteId, StoreError> {
    let amount = accept.amount.unwrap_or(dispute.amount);
    if amount.currency != dispute.amount.currency || amount.micros > dispute.amount.micros {
        return Err(StoreError::invalid("amount", format!("{} is disputed: accept at most that", dispute.amount)));
    }
    let new = NewCreditNote {
        invoice: dispute.invoice,
        kind: CreditKind::Credit,
        lines: vec![NewCreditLine { invoice_position: Some(dispute.position), amount }],
        payback: accept.payback,
        reason: format!("Disputed: {}", dispute.description).chars().take(500).collect(),
    };
    let note = credit_notes::draft(tx, dispute.partner, &new, accept.four_eyes, actor, now).await?;
    sqlx::query("update disputes set credit_note_id = $3, answer = $4 where partner_id = $1 and id = $2")
        .bind(dispute.partner.0)
        .bind(dispute.id.0)
        .bind(note.0)
        .bind(answer)
        .execute(&mut **tx)
        .await?;
    let subject = dispute.id.to_string();
    let after = json!({"credit_note": note, "amount": amount.to_string(), "answer": answer});
    audit::append(tx, Entry::new(actor, dispute.partner, "dispute.draft", &subject).after(after), now).await?;
    Ok(note)
}

async fn end(
    tx: &mut PgConnection,
    dispute: &Dispute,
    (state, answer): (DisputeState, Option<&str>),
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Dispute { partner, id, .. } = *dispute;
    sqlx::query(
        "update disputes set state = $3, answer = $4, ended_by_kind = $5, ended_by = $6, ended_at = $7
         where partner_id = $1 and id = $2",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(state.code())
    .bind(answer)
    .bind(actor.kind())
    .bind(actor.id())
    .bind(Ts(now))
    .execute(&mut *tx)
    .await?;
    let action = match state {
        DisputeState::Accepted | DisputeState::Open => "dispute.accept",
        DisputeState::Refused => "dispute.refuse",
        DisputeState::Withdrawn => "dispute.withdraw",
    };
    let subject = id.to_string();
    let after = json!({"state": state.code(), "answer": answer});
    audit::append(tx, Entry::new(actor, partner, action, &subject).after(after), now).await
}

/// Queues the letters about it as it is by now.
async fn tell_again(
    tx: &mut PgConnection,
    dispute: &Dispute,
    letters: Letters<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ended = read::one(tx, dispute.partner, dispute.id).await?;
    tell(tx, &ended, letters, now).await
}

/// Queues the letters about it.
pub(super) async fn tell(
    tx: &mut PgConnection,
    dispute: &Dispute,
    letters: Letters<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let members = sqlx::query_scalar(
        "select array(select email from members where partner_id = $1 and role in ('owner', 'admin', 'billing')
             and email_verified_at is not null and disabled_at is null order by email)",
    )
    .bind(dispute.partner.0)
    .fetch_one(&mut *tx)
    .await?;
    let operators = sqlx::query_scalar(
        "select array(select email from operators where role = 'admin' and disabled_at is null order by email)",
    )
    .fetch_one(&mut *tx)
    .await?;
    for letter in letters(&DisputeNews { dispute: dispute.clone(), members, operators }) {
        mails::queue(tx, &letter, now).await?;
    }
    Ok(())
}

fn over(state: DisputeState) -> StoreError {
    StoreError::conflict("", format!("This dispute is {state}; nothing more can be done about it"))
}
