//! One line of text: plain, e-mail, number, password.

use super::{
    MaybeText,
    field::{FieldIds, field_frame},
};
use leptos::prelude::*;

/// One line of text.
#[component]
pub fn TextField(
    #[prop(into)] label: String,
    #[prop(into)] name: String,
    #[prop(optional, into)] value: MaybeText,
    #[prop(optional, into)] hint: MaybeText,
    #[prop(optional, into)] error: MaybeText,
    /// Fields that are not required say "optional" beside the label.
    #[prop(optional)]
    required: bool,
    /// The WHATWG autofill name: `email`, `organization`, `name`, `off`.
    #[prop(optional, into)]
    autocomplete: MaybeText,
    /// The input's `type`: `text` (default), `email`, `url`, `number`, `search`, `date`, `datetime-local`.
    #[prop(default = "text".to_owned(), into)]
    kind: String,
    /// `numeric`, `decimal`: which keyboard a phone shows.
    #[prop(optional, into)]
    inputmode: MaybeText,
    #[prop(optional, into)] placeholder: MaybeText,
    #[prop(optional)] maxlength: Option<u32>,
    /// The id of a `datalist` with what is proposed.
    #[prop(optional, into)]
    list: MaybeText,
    /// Before the input: `$`, `https://`.
    #[prop(optional, into)]
    prefix: MaybeText,
    /// After the input: `calls`, `per month`.
    #[prop(optional, into)]
    suffix: MaybeText,
    /// In the code face: for keys, paths and URLs.
    #[prop(optional)]
    mono: bool,
    /// Only as wide as a figure needs.
    #[prop(optional)]
    narrow: bool,
    #[prop(optional)] readonly: bool,
    #[prop(optional)] autofocus: bool,
    #[prop(optional, into)] id: MaybeText,
) -> impl IntoView {
    let ids = FieldIds::new(id, &name, &hint, &error);
    let mut class = String::from("input");
    if mono {
        class.push_str(" input-mono");
    }
    if narrow {
        class.push_str(" input-narrow");
    }
    let input = view! {
        <input
            class=class
            id=ids.id.clone()
            name=name
            type=kind
            value=value.into_option()
            required=required
            readonly=readonly
            autofocus=autofocus
            autocomplete=autocomplete.into_option()
            inputmode=inputmode.into_option()
            placeholder=placeholder.into_option()
            maxlength=maxlength.map(|length| length.to_string())
            list=list.into_option()
            aria-describedby=ids.described_by
            aria-invalid=ids.invalid
        />
    };
    let control = if prefix.is_some() || suffix.is_some() {
        view! {
            <div class="input-group">
                {prefix.map(|text| view! { <span class="input-affix">{text}</span> })} {input}
                {suffix.map(|text| view! { <span class="input-affix">{text}</span> })}
            </div>
        }
        .into_any()
    } else {
        input.into_any()
    };
    field_frame(&ids.id, label, hint, error, !required && !readonly, control)
}

/// A password; never filled in by the server. `new` is for choosing one (and lets password managers offer one).
#[component]
pub fn PasswordField(
    #[prop(default = "Password".to_owned(), into)] label: String,
    #[prop(default = "password".to_owned(), into)] name: String,
    #[prop(optional, into)] hint: MaybeText,
    #[prop(optional, into)] error: MaybeText,
    #[prop(optional)] new: bool,
    #[prop(optional, into)] id: MaybeText,
) -> impl IntoView {
    let ids = FieldIds::new(id, &name, &hint, &error);
    let input = view! {
        <input
            class="input"
            id=ids.id.clone()
            name=name
            type="password"
            required=true
            minlength=new.then_some("8")
            autocomplete=if new { "new-password" } else { "current-password" }
            aria-describedby=ids.described_by
            aria-invalid=ids.invalid
        />
    };
    field_frame(&ids.id, label, hint, error, false, input.into_any())
}
