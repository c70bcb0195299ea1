//! Our prices cost the same in Stripe's words.

use super::amounts::{Amount, of, same, text, tiers_of};
use domain::{money::Currency, rating::price::Price};
use rust_decimal::Decimal;
use serde_json::json;

/// What Stripe makes of a price: smallest coins for so many units.
fn at_stripe(amount: &Amount, units: u64) -> Decimal {
    let read = |text: &str| text.parse::<Decimal>().expect("an amount");
    if let Some((size, round)) = amount.transform_quantity.split_once(' ') {
        assert_eq!(round, "up");
        let packages = (Decimal::from(units) / read(size)).ceil();
        return packages * read(&amount.unit_amount);
    }
    let ends: Vec<(u64, Decimal)> = tiers_of(&text(&amount.tiers))
        .map(|(up_to, price)| (if up_to == "inf" { u64::MAX } else { up_to.parse().expect("a number") }, read(price)))
        .collect();
    match amount.tiers_mode {
        "graduated" => {
            let (mut cost, mut from) = (Decimal::ZERO, 0);
            for (end, price) in ends {
                cost += Decimal::from(end.min(units).saturating_sub(from)) * price;
                from = end;
            }
            cost
        }
        "volume" => {
            let (_, price) = ends.iter().find(|(end, _)| units <= *end).expect("a tier");
            Decimal::from(units) * price
        }
        _ => Decimal::from(units) * read(&amount.unit_amount),
    }
}

#[test]
fn a_price_costs_at_stripe_what_it_costs_here() {
    let prices = [
        json!({ "model": "free" }),
        json!({ "model": "per_unit", "unit_price": "0.0005" }),
        json!({ "model": "per_unit", "included": 1000, "unit_price": "0.005" }),
        json!({ "model": "graduated", "steps": [
            { "up_to": 100_000, "unit_price": "0.01" }, { "up_to": 500_000, "unit_price": "0.008" }, { "unit_price": "0.005" }] }),
        json!({ "model": "volume", "steps": [{ "up_to": 10, "unit_price": "1" }, { "unit_price": "0.123456789012" }] }),
        json!({ "model": "package", "size": 100, "package_price": "2.50" }),
    ];
    for price in prices {
        let price: Price = serde_json::from_value(price).expect("a price");
        for currency in [Currency::Usd, Currency::Jpy] {
            let amount = of(&price, currency);
            for units in [0, 1, 10, 11, 99, 100, 101, 1_000, 1_001, 650_000] {
                let ours = price.cost(units).expect("a cost") * Decimal::from(10_u32.pow(currency.decimals()));
                assert_eq!(at_stripe(&amount, units), ours, "{price:?} at {units} units in {}", currency.code());
            }
        }
    }
}

#[test]
fn an_amount_is_the_same_however_it_is_written() {
    for (theirs, ours) in [("0.50", "0.5"), ("12", "12"), ("100.000000000000", "100"), ("0", "0")] {
        assert_eq!(same(Some(theirs)), ours);
    }
    assert_eq!(same(None), "");
}
