//! `/v1/subscriptions`: items with prices, billed at the end of each period. Metered items are rated by what their meter has counted in it
//! for the customer, until the draft is final an hour later; licensed items are billed for the period that begins.
//!
//! Hostile as Stripe is: a price that is put on in the middle of a period rates only what was used since then, and nobody bills what came
//! before it (the classic billing mode); who cancels a subscription is billed no more, and its drafts and open invoices are no longer
//! collected by themselves. One that ends with its period bills it by a draft that becomes final as any other.

mod items;

use crate::{
    account::Account,
    calendar::{self, Interval},
    events,
    failure::Failure,
    invoices,
    list::{self, LIST},
    params::Params,
    rating,
};
use serde_json::{Value, json};

const KNOWN: [&str; 10] = [
    "backdate_start_date",
    "billing_cycle_anchor",
    "collection_method",
    "customer",
    "days_until_due",
    "description",
    "items[]",
    "metadata[]",
    "off_session",
    "proration_behavior",
];

pub fn create(account: &mut Account, params: &Params) -> Result<Value, Failure> {
    params.only(&KNOWN)?;
    let customer = crate::customers::retrieve(account, params.need("customer")?)?;
    if customer["deleted"] == true {
        return Err(Failure::no_such("customer", customer["id"].as_str().unwrap_or_default()));
    }
    let (now, id) = (account.now(), account.new_id("sub_1"));
    let given = items::given(params)?;
    let (mut made, mut interval) = (Vec::new(), None);
    for item in &given {
        made.push(items::new(account, &id, item, (&made, &mut interval))?);
    }
    let Some((interval, currency)) = interval else { return Err(Failure::missing("items")) };
    let method = collection(params, &customer)?;
    let start = params.integer("backdate_start_date")?.unwrap_or(now);
    if start > now {
        return Err(Failure::invalid("backdate_start_date is in the past.").param("backdate_start_date"));
    }
    let proration = params
        .one_of("proration_behavior", &["always_invoice", "create_prorations", "none"])?
        .unwrap_or("create_prorations");
    let anchor = anchor(params, (start, now), interval)?;
    let end = if anchor > now { anchor } else { calendar::end_after(anchor, interval, now) };
    if anchor > now && proration != "none" && made.iter().any(|item| !items::is_metered(item)) {
        return Err(Failure::invalid("The stand-in prorates nothing: give proration_behavior=none.")
            .param("proration_behavior"));
    }
    for item in &mut made {
        item["current_period_start"] = json!(start);
        item["current_period_end"] = json!(end);
    }
    let days = params.integer("days_until_due")?;
    let subscription = json!({
        "id": id, "object": "subscription", "application": null, "automatic_tax": { "enabled": false, "liability": null, "disabled_reason": null },
        "billing_cycle_anchor": anchor, "billing_mode": { "type": "classic" }, "cancel_at": null, "cancel_at_period_end": false,
        "canceled_at": null, "cancellation_details": { "comment": null, "feedback": null, "reason": null },
        "collection_method": method, "created": now, "currency": currency, "customer": customer["id"], "days_until_due": days,
        "default_payment_method": null, "default_tax_rates": [], "description": params.text("description"), "discounts": [],
        "ended_at": null, "items": { "object": "list", "data": made, "has_more": false, "url": format!("/v1/subscription_items?subscription={id}") },
        "latest_invoice": null, "livemode": false, "metadata": params.merge_metadata(&Value::Null)?, "pause_collection": null,
        "pending_setup_intent": null, "schedule": null, "start_date": start, "status": "active", "test_clock": null,
        "trial_end": null, "trial_start": null,
    });
    let made = account.subscriptions.add(subscription);
    events::happened(account, "customer.subscription.created", &shown(&made));
    if anchor <= now
        && made["items"]["data"].as_array().is_some_and(|all| all.iter().any(|item| !items::is_metered(item)))
    {
        bill(account, &id, (now, now, end), "subscription_create")?;
    }
    retrieve(account, &id)
}

fn collection(params: &Params, customer: &Value) -> Result<String, Failure> {
    let method = params.one_of("collection_method", &["charge_automatically", "send_invoice"])?;
    let method = method.unwrap_or("charge_automatically");
    match (method, params.integer("days_until_due")?) {
        ("send_invoice", None) => {
            Err(Failure::invalid("If you pass collection_method=send_invoice, you must also pass days_until_due."))
        }
        ("charge_automatically", Some(_)) => {
            let message = "You can only pass days_until_due when collection_method is send_invoice.";
            Err(Failure::invalid(message).param("days_until_due"))
        }
        ("send_invoice", _) if customer["email"].is_null() => {
            let message = "Missing email. In order to create invoices that are sent to the customer, the customer must have a valid email.";
            Err(Failure::invalid(message).code("customer_missing_email"))
        }
        _ => Ok(method.to_owned()),
    }
}

/// Where the first whole period begins: not after the period that would end by itself.
fn anchor(params: &Params, (start, now): (i64, i64), interval: Interval) -> Result<i64, Failure> {
    let Some(anchor) = params.integer("billing_cycle_anchor")? else { return Ok(start) };
    let refused = |message: &str| Err(Failure::invalid(message).param("billing_cycle_anchor"));
    if anchor <= now {
        return refused("billing_cycle_anchor must be in the future.");
    }
    if anchor > calendar::end_after(start, interval, now) {
        return refused("billing_cycle_anchor cannot be later than next natural billing date for plan.");
    }
    Ok(anchor)
}

pub fn retrieve(account: &Account, id: &str) -> Result<Value, Failure> {
    held(account, id).map(shown)
}

fn held<'a>(account: &'a Account, id: &str) -> Result<&'a Value, Failure> {
    account.subscriptions.get(id).ok_or_else(|| Failure::no_such("subscription", id))
}

/// Without what only this program notes.
fn shown(held: &Value) -> Value {
    let mut shown = held.clone();
    for item in shown["items"]["data"].as_array_mut().into_iter().flatten() {
        item.as_object_mut().map(|item| item.remove(items::SINCE));
    }
    shown
}

/// Without a status those that are not cancelled.
pub fn list(account: &Account, params: &Params) -> Result<Value, Failure> {
    params.only(&[LIST.as_slice(), &["price", "collection_method"]].concat())?;
    let (customer, price) = (params.get("customer"), params.get("price"));
    let status = params.one_of("status", &["active", "canceled", "all"])?;
    let mut page = list::page(&account.subscriptions, "/v1/subscriptions", params, |held| {
        let is_wanted = match status {
            None => held["status"] != "canceled",
            Some("all") => true,
            Some(status) => held["status"] == status,
        };
        let of_price = |id: &str| {
            held["items"]["data"].as_array().is_some_and(|all| all.iter().any(|item| item["price"]["id"] == id))
        };
        is_wanted && customer.is_none_or(|id| held["customer"] == id) && price.is_none_or(of_price)
    })?;
    page["data"].as_array_mut().into_iter().flatten().for_each(|held| *held = shown(held));
    Ok(page)
}

pub fn update(account: &mut Account, id: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&["cancel_at_period_end", "description", "items[]", "metadata[]", "proration_behavior"])?;
    let held = held(account, id)?.clone();
    if held["status"] == "canceled" {
        return Err(Failure::invalid("A canceled subscription can only update its cancellation_details and metadata."));
    }
    let metadata = params.merge_metadata(&held["metadata"])?;
    let changed = items::changed(account, &held, &items::given(params)?)?;
    let ends = params.boolean("cancel_at_period_end")?;
    let Some(own) = account.subscriptions.get_mut(id) else { return Err(Failure::no_such("subscription", id)) };
    own["metadata"] = metadata;
    own["items"]["data"] = json!(changed);
    if let Some(ends) = ends {
        own["cancel_at_period_end"] = json!(ends);
        own["cancel_at"] = if ends { changed[0]["current_period_end"].clone() } else { Value::Null };
    }
    if params.get("description").is_some() {
        own["description"] = params.text("description");
    }
    let own = shown(own);
    events::happened(account, "customer.subscription.updated", &own);
    Ok(own)
}

/// At once: what was used in the period that runs is on no invoice.
pub fn cancel(account: &mut Account, id: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&["invoice_now", "prorate"])?;
    if params.boolean("invoice_now")?.unwrap_or(false) || params.boolean("prorate")?.unwrap_or(false) {
        return Err(Failure::invalid("The stand-in cancels without an invoice only.").param("invoice_now"));
    }
    if retrieve(account, id)?["status"] == "canceled" {
        return Err(Failure::no_such("subscription", id));
    }
    let now = account.now();
    end(account, id, now);
    retrieve(account, id)
}

fn end(account: &mut Account, id: &str, at: i64) {
    let Some(own) = account.subscriptions.get_mut(id) else { return };
    own["status"] = json!("canceled");
    own["canceled_at"] = json!(at);
    own["ended_at"] = json!(at);
    let own = shown(own);
    for invoice in of(account, id) {
        let open =
            account.invoices.get_mut(&invoice).filter(|held| held["status"] == "draft" || held["status"] == "open");
        if let Some(open) = open {
            open["auto_advance"] = json!(false);
        }
    }
    events::happened(account, "customer.subscription.deleted", &own);
}

/// Its invoices.
fn of(account: &Account, id: &str) -> Vec<String> {
    let own = account.invoices.iter().filter(|held| held["parent"]["subscription_details"]["subscription"] == id);
    own.filter_map(|held| held["id"].as_str().map(str::to_owned)).collect()
}

/// Ends the periods that are over: each has a draft that advances by itself.
pub fn advance(account: &mut Account) {
    let now = account.now();
    let running: Vec<Value> = account.subscriptions.iter().filter(|held| held["status"] == "active").cloned().collect();
    for held in running {
        let id = held["id"].as_str().unwrap_or_default().to_owned();
        let Some(interval) = items::interval(&held["items"]["data"][0]["price"]) else { continue };
        let anchor = held["billing_cycle_anchor"].as_i64().unwrap_or_default();
        let field = |name: &str| held["items"]["data"][0][name].as_i64().unwrap_or(i64::MAX);
        let (mut start, mut end) = (field("current_period_start"), field("current_period_end"));
        while end <= now {
            let next = calendar::end_after(anchor, interval, end);
            let is_last = held["cancel_at_period_end"] == true;
            if is_last {
                self::end(account, &id, end);
            }
            let _ = bill(account, &id, (start, end, next), "subscription_cycle");
            if is_last {
                break;
            }
            (start, end) = (end, next);
            let own = account.subscriptions.get_mut(&id).and_then(|own| own["items"]["data"].as_array_mut());
            for item in own.into_iter().flatten() {
                item["current_period_start"] = json!(start);
                item["current_period_end"] = json!(end);
            }
        }
    }
}

/// A draft of the period that is over, with the customer's waiting items.
fn bill(account: &mut Account, id: &str, (start, end, next): (i64, i64, i64), reason: &str) -> Result<(), Failure> {
    let held = held(account, id)?.clone();
    let text = |name: &str| held[name].as_str().unwrap_or_default().to_owned();
    let mut form = format!(
        "customer={}&currency={}&collection_method={}&pending_invoice_items_behavior=include&auto_advance=true",
        text("customer"),
        text("currency"),
        text("collection_method")
    );
    if let Some(days) = held["days_until_due"].as_i64() {
        form += &format!("&days_until_due={days}");
    }
    let made = invoices::create(account, &Params::parse(&form)?)?;
    let invoice = made["id"].as_str().unwrap_or_default().to_owned();
    let created = if reason == "subscription_create" { account.now() } else { end };
    if let Some(own) = account.invoices.get_mut(&invoice) {
        own["billing_reason"] = json!(reason);
        own["created"] = json!(created);
        own["period_start"] = json!(start);
        own["period_end"] = json!(end);
        own["parent"] = json!({ "type": "subscription_details", "quote_details": null,
            "subscription_details": { "subscription": id, "metadata": held["metadata"] } });
    }
    account.billed_items.insert(invoice.clone(), (next, held["items"]["data"].clone()));
    if let Some(own) = account.subscriptions.get_mut(id) {
        own["latest_invoice"] = json!(invoice);
    }
    rate(account, &invoice);
    Ok(())
}

/// Rates a draft's usage as it is by now; what is final stays.
pub fn rate(account: &mut Account, invoice: &str) {
    let Some(held) = account.invoices.get(invoice).cloned() else { return };
    let Some(subscription) = held["parent"]["subscription_details"]["subscription"].as_str() else { return };
    if held["status"] != "draft" {
        return;
    }
    account.rated_lines.retain(|line| line["invoice"] != invoice);
    let at = |name: &str| held[name].as_i64().unwrap_or_default();
    let (start, end) = (at("period_start"), at("period_end"));
    let Some((next, billed)) = account.billed_items.get(invoice).cloned() else { return };
    for item in billed.as_array().into_iter().flatten() {
        let is_metered = items::is_metered(item);
        let (from, to) = if is_metered { (start.max(items::since(item)), end) } else { (end, next) };
        let quantity = match is_metered {
            true => items::counted(account, item, &held["customer"], (from, to)),
            false => item["quantity"].as_i64().unwrap_or(1),
        };
        for line in rating::lines(&item["price"], quantity, account.rounding).into_iter().flatten() {
            let id = account.new_id("il_1");
            account.rated_lines.add(json!({
                "id": id, "object": "line_item", "created": end, "amount": line.amount, "subtotal": line.amount,
                "currency": held["currency"], "description": format!("{} × {} {}", line.quantity, item["price"]["nickname"].as_str().unwrap_or("units"), line.of),
                "discount_amounts": [], "discountable": true, "discounts": [], "invoice": invoice, "livemode": false, "metadata": {},
                "parent": { "type": "subscription_item_details", "invoice_item_details": null,
                    "subscription_item_details": { "invoice_item": null, "proration": false, "proration_details": null,
                        "subscription": subscription, "subscription_item": item["id"] } },
                "period": { "start": from, "end": to }, "pretax_credit_amounts": [],
                "pricing": { "type": "price_details", "unit_amount_decimal": line.unit_amount_decimal,
                    "price_details": { "price": item["price"]["id"], "product": item["price"]["product"] } },
                "quantity": line.quantity, "subscription": subscription, "taxes": [],
            }));
        }
    }
}
