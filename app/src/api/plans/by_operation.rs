//! What the plan form says of prices by product and operation.

use super::{MatrixForm, terms::Reader};
use domain::rating::{matrix::Cell, price::Price};
use rust_decimal::Decimal;

/// Reads the part; `included` are free units. Mistakes are told beside their fields.
pub(super) fn read(form: &MatrixForm, included: u64, reader: &mut Reader) -> Price {
    let mut cells = Vec::new();
    for (index, (what, price)) in rows(form).enumerate() {
        let field = |name: &str| format!("price.cells[{index}].{name}");
        if what.is_empty() {
            reader.told(&field("product"), "Say what has this price: product/operation, or a product alone");
        }
        let unit_price = reader.decimal(&field("unit_price"), price).unwrap_or_else(|| {
            if price.is_empty() {
                reader.told(&field("unit_price"), "Enter what a unit of it costs, as 0.005");
            }
            Decimal::ZERO
        });
        let (product, operation) = match what.split_once('/') {
            Some((product, operation)) => (product.trim(), Some(operation.trim().to_owned())),
            None => (what, None),
        };
        cells.push(Cell { product: product.to_owned(), operation, unit_price });
    }
    let otherwise = reader.decimal("price.otherwise", &form.otherwise).unwrap_or_else(|| {
        if form.otherwise.trim().is_empty() {
            reader.told("price.otherwise", "Enter what a unit of everything else costs, as 0.005, or 0");
        }
        Decimal::ZERO
    });
    Price::Matrix { included, cells, otherwise }
}

/// Whether anything of it was typed.
pub(super) fn is_empty(form: &MatrixForm) -> bool {
    form.otherwise.trim().is_empty() && rows(form).next().is_none()
}

/// The part's fields, to be typed back where the form failed.
pub(super) fn typed(form: &MatrixForm) -> Vec<(String, String)> {
    // Short, as they travel in a cookie: a row a line.
    let lines: Vec<String> = rows(form).map(|(what, price)| [what, price].join("\t")).collect();
    vec![("price.otherwise".to_owned(), form.otherwise.clone()), ("price.cells".to_owned(), lines.join("\n"))]
}

/// What is not left empty.
fn rows(form: &MatrixForm) -> impl Iterator<Item = (&str, &str)> {
    let price = |index: usize| form.price.get(index).map_or("", |text| text.trim());
    let rows = form.what.iter().enumerate().map(move |(index, what)| (what.trim(), price(index)));
    rows.filter(|(what, price)| !(what.is_empty() && price.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn rows_become_cells_and_empty_ones_nothing() {
        let form = MatrixForm {
            what: texts(&["payments/createPayment", "", " payments "]),
            price: texts(&["0.02", "", "0.005"]),
            otherwise: "0.001".to_owned(),
        };
        let mut reader = Reader::default();
        let expected = r#"{"model":"matrix","included":10,"otherwise":"0.001","cells":[
            {"product":"payments","operation":"createPayment","unit_price":"0.02"},{"product":"payments","unit_price":"0.005"}]}"#;
        assert_eq!(read(&form, 10, &mut reader), serde_json::from_str(expected).expect("a price"));
        assert_eq!((reader.problems, is_empty(&MatrixForm::default())), (Vec::new(), true));
    }

    #[test]
    fn what_is_begun_and_not_finished_is_told_beside_its_field() {
        let form =
            MatrixForm { what: texts(&["", "payments", "kyc"]), price: texts(&["1", "", "one"]), ..Default::default() };
        let mut reader = Reader::default();
        read(&form, 0, &mut reader);
        let fields: Vec<&str> = reader.problems.iter().map(|(field, _)| field.as_str()).collect();
        let expected =
            ["price.cells[0].product", "price.cells[1].unit_price", "price.cells[2].unit_price", "price.otherwise"];
        assert_eq!(fields, expected);
        assert_eq!(typed(&form)[1].1, "\t1\npayments\t\nkyc\tone");
    }
}
