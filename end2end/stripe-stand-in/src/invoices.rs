//! `/v1/invoices`: a draft is filled, finalised, then paid, voided or given up. A finalised invoice does not change.

use crate::{
    account::Account,
    charges, events,
    failure::Failure,
    list::{self, LIST},
    params::Params,
    tax,
};
use serde_json::{Value, json};
use std::collections::HashMap;

const KNOWN: [&str; 10] = [
    "automatic_tax[enabled]",
    "customer",
    "currency",
    "auto_advance",
    "collection_method",
    "days_until_due",
    "description",
    "footer",
    "metadata[]",
    "pending_invoice_items_behavior",
];

pub fn create(account: &mut Account, params: &Params) -> Result<Value, Failure> {
    params.only(&KNOWN)?;
    let customer = crate::customers::retrieve(account, params.need("customer")?)?;
    let method = params
        .one_of("collection_method", &["charge_automatically", "send_invoice"])?
        .unwrap_or("charge_automatically")
        .to_owned();
    let days = params.integer("days_until_due")?;
    match (method.as_str(), days) {
        ("send_invoice", None) => {
            return Err(Failure::invalid(
                "If you pass collection_method=send_invoice, you must also pass days_until_due.",
            ));
        }
        ("charge_automatically", Some(_)) => {
            return Err(Failure::invalid("You can only pass days_until_due when collection_method is send_invoice.")
                .param("days_until_due"));
        }
        _ => {}
    }
    if method == "send_invoice" && customer["email"].is_null() {
        return Err(Failure::invalid(
            "Missing email. In order to create invoices that are sent to the customer, the customer must have a valid email.",
        )
        .code("customer_missing_email"));
    }
    let pending =
        params.one_of("pending_invoice_items_behavior", &["include", "exclude"])?.unwrap_or("exclude").to_owned();
    let currency = match (params.get("currency"), customer["currency"].as_str()) {
        (Some(currency), _) => currency.to_lowercase(),
        (None, Some(currency)) => currency.to_owned(),
        (None, None) => "usd".to_owned(),
    };
    let automatic_tax = automatic_tax(tax::wanted(account, params)?);
    let now = account.now();
    let id = account.new_id("in_1");
    let invoice = json!({
        "id": id, "object": "invoice", "account_country": "US", "account_name": null, "attempt_count": 0, "attempted": false,
        "auto_advance": params.boolean("auto_advance")?.unwrap_or(false),
        "automatic_tax": automatic_tax,
        "billing_reason": "manual", "collection_method": method, "created": now, "currency": currency,
        "customer": customer["id"], "customer_email": customer["email"], "customer_name": customer["name"],
        "default_payment_method": null, "default_tax_rates": [], "description": params.text("description"), "discounts": [],
        "due_date": days.map(|days| now + days * 86_400), "effective_at": null, "ending_balance": null,
        "footer": params.text("footer"), "hosted_invoice_url": null, "invoice_pdf": null, "issuer": { "type": "self" },
        "last_finalization_error": null, "livemode": false, "metadata": params.merge_metadata(&Value::Null)?,
        "next_payment_attempt": null, "number": null, "parent": null, "period_start": now, "period_end": now,
        "starting_balance": 0, "status": "draft",
        "status_transitions": { "finalized_at": null, "marked_uncollectible_at": null, "paid_at": null, "voided_at": null },
        "test_clock": null, "webhooks_delivered_at": null,
    });
    account.invoices.add(invoice);
    if pending == "include" {
        let taken: Vec<String> = account
            .invoice_items
            .iter()
            .filter(|item| {
                item["invoice"].is_null() && item["customer"] == customer["id"] && item["currency"] == currency.as_str()
            })
            .filter_map(|item| item["id"].as_str().map(str::to_owned))
            .collect();
        for item in taken {
            if let Some(item) = account.invoice_items.get_mut(&item) {
                item["invoice"] = json!(id);
            }
        }
    }
    tax::compute(account, &id);
    changed(account, &id, "invoice.created")
}

fn automatic_tax(wanted: bool) -> Value {
    match wanted {
        true => {
            json!({ "enabled": true, "liability": { "type": "self" }, "status": null, "disabled_reason": null, "provider": "stripe" })
        }
        false => tax::off(),
    }
}

/// The invoice with its lines and sums, as Stripe shows it: sums follow the items while it is a draft.
pub fn shown(account: &Account, invoice: &Value) -> Value {
    with_lines(account, invoice, lines_of(account, invoice))
}

/// Several of them, whose lines are looked for once.
pub fn all_shown<'a>(account: &Account, invoices: impl Iterator<Item = &'a Value>) -> Vec<Value> {
    let of = |line: &Value| line["invoice"].as_str().unwrap_or_default().to_owned();
    let mut rated = HashMap::<String, Vec<Value>>::new();
    for line in account.rated_lines.iter() {
        rated.entry(of(line)).or_default().push(line.clone());
    }
    let mut items = HashMap::<String, Vec<&Value>>::new();
    for item in account.invoice_items.iter() {
        items.entry(of(item)).or_default().push(item);
    }
    let shown = |invoice: &Value| {
        let id = invoice["id"].as_str().unwrap_or_default();
        let mut lines = rated.remove(id).unwrap_or_default();
        lines.extend(items.remove(id).unwrap_or_default().into_iter().map(|item| line(item, invoice)));
        with_lines(account, invoice, lines)
    };
    invoices.map(shown).collect()
}

fn with_lines(account: &Account, invoice: &Value, lines: Vec<Value>) -> Value {
    let mut invoice = invoice.clone();
    let before_tax: i64 = lines.iter().filter_map(|line| line["amount"].as_i64()).sum();
    let tax = tax::on(before_tax, tax::rate(account, invoice["id"].as_str().unwrap_or_default()));
    let total = before_tax + tax;
    let (before, after) = crate::credit_notes::sums(account, invoice["id"].as_str().unwrap_or_default());
    let due = (total - before).max(0);
    let paid = if invoice["status"] == "paid" { due } else { 0 };
    let sums = [
        ("subtotal", before_tax),
        ("subtotal_excluding_tax", before_tax),
        ("total", total),
        ("total_excluding_tax", before_tax),
        ("amount_due", due),
        ("amount_paid", paid),
        ("amount_overpaid", 0),
        ("amount_remaining", due - paid),
        ("amount_shipping", 0),
        ("pre_payment_credit_notes_amount", before),
        ("post_payment_credit_notes_amount", after),
    ];
    for (name, sum) in sums {
        invoice[name] = json!(sum);
    }
    for name in ["total_discount_amounts", "total_taxes", "total_pretax_credit_amounts"] {
        invoice[name] = json!([]);
    }
    if invoice["automatic_tax"]["status"] == tax::STATUS_COMPLETE {
        invoice["total_taxes"] = tax::shown(tax, before_tax);
    }
    let url = format!("/v1/invoices/{}/lines", invoice["id"].as_str().unwrap_or_default());
    let first: Vec<&Value> = lines.iter().take(10).collect();
    invoice["lines"] = json!({ "object": "list", "data": first, "has_more": lines.len() > 10, "total_count": lines.len(), "url": url });
    invoice
}

/// Of prices and usage first, then the items.
fn lines_of(account: &Account, invoice: &Value) -> Vec<Value> {
    let rated = account.rated_lines.iter().filter(|line| line["invoice"] == invoice["id"]).cloned();
    let of_items = account.invoice_items.iter().filter(|item| item["invoice"] == invoice["id"]);
    rated.chain(of_items.map(|item| line(item, invoice))).collect()
}

fn line(item: &Value, invoice: &Value) -> Value {
    let id = item["id"].as_str().unwrap_or_default().replacen("ii_", "il_", 1);
    json!({
        "id": id, "object": "line_item", "created": item["created"], "amount": item["amount"], "subtotal": item["amount"],
        "currency": item["currency"], "description": item["description"], "discount_amounts": [], "discountable": true,
        "discounts": [], "invoice": invoice["id"], "livemode": false, "metadata": item["metadata"],
        "parent": {
            "type": "invoice_item_details", "subscription_item_details": null,
            "invoice_item_details": { "invoice_item": item["id"], "proration": false, "proration_details": null, "subscription": null },
        },
        "period": item["period"], "pretax_credit_amounts": [], "pricing": item["pricing"], "quantity": 1, "subscription": null, "taxes": [],
    })
}

pub fn retrieve(account: &Account, id: &str) -> Result<Value, Failure> {
    account.invoices.get(id).map(|invoice| shown(account, invoice)).ok_or_else(|| Failure::no_such("invoice", id))
}

/// All of them, oldest first.
pub fn all_lines(account: &Account, id: &str) -> Result<Vec<Value>, Failure> {
    let invoice = retrieve(account, id)?;
    Ok(lines_of(account, &invoice))
}

pub fn lines(account: &Account, id: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&LIST)?;
    let invoice = retrieve(account, id)?;
    let mut lines = crate::account::Objects::default();
    // A page is newest first and lines are oldest first.
    for line in lines_of(account, &invoice).into_iter().rev() {
        lines.add(line);
    }
    list::page(&lines, &format!("/v1/invoices/{id}/lines"), params, |_| true)
}

pub fn list(account: &Account, params: &Params) -> Result<Value, Failure> {
    params.only(&[LIST.as_slice(), &["collection_method", "subscription"]].concat())?;
    let (customer, status, subscription) = (params.get("customer"), params.get("status"), params.get("subscription"));
    let wanted = |invoice: &Value| {
        customer.is_none_or(|id| invoice["customer"] == id)
            && status.is_none_or(|status| invoice["status"] == status)
            && subscription.is_none_or(|id| invoice["parent"]["subscription_details"]["subscription"] == id)
    };
    let mut page = list::page(&account.invoices, "/v1/invoices", params, wanted)?;
    page["data"] = json!(all_shown(account, page["data"].as_array().into_iter().flatten()));
    Ok(page)
}

pub fn search(account: &Account, params: &Params) -> Result<Value, Failure> {
    let mut all = crate::account::Objects::default();
    for invoice in account.invoices.iter() {
        all.add(shown(account, invoice));
    }
    list::search(&all, account.now(), "/v1/invoices/search", params)
}

pub fn update(account: &mut Account, id: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&[
        "auto_advance",
        "automatic_tax[enabled]",
        "collection_method",
        "days_until_due",
        "description",
        "footer",
        "metadata[]",
    ])?;
    let held = retrieve(account, id)?;
    let only_notes =
        ["auto_advance", "automatic_tax[enabled]", "collection_method", "days_until_due", "description", "footer"]
            .iter()
            .all(|name| *name == "auto_advance" || params.get(name).is_none());
    if held["status"] != "draft" && !only_notes {
        return Err(
            Failure::invalid("This invoice is finalized and can no longer be changed.").code("invoice_not_editable")
        );
    }
    let metadata = params.merge_metadata(&held["metadata"])?;
    let auto_advance = params.boolean("auto_advance")?;
    let wanted = params.get("automatic_tax[enabled]").map(|_| tax::wanted(account, params)).transpose()?;
    let invoice = account.invoices.get_mut(id).ok_or_else(|| Failure::no_such("invoice", id))?;
    invoice["metadata"] = metadata;
    for name in ["description", "footer"] {
        if params.get(name).is_some() {
            invoice[name] = params.text(name);
        }
    }
    if let Some(auto_advance) = auto_advance {
        invoice["auto_advance"] = json!(auto_advance);
    }
    if let Some(wanted) = wanted {
        invoice["automatic_tax"] = automatic_tax(wanted);
        account.tax_rates.remove(id);
    }
    tax::compute(account, id);
    changed(account, id, "invoice.updated")
}

pub fn delete(account: &mut Account, id: &str) -> Result<Value, Failure> {
    if retrieve(account, id)?["status"] != "draft" {
        return Err(Failure::invalid("You can only delete draft invoices.").code("invoice_not_editable"));
    }
    if held_by_subscription(account, id) {
        return Err(Failure::invalid("You can't delete invoices created by subscriptions."));
    }
    account.invoices.remove(id);
    let items: Vec<String> = account
        .invoice_items
        .iter()
        .filter(|item| item["invoice"] == id)
        .filter_map(|item| item["id"].as_str().map(str::to_owned))
        .collect();
    for item in items {
        account.invoice_items.remove(&item);
    }
    Ok(json!({ "id": id, "object": "invoice", "deleted": true }))
}

fn held_by_subscription(account: &Account, id: &str) -> bool {
    account.invoices.get(id).is_some_and(|held| held["parent"]["subscription_details"]["subscription"].is_string())
}

pub fn finalize(account: &mut Account, id: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&["auto_advance"])?;
    let auto_advance = params.boolean("auto_advance")?;
    let held = retrieve(account, id)?;
    if held["status"] != "draft" {
        return Err(Failure::invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
            .code("invoice_not_editable"));
    }
    crate::subscriptions::rate(account, id);
    tax::compute(account, id);
    let held = retrieve(account, id)?;
    if held["automatic_tax"]["enabled"] == true && held["automatic_tax"]["status"] != tax::STATUS_COMPLETE {
        let message = "The customer's location isn't recognized. Set a valid customer address in order to automatically calculate tax.";
        return Err(Failure::invalid(message).code("customer_tax_location_invalid"));
    }
    account.invoice_numbers += 1;
    let (now, number) = (account.now(), format!("STANDIN-{:04}", account.invoice_numbers));
    let settled = held["amount_due"] == 0;
    if let Some(invoice) = account.invoices.get_mut(id) {
        invoice["number"] = json!(number);
        invoice["effective_at"] = json!(now);
        invoice["status"] = json!("open");
        invoice["status_transitions"]["finalized_at"] = json!(now);
        invoice["hosted_invoice_url"] = json!(format!("https://invoice.stripe.com/i/stand-in/{id}"));
        invoice["invoice_pdf"] = json!(format!("https://pay.stripe.com/invoice/stand-in/{id}/pdf"));
        if let Some(auto_advance) = auto_advance {
            invoice["auto_advance"] = json!(auto_advance);
        }
    }
    let open = changed(account, id, "invoice.finalized")?;
    if settled { become_paid(account, id) } else { Ok(open) }
}

pub fn pay(account: &mut Account, id: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&["paid_out_of_band", "payment_method", "source", "forgive", "off_session"])?;
    let invoice = retrieve(account, id)?;
    match invoice["status"].as_str() {
        Some("open" | "uncollectible") => {
            let outside = params.boolean("paid_out_of_band")?.unwrap_or(false);
            if !outside && invoice["amount_due"].as_i64().is_some_and(|due| due > 0) {
                let intent =
                    charges::begin(account, &invoice["customer"], &invoice["amount_due"], &invoice["currency"]);
                charges::decide(account, &intent, "succeeded")?;
                charges::pays(account, &invoice, &intent);
            }
            become_paid(account, id)
        }
        Some("paid") => Err(Failure::invalid("Invoice is already paid").code("invoice_already_paid")),
        _ => Err(Failure::invalid("This invoice can't be paid in its state.").code("invoice_not_payable")),
    }
}

pub fn void(account: &mut Account, id: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&[])?;
    end(account, id, &["open", "uncollectible"], "void", "voided_at", "invoice.voided")
}

pub fn mark_uncollectible(account: &mut Account, id: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&[])?;
    end(account, id, &["open"], "uncollectible", "marked_uncollectible_at", "invoice.marked_uncollectible")
}

/// It was paid by a payment of before.
pub fn paid_by(account: &mut Account, id: &str, intent: &str) -> Result<Value, Failure> {
    let invoice = retrieve(account, id)?;
    charges::pays(account, &invoice, intent);
    become_paid(account, id)
}

/// What was credited whole counts as paid.
pub fn settle_credited(account: &mut Account, id: &str) -> Result<Value, Failure> {
    become_paid(account, id)
}

fn become_paid(account: &mut Account, id: &str) -> Result<Value, Failure> {
    end(account, id, &["open", "uncollectible"], "paid", "paid_at", "invoice.paid")
}

fn end(account: &mut Account, id: &str, from: &[&str], to: &str, since: &str, event: &str) -> Result<Value, Failure> {
    let now = account.now();
    let invoice = account.invoices.get_mut(id).ok_or_else(|| Failure::no_such("invoice", id))?;
    if !from.iter().any(|status| invoice["status"] == *status) {
        return Err(
            Failure::invalid(format!("This invoice can't become {to} in its state.")).code("invoice_not_editable")
        );
    }
    invoice["status"] = json!(to);
    invoice["status_transitions"][since] = json!(now);
    changed(account, id, event)
}

fn changed(account: &mut Account, id: &str, event: &str) -> Result<Value, Failure> {
    let invoice = retrieve(account, id)?;
    events::happened(account, event, &invoice);
    Ok(invoice)
}
