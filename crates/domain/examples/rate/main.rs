//! Rates plans for a judge (`end2end/rating-oracle`): a case is a line of JSON, an empty line asks for the answers so far.
//!
//! A case has a plan as the set-up file has it and one billing period of it, as [`Case`] says; its answer has all bills of that, or says
//! that the plan is refused or that an amount is too large.

mod period;

use domain::{
    money::MoneyError,
    period::Interval,
    rating::{MeterUsed, Used, coupon::Coupon},
    setup::PlanSetup,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead as _, Write as _};

/// Instants are seconds since 1970.
#[derive(Deserialize)]
struct Case {
    plan: Value,
    /// Of the period, since the plan began.
    number: u64,
    /// Whether the period is one of the plan's trial.
    in_trial: bool,
    /// Since when the partner has the plan.
    since: i64,
    /// What of the whole period is billed.
    part: [i64; 2],
    /// Missing where it is to be found.
    whole: Option<[i64; 2]>,
    /// When a plan with calendar periods begins that has the part.
    calendar: Option<i64>,
    used: Vec<Used>,
    metered: Vec<MeterUsed>,
    /// How periods are cut; one begins with the whole one.
    cycle: CycleCase,
    /// What a partner redeemed, in that order.
    coupons: Vec<CouponCase>,
    /// When it is looked whether usage comes to the plan's threshold.
    looks: Vec<Look>,
    /// What comes late, bill by bill.
    late: Vec<Late>,
}

#[derive(Deserialize)]
struct CycleCase {
    interval: Interval,
    zone: String,
}

#[derive(Deserialize)]
struct CouponCase {
    coupon: Coupon,
    /// When it counts.
    stretches: Vec<(i64, Option<i64>)>,
    /// What other bills of the period took of it, in micro-units.
    taken: i64,
    /// In how many other periods it is on a bill.
    others: u32,
}

/// What is known by then.
#[derive(Deserialize)]
struct Look {
    used: Vec<Used>,
    metered: Vec<MeterUsed>,
    /// Whether the invoice that is made, if one is, becomes void, and how much of it is credited before, of a hundred.
    void: bool,
    credited: i64,
}

#[derive(Deserialize)]
struct Late {
    moved: Vec<Moved>,
    /// What other bills of the period took of each coupon since the last, in micro-units.
    meanwhile: Vec<i64>,
}

#[derive(Deserialize)]
struct Moved {
    product: String,
    operation: String,
    units: i64,
    prepaid: i64,
}

type Problem = Box<dyn std::error::Error>;

fn main() -> Result<(), Problem> {
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
        answers.push_str(&answer(&serde_json::from_str(&line)?)?.to_string());
        answers.push('\n');
    }
    Ok(())
}

fn answer(case: &Case) -> Result<Value, Problem> {
    let plan: PlanSetup = match serde_json::from_value(case.plan.clone()) {
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
    match period::bills(case, terms) {
        Err(error) if error.is::<MoneyError>() => Ok(json!({ "error": error.to_string() })),
        other => other,
    }
}
