//! A bordered area with a heading.

use super::{MaybeText, Slot};
use leptos::prelude::*;

/// A section of a page. `actions` (a view) stand right of the title; `flush` lets a table reach the edges.
#[component]
pub fn Card(
    /// Its `<h2>`.
    #[prop(optional, into)]
    title: MaybeText,
    #[prop(optional, into)] description: MaybeText,
    #[prop(optional, into)] actions: Slot,
    /// No padding around the children: for tables and lists.
    #[prop(optional)]
    flush: bool,
    /// For links to `#id`.
    #[prop(optional, into)]
    id: MaybeText,
    children: Children,
) -> impl IntoView {
    let header = title.map(|title| {
        view! {
            <header class="card-header">
                <div>
                    <h2>{title}</h2>
                    {description.map(|text| view! { <p>{text}</p> })}
                </div>
                {actions.map(|actions| view! { <div class="card-actions">{actions}</div> })}
            </header>
        }
    });
    view! {
        <section class="card" id=id.into_option()>
            {header}
            <div class=if flush { "card-body card-flush" } else { "card-body" }>{children()}</div>
        </section>
    }
}
