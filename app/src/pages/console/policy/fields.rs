//! The fields of a policy form, named by their place in the policy.

use crate::{components::*, flash::Flash};
use leptos::prelude::*;

/// What was typed, or what the policy says.
pub(super) struct Fields {
    pub form: &'static str,
    pub flash: Flash,
}

impl Fields {
    pub(super) fn value(&self, field: &str, own: impl ToString) -> String {
        self.flash.typed(self.form, field, &own.to_string())
    }

    /// The value of a field that may be empty.
    pub(super) fn any<T: ToString>(&self, field: &str, own: Option<T>) -> String {
        self.value(field, own.map_or(String::new(), |own| own.to_string()))
    }

    pub(super) fn problem(&self, field: &str) -> Option<String> {
        self.flash.problem(self.form, field)
    }

    /// Whether anything is wrong with the fields whose names begin so.
    pub(super) fn any_problem(&self, beginning: &str) -> bool {
        self.flash.any_problem(self.form, beginning)
    }

    pub(super) fn text(&self, field: &str, label: &str, value: String, hint: &str) -> AnyView {
        let (name, id, error) = (name(field), id(field), self.problem(field));
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        view! { <TextField label=label.to_owned() name=name id=id value=value error=error hint=hint mono=true autocomplete="off"/> }
            .into_any()
    }

    pub(super) fn number(&self, field: &str, label: &str, value: String, suffix: &str, hint: &str) -> AnyView {
        let (name, id, error) = (name(field), id(field), self.problem(field));
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        let suffix = (!suffix.is_empty()).then(|| suffix.to_owned());
        view! {
            <TextField label=label.to_owned() name=name id=id value=value error=error hint=hint suffix=suffix inputmode="numeric" autocomplete="off"/>
        }
        .into_any()
    }

    pub(super) fn lines(&self, field: &str, label: &str, value: String, hint: &str) -> AnyView {
        let (name, id, error) = (name(field), id(field), self.problem(field));
        view! { <TextArea label=label.to_owned() name=name id=id value=value error=error hint=hint.to_owned() rows=3 mono=true/> }
            .into_any()
    }

    pub(super) fn choice(&self, field: &str, label: &str, value: String, choices: &[(&str, &str)]) -> AnyView {
        let (name, id, error) = (name(field), id(field), self.problem(field));
        let choices = choices.iter().map(|(value, label)| Choice::new(*value, *label)).collect();
        view! { <SelectField label=label.to_owned() name=name id=id choices=choices value=value error=error/> }
            .into_any()
    }

    pub(super) fn tick(&self, field: &str, label: &str, own: bool) -> AnyView {
        // A box that is not ticked is not sent, so once the form was sent only what was typed counts.
        let sent = self.flash.form == self.form && !self.flash.typed.is_empty();
        let checked = if sent { self.value(field, "") == "true" } else { own };
        view! { <CheckField label=label.to_owned() name=name(field) id=id(field) checked=checked/> }.into_any()
    }
}

fn name(field: &str) -> String {
    format!("policy[{field}]")
}

fn id(field: &str) -> String {
    format!("field-{field}")
}
