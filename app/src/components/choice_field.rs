//! Choosing: a drop-down, a tick, or cards to compare.

use super::{
    FieldError, MaybeText,
    field::{FieldIds, field_frame},
};
use leptos::prelude::*;

/// One thing that can be chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// What the form sends.
    pub value: String,
    pub label: String,
    /// One line under the label; shown by `RadioCards` only.
    pub hint: Option<String>,
    /// On the right of a radio card: a price.
    pub aside: Option<String>,
    pub disabled: bool,
}

impl Choice {
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into(), ..Self::default() }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn aside(mut self, aside: impl Into<String>) -> Self {
        self.aside = Some(aside.into());
        self
    }

    pub fn disabled(mut self, disabled: bool) -> Self {
        self.disabled = disabled;
        self
    }
}

/// A drop-down. For up to five choices that need explaining use `RadioCards`.
#[component]
pub fn SelectField(
    #[prop(into)] label: String,
    #[prop(into)] name: String,
    choices: Vec<Choice>,
    /// The chosen value.
    #[prop(optional, into)]
    value: MaybeText,
    #[prop(optional, into)] hint: MaybeText,
    #[prop(optional, into)] error: MaybeText,
    #[prop(optional)] required: bool,
    /// A first choice with the empty value: `Any status`, `Choose a plan`.
    #[prop(optional, into)]
    blank: MaybeText,
    #[prop(optional, into)] id: MaybeText,
) -> impl IntoView {
    let ids = FieldIds::new(id, &name, &hint, &error);
    let chosen = value.into_option();
    let options = choices.into_iter().map(|choice| {
        let selected = chosen.as_deref() == Some(choice.value.as_str());
        view! {
            <option value=choice.value selected=selected disabled=choice.disabled>
                {choice.label}
            </option>
        }
    });
    let options = options.collect_view();
    let select = view! {
        <div class="select">
            <select
                class="input"
                id=ids.id.clone()
                name=name
                required=required
                aria-describedby=ids.described_by
                aria-invalid=ids.invalid
            >
                {blank.map(|blank| view! { <option value="">{blank}</option> })}
                {options}
            </select>
        </div>
    };
    // Something is always chosen, if only the blank choice, which says what it means.
    field_frame(&ids.id, label, hint, error, false, select.into_any())
}

/// One tick box; sends `name=value` when ticked (`value` is `true` unless told otherwise) and nothing when not.
#[component]
pub fn CheckField(
    #[prop(into)] label: String,
    #[prop(into)] name: String,
    #[prop(default = "true".to_owned(), into)] value: String,
    #[prop(optional)] checked: bool,
    #[prop(optional, into)] hint: MaybeText,
    #[prop(optional, into)] error: MaybeText,
    #[prop(optional)] required: bool,
    #[prop(optional)] disabled: bool,
    /// Needed where several boxes share a name.
    #[prop(optional, into)]
    id: MaybeText,
) -> impl IntoView {
    let ids = FieldIds::new(id, &name, &hint, &error);
    let hint_id = format!("{}-hint", ids.id);
    view! {
        <div class="check">
            <input
                type="checkbox"
                id=ids.id.clone()
                name=name
                value=value
                checked=checked
                required=required
                disabled=disabled
                aria-describedby=ids.described_by
                aria-invalid=ids.invalid
            />
            <div>
                <label for=ids.id.clone()>{label}</label>
                {hint.map(|hint| view! { <p class="field-hint" id=hint_id>{hint}</p> })}
                <FieldError id=ids.id message=error />
            </div>
        </div>
    }
}

/// One of a few, each explained.
#[component]
pub fn RadioCards(
    /// The question.
    #[prop(into)]
    legend: String,
    #[prop(into)] name: String,
    choices: Vec<Choice>,
    /// The chosen value.
    #[prop(optional, into)]
    value: MaybeText,
    #[prop(optional, into)] hint: MaybeText,
    #[prop(optional, into)] error: MaybeText,
    #[prop(optional)] required: bool,
    #[prop(optional, into)] id: MaybeText,
) -> impl IntoView {
    let ids = FieldIds::new(id, &name, &hint, &error);
    let hint_id = format!("{}-hint", ids.id);
    let chosen = value.into_option();
    let cards = choices.into_iter().enumerate().map(|(position, choice)| {
        // The first has the field's own id, so that an error summary's link lands on it.
        let id = if position == 0 { ids.id.clone() } else { format!("{}-{position}", ids.id) };
        let checked = chosen.as_deref() == Some(choice.value.as_str());
        let described_by = choice.hint.is_some().then(|| format!("{id}-about"));
        view! {
            <div class="radio-card">
                <input
                    type="radio"
                    id=id.clone()
                    name=name.clone()
                    value=choice.value
                    checked=checked
                    required=required
                    disabled=choice.disabled
                    aria-describedby=described_by.clone()
                />
                <label for=id>
                    <span class="radio-card-label">{choice.label}</span>
                    {choice.aside.map(|aside| view! { <span class="radio-card-aside">{aside}</span> })}
                    {choice.hint.map(|hint| view! { <span class="radio-card-hint" id=described_by>{hint}</span> })}
                </label>
            </div>
        }
    });
    let cards = cards.collect_view();
    view! {
        <fieldset class="field radio-cards" aria-describedby=ids.described_by>
            <legend>{legend}</legend>
            {hint.map(|hint| view! { <p class="field-hint" id=hint_id>{hint}</p> })}
            <div class="radio-cards-list">{cards}</div>
            <FieldError id=ids.id message=error />
        </fieldset>
    }
}
