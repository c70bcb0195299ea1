//! All bills of one billing period, made of what the crates that keep them call: a fee in advance, threshold invoices, the bill at the end,
//! and what comes late for it.

use crate::{Case, Late, Problem};
use domain::{
    money::Money,
    period::{Cycle, Period},
    plan::PlanTerms,
    rating::{
        self, FeeDue, MeterUsed, PlanPeriod, Rated, Used, advance,
        coupon::{self, Billed, Off, Redeemed},
        late::{Shift, shifted},
        proration, threshold,
    },
};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A period that is being billed.
struct Bills<'a> {
    case: &'a Case,
    terms: PlanTerms,
    cycle: Cycle,
    trial_until: Option<Timestamp>,
    plan_period: PlanPeriod,
    part: Period,
    whole: Period,
    redeemed: Vec<Redeemed>,
}

/// Threshold invoices.
struct Cuts {
    /// Their totals.
    made: Vec<Money>,
    /// What the invoices after them take off, and whether that is anything.
    taken_off: Money,
    is_any: bool,
}

/// A bill, with what there was of coupons and what they took.
struct Bill {
    rated: Rated,
    off: Vec<Off>,
    taken: Vec<Money>,
}

pub fn bills(case: &Case, terms: PlanTerms) -> Result<Value, Problem> {
    let (cycle, whole, part) = periods(case, &terms)?;
    let trial_until = case.in_trial.then_some(whole.end);
    let mut redeemed = Vec::new();
    for (index, one) in case.coupons.iter().enumerate() {
        let stretch = |&(start, end): &(i64, Option<i64>)| {
            let end = end.map_or(Ok(Timestamp::MAX), Timestamp::from_second)?;
            Ok::<_, jiff::Error>(Period { start: Timestamp::from_second(start)?, end })
        };
        redeemed.push(Redeemed {
            code: index.to_string(),
            coupon: one.coupon.clone(),
            stretches: one.stretches.iter().map(stretch).collect::<Result<_, _>>()?,
            taken_micros: one.taken,
            other_periods: one.others,
        });
    }
    let since = Timestamp::from_second(case.since)?;
    let plan_period = PlanPeriod { number: case.number, ..PlanPeriod::of(&cycle, since, trial_until, whole)? };
    Bills { case, terms, cycle, trial_until, plan_period, part, whole, redeemed }.all()
}

/// How periods are cut, the whole one, and what of it is billed.
fn periods(case: &Case, terms: &PlanTerms) -> Result<(Cycle, Period, Period), Problem> {
    let part = period(case.part)?;
    if let Some(begin) = case.calendar {
        let begin = Timestamp::from_second(begin)?;
        let begun = PlanTerms { interval: case.cycle.interval, ..terms.clone() };
        let cycle = begun.cycle_from(begin, &case.cycle.zone)?;
        let whole = cycle.period_at(begin)?;
        return Ok((cycle, whole, Period { start: begin, end: part.end.min(whole.end) }));
    }
    let whole = period(case.whole.ok_or("neither a period nor when it is")?)?;
    let cycle = Cycle { anchor: whole.start, interval: case.cycle.interval, time_zone: case.cycle.zone.clone() };
    Ok((cycle, whole, part))
}

fn period([start, end]: [i64; 2]) -> Result<Period, jiff::Error> {
    Ok(Period { start: Timestamp::from_second(start)?, end: Timestamp::from_second(end)? })
}

fn minus(money: Money) -> Money {
    Money { micros: -money.micros, ..money }
}

impl Bills<'_> {
    fn all(mut self) -> Result<Value, Problem> {
        let mut answer = json!({});
        let mut again = Vec::new();
        if self.terms.fee_due == FeeDue::Advance {
            (answer["ahead"], again) = self.ahead()?;
        }
        let cuts = self.cuts()?;
        for (code, money) in again {
            self.took(&code, minus(money));
        }
        let in_force = self.terms.in_force(self.plan_period).in_arrears();
        let off = self.off(self.part)?;
        let closing = self.bill(&in_force, self.part, (&self.case.used, &self.case.metered), off)?;
        answer["lines"] = closing.rated.charges.iter().map(line).collect();
        answer["total"] = closing.rated.total.micros.into();
        let mut has_bill = !closing.rated.charges.is_empty();
        if let Some(Cuts { made, taken_off, is_any }) = cuts {
            answer["cuts"] = made.iter().map(|money| money.micros).collect();
            answer["rest"] = closing.rated.total.checked_add(minus(taken_off))?.micros.into();
            has_bill |= is_any;
        }
        if !self.case.late.is_empty() {
            answer["late"] = self.late(&in_force, closing, has_bill)?;
        }
        Ok(answer)
    }

    /// What there is of coupons for a bill of that part.
    fn off(&self, part: Period) -> Result<Vec<Off>, Problem> {
        let off = self.redeemed.iter().map(|one| one.off(self.billed(part)));
        Ok(off.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    fn billed(&self, part: Period) -> Billed<'_> {
        let Self { terms, cycle, trial_until, whole, .. } = self;
        Billed { terms, cycle, trial_until: *trial_until, part, whole: *whole }
    }

    fn took(&mut self, code: &str, money: Money) {
        for one in self.redeemed.iter_mut().filter(|one| one.code == code) {
            one.taken_micros += money.micros;
        }
    }

    fn bill(
        &self,
        in_force: &PlanTerms,
        part: Period,
        (used, metered): (&[Used], &[MeterUsed]),
        off: Vec<Off>,
    ) -> Result<Bill, Problem> {
        let terms = proration::for_part(in_force, part, self.whole)?;
        let mut rated = rating::rate_all(&terms, used, metered)?;
        let taken = coupon::take_off(&mut rated, &off)?;
        Ok(Bill { rated, off, taken })
    }

    /// The fee when the period begins, what is given back of it where the plan ends with the part, and what coupons have again.
    fn ahead(&mut self) -> Result<(Value, Vec<(String, Money)>), Problem> {
        let (plan_period, whole) = (self.plan_period, self.whole);
        // Of a calendar's first period there is the part.
        let start = if self.case.calendar.is_some() { self.part.start } else { whole.start };
        let due = Period { start, ..whole };
        let mut fee = advance::fee(&self.terms, plan_period, due, whole)?;
        let paid = fee.total;
        let off = self.off(due)?;
        let taken = coupon::take_off(&mut fee, &off)?;
        let coupons = taken.iter().try_fold(Money::zero(paid.currency), |sum, one| sum.checked_add(*one))?;
        let ran = Period { start, end: self.part.end.clamp(start, whole.end) };
        let gross = advance::unused(&self.terms, plan_period, paid, (due, ran), whole)?;
        let back = advance::less_coupons(gross, paid, coupons)?;
        let mut again = Vec::new();
        for (off, taken) in off.into_iter().zip(taken) {
            self.took(&off.code, taken);
            again.push((off.code, advance::back_to_coupon(gross, paid, coupons, taken)?));
        }
        let told: Vec<i64> = again.iter().map(|(_, money)| money.micros).collect();
        Ok((json!([fee.total.micros, back.micros, told]), again))
    }

    /// `None` where the plan has no threshold.
    fn cuts(&self) -> Result<Option<Cuts>, Problem> {
        let Some(amount) = self.terms.invoice_threshold(None) else { return Ok(None) };
        let usage_only = self.terms.in_force(self.plan_period).usage_only();
        // Nobody knows yet that the plan ends.
        let part = Period { end: self.whole.end, ..self.part };
        let nothing = Money::zero(amount.currency);
        let (mut cuts, mut at_last_cut) = (Cuts { made: Vec::new(), taken_off: nothing, is_any: false }, nothing);
        for look in &self.case.looks {
            let so_far = self.bill(&usage_only, part, (&look.used, &look.metered), self.off(part)?)?.rated.total;
            if !threshold::is_due(so_far, at_last_cut, amount) {
                continue;
            }
            at_last_cut = so_far;
            let own = so_far.checked_add(minus(cuts.taken_off))?;
            let credited = Money { micros: own.micros.max(0) / 100 * look.credited, ..own };
            let off = if look.void { credited } else { own };
            cuts.taken_off = cuts.taken_off.checked_add(off)?;
            cuts.is_any |= !look.void || credited.micros != 0;
            cuts.made.push(own);
        }
        Ok(Some(cuts))
    }

    /// What each bill of late usage comes to; where the period had no bill, with what coupons take of it.
    fn late(&mut self, in_force: &PlanTerms, closing: Bill, has_bill: bool) -> Result<Value, Problem> {
        let Bill { off, taken, .. } = closing;
        let as_taken = |(off, taken): (Off, Money)| {
            let index: usize = off.code.parse().ok()?;
            self.case.coupons.get(index)?.coupon.as_taken(off.code, taken.micros)
        };
        let of_bill: Vec<Off> = off.into_iter().zip(taken).filter_map(as_taken).collect();
        let mut own = vec![0; self.redeemed.len()];
        let (mut used, mut told) = (self.case.used.clone(), Vec::new());
        for late in &self.case.late {
            let (was, now) = match has_bill {
                true => (of_bill.clone(), of_bill.clone()),
                false => self.off_late(&own, late)?,
            };
            let after = shifted(&used, late.moved.iter().map(shift));
            let before = self.bill(in_force, self.part, (&used, &self.case.metered), was)?;
            let after_that = self.bill(in_force, self.part, (&after, &self.case.metered), now)?;
            used = after;
            let more = after_that.rated.total.checked_add(minus(before.rated.total))?.micros;
            if has_bill {
                told.push(json!([more]));
                continue;
            }
            let mut taken = Vec::new();
            for (one, meanwhile) in self.redeemed.iter_mut().zip(&late.meanwhile) {
                one.taken_micros += meanwhile;
            }
            for ((off, after), before) in after_that.off.iter().zip(&after_that.taken).zip(&before.taken) {
                let by = Money { micros: after.micros - before.micros, ..*after };
                taken.push(by.micros);
                self.took(&off.code, by);
                let index: usize = off.code.parse()?;
                own[index] += by.micros;
            }
            told.push(json!([more, taken]));
        }
        Ok(told.into())
    }

    fn off_late(&self, own: &[i64], late: &Late) -> Result<(Vec<Off>, Vec<Off>), Problem> {
        let all = self.redeemed.iter().zip(own).zip(&late.meanwhile);
        let all = all.map(|((one, own), meanwhile)| one.off_late(self.billed(self.part), *own, *meanwhile));
        Ok(all.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().unzip())
    }
}

fn shift(moved: &crate::Moved) -> ((String, String), Shift) {
    let codes = (moved.product.clone(), moved.operation.clone());
    (codes, Shift { units: moved.units, prepaid: moved.prepaid })
}

fn line(charge: &rating::Charge) -> Value {
    json!([
        charge.kind.code(),
        charge.product,
        charge.operation,
        charge.meter,
        charge.quantity,
        charge.free,
        charge.amount.micros
    ])
}
