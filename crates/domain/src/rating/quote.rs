//! A quote: what a billing period would cost on a plan, with calls that somebody thinks of, by the engine that makes the invoice.
//!
//! Calls are told for a month. A plan with periods of another length is quoted for one of its own: three months of the calls for
//! a quarter, 7 of 30 days of them for a week, rounded up to whole units.

use super::{MeterUsed, PlanPeriod, Rated, Used, rate_all};
use crate::{
    money::{Money, MoneyError},
    period::Interval,
    plan::{Grant, PlanTerms},
    policy::Admission,
    quota::Beyond,
};

/// What is thought of, for a month.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    pub calls: Vec<Called>,
    pub metered: Vec<Measured>,
}

/// Calls of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// Product code.
    pub product: String,
    /// Operation code.
    pub operation: String,
    pub calls: u64,
    /// Units that each uses.
    pub weight: u32,
}

/// What a meter comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    pub used: MeterUsed,
    /// Whether twice the time is twice as much: it is not for the largest of many values.
    pub grows: bool,
}

/// The bill of one billing period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// Units of the period that are served.
    pub units: u64,
    pub rated: Rated,
    /// What each period costs once all that holds for some of them is over: discounts of the first ones, phases, promotions. `None` where
    /// that is the same.
    pub later: Option<Money>,
    /// Product and operation codes of calls that the plan does not open. They are not in the bill.
    pub closed: Vec<(String, String)>,
    /// Units beyond a quota that refuses them. They are not in the bill.
    pub refused: u64,
    /// Units that take prepaid credit, which is bought apart. They cost nothing on the bill.
    pub prepaid: u64,
}

/// What that period of the plan would cost.
pub fn quote(terms: &PlanTerms, period: PlanPeriod, asked: &Asked) -> Result<Quote, MoneyError> {
    let (mut used, mut closed) = (Vec::new(), Vec::new());
    for line in asked.calls.iter().filter(|line| line.calls > 0) {
        if !terms.opens(&line.product, &line.operation) {
            closed.push((line.product.clone(), line.operation.clone()));
            continue;
        }
        let units = u128::from(line.calls) * u128::from(line.weight);
        used.push(Used {
            product: line.product.clone(),
            operation: line.operation.clone(),
            units: of_a_period(units, terms.interval)?,
            prepaid: 0,
        });
    }
    let (refused, prepaid) = spend_quota(terms, &mut used);
    let scaled = |line: &Measured| {
        let of = |count: u64| if line.grows { of_a_period(count.into(), terms.interval) } else { Ok(count) };
        let calls = of_a_period(line.used.calls.into(), terms.interval)?;
        Ok(MeterUsed { quantity: of(line.used.quantity)?, calls, ..line.used.clone() })
    };
    let metered = asked.metered.iter().map(scaled).collect::<Result<Vec<_>, MoneyError>>()?;
    let rated = rate_all(&terms.in_force(period), &used, &metered)?;
    let later = rate_all(&terms.in_force(PlanPeriod::last()), &used, &metered)?.total;
    Ok(Quote {
        units: used.iter().fold(0, |sum, line| sum.saturating_add(line.units)),
        later: (later != rated.total).then_some(later),
        rated,
        closed,
        refused,
        prepaid,
    })
}

/// Takes off what the quota refuses, and marks what takes prepaid credit, in the order of the lines. Both in units.
fn spend_quota(terms: &PlanTerms, used: &mut [Used]) -> (u64, u64) {
    let takes_credit = terms.admission.credit.required;
    let mut left = match terms.quota {
        Some(quota) if takes_credit || quota.beyond == Beyond::Block => quota.units,
        None if takes_credit => 0,
        _ => return (0, 0),
    };
    let (mut refused, mut prepaid) = (0_u64, 0_u64);
    for line in used {
        let beyond = line.units - left.min(line.units);
        left -= left.min(line.units);
        if takes_credit {
            line.prepaid = beyond;
            prepaid = prepaid.saturating_add(beyond);
        } else {
            line.units -= beyond;
            refused = refused.saturating_add(beyond);
        }
    }
    (refused, prepaid)
}

/// A month's count in a period of that length.
fn of_a_period(month: u128, interval: Interval) -> Result<u64, MoneyError> {
    let (times, of) = match interval {
        Interval::Day => (1, 30),
        Interval::Week => (7, 30),
        Interval::Month => (1, 1),
        Interval::Quarter => (3, 1),
        Interval::HalfYear => (6, 1),
        Interval::Year => (12, 1),
    };
    let count = month.checked_mul(times).ok_or(MoneyError::TooLarge)?.div_ceil(of);
    u64::try_from(count).map_err(|_| MoneyError::TooLarge)
}

impl PlanTerms {
    /// Only what a [`Quote`] follows from, and of that only what `knows` says somebody may know of: a product with an operation, or
    /// with a meter.
    #[must_use]
    pub fn for_quotes(
        mut self,
        knows_operation: impl Fn(&str, &str) -> bool,
        knows_meter: impl Fn(&str, &str) -> bool,
    ) -> Self {
        for Grant { product, operations } in &mut self.products {
            if let Some(operations) = operations {
                operations.retain(|operation| knows_operation(product, operation));
            }
        }
        self.retain_cells(|cell| cell.operation.as_ref().is_none_or(|code| knows_operation(&cell.product, code)));
        self.meters.retain(|meter| knows_meter(&meter.product, &meter.meter));
        for instead in self.offers_mut() {
            instead.meters.retain(|meter| knows_meter(&meter.product, &meter.meter));
        }
        let credit = self.admission.credit;
        Self {
            limits: Vec::new(),
            features: Vec::new(),
            opens_features: Vec::new(),
            admission: Admission { credit, ..Admission::default() },
            changes: Default::default(),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> PlanTerms {
        serde_json::from_str(text).expect("terms")
    }

    /// The plan's period of that number, the first being 0, this year.
    fn nth(number: u64) -> PlanPeriod {
        PlanPeriod { number, ..PlanPeriod::first(jiff::civil::date(2027, 3, 1)) }
    }

    fn calls(lines: &[(&str, u64, u32)]) -> Asked {
        let line = |(operation, calls, weight): &(&str, u64, u32)| Called {
            product: "payments".to_owned(),
            operation: (*operation).to_owned(),
            calls: *calls,
            weight: *weight,
        };
        Asked { calls: lines.iter().map(line).collect(), metered: Vec::new() }
    }

    const PRO: &str = r#"{"currency":"USD","products":[{"product":"payments"}],"base_fee_micros":99000000,
        "price":{"model":"per_unit","included":50000,"unit_price":"0.005"}}"#;

    #[test]
    fn a_quote_is_the_bill_of_the_same_units() {
        let quoted = quote(&terms(PRO), nth(0), &calls(&[("pay", 73_211, 1)])).expect("a quote");
        assert_eq!(quoted.rated.total.to_string(), "$215.06");
        let heavy = quote(&terms(PRO), nth(0), &calls(&[("search", 10_000, 5), ("pay", 23_211, 1)])).expect("a quote");
        assert_eq!((heavy.units, heavy.rated.total), (73_211, quoted.rated.total));
    }

    #[test]
    fn a_period_of_another_length_has_its_share_of_the_calls() {
        let of = |interval: &str, month: u64| {
            let text = PRO.replacen('{', &format!(r#"{{"interval":"{interval}","#), 1);
            quote(&terms(&text), nth(0), &calls(&[("pay", month, 1)])).expect("a quote").units
        };
        let lengths = ["day", "week", "month", "quarter", "half_year", "year"];
        assert_eq!(lengths.map(|length| of(length, 100)), [4, 24, 100, 300, 600, 1_200]);
    }

    #[test]
    fn what_the_plan_does_not_serve_is_not_billed() {
        let limited = terms(
            r#"{"currency":"USD","products":[{"product":"payments","operations":["pay"]}],
                "quota":{"units":1000,"beyond":"block"},"price":{"model":"per_unit","unit_price":"0.01"}}"#,
        );
        let quoted = quote(&limited, nth(0), &calls(&[("pay", 1_500, 1), ("search", 9, 1)])).expect("a quote");
        assert_eq!((quoted.units, quoted.refused, quoted.rated.total.micros), (1_000, 500, 10_000_000));
        assert_eq!(quoted.closed, [("payments".to_owned(), "search".to_owned())]);
    }

    #[test]
    fn beyond_the_quota_prepaid_credit_pays() {
        let mut prepaid = terms(PRO);
        prepaid.admission.credit.required = true;
        let quoted = quote(&prepaid, nth(0), &calls(&[("pay", 60_000, 1)])).expect("a quote");
        assert_eq!((quoted.prepaid, quoted.rated.total.to_string().as_str()), (60_000, "$99.00"));
        prepaid.quota = Some(crate::quota::Quota { units: 51_000, beyond: Beyond::Block });
        let quoted = quote(&prepaid, nth(0), &calls(&[("pay", 60_000, 1)])).expect("a quote");
        assert_eq!((quoted.units, quoted.prepaid, quoted.refused), (60_000, 9_000, 0));
        assert_eq!(quoted.rated.total.to_string(), "$104.00");
    }

    #[test]
    fn a_promotion_of_the_first_periods_is_told_apart_from_what_follows() {
        let promoted = terms(
            r#"{"currency":"USD","products":[{"product":"payments"}],"base_fee_micros":100000000,
                "discounts":[{"name":"Launch","percent":"50","periods":3}]}"#,
        );
        let of = |number| {
            let quoted = quote(&promoted, nth(number), &Asked::default()).expect("a quote");
            (quoted.rated.total.to_string(), quoted.later.map(|later| later.to_string()))
        };
        assert_eq!(of(0), ("$50.00".to_owned(), Some("$100.00".to_owned())));
        assert_eq!(of(3), ("$100.00".to_owned(), None));
    }

    #[test]
    fn a_meter_grows_with_the_period_where_its_kind_does() {
        let yearly = terms(
            r#"{"currency":"USD","interval":"year","products":[{"product":"payments"}],"meters":[
                {"product":"payments","meter":"tokens","price":{"model":"per_unit","unit_price":"0.01"}},
                {"product":"payments","meter":"peak","price":{"model":"per_unit","unit_price":"1"}}]}"#,
        );
        let metered = |meter: &str, quantity, grows| Measured {
            used: MeterUsed { product: "payments".to_owned(), meter: meter.to_owned(), quantity, calls: 0 },
            grows,
        };
        let asked = Asked { calls: Vec::new(), metered: vec![metered("tokens", 100, true), metered("peak", 7, false)] };
        assert_eq!(quote(&yearly, nth(0), &asked).expect("a quote").rated.total.to_string(), "$19.00");
    }

    #[test]
    fn more_than_an_invoice_holds_is_said_so() {
        let yearly = PRO.replacen('{', r#"{"interval":"year","#, 1);
        assert_eq!(quote(&terms(&yearly), nth(0), &calls(&[("pay", u64::MAX, 9)])), Err(MoneyError::TooLarge));
    }

    #[test]
    fn what_leaves_the_server_names_nothing_that_is_hidden() {
        let whole = terms(
            r#"{"currency":"USD","products":[{"product":"payments","operations":["pay","vault"]}],"features":["Talk"],
                "limits":[{"calls":5,"window":"minute"}],
                "price":{"model":"matrix","cells":[{"product":"payments","operation":"vault","unit_price":"1"},
                    {"product":"payments","operation":"pay","unit_price":"2"}],"otherwise":"3"},
                "meters":[{"product":"payments","meter":"hush","price":{"model":"free"}}]}"#,
        );
        let shown = whole.for_quotes(|_, operation| operation == "pay", |_, _| false);
        let text = serde_json::to_string(&shown).expect("a text");
        assert!(!["vault", "hush", "Talk", "minute"].iter().any(|word| text.contains(word)), "{text}");
        let asked = calls(&[("pay", 2, 1)]);
        assert_eq!(quote(&shown, nth(0), &asked).expect("a quote").rated.total.to_string(), "$4.00");
    }
}
