//! `/v1/prices`. An amount never changes, a price is never deleted, and a lookup key belongs to one price.

use crate::{
    account::Account,
    failure::Failure,
    list::{self, LIST},
    params::Params,
};
use serde_json::{Value, json};

const KNOWN: [&str; 13] = [
    "active",
    "billing_scheme",
    "currency",
    "lookup_key",
    "metadata[]",
    "nickname",
    "product",
    "recurring[]",
    "tiers[]",
    "tiers_mode",
    "transfer_lookup_key",
    "transform_quantity[]",
    "unit_amount_decimal",
];
const OF_RECURRING: [&str; 4] = ["interval", "interval_count", "usage_type", "meter"];

pub fn create(account: &mut Account, params: &Params) -> Result<Value, Failure> {
    params.only(&KNOWN)?;
    let currency = params.need("currency")?.to_owned();
    let product = params.need("product")?.to_owned();
    if !account.products.get(&product).is_some_and(|held| held["deleted"] != true) {
        return Err(Failure { param: Some("product".to_owned()), ..Failure::no_such("product", &product) });
    }
    let recurring = recurring(account, params)?;
    let tiers = tiers(params)?;
    let is_tiered = params.one_of("billing_scheme", &["per_unit", "tiered"])? == Some("tiered");
    let unit_amount = amount(params, "unit_amount_decimal")?;
    let mode = params.one_of("tiers_mode", &["graduated", "volume"])?;
    match (is_tiered, unit_amount.is_null(), tiers.is_empty(), mode) {
        (true, true, false, Some(_)) | (false, false, true, None) => {}
        (true, ..) => {
            return Err(Failure::invalid("A tiered price has tiers and tiers_mode, and no unit_amount.").param("tiers"));
        }
        (false, ..) => return Err(Failure::missing("unit_amount")),
    }
    let transform = transform(params)?;
    if is_tiered && !transform.is_null() {
        return Err(Failure::invalid("transform_quantity cannot be combined with tiers.").param("transform_quantity"));
    }
    let lookup_key = params.get("lookup_key").map(str::to_owned);
    if let Some(key) = &lookup_key {
        take_lookup_key(account, key, params.boolean("transfer_lookup_key")?.unwrap_or(false))?;
    }
    let price = json!({
        "id": account.new_id("price_1"), "object": "price", "active": params.boolean("active")?.unwrap_or(true),
        "billing_scheme": if is_tiered { "tiered" } else { "per_unit" }, "created": account.now(), "currency": currency,
        "custom_unit_amount": null, "livemode": false, "lookup_key": lookup_key, "metadata": params.merge_metadata(&Value::Null)?,
        "nickname": params.text("nickname"), "product": product, "recurring": recurring, "tax_behavior": "unspecified",
        "tiers": tiers, "tiers_mode": mode, "transform_quantity": transform,
        "type": if recurring.is_null() { "one_time" } else { "recurring" }, "unit_amount": whole(&unit_amount),
        "unit_amount_decimal": unit_amount,
    });
    let price = account.prices.add(price);
    Ok(shown(&price, params, "tiers"))
}

pub fn update(account: &mut Account, id: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&["active", "nickname", "metadata[]", "lookup_key", "transfer_lookup_key"])?;
    if account.prices.get(id).is_none() {
        return Err(Failure::no_such("price", id));
    }
    let lookup_key = params.get("lookup_key").map(str::to_owned);
    if let Some(key) = &lookup_key {
        take_lookup_key(account, key, params.boolean("transfer_lookup_key")?.unwrap_or(false))?;
    }
    let price = account.prices.get_mut(id).ok_or_else(|| Failure::no_such("price", id))?;
    let metadata = params.merge_metadata(&price["metadata"])?;
    if let Some(active) = params.boolean("active")? {
        price["active"] = json!(active);
    }
    if params.get("nickname").is_some() {
        price["nickname"] = params.text("nickname");
    }
    if lookup_key.is_some() {
        price["lookup_key"] = json!(lookup_key);
    }
    price["metadata"] = metadata;
    let price = price.clone();
    Ok(shown(&price, params, "tiers"))
}

pub fn retrieve(account: &Account, id: &str, params: &Params) -> Result<Value, Failure> {
    let price = account.prices.get(id).ok_or_else(|| Failure::no_such("price", id))?;
    Ok(shown(price, params, "tiers"))
}

pub fn list(account: &Account, params: &Params) -> Result<Value, Failure> {
    params.only(&[LIST.as_slice(), &["active", "currency", "product", "lookup_keys[]"]].concat())?;
    let keys: Vec<&str> = params.map("lookup_keys").into_iter().map(|(_, key)| key).collect();
    if keys.len() > 10 {
        return Err(Failure::invalid("You can look for up to 10 lookup keys.").param("lookup_keys"));
    }
    let (active, product) = (params.boolean("active")?, params.get("product"));
    let mut page = list::page(&account.prices, "/v1/prices", params, |price| {
        (keys.is_empty() || keys.iter().any(|key| price["lookup_key"] == *key))
            && active.is_none_or(|active| price["active"] == active)
            && product.is_none_or(|product| price["product"] == product)
    })?;
    if let Some(data) = page["data"].as_array_mut() {
        for price in data {
            *price = shown(price, params, "data.tiers");
        }
    }
    Ok(page)
}

/// Tiers are left out where nobody asks for them.
fn shown(price: &Value, params: &Params, expanded: &str) -> Value {
    let mut price = price.clone();
    let is_asked = params.map("expand").iter().any(|(_, path)| *path == expanded);
    if let Some(fields) = price.as_object_mut().filter(|_| !is_asked) {
        fields.remove("tiers");
    }
    price
}

fn take_lookup_key(account: &mut Account, key: &str, transfer: bool) -> Result<(), Failure> {
    let holders: Vec<String> = account
        .prices
        .iter()
        .filter(|price| price["lookup_key"] == key)
        .filter_map(|price| price["id"].as_str().map(str::to_owned))
        .collect();
    if let Some(holder) = holders.first().filter(|_| !transfer) {
        let message = format!("A price ({holder}) already uses that lookup key.");
        return Err(Failure::invalid(message).code("resource_already_exists").param("lookup_key"));
    }
    for holder in holders {
        if let Some(price) = account.prices.get_mut(&holder) {
            price["lookup_key"] = Value::Null;
        }
    }
    Ok(())
}

fn recurring(account: &Account, params: &Params) -> Result<Value, Failure> {
    let given = params.map("recurring");
    if given.is_empty() {
        return Ok(Value::Null);
    }
    if let Some((name, _)) = given.iter().find(|(name, _)| !OF_RECURRING.contains(name)) {
        return Err(
            Failure::invalid(format!("Received unknown parameter: recurring[{name}]")).code("parameter_unknown")
        );
    }
    let interval = params.one_of("recurring[interval]", &["day", "week", "month", "year"])?;
    let interval = interval.ok_or_else(|| Failure::missing("recurring[interval]"))?;
    let usage_type = params.one_of("recurring[usage_type]", &["licensed", "metered"])?.unwrap_or("licensed");
    let meter = params.get("recurring[meter]");
    if let Some(id) = meter {
        let held = account.meters.get(id).ok_or_else(|| Failure::no_such("billing.meter", id))?;
        if held["status"] != "active" || usage_type != "metered" {
            return Err(Failure::invalid("A price takes an active meter and is metered.").param("recurring[meter]"));
        }
    } else if usage_type == "metered" {
        return Err(Failure::invalid("A metered price needs a meter.").param("recurring[meter]"));
    }
    let count = params.integer("recurring[interval_count]")?.unwrap_or(1);
    Ok(
        json!({ "interval": interval, "interval_count": count, "meter": meter, "trial_period_days": null, "usage_type": usage_type }),
    )
}

/// Amounts of the smallest coin have up to twelve decimals and are written without zeros at their end.
fn amount(params: &Params, name: &str) -> Result<Value, Failure> {
    let Some(text) = params.get(name) else { return Ok(Value::Null) };
    let (units, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if units.is_empty() || !is_number(units) || !is_number(decimals) || decimals.len() > 12 {
        return Err(Failure::invalid(format!("Invalid decimal: {text}")).param(name));
    }
    let decimals = decimals.trim_end_matches('0');
    Ok(json!(if decimals.is_empty() { units.to_owned() } else { format!("{units}.{decimals}") }))
}

/// What can be written as an integer.
fn whole(amount: &Value) -> Value {
    amount.as_str().and_then(|text| text.parse::<i64>().ok()).map_or(Value::Null, Value::from)
}

fn tiers(params: &Params) -> Result<Vec<Value>, Failure> {
    let mut tiers = Vec::new();
    let mut before = 0;
    for place in 0..100 {
        let name = |field: &str| format!("tiers[{place}][{field}]");
        let Some(up_to) = params.get(&name("up_to")) else { break };
        if before < 0 {
            return Err(Failure::invalid("Only the last tier may end at inf.").param("tiers"));
        }
        let end = if up_to == "inf" { None } else { params.integer(&name("up_to"))? };
        if end.is_some_and(|end| end <= before) {
            return Err(Failure::invalid("Tiers are in rising order.").param("tiers"));
        }
        before = end.unwrap_or(-1);
        let unit_amount = amount(params, &name("unit_amount_decimal"))?;
        let flat_amount = amount(params, &name("flat_amount_decimal"))?;
        if unit_amount.is_null() && flat_amount.is_null() {
            return Err(Failure::invalid("A tier has a unit_amount, a flat_amount or both.").param("tiers"));
        }
        tiers.push(json!({
            "flat_amount": whole(&flat_amount), "flat_amount_decimal": flat_amount, "unit_amount": whole(&unit_amount),
            "unit_amount_decimal": unit_amount, "up_to": end,
        }));
    }
    if !tiers.is_empty() && before >= 0 {
        return Err(Failure::invalid("The last tier must end at inf.").param("tiers"));
    }
    Ok(tiers)
}

fn transform(params: &Params) -> Result<Value, Failure> {
    if params.map("transform_quantity").is_empty() {
        return Ok(Value::Null);
    }
    let divide_by = params.integer("transform_quantity[divide_by]")?;
    let divide_by = divide_by.ok_or_else(|| Failure::missing("transform_quantity[divide_by]"))?;
    if divide_by < 1 {
        return Err(Failure::invalid("divide_by is at least 1.").param("transform_quantity[divide_by]"));
    }
    let round = params.one_of("transform_quantity[round]", &["up", "down"])?;
    let round = round.ok_or_else(|| Failure::missing("transform_quantity[round]"))?;
    Ok(json!({ "divide_by": divide_by, "round": round }))
}
