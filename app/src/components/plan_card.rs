//! One tier of the price list.

use super::{Badge, Icon, IconName, MaybeText, Tone};
use leptos::prelude::*;

/// Prices of meters that are seen at once.
const MOST_SEEN: usize = 8;

/// Plans side by side.
#[component]
pub fn PlanGrid(children: Children) -> impl IntoView {
    view! { <div class="plan-grid">{children()}</div> }
}

/// One plan: name, price, what it includes. Children are its one action.
#[component]
pub fn PlanCard(
    #[prop(into)] name: String,
    #[prop(optional, into)] description: MaybeText,
    /// `$49`, `Free`, `Talk to us`.
    #[prop(into)]
    price: String,
    /// `per month`, and what comes on top: `per month, then $0.002 a call`.
    #[prop(optional, into)]
    price_note: MaybeText,
    /// What it includes, a line each.
    features: Vec<String>,
    /// What meters cost, a line each; many are folded.
    #[prop(optional)]
    mut prices: Vec<String>,
    /// The one we would recommend.
    #[prop(optional)]
    highlighted: bool,
    /// The one that the partner is on.
    #[prop(optional)]
    current: bool,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    // One line is as long as the words that would stand for it.
    let rest = if prices.len() > MOST_SEEN + 1 { prices.split_off(MOST_SEEN) } else { Vec::new() };
    let more = (!rest.is_empty()).then(|| {
        let summary = view! {
            {rest.len()}
            " more prices"
            <span class="visually-hidden">{format!(" of {name}")}</span>
        };
        view! {
            <details class="plan-more">
                <summary>{summary}</summary>
                {listed(rest)}
            </details>
        }
    });
    let class = if highlighted { "plan-card plan-highlighted" } else { "plan-card" };
    let label = name.clone();
    view! {
        <section class=class aria-label=label>
            <header>
                <h2>{name}</h2>
                {current.then(|| view! { <Badge text="Your plan" tone=Tone::Success /> })}
            </header>
            <p class="plan-description">{description.into_option()}</p>
            <p class="plan-price">
                <strong>{price}</strong>
                {price_note.map(|note| view! { <span>{note}</span> })}
            </p>
            {children.map(|children| view! { <div class="plan-action">{children()}</div> })}
            <div class="plan-lists">{listed(features)} {(!prices.is_empty()).then(|| listed(prices))} {more}</div>
        </section>
    }
}

fn listed(features: Vec<String>) -> impl IntoView {
    let items = features.into_iter().map(|feature| {
        view! {
            <li>
                <Icon name=IconName::Check />
                <span>{feature}</span>
            </li>
        }
    });
    view! { <ul class="plan-features">{items.collect_view()}</ul> }
}
