//! Facts about one thing, and what happened to it.

use super::{MaybeText, Tone, figure::RelativeTime};
use jiff::Timestamp;
use leptos::prelude::*;

/// Names on the left, values on the right. Children are `Description`s.
#[component]
pub fn DescriptionList(children: Children) -> impl IntoView {
    view! { <dl class="description-list">{children()}</dl> }
}

/// One fact; children are the value.
#[component]
pub fn Description(#[prop(into)] label: String, children: Children) -> impl IntoView {
    view! {
        <div>
            <dt>{label}</dt>
            <dd>{children()}</dd>
        </div>
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    pub at: Timestamp,
    pub title: String,
    pub detail: Option<String>,
    pub tone: Tone,
}

/// What happened, newest first as given.
#[component]
pub fn Timeline(
    entries: Vec<TimelineEntry>,
    /// The moment that "ago" counts from.
    now: Timestamp,
) -> impl IntoView {
    let items = entries.into_iter().map(|entry| {
        let detail = MaybeText::from(entry.detail);
        view! {
            <li class=entry.tone.class()>
                <p class="timeline-title">{entry.title}</p>
                {detail.map(|detail| view! { <p class="timeline-detail">{detail}</p> })}
                <p class="timeline-time"><RelativeTime at=entry.at now /></p>
            </li>
        }
    });
    view! { <ol class="timeline">{items.collect_view()}</ol> }
}
