//! Meter events at volume: where a run has many of them they are streamed, a hundred in a request, in place of one call for each.
//!
//! The same promises as one by one ([`super::once`]): an event is noted before it is sent; while Stripe is sure to know its identifier it is
//! sent again as it was; once the meter's summary can tell whether it arrived, that is asked first. An event that was streamed is never sent
//! in the other way, so that no two ways have to agree on what an identifier is.

use super::{
    ENOUGH_FAILURES, Push,
    late::SUMMED_UP,
    meter_events::{Counted, event_subject, invoice_of_event},
    rated::Way,
};
use crate::{
    BillingError,
    stripe::{MOST_STREAMED, MeterSession, Payload, StreamedEvent, StripeError},
};
use domain::{id::PartnerId, plan::Collect};
use jiff::{SignedDuration, Timestamp};
use store::{Invoice, Parameters, StripeObject};

/// Says of an event how it is sent.
const VIA: (&str, &str) = ("via", "stream");
/// A session that ends sooner is not begun with.
const LEAST_LEFT: SignedDuration = SignedDuration::from_secs(60);

/// An event that is to be sent.
struct Pending {
    partner: PartnerId,
    subject: String,
    event: StreamedEvent,
    /// The end of the period that it is of.
    end: Timestamp,
}

/// Whether an event was streamed.
pub(super) fn is_streamed(held: &StripeObject) -> bool {
    held.parameters.iter().any(|(name, value)| (name.as_str(), value.as_str()) == VIA)
}

impl Push<'_> {
    /// Streams the events of these invoices, if there are enough of them, and what was streamed before and is not known to have arrived.
    /// What does not get through waits for the next run.
    pub(super) async fn stream(&mut self, target: &[Invoice]) -> Result<(), BillingError> {
        let Some(from) = self.settings.stream_from else { return Ok(()) };
        let (mut again, mut fresh, mut failures) = (Vec::new(), Vec::new(), 0);
        for invoice in target.iter().filter(|invoice| invoice.collect == Collect::MeterEvents) {
            if self.is_late(invoice) || failures >= ENOUGH_FAILURES {
                continue;
            }
            match self.gather(invoice, &mut again, &mut fresh).await {
                Ok(()) => {}
                Err(BillingError::Store(error)) => return Err(error.into()),
                Err(BillingError::TooSoon(_)) => {}
                // It is told of where the invoice itself is pushed.
                Err(_) => failures += 1,
            }
        }
        if fresh.len() < from {
            fresh.clear();
        }
        if again.is_empty() && fresh.is_empty() {
            return Ok(());
        }
        // What was never sent is noted as streamed only where it can be: otherwise it is told one by one.
        let session = match self.stripe.open_meter_session().await {
            Ok(session) => session,
            Err(error) => {
                tracing::warn!(%error, events = again.len() + fresh.len(), "Stripe opens no stream of meter events");
                return Ok(());
            }
        };
        for one in fresh {
            let Pending { partner, subject, event, .. } = &one;
            let begun = self.store.begin_stripe_object(*partner, subject, 1, &noted(event), self.now()).await?;
            if begun.stripe_id.is_none() && is_streamed(&begun) {
                again.push(one);
            }
        }
        match self.send_all(session, &again).await {
            Err(BillingError::Stripe(error)) => {
                tracing::warn!(%error, events = again.len(), "Stripe's stream of meter events did not take all of them");
                Ok(())
            }
            sent => sent,
        }
    }

    /// Puts an invoice's events to those that are sent again, or that were never sent.
    async fn gather(
        &mut self,
        invoice: &Invoice,
        again: &mut Vec<Pending>,
        fresh: &mut Vec<Pending>,
    ) -> Result<(), BillingError> {
        let partner = invoice.partner;
        let (_, lines) = self.store.invoice(partner, invoice.id).await?;
        let customer = self.customer(partner).await?;
        self.take(invoice).await?;
        match self.way(invoice, &customer).await? {
            Way::Ours => return Ok(()),
            // Of a final invoice nothing more would be billed: what the meter has not becomes an item.
            Way::Stripe(theirs) if !theirs.is_draft() => return Ok(()),
            Way::Stripe(_) | Way::ByHand => {}
        }
        for counted in Counted::of(&lines) {
            let subject = event_subject(invoice, counted.line);
            let event = self.event(invoice, &counted, &customer);
            // What once became an item stays one, whatever the clock and the settings say by now.
            if self.has_item(invoice, counted.line).await? {
                continue;
            }
            let end = invoice.period.end;
            let Some(held) = self.store.stripe_object(partner, &subject).await? else {
                self.meter(&counted.event_name(), counted.product).await?;
                fresh.push(Pending { partner, subject, event, end });
                continue;
            };
            if held.stripe_id.is_some() || !is_streamed(&held) {
                continue;
            }
            if self.now().duration_since(held.attempted_at).abs() >= SUMMED_UP {
                let meter = self.meter(&counted.event_name(), counted.product).await?;
                if let Some(found) = counted.look(invoice, &meter, &customer).at(self.stripe).await? {
                    self.store.finish_stripe_object(partner, &subject, &found, self.now()).await?;
                    continue;
                }
                self.store.begin_stripe_object(partner, &subject, held.attempt + 1, &noted(&event), self.now()).await?;
            }
            again.push(Pending { partner, subject, event, end });
        }
        Ok(())
    }

    /// Sends them in as few requests as it takes. What would come too late by now is left for an item, and what Stripe refuses holds
    /// nothing else up.
    async fn send_all(&self, session: MeterSession, pending: &[Pending]) -> Result<(), BillingError> {
        let mut session = Some(session);
        for batch in pending.chunks(MOST_STREAMED) {
            let batch: Vec<_> = batch.iter().filter(|one| !self.has_closed(one.end)).collect();
            if batch.is_empty() {
                continue;
            }
            let all: Vec<_> = batch.iter().map(|one| (one.partner, one.subject.clone())).collect();
            self.store.send_stripe_objects(&all, self.now()).await?;
            // As one by one: who makes an invoice of it meanwhile looks at what was sent.
            let (mut names, mut events) = (Vec::new(), Vec::new());
            for (name, one) in all.into_iter().zip(&batch) {
                let invoice = invoice_of_event(&one.subject);
                if !matches!(invoice, Some(invoice) if self.is_made_by_us(one.partner, invoice).await?) {
                    names.push(name);
                    events.push(one.event.clone());
                }
            }
            if events.is_empty() {
                continue;
            }
            match self.send_batch(&mut session, &events).await {
                Err(error) if error.is_refusal() && !error.is_unauthorized() => {
                    tracing::warn!(%error, events = events.len(), "Stripe refuses a request of its stream of meter events");
                    continue;
                }
                sent => sent?,
            }
            let identifiers: Vec<_> = events.into_iter().map(|event| event.identifier).collect();
            self.store.finish_stripe_objects(&names, &identifiers, self.now()).await?;
        }
        Ok(())
    }

    /// One request; with another session where the one at hand has ended.
    async fn send_batch(
        &self,
        session: &mut Option<MeterSession>,
        events: &[StreamedEvent],
    ) -> Result<(), StripeError> {
        let is_good = |held: &MeterSession| held.expires_at.duration_since(self.now()) >= LEAST_LEFT;
        let held = match session.take().filter(is_good) {
            Some(held) => held,
            None => self.stripe.open_meter_session().await?,
        };
        match self.stripe.stream_meter_events(session.insert(held), events).await {
            Err(error) if error.is_unauthorized() => {
                let another = self.stripe.open_meter_session().await?;
                self.stripe.stream_meter_events(session.insert(another), events).await
            }
            sent => sent,
        }
    }

    /// A line's event, the same whenever it is made.
    fn event(&self, invoice: &Invoice, counted: &Counted<'_>, customer: &str) -> StreamedEvent {
        StreamedEvent {
            event_name: counted.event_name(),
            identifier: counted.identifier(invoice),
            payload: Payload { stripe_customer_id: customer.to_owned(), value: counted.units.to_string() },
            timestamp: Timestamp::from_second(counted.timestamp(invoice)).unwrap_or(invoice.period.start),
        }
    }
}

/// As it is noted before it is sent.
fn noted(event: &StreamedEvent) -> Parameters {
    let timestamp = event.timestamp.as_second().to_string();
    let pairs = [
        VIA,
        ("event_name", &event.event_name),
        ("payload[stripe_customer_id]", &event.payload.stripe_customer_id),
        ("payload[value]", &event.payload.value),
        ("identifier", &event.identifier),
        ("timestamp", &timestamp),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}
