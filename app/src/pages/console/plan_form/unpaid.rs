//! The plan form's fields about invoices that stay unpaid.

use super::Fields;
use crate::components::*;
use domain::money::Money;
use leptos::prelude::*;

impl Fields {
    /// Days, lowered limits and the smallest invoice that counts; folded away until they are used.
    pub(super) fn unpaid(&self) -> AnyView {
        let own = self.terms.as_ref().and_then(|terms| terms.unpaid.clone());
        let number =
            |field: &str, own: Option<String>| self.typed(&format!("unpaid[{field}]"), own.unwrap_or_default());
        let grace = number("grace_days", own.as_ref().map(|own| own.grace_days.to_string()));
        let limited = number("limited_days", own.as_ref().map(|own| own.limited_days.to_string()));
        let percent =
            number("limited_percent", own.as_ref().and_then(|own| own.limited_percent).map(|own| own.to_string()));
        let smallest = own.as_ref().zip(self.terms.as_ref()).filter(|(own, _)| own.minimum_micros > 0);
        let smallest = smallest
            .map(|(own, terms)| Money::new(terms.currency, own.minimum_micros).to_decimal().normalize().to_string());
        let minimum = number("minimum", smallest);
        let problem = |field: &str| {
            self.problem(&format!("unpaid[{field}]")).or_else(|| self.problem(&format!("unpaid.{field}")))
        };
        let errors = ["grace_days", "limited_days", "limited_percent", "minimum"].map(problem);
        let whole = self.problem("unpaid");
        let open = own.is_some() || whole.is_some() || errors.iter().any(Option::is_some);
        let [grace_error, limited_error, percent_error, minimum_error] = errors;
        let limits = self.limits("unpaid[limited_limits]", own.as_ref().map_or(&[], |own| &own.limited_limits));
        view! {
            <details class="chosen-operations" open=open>
                <summary>"When an invoice stays unpaid"</summary>
                {whole.map(|text| view! { <p class="field-error" id="field-unpaid">{text}</p> })}
                <FormRow>
                    <TextField label="Overdue, nothing else" name="plan[unpaid][grace_days]" id="field-unpaid-grace_days" value=grace error=grace_error suffix="days" inputmode="numeric" autocomplete="off"/>
                    <TextField label="Then with lowered limits" name="plan[unpaid][limited_days]" id="field-unpaid-limited_days" value=limited error=limited_error suffix="days" hint="Then calls are refused" inputmode="numeric" autocomplete="off"/>
                </FormRow>
                <FormRow>
                    <TextField label="Lowered to" name="plan[unpaid][limited_percent]" id="field-unpaid-limited_percent" value=percent error=percent_error suffix="% of each limit" inputmode="numeric" autocomplete="off"/>
                    <TextField label="Smallest invoice that counts" name="plan[unpaid][minimum]" id="field-unpaid-minimum" value=minimum error=minimum_error inputmode="decimal" autocomplete="off"/>
                </FormRow>
                <fieldset class="field"><legend>"And to at most, for the partner, in any sliding window"</legend>{limits}</fieldset>
            </details>
        }
        .into_any()
    }
}
