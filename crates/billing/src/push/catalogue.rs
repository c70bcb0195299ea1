//! What Stripe sells of a plan version that it rates: a meter, a product and a price for each product that the plan opens.
//!
//! Reconcile as everywhere: what it should say ([`target`]), what Stripe says, found by names that are ours to choose, and the one step
//! between, which is to make what was never there. What differs, or was there once and is gone, is somebody's doing: it is told and nothing
//! is changed; an operator decides under "Stripe drift".

use super::Push;
use crate::{
    BillingError,
    drift::{
        differences,
        observed::{self, Observed},
        target::{self, Target},
        write,
    },
    stripe::{Meter, StripeError},
};
use domain::plan::PlanTerms;
use std::collections::{BTreeMap, HashMap};

/// The prices of plan versions that this lane has looked at, and the products' names.
#[derive(Default)]
pub(crate) struct Catalogue {
    prices: HashMap<(String, i32), Vec<String>>,
    names: Option<BTreeMap<String, String>>,
}

impl Push<'_> {
    /// Stripe's ids of the prices of a plan version, one for each product that it opens, in order; made where there are none.
    pub(super) async fn prices(
        &mut self,
        plan: &str,
        version: i32,
        terms: &PlanTerms,
    ) -> Result<Vec<String>, BillingError> {
        let whose = (plan.to_owned(), version);
        if let Some(known) = self.catalogue.prices.get(&whose) {
            return Ok(known.clone());
        }
        let mut prices = Vec::new();
        for grant in &terms.products {
            let (code, name) = (grant.product.as_str(), self.product_name(&grant.product).await?);
            let meters = self.sold_meter(code).await?;
            self.sold(&target::of_product(code, &name), &meters).await?;
            prices.push(self.sold(&target::of_price(plan, version, terms, code), &meters).await?);
        }
        self.catalogue.prices.insert(whose, prices.clone());
        Ok(prices)
    }

    async fn product_name(&mut self, code: &str) -> Result<String, BillingError> {
        if self.catalogue.names.is_none() {
            let all = self.store.all_products().await?;
            self.catalogue.names = Some(all.into_iter().map(|product| (product.code, product.name)).collect());
        }
        let name = self.catalogue.names.as_ref().and_then(|names| names.get(code));
        Ok(name.cloned().unwrap_or_else(|| code.to_owned()))
    }

    /// The product's meter, made where Stripe has none, among all that Stripe has.
    async fn sold_meter(&mut self, code: &str) -> Result<Vec<Meter>, BillingError> {
        let name = super::meter_events::event_name(code);
        let known = self.stripe.active_meters().await?;
        if !known.iter().any(|meter| meter.event_name == name) && self.store.stripe_catalogue(&name).await?.is_some() {
            return Err(gone(&name));
        }
        self.meter(&name, code).await?;
        self.store.note_stripe_catalogue(&name, self.now()).await?;
        Ok(self.stripe.active_meters().await?)
    }

    /// Stripe's id of a product or a price.
    async fn sold(&self, target: &Target, meters: &[Meter]) -> Result<String, BillingError> {
        let mut found = observed::of(self.stripe, target, meters).await?;
        if matches!(found, Observed::Missing) && self.store.stripe_catalogue(&target.object).await?.is_none() {
            // Whoever else makes it meanwhile makes the same: both names are given once.
            match write::make(self.stripe, target, meters).await {
                Err(BillingError::Stripe(StripeError::Refused { code, .. })) if code == "resource_already_exists" => {}
                made => made?,
            }
            found = observed::of(self.stripe, target, meters).await?;
        }
        let Observed::There { id, .. } = &found else { return Err(gone(&target.object)) };
        if let Some(other) = differences(target, &found).iter().find(|other| weighs(&other.field)) {
            return Err(BillingError::Differs(format!(
                "Stripe's {} says {} {}, and ours {}: see \"Stripe drift\".",
                target.object, other.field, other.theirs, other.ours
            )));
        }
        self.store.note_stripe_catalogue(&target.object, self.now()).await?;
        Ok(id.clone())
    }
}

/// A name does not change what is billed.
fn weighs(field: &str) -> bool {
    !matches!(field, "name" | "nickname") && !field.starts_with("metadata")
}

fn gone(object: &str) -> BillingError {
    BillingError::Differs(format!("Stripe no longer has {object}, which was there before: see \"Stripe drift\"."))
}
