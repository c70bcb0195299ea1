//! Our own credit notes at Stripe, once it had them: a refund of one that failed, perhaps days after Stripe took it in, and one that somebody
//! made void there before its invoice was paid. Nothing is sent again by itself: the same card would fail again, and the provider may have paid
//! in another way. It is told until something that stands there under our name of the credit note takes its place.

use super::look as look_at_invoice;
use crate::{
    BillingError,
    stripe::{Refund, Stripe, StripeCreditNote},
};
use domain::{
    id::{CreditNoteId, InvoiceId, PartnerId},
    money::{Currency, Money},
};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use store::{
    Store, StoreError,
    stripe_returns::{ReturnKind, ReturnState, Returned, StripeReturn},
};

/// What is to be known of ours.
#[derive(Debug, Default)]
pub(crate) struct Ours {
    /// Each refund that failed and each note that is void; `Back` where something else stands in its place.
    found: Vec<(CreditNoteId, StripeReturn)>,
    /// What stands there under the name of each, in the smallest coin.
    standing: HashMap<CreditNoteId, i64>,
}

impl Ours {
    /// Also what another of Stripe's invoices for the same has.
    pub(crate) fn extend(&mut self, other: Self) {
        self.found.extend(other.found);
        for (id, coins) in other.standing {
            let standing = self.standing.entry(id).or_default();
            *standing = standing.saturating_add(coins);
        }
    }
}

/// What carries the name of one of ours.
#[derive(Default)]
struct Named<'a> {
    notes: Vec<&'a StripeCreditNote>,
    refunds: Vec<&'a Refund>,
}

/// Our name of the credit note that something at Stripe carries out.
pub(crate) fn named(metadata: &HashMap<String, String>) -> Option<CreditNoteId> {
    metadata.get("turnpike_credit_note")?.parse().ok()
}

/// Sorts what Stripe has of one invoice, the newest first as it lists them.
pub(super) fn of(currency: Currency, notes: &[StripeCreditNote], refunds: &[Refund]) -> Ours {
    let mut all: BTreeMap<CreditNoteId, Named<'_>> = BTreeMap::new();
    for note in notes {
        if let Some(id) = named(&note.metadata) {
            all.entry(id).or_default().notes.push(note);
        }
    }
    for refund in refunds {
        if let Some(id) = named(&refund.metadata) {
            all.entry(id).or_default().refunds.push(refund);
        }
    }
    let mut ours = Ours::default();
    for (id, named) in all {
        let found = undone(currency, &named, refunds);
        ours.found.extend(found.into_iter().map(|one| (id, one)));
        ours.standing.insert(id, of_notes(&named) + of_refunds(&named));
    }
    ours
}

/// What notes that stand take off.
fn of_notes(named: &Named<'_>) -> i64 {
    named.notes.iter().filter(|note| !note.is_void()).map(|note| note.amount).sum()
}

/// What refunds that stand and are part of no note pay back.
fn of_refunds(named: &Named<'_>) -> i64 {
    let parts = parts(named);
    let alone = named.refunds.iter().filter(|refund| !refund.has_failed() && !parts.contains_key(refund.id.as_str()));
    alone.map(|refund| refund.amount).sum()
}

/// How much of which refunds Stripe's notes are made of.
fn parts<'a>(named: &Named<'a>) -> HashMap<&'a str, i64> {
    let parts = named.notes.iter().copied().flat_map(|note| &note.refunds);
    parts.map(|part| (part.refund.as_str(), part.amount_refunded)).collect()
}

/// What failed or is void of one.
fn undone(currency: Currency, named: &Named<'_>, refunds: &[Refund]) -> Vec<StripeReturn> {
    let parts = parts(named);
    let own: HashSet<&str> = named.refunds.iter().map(|refund| refund.id.as_str()).collect();
    let failed: Vec<&Refund> = refunds
        .iter()
        .filter(|refund| refund.has_failed())
        .filter(|refund| own.contains(refund.id.as_str()) || parts.contains_key(refund.id.as_str()))
        .collect();
    let void: Vec<&StripeCreditNote> = named.notes.iter().copied().filter(|note| note.is_void()).collect();
    let by_parts: i64 = failed.iter().filter_map(|refund| parts.get(refund.id.as_str())).sum();
    // Where Stripe has no note of it, the refund alone is all of it.
    let alone = failed.iter().map(|refund| refund.amount).max().filter(|_| named.notes.is_empty());
    let back = of_refunds(named);
    let lacks = by_parts.max(alone.unwrap_or_default()) - back;
    let unpaid = void.first().map_or(0, |note| note.amount) - of_notes(named) - back;
    let refunds = failed.into_iter().enumerate().map(|(place, refund)| {
        let why = match refund.failure_reason.as_deref() {
            Some(reason) => reason.replace('_', " "),
            None => refund.status.clone().unwrap_or_default(),
        };
        (refund.id.as_str(), ReturnKind::Refund, (place, lacks, refund.amount), why)
    });
    let void = void
        .into_iter()
        .enumerate()
        .map(|(place, note)| (note.id.as_str(), ReturnKind::CreditNote, (place, unpaid, note.amount), String::new()));
    let one = |(id, kind, (place, missing, amount), reason): (&str, ReturnKind, (usize, i64, i64), String)| {
        // The newest tells of what is missing.
        let is_missing = place == 0 && missing > 0;
        let coins = if is_missing { missing } else { amount };
        StripeReturn {
            stripe_id: id.to_owned(),
            kind,
            amount: Money { micros: coins.saturating_mul(currency.micros_per_minor()), currency },
            unpaid: Money { micros: 0, currency },
            returned: if is_missing { Returned::Kept } else { Returned::Back },
            reason,
        }
    };
    refunds.chain(void).map(one).collect()
}

/// Notes what a person has to know, and ends what something else stands for by now.
pub(crate) async fn note(
    store: &Store,
    (partner, invoice): (PartnerId, InvoiceId),
    ours: &Ours,
    now: Timestamp,
) -> Result<(), BillingError> {
    for (id, back) in &ours.found {
        if store.note_own_return((partner, invoice), *id, back, now).await? {
            tracing::error!(%partner, credit_note = %id, at_stripe = back.stripe_id, "a credit note is not carried out at Stripe after all");
        }
    }
    if ours.standing.is_empty() {
        return Ok(());
    }
    let found: HashSet<&str> = ours.found.iter().map(|(_, back)| back.stripe_id.as_str()).collect();
    for held in store.stripe_returns_of(partner, invoice).await? {
        let is_told = held.state == ReturnState::Taken && !held.problem.is_empty() && !held.is_carried;
        let standing = held.credit_note.and_then(|id| ours.standing.get(&id)).copied().unwrap_or_default();
        let coins = held.amount.minor_units().unwrap_or(i64::MAX);
        if is_told && !found.contains(held.stripe_id.as_str()) && standing >= coins {
            store.end_stripe_return(partner, &held.stripe_id, now).await?;
        }
    }
    Ok(())
}

/// Looks at a credit note of ours that a refund names: with its invoice, or where Stripe has none of it, by the payment.
pub(crate) async fn look(
    store: &Store,
    stripe: &Stripe,
    id: CreditNoteId,
    intent: Option<&str>,
    now: Timestamp,
) -> Result<(), BillingError> {
    let note = match store.credit_note_of_any_partner(id).await {
        Ok((note, _)) => note,
        Err(StoreError::NotFound) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if let Some(invoice) = store.stripe_invoice(note.partner, note.invoice).await? {
        return look_at_invoice(store, stripe, &invoice, now).await;
    }
    let Some(intent) = intent else { return Ok(()) };
    let refunds = stripe.refunds_of(intent).await?;
    let ours = of(note.total.currency, &[], &refunds);
    self::note(store, (note.partner, note.invoice), &ours, now).await
}
