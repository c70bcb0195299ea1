//! What the plan form says of phases and promotions: a row has billing periods, or days.

use super::{OffersForm, terms::Reader};
use domain::{
    money::Currency,
    plan::PlanTerms,
    rating::{
        offers::{Instead, Phase, Promotion},
        price::Price,
    },
};
use jiff::civil::Date;

/// Fields of a row, in the order in which they are typed back.
pub const FIELDS: [&str; 9] =
    ["name", "periods", "from", "until", "base_fee", "included", "unit_price", "minimum", "included_credit"];

/// A row as it was typed, by [`FIELDS`].
type Row<'a> = [&'a str; 9];

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Phase,
    Promotion,
}

/// Where each row is among phases or promotions: its kind, and the name of its field.
pub fn places<'a>(rows: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(Kind, String)> {
    let (mut phases, mut promotions) = (0, 0);
    let place = |(periods, until): (&str, &str)| match until.is_empty() && !periods.is_empty() {
        true => {
            phases += 1;
            (Kind::Phase, format!("phases[{}]", phases - 1))
        }
        false => {
            promotions += 1;
            (Kind::Promotion, format!("promotions[{}]", promotions - 1))
        }
    };
    rows.map(place).collect()
}

/// Reads the part. Mistakes are told beside their fields.
pub(super) fn read(form: &OffersForm, currency: Currency, reader: &mut Reader) -> (Vec<Phase>, Vec<Promotion>) {
    let (mut phases, mut promotions) = (Vec::new(), Vec::new());
    let places = places(rows(form).map(|row| (row[1], row[3])));
    for (row, (kind, place)) in rows(form).zip(places) {
        let [name, periods, from, until, ..] = row;
        let instead = instead(&row, &format!("{place}.instead"), currency, reader);
        let name = name.to_owned();
        match kind {
            Kind::Phase => {
                let periods = reader.number(&format!("{place}.periods"), periods).unwrap_or(1);
                if !from.is_empty() {
                    reader.told(&format!("{place}.periods"), "Give billing periods or days, not both");
                }
                phases.push(Phase { name, periods, instead });
            }
            Kind::Promotion => {
                if !periods.is_empty() {
                    reader.told(&format!("{place}.until"), "Give billing periods or days, not both");
                } else if until.is_empty() {
                    reader.told(&format!("{place}.until"), "Say for how many billing periods, or until which day");
                }
                let from = day(from, &format!("{place}.from"), reader);
                let until = day(until, &format!("{place}.until"), reader).unwrap_or(Date::MAX);
                promotions.push(Promotion { name, from, until, instead });
            }
        }
    }
    (phases, promotions)
}

/// Of offers that keep their name, what the form has no fields for stays as it was: prices of meters, and a price of units that is not
/// per unit, where the form says none.
pub(super) fn keep(before: &PlanTerms, terms: &mut PlanTerms) {
    let named = |name: &str| {
        let phase = before.phases.iter().find(|phase| phase.name == name).map(|phase| &phase.instead);
        phase.or_else(|| before.promotions.iter().find(|one| one.name == name).map(|one| &one.instead))
    };
    let phases = terms.phases.iter_mut().map(|phase| (&phase.name, &mut phase.instead));
    let promotions = terms.promotions.iter_mut().map(|one| (&one.name, &mut one.instead));
    for (name, instead) in phases.chain(promotions) {
        let Some(own) = named(name) else { continue };
        instead.meters.clone_from(&own.meters);
        if instead.price.is_none() {
            instead.price = own.price.clone().filter(|price| !is_shown(price));
        }
    }
}

/// Whether offers have amounts that the form has no fields for.
pub(super) fn has_more(terms: &PlanTerms) -> bool {
    let more = |own: &Instead| !own.meters.is_empty() || own.price.as_ref().is_some_and(|price| !is_shown(price));
    terms.offers().any(|(_, instead)| more(instead))
}

/// Whether the form has fields for such a price.
pub fn is_shown(price: &Price) -> bool {
    matches!(price, Price::PerUnit { .. })
}

/// The part's fields, to be typed back where the form failed.
pub(super) fn typed(form: &OffersForm) -> Vec<(String, String)> {
    // Short, as they travel in a cookie: a row a line.
    vec![("offers".to_owned(), rows(form).map(|row| row.join("\t")).collect::<Vec<_>>().join("\n"))]
}

fn instead(row: &Row<'_>, place: &str, currency: Currency, reader: &mut Reader) -> Instead {
    let [_, _, _, _, fee, included, unit_price, minimum, credit] = *row;
    let mut amount = |name: &str, text: &str| {
        let field = format!("{place}.{name}");
        (!text.is_empty()).then(|| reader.money(&field, text, currency))
    };
    let base_fee_micros = amount("base_fee", fee);
    let minimum_micros = amount("minimum", minimum);
    let included_credit_micros = amount("included_credit", credit);
    let field = format!("{place}.price.unit_price");
    if unit_price.is_empty() && !included.is_empty() {
        reader.told(&field, "Enter what each further unit costs, as 0.005");
    }
    let price = reader.decimal(&field, unit_price).map(|unit_price| Price::PerUnit {
        included: reader.number(&format!("{place}.price.included"), included).unwrap_or(0),
        unit_price,
    });
    Instead { base_fee_micros, price, meters: Vec::new(), minimum_micros, included_credit_micros }
}

fn day(text: &str, field: &str, reader: &mut Reader) -> Option<Date> {
    if text.is_empty() {
        return None;
    }
    let day = text.parse().ok();
    if day.is_none() {
        reader.told(field, "Enter a day, as 2027-03-31");
    }
    day
}

/// Those in which something is typed.
fn rows(form: &OffersForm) -> impl Iterator<Item = Row<'_>> {
    let lists = [
        &form.name,
        &form.periods,
        &form.from,
        &form.until,
        &form.base_fee,
        &form.included,
        &form.unit_price,
        &form.minimum,
        &form.included_credit,
    ];
    let row = move |index: usize| lists.map(|list| list.get(index).map_or("", |text| text.trim()));
    (0..form.name.len()).map(row).filter(|row| row.iter().any(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn form() -> OffersForm {
        OffersForm {
            name: texts(&["Ramp", "", "Launch offer"]),
            periods: texts(&["3", "", ""]),
            from: texts(&["", "", "2027-01-01"]),
            until: texts(&["", "", "2027-03-31"]),
            base_fee: texts(&["49.00", "", ""]),
            included: texts(&["", "", "5,000"]),
            unit_price: texts(&["", "", "0.005"]),
            ..OffersForm::default()
        }
    }

    #[test]
    fn a_row_with_periods_is_a_phase_and_one_with_days_a_promotion() {
        let mut reader = Reader::default();
        let (phases, promotions) = read(&form(), Currency::Usd, &mut reader);
        assert_eq!(reader.problems, []);
        let expected = r#"[{"name":"Ramp","periods":3,"instead":{"base_fee_micros":49000000}}]"#;
        assert_eq!(phases, serde_json::from_str::<Vec<Phase>>(expected).expect("phases"));
        let expected = r#"[{"name":"Launch offer","from":"2027-01-01","until":"2027-03-31",
            "instead":{"price":{"model":"per_unit","included":5000,"unit_price":"0.005"}}}]"#;
        assert_eq!(promotions, serde_json::from_str::<Vec<Promotion>>(expected).expect("promotions"));
    }

    #[test]
    fn what_is_begun_and_not_finished_is_told_beside_its_field() {
        let form = OffersForm {
            name: texts(&["A", "B", "C", "D"]),
            periods: texts(&["2", "2", "", "x"]),
            from: texts(&["2027-01-01", "", "soon", ""]),
            until: texts(&["", "2027-01-01", "", ""]),
            base_fee: texts(&["0", "0", "0", "much"]),
            included: texts(&["", "", "5", ""]),
            ..OffersForm::default()
        };
        let mut reader = Reader::default();
        read(&form, Currency::Usd, &mut reader);
        let fields: Vec<&str> = reader.problems.iter().map(|(field, _)| field.as_str()).collect();
        let expected = [
            "phases[0].periods",
            "promotions[0].until",
            "promotions[1].instead.price.unit_price",
            "promotions[1].until",
            "promotions[1].from",
            "phases[1].instead.base_fee",
            "phases[1].periods",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_has_no_field_is_kept_with_the_offer_of_that_name() {
        let before: PlanTerms = serde_json::from_str(
            r#"{"currency":"USD","products":[],"phases":[{"name":"Ramp","periods":1,"instead":{"price":{"model":"free"},
                "meters":[{"product":"a","meter":"b","price":{"model":"free"}}]}}]}"#,
        )
        .expect("terms");
        assert!(has_more(&before));
        let mut reader = Reader::default();
        let mut terms = before.clone();
        (terms.phases, terms.promotions) = read(&form(), Currency::Usd, &mut reader);
        assert!(!has_more(&terms));
        keep(&before, &mut terms);
        assert_eq!(terms.phases[0].instead.price, Some(Price::Free));
        assert_eq!((terms.phases[0].instead.meters.len(), terms.phases[0].periods), (1, 3));
        assert_eq!(terms.promotions[0].instead.meters, []);
    }
}
