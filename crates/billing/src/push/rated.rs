//! Who rates an invoice of a plan that collects by meter events.
//!
//! Stripe rates whole periods: by the price that its subscription has when the period ends, all that its meter has counted in it. So it rates
//! an invoice of ours only where its own invoice of that very period is there, still a draft, of a subscription that is ours, began early
//! enough, and has our prices, and no other one would count the same events. That is seen before the first event is sent and noted; it
//! never changes afterwards, unless one by hand is cancelled before all of the events have arrived. Everything else we rate, and Stripe
//! collects it line by line as in the mode `invoice_items`: the parts of a period in which the plan changed, whose fee, included units and
//! steps are prorated to the second as no price of Stripe's is; trials, and periods in which an offer has another price; periods whose end is another one there, as Stripe knows no time zones; what
//! comes after the last period; what is late.
//!
//! No event is sent for what we rate, so that nothing is billed twice, whatever subscriptions there are.

use super::{
    Push,
    counting::Counting,
    invoice_items,
    meter_events::{Counted, event_subject},
};
use crate::{
    BillingError,
    stripe::{Stripe, StripeInvoice, StripeLine},
};
use domain::{
    period::Alignment,
    rating::{LineKind, PlanPeriod},
};
use jiff::{SignedDuration, Timestamp};
use store::{Invoice, InvoiceLine, Parameters, Store, Subscription, stripe_subscriptions::stripe_subscription};

/// Names Stripe's own invoice in our note of it.
pub(super) const STRIPES: &str = "rated_on";
/// How long after the end of a period Stripe may need to make its draft.
const DRAFT_APPEARS: SignedDuration = SignedDuration::from_mins(20);

/// Longer than Stripe lets anybody have it wait by its settings.
const DRAFT_STAYS: SignedDuration = SignedDuration::from_hours(4 * 24);

/// Who rates an invoice.
pub(super) enum Way {
    /// Stripe, on this invoice of its own.
    Stripe(Box<StripeInvoice>),
    /// Stripe, on an invoice of what a provider has set up there by hand.
    ByHand,
    /// We.
    Ours,
}

impl Push<'_> {
    /// Who rates it, as was decided before or is now. It is to be taken for Stripe first.
    pub(super) async fn way(&mut self, invoice: &Invoice, customer: &str) -> Result<Way, BillingError> {
        let subject = invoice_items::subject(invoice.id);
        if let Some(held) = self.store.stripe_object(invoice.partner, &subject).await? {
            let stripes = held.parameters.iter().find(|(name, _)| name == STRIPES);
            return match stripes {
                Some((_, id)) => {
                    // Whoever noted it may have died before it was said what it is at Stripe.
                    if held.stripe_id.is_none() {
                        self.store.finish_stripe_object(invoice.partner, &subject, id, self.now()).await?;
                    }
                    Ok(Way::Stripe(Box::new(self.stripe.invoice(id).await?)))
                }
                None => Ok(Way::Ours),
            };
        }
        let own = self.our_subscription(invoice.partner, invoice.subscription).await?;
        let products: Vec<&str> = own.iter().flat_map(|own| &own.terms.products).map(|grant| &*grant.product).collect();
        let counting = self.counting(invoice, customer, &products).await?;
        if self.store.has_meter_events(invoice.partner, invoice.id).await? {
            let is_over = counting.is_forsaken() && self.has_untold(invoice).await?;
            return Ok(if is_over { ours(invoice, "nothing bills units that were not sent yet") } else { Way::ByHand });
        }
        if let Some(own) = &own
            && let Some(why) = self.is_ours(invoice, own).await?
        {
            return Ok(ours(invoice, why));
        }
        if counting.runs_by_hand() {
            // While one of ours runs at Stripe it counts what is sent, beside one by hand and after the setting was changed, too.
            let is_theirs = counting.is_billed_by_hand() && !counting.has_ours();
            return if is_theirs {
                self.left_by_hand(invoice).await
            } else {
                Ok(ours(invoice, "not exactly one subscription bills all units"))
            };
        }
        if !self.settings.makes_subscriptions {
            return if counting.has_ours() {
                Ok(ours(invoice, "a subscription that we made would bill it"))
            } else if counting.had_by_hand() {
                Ok(ours(invoice, "the subscription by hand has ended"))
            } else {
                self.left_by_hand(invoice).await
            };
        }
        let Some(own) = own else { return Ok(ours(invoice, "the subscription is not known")) };
        let draft = match self.draft_of_period(invoice, &own, &counting).await? {
            Ok(draft) => draft,
            Err(why) => return Ok(ours(invoice, why)),
        };
        let parameters = vec![(STRIPES.to_owned(), draft.id.clone())];
        let held = self.store.begin_stripe_object(invoice.partner, &subject, 1, &parameters, self.now()).await?;
        if held.parameters != parameters {
            return Err(BillingError::TooSoon("what another server makes of an invoice"));
        }
        self.store.finish_stripe_object(invoice.partner, &subject, &draft.id, self.now()).await?;
        Ok(Way::Stripe(Box::new(draft)))
    }

    /// Why no price that Stripe has is the one of the invoice's period, where that is so.
    async fn is_ours(&self, invoice: &Invoice, own: &Subscription) -> Result<Option<&'static str>, BillingError> {
        let whole = own.cycle().period_at(invoice.period.start)?;
        if own.terms.periods == Alignment::Calendar && whole != invoice.period {
            return Ok(Some("it is a part of a period by the calendar"));
        }
        let since = self.store.plan_since(own.partner, own.version_id).await?;
        let of = PlanPeriod::of(&own.cycle(), since, own.trial_until, whole)?;
        let (listed, in_force) = (&own.terms, own.terms.in_force(of));
        let is_as_there =
            in_force.price == listed.price && in_force.included_credit_micros == listed.included_credit_micros;
        Ok(match is_as_there {
            _ if of.in_trial => Some("it is of a trial"),
            true => None,
            false => Some("an offer has another price of units or another included credit in its period"),
        })
    }

    /// Where a subscription by hand would bill the units. Our items wait there for the next of its invoices, which need not come: what follows
    /// from the usage of this period, or gives something back, does not wait for it.
    async fn left_by_hand(&self, invoice: &Invoice) -> Result<Way, BillingError> {
        let (_, lines) = self.store.invoice(invoice.partner, invoice.id).await?;
        let cannot_wait = |line: &InvoiceLine| match line.kind {
            LineKind::Minimum | LineKind::Discount | LineKind::CommittedUse | LineKind::Commitment => true,
            LineKind::BaseFee => line.amount.micros < 0,
            _ => false,
        };
        Ok(match lines.iter().any(cannot_wait) {
            true => ours(invoice, "a minimum, commitment, discount or fee given back cannot wait for another invoice"),
            false => Way::ByHand,
        })
    }

    /// Whether it is not known of all units that a meter or an item has them.
    async fn has_untold(&self, invoice: &Invoice) -> Result<bool, BillingError> {
        let (_, lines) = self.store.invoice(invoice.partner, invoice.id).await?;
        for one in Counted::of(&lines) {
            let event = self.store.stripe_object(invoice.partner, &event_subject(invoice, one.line)).await?;
            if event.is_none_or(|event| event.stripe_id.is_none()) && !self.has_item(invoice, one.line).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Stripe's draft of exactly this period, where it will come to what our invoice does; else why there is none.
    async fn draft_of_period(
        &mut self,
        invoice: &Invoice,
        own: &Subscription,
        counting: &Counting,
    ) -> Result<Result<StripeInvoice, &'static str>, BillingError> {
        if !self.makes_subscriptions() {
            return Ok(Err("Stripe computes its tax"));
        }
        if invoice.is_final || invoice.stands_alone || invoice.threshold_number > 0 {
            return Ok(Err("it is not the invoice of a period"));
        }
        if own.cycle().period_at(invoice.period.start)? != invoice.period {
            return Ok(Err("it is a part of a period"));
        }
        if self.is_late(invoice) {
            return Ok(Err("Stripe's own invoice is final by now"));
        }
        let held = self.store.stripe_object(own.partner, &stripe_subscription(own.id)).await?;
        let id = held.and_then(|held| held.stripe_id).unwrap_or_default();
        let Some(theirs) = counting.subscription(&id).filter(|theirs| !theirs.is_over()) else {
            return Ok(Err("Stripe has no subscription of ours"));
        };
        let prices = match self.prices(&own.plan_code, own.version, &own.terms).await {
            Err(BillingError::Differs(problem)) => {
                tracing::warn!(partner = %own.partner, problem, "Stripe's prices are not ours");
                return Ok(Err("Stripe's prices are not ours"));
            }
            prices => prices?,
        };
        let mut theirs_prices: Vec<&str> = theirs.items.data.iter().map(|item| item.price.id.as_str()).collect();
        let mut our_prices: Vec<&str> = prices.iter().map(String::as_str).collect();
        theirs_prices.sort_unstable();
        our_prices.sort_unstable();
        if theirs_prices != our_prices {
            return Ok(Err("the subscription has other prices"));
        }
        if theirs.start_date > counting.first() {
            return Ok(Err("the subscription began too late"));
        }
        if counting.has_other(&id) {
            return Ok(Err("another subscription would bill it, too"));
        }
        let end = invoice.period.end.as_second();
        let drafts = self.stripe.invoices_of_subscription(&id, "draft").await?;
        let Some(found) = drafts.into_iter().find(|draft| draft.period_end == Some(end)) else {
            return match self.now().duration_since(invoice.period.end) < DRAFT_APPEARS {
                true => Err(BillingError::TooSoon("Stripe's own invoice of a period")),
                false => Ok(Err("Stripe has no draft of this very period")),
            };
        };
        // Each of Stripe's is noted for one of ours.
        let other = self.store.all_partners_invoice_by_stripe_id(&found.id).await?;
        Ok(match other.is_some_and(|(_, other)| other != invoice.id) {
            true => Err("Stripe's draft stands for another invoice of ours"),
            false => Ok(found),
        })
    }
}

/// We rate it, and the log says why.
fn ours(invoice: &Invoice, why: &str) -> Way {
    tracing::info!(partner = %invoice.partner, invoice = %invoice.id, why, "we rate a period of a plan that Stripe may rate");
    Way::Ours
}

/// What a person has to know of an invoice that Stripe has rated and that is final: it comes to something else than ours.
pub(super) async fn other_total(
    stripe: &Stripe,
    invoice: &Invoice,
    all: &[&StripeInvoice],
) -> Result<Option<String>, BillingError> {
    let Some(found) = all.first() else { return Ok(None) };
    let mut held = 0;
    for one in all {
        held += one.before_tax();
    }
    let is_currency = found.currency.eq_ignore_ascii_case(invoice.total.currency.code());
    if is_currency && held == invoice_items::minor_units(invoice.total)? {
        return Ok(None);
    }
    // Stripe puts whatever waits onto an invoice of its own: what is not of this period is on another invoice of ours, or somebody else's.
    for one in all {
        held -= foreign(stripe, invoice, one).await?.iter().map(|line| line.amount).sum::<i64>();
    }
    if is_currency && held == invoice_items::minor_units(invoice.total)? {
        return Ok(None);
    }
    let names: Vec<&str> = all.iter().map(|one| one.id.as_str()).collect();
    Ok(Some(format!(
        "Stripe has rated the period on its invoice {}, which comes to {held} {} in the smallest coin before tax, and ours to {}",
        names.join(" and "),
        found.currency.to_uppercase(),
        invoice.total
    )))
}

/// Lines of one of Stripe's that are not of our invoice.
pub(super) async fn foreign(
    stripe: &Stripe,
    invoice: &Invoice,
    found: &StripeInvoice,
) -> Result<Vec<StripeLine>, BillingError> {
    let id = invoice.id.to_string();
    let mut lines = stripe.lines_of_invoice(&found.id).await?;
    lines.retain(|line| !line.is_rated() && line.metadata.get("turnpike_invoice") != Some(&id));
    Ok(lines)
}

/// What a person has to know of a draft that nobody makes final.
pub(super) fn stays_draft(found: &StripeInvoice) -> String {
    format!(
        "Stripe's draft {} of the period is not made final by itself, as where collecting is paused there: make it final at Stripe",
        found.id
    )
}

/// Tells of a draft that nobody makes final, once; and lets other invoices come before it the next time.
pub(super) async fn tell_draft(
    store: &Store,
    invoice: &Invoice,
    all: &[&StripeInvoice],
    now: Timestamp,
) -> Result<(), BillingError> {
    let is_old = now.duration_since(invoice.period.end) >= DRAFT_STAYS;
    let held = all.iter().find(|one| one.stays_draft() || (one.is_draft() && is_old));
    let Some(problem) = held.map(|held| stays_draft(held)) else {
        store.note_push_try(invoice.partner, invoice.id, now).await?;
        return Ok(());
    };
    if invoice.push_problem.as_ref() != Some(&problem) {
        tracing::warn!(partner = %invoice.partner, invoice = %invoice.id, problem, "a draft of Stripe's stays one");
    }
    store.set_push_problem(invoice.partner, invoice.id, &problem, now).await?;
    Ok(())
}

/// Whether Stripe rates the invoice on one of its own.
pub(super) async fn is_rated_by_stripe(store: &Store, invoice: &Invoice) -> Result<bool, BillingError> {
    let held = store.stripe_object(invoice.partner, &invoice_items::subject(invoice.id)).await?;
    Ok(held.is_some_and(|held| is_rated(&held.parameters)))
}

/// Whether what was noted of an invoice says that Stripe rates it.
pub(super) fn is_rated(noted: &Parameters) -> bool {
    noted.iter().any(|(name, _)| name == STRIPES)
}
