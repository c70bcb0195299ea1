//! `/v1/credit_notes`: an open invoice is reduced, a paid one is paid back. Never more is credited than the invoice came to. One of an open
//! invoice can be made void: it keeps its amounts, and counts no more.

use crate::{
    account::Account,
    charges, events,
    failure::Failure,
    invoices,
    list::{self, LIST},
    params::Params,
    tax,
};
use serde_json::{Value, json};

const KNOWN: [&str; 11] = [
    "lines[]",
    "invoice",
    "amount",
    "credit_amount",
    "refund_amount",
    "out_of_band_amount",
    "memo",
    "reason",
    "metadata[]",
    "refunds[0][refund]",
    "refunds[0][amount_refunded]",
];

pub fn create(account: &mut Account, params: &Params) -> Result<Value, Failure> {
    params.only(&KNOWN)?;
    let id = params.need("invoice")?.to_owned();
    let invoice = invoices::retrieve(account, &id)?;
    let (amount, before_tax, lines) = credited(account, params, &invoice)?;
    let invalid = |message: &str| Err(Failure::invalid(message.to_owned()).param("amount"));
    if amount <= 0 {
        return invalid("The amount of a credit note must be greater than zero.");
    }
    let reason = params.one_of("reason", &["duplicate", "fraudulent", "order_change", "product_unsatisfactory"])?;
    let back: Vec<i64> = ["credit_amount", "refund_amount", "out_of_band_amount"]
        .iter()
        .map(|name| Ok::<_, Failure>(params.integer(name)?.unwrap_or(0)))
        .collect::<Result<_, Failure>>()?;
    // A refund that was made before, which the credit note is made of.
    let linked = params.integer("refunds[0][amount_refunded]")?.unwrap_or(0);
    if let Some(refund) = params.get("refunds[0][refund]") {
        account.refunds.get(refund).ok_or_else(|| Failure::no_such("refund", refund))?;
    }
    let status = invoice["status"].as_str().unwrap_or_default();
    let before: i64 = of_invoice(account, &id).filter_map(|note| note["amount"].as_i64()).sum();
    let total = invoice["total"].as_i64().unwrap_or_default();
    let kind = match status {
        "open" | "uncollectible" => {
            if amount > invoice["amount_remaining"].as_i64().unwrap_or_default() {
                return invalid("The credit note amount exceeds the amount remaining on the invoice.");
            }
            "pre_payment"
        }
        "paid" => {
            if before + amount > total {
                return invalid("The sum of credit note amounts exceeds the amount paid on the invoice.");
            }
            if back.iter().sum::<i64>() + linked != amount {
                return invalid(
                    "The sum of credit_amount, refund_amount and out_of_band_amount must be the credit note's amount.",
                );
            }
            "post_payment"
        }
        _ => {
            return Err(Failure::invalid("Credit notes can only be issued for open, uncollectible or paid invoices.")
                .param("invoice"));
        }
    };
    if kind == "pre_payment" && back.iter().any(|part| *part != 0) {
        return invalid("refund_amount, credit_amount and out_of_band_amount are for paid invoices.");
    }
    let now = account.now();
    let note_id = account.new_id("cn_1");
    let count = account.credit_notes.iter().filter(|note| note["invoice"] == id.as_str()).count() + 1;
    let refunds = match back[1] {
        0 if linked > 0 => {
            json!([{ "amount_refunded": linked, "payment_record_refund": null, "refund": params.text("refunds[0][refund]"), "type": "refund" }])
        }
        0 => json!([]),
        refunded => {
            let refund = match charges::of_invoice(account, &id) {
                Some(charge) => charges::of_charge(account, &charge, Some(refunded), (None, json!({})))?["id"].clone(),
                None => json!(account.new_id("re_1")),
            };
            json!([{ "amount_refunded": refunded, "payment_record_refund": null, "refund": refund, "type": "refund" }])
        }
    };
    let note = json!({
        "id": note_id, "object": "credit_note", "amount": amount, "amount_shipping": 0, "created": now,
        "currency": invoice["currency"], "customer": invoice["customer"], "customer_balance_transaction": null,
        "discount_amount": 0, "discount_amounts": [], "effective_at": now, "invoice": id,
        "lines": { "object": "list", "data": lines, "has_more": false, "url": format!("/v1/credit_notes/{note_id}/lines") },
        "livemode": false, "memo": params.text("memo"), "metadata": params.merge_metadata(&Value::Null)?,
        "number": format!("{}-CN-{count:02}", invoice["number"].as_str().unwrap_or_default()),
        "out_of_band_amount": back[2], "pdf": format!("https://pay.stripe.com/credit_notes/stand-in/{note_id}/pdf"),
        "post_payment_amount": if kind == "post_payment" { amount } else { 0 },
        "pre_payment_amount": if kind == "pre_payment" { amount } else { 0 },
        "pretax_credit_amounts": [], "reason": reason, "refunds": refunds, "shipping_cost": null, "status": "issued",
        "subtotal": before_tax, "subtotal_excluding_tax": before_tax, "total": amount, "total_excluding_tax": before_tax,
        "total_taxes": if amount == before_tax { json!([]) } else { tax::shown(amount - before_tax, before_tax) }, "type": kind, "voided_at": null,
    });
    account.credit_notes.add(note.clone());
    events::happened(account, "credit_note.created", &note);
    if kind == "pre_payment" && invoices::retrieve(account, &id)?["amount_remaining"] == 0 {
        invoices::settle_credited(account, &id)?;
    }
    Ok(note)
}

/// What is credited, with tax and without, and the lines of it. By an amount it is of the whole, tax and all.
fn credited(account: &mut Account, params: &Params, invoice: &Value) -> Result<(i64, i64, Vec<Value>), Failure> {
    let number = |name: &str| invoice[name].as_i64().unwrap_or_default();
    let id = invoice["id"].as_str().unwrap_or_default().to_owned();
    if let Some(amount) = params.integer("amount")? {
        let (whole, before) = (number("total"), number("total_excluding_tax"));
        return Ok((amount, if whole == before { amount } else { amount * before / whole.max(1) }, Vec::new()));
    }
    let billed = invoices::all_lines(account, &id)?;
    let (mut lines, mut before_tax) = (Vec::new(), 0);
    for index in 0..250 {
        let name = |field: &str| format!("lines[{index}][{field}]");
        let Some(kind) = params.get(&name("type")) else { break };
        if kind != "invoice_line_item" {
            return Err(Failure::invalid("The stand-in credits lines of the invoice only.").param(name("type")));
        }
        let line = params.need(&name("invoice_line_item"))?.to_owned();
        let amount = params.integer(&name("amount"))?.ok_or_else(|| Failure::missing(&name("amount")))?;
        let of_line = billed.iter().find(|held| held["id"] == line.as_str());
        let of_line = of_line.ok_or_else(|| Failure::no_such("invoice_line_item", &line))?["amount"].as_i64();
        let before: i64 = of_invoice(account, &id)
            .flat_map(|note| note["lines"]["data"].as_array().cloned().unwrap_or_default())
            .filter(|held| held["invoice_line_item"] == line.as_str())
            .filter_map(|held| held["amount"].as_i64())
            .sum();
        if amount < 1 || before + amount > of_line.unwrap_or_default() {
            return Err(Failure::invalid("More is credited than is left of the line.").param(name("amount")));
        }
        before_tax += amount;
        lines.push(json!({
            "id": account.new_id("cnli_1"), "object": "credit_note_line_item", "amount": amount, "description": null,
            "discount_amount": 0, "discount_amounts": [], "invoice_line_item": line, "livemode": false, "metadata": {},
            "pretax_credit_amounts": [], "quantity": null, "tax_rates": [], "taxes": [], "type": "invoice_line_item",
            "unit_amount": null, "unit_amount_decimal": null,
        }));
    }
    if lines.is_empty() {
        return Err(Failure::invalid("You must pass amount, lines or shipping_cost."));
    }
    // Of several credit notes together no more tax than there is on the invoice.
    let sum = |name: &str| of_invoice(account, &id).filter_map(|note| note[name].as_i64()).sum::<i64>();
    let (net, gross) = (sum("total_excluding_tax"), sum("total"));
    let tax = tax::on(net + before_tax, tax::rate(account, &id)) - (gross - net);
    Ok((before_tax + tax, before_tax, lines))
}

/// What one would come to.
pub fn preview(account: &mut Account, params: &Params) -> Result<Value, Failure> {
    params.only(&KNOWN)?;
    let invoice = invoices::retrieve(account, params.need("invoice")?)?;
    let (amount, before_tax, lines) = credited(account, params, &invoice)?;
    Ok(json!({
        "id": "cn_preview", "object": "credit_note", "amount": amount, "currency": invoice["currency"],
        "customer": invoice["customer"], "invoice": invoice["id"], "livemode": false, "status": "issued", "metadata": {},
        "lines": { "object": "list", "data": lines, "has_more": false, "url": "/v1/credit_notes/preview/lines" },
        "subtotal": before_tax, "subtotal_excluding_tax": before_tax, "total": amount, "total_excluding_tax": before_tax,
        "total_taxes": [], "refunds": [],
    }))
}

pub fn lines(account: &Account, id: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&LIST)?;
    let mut all = crate::account::Objects::default();
    // A page is newest first and lines are oldest first.
    for line in retrieve(account, id)?["lines"]["data"].as_array().into_iter().flatten().rev() {
        all.add(line.clone());
    }
    list::page(&all, &format!("/v1/credit_notes/{id}/lines"), params, |_| true)
}

pub fn retrieve(account: &Account, id: &str) -> Result<Value, Failure> {
    account.credit_notes.get(id).cloned().ok_or_else(|| Failure::no_such("credit_note", id))
}

/// Takes one back, as long as its invoice is open: so much more is to be paid again.
pub fn void(account: &mut Account, id: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&[])?;
    let held = retrieve(account, id)?;
    if held["status"] != "issued" {
        return Err(Failure::invalid("This credit note is void already."));
    }
    let invoice = invoices::retrieve(account, held["invoice"].as_str().unwrap_or_default())?;
    if invoice["status"] != "open" {
        return Err(Failure::invalid("You can only void a credit note whose invoice is open."));
    }
    let now = account.now();
    let note = account.credit_notes.get_mut(id).ok_or_else(|| Failure::no_such("credit_note", id))?;
    note["status"] = json!("void");
    note["voided_at"] = json!(now);
    let note = note.clone();
    events::happened(account, "credit_note.voided", &note);
    Ok(note)
}

pub fn list(account: &Account, params: &Params) -> Result<Value, Failure> {
    params.only(&[LIST.as_slice(), &["invoice", "customer"]].concat())?;
    let (invoice, customer) = (params.get("invoice"), params.get("customer"));
    list::page(&account.credit_notes, "/v1/credit_notes", params, |note| {
        invoice.is_none_or(|id| note["invoice"] == id) && customer.is_none_or(|id| note["customer"] == id)
    })
}

/// What was credited before and after the payment.
pub fn sums(account: &Account, invoice: &str) -> (i64, i64) {
    let sum = |name: &str| of_invoice(account, invoice).filter_map(|note| note[name].as_i64()).sum();
    (sum("pre_payment_amount"), sum("post_payment_amount"))
}

fn of_invoice<'a>(account: &'a Account, invoice: &'a str) -> impl Iterator<Item = &'a Value> {
    account.credit_notes.iter().filter(move |note| note["invoice"] == invoice && note["status"] == "issued")
}
