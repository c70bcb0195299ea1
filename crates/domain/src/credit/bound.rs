//! Prepaid units that only calls of some products spend: those of grants that name products.
//!
//! All units of a partner's grants that name the same products are in one **purse**; within it the burn order is that of all grants
//! ([`super`]). A call looks for its units in what its app or team has for itself (where that may not be passed, nowhere else), then in
//! the purses that name its product, those first of which something **expires** sooner, then in what is common. Of these
//!
//! 1. the first that has **all** that the call needs pays it;
//! 2. else the first that has **some**, if what is common has the rest, and what is common pays that;
//! 3. else what is common pays it, and where that has too little the call is refused.
//!
//! So one call is paid from one purse at most and from what is common; a call of one unit is always paid by the first that has one.

use crate::id::{AllocationId, ProductId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How many products a grant may name.
pub const MOST_PRODUCTS: usize = 50;

/// What gateways know of a purse; how many units there are, they learn as they spend them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purse {
    /// What events and leases call it by, as they do an allocation.
    pub id: AllocationId,
    /// In the order of their identifiers; one or more.
    pub products: Vec<ProductId>,
    /// When the first of its units expire, by what is booked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_end: Option<Timestamp>,
}

impl Purse {
    /// Whether calls of that product may spend its units.
    pub fn pays_for(&self, product: ProductId) -> bool {
        self.products.contains(&product)
    }

    /// Where it stands among those that a call may spend: the lower, the sooner. Of two that expire at once, first the one for fewer products.
    pub fn place(&self) -> (Timestamp, usize, AllocationId) {
        (self.first_end.unwrap_or(Timestamp::MAX), self.products.len(), self.id)
    }
}

/// Where a call's units come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Paid {
    /// Which purse, by its place, and how many of its units: one or more.
    pub purse: Option<(usize, u64)>,
    pub common: u64,
}

/// Who pays a call that needs so many units, of purses that have so many each, in their order, and what is common. `None` where it is refused.
pub fn pay(purses: &[u64], common: u64, units: u64) -> Option<Paid> {
    let all = purses.iter().position(|left| units > 0 && *left >= units).map(|place| (place, units));
    let some = || {
        let pays = |left: &u64| *left > 0 && common >= units.saturating_sub(*left);
        purses.iter().position(|left| units > 0 && pays(left)).map(|place| (place, purses[place]))
    };
    match all.or_else(some) {
        Some((place, part)) => Some(Paid { purse: Some((place, part)), common: units - part }),
        None => (common >= units).then_some(Paid { purse: None, common: units }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    #[test]
    fn the_first_that_has_all_pays_then_the_first_that_has_some_with_what_is_common() {
        let paid = |purse, common| Some(Paid { purse, common });
        for (purses, common, units, expected) in [
            (&[][..], 5, 5, paid(None, 5)),
            (&[][..], 4, 5, None),
            (&[1, 9][..], 9, 1, paid(Some((0, 1)), 0)),
            (&[3, 9][..], 9, 5, paid(Some((1, 5)), 0)),
            (&[3, 4][..], 9, 5, paid(Some((0, 3)), 2)),
            (&[2, 4][..], 1, 5, paid(Some((1, 4)), 1)),
            (&[0, 0][..], 5, 5, paid(None, 5)),
            // One call is not paid from two purses.
            (&[3, 3][..], 1, 5, None),
            (&[3][..], 0, 0, paid(None, 0)),
        ] {
            assert_eq!(pay(purses, common, units), expected, "{purses:?} {common} {units}");
        }
    }

    proptest! {
        #[test]
        fn a_call_takes_what_it_needs_of_one_purse_and_no_common_unit_that_a_purse_could_save(
            purses in prop::collection::vec(0..12_u64, 0..5), common in 0..12_u64, units in 0..15_u64,
        ) {
            let Some(paid) = pay(&purses, common, units) else {
                // No purse with what is common has enough.
                prop_assert!(purses.iter().all(|left| left + common < units) && common < units);
                return Ok(());
            };
            let from_purse = paid.purse.map_or(0, |(_, part)| part);
            prop_assert_eq!(from_purse + paid.common, units);
            prop_assert!(paid.common <= common);
            let Some((place, part)) = paid.purse else {
                prop_assert!(units == 0 || purses.iter().all(|left| *left == 0));
                return Ok(());
            };
            prop_assert!(part > 0 && part <= purses[place]);
            // All that has more to give stands behind it.
            let whole = purses.iter().position(|left| *left >= units);
            prop_assert_eq!(paid.common == 0, whole.is_some());
            if let Some(first) = whole {
                prop_assert_eq!(place, first);
            } else {
                prop_assert!(purses[..place].iter().all(|left| *left == 0 || left + common < units));
            }
        }

        #[test]
        fn purses_are_spent_by_their_first_end_and_only_by_calls_of_their_products(
            all in prop::collection::vec((prop::option::of(0..9_i64), prop::collection::btree_set(0..4_u128, 1..4)), 0..6),
            product in 0..5_u128,
        ) {
            let product = ProductId(Uuid::from_u128(product));
            let mut purses: Vec<Purse> = (0_u128..).zip(all).map(|(id, (end, products))| Purse {
                id: AllocationId(Uuid::from_u128(id)),
                products: products.into_iter().map(|id| ProductId(Uuid::from_u128(id))).collect(),
                first_end: end.map(|hours| Timestamp::from_second(hours * 3_600).expect("in range")),
            }).collect();
            purses.sort_by_key(Purse::place);
            let own: Vec<_> = purses.iter().filter(|purse| purse.pays_for(product)).collect();
            prop_assert!(own.iter().all(|purse| purse.products.contains(&product)));
            prop_assert_eq!(own.len(), purses.iter().filter(|purse| purse.products.contains(&product)).count());
            for pair in own.windows(2) {
                let end = |purse: &Purse| purse.first_end.unwrap_or(Timestamp::MAX);
                prop_assert!(end(pair[0]) <= end(pair[1]), "what expires first goes first");
            }
        }
    }
}
