//! Pages of Stripe's own: `/v1/billing_portal/sessions`, `/v1/checkout/sessions`, and the payment methods that come of them. What is particular
//! to pages that take a payment is in [`crate::payments`].

use crate::{
    account::Account,
    events,
    failure::Failure,
    list::{self, LIST},
    params::Params,
    payments,
};
use serde_json::{Value, json};

/// A page is open for a day.
const OPEN_SECONDS: i64 = 86_400;

pub(crate) fn customer(account: &Account, id: &str) -> Result<(), Failure> {
    let held = account.customers.get(id).filter(|held| held["deleted"] != true);
    held.map(drop).ok_or_else(|| Failure { param: Some("customer".to_owned()), ..Failure::no_such("customer", id) })
}

pub(crate) fn address<'a>(params: &'a Params, name: &str) -> Result<&'a str, Failure> {
    let text = params.need(name)?;
    if text.starts_with("http://") || text.starts_with("https://") {
        return Ok(text);
    }
    Err(Failure::invalid("Not a valid URL").code("url_invalid").param(name))
}

pub fn open_portal(account: &mut Account, params: &Params) -> Result<Value, Failure> {
    params.only(&["customer", "return_url", "configuration", "locale"])?;
    let id = params.need("customer")?;
    customer(account, id)?;
    let back = address(params, "return_url")?;
    let session = account.new_id("bps_1");
    Ok(json!({
        "id": session, "object": "billing_portal.session", "configuration": "bpc_1", "created": account.now(), "customer": id,
        "customer_account": null, "flow": null, "livemode": false, "locale": null, "on_behalf_of": null, "return_url": back,
        "url": format!("https://billing.stripe.com/p/session/test_{session}"),
    }))
}

pub fn open_checkout(account: &mut Account, params: &Params) -> Result<Value, Failure> {
    if params.get("mode") == Some("payment") {
        return payments::open(account, params);
    }
    params.only(&[
        "mode",
        "customer",
        "currency",
        "success_url",
        "cancel_url",
        "metadata[]",
        "client_reference_id",
        "billing_address_collection",
    ])?;
    let mode = params.one_of("mode", &["payment", "setup"])?.ok_or_else(|| Failure::missing("mode"))?;
    let id = params.need("customer")?;
    customer(account, id)?;
    let session = account.new_id("cs_test_");
    let now = account.now();
    let object = json!({
        "id": session, "object": "checkout.session", "amount_subtotal": null, "amount_total": null,
        "automatic_tax": { "enabled": false, "liability": null, "provider": null, "status": null }, "cancel_url": params.text("cancel_url"),
        "client_reference_id": null, "created": now, "currency": params.need("currency")?, "custom_fields": [],
        "customer": id, "expires_at": now + OPEN_SECONDS, "livemode": false, "metadata": params.merge_metadata(&Value::Null)?,
        "mode": mode, "payment_intent": null, "payment_method_types": ["card"], "payment_status": "no_payment_required",
        "setup_intent": account.new_id("seti_1"), "shipping_options": [], "status": "open", "subscription": null,
        "success_url": address(params, "success_url")?, "url": format!("https://checkout.stripe.com/c/pay/{session}"),
    });
    Ok(account.checkout_sessions.add(object))
}

pub fn retrieve(account: &Account, id: &str, params: &Params) -> Result<Value, Failure> {
    let mut session = held(account, id)?;
    if params.map("expand").iter().any(|(_, path)| *path == "payment_intent")
        && let Some(intent) = session["payment_intent"].as_str().and_then(|id| account.payment_intents.get(id))
    {
        session["payment_intent"] = intent.clone();
    }
    Ok(session)
}

pub(crate) fn held(account: &Account, id: &str) -> Result<Value, Failure> {
    account.checkout_sessions.get(id).cloned().ok_or_else(|| Failure::no_such("checkout.session", id))
}

/// Ends a page, as the one asks who opened it.
pub fn expire(account: &mut Account, id: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&[])?;
    if held(account, id)?["status"] != "open" {
        return Err(Failure::invalid("Only Checkout Sessions with a status in [\"open\"] can be expired."));
    }
    leave(account, id, "expire")
}

/// A payment method of the customer's that a page leaves, and the event of it.
pub(crate) fn attach(account: &mut Account, customer: &Value) {
    let method = json!({
        "id": account.new_id("pm_1"), "object": "payment_method", "type": "card", "created": account.now(), "livemode": false,
        "customer": customer, "metadata": {}, "allow_redisplay": "always",
        "billing_details": { "address": null, "email": null, "name": null, "phone": null, "tax_id": null },
        "card": { "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2031, "country": "NZ", "funding": "credit" },
    });
    let method = account.payment_methods.add(method);
    events::happened(account, "payment_method.attached", &method);
}

/// What the person does there. A payment method is attached before the page is complete, and its event is posted first.
pub fn leave(account: &mut Account, id: &str, step: &str) -> Result<Value, Failure> {
    let held = held(account, id)?;
    if held["mode"] == "payment" && step != "expire" {
        return payments::leave(account, &held, step);
    }
    if held["status"] != "open" {
        return Err(Failure::invalid("This Checkout Session is not open."));
    }
    let (status, kind) = match step {
        "complete" => ("complete", "checkout.session.completed"),
        "expire" => ("expired", "checkout.session.expired"),
        other => return Err(Failure::invalid(format!("{other} is no step"))),
    };
    if status == "complete" {
        attach(account, &held["customer"]);
    }
    let session = account.checkout_sessions.get_mut(id).ok_or_else(|| Failure::no_such("checkout.session", id))?;
    session["status"] = json!(status);
    session["url"] = Value::Null;
    let session = session.clone();
    events::happened(account, kind, &session);
    Ok(session)
}

pub fn payment_methods(account: &Account, id: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&[LIST.as_slice(), &["type"]].concat())?;
    customer(account, id)?;
    let url = format!("/v1/customers/{id}/payment_methods");
    list::page(&account.payment_methods, &url, params, |method| method["customer"] == id)
}

/// It is nobody's any more; who had it is in the event only.
pub fn detach(account: &mut Account, id: &str) -> Result<Value, Failure> {
    let method = account.payment_methods.get_mut(id).ok_or_else(|| Failure::no_such("payment_method", id))?;
    let before = method["customer"].take();
    let method = method.clone();
    if let Some(customer) = before.as_str().map(str::to_owned).and_then(|id| account.customers.get_mut(&id))
        && customer["invoice_settings"]["default_payment_method"] == id
    {
        customer["invoice_settings"]["default_payment_method"] = Value::Null;
    }
    events::changed(account, "payment_method.detached", &method, &json!({ "customer": before }));
    Ok(method)
}
