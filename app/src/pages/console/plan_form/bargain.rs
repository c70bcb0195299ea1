//! The plan form's fields about the least that a period costs, and what is taken off.

use super::Fields;
use crate::components::*;
use domain::{
    money::{Currency, Money},
    rating::discount::DiscountOn,
};
use leptos::prelude::*;

/// Rows that the form offers where there are fewer.
const ROWS: usize = 2;

impl Fields {
    /// Minimum, commitment and discounts, folded away until they are used.
    pub(super) fn bargain(&self) -> AnyView {
        let terms = self.terms.as_ref();
        let currency = terms.map_or(Currency::Usd, |terms| terms.currency);
        let amount =
            |micros: Option<i64>| micros.map_or(String::new(), |micros| Money::new(currency, micros).to_input());
        let own = terms.map(|terms| terms.minimum_micros).filter(|micros| *micros != 0);
        let minimum = self.typed("minimum", amount(own));
        let promised = terms.and_then(|terms| terms.commitment.as_ref());
        let commitment = self.typed("commitment.amount", amount(promised.map(|promised| promised.micros)));
        let steps = promised.map(|promised| promised.discounts.as_slice()).unwrap_or_default();
        let discounts = terms.map(|terms| terms.discounts.as_slice()).unwrap_or_default();
        let step_rows = (0..ROWS.max(steps.len() + 1)).map(|index| {
            let own = steps.get(index);
            let end = own.and_then(|step| step.up_to_micros).map(|micros| Money::new(currency, micros).to_input());
            self.step(index, end.unwrap_or_default(), own.map_or(String::new(), |step| step.percent.to_string()))
        });
        let step_rows = step_rows.collect_view();
        let discount_rows = (0..ROWS.max(discounts.len() + 1)).map(|index| {
            let own = discounts.get(index);
            let periods = own.and_then(|discount| discount.periods).map(|periods| periods.to_string());
            let own = own.map(|own| (own.name.clone(), own.percent.to_string(), own.on));
            let (name, percent, on) = own.unwrap_or_default();
            self.discount(index, [name, percent, on.code().to_owned(), periods.unwrap_or_default()])
        });
        let discount_rows = discount_rows.collect_view();
        let is_ours =
            |field: &str| field == "minimum" || ["commitment", "discounts"].iter().any(|part| field.starts_with(part));
        let problems = self.flash.problems_of(super::FORM);
        let open = !minimum.is_empty()
            || !commitment.is_empty()
            || !discounts.is_empty()
            || problems.iter().any(|(field, _)| is_ours(field));
        let (minimum_error, commitment_error) = (self.problem("minimum"), self.problem("commitment.amount"));
        view! {
            <details class="chosen-operations" open=open>
                <summary>"Minimum, commitment, discounts"</summary>
                <input type="hidden" name="plan[bargain][asked]" value="true"/>
                <FormRow>
                    <TextField label="Minimum" name="plan[bargain][minimum]" id="field-minimum" value=minimum error=minimum_error hint="Usage of a period costs at least that" inputmode="decimal" autocomplete="off"/>
                    <TextField label="Commitment" name="plan[bargain][commitment]" id="field-commitment.amount" value=commitment error=commitment_error hint="Usage that is promised for each period" inputmode="decimal" autocomplete="off"/>
                </FormRow>
                <fieldset class="field">
                    <legend>"Off the usage of whoever commits"</legend>
                    <p class="field-hint">"By the parts of the usage charges. Without a commitment: empty"</p>
                    {step_rows}
                </fieldset>
                <fieldset class="field">
                    <legend>"Discounts"</legend>
                    <p class="field-hint">"One after the other, each off what the one before left"</p>
                    {discount_rows}
                </fieldset>
            </details>
        }
        .into_any()
    }

    fn step(&self, index: usize, end: String, percent: String) -> AnyView {
        let (end_field, percent_field) =
            (format!("commitment.discounts[{index}].up_to"), format!("commitment.discounts[{index}].percent"));
        let (end, percent) = (self.typed(&end_field, end), self.typed(&percent_field, percent));
        let (end_error, percent_error) = (self.problem(&end_field), self.problem(&percent_field));
        let number = index + 1;
        view! {
            <FormRow>
                <TextField label=format!("Part {number}, up to") name="plan[bargain][committed_up_to][]" id=field_id(&end_field) value=end error=end_error hint="Empty in the last part" inputmode="decimal" autocomplete="off"/>
                <TextField label=format!("Part {number}, off") name="plan[bargain][committed_percent][]" id=field_id(&percent_field) value=percent error=percent_error suffix="%" inputmode="decimal" autocomplete="off"/>
            </FormRow>
        }
        .into_any()
    }

    /// Name, percentage, what it is taken off, and periods.
    fn discount(&self, index: usize, own: [String; 4]) -> AnyView {
        let fields = ["name", "percent", "on", "periods"].map(|field| format!("discounts[{index}].{field}"));
        let [name_error, percent_error, on_error, periods_error] = fields.each_ref().map(|field| self.problem(field));
        let [name_id, percent_id, on_id, periods_id] = fields.each_ref().map(|field| field_id(field));
        let mut own = own.into_iter();
        let [name, percent, on, periods] =
            fields.each_ref().map(|field| self.typed(field, own.next().unwrap_or_default()));
        let ons = vec![
            Choice::new(DiscountOn::Everything.code(), "Base fee and usage"),
            Choice::new(DiscountOn::BaseFee.code(), "The base fee"),
            Choice::new(DiscountOn::Usage.code(), "Usage"),
        ];
        let number = index + 1;
        view! {
            <FormRow>
                <TextField label=format!("Discount {number}") name="plan[bargain][name][]" id=name_id value=name error=name_error hint="For the invoice, as Launch offer" maxlength=100 autocomplete="off"/>
                <TextField label=format!("Discount {number}, off") name="plan[bargain][percent][]" id=percent_id value=percent error=percent_error suffix="%" inputmode="decimal" autocomplete="off"/>
                <SelectField label=format!("Discount {number} is taken off") name="plan[bargain][on][]" id=on_id choices=ons value=on error=on_error/>
                <TextField label=format!("Discount {number}, billing periods") name="plan[bargain][periods][]" id=periods_id value=periods error=periods_error hint="From a partner's first on. Empty: for good" inputmode="numeric" autocomplete="off"/>
            </FormRow>
        }
        .into_any()
    }
}
