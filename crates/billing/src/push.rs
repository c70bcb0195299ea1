//! Reconcile, do not react: what Stripe should hold, what it holds, the difference, and the steps that remove it.
//!
//! A run takes no input, may stop anywhere and be repeated by anybody. The target is our open invoices; what was observed
//! before is in `stripe_objects`, and what is not known for sure is asked of Stripe ([`once`]).

mod billed_elsewhere;
mod catalogue;
mod counting;
mod credit_notes;
mod credited;
mod credited_elsewhere;
pub(crate) mod customer;
mod invoice_items;
mod lanes;
mod late;
mod look;
pub(crate) mod meter_events;
mod once;
mod paid_elsewhere;
mod rated;
mod rest;
mod stream;
mod subscriptions;
mod tax;
mod withdrawn;

use crate::{
    BillingError,
    payment::{self, Desk},
    returns::{self, WentBack},
    stripe::{Meter, Stripe, StripeInvoice},
};
use domain::{
    dunning::DAYS_UNTIL_DUE,
    id::{InvoiceId, PartnerId},
    plan::Collect,
};
use jiff::{SignedDuration, Timestamp};
use store::{Collection, Invoice, InvoiceStatus, Store, StoreError};

/// Invoices looked at in one run.
const MOST_AT_ONCE: u32 = 500;
/// So many failures in a row mean that Stripe is down, and the run ends.
const ENOUGH_FAILURES: u32 = 5;
/// How old our knowledge of a sent invoice may become when no webhook arrives.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// Tells the time. A run may take minutes, and what may still be sent depends on when it is sent.
pub type Clock<'a> = &'a (dyn Fn() -> Timestamp + Sync);

/// What the provider decides about collecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushSettings {
    /// Days that a partner has to pay an invoice.
    pub days_until_due: u16,
    /// How long after the end of a period its usage may be told to Stripe's meters. Stripe's invoice of the period is a draft for about
    /// an hour, or for as long as the provider has set there; what comes later would be on no invoice.
    pub meters_open: SignedDuration,
    /// Whether invoices go to Stripe. Where they no longer do, what it has taken is still seen to its end.
    pub takes_new: bool,
    /// From how many meter events in one run on they are streamed, in place of one call for each; `None` streams none.
    pub stream_from: Option<usize>,
    /// Whether partners' subscriptions, and what is sold there, are made at Stripe of plans that it rates; else a provider sets them up there by
    /// hand.
    pub makes_subscriptions: bool,
}

impl Default for PushSettings {
    fn default() -> Self {
        Self {
            days_until_due: DAYS_UNTIL_DUE,
            meters_open: SignedDuration::from_mins(45),
            takes_new: true,
            stream_from: None,
            makes_subscriptions: false,
        }
    }
}

/// What a run did.
#[derive(Debug, Default)]
pub struct Reconciled {
    /// Invoices that Stripe now holds as it should.
    pub pushed: Vec<InvoiceId>,
    /// Invoices that failed for a passing reason, or were not reached; the next run goes on with them.
    pub waiting: u32,
    /// Invoices that a person has to look at, with the reason, which is also kept with the invoice.
    pub problems: Vec<(InvoiceId, String)>,
}

/// What the steps of one run share.
pub(crate) struct Push<'a> {
    store: &'a Store,
    stripe: &'a Stripe,
    settings: PushSettings,
    clock: Clock<'a>,
    /// Stripe's active meters, once this lane has asked for them.
    meters: Option<Vec<Meter>>,
    catalogue: catalogue::Catalogue,
}

/// Brings Stripe's books to ours as far as it will go now.
///
/// An error is ours (the store) or means that Stripe accepts nothing from us; everything else is in the report.
pub async fn reconcile(desk: Desk<'_>, settings: PushSettings, clock: Clock<'_>) -> Result<Reconciled, BillingError> {
    let Desk { store, stripe, .. } = desk;
    let mut push = Push::new(store, stripe, settings, clock);
    if settings.takes_new {
        store.release_unsent_documents().await?;
    }
    let PushSettings { takes_new, meters_open, .. } = settings;
    let target = store.all_partners_invoices_to_push(takes_new, clock(), meters_open, MOST_AT_ONCE).await?;
    push.stream(&target).await?;
    let (mut report, is_down) = push.all(&target).await?;
    if is_down {
        return Ok(report);
    }
    push.paid_elsewhere(&mut report).await?;
    push.credit_notes(&mut report).await?;
    if settings.takes_new {
        push.customers_with_meters().await?;
        push.subscriptions().await?;
    }
    push.look_again(desk).await?;
    Ok(report)
}

impl<'a> Push<'a> {
    pub(crate) fn new(store: &'a Store, stripe: &'a Stripe, settings: PushSettings, clock: Clock<'a>) -> Self {
        Self { store, stripe, settings, clock, meters: None, catalogue: catalogue::Catalogue::default() }
    }
}

impl Push<'_> {
    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    async fn one(&mut self, invoice: &Invoice) -> Result<(), BillingError> {
        match invoice.collect {
            Collect::InvoiceItems => self.invoice_items(invoice).await,
            Collect::MeterEvents => self.meter_events(invoice).await,
        }
    }

    /// Has Stripe collect the invoice: from here on nobody else may.
    async fn take(&self, invoice: &Invoice) -> Result<(), BillingError> {
        match self.store.take_invoice_for_stripe(invoice.partner, invoice.id, self.now()).await? {
            true => Ok(()),
            false => Err(BillingError::TooSoon("what another than Stripe makes of it")),
        }
    }

    /// Asks after invoices and payment methods whose webhook may have been lost.
    async fn look_again(&self, desk: Desk<'_>) -> Result<(), BillingError> {
        match payment::look_again(desk, self.now()).await {
            Err(BillingError::Stripe(error)) => {
                tracing::warn!(%error, "Stripe could not be asked about a payment method")
            }
            done => done?,
        }
        let before = self.now().saturating_sub(LOOK_AGAIN).unwrap_or(Timestamp::MIN);
        for invoice in self.store.all_partners_invoices_to_look_at(before, MOST_AT_ONCE).await? {
            // The others come first the next time, whatever comes of this one.
            self.store.note_push_try(invoice.partner, invoice.id, self.now()).await?;
            let subject = invoice_items::subject(invoice.id);
            let held = self.store.stripe_object(invoice.partner, &subject).await?.and_then(|object| object.stripe_id);
            let Some(id) = held else { continue };
            match self.look(&invoice, &id).await {
                Err(BillingError::Stripe(error)) if error.is_passing() || error.is_unauthorized() => {
                    tracing::warn!(invoice = %invoice.id, %error, "Stripe could not be asked about an invoice");
                    return Ok(());
                }
                Err(BillingError::Store(error @ StoreError::Unavailable(_))) => return Err(error.into()),
                // What is wrong with one keeps none of the others waiting.
                Err(error) => {
                    tracing::error!(invoice = %invoice.id, %error, "Stripe does not say what became of an invoice");
                    let problem = format!("What became of it at Stripe is not known: {error}");
                    self.store.set_push_problem(invoice.partner, invoice.id, &problem, self.now()).await?;
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    async fn look(&self, invoice: &Invoice, id: &str) -> Result<(), BillingError> {
        let found = self.stripe.invoice(id).await?;
        settle(self.store, self.stripe, (invoice.partner, invoice.id), &found, self.now()).await
    }
}

/// How Stripe collects it. An invoice that it charges by itself is due when it is final.
fn collection(found: &StripeInvoice, status: InvoiceStatus) -> Collection {
    let at = |seconds: Option<i64>| seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    let failed_payments = if status == InvoiceStatus::Paid { 0 } else { found.attempt_count };
    Collection {
        due_at: at(found.due_date.or(found.status_transitions.finalized_at)),
        pay_url: found
            .hosted_invoice_url
            .clone()
            .filter(|url| url.starts_with("https://") || url.starts_with("http://")),
        failed_payments,
        next_payment_at: at(found.next_payment_attempt),
        tax: tax::held(found),
    }
}

/// Takes over the status that Stripe's invoice has, and what Stripe's credit notes took off.
pub(crate) async fn settle(
    store: &Store,
    stripe: &Stripe,
    whose: (PartnerId, InvoiceId),
    found: &StripeInvoice,
    now: Timestamp,
) -> Result<(), BillingError> {
    let looks_for_returns = store.was_credited_unpaid(whose.0, whose.1).await?;
    take_over(store, stripe, whose, (found, looks_for_returns), now).await
}

/// The same, and all that went back of it.
pub(crate) async fn settle_whole(
    store: &Store,
    stripe: &Stripe,
    whose: (PartnerId, InvoiceId),
    found: &StripeInvoice,
    now: Timestamp,
) -> Result<(), BillingError> {
    take_over(store, stripe, whose, (found, true), now).await
}

async fn take_over(
    store: &Store,
    stripe: &Stripe,
    (partner, invoice): (PartnerId, InvoiceId),
    (found, looks_for_returns): (&StripeInvoice, bool),
    now: Timestamp,
) -> Result<(), BillingError> {
    let (ours, _) = store.invoice(partner, invoice).await?;
    let is_rated = rated::is_rated_by_stripe(store, &ours).await?;
    if is_rated && ours.status == InvoiceStatus::Open {
        // Stripe's is final by itself: what it was not told in time is to be told yet.
        return Ok(());
    }
    let beside = if is_rated { rest::other(store, stripe, &ours, &found.id).await? } else { None };
    let all: Vec<&StripeInvoice> = std::iter::once(found).chain(beside.as_ref()).collect();
    let Some((status, lead)) = rest::together(&all) else {
        return if is_rated { rated::tell_draft(store, &ours, &all, now).await } else { Ok(()) };
    };
    let mut back = WentBack::default();
    for one in &all {
        let is_credited = one.pre_payment_credit_notes_amount + one.post_payment_credit_notes_amount > 0;
        if looks_for_returns || is_credited {
            let of_one = returns::observe(stripe, one, ours.total.currency).await?;
            back.before.extend(of_one.before);
            back.after.extend(of_one.after);
            back.ours.extend(of_one.ours);
        }
    }
    // Prepaid units are sold whole: what is taken off before they are paid is so much less that was paid.
    if !back.before.is_empty() && store.sold_credit(partner, invoice).await? {
        back.after.append(&mut back.before);
    }
    for one in &back.before {
        store.take_stripe_return((partner, invoice), one, now).await?;
    }
    let is_unpaid = credited_elsewhere::is_unpaid(store, partner, invoice, found).await?;
    let status = if is_unpaid { InvoiceStatus::Void } else { status };
    store.note_collection(partner, invoice, &collection(lead, status)).await?;
    store.set_invoice_status(partner, invoice, status, now).await?;
    if matches!(status, InvoiceStatus::Paid | InvoiceStatus::Void) {
        for one in &back.after {
            store.take_stripe_return((partner, invoice), one, now).await?;
        }
    }
    returns::own::note(store, (partner, invoice), &back.ours, now).await?;
    // Also what was found before, and nobody has decided.
    let held = store.stripe_returns_of(partner, invoice).await?;
    let mut problems: Vec<String> = held.into_iter().map(|held| held.problem).collect();
    if is_unpaid {
        problems.push(credited_elsewhere::PROBLEM.to_owned());
    }
    problems.extend(tax::left_out(found));
    if is_rated {
        problems.extend(rated::other_total(stripe, &ours, &all).await?);
    } else {
        problems.extend(billed_elsewhere::told(store, &ours).await?);
    }
    problems.retain(|problem| !problem.is_empty());
    if !problems.is_empty() {
        let problem = problems.join(". ");
        tracing::warn!(%partner, %invoice, problem, "Stripe holds an invoice otherwise than we");
        store.set_push_problem(partner, invoice, &problem, now).await?;
    }
    Ok(())
}
