//! A secret that is shown this once.

use super::{CopyButton, Icon, IconName};
use leptos::prelude::*;

/// A new key or token with a button to copy it, and the warning that it is not shown again.
#[component]
pub fn Secret(
    /// What it is: `Your live key`.
    #[prop(into)]
    label: String,
    #[prop(into)] value: String,
    /// Unique on the page.
    #[prop(default = "secret".to_owned(), into)]
    id: String,
) -> impl IntoView {
    let copy_label = format!("Copy {}", label.to_lowercase());
    view! {
        <div class="secret">
            <p class="secret-label">{label}</p>
            <div class="secret-value">
                <code id=id.clone() tabindex="0">
                    {value}
                </code>
                <CopyButton target=id label=copy_label />
            </div>
            <p class="secret-warning">
                <Icon name=IconName::Warning />
                <span>"Copy it now and keep it safe. We keep only a hash, so it cannot be shown again."</span>
            </p>
        </div>
    }
}

/// A key that exists, by its visible beginning: `tp_live_4fQz…`.
#[component]
pub fn KeyHint(#[prop(into)] start: String) -> impl IntoView {
    view! { <code class="key-hint">{start}"…"</code> }
}
