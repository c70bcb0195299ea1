//! What Stripe says, in the words of a target.

use super::{
    amounts::{self, Tier, packages, same},
    target::{Target, former_key, known_as},
};
use crate::stripe::{Customer, Meter, Price, Product, Stripe, StripeError, StripeSubscription};
use std::collections::BTreeMap;
use store::stripe_drift::DriftKind;

/// What was found of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    Missing,
    /// Stripe still knows that it was there.
    Deleted {
        id: String,
    },
    There {
        id: String,
        fields: BTreeMap<&'static str, String>,
    },
}

/// All meters, where anything is to be compared with them.
pub async fn meters(stripe: &Stripe, targets: &[Target]) -> Result<Vec<Meter>, StripeError> {
    let is_used = targets.iter().any(|target| matches!(target.kind, DriftKind::Meter | DriftKind::Price));
    if is_used { stripe.all_meters().await } else { Ok(Vec::new()) }
}

/// What Stripe says of one object now.
pub async fn of(stripe: &Stripe, target: &Target, meters: &[Meter]) -> Result<Observed, StripeError> {
    let id = target.stripe_id.as_deref().unwrap_or_default();
    let there_or = |answer: Result<Observed, StripeError>| match answer {
        Err(error) if error.is_missing() => Ok(Observed::Missing),
        other => other,
    };
    match target.kind {
        // Nothing is aimed at: what went back is found, and not compared.
        DriftKind::Invoice => Ok(Observed::Missing),
        DriftKind::Subscription => there_or(stripe.subscription(id).await.map(|held| subscription(held, target))),
        DriftKind::Customer => there_or(stripe.customer(id).await.map(|customer| self::customer(&customer))),
        DriftKind::Product => there_or(stripe.product(id).await.map(product)),
        DriftKind::Price => {
            let found = match stripe.price_by_lookup_key(&target.object).await? {
                None => former(stripe, target).await?,
                found => found,
            };
            Ok(found.map_or(Observed::Missing, |found| price(found, meters)))
        }
        DriftKind::Meter => {
            let named = || meters.iter().filter(|meter| meter.event_name == target.object);
            // There is one at most that is on, and there may be others that were switched off.
            let found = named().find(|meter| meter.status == "active").or_else(|| named().next());
            Ok(found.map_or(Observed::Missing, meter))
        }
    }
}

/// The price under the lookup key that it was made with before, where it says itself that it is this one.
async fn former(stripe: &Stripe, target: &Target) -> Result<Option<Price>, StripeError> {
    let key = former_key(&target.object);
    if key == target.object {
        return Ok(None);
    }
    let ours = |name: &str| target.fields.iter().find(|field| field.name == name).map(|field| field.ours.as_str());
    let found = stripe.price_by_lookup_key(&key).await?;
    Ok(found.filter(|price| {
        price.metadata.get("turnpike_plan").map(String::as_str) == ours("metadata[turnpike_plan]")
            && Some(price.product.as_str()) == ours("product")
    }))
}

pub fn customer(customer: &Customer) -> Observed {
    let id = customer.id.clone();
    if customer.deleted {
        return Observed::Deleted { id };
    }
    let partner = customer.metadata.get("turnpike_partner").cloned();
    let fields = [
        ("name", customer.name.clone().unwrap_or_default()),
        ("email", customer.email.clone().unwrap_or_default()),
        ("metadata[turnpike_partner]", partner.unwrap_or_default()),
    ];
    Observed::There { id, fields: fields.into() }
}

/// One that was cancelled is as one that was deleted.
fn subscription(held: StripeSubscription, target: &Target) -> Observed {
    let id = held.id.clone();
    if held.status == "canceled" {
        return Observed::Deleted { id };
    }
    let ours = target.fields.iter().find(|field| field.name == "items").map(|field| field.ours.as_str());
    let mut prices: Vec<String> =
        held.items.data.iter().map(|item| known_as(&item.price, ours.unwrap_or_default())).collect();
    prices.sort_unstable();
    let fields = [
        ("items", prices.join(", ")),
        ("cancel_at_period_end", held.cancel_at_period_end.to_string()),
        ("metadata[turnpike_subscription]", held.metadata.get("turnpike_subscription").cloned().unwrap_or_default()),
    ];
    Observed::There { id, fields: fields.into() }
}

fn product(product: Product) -> Observed {
    if product.deleted {
        return Observed::Deleted { id: product.id };
    }
    let code = product.metadata.get("turnpike_product").cloned();
    let fields = [
        ("name", product.name),
        ("active", product.active.to_string()),
        ("metadata[turnpike_product]", code.unwrap_or_default()),
    ];
    Observed::There { id: product.id, fields: fields.into() }
}

fn price(price: Price, meters: &[Meter]) -> Observed {
    let recurring = price.recurring;
    let meter = recurring.as_ref().and_then(|recurring| recurring.meter.as_deref()).unwrap_or_default();
    let named = meters.iter().find(|known| known.id == meter).map_or(meter, |known| known.event_name.as_str());
    let tiers: Vec<Tier> = price
        .tiers
        .unwrap_or_default()
        .into_iter()
        .map(|tier| Tier {
            up_to: tier.up_to,
            unit_amount: same(tier.unit_amount_decimal.as_deref()),
            flat_amount: same(tier.flat_amount_decimal.as_deref().filter(|amount| same(Some(amount)) != "0")),
        })
        .collect();
    let transformed = price.transform_quantity.map(|own| packages(own.divide_by, &own.round));
    let plan = price.metadata.get("turnpike_plan").cloned();
    let count = recurring.as_ref().map(|own| own.interval_count.to_string());
    let fields = [
        ("active", price.active.to_string()),
        ("nickname", price.nickname.unwrap_or_default()),
        ("currency", price.currency),
        ("product", price.product),
        ("recurring[interval]", recurring.as_ref().map(|own| own.interval.clone()).unwrap_or_default()),
        ("recurring[interval_count]", count.unwrap_or_default()),
        ("recurring[usage_type]", recurring.as_ref().map(|own| own.usage_type.clone()).unwrap_or_default()),
        ("recurring[meter]", named.to_owned()),
        ("billing_scheme", price.billing_scheme),
        ("unit_amount_decimal", same(price.unit_amount_decimal.as_deref())),
        ("tiers_mode", price.tiers_mode.unwrap_or_default()),
        ("tiers", amounts::text(&tiers)),
        ("transform_quantity", transformed.unwrap_or_default()),
        ("metadata[turnpike_plan]", plan.unwrap_or_default()),
    ];
    Observed::There { id: price.id, fields: fields.into() }
}

fn meter(meter: &Meter) -> Observed {
    let fields = [
        ("status", meter.status.clone()),
        ("display_name", meter.display_name.clone()),
        ("default_aggregation[formula]", meter.default_aggregation.formula.clone()),
        ("customer_mapping[type]", meter.customer_mapping.kind.clone()),
        ("customer_mapping[event_payload_key]", meter.customer_mapping.event_payload_key.clone()),
        ("value_settings[event_payload_key]", meter.value_settings.event_payload_key.clone()),
    ];
    Observed::There { id: meter.id.clone(), fields: fields.into() }
}
