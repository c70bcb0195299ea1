//! Rates plans for a judge (`end2end/rating-oracle`): a case is a line of JSON, an empty line asks for the answers so far.
//!
//! A case has a plan as the set-up file has it, the period's number since the plan began, whether it is in the plan's trial, the part of the period that is billed and
//! the whole period (seconds since 1970), what was used, and the coupons that the partner redeemed. An answer has the lines and their sum, or says that the plan is refused
//! or that the amount is too large.

use domain::{
    money::{Money, MoneyError},
    period::Period,
    rating::{
        self, FeeDue, MeterUsed, Rated, Used, advance,
        coupon::{self, Coupon, Off, Redeemed},
        proration,
    },
    setup::PlanSetup,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead as _, Write as _};

#[derive(Deserialize)]
struct Case {
    plan: Value,
    number: u64,
    /// Whether the period is one of the plan's trial.
    #[serde(default)]
    in_trial: bool,
    part: [i64; 2],
    whole: [i64; 2],
    used: Vec<Used>,
    metered: Vec<MeterUsed>,
    /// What a partner redeemed, in that order.
    #[serde(default)]
    coupons: Vec<CouponCase>,
}

#[derive(Deserialize)]
struct CouponCase {
    coupon: Coupon,
    /// Of the period, since the coupon counts.
    number: u64,
    /// What other bills of the period took of it, in micro-units.
    taken: i64,
    /// In how many other periods it is on a bill.
    others: u32,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    let mut answers = String::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.is_empty() {
            out.write_all(answers.as_bytes())?;
            out.flush()?;
            answers.clear();
            continue;
        }
        answers.push_str(&answer(serde_json::from_str(&line)?)?.to_string());
        answers.push('\n');
    }
    Ok(())
}

fn answer(case: Case) -> Result<Value, Box<dyn std::error::Error>> {
    let plan: PlanSetup = match serde_json::from_value(case.plan) {
        Ok(plan) => plan,
        Err(error) => return Ok(json!({ "refused": [error.to_string()] })),
    };
    let terms = match plan.terms() {
        Ok(terms) => terms,
        Err(problems) => return Ok(json!({ "refused": problems })),
    };
    let mut problems = terms.problems();
    problems.extend(case.coupons.iter().flat_map(|one| one.coupon.problems()));
    if !problems.is_empty() {
        return Ok(json!({ "refused": problems }));
    }
    let period = |[start, end]: [i64; 2]| {
        Ok::<_, jiff::Error>(Period { start: Timestamp::from_second(start)?, end: Timestamp::from_second(end)? })
    };
    let (part, whole) = (period(case.part)?, period(case.whole)?);
    let trial_until = case.in_trial.then_some(whole.end);
    let in_force = terms.in_force(case.number, trial_until, whole);
    let off = |one: &CouponCase| {
        let redeemed = Redeemed {
            code: String::new(),
            coupon: one.coupon.clone(),
            stretches: vec![whole],
            taken_micros: one.taken,
            other_periods: one.others,
        };
        redeemed.off_in(one.number, &terms)
    };
    let coupons: Vec<Off> = case.coupons.iter().filter(|_| !case.in_trial).filter_map(off).collect();
    let rated = proration::for_part(&in_force.in_arrears(), part, whole).and_then(|terms| {
        let mut rated = rating::rate_all(&terms, &case.used, &case.metered)?;
        coupon::take_off(&mut rated, &coupons)?;
        Ok(rated)
    });
    // A fee in advance is for the whole period, and given back for what is not in the part.
    let ahead = || match terms.fee_due {
        FeeDue::Arrears => Ok(None),
        FeeDue::Advance => {
            let mut bill = advance::fee(&terms, case.number, trial_until, whole, whole)?;
            let paid = bill.total;
            let off = coupon::take_off(&mut bill, &coupons)?;
            let off = off.into_iter().try_fold(Money::zero(paid.currency), Money::checked_add)?;
            let ran = Period { start: whole.start, end: part.end.clamp(whole.start, whole.end) };
            let back = advance::unused(&terms, case.number, trial_until, paid, ran, whole)?;
            let back = advance::less_coupons(back, paid, off)?;
            Ok::<_, MoneyError>(Some([bill.total.micros, back.micros]))
        }
    };
    Ok(match rated.and_then(|rated| Ok((rated, ahead()?))) {
        Ok((rated, ahead)) => written(&rated, ahead),
        Err(error) => json!({ "error": error.to_string() }),
    })
}

fn written(rated: &Rated, ahead: Option<[i64; 2]>) -> Value {
    let line = |charge: &rating::Charge| {
        json!([
            charge.kind.code(),
            charge.product,
            charge.operation,
            charge.meter,
            charge.quantity,
            charge.free,
            charge.amount.micros
        ])
    };
    let mut answer =
        json!({ "lines": rated.charges.iter().map(line).collect::<Vec<_>>(), "total": rated.total.micros });
    if let Some([paid, back]) = ahead {
        answer["ahead"] = json!([paid, back]);
    }
    answer
}
