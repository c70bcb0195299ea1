//! What the plan form says of the least that a period costs and of what is taken off: minimum, commitment, discounts.

use super::{BargainForm, terms::Reader};
use domain::{
    money::Currency,
    rating::{
        commitment::{Commitment, CommitmentStep},
        discount::{Discount, DiscountOn},
    },
};
use rust_decimal::Decimal;

/// Reads the part into the minimum in micro-units, the commitment and the discounts. Mistakes are told beside their fields.
pub(super) fn read(
    form: &BargainForm,
    currency: Currency,
    reader: &mut Reader,
) -> (i64, Option<Commitment>, Vec<Discount>) {
    let minimum = reader.money("minimum", &form.minimum, currency);
    (minimum, commitment(form, currency, reader), discounts(form, reader))
}

/// The part's fields, to be typed back where the form failed.
pub(super) fn typed(form: &BargainForm) -> Vec<(String, String)> {
    let mut typed =
        vec![("minimum".to_owned(), form.minimum.clone()), ("commitment.amount".to_owned(), form.commitment.clone())];
    // Rows that were emptied come last, as they are: else those of the terms would show in their place.
    let empty = std::iter::repeat_n([""; 2], form.committed_percent.len());
    for (index, row) in steps(form).chain(empty).take(form.committed_percent.len()).enumerate() {
        let of_step =
            |(field, value): (&str, &str)| (format!("commitment.discounts[{index}].{field}"), value.to_owned());
        typed.extend(["up_to", "percent"].into_iter().zip(row).map(of_step));
    }
    let empty = std::iter::repeat_n(["", "", DiscountOn::Everything.code(), ""], form.name.len());
    for (index, row) in rows(form).chain(empty).take(form.name.len()).enumerate() {
        let of_row = |(field, value): (&str, &str)| (format!("discounts[{index}].{field}"), value.to_owned());
        typed.extend(["name", "percent", "on", "periods"].into_iter().zip(row).map(of_row));
    }
    typed
}

/// Where each part of the commitment's usage ends, and what is off; those in which something is typed.
fn steps(form: &BargainForm) -> impl Iterator<Item = [&str; 2]> {
    let row = |index| [cell(&form.committed_up_to, index), cell(&form.committed_percent, index)];
    (0..form.committed_percent.len()).map(row).filter(|row| row.iter().any(|text| !text.is_empty()))
}

/// Name, percentage, what it is taken off, and periods of the discounts that have a name or a percentage.
fn rows(form: &BargainForm) -> impl Iterator<Item = [&str; 4]> {
    let row = |index| [&form.name, &form.percent, &form.on, &form.periods].map(|list| cell(list, index));
    (0..form.name.len()).map(row).filter(|[name, percent, ..]| !(name.is_empty() && percent.is_empty()))
}

fn commitment(form: &BargainForm, currency: Currency, reader: &mut Reader) -> Option<Commitment> {
    let mut discounts = Vec::new();
    for (index, [end, percent]) in steps(form).enumerate() {
        let field = |name: &str| format!("commitment.discounts[{index}].{name}");
        match reader.decimal(&field("percent"), percent) {
            Some(percent) => {
                let up_to_micros = (!end.is_empty()).then(|| reader.money(&field("up_to"), end, currency));
                discounts.push(CommitmentStep { up_to_micros, percent });
            }
            None if percent.is_empty() => {
                reader.told(&field("percent"), "Enter what this part has off, as 5, or leave the step empty");
            }
            None => {}
        }
    }
    if form.commitment.trim().is_empty() {
        if !discounts.is_empty() {
            reader
                .told("commitment.amount", "Enter how much usage is promised, as 10,000, or leave its discount empty");
        }
        return None;
    }
    Some(Commitment { micros: reader.money("commitment.amount", &form.commitment, currency), discounts })
}

fn discounts(form: &BargainForm, reader: &mut Reader) -> Vec<Discount> {
    let mut discounts = Vec::new();
    for (index, [name, percent, on, periods]) in rows(form).enumerate() {
        let field = |name: &str| format!("discounts[{index}].{name}");
        if percent.is_empty() {
            reader.told(&field("percent"), "Enter how much it takes off, as 20");
        }
        discounts.push(Discount {
            name: name.to_owned(),
            percent: reader.decimal(&field("percent"), percent).unwrap_or(Decimal::ONE),
            on: reader.parsed(&field("on"), on, DiscountOn::Everything),
            periods: reader.number(&field("periods"), periods),
        });
    }
    discounts
}

fn cell(list: &[String], index: usize) -> &str {
    list.get(index).map_or("", |text| text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn an_empty_part_is_nothing_and_a_filled_one_the_terms() {
        let mut reader = Reader::default();
        let rows = texts(&["", ""]);
        let empty = BargainForm {
            name: rows.clone(),
            percent: rows.clone(),
            committed_percent: rows,
            ..BargainForm::default()
        };
        assert_eq!(read(&empty, Currency::Usd, &mut reader), (0, None, Vec::new()));
        let form = BargainForm {
            minimum: "5,000".to_owned(),
            commitment: "10 000.50".to_owned(),
            committed_up_to: texts(&["10,000", "", ""]),
            committed_percent: texts(&["5", "15", ""]),
            name: texts(&[" Launch offer ", "", "For good"]),
            percent: texts(&["20", "", "2.5"]),
            on: texts(&["base_fee", "everything", "usage"]),
            periods: texts(&["3", "", ""]),
            ..BargainForm::default()
        };
        let (minimum, commitment, discounts) = read(&form, Currency::Usd, &mut reader);
        assert_eq!(minimum, 5_000_000_000);
        let step = |up_to_micros, percent: i64| CommitmentStep { up_to_micros, percent: percent.into() };
        let steps = vec![step(Some(10_000_000_000), 5), step(None, 15)];
        assert_eq!(commitment, Some(Commitment { micros: 10_000_500_000, discounts: steps }));
        let read: Vec<_> = discounts.iter().map(|one| (one.name.as_str(), one.on, one.periods)).collect();
        assert_eq!(read, [("Launch offer", DiscountOn::BaseFee, Some(3)), ("For good", DiscountOn::Usage, None)]);
        assert_eq!(reader.problems, []);
    }

    #[test]
    fn what_is_begun_and_not_finished_is_told_beside_its_field() {
        let form = BargainForm {
            committed_up_to: texts(&["100", "", "200"]),
            committed_percent: texts(&["5", "", ""]),
            name: texts(&["Launch offer", "", ""]),
            percent: texts(&["", "", "ten"]),
            ..BargainForm::default()
        };
        let mut reader = Reader::default();
        read(&form, Currency::Usd, &mut reader);
        let fields: Vec<&str> = reader.problems.iter().map(|(field, _)| field.as_str()).collect();
        let expected =
            ["commitment.discounts[1].percent", "commitment.amount", "discounts[0].percent", "discounts[1].percent"];
        assert_eq!(fields, expected);
        // Typed back into the rows that the mistakes are told beside; the row that was left empty comes last.
        let back = typed(&form);
        let of = |field: &str| back.iter().find(|(name, _)| name == field).map(|(_, text)| text.as_str());
        assert_eq!(of("commitment.discounts[1].up_to"), Some("200"));
        assert_eq!((of("discounts[1].percent"), of("discounts[2].percent")), (Some("ten"), Some("")));
    }
}
