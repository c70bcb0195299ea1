//! How it works: three steps to the first call, and what comes with it.

use crate::components::{Icon, IconName};
use leptos::prelude::*;

#[component]
pub fn Steps() -> impl IntoView {
    let steps = [
        ("Sign up", "Your company, your address, a password. Invite colleagues as developers, billing or viewers."),
        (
            "Take a key",
            "Every account starts with an app. Create a test key in it; it is shown once and works at once.",
        ),
        (
            "Call",
            "Copy the code of an operation in your language, or try it from its reference page. Usage shows the call within seconds.",
        ),
    ];
    let items = steps.into_iter().map(|(title, text)| view! { <li><h3>{title}</h3><p>{text}</p></li> }).collect_view();
    let comforts = [
        (
            IconName::Gauge,
            "Limits that you can see",
            "Each answer says how many calls are left and when there are more.",
        ),
        (
            IconName::Receipt,
            "A bill without surprises",
            "The usage page, the API and the invoice show the same number, to the unit.",
        ),
        (
            IconName::Key,
            "Keys that rotate",
            "A new key works beside the old one for as long as you need. Revoking takes a second.",
        ),
        (
            IconName::Shield,
            "Errors that explain themselves",
            "Each refusal has a code and a page with its cause and its cure.",
        ),
    ];
    let comforts = comforts.into_iter().map(|(icon, title, text)| {
        view! {
            <li>
                <Icon name=icon/>
                <div><h3>{title}</h3><p>{text}</p></div>
            </li>
        }
    });
    let comforts = comforts.collect_view();
    view! {
        <section class="landing-section" aria-labelledby="steps">
            <header class="landing-head">
                <h2 id="steps">"Three steps to the first call"</h2>
            </header>
            <ol class="landing-steps">{items}</ol>
            <ul class="landing-comforts">{comforts}</ul>
        </section>
    }
}
