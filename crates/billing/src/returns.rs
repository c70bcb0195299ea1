//! What went back at Stripe of an invoice and not by us: refunds and credit notes that somebody made in Stripe's own dashboard, and disputes.
//!
//! Whatever told of it, the whole of what Stripe has about the invoice is asked for, and each part is taken over once by its name there. So
//! order, repeats and delay change nothing. A refund that a credit note there is made of counts as the refund.

pub(crate) mod own;

use crate::{
    BillingError,
    payment::refund::{self, MAY_FAIL_FOR},
    push::settle_whole,
    stripe::{Dispute, Refund, Stripe, StripeCreditNote, StripeInvoice},
};
use domain::money::{Currency, Money};
use jiff::{SignedDuration, Timestamp};
use own::Ours;
use std::collections::{BTreeSet, HashMap, HashSet};
use store::{
    Store,
    stripe_drift::{Drift, DriftKind},
    stripe_returns::{HeldReturn, ReturnKind, Returned, StripeReturn},
};

/// How far back Stripe is looked through for what no webhook told of.
const LOOKED_THROUGH: SignedDuration = SignedDuration::from_hours(8 * 24);
/// What one run looks at again that waits for a person or for the end of a dispute.
const MOST_AT_ONCE: u32 = 200;

/// What went back of one invoice.
#[derive(Debug, Default)]
pub(crate) struct WentBack {
    /// Before it was paid: so much less was owed.
    pub before: Vec<StripeReturn>,
    pub after: Vec<StripeReturn>,
    /// What became of ours.
    pub ours: Ours,
}

/// Asks Stripe for all of it.
pub(crate) async fn observe(
    stripe: &Stripe,
    found: &StripeInvoice,
    currency: Currency,
) -> Result<WentBack, BillingError> {
    // Whatever the invoice says: a credit note that was made void counts in neither of its sums.
    let notes = stripe.credit_notes_of(&found.id).await?;
    let (mut refunds, mut disputes) = (Vec::new(), Vec::new());
    if found.status.as_deref() == Some("paid") {
        for intent in stripe.payments_of_invoice(&found.id).await? {
            refunds.extend(stripe.refunds_of(&intent).await?);
            disputes.extend(stripe.disputes_of(&intent).await?);
        }
    }
    Ok(sort(currency, |coins| found.before_tax_of(coins), (&notes, &refunds, &disputes)))
}

/// What of these is not ours, each once; of an invoice with tax what is before tax.
fn sort(
    currency: Currency,
    before_tax: impl Fn(i64) -> i64,
    (notes, refunds, disputes): (&[StripeCreditNote], &[Refund], &[Dispute]),
) -> WentBack {
    let whole = |coins: i64| Money { micros: coins.saturating_mul(currency.micros_per_minor()), currency };
    let money = |coins: i64| whole(before_tax(coins));
    let (ours, theirs): (Vec<_>, Vec<_>) = notes.iter().partition(|note| is_ours(&note.metadata));
    let of_ours: HashSet<&str> = ours.iter().flat_map(|note| &note.refunds).map(|part| part.refund.as_str()).collect();
    let known: HashSet<&str> = refunds.iter().map(|refund| refund.id.as_str()).collect();
    // Of a refund that is all of a note Stripe says itself what it is before tax: nothing, where tax alone went back.
    let net: HashMap<(&str, i64), i64> = theirs
        .iter()
        .filter_map(|note| match &note.refunds[..] {
            [part] if part.amount_refunded == note.amount => {
                Some(((part.refund.as_str(), part.amount_refunded), note.total_excluding_tax?))
            }
            _ => None,
        })
        .collect();
    let mut back = WentBack { ours: own::of(currency, notes, refunds), ..WentBack::default() };
    for note in theirs {
        let refunded = note.refunds.iter().filter(|part| known.contains(part.refund.as_str()));
        let rest = note.amount - refunded.map(|part| part.amount_refunded).sum::<i64>();
        if rest <= 0 {
            continue;
        }
        let amount = match note.total_excluding_tax.filter(|_| rest == note.amount) {
            Some(coins) => whole(coins),
            None => money(rest),
        };
        let one = StripeReturn {
            stripe_id: note.id.clone(),
            kind: ReturnKind::CreditNote,
            amount,
            unpaid: if note.pre_payment_amount >= rest { amount } else { money(note.pre_payment_amount.max(0)) },
            returned: if note.is_void() { Returned::Kept } else { Returned::Back },
            reason: note.memo.clone().or_else(|| note.reason.clone()).unwrap_or_default(),
        };
        let list = if note.pre_payment_amount > 0 || note.is_void() { &mut back.before } else { &mut back.after };
        list.push(one);
    }
    for refund in refunds.iter().filter(|refund| !is_ours(&refund.metadata) && !of_ours.contains(refund.id.as_str())) {
        back.after.push(StripeReturn {
            stripe_id: refund.id.clone(),
            kind: ReturnKind::Refund,
            amount: net
                .get(&(refund.id.as_str(), refund.amount))
                .map_or_else(|| money(refund.amount), |coins| whole(*coins)),
            unpaid: money(0),
            returned: if refund.has_failed() { Returned::Kept } else { Returned::Back },
            reason: refund.reason.clone().unwrap_or_default(),
        });
    }
    for dispute in disputes {
        back.after.push(StripeReturn {
            stripe_id: dispute.id.clone(),
            kind: ReturnKind::Dispute,
            amount: money(dispute.amount),
            unpaid: money(0),
            returned: match dispute.status.as_str() {
                "lost" => Returned::Back,
                "won" | "warning_closed" | "prevented" => Returned::Kept,
                _ => Returned::Open,
            },
            reason: dispute.reason.clone().unwrap_or_default(),
        });
    }
    back.before.retain(|one| one.amount.micros > 0);
    back.after.retain(|one| one.amount.micros > 0);
    back
}

/// What we made carries our name of it.
fn is_ours(metadata: &std::collections::HashMap<String, String>) -> bool {
    metadata.contains_key("turnpike_credit_note") || metadata.contains_key("turnpike_checkout")
}

/// Takes over what no webhook told of in the last days, and looks again at what waits. Then what a person has to know, as it is listed.
pub(crate) async fn sweep(store: &Store, stripe: &Stripe, now: Timestamp) -> Result<Vec<Drift>, BillingError> {
    let mut invoices = BTreeSet::new();
    let ago = |age| now.saturating_sub(age).unwrap_or(Timestamp::MIN).as_second();
    let since = ago(LOOKED_THROUGH);
    let notes = stripe.credit_notes_since(since).await?;
    let of_ours: HashSet<&str> = notes
        .iter()
        .filter(|note| is_ours(&note.metadata))
        .flat_map(|note| &note.refunds)
        .map(|part| part.refund.as_str())
        .collect();
    let mut refunds = stripe.refunds_since(since).await?;
    // Banks send them back for longer than that.
    refunds.extend(stripe.failed_refunds((ago(MAY_FAIL_FOR), since)).await?);
    let (mut intents, mut undone) = (Vec::new(), Vec::new());
    for refund in refunds {
        match own::named(&refund.metadata) {
            Some(own) if refund.has_failed() => {
                own::look(store, stripe, own, refund.payment_intent.as_deref(), now).await?;
            }
            None if refund.has_failed() && !is_ours(&refund.metadata) => {
                undone.push(refund.id.clone());
                intents.push((refund.id, refund.payment_intent));
            }
            None if !is_ours(&refund.metadata) && !of_ours.contains(refund.id.as_str()) => {
                intents.push((refund.id, refund.payment_intent));
            }
            _ => {}
        }
    }
    for dispute in stripe.disputes_since(since).await? {
        intents.push((dispute.id, dispute.payment_intent));
    }
    undone.extend(notes.iter().filter(|note| note.is_void()).map(|note| note.id.clone()));
    let names: Vec<String> =
        intents.iter().map(|(id, _)| id.clone()).chain(notes.iter().map(|note| note.id.clone())).collect();
    let settled: HashSet<String> = store.all_partners_settled_returns(&names, &undone).await?.into_iter().collect();
    for note in notes.into_iter().filter(|note| !settled.contains(&note.id)) {
        // Ours are as they were made, unless somebody made one void.
        if note.is_void() || !is_ours(&note.metadata) {
            invoices.insert(note.invoice);
        }
    }
    for (id, intent) in intents {
        if let (false, Some(intent)) = (settled.contains(&id), intent) {
            invoices.extend(stripe.invoices_paid_by(&intent).await?);
        }
    }
    for waits in store.all_partners_stripe_returns_to_look_at(MOST_AT_ONCE).await? {
        let subject = format!("invoice:{}", waits.invoice);
        let held = store.stripe_object(waits.partner, &subject).await?;
        invoices.extend(held.and_then(|object| object.stripe_id));
    }
    for id in invoices {
        look(store, stripe, &id, now).await?;
    }
    refund::sweep(store, stripe, now).await?;
    let mut found = undecided(store).await?;
    found.extend(refund::failed(store).await?);
    Ok(found)
}

/// All that waits for a person: what is left out would be forgotten with what an operator decided about it.
async fn undecided(store: &Store) -> Result<Vec<Drift>, BillingError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.all_partners_stripe_returns_with_problems(after.as_ref(), MOST_AT_ONCE).await?;
        found.extend(page.iter().map(drift));
        after = page.into_iter().next_back();
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// Looks at one of Stripe's invoices, where it is one of ours.
pub(crate) async fn look(store: &Store, stripe: &Stripe, id: &str, now: Timestamp) -> Result<(), BillingError> {
    let Some((partner, invoice)) = store.all_partners_invoice_by_stripe_id(id).await? else { return Ok(()) };
    match stripe.invoice(id).await {
        Ok(found) => settle_whole(store, stripe, (partner, invoice), &found, now).await,
        // A draft that was deleted at Stripe: the next reconcile run reports it.
        Err(error) if error.is_missing() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn drift(held: &HeldReturn) -> Drift {
    Drift {
        kind: DriftKind::Invoice,
        object: held.invoice.to_string(),
        field: held.stripe_id.clone(),
        partner: Some(held.partner),
        stripe_id: held.stripe_id.clone(),
        ours: match held.credit_note {
            Some(_) => "credited".to_owned(),
            None => "not credited".to_owned(),
        },
        theirs: held.problem.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::RefundOfNote;

    fn note(id: &str, amount: i64, refunds: &[(&str, i64)], ours: bool) -> StripeCreditNote {
        let refunds = refunds
            .iter()
            .map(|(refund, amount)| RefundOfNote { refund: (*refund).to_owned(), amount_refunded: *amount });
        StripeCreditNote {
            id: id.to_owned(),
            invoice: "in_1".to_owned(),
            amount,
            total_excluding_tax: None,
            pre_payment_amount: 0,
            status: Some("issued".to_owned()),
            memo: None,
            reason: None,
            refunds: refunds.collect(),
            metadata: ours.then(|| ("turnpike_credit_note".to_owned(), "x".to_owned())).into_iter().collect(),
        }
    }

    fn refund(id: &str, amount: i64) -> Refund {
        Refund {
            id: id.to_owned(),
            amount,
            status: Some("succeeded".to_owned()),
            reason: None,
            failure_reason: None,
            payment_intent: None,
            metadata: std::collections::HashMap::new(),
        }
    }

    #[test]
    fn what_is_told_in_two_ways_counts_once_and_what_is_ours_not_at_all() {
        let notes =
            [note("cn_ours", 500, &[("re_ours", 500)], true), note("cn_theirs", 900, &[("re_theirs", 600)], false)];
        let refunds = [refund("re_ours", 500), refund("re_theirs", 600), refund("re_alone", 50)];
        let back = sort(Currency::Usd, |coins| coins, (&notes, &refunds, &[]));
        let amounts: Vec<_> = back.after.iter().map(|one| (one.stripe_id.as_str(), one.amount.micros)).collect();
        assert_eq!(amounts, [("cn_theirs", 3_000_000), ("re_theirs", 6_000_000), ("re_alone", 500_000)]);
        assert!(back.before.is_empty());
    }

    #[test]
    fn of_a_credit_note_that_is_unpaid_which_was_taken_off_before_the_payment() {
        let part = StripeCreditNote { pre_payment_amount: 300, ..note("cn_part", 900, &[("re_theirs", 400)], false) };
        let before = StripeCreditNote { pre_payment_amount: 900, ..note("cn_before", 900, &[], false) };
        let notes = [part, before, note("cn_after", 900, &[], false)];
        let back = sort(Currency::Usd, |coins| coins, (&notes, &[refund("re_theirs", 400)], &[]));
        let unpaid = |all: &[StripeReturn]| -> Vec<_> {
            all.iter().map(|one| (one.stripe_id.clone(), one.amount.micros, one.unpaid.micros)).collect()
        };
        let named = |name: &str, amount: i64, unpaid: i64| (name.to_owned(), amount * 10_000, unpaid * 10_000);
        assert_eq!(unpaid(&back.before), [named("cn_part", 500, 300), named("cn_before", 900, 900)]);
        assert_eq!(unpaid(&back.after), [named("cn_after", 900, 0), named("re_theirs", 400, 0)]);
    }

    #[test]
    fn a_refund_that_is_all_of_a_note_is_before_tax_what_the_note_says() {
        let tax_alone =
            StripeCreditNote { total_excluding_tax: Some(0), ..note("cn_tax", 825, &[("re_tax", 825)], false) };
        let whole =
            StripeCreditNote { total_excluding_tax: Some(101), ..note("cn_all", 108, &[("re_all", 108)], false) };
        let refunds = [refund("re_tax", 825), refund("re_all", 108), refund("re_alone", 108)];
        let before_tax = |coins| coins * 100 / 108;
        let back = sort(Currency::Usd, before_tax, (&[tax_alone, whole], &refunds, &[]));
        let amounts: Vec<_> = back.after.iter().map(|one| (one.stripe_id.as_str(), one.amount.micros)).collect();
        assert_eq!(amounts, [("re_all", 1_010_000), ("re_alone", 1_000_000)]);
    }
}
