//! The declarative set-up: products, plans, partners, apps and keys in one file, by code.
//!
//! `turnpike apply` brings an installation to this state. Codes are the keys of mappings, so nothing has two names; order
//! is kept, because the pricing page lists plans in it. The JSON Schema of the file is `docs/turnpike.schema.json`.

mod coded;
mod offers;
mod partner;
mod plan;
mod product;
mod secret;

pub use coded::Coded;
pub use offers::{InsteadSetup, PhaseSetup, PromotionSetup};
pub use partner::{AppSetup, KeySetup, MemberSetup, OwnAmount, PartnerSetup};
pub use plan::{CommitmentSetup, CommitmentStepSetup, PlanSetup};
pub use product::ProductSetup;
pub use secret::SecretSource;

use crate::{
    credit::package::CreditPackage,
    money::Money,
    plan::{Collect, Problem},
    rating::{OwnThreshold, coupon::Coupon},
};
use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use serde_norway::with::singleton_map_recursive;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// Where the JSON Schema is, for editors; `apply` does not read it.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    #[serde(default)]
    pub products: Coded<ProductSetup>,
    /// In the order of the pricing page.
    #[serde(default)]
    pub plans: Coded<PlanSetup>,
    /// Packages of prepaid units, in the order in which they are offered.
    #[serde(default)]
    pub credit_packages: Coded<CreditPackage>,
    /// What partners redeem to have something off their bills, by the code that they type.
    #[serde(default)]
    pub coupons: Coded<Coupon>,
    #[serde(default)]
    pub partners: Coded<PartnerSetup>,
}

impl Setup {
    /// Reads YAML, and with it JSON. The error names the line or the field.
    #[cfg(feature = "openapi")]
    pub fn read(text: &str) -> Result<Self, Vec<Problem>> {
        if let Some(line) = crate::openapi::nesting::too_deep(text) {
            let message = format!("This is nested more than {} levels deep", crate::openapi::nesting::MAX_LEVELS);
            return Err(vec![Problem::new(format!("line {line}"), message)]);
        }
        // Enums are written as in JSON and in the schema, `cost: {header: {…}}`, and not as tags, `cost: !header {…}`.
        let yaml = serde_norway::Deserializer::from_str(text);
        let setup: Self = singleton_map_recursive::deserialize(yaml).map_err(|error| {
            let line = error.location().map(|place| format!("line {}", place.line())).unwrap_or_default();
            vec![Problem::new(line, error.to_string())]
        })?;
        let problems = setup.problems();
        if problems.is_empty() { Ok(setup) } else { Err(problems) }
    }

    /// All that is wrong with the file by itself. Whether documents and secrets can be read, and whether plans name
    /// operations that exist, is checked where they are read: see [`ProductSetup::operation_problems`].
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.products.code_problems("products"));
        problems.extend(self.plans.code_problems("plans"));
        problems.extend(self.partners.code_problems("partners"));
        problems.extend(self.package_problems());
        problems.extend(self.coupon_problems());
        for (code, product) in &self.products {
            problems.extend(product.problems(&format!("products.{code}")));
            let earlier = self.products.iter().take_while(|(other, _)| *other != code);
            if let Some((other, _)) = earlier.into_iter().find(|(_, other)| overlap(&other.route, &product.route)) {
                let message = format!("The routes of {other} and {code} overlap; a call could be for either");
                problems.push(Problem::new(format!("products.{code}.route"), message));
            }
        }
        for (code, plan) in &self.plans {
            problems.extend(plan.problems(&format!("plans.{code}")));
            for (index, grant) in plan.products.iter().enumerate() {
                if self.products.get(&grant.product).is_none() {
                    let message = format!("There is no product {:?} in this file", grant.product);
                    problems.push(Problem::new(format!("plans.{code}.products[{index}].product"), message));
                }
            }
        }
        let mut addresses: Vec<String> = Vec::new();
        for (code, partner) in &self.partners {
            let place = format!("partners.{code}");
            problems.extend(partner.problems(&place));
            problems.extend(self.threshold_problem(partner, &place));
            if let Some(plan) = partner.plan.as_ref().filter(|plan| self.plans.get(plan).is_none()) {
                problems.push(Problem::new(format!("{place}.plan"), format!("There is no plan {plan:?} in this file")));
            }
            for (index, member) in partner.members.iter().enumerate() {
                let address = member.email.to_lowercase();
                if addresses.contains(&address) {
                    let message = format!("{} is a member twice; one address is one account", member.email);
                    problems.push(Problem::new(format!("{place}.members[{index}].email"), message));
                }
                addresses.push(address);
            }
        }
        for (code, plan) in &self.plans {
            for (index, partner) in plan.partners.iter().enumerate() {
                if self.partners.get(partner).is_none() {
                    let message = format!("There is no partner {partner:?} in this file");
                    problems.push(Problem::new(format!("plans.{code}.partners[{index}]"), message));
                }
            }
            let base = plan.derived_from.as_ref().filter(|base| *base == code || self.plans.get(base).is_none());
            if let Some(base) = base {
                let message = format!("There is no other plan {base:?} in this file");
                problems.push(Problem::new(format!("plans.{code}.derived_from"), message));
            }
        }
        for (code, product) in &self.products {
            for (index, partner) in product.invited.iter().enumerate() {
                if self.partners.get(partner).is_none() {
                    let message = format!("There is no partner {partner:?} in this file");
                    problems.push(Problem::new(format!("products.{code}.invited[{index}]"), message));
                }
            }
        }
        problems
    }

    fn threshold_problem(&self, partner: &PartnerSetup, place: &str) -> Option<Problem> {
        let OwnAmount(amount) = partner.invoice_threshold?;
        let plan = partner.plan.as_ref().and_then(|plan| self.plans.get(plan))?;
        let problem = match Money::from_decimal_exact(plan.currency, amount?) {
            Ok(amount) => OwnThreshold::At(amount).problem().map(|problem| problem.message),
            Err(error) => Some(error.to_string()),
        };
        let rated_by_stripe = (plan.collect == Collect::MeterEvents)
            .then(|| "Stripe rates the usage of the partner's plan itself: it has no threshold invoices".to_owned());
        Some(Problem::new(format!("{place}.invoice_threshold"), problem.or(rated_by_stripe)?))
    }

    fn package_problems(&self) -> Vec<Problem> {
        let mut problems = self.credit_packages.code_problems("credit_packages");
        for (code, package) in &self.credit_packages {
            let place = format!("credit_packages.{code}");
            let own = package.problems().into_iter();
            problems.extend(own.map(|one| Problem::new(format!("{place}.{}", one.field), one.message)));
            for (index, plan) in package.plans.iter().enumerate().filter(|(_, plan)| self.plans.get(plan).is_none()) {
                let message = format!("There is no plan {plan:?} in this file");
                problems.push(Problem::new(format!("{place}.plans[{index}]"), message));
            }
        }
        problems
    }

    fn coupon_problems(&self) -> Vec<Problem> {
        let mut problems = self.coupons.code_problems("coupons");
        for (code, coupon) in &self.coupons {
            let place = format!("coupons.{code}");
            problems.extend(
                coupon.problems().into_iter().map(|one| Problem::new(format!("{place}.{}", one.field), one.message)),
            );
            for (index, plan) in coupon.plans.iter().enumerate().filter(|(_, plan)| self.plans.get(plan).is_none()) {
                let message = format!("There is no plan {plan:?} in this file");
                problems.push(Problem::new(format!("{place}.plans[{index}]"), message));
            }
        }
        problems
    }
}

/// Whether one route is the other or lies below it.
fn overlap(one: &str, other: &str) -> bool {
    let below = |short: &str, long: &str| long.strip_prefix(short).is_some_and(|rest| rest.starts_with('/'));
    one == other || below(one, other) || below(other, one)
}

#[cfg(test)]
mod tests;
