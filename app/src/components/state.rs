//! What stands where content would: nothing yet, something wrong, not here yet.

use super::{Icon, IconName, MaybeText};
use leptos::prelude::*;

/// Nothing yet: says what will appear. Children are the one next action.
#[component]
pub fn EmptyState(
    #[prop(into)] title: String,
    #[prop(into)] text: String,
    #[prop(default = IconName::Inbox)] icon: IconName,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    view! {
        <div class="state">
            <span class="state-icon"><Icon name=icon /></span>
            <h2>{title}</h2>
            <p>{text}</p>
            {children.map(|children| view! { <div class="state-actions">{children()}</div> })}
        </div>
    }
}

/// Something went wrong: what, and what to do. Children are the way out (try again, go back).
#[component]
pub fn ErrorState(
    #[prop(into)] title: String,
    #[prop(into)] text: String,
    /// For support; shown as `Request 0193…`.
    #[prop(optional, into)]
    request_id: MaybeText,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    view! {
        <div class="state state-error" role="alert">
            <span class="state-icon"><Icon name=IconName::Warning /></span>
            <h2>{title}</h2>
            <p>{text}</p>
            {request_id.map(|id| view! { <p class="state-request">"Request " <code>{id}</code></p> })}
            {children.map(|children| view! { <div class="state-actions">{children()}</div> })}
        </div>
    }
}

/// The shape of what is coming.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SkeletonKind {
    /// Lines of text.
    #[default]
    Text,
    /// Rows of a table.
    Table,
    /// A chart.
    Chart,
    /// A row of figures.
    Stats,
}

/// Grey shapes of the size of what is loading, so that nothing jumps. For `<Suspense fallback=…>`.
#[component]
pub fn Skeleton(
    #[prop(optional)] kind: SkeletonKind,
    /// How many lines, rows or figures.
    #[prop(default = 3)]
    count: usize,
) -> impl IntoView {
    let class = match kind {
        SkeletonKind::Text => "skeleton skeleton-text",
        SkeletonKind::Table => "skeleton skeleton-table",
        SkeletonKind::Chart => "skeleton skeleton-chart",
        SkeletonKind::Stats => "skeleton skeleton-stats",
    };
    let count = if kind == SkeletonKind::Chart { 1 } else { count };
    view! {
        <div class=class role="status">
            <span class="visually-hidden">"Loading"</span>
            {(0..count).map(|_| view! { <span class="skeleton-bar"></span> }).collect_view()}
        </div>
    }
}
