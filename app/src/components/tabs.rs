//! Moving between parts of one thing, and between pages of a list. Both are links: the address says where you are.

use super::{Icon, IconName, MaybeText};
use leptos::prelude::*;

/// One tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tab {
    pub label: String,
    pub href: String,
    /// Beside the label.
    pub count: Option<u64>,
}

impl Tab {
    pub fn new(label: impl Into<String>, href: impl Into<String>) -> Self {
        Self { label: label.into(), href: href.into(), count: None }
    }

    pub fn count(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }
}

/// A row of links, the current one marked.
#[component]
pub fn Tabs(
    /// What the tabs are parts of.
    #[prop(into)]
    label: String,
    tabs: Vec<Tab>,
    /// The current tab's `href`.
    #[prop(into)]
    current: String,
) -> impl IntoView {
    let items = tabs.into_iter().map(|tab| {
        let here = (tab.href == current).then_some("page");
        view! {
            <li>
                <a href=tab.href aria-current=here>
                    {tab.label}
                    {tab.count.map(|count| view! { <span class="tab-count">{count}</span> })}
                </a>
            </li>
        }
    });
    view! {
        <nav class="tabs" aria-label=label>
            <ul>{items.collect_view()}</ul>
        </nav>
    }
}

/// Earlier and later by keyset: a link each, where there is more. Nothing where all is on one page.
#[component]
pub fn Pagination(
    /// The address of the page before; nothing at the start.
    #[prop(optional, into)]
    previous: MaybeText,
    /// The address of the page after; nothing at the end.
    #[prop(optional, into)]
    next: MaybeText,
    /// What is shown: `Newest 50 requests`.
    #[prop(optional, into)]
    summary: MaybeText,
    /// For screen readers, where a page has several.
    #[prop(default = "Pages".to_owned(), into)]
    label: String,
) -> impl IntoView {
    let (previous, next) = (previous.into_option(), next.into_option());
    let more = previous.is_some() || next.is_some();
    if !more && !summary.is_some() {
        return None;
    }
    let step = |href: Option<String>, word: &'static str, rel: &'static str, forward: bool| {
        let arrow = if forward { IconName::ChevronRight } else { IconName::ChevronLeft };
        let face = move || {
            let icon = view! { <Icon name=arrow /> };
            if forward { (word, icon).into_any() } else { (icon, word).into_any() }
        };
        match href {
            Some(href) => {
                view! { <a class="button button-secondary button-small" href=href rel=rel>{face()}</a> }.into_any()
            }
            None => view! { <span class="button button-secondary button-small" aria-disabled="true">{face()}</span> }
                .into_any(),
        }
    };
    let steps = more.then(|| {
        view! {
            <div class="pagination-steps">
                {step(previous, "Previous", "prev", false)} {step(next, "Next", "next", true)}
            </div>
        }
    });
    Some(view! {
        <nav class="pagination" aria-label=label>
            {summary.map(|text| view! { <p>{text}</p> })}
            {steps}
        </nav>
    })
}
