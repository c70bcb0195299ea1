//! Writing ours to Stripe where an operator asked for it: only what was shown, and only as long as both sides still say what they said.

use super::{OBJECT, ONLY, amounts, differences, observed, target, target::Target};
use crate::{
    BillingError,
    payment::refund,
    push::{Push, PushSettings, customer},
    stripe::{Meter, Stripe, StripeError},
};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use store::{
    Parameters, Store,
    stripe_drift::{Drift, DriftKind},
};

/// What Stripe lets one change of a price; everything else takes another price.
const OF_A_PRICE: [&str; 3] = ["active", "nickname", "metadata[turnpike_plan]"];

/// Whether ours can be written there at all.
pub fn can_write(kind: DriftKind, field: &str) -> bool {
    match kind {
        DriftKind::Customer => field != ONLY,
        DriftKind::Product | DriftKind::Price => true,
        DriftKind::Meter => matches!(field, OBJECT | "status" | "display_name"),
        // What is billed by now is Stripe's; what somebody changed of it is undone there.
        DriftKind::Subscription => false,
        // What went back is no field of anything; what could not go back can be sent again.
        DriftKind::Invoice => field == refund::FIELD,
    }
}

/// Whether writing it makes another price, which takes over the lookup key; subscriptions stay on the one that they have.
pub fn makes_another(kind: DriftKind, field: &str) -> bool {
    kind == DriftKind::Price && field != OBJECT && !OF_A_PRICE.contains(&field)
}

/// Writes what was asked for and says how much. What cannot be written is noted with the reason; what fails for a passing reason stays.
///
/// # Errors
/// Postgres does not answer, or Stripe did not answer for at least one of them; the others were written.
pub async fn write_asked(store: &Store, stripe: &Stripe, now: Timestamp) -> Result<u64, BillingError> {
    let asked = store.asked_stripe_drift().await?;
    if asked.is_empty() {
        return Ok(0);
    }
    let (mut written, mut failure) = (0, None);
    for (drift, asked_at) in asked {
        match one(store, stripe, (&drift, asked_at), now).await {
            Ok(()) => written += 1,
            Err(BillingError::Stripe(error)) if error.is_unauthorized() => return Err(error.into()),
            Err(BillingError::Stripe(error)) if error.is_passing() => failure = Some(error),
            Err(error @ BillingError::Store(_)) => return Err(error),
            Err(error) => store.refuse_stripe_drift(&drift, &error.to_string()).await?,
        }
    }
    failure.map_or(Ok(written), |error| Err(error.into()))
}

async fn one(
    store: &Store,
    stripe: &Stripe,
    (drift, asked_at): (&Drift, Timestamp),
    now: Timestamp,
) -> Result<(), BillingError> {
    if drift.kind == DriftKind::Invoice && drift.field == refund::FIELD {
        return refund::send_again(store, stripe, drift, now).await;
    }
    let targets = target::all(store).await?;
    let Some(target) = targets.iter().find(|target| (target.kind, &target.object) == (drift.kind, &drift.object))
    else {
        let message = "We no longer sell this. The next comparison takes it off the list.";
        return Err(BillingError::Differs(message.to_owned()));
    };
    let meters = observed::meters(stripe, &targets).await?;
    let observed = observed::of(stripe, target, &meters).await?;
    let found = differences(target, &observed);
    if !found.contains(drift) {
        // It agrees by now, or differs in another way that nobody has seen yet.
        store.keep_stripe_drift_of(drift, &found, ONLY, now).await?;
        return Ok(());
    }
    if !can_write(drift.kind, &drift.field) {
        let message = "Stripe lets nobody change this. Put it right there by hand, or accept it.";
        return Err(BillingError::Differs(message.to_owned()));
    }
    match drift.kind {
        DriftKind::Customer => write_customer(store, stripe, target, drift, now).await?,
        DriftKind::Product => write_product(stripe, target, drift).await?,
        DriftKind::Price => write_price(stripe, target, (drift, asked_at), &meters).await?,
        DriftKind::Meter => write_meter(stripe, target, drift).await?,
        DriftKind::Invoice | DriftKind::Subscription => {}
    }
    let targets = target::all(store).await?;
    let target = targets.into_iter().find(|after| (after.kind, &after.object) == (drift.kind, &drift.object));
    let Some(target) = target else { return Ok(()) };
    let meters = observed::meters(stripe, std::slice::from_ref(&target)).await?;
    let found = differences(&target, &observed::of(stripe, &target, &meters).await?);
    store.keep_stripe_drift_of(drift, &found, ONLY, now).await?;
    if found.contains(drift) {
        let message = "Stripe answered with success, and still holds what it held.";
        return Err(BillingError::Differs(message.to_owned()));
    }
    Ok(())
}

/// A deleted customer is made anew; of one that is there a field is changed, and kept as told.
async fn write_customer(
    store: &Store,
    stripe: &Stripe,
    target: &Target,
    drift: &Drift,
    now: Timestamp,
) -> Result<(), BillingError> {
    let (Some(partner), Some(id)) = (target.partner, &target.stripe_id) else { return Ok(()) };
    if drift.field == OBJECT {
        store.forget_stripe_object(partner, customer::SUBJECT, id, now).await?;
        Push::new(store, stripe, PushSettings::default(), &|| now).customer(partner).await?;
        return Ok(());
    }
    stripe.update_customer(id, &changed(drift)).await?;
    let held = store.stripe_object(partner, customer::SUBJECT).await?;
    let mut told = held.map(|held| held.parameters).unwrap_or_default();
    match told.iter_mut().find(|(name, _)| *name == drift.field) {
        Some((_, value)) => value.clone_from(&drift.ours),
        None => told.extend(changed(drift)),
    }
    store.change_stripe_object(partner, customer::SUBJECT, &told, now).await?;
    Ok(())
}

/// Makes a product or a price that is not there.
pub async fn make(stripe: &Stripe, target: &Target, meters: &[Meter]) -> Result<(), BillingError> {
    if target.kind == DriftKind::Product {
        return Ok(make_product(stripe, target).await?);
    }
    let parameters = of_price(target, meters)?;
    let key = format!("turnpike:price:{}", digest(&format!("{parameters:?}")));
    stripe.create_price(&parameters, &key).await?;
    Ok(())
}

async fn make_product(stripe: &Stripe, target: &Target) -> Result<(), StripeError> {
    let mut parameters = vec![("id".to_owned(), target.object.clone())];
    parameters.extend(target.fields.iter().map(|field| (field.name.to_owned(), field.ours.clone())));
    stripe.create_product(&parameters).await?;
    Ok(())
}

async fn write_product(stripe: &Stripe, target: &Target, drift: &Drift) -> Result<(), StripeError> {
    if drift.field == OBJECT {
        make_product(stripe, target).await?;
    } else {
        stripe.update_product(&drift.stripe_id, &changed(drift)).await?;
    }
    Ok(())
}

async fn write_meter(stripe: &Stripe, target: &Target, drift: &Drift) -> Result<(), StripeError> {
    match drift.field.as_str() {
        OBJECT => {
            let named = target.fields.iter().find(|field| field.name == "display_name");
            let display_name = named.map(|field| field.ours.as_str()).unwrap_or_default();
            stripe.create_meter(&target.object, display_name).await?;
        }
        "status" => {
            stripe.reactivate_meter(&drift.stripe_id).await?;
        }
        _ => {
            stripe.rename_meter(&drift.stripe_id, &drift.ours).await?;
        }
    }
    Ok(())
}

/// The one field, as a request has it.
fn changed(drift: &Drift) -> Parameters {
    vec![(drift.field.clone(), drift.ours.clone())]
}

/// What can be changed of a price, or a price as ours says it in place of the one that has its lookup key. As long as it is asked for by
/// the same click the request has the same key, so that a lost answer makes no second price.
async fn write_price(
    stripe: &Stripe,
    target: &Target,
    (drift, asked_at): (&Drift, Timestamp),
    meters: &[Meter],
) -> Result<(), BillingError> {
    if OF_A_PRICE.contains(&drift.field.as_str()) {
        stripe.update_price(&drift.stripe_id, &changed(drift)).await?;
        return Ok(());
    }
    let mut parameters = of_price(target, meters)?;
    if !drift.stripe_id.is_empty() {
        parameters.push(("transfer_lookup_key".to_owned(), "true".to_owned()));
    }
    let text = format!("{}\n{}\n{parameters:?}", drift.stripe_id, asked_at.as_microsecond());
    match stripe.create_price(&parameters, &format!("turnpike:price:{}", digest(&text))).await {
        Err(error) if is_no_product(&error) => Err(BillingError::Differs(format!("{error} Write the product first."))),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The request that makes a price.
fn of_price(target: &Target, meters: &[Meter]) -> Result<Parameters, BillingError> {
    let mut parameters: Parameters = vec![("lookup_key".to_owned(), target.object.clone())];
    for field in &target.fields {
        let name = field.name.to_owned();
        match field.name {
            _ if field.ours.is_empty() => {}
            "recurring[meter]" => {
                let is_it = |meter: &&Meter| meter.event_name == field.ours && meter.status == "active";
                let meter = meters.iter().find(is_it).ok_or_else(|| {
                    BillingError::Differs(format!("Stripe has no active meter {}: write that first.", field.ours))
                })?;
                parameters.push((name, meter.id.clone()));
            }
            "tiers" => {
                for (place, (up_to, amount)) in amounts::tiers_of(&field.ours).enumerate() {
                    parameters.push((format!("tiers[{place}][up_to]"), up_to.to_owned()));
                    parameters.push((format!("tiers[{place}][unit_amount_decimal]"), amount.to_owned()));
                }
            }
            "transform_quantity" => {
                let (divide_by, round) = field.ours.split_once(' ').unwrap_or((&field.ours, "up"));
                parameters.push(("transform_quantity[divide_by]".to_owned(), divide_by.to_owned()));
                parameters.push(("transform_quantity[round]".to_owned(), round.to_owned()));
            }
            _ => parameters.push((name, field.ours.clone())),
        }
    }
    Ok(parameters)
}

fn is_no_product(error: &StripeError) -> bool {
    matches!(error, StripeError::Refused { code, message, .. } if code == "resource_missing" && message.contains("product"))
}
