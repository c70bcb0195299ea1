//! Where the calls went: a row for each product, operation, app and so on.

use super::{
    asked::Asked,
    dimensions::{id_text, nothing, singular},
};
use crate::{components::*, pages::requests::duration_text};
use domain::period::Period;
use leptos::prelude::*;
use store::usage::Slice;

/// What comes after them hardly counts.
const MOST_ROWS: usize = 50;

#[component]
pub(super) fn Breakdown(slices: Vec<Slice>, asked: Asked, range: Period) -> impl IntoView {
    let first = singular(asked.by);
    let all = slices.len();
    let rows = slices.into_iter().take(MOST_ROWS).map(move |slice| {
        let id = slice.id.map(|id| id_text(asked.dimension, id));
        let calls = id.clone().and_then(|id| asked.calls(range, Some((asked.by, id))));
        let narrower = id.map(|id| asked.narrower(id));
        let name = match (slice.name.is_empty(), slice.product.is_empty()) {
            (true, _) => nothing(asked.dimension).to_owned(),
            (false, true) => slice.name,
            (false, false) => format!("{} · {}", slice.product, slice.name),
        };
        let name = match narrower {
            Some(href) => view! { <a href=href>{name}</a> }.into_any(),
            None => name.into_any(),
        };
        let totals = slice.totals;
        view! {
            <tr>
                <Cell label=first head=true>{name}</Cell>
                <Cell label="Calls" numeric=true>
                    {match calls {
                        Some(href) => view! { <a href=href><Figure value=totals.calls/></a> }.into_any(),
                        None => view! { <Figure value=totals.calls/> }.into_any(),
                    }}
                </Cell>
                <Cell label="Units" numeric=true><Figure value=totals.units/></Cell>
                <Cell label="Errors" numeric=true><Figure value=totals.errors/></Cell>
                <Cell label="95 % within" numeric=true>
                    {totals.latency().map_or("—".to_owned(), |latency| duration_text(latency.p95_us))}
                </Cell>
            </tr>
        }
    });
    view! {
        <DataTable
            caption="Usage, most calls first"
            caption_hidden=true
            columns=vec![
                Column::text(first),
                Column::numeric("Calls"),
                Column::numeric("Units"),
                Column::numeric("Errors"),
                Column::numeric("95 % within"),
            ]
            stack=true
        >
            {rows.collect_view()}
        </DataTable>
        {(all > MOST_ROWS).then(|| view! { <p class="table-note">{format!("The {MOST_ROWS} with most calls, of {all}.")}</p> })}
    }
}
