//! Invoices, credit notes and voids to the provider's own receiver: one signed message for each, as Standard Webhooks has it, whose
//! identifier is the document's and whose content is kept and never written anew. So whoever takes a message once takes each document once.

use super::{Client, Undelivered, message::Message, pause};
use crate::{
    api::{credit_notes::CreditNoteOut, invoices::InvoiceWithLinesOut},
    config::InvoiceWebhook,
};
use app::{hooks, state::Clock};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use store::{
    Store, StoreError,
    document_deliveries::{Delivery, Document, DocumentKind, Unlisted},
};

/// Rows that one run makes.
const MOST_NEW: u32 = 100;
/// Sent between two looks at what is due.
const MOST_AT_ONCE: u32 = 10;
/// After that time a run ends.
const TURN: Duration = Duration::from_secs(60);
/// A document is nobody else's for that time, which is longer than it takes to send so many.
const CLAIM: SignedDuration = SignedDuration::from_secs(300);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(3_600);

/// Carries documents to their receiver.
#[derive(Clone)]
pub struct Courier {
    pub store: Store,
    pub clock: Clock,
    pub client: Client,
    pub receiver: InvoiceWebhook,
}

impl Courier {
    /// Makes a row for each document that has none, and sends what is due. Says how many arrived. Where none of several does, the receiver
    /// is given a rest.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn run(&self) -> Result<u32, StoreError> {
        for unlisted in self.store.all_partners_unlisted_documents(MOST_NEW).await? {
            let body = self.body(&unlisted).await?.to_string();
            self.store.enlist_document(&unlisted, &body, self.clock.now()).await?;
        }
        let (begun, mut delivered) = (Instant::now(), 0);
        while begun.elapsed() < TURN {
            let (now, before) = (self.clock.now(), delivered);
            for delivery in self.store.claim_deliveries(now, now + CLAIM, MOST_AT_ONCE).await? {
                match self.send(&delivery).await {
                    Ok(()) => {
                        self.store.note_document_delivered(delivery.document, self.clock.now()).await?;
                        delivered += 1;
                    }
                    Err(why) => self.note_failure(&delivery, &why).await?,
                }
            }
            if delivered == before {
                break;
            }
        }
        Ok(delivered)
    }

    async fn send(&self, delivery: &Delivery) -> Result<(), Undelivered> {
        let url = hooks::read_url(&self.receiver.url).map_err(Undelivered::new)?;
        let id = delivery.document.to_string();
        let content_type = "application/json";
        let message = Message { id: &id, content_type, sent_at: Timestamp::now(), body: delivery.body.as_bytes() };
        self.client.post(&url, &message, &message.signature(&self.receiver.keys)).await
    }

    async fn note_failure(&self, delivery: &Delivery, why: &Undelivered) -> Result<(), StoreError> {
        metrics::counter!("turnpike_invoice_delivery_failures_total").increment(1);
        let (document, now) = (delivery.document, self.clock.now());
        let pause = pause(delivery.failures).max(why.not_before.unwrap_or_default().min(LONGEST_PAUSE));
        let message = why.to_string();
        if self.store.note_document_failure(document, &message, why.gone, now + pause, now).await? {
            tracing::error!(%document, message, "a document is given up: it could not be delivered for too long");
        } else if delivery.failures == 0 {
            tracing::warn!(%document, message, "a document could not be delivered; it will be tried again");
        }
        Ok(())
    }

    /// What is sent of a document, as the REST API writes it.
    async fn body(&self, unlisted: &Unlisted) -> Result<Value, StoreError> {
        let partner = unlisted.partner;
        let (kind, at, name, document) = match unlisted.document {
            Document::Invoice(id) => {
                let (invoice, lines) = self.store.invoice(partner, id).await?;
                let (at, name) = (invoice.created_at, invoice.partner_name.clone());
                ("invoice.finished", at, name, json!({ "invoice": InvoiceWithLinesOut::new(invoice, lines) }))
            }
            Document::CreditNote(id) => {
                let (note, lines) = self.store.credit_note(partner, id).await?;
                let kind = if unlisted.kind == DocumentKind::Void { "invoice.voided" } else { "credit_note.issued" };
                let (at, name) = (note.ended_at.unwrap_or_else(|| self.clock.now()), note.partner_name.clone());
                (kind, at, name, json!({ "credit_note": CreditNoteOut::with_lines(note, lines) }))
            }
        };
        let mut data = json!({ "partner": partner, "partner_name": name });
        if let (Value::Object(data), Value::Object(document)) = (&mut data, document) {
            data.extend(document);
        }
        Ok(json!({ "type": kind, "timestamp": at, "data": data }))
    }
}

#[cfg(test)]
mod tests;
