//! Disputes: a partner says that a line of an invoice is wrong, and about how much.
//!
//! Whoever opens, accepts, refuses or withdraws one holds the partner's row first, as whoever pays or credits does. An open one holds
//! back what follows if the invoice is not paid, up to its amount. Accepting it issues a credit note over the line in the same
//! transaction, so it is credited once; where that takes two operators, the first one's step is a draft.

mod end;
mod open;
mod read;

use crate::{NewMail, StoreError};
use domain::{
    id::{CreditNoteId, DisputeId, InvoiceId, PartnerId},
    money::Money,
};
use jiff::Timestamp;
use std::{fmt, str::FromStr};

pub(crate) use end::answers_none;
pub use end::{Accept, Accepted};
pub use open::{MOST_IN_VAIN, NewDispute};

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisputeState {
    Open,
    /// A credit note was issued.
    Accepted,
    Refused,
    /// By the partner.
    Withdrawn,
}

impl DisputeState {
    pub const ALL: [Self; 4] = [Self::Open, Self::Accepted, Self::Refused, Self::Withdrawn];

    /// As the table has it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl fmt::Display for DisputeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for DisputeState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|state| state.code() == text);
        known.ok_or_else(|| format!("{text:?} is not the state of a dispute"))
    }
}

/// A dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    pub id: DisputeId,
    pub partner: PartnerId,
    pub partner_name: String,
    pub invoice: InvoiceId,
    pub invoice_number: i64,
    /// IANA name: the zone in which its days are shown.
    pub time_zone: String,
    /// The line's.
    pub position: i32,
    pub description: String,
    pub billed: Money,
    /// How much of the line is disputed.
    pub amount: Money,
    pub reason: String,
    pub state: DisputeState,
    pub opened_at: Timestamp,
    /// What the provider says.
    pub answer: Option<String>,
    pub ended_at: Option<Timestamp>,
    /// The credit note that accepts it; a draft while it is open.
    pub credit_note: Option<CreditNoteId>,
    /// What that credit note took off, once it is issued: at most what was disputed.
    pub credited: Option<Money>,
    /// Of that draft, who made it: kind and identifier as the audit log has them.
    pub drafted_by: Option<(String, Option<uuid::Uuid>)>,
    /// With that draft, what the partner is to read when it is issued.
    pub drafted_answer: Option<String>,
    /// Whether it holds back what follows if its amount is not paid: while it is open, unless one about the line was refused or withdrawn.
    pub holds_back: bool,
}

impl Dispute {
    /// The number of its invoice as people write it.
    pub fn invoice_code(&self) -> String {
        format!("TP-{:06}", self.invoice_number)
    }
}

/// What there is to write about, and to whom.
#[derive(Debug, Clone)]
pub struct DisputeNews {
    /// As it is now.
    pub dispute: Dispute,
    /// Members who may see money, verified.
    pub members: Vec<String>,
    /// Operators who may answer.
    pub operators: Vec<String>,
}

/// Writes the letters about it, which are queued in the same transaction.
pub type Letters<'a> = &'a (dyn Fn(&DisputeNews) -> Vec<NewMail> + Sync);

/// A text of somebody's, without what is around it.
fn told<'a>(field: &'static str, text: &'a str, what: &str) -> Result<&'a str, StoreError> {
    let text = text.trim();
    match (1..=2_000).contains(&text.chars().count()) {
        true => Ok(text),
        false => Err(StoreError::invalid(field, format!("{what}, in at most 2,000 characters"))),
    }
}

#[cfg(test)]
mod tests;
