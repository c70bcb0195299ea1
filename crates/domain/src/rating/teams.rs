//! A line's parts by team: its units as each team used them, and its amount shared to the last coin.
//!
//! A line is rated over the whole partner, so that a price does not depend on how usage is spread over teams. What it came to is shared
//! afterwards: free units by the units that credit did not pay, and the amount by the units that were paid, which are neither free nor paid by
//! credit. So each team pays the line's average price. Where no unit was paid and there is an amount all the same, as by a step's flat fee, it
//! is shared by the units that credit did not pay, and else by all.
//!
//! Shares are whole: each is rounded down, and what is left goes one by one to those who lost most by that, the earlier of two equal ones
//! first. They add up to the line exactly, whatever it is, and the same usage gives the same shares.

use crate::money::Money;

/// What one team used of a line. Below zero where an adjustment takes units back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TeamUnits {
    pub units: i64,
    /// Of those, how many prepaid credit paid.
    pub prepaid: i64,
}

/// What a line says of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// Below zero where an adjustment takes units back.
    pub quantity: i64,
    pub free: u64,
    pub prepaid: u64,
    pub amount: Money,
}

/// One team's part of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TeamShare {
    pub quantity: i64,
    pub free: u64,
    pub prepaid: u64,
    pub amount: Money,
}

/// The line's parts, in the order of the teams. `None` where what they used does not add up to the line, or is nothing on the whole while the
/// line has an amount: then nobody can say whose it is.
pub fn split(line: Whole, teams: &[TeamUnits]) -> Option<Vec<TeamShare>> {
    let units: Vec<i128> = teams.iter().map(|team| i128::from(team.units)).collect();
    if units.iter().sum::<i128>() != i128::from(line.quantity) {
        return None;
    }
    let own: Vec<i128> = teams.iter().map(|team| i128::from(team.prepaid).abs()).collect();
    let prepaid = match own.iter().sum::<i128>() == i128::from(line.prepaid) {
        true => own,
        // Some of it was clipped.
        false => shares(i128::from(line.prepaid), &[own, magnitudes(&units)])?,
    };
    let rest: Vec<i128> =
        magnitudes(&units).into_iter().zip(&prepaid).map(|(units, prepaid)| (units - prepaid).max(0)).collect();
    let free = shares(i128::from(line.free), &[rest.clone(), magnitudes(&units)])?;
    let signed = |magnitudes: Vec<i128>| -> Vec<i128> {
        magnitudes.into_iter().zip(&units).map(|(magnitude, units)| magnitude * units.signum()).collect()
    };
    let paid = signed(rest.iter().zip(&free).map(|(rest, free)| (rest - free).max(0)).collect());
    let is_mixed = units.iter().any(|units| *units < 0) && units.iter().any(|units| *units > 0);
    // Where some take units back and others do not, each has its own units at the line's average price.
    let weights = if is_mixed { vec![units.clone()] } else { vec![paid, signed(rest), units.clone()] };
    let (amounts, coin) = amounts(line.amount, &weights)?;
    let parts = units.iter().zip(free).zip(prepaid).zip(amounts);
    let share = |(((quantity, free), prepaid), amount): (((&i128, i128), i128), i128)| {
        Some(TeamShare {
            quantity: i64::try_from(*quantity).ok()?,
            free: u64::try_from(free).ok()?,
            prepaid: u64::try_from(prepaid).ok()?,
            amount: Money { micros: i64::try_from(amount.checked_mul(coin)?).ok()?, ..line.amount },
        })
    };
    parts.map(share).collect()
}

fn magnitudes(units: &[i128]) -> Vec<i128> {
    units.iter().map(|units| units.abs()).collect()
}

/// In coins, and what a coin is in micro-units; in these where the amount is no whole number of coins.
fn amounts(amount: Money, weights: &[Vec<i128>]) -> Option<(Vec<i128>, i128)> {
    let minor = i128::from(amount.currency.micros_per_minor());
    let micros = i128::from(amount.micros);
    let coin = if micros % minor == 0 { minor } else { 1 };
    // As of a positive amount: what is taken back is shared as it was billed.
    let shared = shares((micros / coin).abs(), weights)?;
    Some((shared.into_iter().map(|share| share * micros.signum()).collect(), coin))
}

/// The total by the first weights that come to something; `None` where none do and there is a total.
fn shares(total: i128, weights: &[Vec<i128>]) -> Option<Vec<i128>> {
    let places = weights.first()?.len();
    if total == 0 {
        return Some(vec![0; places]);
    }
    let (weights, sum) = weights.iter().map(|weights| (weights, weights.iter().sum::<i128>())).find(|of| of.1 != 0)?;
    let turned = sum.signum();
    let (mut shares, mut lost) = (Vec::with_capacity(places), Vec::with_capacity(places));
    for (place, weight) in weights.iter().enumerate() {
        let exact = total.checked_mul(weight * turned)?;
        shares.push(exact.div_euclid(sum.abs()));
        lost.push((exact.rem_euclid(sum.abs()), place));
    }
    lost.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(&other.1)));
    let left = total - shares.iter().sum::<i128>();
    for (_, place) in lost.into_iter().take(usize::try_from(left).ok()?) {
        if let Some(share) = shares.get_mut(place) {
            *share += 1;
        }
    }
    Some(shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;
    use proptest::prelude::*;

    fn line(quantity: i64, free: u64, prepaid: u64, cents: i64) -> Whole {
        Whole { quantity, free, prepaid, amount: Money::new(Currency::Usd, cents * 10_000) }
    }

    fn used(each: &[(i64, i64)]) -> Vec<TeamUnits> {
        each.iter().map(|(units, prepaid)| TeamUnits { units: *units, prepaid: *prepaid }).collect()
    }

    /// Units, free ones, prepaid ones, cents.
    fn parts(line: Whole, each: &[(i64, i64)]) -> Option<Vec<(i64, u64, u64, i64)>> {
        let parts = split(line, &used(each))?;
        Some(parts.iter().map(|one| (one.quantity, one.free, one.prepaid, one.amount.micros / 10_000)).collect())
    }

    #[test]
    fn coins_that_are_left_go_to_whom_rounding_took_most_and_of_equal_ones_to_the_first() {
        assert_eq!(
            parts(line(3, 0, 0, 100), &[(1, 0), (1, 0), (1, 0)]),
            Some(vec![(1, 0, 0, 34), (1, 0, 0, 33), (1, 0, 0, 33)])
        );
        // 2.857…, 2.857… and 14.285… of 20 cents.
        assert_eq!(
            parts(line(7, 0, 0, 20), &[(5, 0), (1, 0), (1, 0)]),
            Some(vec![(5, 0, 0, 14), (1, 0, 0, 3), (1, 0, 0, 3)])
        );
        assert_eq!(parts(line(-3, 0, 0, -100), &[(-1, 0), (-2, 0)]), Some(vec![(-1, 0, 0, -33), (-2, 0, 0, -67)]));
    }

    #[test]
    fn who_used_free_units_or_credit_alone_pays_nothing() {
        // The second team's units were all paid by its credit.
        assert_eq!(
            parts(line(1_000, 100, 400, 250), &[(600, 0), (400, 400)]),
            Some(vec![(600, 100, 0, 250), (400, 0, 400, 0)])
        );
        assert_eq!(parts(line(300, 300, 0, 0), &[(200, 0), (100, 0)]), Some(vec![(200, 200, 0, 0), (100, 100, 0, 0)]));
        // A step's flat fee, though no unit was paid.
        assert_eq!(parts(line(4, 4, 0, 8), &[(3, 0), (1, 0)]), Some(vec![(3, 3, 0, 6), (1, 1, 0, 2)]));
    }

    #[test]
    fn units_that_go_both_ways_have_the_lines_average_price() {
        assert_eq!(
            parts(line(50, 0, 0, 100), &[(150, 0), (-100, 0)]),
            Some(vec![(150, 0, 0, 300), (-100, 0, 0, -200)])
        );
    }

    #[test]
    fn what_does_not_add_up_has_no_parts() {
        assert_eq!(parts(line(10, 0, 0, 100), &[(9, 0)]), None);
        assert_eq!(parts(line(0, 0, 0, 100), &[(5, 0), (-5, 0)]), None, "moved along its price by others");
        assert_eq!(parts(line(0, 0, 0, 0), &[]), Some(vec![]));
        assert_eq!(parts(line(i64::MAX, 0, 0, i64::MAX / 10_000), &[(i64::MAX, 0)]).map(|parts| parts.len()), Some(1));
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_line_exactly_and_nobody_gets_more_than_it_used(
            each in proptest::collection::vec((0_i64..2_000_000, 0_u8..=100), 1..9),
            free in 0_u64..=100, cents in 0_i64..100_000_000, currency in 0_usize..9, back in any::<bool>(),
        ) {
            let each: Vec<(i64, i64)> =
                each.into_iter().map(|(units, percent)| (units, units * i64::from(percent) / 100)).collect();
            let (units, prepaid) = each.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            let free = u64::try_from(units - prepaid).expect("not below zero") * free / 100;
            let coin = Currency::ALL[currency].micros_per_minor();
            let cents = if units == 0 { 0 } else { cents };
            let sign = if back { -1 } else { 1 };
            let line = Whole {
                quantity: units * sign,
                free,
                prepaid: u64::try_from(prepaid).expect("not below zero"),
                amount: Money::new(Currency::ALL[currency], cents * coin * sign),
            };
            let used: Vec<TeamUnits> =
                each.iter().map(|one| TeamUnits { units: one.0 * sign, prepaid: one.1 * sign }).collect();
            let parts = split(line, &used).expect("parts");
            prop_assert_eq!(parts.iter().map(|part| part.quantity).sum::<i64>(), line.quantity);
            prop_assert_eq!(parts.iter().map(|part| part.free).sum::<u64>(), line.free);
            prop_assert_eq!(parts.iter().map(|part| part.prepaid).sum::<u64>(), line.prepaid);
            prop_assert_eq!(parts.iter().map(|part| part.amount.micros).sum::<i64>(), line.amount.micros);
            for (part, used) in parts.iter().zip(&used) {
                prop_assert_eq!(part.quantity, used.units);
                prop_assert!(part.free + part.prepaid <= used.units.unsigned_abs());
                prop_assert_eq!(part.amount.micros % coin, 0);
                prop_assert!(part.amount.micros * sign >= 0);
            }
            let again = split(line, &used).expect("parts");
            prop_assert_eq!(again, parts);
        }

        #[test]
        fn parts_of_units_that_go_both_ways_add_up_too(
            each in proptest::collection::vec(-1_000_000_i64..1_000_000, 2..9), cents in -1_000_000_i64..1_000_000,
        ) {
            let quantity: i64 = each.iter().sum();
            let line = line(quantity, 0, 0, cents);
            let used: Vec<TeamUnits> = each.iter().map(|units| TeamUnits { units: *units, prepaid: 0 }).collect();
            match split(line, &used) {
                Some(parts) => {
                    prop_assert_eq!(parts.iter().map(|part| part.quantity).sum::<i64>(), quantity);
                    prop_assert_eq!(parts.iter().map(|part| part.amount.micros).sum::<i64>(), line.amount.micros);
                }
                None => prop_assert!(quantity == 0 && cents != 0),
            }
        }
    }
}
