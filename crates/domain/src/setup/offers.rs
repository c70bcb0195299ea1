//! Phases and promotions of a plan of the set-up, with amounts as people write them.

use crate::{
    plan::{MeterPrice, Problem},
    rating::{
        offers::{Instead, Phase, Promotion},
        price::Price,
    },
};
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What the plan costs in so many periods: see [`Phase`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseSetup {
    pub name: String,
    pub periods: u32,
    pub instead: InsteadSetup,
}

/// What the plan costs between two days: see [`Promotion`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromotionSetup {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    pub until: Date,
    pub instead: InsteadSetup,
}

/// What an offer replaces; amounts are in the plan's currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct InsteadSetup {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_fee: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meters: Vec<MeterPrice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub included_credit: Option<Decimal>,
}

/// Reads an amount of the plan's currency into micro-units; the text is the field's name.
pub(super) type Micros<'a> = &'a dyn Fn(&str, Decimal) -> Result<i64, Vec<Problem>>;

pub(super) fn phases(phases: &[PhaseSetup], micros: Micros<'_>) -> Result<Vec<Phase>, Vec<Problem>> {
    let phase = |(index, own): (usize, &PhaseSetup)| {
        let instead = own.instead.read(&format!("phases[{index}].instead"), micros)?;
        Ok(Phase { name: own.name.clone(), periods: own.periods, instead })
    };
    phases.iter().enumerate().map(phase).collect()
}

pub(super) fn promotions(promotions: &[PromotionSetup], micros: Micros<'_>) -> Result<Vec<Promotion>, Vec<Problem>> {
    let promotion = |(index, own): (usize, &PromotionSetup)| {
        let instead = own.instead.read(&format!("promotions[{index}].instead"), micros)?;
        Ok(Promotion { name: own.name.clone(), from: own.from, until: own.until, instead })
    };
    promotions.iter().enumerate().map(promotion).collect()
}

impl InsteadSetup {
    fn read(&self, field: &str, micros: Micros<'_>) -> Result<Instead, Vec<Problem>> {
        let amount = |name: &str, amount: Option<Decimal>| {
            amount.map(|amount| micros(&format!("{field}.{name}"), amount)).transpose()
        };
        Ok(Instead {
            base_fee_micros: amount("base_fee", self.base_fee)?,
            price: self.price.clone(),
            meters: self.meters.clone(),
            minimum_micros: amount("minimum", self.minimum)?,
            included_credit_micros: amount("included_credit", self.included_credit)?,
        })
    }
}
