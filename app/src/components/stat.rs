//! Figures at the top of a page.

use super::{MaybeText, Tone};
use leptos::prelude::*;

/// A row of `Stat`s that wraps.
#[component]
pub fn StatGrid(children: Children) -> impl IntoView {
    view! { <dl class="stat-grid">{children()}</dl> }
}

/// One figure with its name. Put inside a `StatGrid`.
#[component]
pub fn Stat(
    #[prop(into)] label: String,
    /// Formatted: `1,204`, `$49.00`.
    #[prop(into)]
    figure: String,
    /// How it changed: `+12 % on last week`.
    #[prop(optional, into)]
    delta: MaybeText,
    /// What the change means (up is not always good).
    #[prop(optional)]
    tone: Tone,
    /// What it counts: `of 10,000 this month`.
    #[prop(optional, into)]
    hint: MaybeText,
    /// Under the figure: a `Sparkline` or a `Meter`.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    view! {
        <div class="stat">
            <dt>{label}</dt>
            <dd class="stat-figure">{figure}</dd>
            {delta.map(|text| view! { <dd class=format!("stat-delta {}", tone.class())>{text}</dd> })}
            {hint.map(|text| view! { <dd class="stat-hint">{text}</dd> })}
            {children.map(|children| view! { <dd class="stat-extra">{children()}</dd> })}
        </div>
    }
}
