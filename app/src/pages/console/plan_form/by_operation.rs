//! The plan form's fields about prices by product and operation.

use super::{Fields, Proposals, datalist};
use crate::components::*;
use domain::rating::{matrix::Cell, price::Price};
use leptos::prelude::*;

/// Rows that the form offers where there are fewer.
const ROWS: usize = 3;
const LIST: &str = "priced-operations";

impl Fields {
    /// Folded away until they are used.
    pub(super) fn by_operation(&self, proposals: &Proposals) -> AnyView {
        let (cells, otherwise) = match self.terms.as_ref().map(|terms| &terms.price) {
            Some(Price::Matrix { cells, otherwise, .. }) => (cells.as_slice(), otherwise.to_string()),
            _ => (&[][..], String::new()),
        };
        let own: Vec<String> = cells.iter().map(line).collect();
        let typed = self.typed("price.cells", own.join("\n"));
        let typed: Vec<&str> = typed.lines().collect();
        let otherwise = self.typed("price.otherwise", otherwise);
        let rows =
            (0..ROWS.max(typed.len() + 1)).map(|index| self.cell(index, typed.get(index).copied().unwrap_or("")));
        let rows = rows.collect_view();
        let whole = self.problem("price.cells");
        let is_ours = |field: &str| field.starts_with("price.cells") || field == "price.otherwise";
        let open = !otherwise.is_empty()
            || !typed.is_empty()
            || self.flash.problems_of(super::FORM).iter().any(|(field, _)| is_ours(field));
        let otherwise_error = self.problem("price.otherwise");
        view! {
            <details class="chosen-operations" open=open>
                <summary>"Prices by operation"</summary>
                {datalist(LIST, &proposals.operations)}
                {whole.map(|text| view! { <p class="field-error" id="field-price.cells">{text}</p> })}
                <p class="field-hint">"An operation's price counts before its product's. The included units go to the first operations by name"</p>
                {rows}
                <TextField label="Everything else" name="plan[matrix][otherwise]" id="field-price.otherwise" value=otherwise error=otherwise_error hint="Price of a unit, as 0.001" inputmode="decimal" narrow=true autocomplete="off"/>
            </details>
        }
        .into_any()
    }

    fn cell(&self, index: usize, typed: &str) -> AnyView {
        let (what, price) = typed.split_once('\t').unwrap_or((typed, ""));
        let (what, price) = (what.to_owned(), price.to_owned());
        let field = |name: &str| format!("price.cells[{index}]{name}");
        let (what_field, what_error) = self.first_problem(&[field(".product"), field(".operation"), field("")]);
        let (price_field, price_error) = self.first_problem(&[field(".unit_price")]);
        let number = index + 1;
        view! {
            <FormRow>
                <TextField label=format!("Operation {number}") name="plan[matrix][what][]" id=field_id(&what_field) value=what error=what_error hint="product/operation, or a product alone" list=LIST mono=true autocomplete="off"/>
                <TextField label=format!("Operation {number}, price of a unit") name="plan[matrix][price][]" id=field_id(&price_field) value=price error=price_error inputmode="decimal" autocomplete="off"/>
            </FormRow>
        }
        .into_any()
    }

    /// The first of the fields that something is wrong with, and what; else the first.
    pub(super) fn first_problem(&self, fields: &[String]) -> (String, Option<String>) {
        let found = fields.iter().find_map(|field| Some((field.clone(), Some(self.problem(field)?))));
        found.unwrap_or_else(|| (fields.first().cloned().unwrap_or_default(), None))
    }
}

fn line(cell: &Cell) -> String {
    let what = match &cell.operation {
        Some(operation) => format!("{}/{operation}", cell.product),
        None => cell.product.clone(),
    };
    format!("{what}\t{}", cell.unit_price)
}
