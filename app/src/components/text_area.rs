//! Several lines of text.

use super::{
    MaybeText,
    field::{FieldIds, field_frame},
};
use leptos::prelude::*;

/// Several lines of text; grows with what is typed where the browser can.
#[component]
pub fn TextArea(
    #[prop(into)] label: String,
    #[prop(into)] name: String,
    #[prop(optional, into)] value: MaybeText,
    #[prop(optional, into)] hint: MaybeText,
    #[prop(optional, into)] error: MaybeText,
    #[prop(optional)] required: bool,
    #[prop(optional, into)] placeholder: MaybeText,
    /// Lines shown at first.
    #[prop(default = 4)]
    rows: u32,
    /// In the code face: for JSON, YAML, headers.
    #[prop(optional)]
    mono: bool,
    #[prop(optional, into)] id: MaybeText,
) -> impl IntoView {
    let ids = FieldIds::new(id, &name, &hint, &error);
    let area = view! {
        <textarea
            class=if mono { "input input-area input-mono" } else { "input input-area" }
            id=ids.id.clone()
            name=name
            rows=rows.to_string()
            required=required
            placeholder=placeholder.into_option()
            spellcheck=if mono { "false" } else { "true" }
            aria-describedby=ids.described_by
            aria-invalid=ids.invalid
        >
            {value.into_option().unwrap_or_default()}
        </textarea>
    };
    field_frame(&ids.id, label, hint, error, !required, area.into_any())
}
