//! Credit notes and voids: what is taken off an invoice after it was made.
//!
//! One is drafted, looked at and issued, or discarded. Issuing gives it its number, posts it to the ledger and writes the audit log in
//! one transaction that holds the invoice's row: so never more is credited than was billed, on the invoice and on each line.
//! The period of a voided invoice stays closed: its usage is not billed again by itself.

mod issue;
mod push;
mod read;

use crate::StoreError;
use domain::{
    id::{CreditNoteId, InvoiceId, PartnerId},
    money::Money,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

pub use issue::Issue;
pub(crate) use issue::{discard, draft, issue};
pub(crate) use read::{standing, state_of};

/// What it does to the invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditKind {
    /// Takes an amount off.
    Credit,
    /// The invoice counts no more.
    Void,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditState {
    Draft,
    Issued,
    Discarded,
}

/// How money comes back where the invoice was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payback {
    /// By Stripe, to where it came from.
    #[default]
    Refund,
    /// By the provider, outside of Stripe.
    Outside,
}

/// A credit note that is asked for.
#[derive(Debug, Clone)]
pub struct NewCreditNote {
    pub invoice: InvoiceId,
    pub kind: CreditKind,
    /// None for a void, which takes all that is left.
    pub lines: Vec<NewCreditLine>,
    pub payback: Payback,
    pub reason: String,
}

/// A part of it.
#[derive(Debug, Clone)]
pub struct NewCreditLine {
    /// The line of the invoice that it takes from; `None` for an amount of the whole invoice.
    pub invoice_position: Option<i32>,
    /// Above zero, in whole coins.
    pub amount: Money,
}

/// A credit note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditNote {
    pub id: CreditNoteId,
    pub partner: PartnerId,
    pub partner_name: String,
    pub invoice: InvoiceId,
    pub invoice_number: i64,
    /// IANA name: the zone in which its day is shown.
    pub time_zone: String,
    pub kind: CreditKind,
    pub state: CreditState,
    /// Once it is issued; a void has none.
    pub number: Option<i64>,
    pub total: Money,
    pub payback: Payback,
    /// Whether the invoice was paid when it was issued.
    pub was_paid: Option<bool>,
    pub reason: String,
    pub made_at: Timestamp,
    /// Who made it, for the rule of two: kind and identifier as the audit log has them.
    pub made_by: (String, Option<uuid::Uuid>),
    /// When it was issued or discarded.
    pub ended_at: Option<Timestamp>,
    /// When Stripe had it, too.
    pub pushed_at: Option<Timestamp>,
    /// Why Stripe does not hold it as it should, or what became there of the money that it gave back; for the operator.
    pub push_problem: Option<String>,
}

/// A line of a credit note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditLine {
    /// Counts from zero.
    pub position: i32,
    pub invoice_position: Option<i32>,
    pub description: String,
    pub amount: Money,
}

/// How an invoice stands beside what was credited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditStanding {
    pub total: Money,
    /// By issued credit notes.
    pub credited: Money,
    /// Of that, what made less owed; the rest was paid back.
    pub credited_unpaid: Money,
    /// Of a fee in advance, by a later invoice, because its plan ended before.
    pub given_back: Money,
    /// Issued credits by line.
    pub by_line: Vec<(i32, Money)>,
}

impl CreditStanding {
    /// What can be credited yet.
    pub fn left(&self) -> Money {
        let taken = self.credited.micros.saturating_add(self.given_back.micros);
        Money::new(self.total.currency, self.total.micros.saturating_sub(taken).max(0))
    }

    /// What a void takes out of the ledger, below zero where more was given back than billed. It leaves what a later invoice gave back of
    /// the fee, so that both together come to nothing.
    pub(crate) fn to_void(&self) -> Money {
        let taken = self.credited.micros.saturating_add(self.given_back.micros);
        Money::new(self.total.currency, self.total.micros.saturating_sub(taken))
    }
}

impl CreditNote {
    /// `CN-000007`; that of the invoice for a void, and `None` for what is no document yet.
    pub fn code(&self) -> Option<String> {
        self.number.map(|number| format!("CN-{number:06}"))
    }

    /// The number of its invoice as people write it.
    pub fn invoice_code(&self) -> String {
        format!("TP-{:06}", self.invoice_number)
    }
}

macro_rules! codes {
    ($name:ident { $($variant:ident = $code:literal),+ $(,)? }) => {
        impl $name {
            /// As the table has it.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$variant => $code),+
                }
            }
        }

        impl FromStr for $name {
            type Err = StoreError;
            fn from_str(text: &str) -> Result<Self, StoreError> {
                match text {
                    $($code => Ok(Self::$variant),)+
                    _ => Err(StoreError::invalid("", format!("{text:?} is not known here"))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.code())
            }
        }
    };
}

codes!(CreditKind { Credit = "credit", Void = "void" });
codes!(CreditState { Draft = "draft", Issued = "issued", Discarded = "discarded" });
codes!(Payback { Refund = "refund", Outside = "outside" });

#[cfg(test)]
mod tests;
