//! What the plan form says of admission beyond the partner's limits.

use super::{AdmissionForm, terms::Reader};
use domain::credit::{
    allotment::{Allotment, Rollover},
    fee_bonus::FeeBonus,
    overdraft::Overdraft,
};
use domain::policy::{Admission, Concurrency, Credit, Pace, Preset, Throttle};

/// Reads the part; mistakes are told beside their fields.
pub(super) fn read(form: &AdmissionForm, reader: &mut Reader) -> Admission {
    let from = reader.number("admission[throttle_from]", &form.throttle_from);
    let delay = reader.number("admission[throttle_delay_ms]", &form.throttle_delay_ms);
    let throttle = match (from, delay) {
        (Some(from_percent), Some(max_delay_ms)) => Some(Throttle { from_percent, max_delay_ms }),
        (None, None) => None,
        _ => {
            reader.told("admission[throttle_from]", "Enter both numbers, or none for no delay");
            None
        }
    };
    Admission {
        app_limits: reader.limits("admission[app_limits]", &form.app_limits),
        key_limits: reader.limits("admission[key_limits]", &form.key_limits),
        concurrency: reader.number("admission[concurrency]", &form.concurrency).map(|calls| Concurrency { calls }),
        limits: Pace {
            preset: reader.parsed("admission[pace]", &form.pace, Preset::default()),
            throttle,
            soft: form.soft == "true",
        },
        credit: Credit {
            required: form.credit == "true",
            preset: reader.parsed("admission[credit_pace]", &form.credit_pace, Preset::default()),
            units_per_minute: reader.number("admission[credit_per_minute]", &form.credit_per_minute),
            allotment: allotment(form, reader),
            fee_bonus: fee_bonus(form, reader),
            overdraft: overdraft(form, reader),
        },
    }
}

fn allotment(form: &AdmissionForm, reader: &mut Reader) -> Option<Allotment> {
    let units = reader.number("admission[allotment]", &form.allotment);
    let percent = reader.number("admission[rollover_percent]", &form.rollover_percent);
    let cap = reader.number("admission[rollover_cap]", &form.rollover_cap);
    let periods = reader.number("admission[rollover_periods]", &form.rollover_periods);
    if units.is_none() && percent.is_some() {
        reader.told("admission[allotment]", "Enter how many units, or nothing to carry over");
    }
    if percent.is_none() && (cap.is_some() || periods.is_some()) {
        reader.told("admission[rollover_percent]", "Enter what share is carried over, or leave the two others empty");
    }
    let rollover = percent.map(|percent| Rollover { percent, cap, periods: periods.unwrap_or(1) });
    units.map(|units| Allotment { units, rollover })
}

fn fee_bonus(form: &AdmissionForm, reader: &mut Reader) -> Option<FeeBonus> {
    let units = reader.number("admission[fee_bonus]", &form.fee_bonus);
    let valid_days = reader.number("admission[fee_bonus_days]", &form.fee_bonus_days);
    if units.is_none() && valid_days.is_some() {
        reader.told("admission[fee_bonus]", "Enter how many units, or leave the days empty, too");
    }
    units.map(|units| FeeBonus { units, valid_days })
}

fn overdraft(form: &AdmissionForm, reader: &mut Reader) -> Option<Overdraft> {
    let units = reader.number("admission[overdraft]", &form.overdraft);
    let told = reader.problems.len();
    let unit_price = reader.decimal("admission[overdraft_price]", &form.overdraft_price);
    match (units, unit_price) {
        (Some(units), Some(unit_price)) => return Some(Overdraft { units, unit_price }),
        // What is no number was told.
        (Some(_), None) if reader.problems.len() == told => {
            reader.told("admission[overdraft_price]", "Enter what a unit costs, as 0.01");
        }
        (None, Some(_)) => {
            reader.told("admission[overdraft]", "Enter how many units, 0 for none, or leave the price empty, too");
        }
        _ => {}
    }
    None
}

/// The part's fields, to be typed back where the form failed.
pub(super) fn typed(form: &AdmissionForm) -> Vec<(String, String)> {
    let mut typed: Vec<(String, String)> = [
        ("concurrency", &form.concurrency),
        ("pace", &form.pace),
        ("throttle_from", &form.throttle_from),
        ("throttle_delay_ms", &form.throttle_delay_ms),
        ("soft", &form.soft),
        ("credit", &form.credit),
        ("credit_pace", &form.credit_pace),
        ("credit_per_minute", &form.credit_per_minute),
        ("allotment", &form.allotment),
        ("rollover_percent", &form.rollover_percent),
        ("rollover_cap", &form.rollover_cap),
        ("rollover_periods", &form.rollover_periods),
        ("fee_bonus", &form.fee_bonus),
        ("fee_bonus_days", &form.fee_bonus_days),
        ("overdraft", &form.overdraft),
        ("overdraft_price", &form.overdraft_price),
    ]
    .map(|(name, value)| (format!("admission[{name}]"), value.clone()))
    .to_vec();
    for (name, limits) in [("app_limits", &form.app_limits), ("key_limits", &form.key_limits)] {
        typed.extend(limits.iter().map(|(window, calls)| (format!("admission[{name}][{window}]"), calls.clone())));
    }
    typed
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::limit::{Limit, Window};

    #[test]
    fn a_whole_part_becomes_an_admission_and_half_a_throttle_is_told() {
        let mut reader = Reader::default();
        let form = AdmissionForm {
            key_limits: [("minute".to_owned(), "1,000".to_owned()), ("day".to_owned(), String::new())].into(),
            concurrency: "20".to_owned(),
            pace: "hybrid".to_owned(),
            throttle_from: "80".to_owned(),
            throttle_delay_ms: "500".to_owned(),
            credit: "true".to_owned(),
            allotment: "1,000".to_owned(),
            rollover_percent: "50".to_owned(),
            fee_bonus: "5,000".to_owned(),
            fee_bonus_days: "90".to_owned(),
            overdraft: "100".to_owned(),
            overdraft_price: "0.02".to_owned(),
            ..AdmissionForm::default()
        };
        let admission = read(&form, &mut reader);
        assert_eq!(reader.problems, []);
        assert_eq!(admission.key_limits, [Limit { calls: 1_000, window: Window::Minute }]);
        assert_eq!(admission.limits.throttle, Some(Throttle { from_percent: 80, max_delay_ms: 500 }));
        assert_eq!((admission.limits.preset, admission.credit.required), (Preset::Hybrid, true));
        let rollover = Some(Rollover { percent: 50, cap: None, periods: 1 });
        assert_eq!(admission.credit.allotment, Some(Allotment { units: 1_000, rollover }));
        assert_eq!(admission.credit.fee_bonus, Some(FeeBonus { units: 5_000, valid_days: Some(90) }));
        let unit_price = "0.02".parse().expect("a decimal");
        assert_eq!(admission.credit.overdraft, Some(Overdraft { units: 100, unit_price }));
        read(&AdmissionForm { throttle_delay_ms: String::new(), ..form }, &mut reader);
        assert_eq!(reader.problems.len(), 1);
        let cap = AdmissionForm { rollover_cap: "9".to_owned(), ..AdmissionForm::default() };
        read(&cap, &mut reader);
        assert_eq!(reader.problems.len(), 2, "a cap of nothing");
        let half = AdmissionForm { overdraft: "9".to_owned(), ..AdmissionForm::default() };
        assert_eq!((read(&half, &mut reader).credit.overdraft, reader.problems.len()), (None, 3), "for what price?");
    }
}
