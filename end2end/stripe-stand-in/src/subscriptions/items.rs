//! The items of a subscription: each has a price, all of one interval and one currency.

use crate::{account::Account, calendar::Interval, failure::Failure, params::Params};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const MOST: usize = 20;
/// Noted of an item that came, or had its price changed, in the middle of a period.
pub const SINCE: &str = "rates_since";
const OF_AN_ITEM: [&str; 4] = ["deleted", "id", "price", "quantity"];

/// What a request says of one item, by the names of its fields.
pub type Given = BTreeMap<String, String>;

/// `items[0][price]=…`, in order.
pub fn given(params: &Params) -> Result<Vec<Given>, Failure> {
    let mut all = Vec::new();
    for place in 0..=MOST {
        let of = params.map(&format!("items[{place}]"));
        if of.is_empty() {
            break;
        }
        if let Some((name, _)) = of.iter().find(|(name, _)| !OF_AN_ITEM.contains(name)) {
            let message = format!("Received unknown parameter: items[{place}][{name}]");
            return Err(Failure::invalid(message).code("parameter_unknown"));
        }
        all.push(of.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
    }
    if all.len() > MOST {
        return Err(Failure::invalid("A subscription has at most 20 items.").param("items"));
    }
    Ok(all)
}

/// A new item, beside those that are there; the first says which interval and currency the others have.
pub fn new(
    account: &mut Account,
    subscription: &str,
    given: &Given,
    (others, common): (&[Value], &mut Option<(Interval, String)>),
) -> Result<Value, Failure> {
    let price = price(account, given)?;
    let interval = interval(&price).ok_or_else(|| Failure::invalid("The price is not recurring.").param("items"))?;
    let currency = price["currency"].as_str().unwrap_or_default().to_owned();
    let (own_interval, own_currency) = common.get_or_insert_with(|| (interval, currency.clone()));
    if *own_interval != interval {
        let message = "Currently, all subscriptions' prices must have the same interval and interval_count.";
        return Err(Failure::invalid(message).param("items"));
    }
    if *own_currency != currency {
        return Err(Failure::invalid("All prices of a subscription have the same currency.").param("items"));
    }
    if others.iter().any(|other| other["price"]["id"] == price["id"]) {
        return Err(Failure::invalid("Cannot add multiple subscription items with the same price.").param("items"));
    }
    let quantity = given.get("quantity").map(|text| text.parse::<i64>()).transpose();
    let quantity = quantity.map_err(|_| Failure::invalid("Invalid integer: quantity").param("items"))?;
    let is_metered = price["recurring"]["usage_type"] == "metered";
    if is_metered && quantity.is_some() {
        return Err(Failure::invalid("A metered price takes no quantity.").param("items"));
    }
    let mut item = json!({
        "id": account.new_id("si_"), "object": "subscription_item", "billing_thresholds": null, "created": account.now(),
        "current_period_end": 0, "current_period_start": 0, "discounts": [], "metadata": {}, "price": price,
        "subscription": subscription, "tax_rates": [],
    });
    if !is_metered {
        item["quantity"] = json!(quantity.unwrap_or(1));
    }
    Ok(item)
}

fn price(account: &Account, given: &Given) -> Result<Value, Failure> {
    let id = given.get("price").ok_or_else(|| Failure::missing("items[0][price]"))?;
    let price = account.prices.get(id).ok_or_else(|| Failure::no_such("price", id))?;
    if price["active"] != true {
        return Err(
            Failure::invalid("The price specified is inactive. This field only accepts active prices.").param("items")
        );
    }
    Ok(price.clone())
}

/// The items after a change: one that has its price changed rates what is used from now on.
pub fn changed(account: &mut Account, held: &Value, given: &[Given]) -> Result<Vec<Value>, Failure> {
    let mut items: Vec<Value> = held["items"]["data"].as_array().cloned().unwrap_or_default();
    let subscription = held["id"].as_str().unwrap_or_default();
    let period = [
        held["items"]["data"][0]["current_period_start"].clone(),
        held["items"]["data"][0]["current_period_end"].clone(),
    ];
    for one in given {
        let of = interval(&held["items"]["data"][0]["price"]);
        let mut common = of.zip(held["currency"].as_str().map(str::to_owned));
        let place = match one.get("id") {
            Some(id) => Some(
                items
                    .iter()
                    .position(|item| item["id"] == id.as_str())
                    .ok_or_else(|| Failure::no_such("subscription_item", id))?,
            ),
            None => None,
        };
        if one.get("deleted").is_some_and(|deleted| deleted == "true") {
            place.map(|place| items.remove(place));
            continue;
        }
        let mut made = new(account, subscription, one, (&items, &mut common))?;
        made["current_period_start"] = period[0].clone();
        made["current_period_end"] = period[1].clone();
        // What was there from the period's beginning rates all of it; this one does not.
        made[SINCE] = made["created"].clone();
        match place {
            Some(place) => {
                made["id"] = items[place]["id"].clone();
                items[place] = made;
            }
            None => items.push(made),
        }
    }
    if items.is_empty() {
        return Err(Failure::invalid("A subscription has at least one item.").param("items"));
    }
    Ok(items)
}

/// From when on an item rates usage; of one that was there from the first, from the beginning of each period.
pub fn since(item: &Value) -> i64 {
    item[SINCE].as_i64().unwrap_or(i64::MIN)
}

pub fn is_metered(item: &Value) -> bool {
    item["price"]["recurring"]["usage_type"] == "metered"
}

pub fn interval(price: &Value) -> Option<Interval> {
    let recurring = &price["recurring"];
    Interval::new(recurring["interval"].as_str()?, recurring["interval_count"].as_i64()?)
}

/// What the item's meter has counted for the customer between two instants.
pub fn counted(account: &Account, item: &Value, customer: &Value, (from, to): (i64, i64)) -> i64 {
    let meter = item["price"]["recurring"]["meter"].as_str().and_then(|id| account.meters.get(id));
    let Some(name) = meter.and_then(|meter| meter["event_name"].as_str()) else { return 0 };
    let of =
        account.meter_events.iter().filter(|event| event.event_name == name && *customer == event.customer.as_str());
    of.filter(|event| (from..to).contains(&event.timestamp)).map(|event| event.value).sum()
}
