//! Coupons: what one partner has off its bills, a percentage or an amount for each billing period, for some periods or for good.
//!
//! They come last: off what all other steps leave of the plan's own lines, base fee and usage alike, so a coupon lowers what is paid for a
//! minimum and a commitment, and neither how far usage is from them nor what included credit pays. Several are taken one after the other, in
//! the order in which they were redeemed, each off what the one before left and each rounded by itself. No bill falls below zero.
//!
//! A percentage is taken off each bill of the period: of its end, of a fee in advance, of a part before or after a change of plan. An amount
//! is for the whole period: the bills of one period have it once together, and what they leave of it is gone with the period.
//!
//! Which periods: the first is the one that holds the instant from which on the coupon counts, whether or not there is something to take
//! off. Those do not count in which there was no bill that it could lower: in a trial, under a plan that it is not for, in another
//! currency or where Stripe rates, and without a plan.
//!
//! 100.00, with 25 % and then 20.00 off: 25.00 and 20.00, 55.00 are left. With 20.00 first: 20.00 and 20.00, 60.00 are left.

use super::{Charge, LineKind, Rated, percentage, trial};
use crate::{
    money::{Currency, Money, MoneyError},
    period::{Cycle, Period, PeriodError},
    plan::{Collect, PlanTerms, Problem},
    product::is_code,
};
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Coupons that one partner has at a time.
pub const MOST_AT_ONCE: usize = 10;
const MOST_PLANS: usize = 100;
const MOST_PERIODS: u32 = 1_200;
const MOST_REDEMPTIONS: u32 = 1_000_000_000;
/// 10,000,000 of any currency.
const LARGEST_MICROS: i64 = 10_000_000_000_000;

/// A coupon as the set-up file has it, and the table. It has a percentage, or an amount and its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coupon {
    /// For people, and for the invoice.
    pub name: String,
    /// Of a hundred, off each bill of the period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<Decimal>,
    /// Off the period, in the currency's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// For so many billing periods; for good where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub periods: Option<u32>,
    /// Nobody redeems it from then on; what was redeemed goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redeem_until: Option<Timestamp>,
    /// So many partners may redeem it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_redemptions: Option<u32>,
    /// Codes of the plans whose bills it lowers, and with each the terms of a partner's own that come from it; all where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<String>,
    /// Nobody redeems it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
}

/// A coupon that a partner redeemed, as one bill sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    pub code: String,
    /// As it was when it was redeemed.
    pub coupon: Coupon,
    /// When it counts: since it was redeemed, the stretches of time in which the partner had a plan whose bills it lowers; in their order,
    /// disjoint. Without one it does not count.
    pub stretches: Vec<Period>,
    /// What bills of the same period took of its amount and did not give back with a fee, in micro-units.
    pub taken_micros: i64,
    /// In how many other periods it is on a bill.
    pub other_periods: u32,
}

/// A bill: what of which period, under which terms.
#[derive(Debug, Clone, Copy)]
pub struct Billed<'a> {
    pub terms: &'a PlanTerms,
    pub cycle: &'a Cycle,
    pub trial_until: Option<Timestamp>,
    pub part: Period,
    pub whole: Period,
}

/// What one coupon takes off a bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Off {
    pub code: String,
    pub name: String,
    pub what: OffWhat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffWhat {
    /// Of a hundred.
    Percent(Decimal),
    /// Of a period's amount, what is left for this bill.
    Amount { left: Money, whole: Money },
}

impl Redeemed {
    /// What it takes off that bill; `None` where it does not count for it. That the coupon is for the bill's plan is known before.
    ///
    /// # Errors
    /// The period is beyond the calendar.
    pub fn off(&self, bill: Billed<'_>) -> Result<Option<Off>, PeriodError> {
        let Billed { terms, cycle, trial_until, part, whole } = bill;
        if self.stretches.first().is_none_or(|first| part.end <= first.start) || trial::is_in(trial_until, whole) {
            return Ok(None);
        }
        Ok(self.off_in(periods_before(&self.stretches, cycle, whole.start)?, terms))
    }

    /// What it takes off in its period of that number, the first being 0, under these terms.
    fn off_in(&self, number: u64, terms: &PlanTerms) -> Option<Off> {
        let is_elsewhere = terms.collect == Collect::MeterEvents
            || self.coupon.currency.is_some_and(|currency| currency != terms.currency);
        let is_over = self.coupon.periods.is_some_and(|most| number >= most.into() || self.other_periods >= most);
        if is_elsewhere || is_over {
            return None;
        }
        let amount = self.coupon.amount().map(|whole| {
            let left = Money { micros: whole.micros.saturating_sub(self.taken_micros).max(0), ..whole };
            OffWhat::Amount { left, whole }
        });
        let what = amount.or(self.coupon.percent.map(OffWhat::Percent));
        what.map(|what| Off { code: self.code.clone(), name: self.coupon.name.clone(), what })
    }
}

impl Off {
    /// What it takes off that much; never more than there is.
    fn of(&self, left: Money) -> Result<Money, MoneyError> {
        match self.what {
            OffWhat::Percent(percent) => {
                Money::from_decimal_rounded(left.currency, percentage::part(left.to_decimal(), percent)?)
            }
            OffWhat::Amount { left: own, .. } => Ok(Money { micros: own.micros.min(left.micros), ..left }),
        }
    }

    fn label(&self) -> String {
        match self.what {
            OffWhat::Percent(percent) => format!("Coupon {}, {} % off", self.name.trim(), percent.normalize()),
            OffWhat::Amount { whole, .. } => format!("Coupon {}, {whole} off the period", self.name.trim()),
        }
    }
}

/// Takes the coupons off, a line for each that takes something; gives what each took, in their order.
///
/// # Errors
/// An amount is too large.
pub fn take_off(rated: &mut Rated, coupons: &[Off]) -> Result<Vec<Money>, MoneyError> {
    let mut taken = Vec::with_capacity(coupons.len());
    for coupon in coupons {
        let nothing = Money::zero(rated.total.currency);
        let off = if rated.total.micros > 0 { coupon.of(rated.total)? } else { nothing };
        taken.push(off);
        if off.micros == 0 {
            continue;
        }
        let back = Money { micros: -off.micros, ..off };
        rated.total = rated.total.checked_add(back)?;
        rated.charges.push(Charge { label: Some(coupon.label()), ..Charge::new(LineKind::Discount, back) });
    }
    Ok(taken)
}

impl Coupon {
    /// What it takes off a period, where it is no percentage.
    pub fn amount(&self) -> Option<Money> {
        let (amount, currency) = self.amount.zip(self.currency)?;
        Money::from_decimal_exact(currency, amount).ok()
    }

    /// `25 % off each bill, for 3 billing periods`.
    pub fn words(&self) -> String {
        let off = match (self.amount(), self.percent) {
            (Some(amount), _) => format!("{amount} off each billing period"),
            (None, Some(percent)) => format!("{} % off each bill", percent.normalize()),
            (None, None) => String::new(),
        };
        match self.periods {
            None => format!("{off}, for good"),
            Some(1) => format!("{off}, for one billing period"),
            Some(periods) => format!("{off}, for {periods} billing periods"),
        }
    }

    /// All that is wrong with it.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |field: &str, message: &str| problems.push(Problem::new(field, message));
        if !(1..=100).contains(&self.name.trim().chars().count()) {
            add("name", "Give it a name of 1 to 100 characters");
        }
        match (self.percent, self.amount) {
            (Some(percent), None) => {
                if percent.is_zero() {
                    add("percent", "Take more than 0 % off");
                } else if let Some(message) = percentage::percent_problem(percent) {
                    add("percent", message);
                }
                if self.currency.is_some() {
                    add("currency", "Only an amount has a currency");
                }
            }
            (None, Some(_)) if self.currency.is_none() => add("currency", "Say in which currency the amount is"),
            (None, Some(_)) => {
                let fits = |money: Money| money.minor_units().is_some() && (1..=LARGEST_MICROS).contains(&money.micros);
                if !self.amount().is_some_and(fits) {
                    add(
                        "amount",
                        "The amount is more than zero, in whole coins of the currency, and at most 10,000,000",
                    );
                }
            }
            (Some(_), Some(_)) => add("amount", "Give a percentage or an amount, not both"),
            (None, None) => add("percent", "Give a percentage or an amount"),
        }
        if self.periods.is_some_and(|periods| !(1..=MOST_PERIODS).contains(&periods)) {
            add("periods", "It counts for 1 to 1,200 billing periods; leave it out for good");
        }
        if self.max_redemptions.is_some_and(|most| !(1..=MOST_REDEMPTIONS).contains(&most)) {
            add("max_redemptions", "At least one partner may redeem it; leave it out for any number");
        }
        if self.plans.len() > MOST_PLANS || !self.plans.iter().all(|code| is_code(code)) {
            add("plans", "Name at most 100 plans by their codes");
        }
        problems
    }
}

/// How many periods of the cycle that begin before that instant are touched by the stretches, which are in their order and disjoint.
///
/// # Errors
/// A period is beyond the calendar.
pub fn periods_before(stretches: &[Period], cycle: &Cycle, before: Timestamp) -> Result<u64, PeriodError> {
    let (mut count, mut counted_until) = (0_u64, Timestamp::MIN);
    for stretch in stretches {
        let (start, end) = (stretch.start.max(counted_until), stretch.end.min(before));
        if start >= end {
            continue;
        }
        let last = end.checked_sub(SignedDuration::from_micros(1)).map_err(|_| PeriodError::OutOfRange)?;
        count = count.saturating_add(cycle.periods_between(start, last)?).saturating_add(1);
        counted_until = cycle.period_at(last)?.end;
    }
    Ok(count)
}

/// A code as it is kept, of one that somebody typed.
pub fn typed_code(typed: &str) -> String {
    typed.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{period::Interval, rating::rate};

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    fn coupon(text: &str) -> Coupon {
        serde_json::from_str(text).expect("a coupon")
    }

    fn redeemed(text: &str, from: &str) -> Redeemed {
        let stretches = vec![Period { start: at(from), end: Timestamp::MAX }];
        Redeemed { code: "spring".to_owned(), coupon: coupon(text), stretches, taken_micros: 0, other_periods: 0 }
    }

    fn monthly() -> Cycle {
        Cycle { anchor: at("2026-01-01T00:00:00Z"), interval: Interval::Month, time_zone: "UTC".to_owned() }
    }

    fn terms(text: &str) -> PlanTerms {
        serde_json::from_str(text).expect("terms")
    }

    const FEE: &str = r#"{"currency":"USD","products":[],"base_fee_micros":100000000}"#;

    /// What is left of the fee in the period that holds the instant, with these coupons.
    fn left(coupons: &[Redeemed], when: &str) -> (String, Vec<String>) {
        let (plan, cycle) = (terms(FEE), monthly());
        let whole = cycle.period_at(at(when)).expect("a period");
        let bill = Billed { terms: &plan, cycle: &cycle, trial_until: None, part: whole, whole };
        let off: Vec<Off> = coupons.iter().filter_map(|one| one.off(bill).expect("in the calendar")).collect();
        let mut rated = rate(&plan, &[]).expect("a bill");
        take_off(&mut rated, &off).expect("fits");
        let lines = rated.charges[1..].iter().map(|line| line.amount.to_string()).collect();
        (rated.total.to_string(), lines)
    }

    const QUARTER: &str = r#"{"name":"Spring","percent":"25","periods":2}"#;
    const TWENTY: &str = r#"{"name":"Sorry","amount":"20","currency":"USD"}"#;

    #[test]
    fn one_after_the_other_as_they_were_redeemed_and_never_below_zero() {
        let (share, amount) = (redeemed(QUARTER, "2026-01-05T00:00:00Z"), redeemed(TWENTY, "2026-01-05T00:00:00Z"));
        let when = "2026-01-09T00:00:00Z";
        let told = |total: &str, lines: [&str; 2]| (total.to_owned(), lines.map(str::to_owned).to_vec());
        assert_eq!(left(&[share.clone(), amount.clone()], when), told("$55.00", ["−$25.00", "−$20.00"]));
        assert_eq!(left(&[amount, share], when), told("$60.00", ["−$20.00", "−$20.00"]));
        let huge = redeemed(r#"{"name":"All","amount":"5000","currency":"USD"}"#, "2026-01-05T00:00:00Z");
        assert_eq!(left(&[huge.clone(), huge], when), ("$0.00".to_owned(), vec!["−$100.00".to_owned()]));
    }

    #[test]
    fn it_counts_from_the_period_of_its_instant_on_for_so_many() {
        let own = [redeemed(QUARTER, "2026-02-28T23:59:59Z")];
        let months = ["2026-01-10", "2026-02-10", "2026-03-10", "2026-04-10"];
        let totals = months.map(|day| left(&own, &format!("{day}T00:00:00Z")).0);
        assert_eq!(totals, ["$100.00", "$75.00", "$75.00", "$100.00"]);
        let used_up = [Redeemed { other_periods: 2, ..own[0].clone() }];
        assert_eq!(left(&used_up, "2026-02-10T00:00:00Z").0, "$100.00", "however periods were cut");
        let once = [redeemed(r#"{"name":"A","percent":"100","periods":1}"#, "2026-02-01T00:00:00Z")];
        assert_eq!(months.map(|day| left(&once, &format!("{day}T00:00:00Z")).0)[..3], ["$100.00", "$0.00", "$100.00"]);
    }

    #[test]
    fn periods_in_which_no_bill_could_have_it_are_not_among_them() {
        let stretch = |start: &str, end: &str| Period { start: at(start), end: at(end) };
        let stretches = [
            stretch("2026-01-20T00:00:00Z", "2026-02-10T00:00:00Z"),
            // In the same period as the end of the one before.
            stretch("2026-02-20T00:00:00Z", "2026-02-21T00:00:00Z"),
            stretch("2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z"),
        ];
        let before = |when: &str| periods_before(&stretches, &monthly(), at(when)).expect("in the calendar");
        let counted = ["2026-01-01", "2026-02-01", "2026-03-01", "2026-05-01", "2026-06-01", "2026-09-01"];
        assert_eq!(counted.map(|day| before(&format!("{day}T00:00:00Z"))), [0, 1, 2, 2, 3, 4]);
        let twice = [Redeemed { stretches: stretches.to_vec(), ..redeemed(QUARTER, "2026-01-20T00:00:00Z") }];
        assert_eq!(left(&twice, "2026-02-25T00:00:00Z").0, "$75.00");
        assert_eq!(left(&twice, "2026-05-09T00:00:00Z").0, "$100.00", "January and February were two");
        let once = [Redeemed { stretches: stretches[2..].to_vec(), ..redeemed(QUARTER, "2026-01-20T00:00:00Z") }];
        assert_eq!(left(&once, "2026-06-09T00:00:00Z").0, "$75.00");
        let never = [Redeemed { stretches: Vec::new(), ..redeemed(QUARTER, "2026-01-20T00:00:00Z") }];
        assert_eq!(left(&never, "2026-06-09T00:00:00Z").0, "$100.00");
    }

    #[test]
    fn an_amount_is_there_once_for_the_bills_of_a_period() {
        let of = |taken_micros| Redeemed { taken_micros, ..redeemed(TWENTY, "2026-01-05T00:00:00Z") };
        let totals = [0, 15_000_000, 20_000_000].map(|taken| left(&[of(taken)], "2026-01-09T00:00:00Z").0);
        assert_eq!(totals, ["$80.00", "$95.00", "$100.00"]);
    }

    #[test]
    fn trials_other_currencies_and_bills_of_stripe_have_none() {
        let cycle = monthly();
        let whole = cycle.period_at(at("2026-01-09T00:00:00Z")).expect("a period");
        let off = |coupon: &str, plan: &str, trial_until| {
            let plan = terms(plan);
            let bill = Billed { terms: &plan, cycle: &cycle, trial_until, part: whole, whole };
            redeemed(coupon, "2026-01-05T00:00:00Z").off(bill).expect("in the calendar").is_some()
        };
        assert!(off(TWENTY, FEE, None) && off(QUARTER, FEE, None));
        assert!(!off(QUARTER, FEE, Some(whole.end)));
        let euros = FEE.replace("USD", "EUR");
        assert!(!off(TWENTY, &euros, None) && off(QUARTER, &euros, None));
        assert!(!off(QUARTER, &FEE.replacen('{', r#"{"collect":"meter_events","#, 1), None));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_field() {
        let field = |text: &str| coupon(text).problems().into_iter().map(|one| one.field).collect::<Vec<_>>();
        assert!(field(QUARTER).is_empty() && field(TWENTY).is_empty());
        for (wrong, named) in [
            (r#"{"name":"","percent":"5"}"#, "name"),
            (r#"{"name":"A"}"#, "percent"),
            (r#"{"name":"A","percent":"0"}"#, "percent"),
            (r#"{"name":"A","percent":"100.1"}"#, "percent"),
            (r#"{"name":"A","percent":"5","currency":"USD"}"#, "currency"),
            (r#"{"name":"A","percent":"5","amount":"5","currency":"USD"}"#, "amount"),
            (r#"{"name":"A","amount":"5"}"#, "currency"),
            (r#"{"name":"A","amount":"0.005","currency":"USD"}"#, "amount"),
            (r#"{"name":"A","amount":"0","currency":"USD"}"#, "amount"),
            (r#"{"name":"A","percent":"5","periods":0}"#, "periods"),
            (r#"{"name":"A","percent":"5","max_redemptions":0}"#, "max_redemptions"),
            (r#"{"name":"A","percent":"5","plans":["No Code"]}"#, "plans"),
        ] {
            assert_eq!(field(wrong), [named], "{wrong}");
        }
    }
}
