//! Pages of Checkout's that take a payment: at once, or days later. Where the page says so, Stripe makes an invoice of its own once it is paid.

use crate::{
    account::Account,
    charges, events,
    failure::Failure,
    invoice_items, invoices,
    params::Params,
    sessions::{self, address, customer},
    tax,
};
use serde_json::{Value, json};

const OPEN_SECONDS: i64 = 86_400;

const KNOWN: [&str; 19] = [
    "mode",
    "customer",
    "success_url",
    "cancel_url",
    "client_reference_id",
    "metadata[]",
    "line_items[0][quantity]",
    "line_items[0][price_data][currency]",
    "line_items[0][price_data][unit_amount]",
    "line_items[0][price_data][product_data][name]",
    "invoice_creation[enabled]",
    "invoice_creation[invoice_data][metadata][turnpike_checkout]",
    "invoice_creation[invoice_data][description]",
    "payment_intent_data[setup_future_usage]",
    "expires_at",
    "automatic_tax[enabled]",
    "customer_update[address]",
    "billing_address_collection",
    "line_items[0][price_data][tax_behavior]",
];

/// What is charged at least, in the smallest coin.
fn least(currency: &str) -> i64 {
    match currency {
        "gbp" => 30,
        "sek" | "nok" => 300,
        "dkk" => 250,
        _ => 50,
    }
}

pub fn open(account: &mut Account, params: &Params) -> Result<Value, Failure> {
    params.only(&KNOWN)?;
    let id = params.need("customer")?;
    customer(account, id)?;
    let whole = |name: &str| -> Result<i64, Failure> {
        let number = params.integer(name)?.ok_or_else(|| Failure::missing(name))?;
        if number < 1 {
            return Err(Failure::invalid("This value must be greater than or equal to 1.").param(name));
        }
        Ok(number)
    };
    let total = whole("line_items[0][quantity]")? * whole("line_items[0][price_data][unit_amount]")?;
    if total > 99_999_999 {
        let message = "The Checkout Session's total amount due must be no more than $999,999.99";
        return Err(Failure::invalid(message).code("amount_too_large"));
    }
    let currency = params.need("line_items[0][price_data][currency]")?;
    let least = least(currency);
    if total < least {
        let message = format!(
            "The Checkout Session's total amount due must add up to at least {least} {currency} in the smallest coin"
        );
        return Err(Failure::invalid(message).code("amount_too_small"));
    }
    params.need("line_items[0][price_data][product_data][name]")?;
    params.one_of("billing_address_collection", &["auto", "required"])?;
    let behavior = params.one_of("line_items[0][price_data][tax_behavior]", &["exclusive"])?;
    let keeps_address = params.one_of("customer_update[address]", &["auto", "never"])? == Some("auto");
    let is_taxed = tax::wanted(account, params)?;
    if is_taxed && behavior.is_none() {
        let message = "Automatic tax calculation needs a tax behavior of each price (the stand-in has no usual one).";
        return Err(Failure::invalid(message).param("line_items[0][price_data][tax_behavior]"));
    }
    if is_taxed && !keeps_address && tax::status(account, &json!(id)) != tax::STATUS_COMPLETE {
        let message = "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid address to the Customer or set `customer_update[address]` to 'auto'.";
        return Err(Failure::invalid(message).code("customer_tax_location_invalid"));
    }
    let automatic_tax = match is_taxed {
        true => {
            json!({ "enabled": true, "liability": { "type": "self" }, "provider": "stripe", "status": "requires_location_inputs" })
        }
        false => json!({ "enabled": false, "liability": null, "provider": null, "status": null }),
    };
    let makes_invoice = params.boolean("invoice_creation[enabled]")?.unwrap_or(false);
    let keeps = params.one_of("payment_intent_data[setup_future_usage]", &["off_session", "on_session"])?.is_some();
    let name = "invoice_creation[invoice_data][metadata][turnpike_checkout]";
    let of_invoice = params.get(name).map_or_else(|| json!({}), |own| json!({ "turnpike_checkout": own }));
    let session = account.new_id("cs_test_");
    let now = account.now();
    let expires_at = params.integer("expires_at")?.unwrap_or(now + OPEN_SECONDS);
    if !(now + 1_800..=now + OPEN_SECONDS).contains(&expires_at) {
        let message =
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.";
        return Err(Failure::invalid(message).param("expires_at"));
    }
    let object = json!({
        "id": session, "object": "checkout.session", "amount_subtotal": total, "amount_total": total,
        "automatic_tax": automatic_tax, "total_details": { "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 }, "cancel_url": params.text("cancel_url"),
        "client_reference_id": params.text("client_reference_id"), "created": now, "currency": currency, "custom_fields": [],
        "customer": id, "expires_at": expires_at, "invoice": null,
        "invoice_creation": { "enabled": makes_invoice, "invoice_data": { "account_tax_ids": null, "custom_fields": null,
            "description": null, "footer": null, "issuer": null, "metadata": of_invoice, "rendering_options": null } },
        "livemode": false, "metadata": params.merge_metadata(&Value::Null)?, "mode": "payment", "payment_intent": null,
        "payment_method_types": ["card", "sepa_debit"], "payment_status": "unpaid", "setup_intent": null, "shipping_options": [],
        "status": "open", "subscription": null, "success_url": address(params, "success_url")?,
        "url": format!("https://checkout.stripe.com/c/pay/{session}"),
    });
    if keeps {
        account.pages_that_keep.insert(session);
    }
    Ok(account.checkout_sessions.add(object))
}

/// What the person does there, and their bank afterwards: `complete` is paid at once; after `complete_unpaid` come `succeed` or `fail`.
pub fn leave(account: &mut Account, held: &Value, step: &str) -> Result<Value, Failure> {
    let is_open = held["status"] == "open";
    let waits = held["status"] == "complete" && held["payment_status"] == "unpaid";
    let (possible, intent, paid, kind) = match step {
        "complete" => (is_open, "succeeded", true, "checkout.session.completed"),
        "complete_unpaid" => (is_open, "processing", false, "checkout.session.completed"),
        "succeed" => (waits, "succeeded", true, "checkout.session.async_payment_succeeded"),
        "fail" => (waits, "requires_payment_method", false, "checkout.session.async_payment_failed"),
        other => return Err(Failure::invalid(format!("{other} is no step"))),
    };
    if !possible {
        return Err(Failure::invalid("This Checkout Session is not open, or its payment is decided."));
    }
    let id = held["id"].as_str().unwrap_or_default();
    if is_open && held["automatic_tax"]["enabled"] == true {
        add_tax(account, held)?;
    }
    let held = &sessions::held(account, id)?;
    // Once it is filled in.
    if is_open && account.pages_that_keep.contains(id) {
        sessions::attach(account, &held["customer"]);
    }
    let intent = pay(account, held, intent)?;
    let invoice = match paid && held["invoice_creation"]["enabled"] == true {
        true => own_invoice(account, held, intent.as_str().unwrap_or_default())?,
        false => Value::Null,
    };
    let session = account.checkout_sessions.get_mut(id).ok_or_else(|| Failure::no_such("checkout.session", id))?;
    session["status"] = json!("complete");
    session["payment_status"] = json!(if paid { "paid" } else { "unpaid" });
    session["payment_intent"] = intent;
    session["invoice"] = invoice;
    session["url"] = Value::Null;
    let session = session.clone();
    events::happened(account, kind, &session);
    Ok(session)
}

/// The person gives an address, which the customer has from then on, and the tax comes on top.
fn add_tax(account: &mut Account, session: &Value) -> Result<(), Failure> {
    let (id, customer) = (session["id"].as_str().unwrap_or_default(), session["customer"].as_str().unwrap_or_default());
    if let Some(customer) = account.customers.get_mut(customer).filter(|customer| customer["address"].is_null()) {
        customer["address"] = json!({ "city": "Auckland", "country": "NZ", "line1": "1 Queen Street", "line2": null, "postal_code": "1010", "state": null });
    }
    let rate = account.tax.map_or(0, |tax| tax.basis_points);
    let session = account.checkout_sessions.get_mut(id).ok_or_else(|| Failure::no_such("checkout.session", id))?;
    let before = session["amount_subtotal"].as_i64().unwrap_or_default();
    let tax = tax::on(before, rate);
    session["amount_total"] = json!(before + tax);
    session["total_details"]["amount_tax"] = json!(tax);
    session["automatic_tax"]["status"] = json!(tax::STATUS_COMPLETE);
    Ok(())
}

/// The payment as it is by now; its name.
fn pay(account: &mut Account, session: &Value, status: &str) -> Result<Value, Failure> {
    let id = match session["payment_intent"].as_str() {
        Some(id) => id.to_owned(),
        None => charges::begin(account, &session["customer"], &session["amount_total"], &session["currency"]),
    };
    charges::decide(account, &id, status)?;
    Ok(json!(id))
}

/// An invoice of what was paid, which is paid.
fn own_invoice(account: &mut Account, session: &Value, intent: &str) -> Result<Value, Failure> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (customer, currency) = (text(&session["customer"]), text(&session["currency"]));
    let own = text(&session["invoice_creation"]["invoice_data"]["metadata"]["turnpike_checkout"]);
    let metadata = if own.is_empty() { String::new() } else { format!("&metadata[turnpike_checkout]={own}") };
    let (taxed, behavior) = match session["automatic_tax"]["enabled"] == true {
        true => ("&automatic_tax[enabled]=true", "&tax_behavior=exclusive"),
        false => ("", ""),
    };
    let params = Params::parse(&format!("customer={customer}&currency={currency}{metadata}{taxed}"))?;
    let id = text(&invoices::create(account, &params)?["id"]);
    let amount = &session["amount_subtotal"];
    let params =
        Params::parse(&format!("customer={customer}&currency={currency}&invoice={id}&amount={amount}{behavior}"))?;
    invoice_items::create(account, &params)?;
    invoices::finalize(account, &id, &Params::default())?;
    invoices::paid_by(account, &id, intent)?;
    Ok(json!(id))
}
