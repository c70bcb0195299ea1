//! Partners' subscriptions at Stripe, where it rates their usage: made when the plan begins, ended when it has ended.
//!
//! The target is our running subscriptions of plans that collect by meter events; each is one at Stripe with the prices of its plan
//! version, whose periods end where ours do. What was made is found by our own identifier in its metadata. Where somebody has set up a
//! subscription by hand whose prices rate the same meter, ours would bill everything twice: then none is made.
//!
//! A plan version's price is never put on a subscription that runs, because Stripe would then bill by it whatever of the period came after
//! the change, and nothing of what came before. Another plan or version is another subscription of ours and of Stripe's; what the
//! period in which it changed comes to, we rate ([`super::rated`]).

use super::{Push, look::Look, once::Wanted};
use crate::{BillingError, stripe::StripeSubscription};
use domain::{
    id::{PartnerId, SubscriptionId},
    period::{Cycle, Interval},
    plan::PlanTerms,
};
use jiff::{SignedDuration, Span, Timestamp, tz::TimeZone};
use store::{
    Parameters, Subscription,
    stripe_subscriptions::{HeldSubscription, RatedSubscription, stripe_subscription},
};

/// Made or ended in one run.
const MOST_AT_ONCE: u32 = 100;
/// Looked at in one run, those that wait for something of ours among them.
const MOST_LOOKED_AT: u32 = 5_000;
/// How long what somebody set up by hand is left alone before it is looked at again.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_hours(1);
/// Less is left of a period than a request may take: the next one will do.
const LEAST_LEFT: SignedDuration = SignedDuration::from_mins(5);
/// After a subscription's end Stripe has drafts that are not final yet.
const SETTLED: SignedDuration = SignedDuration::from_hours(2);
/// From where Stripe counts periods.
const ANCHOR: &str = "billing_cycle_anchor";
/// In the metadata of what we made: our subscription.
const OURS: &str = "turnpike_subscription";
/// Says of our note of a subscription that somebody else has one there, that it was ended, or that another takes its place.
const BY_HAND: &str = "by_hand";
const ENDED: &str = "ended";
const MOVED: &str = "moved";

impl Push<'_> {
    /// Whether subscriptions are made at all. Stripe computes no tax on them, as their prices say nothing of it: then we rate.
    pub(super) const fn makes_subscriptions(&self) -> bool {
        self.settings.makes_subscriptions && !self.stripe.computes_tax()
    }

    /// Makes what is missing and ends what is over. What fails for one partner holds no other up.
    pub(super) async fn subscriptions(&mut self) -> Result<(), BillingError> {
        if self.makes_subscriptions() {
            let seen_before = self.now().saturating_sub(LOOK_AGAIN).unwrap_or(Timestamp::MIN);
            let mut moved = 0;
            for one in self.store.all_partners_stripe_subscriptions().await? {
                let done = self.move_periods(&one).await;
                moved += u32::from(matches!(done, Ok(true)));
                if self.ends_run(one.partner, done.map(|_| ()))? {
                    return Ok(());
                }
                if moved >= MOST_AT_ONCE {
                    break;
                }
            }
            let to_begin =
                self.store.all_partners_subscriptions_to_begin(seen_before, MOST_LOOKED_AT, self.now()).await?;
            let mut asked = 0;
            for one in to_begin {
                let done = self.begin_subscription(&one).await;
                // What waits for something of ours costs Stripe nothing, and takes nobody's place.
                asked += u32::from(!matches!(done, Err(BillingError::TooSoon(_))));
                if self.ends_run(one.partner, done)? {
                    return Ok(());
                }
                if asked >= MOST_AT_ONCE {
                    break;
                }
            }
        }
        let before = self.now().saturating_sub(self.settled()).unwrap_or(Timestamp::MIN);
        for one in self.store.all_partners_subscriptions_to_end(before, MOST_AT_ONCE, self.now()).await? {
            let done = self.end_subscription(&one).await;
            if self.ends_run(one.partner, done)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether what went wrong will go wrong with the others, too.
    fn ends_run(&self, partner: PartnerId, done: Result<(), BillingError>) -> Result<bool, BillingError> {
        match done {
            Ok(()) | Err(BillingError::TooSoon(_)) => Ok(false),
            Err(BillingError::Store(error)) => Err(error.into()),
            Err(error) => {
                tracing::warn!(%partner, %error, "a subscription at Stripe waits");
                Ok(matches!(&error, BillingError::Stripe(error) if error.is_passing() || error.is_unauthorized()))
            }
        }
    }

    async fn begin_subscription(&mut self, one: &RatedSubscription) -> Result<(), BillingError> {
        let (partner, now) = (one.partner, self.now());
        let Some(own) = self.our_subscription(partner, one.id).await? else { return Ok(()) };
        let end = own.cycle().period_at(now)?.end;
        if end.duration_since(now) < LEAST_LEFT || end > natural_end(now, own.terms.interval)? {
            return Err(BillingError::TooSoon("an instant from which Stripe's period can end where ours does"));
        }
        if !one.is_charged && self.store.billing_contact(partner).await?.email.is_none() {
            return Err(BillingError::TooSoon("a member to whom Stripe can send invoices"));
        }
        let customer = self.customer(partner).await?;
        let prices = self.prices(&own.plan_code, own.version, &own.terms).await?;
        if let Some(other) = self.by_hand(&customer, &own.terms).await? {
            tracing::info!(%partner, subscription = other, "Stripe has a subscription by hand");
            let parameters = vec![(BY_HAND.to_owned(), other)];
            let subject = stripe_subscription(own.id);
            let attempt = self.store.stripe_object(partner, &subject).await?.map_or(1, |held| held.attempt + 1);
            self.store.begin_stripe_object(partner, &subject, attempt, &parameters, now).await?;
            return Ok(());
        }
        let ours = own.id.to_string();
        let wanted = Wanted {
            partner,
            subject: stripe_subscription(own.id),
            path: "/v1/subscriptions",
            parameters: self.parameters(one, &own, (&customer, &prices), end),
            look: Look::Subscription { customer: &customer, ours },
        };
        // What was noted of one that is gone is no request.
        let held = self.store.stripe_object(partner, &wanted.subject).await?;
        let is_note = |(name, _): &(String, String)| name == BY_HAND || name == MOVED;
        if let Some(held) = held.filter(|held| held.stripe_id.is_none() && held.parameters.iter().any(is_note)) {
            // Before the note one may have been asked for whose answer was lost: that one's anchor is its own.
            if let Some(found) = wanted.look.at(self.stripe).await? {
                let anchor = self.stripe.subscription(&found).await?.billing_cycle_anchor.to_string();
                let mut parameters = wanted.parameters;
                parameters
                    .iter_mut()
                    .filter(|(name, _)| name == ANCHOR)
                    .for_each(|(_, value)| value.clone_from(&anchor));
                self.store.finish_stripe_object(partner, &wanted.subject, &found, now).await?;
                self.store.change_stripe_object(partner, &wanted.subject, &parameters, now).await?;
                return Ok(());
            }
            self.store.begin_stripe_object(partner, &wanted.subject, held.attempt + 1, &wanted.parameters, now).await?;
        }
        let id = self.once(wanted).await?;
        tracing::info!(%partner, subscription = id, "made a subscription at Stripe");
        Ok(())
    }

    fn parameters(
        &self,
        one: &RatedSubscription,
        own: &Subscription,
        (customer, prices): (&str, &[String]),
        end: Timestamp,
    ) -> Parameters {
        let pair = |name: &str, value: String| (name.to_owned(), value);
        let mut parameters = vec![
            pair("customer", customer.to_owned()),
            pair(ANCHOR, end.as_second().to_string()),
            pair("proration_behavior", "none".to_owned()),
            pair("description", format!("{} plan", own.plan_name)),
            pair("metadata[turnpike_subscription]", own.id.to_string()),
            pair("metadata[turnpike_partner]", own.partner.to_string()),
        ];
        if one.is_charged {
            parameters.push(pair("collection_method", "charge_automatically".to_owned()));
        } else {
            parameters.push(pair("collection_method", "send_invoice".to_owned()));
            parameters.push(pair("days_until_due", self.settings.days_until_due.to_string()));
        }
        for (place, price) in prices.iter().enumerate() {
            parameters.push(pair(&format!("items[{place}][price]"), price.clone()));
        }
        parameters
    }

    /// Another's subscription of the customer that is not over and rates what the plan's meters count.
    async fn by_hand(&mut self, customer: &str, terms: &PlanTerms) -> Result<Option<String>, BillingError> {
        let mut meters = Vec::new();
        for grant in &terms.products {
            meters.push(self.meter(&super::meter_events::event_name(&grant.product), &grant.product).await?);
        }
        let all = self.stripe.subscriptions_of(customer).await?;
        let foreign = all.into_iter().filter(|held| !is_ours(held) && !held.is_over());
        let mut rating = foreign.filter(|held| meters.iter().any(|meter| held.rates(meter)));
        Ok(rating.next().map(|held| held.id))
    }

    /// Ours, whichever state it is in.
    pub(super) async fn our_subscription(
        &self,
        partner: PartnerId,
        id: SubscriptionId,
    ) -> Result<Option<Subscription>, BillingError> {
        let all = self.store.subscription_history(partner).await?;
        Ok(all.into_iter().find(|own| own.id == id))
    }

    /// Nothing of it is to be billed by Stripe any more: its last period's invoice is final. One whose making was answered to nobody is found by
    /// our name of it.
    async fn end_subscription(&mut self, one: &RatedSubscription) -> Result<(), BillingError> {
        let subject = stripe_subscription(one.id);
        let Some(held) = self.store.stripe_object(one.partner, &subject).await? else { return Ok(()) };
        let mut running: Vec<String> = held.stripe_id.iter().cloned().collect();
        let named = held.parameters.iter().find(|(name, _)| name == "customer").map(|(_, id)| id.clone());
        let customer = self.store.stripe_object(one.partner, super::customer::SUBJECT).await?;
        if let Some(customer) = named.or(customer.and_then(|customer| customer.stripe_id)) {
            let own = one.id.to_string();
            let mut all = self.stripe.subscriptions_of(&customer).await?;
            all.retain(|theirs| theirs.metadata.get(OURS) == Some(&own) && !theirs.is_over());
            all.retain(|theirs| held.stripe_id.as_ref() != Some(&theirs.id));
            running.extend(all.into_iter().map(|theirs| theirs.id));
        }
        for id in &running {
            self.cancel(id).await?;
            tracing::info!(partner = %one.partner, subscription = id, "ended a subscription at Stripe");
        }
        let mut parameters = held.parameters;
        parameters.push((ENDED.to_owned(), self.now().to_string()));
        self.store.change_stripe_object(one.partner, &subject, &parameters, self.now()).await?;
        Ok(())
    }
}

impl Push<'_> {
    /// Stripe counts periods in UTC, and ours follow a time zone: where the one that runs would end at another instant there, another
    /// subscription takes its place, whose period ends where ours does. Says whether that was so.
    async fn move_periods(&mut self, one: &HeldSubscription) -> Result<bool, BillingError> {
        let (now, Some(anchor)) = (self.now(), one.anchor) else { return Ok(false) };
        let period = one.cycle.period_at(now)?;
        let there = Cycle { anchor, interval: one.cycle.interval, time_zone: "UTC".to_owned() };
        let end = Timestamp::from_second(period.end.as_second()).unwrap_or(period.end);
        let is_settled = now.duration_since(period.start) >= self.settled();
        if there.period_at(end)?.start == end
            || !is_settled
            || end.duration_since(now) < LEAST_LEFT
            || end > natural_end(now, one.cycle.interval)?
        {
            return Ok(false);
        }
        let subject = stripe_subscription(one.id);
        let moved = (MOVED.to_owned(), one.stripe_id.clone());
        let mut noted =
            self.store.stripe_object(one.partner, &subject).await?.map_or_else(Vec::new, |held| held.parameters);
        if !noted.contains(&moved) {
            // One that somebody else has ended stays so.
            if self.stripe.subscription(&one.stripe_id).await?.is_over() {
                return Ok(false);
            }
            noted.push(moved.clone());
            self.store.change_stripe_object(one.partner, &subject, &noted, now).await?;
        }
        self.cancel(&one.stripe_id).await?;
        self.store.renew_stripe_subscription(one.partner, (&subject, &one.stripe_id), &vec![moved], now).await?;
        tracing::info!(partner = %one.partner, subscription = one.stripe_id, "a subscription at Stripe ends elsewhere than ours");
        Ok(true)
    }

    /// Ends a subscription that has billed all that it is to bill. A draft that does not become final by itself stays what it is; where one
    /// of our invoices is on it, that is told there.
    async fn cancel(&self, id: &str) -> Result<(), BillingError> {
        for draft in self.stripe.invoices_of_subscription(id, "draft").await? {
            if !draft.stays_draft() || self.store.all_partners_invoice_by_stripe_id(&draft.id).await?.is_some() {
                return Err(BillingError::TooSoon("the last invoice of a subscription at Stripe"));
            }
        }
        self.stripe.cancel_subscription(id).await?;
        for invoice in self.stripe.invoices_of_subscription(id, "open").await? {
            self.stripe.collect_again(&invoice.id).await?;
        }
        Ok(())
    }

    /// How long after the end of a period Stripe may have a draft of it that is not final yet.
    fn settled(&self) -> SignedDuration {
        SETTLED.max(self.settings.meters_open.saturating_add(SignedDuration::from_hours(1)))
    }
}

/// Whether we made it.
pub(super) fn is_ours(held: &StripeSubscription) -> bool {
    held.metadata.contains_key(OURS)
}

/// Where Stripe's first period would end by itself: it takes no anchor after that.
fn natural_end(now: Timestamp, interval: Interval) -> Result<Timestamp, BillingError> {
    let span = match interval {
        Interval::Day => Span::new().days(1),
        Interval::Week => Span::new().weeks(1),
        Interval::Month => Span::new().months(1),
        Interval::Quarter => Span::new().months(3),
        Interval::HalfYear => Span::new().months(6),
        Interval::Year => Span::new().years(1),
    };
    let end = now.to_zoned(TimeZone::UTC).checked_add(span);
    Ok(end.map_err(|_| domain::period::PeriodError::OutOfRange)?.timestamp())
}
