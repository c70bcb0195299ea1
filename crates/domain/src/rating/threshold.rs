//! Threshold invoices: what was used is billed within the period, as soon as so much of it has come together.
//!
//! Such an invoice has what was used since the period began, with all that lowers it, and less what threshold invoices before it have billed.
//! It has neither a fee nor what is missing to a minimum or a commitment: those are known when the period ends. The invoice at the end
//! rates the whole period as if nothing had been billed, and takes off what was. So the period costs the same to the coin however often it was
//! billed within, whatever the price: with steps by volume the last invoice may be below zero.
//!
//! A threshold of 100.00 and 250.00 of usage: 100.00 are billed as they are reached, then another 100.00, and the last invoice has 250.00 less
//! 200.00, and the fee.

use crate::{
    money::Money,
    plan::{Collect, PlanTerms, Problem},
};
use serde::{Deserialize, Serialize};

/// What one partner has in the place of its plan's threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnThreshold {
    /// No threshold invoices.
    Never,
    /// For plans in that currency; those in another keep the plan's.
    At(Money),
}

/// Whether an invoice is made of usage that comes to `so_far`, and came to `at_last_cut` when the last one was made, void or not.
pub const fn is_due(so_far: Money, at_last_cut: Money, threshold: Money) -> bool {
    so_far.micros.saturating_sub(at_last_cut.micros) >= threshold.micros
}

impl OwnThreshold {
    /// What is wrong with it.
    pub fn problem(self) -> Option<Problem> {
        match self {
            Self::Never => None,
            Self::At(amount) => problem(amount),
        }
    }
}

impl PlanTerms {
    /// From how much unbilled usage on a threshold invoice is made; `None` where none is.
    pub fn invoice_threshold(&self, own: Option<OwnThreshold>) -> Option<Money> {
        if self.collect == Collect::MeterEvents {
            return None;
        }
        let of_plan = || self.invoice_threshold_micros.map(|micros| Money::new(self.currency, micros));
        match own {
            Some(OwnThreshold::Never) => None,
            Some(OwnThreshold::At(amount)) if amount.currency == self.currency => Some(amount),
            Some(OwnThreshold::At(_)) | None => of_plan(),
        }
    }

    /// The terms of a threshold invoice: usage, and what lowers it.
    #[must_use]
    pub fn usage_only(mut self) -> Self {
        (self.base_fee_micros, self.minimum_micros) = (0, 0);
        if let Some(commitment) = &mut self.commitment {
            commitment.micros = 0;
        }
        self
    }

    pub(crate) fn threshold_problem(&self) -> Option<Problem> {
        let micros = self.invoice_threshold_micros?;
        if self.collect == Collect::MeterEvents {
            let message = "Stripe rates the usage of this plan itself, and its own billing thresholds are not used: choose invoice_items \
                           for how invoices reach Stripe";
            return Some(Problem::new(FIELD, message));
        }
        problem(Money::new(self.currency, micros))
    }
}

/// As the form and the set-up file have it.
const FIELD: &str = "invoice_threshold";
/// Far beyond any bill.
const LARGEST_MICROS: i64 = 1_000_000_000_000_000;

fn problem(amount: Money) -> Option<Problem> {
    let fits = (1..=LARGEST_MICROS).contains(&amount.micros) && amount.minor_units().is_some();
    let message = "A threshold is more than zero and at most 1,000,000,000, in whole coins of the currency";
    (!fits).then(|| Problem::new(FIELD, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        money::Currency,
        rating::{LineKind, Used, rate},
    };

    fn terms(rest: &str) -> PlanTerms {
        serde_json::from_str(&format!(r#"{{"currency":"USD","products":[]{rest}}}"#)).expect("terms")
    }

    fn dollars(dollars: i64) -> Money {
        Money::new(Currency::Usd, dollars * 1_000_000)
    }

    #[test]
    fn a_partner_s_own_takes_the_place_of_the_plan_s_in_its_currency() {
        let plan = terms(r#","invoice_threshold_micros":100000000"#);
        let yen = Money::new(Currency::Jpy, 5_000_000_000);
        for (own, expected) in [
            (None, Some(dollars(100))),
            (Some(OwnThreshold::Never), None),
            (Some(OwnThreshold::At(dollars(7))), Some(dollars(7))),
            (Some(OwnThreshold::At(yen)), Some(dollars(100))),
        ] {
            assert_eq!(plan.invoice_threshold(own), expected, "{own:?}");
        }
        assert_eq!(terms("").invoice_threshold(None), None);
        assert_eq!(terms("").invoice_threshold(Some(OwnThreshold::At(dollars(7)))), Some(dollars(7)));
        let stripes = PlanTerms { collect: Collect::MeterEvents, ..terms("") };
        assert_eq!(stripes.invoice_threshold(Some(OwnThreshold::At(dollars(7)))), None, "Stripe rates it");
    }

    #[test]
    fn it_is_whole_coins_above_zero_on_a_plan_that_we_rate() {
        let problem = |micros: i64, collect: &str| {
            let rest = format!(r#","invoice_threshold_micros":{micros},"collect":"{collect}""#);
            let problems = terms(&rest).problems();
            problems.into_iter().find(|problem| problem.field == FIELD).map(|problem| problem.message)
        };
        assert_eq!(problem(10_000, "invoice_items"), None);
        for wrong in [0, -10_000, 10_001, LARGEST_MICROS + 10_000] {
            assert!(problem(wrong, "invoice_items").is_some_and(|text| text.contains("whole coins")), "{wrong}");
        }
        assert!(problem(10_000, "meter_events").is_some_and(|text| text.contains("choose invoice_items")));
        assert!(OwnThreshold::At(dollars(0)).problem().is_some() && OwnThreshold::Never.problem().is_none());
    }

    #[test]
    fn it_has_usage_and_what_lowers_it_and_nothing_that_is_known_at_the_end_alone() {
        let plan = terms(
            r#","base_fee_micros":50000000,"minimum_micros":500000000,"included_credit_micros":5000000,
            "price":{"model":"per_unit","included":0,"unit_price":"1"},
            "discounts":[{"name":"Launch","percent":"10"}],
            "commitment":{"micros":900000000,"discounts":[{"percent":"20"}]}"#,
        );
        let used = Used { product: "p".to_owned(), operation: "o".to_owned(), units: 100, prepaid: 0 };
        let rated = rate(&plan.usage_only(), &[used]).expect("rated");
        let kinds: Vec<_> = rated.charges.iter().map(|charge| charge.kind).collect();
        use LineKind::{CommittedUse, Discount, IncludedCredit, Usage};
        assert_eq!(kinds, [Usage, Discount, CommittedUse, IncludedCredit]);
        // 100.00 less 10.00, less a fifth of 90.00, less 5.00.
        assert_eq!(rated.total, dollars(67));
    }
}
