//! Copies a text to the clipboard: the one thing here that needs the browser's help.

use super::{Icon, IconName};
use leptos::prelude::*;

/// A small button that copies `text`, or the text of the element whose id is `target` (for secrets, so that they stand
/// in the page once), and says so. Hidden where scripts are off.
#[component]
pub fn CopyButton(
    /// The text itself.
    #[prop(optional, into)]
    text: String,
    /// Or the id of the element that holds it.
    #[prop(optional, into)]
    target: String,
    /// What is copied, for screen readers: `Copy key`.
    #[prop(default = "Copy".to_owned(), into)]
    label: String,
) -> impl IntoView {
    view! { <CopyIsland text target label /> }
}

/// The part of `CopyButton` that runs in the browser.
#[island]
pub fn CopyIsland(text: String, target: String, label: String) -> impl IntoView {
    // Whether the last attempt worked; nothing a moment later.
    let (copied, set_copied) = signal(None);
    let press = move |_| copy(&text, &target, set_copied);
    let face = move || match copied.get() {
        None => view! { <Icon name=IconName::Copy /> },
        Some(true) => view! { <Icon name=IconName::Check /> },
        Some(false) => view! { <Icon name=IconName::Warning /> },
    };
    let said = move || {
        copied.get().map(|worked| {
            let text = if worked { "Copied" } else { "Select the text and copy it by hand" };
            view! { <span class="copy-said">{text}</span> }
        })
    };
    let title = label.clone();
    view! {
        <span class="copy">
            <button type="button" class="icon-button copy-button" title=title on:click=press>
                {face}
                <span class="visually-hidden">{label}</span>
            </button>
            <span role="status">{said}</span>
        </span>
    }
}

#[cfg(feature = "hydrate")]
fn copy(text: &str, target: &str, say: WriteSignal<Option<bool>>) {
    use std::time::Duration;
    let text = if target.is_empty() {
        Some(text.to_owned())
    } else {
        document().get_element_by_id(target).and_then(|element| element.text_content())
    };
    // Outside of https and localhost there is no clipboard to ask.
    let Some(text) = text.filter(|_| window().is_secure_context()) else {
        say.set(Some(false));
        return;
    };
    leptos::task::spawn_local(async move {
        let written = wasm_bindgen_futures::JsFuture::from(window().navigator().clipboard().write_text(&text)).await;
        say.set(Some(written.is_ok()));
        let _ = set_timeout(move || say.set(None), Duration::from_secs(2));
    });
}

#[cfg(not(feature = "hydrate"))]
fn copy(_text: &str, _target: &str, _say: WriteSignal<Option<bool>>) {}
