//! Issued credit notes and voids, after the invoices that they are of: what is wanted, what Stripe's invoice says, and the one step
//! between. A credit note of an unpaid invoice makes less owed; of a paid one Stripe pays back, or notes that the provider did.

use super::{
    ENOUGH_FAILURES, Push, Reconciled,
    invoice_items::{self, owned},
    look::Look,
    once::Wanted,
    rest, settle,
};
use crate::{BillingError, returns, stripe::StripeInvoice};
use domain::plan::Collect;
use store::{
    Invoice, InvoiceStatus, Parameters,
    credit_notes::{CreditKind, CreditNote, Payback},
};

/// Looked at in one run.
const MOST_AT_ONCE: u32 = 200;

/// What came of one.
enum Step {
    Done,
    /// Its invoice is not final at Stripe yet.
    Waits,
}

impl Push<'_> {
    /// Brings what was issued to Stripe. What fails for a passing reason goes on with the next run.
    pub(super) async fn credit_notes(&self, report: &mut Reconciled) -> Result<(), BillingError> {
        let mut failures = 0;
        for note in self.store.all_partners_credit_notes_to_push(MOST_AT_ONCE).await? {
            let step = match note.kind {
                CreditKind::Credit => self.credit(&note).await,
                CreditKind::Void => self.void(&note).await,
            };
            match step {
                Ok(Step::Done) => self.store.set_credit_note_pushed(note.partner, note.id, self.now()).await?,
                Ok(Step::Waits) => self.store.set_credit_note_problem(note.partner, note.id, None, self.now()).await?,
                Err(BillingError::Stripe(error)) if error.is_unauthorized() => return Err(error.into()),
                Err(BillingError::Stripe(error)) if error.is_passing() => {
                    tracing::warn!(credit_note = %note.id, %error, "a credit note waits for Stripe");
                    self.store.set_credit_note_problem(note.partner, note.id, None, self.now()).await?;
                    report.waiting += 1;
                    failures += 1;
                    if failures >= ENOUGH_FAILURES {
                        return Ok(());
                    }
                }
                Err(error @ (BillingError::Stripe(_) | BillingError::Differs(_))) => {
                    let problem = error.to_string();
                    if note.push_problem.as_ref() != Some(&problem) {
                        tracing::error!(credit_note = %note.id, problem, "a credit note could not be pushed to Stripe");
                    }
                    self.store.set_credit_note_problem(note.partner, note.id, Some(&problem), self.now()).await?;
                    report.problems.push((note.invoice, problem));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn credit(&self, note: &CreditNote) -> Result<Step, BillingError> {
        let (invoice, _) = self.store.invoice(note.partner, note.invoice).await?;
        if self.is_elsewhere(&invoice).await? {
            return Err(rated_there());
        }
        let held = self.store.stripe_object(note.partner, &invoice_items::subject(note.invoice)).await?;
        let Some(id) = held.and_then(|object| object.stripe_id) else { return self.credit_without_invoice(note).await };
        let id = self.credited_on(note, id).await?;
        let observed = self.stripe.invoice(&id).await?;
        let note_id = note.id.to_string();
        let subject = format!("credit_note:{note_id}");
        let payback = match observed.status.as_deref() {
            Some("open" | "uncollectible") => None,
            Some("paid") => Some(match note.payback {
                Payback::Refund => "refund_amount",
                Payback::Outside => "out_of_band_amount",
            }),
            Some("void") => {
                let code = note.code().unwrap_or_default();
                let message = format!("Stripe's invoice {id} is void: {code} cannot take anything off it there.");
                return Err(BillingError::Differs(message));
            }
            _ => return Ok(Step::Waits),
        };
        let look = Look::CreditNote { invoice: &id, note: note_id.clone() };
        let parameters = match self.credit_parameters(note, &observed, payback).await {
            // Perhaps it is there already, and its answer was lost: then nothing is left to take off.
            Err(error @ (BillingError::Stripe(_) | BillingError::Differs(_))) if !is_passing(&error) => {
                match self.store.stripe_object(note.partner, &subject).await? {
                    Some(held) => Some(held.parameters),
                    // Or somebody has made it there by hand, under our name of it.
                    None if look.at(self.stripe).await?.is_some() => None,
                    None => return Err(error),
                }
            }
            parameters => Some(parameters?),
        };
        if let Some(parameters) = parameters {
            let wanted = Wanted { partner: note.partner, subject, path: "/v1/credit_notes", parameters, look };
            self.once(wanted).await?;
        }
        // What is credited whole is paid there.
        let observed = self.stripe.invoice(&id).await?;
        settle(self.store, self.stripe, (note.partner, note.invoice), &observed, self.now()).await?;
        Ok(Step::Done)
    }

    async fn credit_parameters(
        &self,
        note: &CreditNote,
        invoice: &StripeInvoice,
        payback: Option<&str>,
    ) -> Result<Parameters, BillingError> {
        let (credited, amount) = self.credited(note, invoice).await?;
        let mut parameters = owned(&[("invoice", &invoice.id)]);
        parameters.extend(credited);
        parameters.extend(owned(&[
            ("memo", &format!("{}: {}", note.code().unwrap_or_default(), note.reason)),
            ("metadata[turnpike_credit_note]", &note.id.to_string()),
        ]));
        let Some(name) = payback else { return Ok(parameters) };
        let short = match invoice.tax() {
            Some(_) if note.payback == Payback::Refund => self.short_by(note, invoice, amount).await?,
            _ => 0,
        };
        parameters.push((name.to_owned(), (amount - short).to_string()));
        if short > 0 {
            parameters.push(("out_of_band_amount".to_owned(), short.to_string()));
        }
        Ok(parameters)
    }

    /// Of an invoice that was paid on a page of Stripe's, which names no invoice of its own of that: it may by now, and else the payment itself
    /// is paid back.
    async fn credit_without_invoice(&self, note: &CreditNote) -> Result<Step, BillingError> {
        let Some(page) = self.store.checkout_of_invoice(note.partner, note.invoice).await? else {
            return Ok(Step::Waits);
        };
        let session = match &page.session {
            Some(session) => Some(self.stripe.checkout_session(session).await?),
            None => None,
        };
        if let Some(invoice) = session.as_ref().and_then(|session| session.invoice.as_deref()) {
            self.store.link_stripe_invoice(note.partner, note.invoice, invoice, self.now()).await?;
            return Ok(Step::Waits);
        }
        if note.payback == Payback::Outside {
            return Ok(Step::Done);
        }
        let coins = note.total.minor_units().unwrap_or_default();
        // With its part of the tax that was paid.
        let before = self.credited_before(note).await?;
        let amount = session
            .as_ref()
            .map_or(coins, |session| session.with_tax(before + coins) - session.with_tax(before))
            .to_string();
        let intent = session.and_then(|session| session.payment_intent).map(|intent| intent.id().to_owned());
        let Some(intent) = page.payment.or(intent) else {
            let message =
                "Stripe names neither an invoice nor a payment of the page that it was paid on: pay it back there.";
            return Err(BillingError::Differs(message.to_owned()));
        };
        let own = note.id.to_string();
        let parameters =
            owned(&[("payment_intent", &intent), ("amount", &amount), ("metadata[turnpike_credit_note]", &own)]);
        let look = Look::Refund { intent: &intent, note: own.clone() };
        let subject = format!("refund:{own}");
        self.once(Wanted { partner: note.partner, subject, path: "/v1/refunds", parameters, look }).await?;
        Ok(Step::Done)
    }

    /// Whether some of it is on an invoice of Stripe's that we do not know.
    async fn is_elsewhere(&self, invoice: &Invoice) -> Result<bool, BillingError> {
        Ok(invoice.collect == Collect::MeterEvents
            && self.store.stripe_object(invoice.partner, &invoice_items::subject(invoice.id)).await?.is_none()
            && self.store.is_begun_at_stripe(invoice.partner, invoice.id).await?)
    }

    /// Which of Stripe's invoices it is of, where what one of them has missed is on another.
    async fn credited_on(&self, note: &CreditNote, own: String) -> Result<String, BillingError> {
        let beside = self.store.stripe_object(note.partner, &rest::subject(note.invoice)).await?;
        let Some(beside) = beside.and_then(|held| held.stripe_id) else { return Ok(own) };
        let comes_to_something = async |id: &str| Ok::<_, BillingError>(self.stripe.invoice(id).await?.total > 0);
        match (comes_to_something(&own).await?, comes_to_something(&beside).await?) {
            (false, true) => Ok(beside),
            (true, false) => Ok(own),
            _ => Err(BillingError::Differs(format!(
                "Stripe has billed this on two invoices, {own} and {beside}. Credit it there by hand, over Stripe's API, with the metadata turnpike_credit_note={}.",
                note.id
            ))),
        }
    }

    /// What credit notes with a lower number pay back of its invoice, in the smallest coin.
    async fn credited_before(&self, note: &CreditNote) -> Result<i64, BillingError> {
        let all = self.store.credit_notes_of(note.partner, note.invoice).await?;
        let earlier = all.iter().filter(|other| {
            other.kind == CreditKind::Credit
                && other.payback == Payback::Refund
                && other.number.is_some_and(|number| note.number.is_some_and(|own| number < own))
        });
        Ok(earlier.map(|other| other.total.minor_units().unwrap_or_default()).sum())
    }

    async fn void(&self, note: &CreditNote) -> Result<Step, BillingError> {
        let (invoice, _) = self.store.invoice(note.partner, note.invoice).await?;
        if self.is_elsewhere(&invoice).await? {
            return Err(rated_there());
        }
        let mut balance = None;
        for observed in self.withdraw(&invoice).await? {
            let id = &observed.id;
            match observed.status.as_deref() {
                Some("void") => {}
                // One of nothing, or of less, is paid as soon as it is final.
                Some("paid") if observed.total <= 0 => balance = balance.or((observed.total < 0).then(|| id.clone())),
                Some("paid") => {
                    let message = format!(
                        "Stripe collected invoice {id} before it was made void here. Refund it there: here it is {}.",
                        InvoiceStatus::Void
                    );
                    return Err(BillingError::Differs(message));
                }
                _ => {
                    self.stripe.void_invoice(id).await?;
                }
            }
            // Somebody credited some of it there before.
            if observed.pre_payment_credit_notes_amount > 0 {
                returns::look(self.store, self.stripe, id, self.now()).await?;
            }
        }
        match balance {
            None => Ok(Step::Done),
            Some(id) => Err(BillingError::Differs(format!(
                "Invoice {id} of Stripe's came to less than nothing, which Stripe keeps as the customer's balance: take it off there."
            ))),
        }
    }
}

fn is_passing(error: &BillingError) -> bool {
    matches!(error, BillingError::Stripe(error) if error.is_passing() || error.is_unauthorized())
}

fn rated_there() -> BillingError {
    BillingError::Differs(
        "Stripe rates this plan by its meters, and has an invoice of its own: credit that one in Stripe, too."
            .to_owned(),
    )
}
