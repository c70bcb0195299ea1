//! What usage costs by a price, in exact arithmetic: amounts have up to twelve decimals of the smallest coin.
//!
//! A line for each tier of a graduated price that the quantity reaches, one line for any other price, and one more where a tier has a flat
//! amount. Each line is rounded by itself, and the invoice is the sum of its lines. Nothing here is taken from what is tested.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// In one smallest coin.
const PARTS: i128 = 1_000_000_000_000;

/// How a line's amount becomes whole coins. Only the first is Stripe's as we understand it; the others are for runs that have to find a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Half a coin is a coin.
    #[default]
    HalfUp,
    HalfEven,
    Down,
}

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub quantity: i64,
    /// In the smallest coin.
    pub unit_amount_decimal: String,
    /// In the smallest coin.
    pub amount: i64,
    /// As `Tier 2`, or empty.
    pub of: String,
}

/// The lines of a quantity; `None` where it does not fit into an invoice or the price makes no sense.
pub fn lines(price: &Value, quantity: i64, rounding: Rounding) -> Option<Vec<Line>> {
    let one = |quantity: i64, unit_amount: &str, of: String| -> Option<Line> {
        let exact = parts(unit_amount)?.checked_mul(i128::from(quantity))?;
        Some(Line { quantity, unit_amount_decimal: unit_amount.to_owned(), amount: rounding.apply(exact)?, of })
    };
    if price["billing_scheme"] == "per_unit" {
        let quantity = transformed(price, quantity)?;
        return Some(vec![one(quantity, price["unit_amount_decimal"].as_str()?, String::new())?]);
    }
    let (mut found, mut from) = (Vec::new(), 0);
    let is_graduated = price["tiers_mode"] == "graduated";
    for (number, tier) in (1..).zip(price["tiers"].as_array()?) {
        let is_reached = quantity > from || number == 1;
        let end = tier["up_to"].as_i64();
        let is_last = end.is_none_or(|end| quantity <= end);
        let here = match is_graduated {
            true => end.map_or(quantity, |end| quantity.min(end)) - from,
            false => quantity,
        };
        if is_reached && (is_graduated || is_last) {
            if let Some(unit_amount) = tier["unit_amount_decimal"].as_str() {
                found.push(one(here, unit_amount, format!("Tier {number}"))?);
            }
            if let Some(flat_amount) = tier["flat_amount_decimal"].as_str().filter(|amount| parts(amount) != Some(0)) {
                found.push(one(1, flat_amount, format!("Tier {number}, flat fee"))?);
            }
        }
        if is_last {
            return Some(found);
        }
        from = end?;
    }
    None
}

/// Packages: how many of them the quantity begins, or fills.
fn transformed(price: &Value, quantity: i64) -> Option<i64> {
    let transform = &price["transform_quantity"];
    if transform.is_null() {
        return Some(quantity);
    }
    let size = transform["divide_by"].as_i64().filter(|size| *size > 0)?;
    let whole = quantity.div_euclid(size);
    let begun = i64::from(quantity.rem_euclid(size) > 0);
    Some(if transform["round"] == "up" { whole + begun } else { whole })
}

/// `0.5` as parts of a coin.
fn parts(decimal: &str) -> Option<i128> {
    let (coins, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    if fraction.len() > 12 {
        return None;
    }
    let fraction: i128 = format!("{fraction:0<12}").parse().ok()?;
    coins.parse::<i128>().ok()?.checked_mul(PARTS)?.checked_add(fraction)
}

impl Rounding {
    fn apply(self, exact: i128) -> Option<i64> {
        let (coins, rest) = (exact.div_euclid(PARTS), exact.rem_euclid(PARTS));
        let up = match self {
            Self::HalfUp => 2 * rest >= PARTS,
            Self::HalfEven => 2 * rest > PARTS || (2 * rest == PARTS && coins % 2 != 0),
            Self::Down => false,
        };
        i64::try_from(coins + i128::from(up)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn amounts(price: &Value, quantity: i64) -> Vec<i64> {
        lines(price, quantity, Rounding::HalfUp).expect("fits").into_iter().map(|line| line.amount).collect()
    }

    #[test]
    fn the_worked_examples_come_out_to_the_cent() {
        let graduated = json!({ "billing_scheme": "tiered", "tiers_mode": "graduated", "tiers": [
            { "up_to": 100_000, "unit_amount_decimal": "1" }, { "up_to": 500_000, "unit_amount_decimal": "0.8" },
            { "up_to": null, "unit_amount_decimal": "0.5" }] });
        assert_eq!(amounts(&graduated, 650_000), [100_000, 320_000, 75_000]);
        assert_eq!(amounts(&graduated, 100_000), [100_000], "the last unit of a tier is in it");
        assert_eq!(amounts(&graduated, 100_001), [100_000, 1]);
        let volume = json!({ "billing_scheme": "tiered", "tiers_mode": "volume", "tiers": graduated["tiers"] });
        assert_eq!(amounts(&volume, 650_000), [325_000]);
        assert_eq!(amounts(&volume, 500_000), [400_000]);
        let included = json!({ "billing_scheme": "tiered", "tiers_mode": "graduated", "tiers": [
            { "up_to": 50_000, "unit_amount_decimal": "0" }, { "up_to": null, "unit_amount_decimal": "0.5" }] });
        assert_eq!(amounts(&included, 73_211), [0, 11_606]);
        let package = json!({ "billing_scheme": "per_unit", "unit_amount_decimal": "2000",
            "transform_quantity": { "divide_by": 10_000, "round": "up" } });
        assert_eq!((amounts(&package, 20_001), amounts(&package, 20_000)), (vec![6_000], vec![4_000]));
        assert_eq!(amounts(&package, 0), [0]);
    }

    #[test]
    fn flat_amounts_are_lines_of_their_own_and_the_first_tiers_is_due_without_usage() {
        let tiers = json!([{ "up_to": 10, "unit_amount_decimal": "1", "flat_amount_decimal": "500" },
            { "up_to": null, "unit_amount_decimal": "2", "flat_amount_decimal": "100" }]);
        let price = |mode: &str| json!({ "billing_scheme": "tiered", "tiers_mode": mode, "tiers": tiers });
        assert_eq!(amounts(&price("graduated"), 12), [10, 500, 4, 100]);
        assert_eq!(amounts(&price("graduated"), 0), [0, 500]);
        assert_eq!(amounts(&price("volume"), 12), [24, 100]);
    }

    #[test]
    fn half_a_coin_is_rounded_as_it_was_set() {
        let price = json!({ "billing_scheme": "per_unit", "unit_amount_decimal": "0.5" });
        let coins = |quantity, rounding| lines(&price, quantity, rounding).expect("fits")[0].amount;
        assert_eq!([Rounding::HalfUp, Rounding::HalfEven, Rounding::Down].map(|how| coins(5, how)), [3, 2, 2]);
        assert_eq!([Rounding::HalfUp, Rounding::HalfEven, Rounding::Down].map(|how| coins(7, how)), [4, 4, 3]);
        let fine = json!({ "billing_scheme": "per_unit", "unit_amount_decimal": "0.000000000001" });
        assert_eq!(lines(&fine, 499_999_999_999, Rounding::HalfUp).expect("fits")[0].amount, 0);
        assert_eq!(lines(&fine, 500_000_000_000, Rounding::HalfUp).expect("fits")[0].amount, 1);
    }
}
