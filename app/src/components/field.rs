//! What every form field has: a label, a hint, an error, and the ties between them for screen readers.

use super::{Icon, IconName, MaybeText};
use leptos::prelude::*;

/// The ids of one field and what describes it.
pub(super) struct FieldIds {
    pub id: String,
    /// For `aria-describedby`: the hint and the error, where there are any.
    pub described_by: Option<String>,
    /// For `aria-invalid`.
    pub invalid: Option<&'static str>,
}

impl FieldIds {
    pub fn new(id: MaybeText, name: &str, hint: &MaybeText, error: &MaybeText) -> Self {
        let id = id.unwrap_or(&field_id(name));
        let hint_id = hint.is_some().then(|| format!("{id}-hint"));
        let error_id = error.is_some().then(|| format!("{id}-error"));
        let ids: Vec<String> = [hint_id, error_id].into_iter().flatten().collect();
        Self { id, described_by: (!ids.is_empty()).then(|| ids.join(" ")), invalid: error.is_some().then_some("true") }
    }
}

/// The id that a field of this name has unless told otherwise: what an `ErrorSummary` links to.
pub fn field_id(name: &str) -> String {
    format!("field-{name}")
}

/// Label, hint, error and the control between them.
pub(super) fn field_frame(
    id: &str,
    label: String,
    hint: MaybeText,
    error: MaybeText,
    optional: bool,
    control: AnyView,
) -> impl IntoView + use<> {
    let hint_id = format!("{id}-hint");
    let class = if error.is_some() { "field field-invalid" } else { "field" };
    view! {
        <div class=class>
            <label for=id.to_owned()>
                {label} {optional.then(|| view! { <span class="field-optional">" optional"</span> })}
            </label>
            {hint.map(|hint| view! { <p class="field-hint" id=hint_id>{hint}</p> })}
            {control}
            <FieldError id=id message=error />
        </div>
    }
}

/// The error under a field, if there is one. Fields show it themselves; use it for controls of your own.
#[component]
pub fn FieldError(
    /// The control's id.
    #[prop(into)]
    id: String,
    #[prop(into)] message: MaybeText,
) -> impl IntoView {
    message.map(|message| {
        view! {
            <p class="field-error" id=format!("{id}-error")>
                <Icon name=IconName::Failure />
                <span>{message}</span>
            </p>
        }
    })
}
