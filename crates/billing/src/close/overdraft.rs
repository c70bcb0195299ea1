//! What was used beyond all prepaid credit, where the plan bills it: a line for each price, after all that is rated.

use domain::{
    credit::overdraft::Overdraft,
    money::{Currency, Money, MoneyError, group_thousands},
    rating::{Charge, LineKind},
};
use rust_decimal::Decimal;
use store::{NewInvoiceLine, Overdrawn};

/// The lines of an invoice.
pub(super) fn lines(overdrawn: &[Overdrawn], currency: Currency) -> Result<Vec<NewInvoiceLine>, MoneyError> {
    let line = |charge: Charge| NewInvoiceLine {
        kind: charge.kind,
        product: None,
        operation: None,
        meter: None,
        calls: None,
        description: charge.label.unwrap_or_default(),
        quantity: i64::try_from(charge.quantity).unwrap_or(i64::MAX),
        free: 0,
        prepaid: 0,
        amount: charge.amount,
        teams: Vec::new(),
    };
    Ok(charges(overdrawn, currency)?.into_iter().map(line).collect())
}

/// The same as charges, for the bill so far.
pub(crate) fn charges(overdrawn: &[Overdrawn], currency: Currency) -> Result<Vec<Charge>, MoneyError> {
    let mut prices: Vec<(Decimal, u64)> = Vec::new();
    for one in overdrawn {
        match prices.iter_mut().find(|(price, _)| *price == one.unit_price) {
            Some((_, sum)) => *sum = sum.saturating_add(one.units),
            None => prices.push((one.unit_price, one.units)),
        }
    }
    let charge = |(price, units): (Decimal, u64)| {
        let amount: Money = Overdraft::cost(price, units, currency)?;
        let label = format!(
            "Used beyond the prepaid units: {} at {}{}",
            group_thousands(units),
            currency.sign(),
            price.normalize()
        );
        Ok(Charge {
            kind: LineKind::CreditOverdraft,
            product: None,
            operation: None,
            meter: None,
            label: Some(label),
            quantity: units,
            free: 0,
            prepaid: 0,
            amount,
            offer: None,
        })
    };
    prices.into_iter().map(charge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn each_price_is_a_line_that_is_rounded_once() {
        let hour = |hour: i64, units, price: &str| Overdrawn {
            hour: Timestamp::from_second(hour * 3_600).expect("in range"),
            units,
            unit_price: price.parse().expect("a decimal"),
        };
        let charges = charges(&[hour(1, 1_111, "0.005"), hour(2, 7, "0.10"), hour(3, 222, "0.0050")], Currency::Usd)
            .expect("fits");
        let told: Vec<_> = charges
            .iter()
            .map(|charge| (charge.quantity, charge.label.as_deref().unwrap_or_default(), charge.amount.to_string()))
            .collect();
        assert_eq!(
            told,
            [
                (1_333, "Used beyond the prepaid units: 1,333 at $0.005", "$6.67".to_owned()),
                (7, "Used beyond the prepaid units: 7 at $0.1", "$0.70".to_owned()),
            ]
        );
    }
}
