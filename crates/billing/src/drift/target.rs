//! What Stripe should say: of each partner that is a customer there, and of what the plans sell that Stripe rates.

use super::amounts;
use crate::{
    BillingError,
    push::{
        customer,
        meter_events::{display_name, event_name},
    },
    stripe::Price,
};
use domain::{
    id::PartnerId,
    period::Interval,
    plan::{Collect, PlanTerms},
};
use std::collections::BTreeMap;
use store::{
    Store,
    stripe_drift::{DriftKind, HeldCustomer},
    stripe_subscriptions::HeldSubscription,
};

/// What one object should say.
#[derive(Debug, Clone)]
pub struct Target {
    pub kind: DriftKind,
    /// Our name of it.
    pub object: String,
    pub partner: Option<PartnerId>,
    /// Where Stripe chose the name of it.
    pub stripe_id: Option<String>,
    pub fields: Vec<Field>,
}

/// One thing that it should say.
#[derive(Debug, Clone)]
pub struct Field {
    /// As Stripe's parameter is called.
    pub name: &'static str,
    pub ours: String,
    /// What was told before, where ours is told without being asked.
    pub told: Option<String>,
}

/// Everything that is compared.
pub async fn all(store: &Store) -> Result<Vec<Target>, BillingError> {
    let mut targets: Vec<Target> = store.all_partners_stripe_customers().await?.into_iter().map(of_customer).collect();
    let names: BTreeMap<String, String> =
        store.all_products().await?.into_iter().map(|product| (product.code, product.name)).collect();
    let mut products = BTreeMap::new();
    let mut prices = Vec::new();
    for plan in store.all_plans().await? {
        for (place, version) in plan.versions.iter().enumerate() {
            let is_offered = place == 0 && plan.archived_at.is_none();
            if version.terms.collect != Collect::MeterEvents || !(is_offered || version.partners > 0) {
                continue;
            }
            for grant in &version.terms.products {
                let name = names.get(&grant.product).unwrap_or(&grant.product);
                products.insert(grant.product.clone(), name.clone());
                prices.push(of_price(&plan.code, version.version, &version.terms, &grant.product));
            }
        }
    }
    targets.extend(products.keys().map(|code| of_meter(code)));
    targets.extend(products.iter().map(|(code, name)| of_product(code, name)));
    targets.extend(prices);
    for held in store.all_partners_stripe_subscriptions().await? {
        targets.push(of_subscription(held));
    }
    Ok(targets)
}

fn field(name: &'static str, ours: impl Into<String>) -> Field {
    Field { name, ours: ours.into(), told: None }
}

fn of_customer(held: HeldCustomer) -> Target {
    let told = |name: &str| held.told.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let named = ["name", "email", "metadata[turnpike_partner]"];
    let ours = customer::parameters(held.partner, &held.name, held.email.as_deref());
    let fields = named.into_iter().filter_map(|name| {
        let (_, value) = ours.iter().find(|(known, _)| known == name)?;
        Some(Field { name, ours: value.clone(), told: Some(told(name).unwrap_or_default()) })
    });
    Target {
        kind: DriftKind::Customer,
        object: held.partner.to_string(),
        partner: Some(held.partner),
        fields: fields.collect(),
        stripe_id: Some(held.stripe_id),
    }
}

fn of_meter(product: &str) -> Target {
    Target {
        kind: DriftKind::Meter,
        object: event_name(product),
        partner: None,
        stripe_id: None,
        fields: vec![
            field("status", "active"),
            field("display_name", display_name(product)),
            field("default_aggregation[formula]", "sum"),
            field("customer_mapping[type]", "by_id"),
            field("customer_mapping[event_payload_key]", "stripe_customer_id"),
            field("value_settings[event_payload_key]", "value"),
        ],
    }
}

/// The lookup key that a price had before, which another price may have as well.
pub(super) fn former_key(object: &str) -> String {
    object.replace('-', "_")
}

/// What a price is called in a subscription of ours, whichever of its lookup keys it has.
pub(super) fn known_as(price: &Price, ours: &str) -> String {
    let key = price.lookup_key.clone().unwrap_or_else(|| price.id.clone());
    let Some(plan) = price.metadata.get("turnpike_plan") else { return key };
    let begins = format!("turnpike_{}_", plan.replace(' ', "_"));
    let is_it = |own: &&str| {
        let product = own.strip_prefix(&begins).map(product_id);
        former_key(own) == key && product.as_deref() == Some(price.product.as_str())
    };
    ours.split(", ").find(is_it).map_or(key, str::to_owned)
}

/// Stripe's name of one of our products, which is ours to choose.
fn product_id(code: &str) -> String {
    format!("turnpike_{}", code.replace('-', "_"))
}

pub fn of_product(code: &str, name: &str) -> Target {
    let id = product_id(code);
    Target {
        kind: DriftKind::Product,
        object: id.clone(),
        partner: None,
        stripe_id: Some(id),
        fields: vec![field("name", name), field("active", "true"), field("metadata[turnpike_product]", code)],
    }
}

pub fn of_price(plan: &str, version: i32, terms: &PlanTerms, product: &str) -> Target {
    let (interval, count) = interval(terms.interval);
    let amount = amounts::of(&terms.price, terms.currency);
    Target {
        kind: DriftKind::Price,
        object: price_key(plan, version, product),
        partner: None,
        stripe_id: None,
        fields: vec![
            field("active", "true"),
            field("nickname", format!("{plan} {version}: {product}")),
            field("currency", terms.currency.code().to_lowercase()),
            field("product", product_id(product)),
            field("recurring[interval]", interval),
            field("recurring[interval_count]", count),
            field("recurring[usage_type]", "metered"),
            field("recurring[meter]", event_name(product)),
            field("billing_scheme", amount.billing_scheme),
            field("unit_amount_decimal", amount.unit_amount),
            field("tiers_mode", amount.tiers_mode),
            field("tiers", amounts::text(&amount.tiers)),
            field("transform_quantity", amount.transform_quantity),
            field("metadata[turnpike_plan]", format!("{plan} {version}")),
        ],
    }
}

fn of_subscription(held: HeldSubscription) -> Target {
    let HeldSubscription { partner, id, stripe_id, plan, version, products, .. } = held;
    let mut prices: Vec<String> = products.iter().map(|product| price_key(&plan, version, product)).collect();
    prices.sort_unstable();
    Target {
        kind: DriftKind::Subscription,
        object: id.to_string(),
        partner: Some(partner),
        stripe_id: Some(stripe_id),
        fields: vec![
            field("items", prices.join(", ")),
            field("cancel_at_period_end", "false"),
            field("metadata[turnpike_subscription]", id.to_string()),
        ],
    }
}

/// The lookup key of a price. Codes have no underscores, so that no two of these are the same.
fn price_key(plan: &str, version: i32, product: &str) -> String {
    format!("turnpike_{plan}_{version}_{product}")
}

const fn interval(interval: Interval) -> (&'static str, &'static str) {
    match interval {
        Interval::Day => ("day", "1"),
        Interval::Week => ("week", "1"),
        Interval::Month => ("month", "1"),
        Interval::Quarter => ("month", "3"),
        Interval::HalfYear => ("month", "6"),
        Interval::Year => ("year", "1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_prices_have_one_lookup_key() {
        let terms: PlanTerms = serde_json::from_value(serde_json::json!({
            "currency": "USD", "products": [], "price": { "model": "per_unit", "unit_price": "0.01" },
        }))
        .expect("terms");
        let key = |plan, version, product| of_price(plan, version, &terms, product).object;
        // The same letters in other places.
        let sold =
            [("a-1", 1, "c"), ("a", 1, "1-c"), ("a", 11, "c"), ("a-1-1", 1, "c"), ("a-b", 1, "c"), ("a", 1, "b-c")];
        let keys: std::collections::BTreeSet<String> =
            sold.iter().map(|(plan, version, product)| key(plan, *version, product)).collect();
        assert_eq!(keys.len(), sold.len(), "{keys:?}");
        assert_eq!(former_key(&key("a-1", 1, "c")), former_key(&key("a", 1, "1-c")), "as it was before");
        assert_eq!(key("starter", 2, "payments"), "turnpike_starter_2_payments");
    }
}
