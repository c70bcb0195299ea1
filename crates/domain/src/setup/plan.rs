//! A plan of the set-up: how the tier is sold, and its terms with amounts as people write them.

use super::offers::{self, PhaseSetup, PromotionSetup};
use crate::{
    dunning::UnpaidRules,
    limit::Limit,
    money::{Currency, Money},
    period::{Alignment, Interval},
    plan::{Approval, Collect, Grant, MeterPrice, PlanTerms, Problem},
    plan_change::ChangeRules,
    policy::Admission,
    quota::Quota,
    rating::{
        FeeDue, Trial,
        commitment::{Commitment, CommitmentStep},
        discount::Discount,
        offers::Offered,
        price::Price,
    },
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A tier. The fields from `currency` on are those of [`PlanTerms`]; amounts are decimal texts, as `"49.00"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanSetup {
    pub name: String,
    /// One or two sentences for the pricing page.
    #[serde(default)]
    pub summary: String,
    /// Assigned by an operator or chosen by `partners`, and shown to nobody else.
    #[serde(default)]
    pub private: bool,
    /// Codes of partners who may choose it, where it is private.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partners: Vec<String>,
    /// The code of the plan whose newest version it was derived from, where it is the own plan of its one partner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derived_from: Option<String>,
    #[serde(default)]
    pub approval: Approval,
    pub currency: Currency,
    #[serde(default)]
    pub interval: Interval,
    /// Whether periods lie from the subscription's begin on, or with the calendar.
    #[serde(default, skip_serializing_if = "Alignment::is_anchored")]
    pub periods: Alignment,
    pub products: Vec<Grant>,
    #[serde(default)]
    pub limits: Vec<Limit>,
    #[serde(default)]
    pub quota: Option<Quota>,
    /// For each period, in the plan's currency.
    #[serde(default)]
    pub base_fee: Decimal,
    /// Whether the base fee is billed when its period begins or when it ends.
    #[serde(default, skip_serializing_if = "FeeDue::is_arrears")]
    pub fee_due: FeeDue,
    #[serde(default)]
    pub price: Price,
    /// What meters besides units cost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meters: Vec<MeterPrice>,
    /// What a period's usage costs at the least, in the plan's currency.
    #[serde(default)]
    pub minimum: Decimal,
    /// Promotions, in the order in which they are taken off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<Discount>,
    /// What it costs instead in a partner's first periods, one phase after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseSetup>,
    /// What it costs instead between two days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promotions: Vec<PromotionSetup>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commitment: Option<CommitmentSetup>,
    /// The first days, for whoever comes to the plan for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// From how much usage on that no invoice of the period has one is made at once, in the plan's currency; left out, none is made before
    /// the period ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_threshold: Option<Decimal>,
    /// Taken off each period's usage charges, in the plan's currency.
    #[serde(default)]
    pub included_credit: Decimal,
    #[serde(default)]
    pub features: Vec<String>,
    /// Features that gates of operations ask for.
    #[serde(default)]
    pub opens_features: Vec<String>,
    #[serde(default)]
    pub admission: Admission,
    #[serde(default)]
    pub collect: Collect,
    #[serde(default, skip_serializing_if = "ChangeRules::is_default")]
    pub changes: ChangeRules,
    /// What follows when an invoice stays unpaid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpaid: Option<UnpaidSetup>,
}

/// What follows when an invoice stays unpaid: see [`UnpaidRules`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnpaidSetup {
    #[serde(default = "two_weeks")]
    pub grace_days: u16,
    #[serde(default = "two_weeks")]
    pub limited_days: u16,
    /// Of a hundred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited_percent: Option<u8>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limited_limits: Vec<Limit>,
    /// In the plan's currency.
    #[serde(default)]
    pub minimum: Decimal,
}

fn two_weeks() -> u16 {
    14
}

/// What whoever is on the plan promises to use in each period, and what they have off for it: see [`Commitment`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitmentSetup {
    /// In the plan's currency.
    pub amount: Decimal,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<CommitmentStepSetup>,
}

/// What a part of the usage charges has off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitmentStepSetup {
    /// Where the part ends, in the plan's currency; the last has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Decimal>,
    /// Of a hundred.
    pub percent: Decimal,
}

impl PlanSetup {
    /// The terms, or the amounts that are none.
    pub fn terms(&self) -> Result<PlanTerms, Vec<Problem>> {
        let micros = |field: &str, amount: Decimal| {
            Money::from_decimal_exact(self.currency, amount).map(|money| money.micros).map_err(|error| {
                vec![Problem::new(field, format!("{amount} is not an amount of {}: {error}", self.currency))]
            })
        };
        let commitment = |own: &CommitmentSetup| {
            let step = |(index, step): (usize, &CommitmentStepSetup)| {
                let end = |end| micros(&format!("commitment.discounts[{index}].up_to"), end);
                Ok(CommitmentStep { up_to_micros: step.up_to.map(end).transpose()?, percent: step.percent })
            };
            let discounts = own.discounts.iter().enumerate().map(step).collect::<Result<_, Vec<Problem>>>()?;
            Ok::<_, Vec<Problem>>(Commitment { micros: micros("commitment.amount", own.amount)?, discounts })
        };
        let unpaid = |own: &UnpaidSetup| {
            Ok::<_, Vec<Problem>>(UnpaidRules {
                grace_days: own.grace_days,
                limited_days: own.limited_days,
                limited_percent: own.limited_percent,
                limited_limits: own.limited_limits.clone(),
                minimum_micros: micros("unpaid.minimum", own.minimum)?,
            })
        };
        Ok(PlanTerms {
            currency: self.currency,
            interval: self.interval,
            periods: self.periods,
            products: self.products.clone(),
            limits: self.limits.clone(),
            quota: self.quota,
            base_fee_micros: micros("base_fee", self.base_fee)?,
            fee_due: self.fee_due,
            price: self.price.clone(),
            meters: self.meters.clone(),
            minimum_micros: micros("minimum", self.minimum)?,
            discounts: self.discounts.clone(),
            phases: offers::phases(&self.phases, &micros)?,
            promotions: offers::promotions(&self.promotions, &micros)?,
            offered: Offered::default(),
            commitment: self.commitment.as_ref().map(commitment).transpose()?,
            trial: self.trial,
            invoice_threshold_micros: self
                .invoice_threshold
                .map(|amount| micros("invoice_threshold", amount))
                .transpose()?,
            included_credit_micros: micros("included_credit", self.included_credit)?,
            features: self.features.clone(),
            opens_features: self.opens_features.clone(),
            admission: self.admission.clone(),
            collect: self.collect,
            changes: self.changes,
            unpaid: self.unpaid.as_ref().map(unpaid).transpose()?,
        })
    }

    pub(super) fn problems(&self, place: &str) -> Vec<Problem> {
        let mut problems = match self.terms() {
            Ok(terms) => terms.problems(),
            Err(problems) => problems,
        };
        if !(1..=100).contains(&self.name.trim().chars().count()) {
            problems.push(Problem::new("name", "The name is 1 to 100 characters long"));
        }
        if !self.partners.is_empty() && !self.private {
            problems.push(Problem::new("partners", "Partners are named for private plans: say `private: true`"));
        }
        if self.derived_from.is_some() && self.partners.len() != 1 {
            problems.push(Problem::new(
                "derived_from",
                "A derived plan is one partner's own: name that one under `partners`",
            ));
        }
        for problem in &mut problems {
            problem.field = format!("{place}.{}", problem.field);
        }
        problems
    }
}
