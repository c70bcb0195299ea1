//! The plan form's fields about apps, keys, concurrency, pace and credit.

use super::{Fields, in_plan};
use crate::components::*;
use domain::policy::{Admission, Preset};
use leptos::prelude::*;

impl Fields {
    fn own(&self) -> Admission {
        self.terms.as_ref().map(|terms| terms.admission.clone()).unwrap_or_default()
    }

    fn number(&self, field: &str, own: Option<impl ToString>) -> String {
        self.typed(field, own.map_or(String::new(), |number| number.to_string()))
    }

    /// Limits for apps and keys, concurrency and pace, folded away until they are used.
    pub(super) fn admission(&self) -> AnyView {
        let own = self.own();
        let (apps, keys) = (
            self.limits("admission[app_limits]", &own.app_limits),
            self.limits("admission[key_limits]", &own.key_limits),
        );
        let concurrency = self.number("admission[concurrency]", own.concurrency.map(|one| one.calls));
        let pace = self.pace("admission[pace]", "How limits let calls through", own.limits.preset);
        let throttle = own.limits.throttle;
        let from = self.number("admission[throttle_from]", throttle.map(|one| u32::from(one.from_percent)));
        let delay = self.number("admission[throttle_delay_ms]", throttle.map(|one| one.max_delay_ms));
        let soft = self.typed("admission[soft]", own.limits.soft.to_string()) == "true";
        let errors = ["concurrency", "throttle_from", "throttle_delay_ms"]
            .map(|field| self.problem(&format!("admission[{field}]")));
        let open =
            own != Admission { credit: own.credit, ..Admission::default() } || errors.iter().any(Option::is_some);
        let [concurrency_error, from_error, delay_error] = errors;
        view! {
            <details class="chosen-operations" open=open>
                <summary>"Limits for apps and keys, calls at once, pace"</summary>
                <fieldset class="field"><legend>"Each app, in any sliding window"</legend>{apps}</fieldset>
                <fieldset class="field"><legend>"Each key, in any sliding window"</legend>{keys}</fieldset>
                <FormRow>
                    <TextField label="Calls at once" name="plan[admission][concurrency]" id="field-concurrency" value=concurrency error=concurrency_error hint="In flight, on each gateway" inputmode="numeric" autocomplete="off"/>
                    {pace}
                </FormRow>
                <FormRow>
                    <TextField label="Slow down from" name="plan[admission][throttle_from]" id="field-throttle_from" value=from error=from_error suffix="% of a limit" inputmode="numeric" autocomplete="off"/>
                    <TextField label="By up to" name="plan[admission][throttle_delay_ms]" id="field-throttle_delay_ms" value=delay error=delay_error suffix="milliseconds" inputmode="numeric" autocomplete="off"/>
                </FormRow>
                <CheckField label="Only tell: calls beyond a limit are served with a warning" name="plan[admission][soft]" id="field-soft" checked=soft/>
            </details>
        }
        .into_any()
    }

    /// Whether calls spend credit; how fast, what each period gives and what goes below zero are folded away until they are used.
    pub(super) fn credit(&self) -> AnyView {
        let own = self.own().credit;
        let required = self.typed("admission[credit]", own.required.to_string()) == "true";
        let pace = self.pace("admission[credit_pace]", "How credit is spent", own.preset);
        let a_minute = self.number("admission[credit_per_minute]", own.units_per_minute);
        let error = self.problem("admission[credit_per_minute]");
        let rollover = own.allotment.and_then(|allotment| allotment.rollover);
        let allotment = self.number("admission[allotment]", own.allotment.map(|allotment| allotment.units));
        let percent = self.number("admission[rollover_percent]", rollover.map(|rollover| rollover.percent));
        let cap = self.number("admission[rollover_cap]", rollover.and_then(|rollover| rollover.cap));
        let periods = self.number("admission[rollover_periods]", rollover.map(|rollover| rollover.periods));
        let wrong = |typed: &str, terms: &str| self.problem(typed).or_else(|| self.problem(terms));
        let wrong_units = wrong("admission[allotment]", "admission.credit.allotment.units");
        let wrong_percent = wrong("admission[rollover_percent]", "admission.credit.allotment.rollover.percent");
        let wrong_cap = wrong("admission[rollover_cap]", "admission.credit.allotment.rollover.cap");
        let wrong_periods = wrong("admission[rollover_periods]", "admission.credit.allotment.rollover.periods");
        let bonus = self.number("admission[fee_bonus]", own.fee_bonus.map(|bonus| bonus.units));
        let bonus_days = self.number("admission[fee_bonus_days]", own.fee_bonus.and_then(|bonus| bonus.valid_days));
        let wrong_bonus = wrong("admission[fee_bonus]", "admission.credit.fee_bonus.units");
        let wrong_days = wrong("admission[fee_bonus_days]", "admission.credit.fee_bonus.valid_days");
        let overdraft = self.number("admission[overdraft]", own.overdraft.map(|overdraft| overdraft.units));
        let price = own.overdraft.map(|overdraft| overdraft.unit_price.normalize());
        let overdraft_price = self.number("admission[overdraft_price]", price);
        let wrong_overdraft = wrong("admission[overdraft]", "admission.credit.overdraft.units");
        let wrong_price = wrong("admission[overdraft_price]", "admission.credit.overdraft.unit_price");
        let used = [&a_minute, &allotment, &percent, &cap, &periods, &bonus, &bonus_days, &overdraft, &overdraft_price];
        let of_units = [&wrong_units, &wrong_percent, &wrong_cap, &wrong_periods, &wrong_bonus, &wrong_days];
        let is_wrong = of_units.into_iter().chain([&error, &wrong_overdraft, &wrong_price]).any(Option::is_some);
        let open = is_wrong || used.iter().any(|value| !value.is_empty());
        let open =
            open || self.typed("admission[credit_pace]", own.preset.code().to_owned()) != Preset::default().code();
        view! {
            <CheckField label="Calls spend credit, and are refused when it is used up" name="plan[admission][credit]" id="field-credit" checked=required/>
            <details class="chosen-operations" open=open>
                <summary>"Pace, units that each period or its fee gives, below zero"</summary>
                <FormRow>
                    <TextField label="Spent at most" name="plan[admission][credit_per_minute]" id="field-credit_per_minute" value=a_minute error=error suffix="units a minute" hint="Empty: as fast as calls come" inputmode="numeric" autocomplete="off"/>
                    {pace}
                </FormRow>
                <FormRow>
                    <TextField label="Each period gives" name="plan[admission][allotment]" id="field-allotment" value=allotment error=wrong_units suffix="units" hint="Once at its beginning; they expire with it" inputmode="numeric" autocomplete="off"/>
                    <TextField label="Unused, carried over" name="plan[admission][rollover_percent]" id="field-rollover_percent" value=percent error=wrong_percent suffix="%" hint="Empty: nothing" inputmode="numeric" autocomplete="off"/>
                </FormRow>
                <FormRow>
                    <TextField label="Carried over at most" name="plan[admission][rollover_cap]" id="field-rollover_cap" value=cap error=wrong_cap suffix="units" hint="At a time. Empty: no limit" inputmode="numeric" autocomplete="off"/>
                    <TextField label="Carried over for" name="plan[admission][rollover_periods]" id="field-rollover_periods" value=periods error=wrong_periods suffix="periods" hint="Empty: one period" inputmode="numeric" autocomplete="off"/>
                </FormRow>
                <FormRow>
                    <TextField label="A fee in advance gives" name="plan[admission][fee_bonus]" id="field-fee_bonus" value=bonus error=wrong_bonus suffix="units" hint="A bonus, once its invoice is paid. Empty: none" inputmode="numeric" autocomplete="off"/>
                    <TextField label="Usable for" name="plan[admission][fee_bonus_days]" id="field-fee_bonus_days" value=bonus_days error=wrong_days suffix="days" hint="From the payment on. Empty: to the end of the period that was paid" inputmode="numeric" autocomplete="off"/>
                </FormRow>
                <FormRow>
                    <TextField label="Below zero, calls may take" name="plan[admission][overdraft]" id="field-overdraft" value=overdraft error=wrong_overdraft suffix="units" hint="Empty: never; what goes below zero all the same is owed to the next grant" inputmode="numeric" autocomplete="off"/>
                    <TextField label="Each of them costs" name="plan[admission][overdraft_price]" id="field-overdraft_price" value=overdraft_price error=wrong_price hint="In the plan\u{2019}s currency, on the invoice of the period" inputmode="decimal" autocomplete="off"/>
                </FormRow>
            </details>
        }
        .into_any()
    }

    fn pace(&self, field: &str, label: &'static str, own: Preset) -> AnyView {
        let value = self.typed(field, own.code().to_owned());
        let choices: Vec<Choice> = Preset::ALL.iter().map(|one| Choice::new(one.code(), one.describe())).collect();
        let id = format!("field-{}", field.replace(['[', ']'], "-"));
        view! { <SelectField label=label name=in_plan(field) id=id choices=choices value=value/> }.into_any()
    }
}
