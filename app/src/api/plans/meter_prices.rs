//! What the plan form says of the prices of meters: each with a model of its own.

use super::{MeterPricesForm, terms::Reader};
use domain::{
    plan::MeterPrice,
    rating::{
        percentage::Percentage,
        price::{Price, Step},
    },
};
use rust_decimal::Decimal;

/// A row as it was typed.
#[derive(Default)]
struct Row<'a> {
    meter: &'a str,
    model: &'a str,
    included: &'a str,
    price: &'a str,
    size: &'a str,
    steps: &'a str,
    percent: &'a str,
    unit_value: &'a str,
    fixed: &'a str,
    cap: &'a str,
}

/// Reads the part. Mistakes are told beside their fields.
pub(super) fn read(form: &MeterPricesForm, reader: &mut Reader) -> Vec<MeterPrice> {
    let mut prices = Vec::new();
    for (index, row) in rows(form).enumerate() {
        let (product, meter) = row.meter.split_once('/').unwrap_or_else(|| {
            reader
                .told(&format!("meters[{index}]"), "Say which meter has this price: product/meter, as payments/tokens");
            (row.meter, "")
        });
        let (product, meter) = (product.trim().to_owned(), meter.trim().to_owned());
        let price = price(&row, &format!("meters[{index}].price"), reader);
        prices.push(MeterPrice { product, meter, price });
    }
    prices
}

/// The part's fields, to be typed back where the form failed.
pub(super) fn typed(form: &MeterPricesForm) -> Vec<(String, String)> {
    let line = |row: Row<'_>| {
        let Row { meter, model, included, price, size, steps, percent, unit_value, fixed, cap } = row;
        [meter, model, included, price, size, steps, percent, unit_value, fixed, cap].join("\t")
    };
    // Short, as they travel in a cookie: a row a line.
    vec![("meters".to_owned(), rows(form).map(line).collect::<Vec<_>>().join("\n"))]
}

fn price(row: &Row<'_>, place: &str, reader: &mut Reader) -> Price {
    let field = |name: &str| format!("{place}.{name}");
    let included = |reader: &mut Reader| reader.number(&field("included"), row.included).unwrap_or(0);
    match row.model {
        "per_unit" => Price::PerUnit {
            included: included(reader),
            unit_price: needed(reader, &field("unit_price"), row.price, "Enter what each costs, as 0.005"),
        },
        "package" => Price::Package {
            included: included(reader),
            size: reader.number(&field("size"), row.size).unwrap_or_else(|| {
                if row.size.is_empty() {
                    reader.told(&field("size"), "Enter how many a package holds, as 10,000");
                }
                1
            }),
            package_price: needed(reader, &field("unit_price"), row.price, "Enter what a package costs, as 20.00"),
        },
        "graduated" => Price::Graduated { steps: steps(row.steps, &field("steps"), reader) },
        "volume" => Price::Volume { steps: steps(row.steps, &field("steps"), reader) },
        "percentage" => Price::Percentage(Percentage {
            included: included(reader),
            unit_value: needed(
                reader,
                &field("unit_value"),
                row.unit_value,
                "Enter what one is worth, as 0.01 for cents",
            ),
            percent: needed(reader, &field("percent"), row.percent, "Enter the percentage, as 2.9"),
            fixed: reader.decimal(&field("fixed"), row.fixed).unwrap_or_default(),
            cap: reader.decimal(&field("cap"), row.cap),
        }),
        _ => Price::Free,
    }
}

fn needed(reader: &mut Reader, field: &str, text: &str, missing: &str) -> Decimal {
    reader.decimal(field, text).unwrap_or_else(|| {
        if text.is_empty() {
            reader.told(field, missing);
        }
        Decimal::ZERO
    })
}

/// Steps as `1000: 0.01; 0.005`: each with its last unit but the last one.
fn steps(text: &str, field: &str, reader: &mut Reader) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (end, price) = match part.split_once(':') {
            Some((end, price)) => (end.trim(), price.trim()),
            None => ("", part),
        };
        let up_to = reader.number(field, end);
        let unit_price = needed(reader, field, price, "Enter what a unit of each step costs, as 1000: 0.01; 0.005");
        steps.push(Step { up_to, unit_price });
    }
    steps
}

/// As [`steps`] reads them.
pub fn written(steps: &[Step]) -> String {
    let step = |step: &Step| match step.up_to {
        Some(end) => format!("{end}: {}", step.unit_price.normalize()),
        None => step.unit_price.normalize().to_string(),
    };
    steps.iter().map(step).collect::<Vec<_>>().join("; ")
}

/// Those that name a meter or say more than a model.
fn rows(form: &MeterPricesForm) -> impl Iterator<Item = Row<'_>> {
    let all = (0..form.meter.len()).map(move |index| {
        fn at(list: &[String], index: usize) -> &str {
            list.get(index).map_or("", |text| text.trim())
        }
        Row {
            meter: at(&form.meter, index),
            model: at(&form.model, index),
            included: at(&form.included, index),
            price: at(&form.price, index),
            size: at(&form.size, index),
            steps: at(&form.steps, index),
            percent: at(&form.percent, index),
            unit_value: at(&form.unit_value, index),
            fixed: at(&form.fixed, index),
            cap: at(&form.cap, index),
        }
    });
    all.filter(|row| {
        let Row { meter, included, price, size, steps, percent, unit_value, fixed, cap, model: _ } = row;
        [meter, included, price, size, steps, percent, unit_value, fixed, cap].iter().any(|text| !text.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn each_row_becomes_a_price_of_its_model() {
        let form = MeterPricesForm {
            meter: texts(&["payments/paid", "", "payments/tokens", "kyc/seats", "kyc/files", "kyc/rows"]),
            model: texts(&["percentage", "free", "per_unit", "package", "volume", "graduated"]),
            included: texts(&["", "", "1,000", "5", "", ""]),
            price: texts(&["", "", "0.002", "20.00", "", ""]),
            size: texts(&["", "", "", "10 000", "", ""]),
            steps: texts(&["", "", "", "", "1,000: 0.01; 0.005", "9: 0; 1"]),
            percent: texts(&["2.9", "", "", "", "", ""]),
            unit_value: texts(&["0.01", "", "", "", "", ""]),
            fixed: texts(&["0.30", "", "", "", "", ""]),
            cap: texts(&["500", "", "", "", "", ""]),
            ..Default::default()
        };
        let mut reader = Reader::default();
        let expected = r#"[
            {"product":"payments","meter":"paid","price":{"model":"percentage","unit_value":"0.01","percent":"2.9","fixed":"0.30","cap":"500"}},
            {"product":"payments","meter":"tokens","price":{"model":"per_unit","included":1000,"unit_price":"0.002"}},
            {"product":"kyc","meter":"seats","price":{"model":"package","included":5,"size":10000,"package_price":"20.00"}},
            {"product":"kyc","meter":"files","price":{"model":"volume","steps":[{"up_to":1000,"unit_price":"0.01"},{"unit_price":"0.005"}]}},
            {"product":"kyc","meter":"rows","price":{"model":"graduated","steps":[{"up_to":9,"unit_price":"0"},{"unit_price":"1"}]}}]"#;
        let expected: Vec<MeterPrice> = serde_json::from_str(expected).expect("prices");
        assert_eq!((read(&form, &mut reader), reader.problems), (expected, Vec::new()));
    }

    #[test]
    fn what_is_missing_is_told_beside_its_field_and_steps_are_written_as_they_are_read() {
        let form = MeterPricesForm {
            meter: texts(&["tokens", "payments/paid", "payments/seats", "payments/files"]),
            model: texts(&["per_unit", "percentage", "package", "volume"]),
            percent: texts(&["", "a lot", "", ""]),
            steps: texts(&["", "", "", "1000: ; 0.005"]),
            ..Default::default()
        };
        let mut reader = Reader::default();
        read(&form, &mut reader);
        let fields: Vec<&str> = reader.problems.iter().map(|(field, _)| field.as_str()).collect();
        let expected = [
            "meters[0]",
            "meters[0].price.unit_price",
            "meters[1].price.unit_value",
            "meters[1].price.percent",
            "meters[2].price.size",
            "meters[2].price.unit_price",
            "meters[3].price.steps",
        ];
        assert_eq!(fields, expected);
        let mut reader = Reader::default();
        let text = "1000: 0.01; 0.005";
        assert_eq!(written(&steps(text, "steps", &mut reader)), text);
    }
}
