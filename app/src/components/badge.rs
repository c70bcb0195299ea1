//! Small words with a colour: states, methods, environments. The word says it; the colour only helps.

use super::Tone;
use leptos::prelude::*;

/// A state in one or two words.
#[component]
pub fn Badge(#[prop(into)] text: String, #[prop(optional)] tone: Tone) -> impl IntoView {
    view! { <span class=format!("badge {}", tone.class())>{text}</span> }
}

/// An HTTP method, in the same width for all so that paths line up.
#[component]
pub fn MethodBadge(
    /// Any case.
    #[prop(into)]
    method: String,
) -> impl IntoView {
    let method = method.to_ascii_uppercase();
    let class = match method.as_str() {
        "GET" | "HEAD" | "OPTIONS" => "method method-get",
        "POST" => "method method-post",
        "PUT" | "PATCH" => "method method-put",
        "DELETE" => "method method-delete",
        _ => "method",
    };
    let shown = if method == "DELETE" { "DEL".to_owned() } else { method.clone() };
    view! { <abbr class=class title=method>{shown}</abbr> }
}

/// A method and its path on one line; a long path breaks under itself.
#[component]
pub fn CallPath(
    /// Any case.
    #[prop(into)]
    method: String,
    #[prop(into)] path: String,
) -> impl IntoView {
    view! {
        <span class="call-path">
            <MethodBadge method/>
            <code>{path}</code>
        </span>
    }
}

/// An HTTP status code, coloured by its class.
#[component]
pub fn StatusCode(code: u16) -> impl IntoView {
    let tone = match code {
        200..=299 => Tone::Success,
        300..=399 => Tone::Info,
        400..=499 => Tone::Warning,
        500..=599 => Tone::Danger,
        _ => Tone::Neutral,
    };
    view! { <span class=format!("badge badge-code {}", tone.class())>{code}</span> }
}

/// Test or live; live is the one that costs money.
#[component]
pub fn EnvironmentBadge(live: bool) -> impl IntoView {
    let (text, tone) = if live { ("Live", Tone::Success) } else { ("Test", Tone::Warning) };
    view! { <Badge text tone /> }
}
