//! `/v1/invoiceitems`.

use crate::{
    account::Account,
    failure::Failure,
    list::{self, LIST},
    params::Params,
};
use serde_json::{Value, json};

const KNOWN: [&str; 10] = [
    "customer",
    "invoice",
    "amount",
    "currency",
    "description",
    "metadata[]",
    "period[start]",
    "period[end]",
    "discountable",
    "tax_behavior",
];

pub fn create(account: &mut Account, params: &Params) -> Result<Value, Failure> {
    params.only(&KNOWN)?;
    let customer = params.need("customer")?;
    crate::customers::retrieve(account, customer)?;
    let amount = params.integer("amount")?.ok_or_else(|| Failure::missing("amount"))?;
    let currency = params.need("currency")?.to_lowercase();
    if amount.abs() > 99_999_999 {
        return Err(Failure::invalid("Amount must be no more than $999,999.99")
            .code("amount_too_large")
            .param("amount"));
    }
    if let Some(invoice) = params.get("invoice") {
        let held = account.invoices.get(invoice).ok_or_else(|| Failure::no_such("invoice", invoice))?;
        if held["status"] != "draft" {
            return Err(Failure::invalid("You can't add an invoice item to an invoice that is no longer a draft.")
                .code("invoice_not_editable"));
        }
        if held["customer"] != customer {
            return Err(Failure::invalid("The invoice belongs to another customer.").param("invoice"));
        }
        if held["currency"] != currency.as_str() {
            return Err(Failure::invalid(format!("The invoice is in {}, not in {currency}.", held["currency"]))
                .param("currency"));
        }
        let behavior = params.one_of("tax_behavior", &["exclusive", "inclusive", "unspecified"])?;
        if held["automatic_tax"]["enabled"] == true {
            // As of an account that has set no usual one.
            if behavior != Some("exclusive") {
                let message = "To use automatic tax calculation, every item needs the tax behavior exclusive (the stand-in knows no other).";
                return Err(Failure::invalid(message).param("tax_behavior"));
            }
            if amount < 0 {
                let message = "Invoice items with negative amounts can't be added to an invoice with automatic tax.";
                return Err(Failure::invalid(message).param("amount"));
            }
        }
        let lines = account.invoice_items.iter().filter(|item| item["invoice"] == invoice).count();
        if lines >= 250 {
            return Err(Failure::invalid("An invoice holds at most 250 items."));
        }
    }
    let now = account.now();
    let start = params.integer("period[start]")?.unwrap_or(now);
    let end = params.integer("period[end]")?.unwrap_or(start);
    let item = json!({
        "id": account.new_id("ii_1"), "object": "invoiceitem", "amount": amount, "currency": currency, "customer": customer,
        "date": now, "created": now, "description": params.text("description"), "discountable": true, "discounts": [],
        "invoice": params.text("invoice"), "livemode": false, "metadata": params.merge_metadata(&Value::Null)?,
        "net_amount": amount, "parent": null, "period": { "start": start, "end": end },
        "pricing": { "type": "price_details", "unit_amount_decimal": amount.to_string() }, "proration": false,
        "quantity": 1, "tax_rates": [], "test_clock": null,
    });
    let item = account.invoice_items.add(item);
    if let Some(customer) = account.customers.get_mut(customer).filter(|customer| customer["currency"].is_null()) {
        customer["currency"] = json!(currency);
    }
    crate::tax::compute(account, params.get("invoice").unwrap_or_default());
    crate::events::happened(account, "invoiceitem.created", &item);
    Ok(item)
}

pub fn retrieve(account: &Account, id: &str) -> Result<Value, Failure> {
    account.invoice_items.get(id).cloned().ok_or_else(|| Failure::no_such("invoiceitem", id))
}

pub fn delete(account: &mut Account, id: &str) -> Result<Value, Failure> {
    let item = retrieve(account, id)?;
    let invoice = item["invoice"].as_str().and_then(|invoice| account.invoices.get(invoice));
    if invoice.is_some_and(|invoice| invoice["status"] != "draft") {
        return Err(Failure::invalid("This invoice item is on an invoice that is no longer a draft.")
            .code("invoice_not_editable"));
    }
    account.invoice_items.remove(id);
    Ok(json!({ "id": id, "object": "invoiceitem", "deleted": true }))
}

pub fn list(account: &Account, params: &Params) -> Result<Value, Failure> {
    params.only(&[LIST.as_slice(), &["invoice", "pending"]].concat())?;
    let (customer, invoice, pending) = (params.get("customer"), params.get("invoice"), params.boolean("pending")?);
    list::page(&account.invoice_items, "/v1/invoiceitems", params, |item| {
        customer.is_none_or(|id| item["customer"] == id)
            && invoice.is_none_or(|id| item["invoice"] == id)
            && pending.is_none_or(|pending| item["invoice"].is_null() == pending)
    })
}
