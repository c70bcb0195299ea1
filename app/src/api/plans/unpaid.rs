//! What the plan form says of invoices that stay unpaid.

use super::{UnpaidForm, terms::Reader};
use domain::{dunning::UnpaidRules, money::Currency};

/// Reads the part; nothing follows where all of it is empty. Mistakes are told beside their fields.
pub(super) fn read(form: &UnpaidForm, currency: Currency, reader: &mut Reader) -> Option<UnpaidRules> {
    let texts = [&form.grace_days, &form.limited_days, &form.limited_percent, &form.minimum];
    if texts.into_iter().chain(form.limited_limits.values()).all(|text| text.trim().is_empty()) {
        return None;
    }
    Some(UnpaidRules {
        grace_days: reader.number("unpaid[grace_days]", &form.grace_days).unwrap_or(14),
        limited_days: reader.number("unpaid[limited_days]", &form.limited_days).unwrap_or(14),
        limited_percent: reader.number("unpaid[limited_percent]", &form.limited_percent),
        limited_limits: reader.limits("unpaid[limited_limits]", &form.limited_limits),
        minimum_micros: reader.money("unpaid[minimum]", &form.minimum, currency),
    })
}

/// The part's fields, to be typed back where the form failed.
pub(super) fn typed(form: &UnpaidForm) -> Vec<(String, String)> {
    let mut typed: Vec<(String, String)> = [
        ("grace_days", &form.grace_days),
        ("limited_days", &form.limited_days),
        ("limited_percent", &form.limited_percent),
        ("minimum", &form.minimum),
    ]
    .map(|(name, value)| (format!("unpaid[{name}]"), value.clone()))
    .to_vec();
    let limits = form.limited_limits.iter();
    typed.extend(limits.map(|(window, calls)| (format!("unpaid[limited_limits][{window}]"), calls.clone())));
    typed
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::limit::{Limit, Window};

    #[test]
    fn an_empty_part_is_nothing_and_a_filled_one_the_rules() {
        let mut reader = Reader::default();
        assert_eq!(read(&UnpaidForm::default(), Currency::Eur, &mut reader), None);
        let form = UnpaidForm {
            grace_days: "7".to_owned(),
            limited_percent: "10".to_owned(),
            minimum: "5.00".to_owned(),
            limited_limits: [("minute".to_owned(), "60".to_owned()), ("day".to_owned(), String::new())].into(),
            ..UnpaidForm::default()
        };
        let rules = read(&form, Currency::Eur, &mut reader).expect("rules");
        assert_eq!((rules.grace_days, rules.limited_days, rules.limited_percent), (7, 14, Some(10)));
        assert_eq!(rules.limited_limits, [Limit { calls: 60, window: Window::Minute }]);
        assert_eq!((rules.minimum_micros, reader.problems.len()), (5_000_000, 0));
        read(&UnpaidForm { grace_days: "soon".to_owned(), ..form }, Currency::Eur, &mut reader);
        assert_eq!(reader.problems[0].0, "unpaid[grace_days]");
    }
}
