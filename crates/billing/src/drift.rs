//! What Stripe holds otherwise than we: customers, products, prices and meters, field by field.
//!
//! Reconcile with the words of [`crate::push`]: a *target* is what an object should say, *observed* is what Stripe says, the *difference*
//! of both is kept as a list, and is *applied* only where an operator asks for it. Comparing changes nothing at Stripe.
//!
//! Customers follow us without being asked as long as nobody changed them over there: a value of ours that was not told yet is no
//! difference. Products and prices are those of plans that Stripe rates; those of other plans are nothing to Stripe.

mod amounts;
pub(crate) mod observed;
pub(crate) mod target;
pub(crate) mod write;

pub use write::{can_write, makes_another, write_asked};

use crate::{
    BillingError, returns,
    stripe::{Customer, Stripe},
};
use jiff::Timestamp;
use observed::Observed;
use std::collections::{BTreeMap, HashMap, HashSet};
use store::{
    Store,
    stripe_drift::{Drift, DriftKind},
};
use target::Target;

/// The field of an object that is not there at all.
const OBJECT: &str = "object";
/// The field of a customer that is there more than once.
const ONLY: &str = "only";

/// Compares everything, and keeps what differs in place of what was found before. Says how many fields differ.
///
/// # Errors
/// Stripe or Postgres does not answer; what was found before stays.
pub async fn compare(store: &Store, stripe: &Stripe, now: Timestamp) -> Result<u64, BillingError> {
    let targets = target::all(store).await?;
    let (mut customers, mut found) = listed_customers(stripe, &targets).await?;
    let meters = observed::meters(stripe, &targets).await?;
    let mut compared = 0;
    for target in &targets {
        let known = target.stripe_id.as_ref().and_then(|id| customers.remove(id));
        let observed = match known {
            Some(observed) => observed,
            None => observed::of(stripe, target, &meters).await?,
        };
        found.extend(differences(target, &observed));
        compared += target.fields.len() as u64;
    }
    found.extend(returns::sweep(store, stripe, now).await?);
    store.keep_stripe_drift(&found, compared, now, now).await?;
    Ok(found.len() as u64)
}

/// Where invoices go elsewhere by now: of what Stripe has taken before, what went back there, and what was to go back and could not, in place of
/// all that was found before. Says how many there are.
///
/// # Errors
/// Stripe or Postgres does not answer; what was found before stays.
pub async fn compare_what_went_back(store: &Store, stripe: &Stripe, now: Timestamp) -> Result<u64, BillingError> {
    let found = returns::sweep(store, stripe, now).await?;
    store.keep_stripe_drift(&found, 0, now, now).await?;
    Ok(found.len() as u64)
}

/// What Stripe says of the customers that are ours, by their names there, and those that are there twice. They are read page by page:
/// the account may have any number of customers that are nothing to us.
async fn listed_customers(
    stripe: &Stripe,
    targets: &[Target],
) -> Result<(HashMap<String, Observed>, Vec<Drift>), BillingError> {
    let ours: HashMap<&str, &Target> = targets
        .iter()
        .filter(|target| target.kind == DriftKind::Customer)
        .map(|target| (target.object.as_str(), target))
        .collect();
    let wanted: HashSet<&str> = ours.values().filter_map(|target| target.stripe_id.as_deref()).collect();
    let (mut customers, mut others) = (HashMap::new(), BTreeMap::new());
    let (mut after, mut more) = (None::<String>, !ours.is_empty());
    while more {
        let (page, goes_on) = stripe.customers_after(after.as_deref()).await?;
        for customer in &page {
            note_twin(&ours, customer, &mut others);
            if wanted.contains(customer.id.as_str()) {
                customers.insert(customer.id.clone(), observed::customer(customer));
            }
        }
        after = page.last().map(|last| last.id.clone());
        more = goes_on;
    }
    Ok((customers, others.into_iter().map(|(object, ids)| twin(ours[object], ids)).collect()))
}

/// What differs between what an object should say and what it says.
pub(crate) fn differences(target: &Target, observed: &Observed) -> Vec<Drift> {
    let drift = |field: &str, stripe_id: &str, ours: &str, theirs: &str| Drift {
        kind: target.kind,
        object: target.object.clone(),
        field: field.to_owned(),
        partner: target.partner,
        stripe_id: stripe_id.to_owned(),
        ours: ours.to_owned(),
        theirs: theirs.to_owned(),
    };
    match observed {
        Observed::Missing => vec![drift(OBJECT, "", "there", "not there")],
        Observed::Deleted { id } => vec![drift(OBJECT, id, "there", "deleted")],
        Observed::There { id, fields } => {
            let differing = target.fields.iter().filter_map(|field| {
                let theirs = fields.get(field.name).map(String::as_str).unwrap_or_default();
                let agrees = theirs == field.ours || field.told.as_deref() == Some(theirs);
                (!agrees).then(|| drift(field.name, id, &field.ours, theirs))
            });
            differing.collect()
        }
    }
}

/// Notes a customer that carries a partner's identifier and is not the one that it has.
fn note_twin<'a>(
    ours: &HashMap<&'a str, &'a Target>,
    customer: &Customer,
    others: &mut BTreeMap<&'a str, Vec<String>>,
) {
    let Some(partner) = customer.metadata.get("turnpike_partner") else { return };
    let Some((object, target)) = ours.get_key_value(partner.as_str()) else { return };
    if target.stripe_id.as_deref() != Some(customer.id.as_str()) {
        others.entry(*object).or_default().push(customer.id.clone());
    }
}

fn twin(target: &Target, mut ids: Vec<String>) -> Drift {
    ids.sort_unstable();
    let id = target.stripe_id.clone().unwrap_or_default();
    Drift {
        kind: DriftKind::Customer,
        object: target.object.clone(),
        field: ONLY.to_owned(),
        partner: target.partner,
        ours: id.clone(),
        stripe_id: id,
        theirs: format!("also {}", ids.join(", ")),
    }
}

#[cfg(test)]
mod tests;
