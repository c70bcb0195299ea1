//! Messages to the person: beside content, and after an action.

use super::{Icon, IconName, MaybeText, Tone};
use leptos::prelude::*;

const fn icon_of(tone: Tone) -> IconName {
    match tone {
        Tone::Neutral | Tone::Info => IconName::Info,
        Tone::Success => IconName::Success,
        Tone::Warning => IconName::Warning,
        Tone::Danger => IconName::Failure,
    }
}

const fn role_of(tone: Tone) -> &'static str {
    match tone {
        Tone::Danger => "alert",
        _ => "status",
    }
}

/// A message in the page. Children are its text (and links or buttons).
#[component]
pub fn Notice(
    #[prop(optional)] tone: Tone,
    #[prop(optional, into)] title: MaybeText,
    children: Children,
) -> impl IntoView {
    view! {
        <div class=format!("notice {}", tone.class()) role=role_of(tone)>
            <Icon name=icon_of(tone) />
            <div class="notice-text">
                {title.map(|title| view! { <p class="notice-title">{title}</p> })}
                <div>{children()}</div>
            </div>
        </div>
    }
}

/// Where `Toast`s stand: once, at the end of a page's shell.
#[component]
pub fn ToastRegion(children: Children) -> impl IntoView {
    view! { <div class="toast-region">{children()}</div> }
}

/// What just happened, after a redirect. Fades by itself unless it is an error; closes without script too.
#[component]
pub fn Toast(#[prop(optional)] tone: Tone, #[prop(into)] text: String) -> impl IntoView {
    view! {
        <details open class=format!("toast {}", tone.class())>
            <summary title="Close">
                <Icon name=IconName::Close />
                <span class="visually-hidden">"Close this message"</span>
            </summary>
            <p role=role_of(tone)>
                <Icon name=icon_of(tone) />
                <span>{text}</span>
            </p>
        </details>
    }
}
