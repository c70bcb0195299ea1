//! Packages of prepaid units, and what several of one cost.
//!
//! 1,000,000 units for 1,000.00, with 15 % off from ten on: ten cost 8,500.00. The whole purchase has the discount that it reaches,
//! and its price is rounded once, to the coin, half away from zero.

use crate::{
    money::{Currency, Money, MoneyError, group_thousands},
    plan::Problem,
    product::is_code,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Packages in one purchase.
pub const MOST_PACKAGES: u32 = 10_000;
/// Money of one purchase: 1,000,000,000 of any currency, in micro-units.
pub const MOST_MICROS: i64 = 1_000_000_000_000_000;
const MOST_UNITS: u64 = 100_000_000_000;
/// 10,000,000 of any currency.
const MOST_MICROS_OF_ONE: i64 = 10_000_000_000_000;
const MOST_DISCOUNTS: usize = 20;
const MOST_PLANS: usize = 100;
const MOST_DAYS: u32 = 3_650;

/// A package as the set-up file has it, and the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditPackage {
    /// For people.
    pub name: String,
    pub units: u64,
    pub currency: Currency,
    /// Of one, in the currency's unit.
    pub price: Decimal,
    /// In rising order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<VolumeDiscount>,
    /// How many days after they are paid the units expire; never where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_days: Option<u32>,
    /// Codes of the plans that it is sold to; where there are none, it is sold to every plan in its currency.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<String>,
    /// No longer sold.
    #[serde(default, skip_serializing_if = "is_false")]
    pub withdrawn: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Off the whole purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeDiscount {
    /// From so many packages on.
    pub from: u32,
    pub percent: Decimal,
}

impl CreditPackage {
    /// What so many cost, to the coin.
    ///
    /// # Errors
    /// More than money can hold.
    pub fn cost(&self, quantity: u32) -> Result<Money, MoneyError> {
        let percent = self.percent_off(quantity);
        let list = self.price.checked_mul(Decimal::from(quantity)).ok_or(MoneyError::TooLarge)?;
        let share = (Decimal::ONE_HUNDRED - percent) / Decimal::ONE_HUNDRED;
        Money::from_decimal_rounded(self.currency, list.checked_mul(share).ok_or(MoneyError::TooLarge)?)
    }

    /// The units of so many.
    ///
    /// # Errors
    /// More than a purchase can have.
    pub fn units_of(&self, quantity: u32) -> Result<u64, MoneyError> {
        let units = self.units.checked_mul(u64::from(quantity)).filter(|units| *units <= MOST_UNITS);
        units.ok_or(MoneyError::TooLarge)
    }

    /// Whether so many of it are the offer that somebody saw: the same units for the same money, valid as long.
    pub fn is_as_seen(&self, seen: &Self, quantity: u32) -> bool {
        let offer = |package: &Self| (package.cost(quantity).ok(), package.units, package.valid_days);
        offer(self) == offer(seen)
    }

    /// Why so many of it are a worse offer than they were when they were agreed on; `None` where they are as good, or better.
    pub fn worse_than(&self, agreed: &Self, quantity: u32) -> Option<String> {
        if self.currency != agreed.currency {
            return Some(format!("It is sold in {} by now, and {} was agreed", self.currency, agreed.currency));
        }
        let (cost, agreed_cost) = (self.cost(quantity).ok(), agreed.cost(quantity).ok()?);
        if let Some(cost) = cost.filter(|cost| cost.micros > agreed_cost.micros) {
            return Some(format!("It costs {cost} by now, and {agreed_cost} was agreed"));
        }
        if self.units < agreed.units {
            return Some(format!(
                "One has {} units by now, and {} were agreed",
                group_thousands(self.units),
                group_thousands(agreed.units)
            ));
        }
        let days = |package: &Self| package.valid_days.unwrap_or(u32::MAX);
        let valid = self.valid_days.filter(|_| days(self) < days(agreed))?;
        let before = agreed.valid_days.map_or_else(|| "for ever".to_owned(), |days| format!("{days} days"));
        Some(format!("Its units are valid {valid} days by now, and {before} was agreed"))
    }

    /// Whether somebody on that plan may buy it.
    pub fn is_sold_to(&self, plan: &str, currency: Currency) -> bool {
        !self.withdrawn
            && self.currency == currency
            && (self.plans.is_empty() || self.plans.iter().any(|code| code == plan))
    }

    /// What comes off so many.
    pub fn percent_off(&self, quantity: u32) -> Decimal {
        let reached = self.discounts.iter().rev().find(|discount| discount.from <= quantity);
        reached.map_or(Decimal::ZERO, |discount| discount.percent)
    }

    /// All that is wrong with it.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |field: &str, message: &str| problems.push(Problem::new(field, message));
        if !(1..=100).contains(&self.name.chars().count()) {
            add("name", "Give it a name of 1 to 100 characters");
        }
        if !(1..=MOST_UNITS).contains(&self.units) {
            add("units", "A package has 1 to 100,000,000,000 units");
        }
        let price = Money::from_decimal_exact(self.currency, self.price);
        if !price.is_ok_and(|price| price.minor_units().is_some() && (1..=MOST_MICROS_OF_ONE).contains(&price.micros)) {
            add("price", "The price is more than zero, in whole coins of the currency, and at most 10,000,000");
        }
        if self.discounts.len() > MOST_DISCOUNTS {
            add("discounts", "A package has at most 20 discounts");
        }
        if self.plans.len() > MOST_PLANS || !self.plans.iter().all(|code| is_code(code)) {
            add("plans", "Name at most 100 plans by their codes");
        }
        if self.valid_days.is_some_and(|days| !(1..=MOST_DAYS).contains(&days)) {
            add("valid_days", "Units are valid for 1 to 3,650 days");
        }
        for (index, discount) in self.discounts.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|before| self.discounts.get(before));
            if discount.from < 2 || discount.from > MOST_PACKAGES || before.is_some_and(|one| one.from >= discount.from)
            {
                add(
                    &format!("discounts[{index}].from"),
                    "Each discount begins with more packages than the one before, from 2 on",
                );
            }
            let is_share = discount.percent > Decimal::ZERO && discount.percent < Decimal::ONE_HUNDRED;
            if !is_share || discount.percent.scale() > 4 {
                add(
                    &format!("discounts[{index}].percent"),
                    "A discount is more than 0 and less than 100 %, with at most four decimals",
                );
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn million() -> CreditPackage {
        let text = r#"{"name":"One million","units":1000000,"currency":"USD","price":"1000.00","valid_days":365,
            "discounts":[{"from":5,"percent":"10"},{"from":10,"percent":"15"}]}"#;
        serde_json::from_str(text).expect("a package")
    }

    #[test]
    fn the_whole_purchase_has_the_discount_that_it_reaches() {
        assert_eq!(million().problems(), []);
        let costs = [1, 4, 5, 9, 10].map(|quantity| million().cost(quantity).expect("fits").to_string());
        assert_eq!(costs, ["$1,000.00", "$4,000.00", "$4,500.00", "$8,100.00", "$8,500.00"]);
        let odd = CreditPackage { price: "0.35".parse().expect("a decimal"), ..million() };
        // 3.50 less 15 % is 2.975.
        assert_eq!(odd.cost(10).expect("fits").to_string(), "$2.98");
    }

    #[test]
    fn it_is_sold_in_its_currency_to_its_plans_until_it_is_withdrawn() {
        let some = CreditPackage { plans: vec!["pro".to_owned()], ..million() };
        let sold = |package: &CreditPackage, plan| package.is_sold_to(plan, Currency::Usd);
        assert!(sold(&million(), "starter") && sold(&some, "pro"));
        assert!(!sold(&some, "starter") && !some.is_sold_to("pro", Currency::Eur));
        assert!(!sold(&CreditPackage { withdrawn: true, ..million() }, "starter"));
        assert_eq!(
            (million().units_of(10).ok(), million().units_of(1_000_000)),
            (Some(10_000_000), Err(MoneyError::TooLarge))
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = CreditPackage {
            name: String::new(),
            units: 0,
            price: "0.001".parse().expect("a decimal"),
            valid_days: Some(0),
            plans: vec!["Not a code".to_owned()],
            discounts: vec![
                VolumeDiscount { from: 5, percent: Decimal::ONE_HUNDRED },
                VolumeDiscount { from: 5, percent: Decimal::ONE },
            ],
            ..million()
        };
        let fields: Vec<_> = wrong.problems().into_iter().map(|problem| problem.field).collect();
        assert_eq!(
            fields,
            ["name", "units", "price", "plans", "valid_days", "discounts[0].percent", "discounts[1].from"]
        );
    }

    #[test]
    fn an_offer_is_worse_where_it_costs_more_holds_less_or_expires_sooner() {
        let agreed = million();
        type Change = fn(&mut CreditPackage);
        let now = |change: Change| {
            let mut package = million();
            change(&mut package);
            package.worse_than(&agreed, 5)
        };
        assert_eq!(now(|_| {}), None);
        assert_eq!(now(|package| package.price = "1.00".parse().expect("a decimal")), None, "cheaper");
        assert_eq!(now(|package| package.name = "Other".to_owned()), None);
        let worse: [(Change, &str); 5] = [
            (|package| package.price = "1000.01".parse().expect("a decimal"), "costs"),
            (|package| package.discounts.clear(), "costs"),
            (|package| package.units -= 1, "999,999 units"),
            (|package| package.valid_days = Some(1), "valid 1 days"),
            (|package| package.currency = Currency::Eur, "EUR"),
        ];
        for (change, word) in worse {
            let mut other = million();
            change(&mut other);
            assert!(agreed.is_as_seen(&agreed, 5) && !other.is_as_seen(&agreed, 5), "{word}");
            let told = now(change).expect("worse");
            assert!(told.contains(word), "{told}");
        }
    }
}
