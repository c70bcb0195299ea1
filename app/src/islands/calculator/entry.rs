//! The calculator's fields: what is asked for, and what was typed.

use super::Typed;
use crate::islands::early;
use domain::rating::{
    MeterUsed,
    quote::{Asked, Called, Measured},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// Larger counts are a slip of the pen.
const MOST: u64 = 1_000_000_000_000;

/// A product, and what can be told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalculatorGroup {
    /// Product code.
    pub product: String,
    pub name: String,
    pub fields: Vec<CalculatorField>,
    /// Whether the fields are seen before somebody opens the group.
    pub open: bool,
}

/// One number to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalculatorField {
    pub of: FieldOf,
    /// Operation or meter code.
    pub code: String,
    pub label: String,
    pub hint: String,
    pub value: String,
}

/// What a number is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldOf {
    /// Calls of an operation, of so many units each.
    Calls { weight: u32 },
    /// What a meter comes to; and whether twice the time is twice as much.
    Quantity { grows: bool },
    /// Calls that the meter measures.
    MeasuredCalls,
}

impl CalculatorField {
    /// The form's name of it, as `calls[payments/createPayment]`.
    pub fn name(&self, product: &str) -> String {
        let of = match self.of {
            FieldOf::Calls { .. } => "calls",
            FieldOf::Quantity { .. } => "meter",
            FieldOf::MeasuredCalls => "measured",
        };
        format!("{of}[{product}/{}]", self.code)
    }

    /// The number, nothing being none; or what is wrong with it.
    pub fn count(&self) -> Result<u64, &'static str> {
        let grouping = |letter: char| letter.is_whitespace() || matches!(letter, ',' | '\'' | '_');
        let digits: String = self.value.chars().filter(|letter| !grouping(*letter)).collect();
        match digits.as_str() {
            "" => Ok(0),
            digits => {
                digits.parse().ok().filter(|count| *count <= MOST).ok_or("A whole number, at most 1,000,000,000,000")
            }
        }
    }
}

/// What the fields say; `None` where one of them says no number.
pub fn asked(groups: &[CalculatorGroup]) -> Option<Asked> {
    let mut asked = Asked::default();
    for group in groups {
        for field in &group.fields {
            let count = field.count().ok()?;
            let meter = |quantity, calls, grows| {
                let used = MeterUsed { product: group.product.clone(), meter: field.code.clone(), quantity, calls };
                Measured { used, grows }
            };
            match field.of {
                FieldOf::Calls { weight } => asked.calls.push(Called {
                    product: group.product.clone(),
                    operation: field.code.clone(),
                    calls: count,
                    weight,
                }),
                FieldOf::Quantity { grows } => asked.metered.push(meter(count, 0, grows)),
                // Its own quantity stands just before it.
                FieldOf::MeasuredCalls => match asked.metered.last_mut() {
                    Some(last) if last.used.meter == field.code && last.used.product == group.product => {
                        last.used.calls = count;
                    }
                    _ => asked.metered.push(meter(0, count, true)),
                },
            }
        }
    }
    Some(asked)
}

pub(super) fn group(group: CalculatorGroup, typed: Vec<Typed>) -> impl IntoView {
    let CalculatorGroup { product, name, fields, open } = group;
    let rows = fields.into_iter().zip(typed).map(|(field, typed)| row(&product, field, typed)).collect_view();
    view! {
        <details class="calculator-product" open=open>
            <summary>{name}</summary>
            <div class="calculator-fields">{rows}</div>
        </details>
    }
}

fn row(product: &str, field: CalculatorField, typed: Typed) -> impl IntoView + use<> {
    let name = field.name(product);
    let id = format!("field-{name}");
    early::take_over(&id, typed);
    let (hint_id, error_id) = (format!("{id}-hint"), format!("{id}-error"));
    let described_by = format!("{hint_id} {error_id}");
    let (label, hint, value) = (field.label.clone(), field.hint.clone(), field.value.clone());
    let problem = Memo::new(move |_| CalculatorField { value: typed.get(), ..field.clone() }.count().err());
    view! {
        <div class="field">
            <label for=id.clone()>{label}</label>
            <p class="field-hint" id=hint_id>{hint}</p>
            <input
                id=id
                class="input"
                name=name
                type="text"
                inputmode="numeric"
                maxlength="30"
                autocomplete="off"
                value=value
                aria-describedby=described_by
                aria-invalid=move || problem.get().map(|_| "true")
                on:input=move |event| typed.set(event_target_value(&event))
            />
            <p class="field-error" id=error_id hidden=move || problem.get().is_none()>{move || problem.get()}</p>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(of: FieldOf, code: &str, value: &str) -> CalculatorField {
        let (code, value) = (code.to_owned(), value.to_owned());
        CalculatorField { of, code, label: String::new(), hint: String::new(), value }
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        let of = |text: &str| field(FieldOf::Calls { weight: 1 }, "pay", text).count();
        for (text, count) in [("", 0), (" 12 ", 12), ("1,234,567", 1_234_567), ("1'000", 1_000), ("2 000", 2_000)] {
            assert_eq!(of(text), Ok(count), "{text:?}");
        }
        for text in ["-1", "1.5", "many", "1000000000001", "99999999999999999999"] {
            assert!(of(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_meters_calls_go_with_its_quantity() {
        let fields = vec![
            field(FieldOf::Calls { weight: 5 }, "search", "7"),
            field(FieldOf::Quantity { grows: true }, "value", "100"),
            field(FieldOf::MeasuredCalls, "value", "3"),
            field(FieldOf::Quantity { grows: false }, "seats", "2"),
        ];
        let group = CalculatorGroup { product: "payments".to_owned(), name: String::new(), fields, open: true };
        let read = asked(std::slice::from_ref(&group)).expect("numbers");
        assert_eq!((read.calls[0].calls, read.calls[0].weight), (7, 5));
        let metered: Vec<_> =
            read.metered.iter().map(|line| (line.used.quantity, line.used.calls, line.grows)).collect();
        assert_eq!(metered, [(100, 3, true), (2, 0, false)]);
        let wrong = CalculatorGroup { fields: vec![field(FieldOf::MeasuredCalls, "value", "x")], ..group };
        assert_eq!(asked(&[wrong]), None);
    }
}
