//! What is set right afterwards: a batch that came twice, a call that should not count, late events, a refund.

use super::{
    calendar::{HOUR, SECOND, text},
    calling::call,
    installation::Installation,
    ledger::{Adjusted, Operation, Stretch},
    partner::Partner,
    telling::{SOURCE, Told, tell},
};
use crate::{Trouble, findings::Findings};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// Events of a batch that is told a second time under another name, and taken back.
const TWICE: u64 = 100;
/// Under which.
const AGAIN: &str = "chaos-again";
/// Cents that are credited of an invoice.
const CREDITED: i64 = 1_234;
/// Calls until one is paid by credit.
const TRIES: u32 = 200;

/// A batch that was told a second time under another name is voided, as an operator does it: what it would do is looked at first.
pub(super) async fn tell_twice_and_void(
    own: &Installation,
    partner: &mut Partner,
    found: &mut Findings,
) -> Result<(), Trouble> {
    let now = own.now()?;
    let day = Stretch { from: now - 24 * HOUR, to: now - HOUR };
    let batch: Vec<Told> = (0..TWICE)
        .map(|_| {
            let at = partner.instant(day);
            partner.event(at)
        })
        .collect();
    tell(&own.rest, &partner.id, AGAIN, &batch).await?;
    let filter = json!({ "from": text(day.from), "to": text(day.to), "source": AGAIN });
    let dry_run = correct(own, partner, &json!({ "kind": "void" }), &filter).await?;
    let units: i64 = batch.iter().map(|told| told.units).sum();
    found.check(
        dry_run["events"] == TWICE && dry_run["units_before"] == units && dry_run["units_after"] == 0,
        format!("{}: a batch of {TWICE} events and {units} units that came twice is voided", partner.code),
    );
    Ok(())
}

/// A call of each partner that credit has paid counts nothing, and gives the credit back.
pub(super) async fn void_prepaid_calls(own: &Installation, partners: &mut [Partner; 2]) -> Result<(), Trouble> {
    let mut voided = Vec::new();
    for partner in &mut *partners {
        voided.push(paid_call(own, partner).await?);
    }
    own.cluster.wait_until_ingested().await?;
    for (partner, id) in partners.iter().zip(voided) {
        correct(own, partner, &json!({ "kind": "void" }), &json!({ "request_id": id })).await?;
    }
    Ok(())
}

/// The id of a call that credit has paid. Until the gateway has heard of the credit, calls are refused, and that is written down.
async fn paid_call(own: &Installation, partner: &mut Partner) -> Result<String, Trouble> {
    for _ in 0..TRIES {
        for called in call(own.cluster.ports()[0], partner, (1, own.now()?, true)).await? {
            if !called.used.is_refused {
                return Ok(called.id);
            }
            partner.ledger.add(called.used);
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err("no call was paid by credit".into())
}

/// Drafts, approves and applies a correction; its dry run.
async fn correct(own: &Installation, partner: &Partner, change: &Value, filter: &Value) -> Result<Value, Trouble> {
    let asked = json!({ "partner": partner.id, "change": change, "filter": filter, "reason": "It was counted twice" });
    let draft = own.rest.post("/api/corrections", &asked).await?;
    let at = format!("/api/corrections/{}", draft["id"].as_str().ok_or("a correction without an id")?);
    own.rest.post(&format!("{at}/approve"), &json!({ "hash": draft["hash"] })).await?;
    let applied = own.rest.post(&format!("{at}/apply"), &Value::Null).await?;
    if applied["state"] != "applied" {
        return Err(format!("a correction was not applied: {applied}").into());
    }
    Ok(draft["dry_run"].clone())
}

/// After the month is closed: late events in both of its parts, and one that had been told with too many units.
pub(super) async fn come_late(own: &Installation, partner: &mut Partner) -> Result<(), Trouble> {
    let [before, after, ..] = partner.stretches(&own.calendar);
    let mut events = Vec::new();
    for part in [before, after, after] {
        for operation in Operation::ALL {
            let at = partner.instant(part);
            events.push(Told { operation, ..partner.event(at) });
        }
    }
    events.push(partner.event(own.calendar.end_of_month(partner.start) - 1));
    let adjusted = partner.ledger.adjusted.len();
    partner.tell(&own.rest, &events).await?;
    if partner.ledger.adjusted.len() != adjusted + events.len() {
        return Err("events of a closed month were not late".into());
    }
    // Three units of one that came in time are taken back.
    let told = partner.too_many.take().ok_or("no event to correct")?;
    let filter = json!({ "request_id": told.id, "source": SOURCE });
    correct(own, partner, &json!({ "kind": "set_units", "units": told.units - 3 }), &filter).await?;
    partner.ledger.adjusted.push(Adjusted { at: told.at, operation: told.operation, units: -3, on: partner.bills });
    Ok(())
}

/// The invoice of the first part is paid, and some of a line of it goes back. Where the provider has subscribed the partner at Stripe by
/// hand, it has an invoice of its own: the provider credits that one there, as the operator is told to.
pub(super) async fn pay_and_refund(own: &mut Installation, partners: &mut [Partner; 2]) -> Result<(), Trouble> {
    for partner in partners.iter_mut() {
        let invoices = own.invoices(partner).await?;
        let id = invoices[0]["id"].as_str().ok_or("an invoice without an id")?.to_owned();
        let theirs = at_stripe(own, partner, &id).await?;
        own.control("invoices", json!({ "invoice": theirs, "step": "pay" })).await?;
        let is_paid = !partner.is_set_up_by_hand;
        if is_paid {
            own.wait_for("the payment", async |own| {
                let all = own.invoices(partner).await?;
                Ok(all.iter().any(|invoice| invoice["id"] == id.as_str() && invoice["status"] == "paid"))
            })
            .await?;
        }
        let held = own.rest.json(&format!("/api/invoices/{id}?partner={}", partner.id)).await?;
        let is_usage = |line: &&Value| line["kind"] == "usage";
        let line = held["lines"].as_array().into_iter().flatten().find(is_usage).ok_or("no line of usage")?;
        let amount = format!("{}.{:02}", CREDITED / 100, CREDITED % 100);
        let mut note = json!({ "partner": partner.id, "kind": "credit", "reason": "An hour of errors",
            "lines": [{ "position": line["position"], "amount": amount }] });
        if is_paid {
            note["payback"] = json!("refund");
        }
        let draft = own.rest.post(&format!("/api/invoices/{id}/credit-notes"), &note).await?;
        let note = draft["id"].as_str().ok_or("a credit note without an id")?;
        own.rest.post(&format!("/api/credit-notes/{note}/issue"), &json!({ "invoice_is_paid": is_paid })).await?;
        partner.credited = CREDITED;
        if !is_paid {
            let credit = format!("invoice={theirs}&amount={CREDITED}&refund_amount={CREDITED}");
            own.form_at_stripe("/v1/credit_notes", &credit).await?;
        }
    }
    // What is told to Stripe each minute is told at the start.
    own.restart().await?;
    for partner in partners.iter() {
        own.wait_for("the credit note at Stripe", async |own| {
            let (state, customer) = (own.state().await?, own.customer(partner).await?);
            let notes = state["credit_notes"].as_array().into_iter().flatten();
            Ok(notes.into_iter().any(|note| note["customer"].as_str() == customer.as_deref()))
        })
        .await?;
    }
    let by_hand = partners.iter().filter(|partner| partner.is_set_up_by_hand).count().to_string();
    own.wait_for("word that Stripe's own invoice has to be credited there", async |own| {
        let told = "select count(*) from credit_notes where push_problem like '%credit that one in Stripe%'";
        Ok(own.cluster.psql(told)?.trim() == by_hand)
    })
    .await
}

/// Stripe's invoice of the month's first part.
async fn at_stripe(own: &Installation, partner: &Partner, ours: &str) -> Result<String, Trouble> {
    let (state, customer) = (own.state().await?, own.customer(partner).await?);
    let is_it = |invoice: &&Value| {
        invoice["metadata"]["turnpike_invoice"] == ours
            || invoice["customer"].as_str() == customer.as_deref()
                && invoice["period_end"] == partner.change.div_euclid(SECOND)
    };
    let found = state["invoices"].as_array().into_iter().flatten().find(is_it);
    Ok(found.and_then(|invoice| invoice["id"].as_str()).ok_or("no invoice at Stripe")?.to_owned())
}
