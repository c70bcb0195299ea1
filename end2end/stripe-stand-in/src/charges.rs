//! Payments that came, and money that went again: payment intents with their charges, `/v1/invoice_payments`, `/v1/refunds` and
//! `/v1/disputes`. Of a charge never more goes back than it was.

use crate::{
    account::Account,
    events,
    failure::Failure,
    list::{self, LIST},
    params::Params,
};
use serde_json::{Value, json};

/// How long a dispute can be answered.
const ANSWER_SECONDS: i64 = 7 * 86_400;

/// A payment of so much that is on its way; its name.
pub fn begin(account: &mut Account, customer: &Value, amount: &Value, currency: &Value) -> String {
    let intent = json!({
        "id": account.new_id("pi_1"), "object": "payment_intent", "amount": amount, "created": account.now(), "currency": currency,
        "customer": customer, "latest_charge": null, "livemode": false, "metadata": {}, "status": "processing",
    });
    account.payment_intents.add(intent)["id"].as_str().unwrap_or_default().to_owned()
}

/// What became of a payment. One that succeeds leaves a charge.
pub fn decide(account: &mut Account, id: &str, status: &str) -> Result<(), Failure> {
    let charge = account.new_id("ch_1");
    let now = account.now();
    let intent = account.payment_intents.get_mut(id).ok_or_else(|| Failure::no_such("payment_intent", id))?;
    intent["status"] = json!(status);
    if status != "succeeded" {
        return Ok(());
    }
    intent["latest_charge"] = json!(charge);
    let charge = json!({
        "id": charge, "object": "charge", "amount": intent["amount"], "amount_captured": intent["amount"], "amount_refunded": 0,
        "captured": true, "created": now, "currency": intent["currency"], "customer": intent["customer"], "disputed": false,
        "livemode": false, "metadata": {}, "paid": true, "payment_intent": id, "refunded": false, "status": "succeeded",
    });
    account.charges.add(charge);
    Ok(())
}

/// Says that an invoice was paid by that payment.
pub fn pays(account: &mut Account, invoice: &Value, intent: &str) {
    let payment = json!({
        "id": account.new_id("inpay_1"), "object": "invoice_payment", "amount_paid": invoice["amount_due"],
        "amount_requested": invoice["amount_due"], "created": account.now(), "currency": invoice["currency"], "invoice": invoice["id"],
        "is_default": true, "livemode": false, "payment": { "type": "payment_intent", "payment_intent": intent }, "status": "paid",
        "status_transitions": { "canceled_at": null, "paid_at": account.now() },
    });
    account.invoice_payments.add(payment);
}

pub fn invoice_payments(account: &Account, params: &Params) -> Result<Value, Failure> {
    params.only(&[LIST.as_slice(), &["invoice", "payment[]"]].concat())?;
    let (invoice, intent) = (params.get("invoice"), params.get("payment[payment_intent]"));
    list::page(&account.invoice_payments, "/v1/invoice_payments", params, |payment| {
        invoice.is_none_or(|id| payment["invoice"] == id)
            && intent.is_none_or(|id| payment["payment"]["payment_intent"] == id)
    })
}

/// The charge of an invoice's payment.
pub fn of_invoice(account: &Account, invoice: &str) -> Option<String> {
    let payment = account.invoice_payments.iter().rev().find(|payment| payment["invoice"] == invoice)?;
    let intent = &payment["payment"]["payment_intent"];
    account.charges.iter().find(|charge| charge["payment_intent"] == *intent)?["id"].as_str().map(str::to_owned)
}

pub fn refund(account: &mut Account, params: &Params) -> Result<Value, Failure> {
    params.only(&["payment_intent", "charge", "amount", "reason", "metadata[]"])?;
    let charge = match (params.get("charge"), params.get("payment_intent")) {
        (Some(charge), _) => charge.to_owned(),
        (None, Some(intent)) => {
            let held = account.payment_intents.get(intent).ok_or_else(|| Failure::no_such("payment_intent", intent))?;
            let none = || Failure::invalid("This PaymentIntent does not have a successful charge to refund.");
            held["latest_charge"].as_str().ok_or_else(none)?.to_owned()
        }
        (None, None) => {
            return Err(Failure::invalid("One of the following params should be provided: payment_intent or charge."));
        }
    };
    let reason = params.one_of("reason", &["duplicate", "fraudulent", "requested_by_customer"])?.map(str::to_owned);
    let metadata = params.merge_metadata(&Value::Null)?;
    if account.faults.refuses_refunds {
        let message = "You have insufficient funds in your Stripe account to perform this refund.";
        return Err(Failure::invalid(message).code("balance_insufficient"));
    }
    let refund = of_charge(account, &charge, params.integer("amount")?, (reason, metadata))?;
    if account.faults.refunds_fail_at_once {
        fail_refund(account, refund["id"].as_str().unwrap_or_default(), "insufficient_funds")?;
    }
    // As it was made.
    Ok(refund)
}

/// Pays so much of a charge back, or all that is left of it.
pub fn of_charge(
    account: &mut Account,
    charge: &str,
    amount: Option<i64>,
    (reason, metadata): (Option<String>, Value),
) -> Result<Value, Failure> {
    let held = account.charges.get(charge).cloned().ok_or_else(|| Failure::no_such("charge", charge))?;
    let number = |name: &str| held[name].as_i64().unwrap_or_default();
    let left = number("amount") - number("amount_refunded");
    if left == 0 {
        let message = format!("Charge {charge} has already been refunded.");
        return Err(Failure::invalid(message).code("charge_already_refunded"));
    }
    let amount = amount.unwrap_or(left);
    if amount < 1 || amount > left {
        let message = format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left})");
        return Err(Failure::invalid(message).param("amount"));
    }
    let refund = json!({
        "id": account.new_id("re_1"), "object": "refund", "amount": amount, "balance_transaction": null, "charge": charge,
        "created": account.now(), "currency": held["currency"], "metadata": metadata, "payment_intent": held["payment_intent"],
        "reason": reason, "receipt_number": null, "source_transfer_reversal": null, "status": "succeeded", "transfer_reversal": null,
    });
    let refund = account.refunds.add(refund);
    if let Some(held) = account.charges.get_mut(charge) {
        held["amount_refunded"] = json!(number("amount_refunded") + amount);
        held["refunded"] = json!(left == amount);
        let held = held.clone();
        events::happened(account, "refund.created", &refund);
        events::happened(account, "charge.refunded", &held);
    }
    Ok(refund)
}

/// The bank sends a refund back, as days after it was made.
pub fn fail_refund(account: &mut Account, id: &str, reason: &str) -> Result<Value, Failure> {
    let refund = account.refunds.get_mut(id).ok_or_else(|| Failure::no_such("refund", id))?;
    if refund["status"] == "failed" {
        return Err(Failure::invalid("This refund has failed before."));
    }
    refund["status"] = json!("failed");
    refund["failure_reason"] = json!(reason);
    let refund = refund.clone();
    if let Some(charge) = refund["charge"].as_str().and_then(|id| account.charges.get_mut(id)) {
        let number = |value: &Value| value.as_i64().unwrap_or_default();
        charge["amount_refunded"] = json!(number(&charge["amount_refunded"]) - number(&refund["amount"]));
        charge["refunded"] = json!(false);
    }
    events::happened(account, "refund.failed", &refund);
    events::happened(account, "charge.refund.updated", &refund);
    Ok(refund)
}

pub fn refunds(account: &Account, params: &Params) -> Result<Value, Failure> {
    params.only(&[LIST.as_slice(), &["payment_intent", "charge"]].concat())?;
    let (intent, charge) = (params.get("payment_intent"), params.get("charge"));
    list::page(&account.refunds, "/v1/refunds", params, |refund| {
        intent.is_none_or(|id| refund["payment_intent"] == id) && charge.is_none_or(|id| refund["charge"] == id)
    })
}

/// The holder of the card disputes what was paid of an invoice, as its bank tells Stripe.
pub fn dispute(account: &mut Account, invoice: &str, amount: Option<i64>) -> Result<Value, Failure> {
    let charge = of_invoice(account, invoice).ok_or_else(|| Failure::invalid("This invoice was paid by no charge."))?;
    let now = account.now();
    let id = account.new_id("du_1");
    let held = account.charges.get_mut(&charge).ok_or_else(|| Failure::no_such("charge", &charge))?;
    held["disputed"] = json!(true);
    let amount = amount.map_or_else(|| held["amount"].clone(), |amount| json!(amount));
    let dispute = json!({
        "id": id, "object": "dispute", "amount": amount, "balance_transactions": [], "charge": charge, "created": now,
        "currency": held["currency"], "enhanced_eligibility_types": [], "evidence": {},
        "evidence_details": { "due_by": now + ANSWER_SECONDS, "enhanced_eligibility": {}, "has_evidence": false, "past_due": false,
            "submission_count": 0 },
        "is_charge_refundable": false, "livemode": false, "metadata": {}, "payment_intent": held["payment_intent"],
        "reason": "fraudulent", "status": "needs_response",
    });
    let dispute = account.disputes.add(dispute);
    events::happened(account, "charge.dispute.created", &dispute);
    Ok(dispute)
}

/// How it ends: `won`, `lost` or `warning_closed`.
pub fn close_dispute(account: &mut Account, id: &str, status: &str) -> Result<Value, Failure> {
    if !["won", "lost", "warning_closed"].contains(&status) {
        return Err(Failure::invalid(format!("{status} is no end of a dispute")));
    }
    let dispute = account.disputes.get_mut(id).ok_or_else(|| Failure::no_such("dispute", id))?;
    dispute["status"] = json!(status);
    let dispute = dispute.clone();
    events::happened(account, "charge.dispute.closed", &dispute);
    Ok(dispute)
}

pub fn retrieve_dispute(account: &Account, id: &str) -> Result<Value, Failure> {
    account.disputes.get(id).cloned().ok_or_else(|| Failure::no_such("dispute", id))
}

pub fn disputes(account: &Account, params: &Params) -> Result<Value, Failure> {
    params.only(&[LIST.as_slice(), &["payment_intent", "charge"]].concat())?;
    let (intent, charge) = (params.get("payment_intent"), params.get("charge"));
    list::page(&account.disputes, "/v1/disputes", params, |dispute| {
        intent.is_none_or(|id| dispute["payment_intent"] == id) && charge.is_none_or(|id| dispute["charge"] == id)
    })
}
