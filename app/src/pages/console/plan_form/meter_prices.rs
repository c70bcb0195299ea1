//! The plan form's fields about prices of meters.

use super::{Fields, Proposals, datalist};
use crate::{api::plans::meter_prices::written, components::*};
use domain::{plan::MeterPrice, rating::price::Price};
use leptos::prelude::*;

const LIST: &str = "priced-meters";

impl Fields {
    /// A part for each meter that has a price, and one more.
    pub(super) fn meter_prices(&self, proposals: &Proposals) -> AnyView {
        let own = self.terms.as_ref().map(|terms| terms.meters.as_slice()).unwrap_or_default();
        let own: Vec<String> = own.iter().map(line).collect();
        let typed = self.typed("meters", own.join("\n"));
        let typed: Vec<&str> = typed.lines().collect();
        let parts = (0..=typed.len()).map(|index| self.meter_price(index, typed.get(index).copied().unwrap_or("")));
        let parts = parts.collect_view();
        let whole = self.flash.problems_of(super::FORM).into_iter().find(|(field, _)| field == "meters");
        view! {
            <input type="hidden" name="plan[meters][asked]" value="true"/>
            {datalist(LIST, &proposals.meters)}
            {whole.map(|(_, text)| view! { <p class="field-error" id="field-meters">{text}</p> })}
            {parts}
        }
        .into_any()
    }

    fn meter_price(&self, index: usize, typed: &str) -> AnyView {
        let mut texts = typed.split('\t').map(str::to_owned);
        let [meter, model, included, price, size, steps, percent, unit_value, fixed, cap] =
            std::array::from_fn(|_| texts.next().unwrap_or_default());
        let place = format!("meters[{index}]");
        let field = |name: &str| format!("{place}.price.{name}");
        let (meter_field, meter_error) =
            self.first_problem(&[place.clone(), format!("{place}.product"), format!("{place}.meter")]);
        let (model_field, model_error) = self.first_problem(&[field("model")]);
        let (included_field, included_error) = self.first_problem(&[field("included")]);
        let (price_field, price_error) = self.first_problem(&[field("unit_price"), field("package_price")]);
        let (size_field, size_error) = self.first_problem(&[field("size")]);
        let (percent_field, percent_error) = self.first_problem(&[field("percent")]);
        let (value_field, value_error) = self.first_problem(&[field("unit_value")]);
        let (fixed_field, fixed_error) = self.first_problem(&[field("fixed")]);
        let (cap_field, cap_error) = self.first_problem(&[field("cap")]);
        // A step's problem names the step, and all of them are one text.
        let of_steps = field("steps");
        let in_steps = self.flash.problems_of(super::FORM).into_iter().find(|(name, _)| name.starts_with(&of_steps));
        let (steps_field, steps_error) = match in_steps {
            Some((name, text)) => (name, Some(text)),
            None => (of_steps, None),
        };
        let models = vec![
            Choice::new("per_unit", "Per unit"),
            Choice::new("graduated", "Graduated"),
            Choice::new("volume", "Volume"),
            Choice::new("package", "Package"),
            Choice::new("percentage", "Percentage"),
            Choice::new("free", "Free"),
        ];
        let begun = self.flash.any_problem(super::FORM, &place);
        let (open, title) = match meter.as_str() {
            "" => (begun, "Another meter".to_owned()),
            meter => (true, meter.to_owned()),
        };
        let name_of_group = title.clone();
        view! {
            <details class="chosen-operations" open=open role="group" aria-label=name_of_group>
                <summary>{title}</summary>
                <FormRow>
                    <TextField label="Meter" name="plan[meters][meter][]" id=field_id(&meter_field) value=meter error=meter_error hint="product/meter; empty: no price" list=LIST mono=true autocomplete="off"/>
                    <SelectField label="Model" name="plan[meters][model][]" id=field_id(&model_field) choices=models value=model error=model_error/>
                </FormRow>
                <FormRow>
                    <TextField label="Included" name="plan[meters][included][]" id=field_id(&included_field) value=included error=included_error hint="Free in each period" inputmode="numeric" autocomplete="off"/>
                    <TextField label="Price" name="plan[meters][price][]" id=field_id(&price_field) value=price error=price_error hint="Of each, or of a package" inputmode="decimal" autocomplete="off"/>
                    <TextField label="In a package" name="plan[meters][size][]" id=field_id(&size_field) value=size error=size_error hint="Package only" inputmode="numeric" autocomplete="off"/>
                </FormRow>
                <TextField label="Steps" name="plan[meters][steps][]" id=field_id(&steps_field) value=steps error=steps_error hint="Graduated and volume, as 1000: 0.01; 0.005. The last step has no end" mono=true autocomplete="off"/>
                <FormRow>
                    <TextField label="Percentage" name="plan[meters][percent][]" id=field_id(&percent_field) value=percent error=percent_error hint="Of what it adds up to" suffix="%" inputmode="decimal" autocomplete="off"/>
                    <TextField label="One is worth" name="plan[meters][unit_value][]" id=field_id(&value_field) value=unit_value error=value_error hint="0.01 where it counts cents" inputmode="decimal" autocomplete="off"/>
                    <TextField label="And for each call" name="plan[meters][fixed][]" id=field_id(&fixed_field) value=fixed error=fixed_error inputmode="decimal" autocomplete="off"/>
                    <TextField label="At most" name="plan[meters][cap][]" id=field_id(&cap_field) value=cap error=cap_error hint="For a period" inputmode="decimal" autocomplete="off"/>
                </FormRow>
            </details>
        }
        .into_any()
    }
}

/// As the form types them back: a text for each field.
fn line(own: &MeterPrice) -> String {
    let none = String::new;
    // Model, included, price, size, steps, percentage, value, fixed part, cap.
    let texts: [String; 9] = match &own.price {
        Price::PerUnit { included, unit_price } => [
            "per_unit".to_owned(),
            included.to_string(),
            unit_price.to_string(),
            none(),
            none(),
            none(),
            none(),
            none(),
            none(),
        ],
        Price::Package { included, size, package_price } => [
            "package".to_owned(),
            included.to_string(),
            package_price.to_string(),
            size.to_string(),
            none(),
            none(),
            none(),
            none(),
            none(),
        ],
        Price::Graduated { steps } | Price::Volume { steps } => {
            let model = if matches!(own.price, Price::Volume { .. }) { "volume" } else { "graduated" };
            [model.to_owned(), none(), none(), none(), written(steps), none(), none(), none(), none()]
        }
        Price::Percentage(own) => [
            "percentage".to_owned(),
            own.included.to_string(),
            none(),
            none(),
            none(),
            own.percent.to_string(),
            own.unit_value.to_string(),
            own.fixed.to_string(),
            own.cap.map_or_else(none, |cap| cap.to_string()),
        ],
        // Only units have a matrix.
        Price::Free | Price::Matrix { .. } => {
            std::array::from_fn(|place| if place == 0 { "free".to_owned() } else { none() })
        }
    };
    format!("{}/{}\t{}", own.product, own.meter, texts.join("\t"))
}
