//! The tiers side by side, one aspect a row.

use super::{Tier, names::Names, offers, tier};
use crate::components::{Cell, Column, DataTable};
use jiff::civil::Date;
use leptos::prelude::*;
use store::ProductLine;

/// What a tier says to one aspect, a line each.
type Words = Box<dyn Fn(&Tier) -> Vec<String>>;

#[component]
pub fn Comparison(tiers: Vec<Tier>, products: Vec<ProductLine>, names: Names, today: Date) -> impl IntoView {
    if tiers.len() < 2 {
        return None;
    }
    let mut columns = vec![Column::text("Compared")];
    columns.extend(tiers.iter().map(|tier| Column::text(tier.name.clone())));
    let of_offers = names.clone();
    let aspects: Vec<(&str, Words)> = vec![
        ("Base fee", Box::new(|tier| vec![tier::price(&tier.terms)])),
        ("Offers", Box::new(move |tier| offers::lines(&tier.terms, today, &of_offers))),
        ("Trial", Box::new(|tier| tier::trial(&tier.terms).into_iter().collect())),
        ("Usage", Box::new(move |tier| tier::usage_price(&tier.terms, &names))),
        (
            "Included credit",
            Box::new(|tier| {
                let any = tier.terms.included_credit_micros > 0;
                any.then(|| tier.terms.included_credit().to_string()).into_iter().collect()
            }),
        ),
        ("Limits", Box::new(|tier| tier::limits(&tier.terms))),
        ("Quota", Box::new(|tier| tier::quota(&tier.terms).into_iter().collect())),
        ("Products", Box::new(move |tier| tier::products(&tier.terms, &products))),
        ("Features", Box::new(|tier| tier.terms.features.clone())),
    ];
    let rows = aspects.into_iter().filter_map(|(aspect, of)| {
        let cells: Vec<Vec<String>> = tiers.iter().map(of).collect();
        // A row in which nobody has anything says nothing.
        if cells.iter().all(Vec::is_empty) {
            return None;
        }
        let cells =
            tiers.iter().zip(cells).map(|(tier, lines)| view! { <Cell label=tier.name.clone()>{shown(lines)}</Cell> });
        let cells = cells.collect_view();
        Some(view! { <tr><Cell head=true>{aspect}</Cell>{cells}</tr> })
    });
    let rows = rows.collect_view();
    Some(view! {
        <section class="pricing-compare">
            <h2>"Compare in detail"</h2>
            <DataTable caption="Plans compared" caption_hidden=true columns stack=true>{rows}</DataTable>
        </section>
    })
}

fn shown(lines: Vec<String>) -> AnyView {
    match lines.len() {
        0 => view! { <span class="pricing-none">"None"</span> }.into_any(),
        1 => lines.into_iter().next().into_any(),
        _ => {
            let items = lines.into_iter().map(|line| view! { <li>{line}</li> }).collect_view();
            view! { <ul class="pricing-lines">{items}</ul> }.into_any()
        }
    }
}
