//! The top of a page: where we are, what it is for, what can be done.

use super::{MaybeText, Slot};
use leptos::prelude::*;

/// The page's one `<h1>`. Children are its actions (buttons), on the right where there is room.
#[component]
pub fn PageHeader(
    #[prop(into)] title: String,
    /// One sentence.
    #[prop(optional, into)]
    description: MaybeText,
    /// Beside the title: a `Badge`.
    #[prop(optional, into)]
    beside: Slot,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    view! {
        <header class="page-header">
            <div class="page-header-text">
                <div class="page-header-title">
                    <h1>{title}</h1>
                    {beside.run()}
                </div>
                {description.map(|text| view! { <p class="page-header-description">{text}</p> })}
            </div>
            {children.map(|children| view! { <div class="page-header-actions">{children()}</div> })}
        </header>
    }
}

/// One step on the way here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crumb {
    pub label: String,
    pub href: String,
}

impl Crumb {
    pub fn new(label: impl Into<String>, href: impl Into<String>) -> Self {
        Self { label: label.into(), href: href.into() }
    }
}

/// The way here; `current` is this page and no link.
#[component]
pub fn Breadcrumbs(trail: Vec<Crumb>, #[prop(into)] current: String) -> impl IntoView {
    view! {
        <nav class="breadcrumbs" aria-label="Breadcrumb">
            <ol>
                {trail
                    .into_iter()
                    .map(|crumb| view! { <li><a href=crumb.href>{crumb.label}</a></li> })
                    .collect_view()}
                <li><span aria-current="page">{current}</span></li>
            </ol>
        </nav>
    }
}
