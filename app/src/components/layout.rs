//! Where things stand: below each other, beside each other, in columns. No colours here.

use super::Slot;
use leptos::prelude::*;

/// Below each other with even space.
#[component]
pub fn Stack(
    /// Closer together.
    #[prop(optional)]
    tight: bool,
    children: Children,
) -> impl IntoView {
    view! { <div class=if tight { "stack stack-tight" } else { "stack" }>{children()}</div> }
}

/// In a row that wraps: buttons, badges.
#[component]
pub fn Cluster(
    /// First to the left, last to the right.
    #[prop(optional)]
    spread: bool,
    children: Children,
) -> impl IntoView {
    view! { <div class=if spread { "cluster cluster-spread" } else { "cluster" }>{children()}</div> }
}

/// Cards in columns of equal width, as many as there is room for.
#[component]
pub fn Columns(children: Children) -> impl IntoView {
    view! { <div class="columns">{children()}</div> }
}

/// A main part and a narrower one beside it (below it on a narrow screen).
#[component]
pub fn Split(
    /// The narrower part.
    #[prop(into)]
    aside: Slot,
    children: Children,
) -> impl IntoView {
    view! {
        <div class="split">
            <div class="stack">{children()}</div>
            <aside class="stack">{aside.run()}</aside>
        </div>
    }
}

/// A reference page: its own list of links on the left (folded on a narrow screen), the text in the middle.
#[component]
pub fn DocsLayout(
    /// Links: a `<ul>` of `<a>`, the current one with `aria-current="page"`.
    #[prop(into)]
    contents: Slot,
    /// What the links are: the product's name.
    #[prop(into)]
    label: String,
    children: Children,
) -> impl IntoView {
    view! {
        <div class="docs">
            <details class="docs-contents">
                <summary>{label.clone()}</summary>
                <nav aria-label=label>{contents.run()}</nav>
            </details>
            <article class="docs-text">{children()}</article>
        </div>
    }
}

/// One operation of a reference: words on the left, code on the right (below on a narrow screen).
#[component]
pub fn Operation(
    /// For links to `#id`.
    #[prop(into)]
    id: String,
    /// The code: samples, responses, try it.
    #[prop(into)]
    code: Slot,
    children: Children,
) -> impl IntoView {
    view! {
        <section class="operation" id=id>
            <div class="operation-text prose">{children()}</div>
            <div class="operation-code">{code.run()}</div>
        </section>
    }
}

/// Text to read, of a width to read it in: paragraphs, lists, headings from Markdown.
#[component]
pub fn Prose(children: Children) -> impl IntoView {
    view! { <div class="prose">{children()}</div> }
}
