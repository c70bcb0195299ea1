//! Tables that read well: a caption, right-aligned figures, and a scroll of their own (or cards) on a narrow screen.

use super::{MaybeText, Slot};
use leptos::prelude::*;

/// One column's heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    label: String,
    class: &'static str,
    hidden: bool,
}

impl Column {
    /// Words, from the left.
    pub fn text(label: impl Into<String>) -> Self {
        Self { label: label.into(), class: "", hidden: false }
    }

    /// Figures, from the right.
    pub fn numeric(label: impl Into<String>) -> Self {
        Self { label: label.into(), class: "numeric", hidden: false }
    }

    /// The last column, of buttons; its heading is for screen readers only.
    pub fn actions() -> Self {
        Self { label: "Actions".to_owned(), class: "actions", hidden: true }
    }
}

/// Children are `<tr>`s of `Cell`s (or plain `<td>`, with class `numeric` for figures).
#[component]
pub fn DataTable(
    /// What the rows are: read out, and shown unless `caption_hidden`.
    #[prop(into)]
    caption: String,
    #[prop(optional)] caption_hidden: bool,
    columns: Vec<Column>,
    /// On a narrow screen each row becomes a card; every cell must then be a `Cell` with its label.
    #[prop(optional)]
    stack: bool,
    /// `<tr>`s of totals.
    #[prop(optional, into)]
    foot: Slot,
    children: Children,
) -> impl IntoView {
    let heads = columns.into_iter().map(|column| {
        let label = if column.hidden {
            view! { <span class="visually-hidden">{column.label}</span> }.into_any()
        } else {
            column.label.into_any()
        };
        view! { <th scope="col" class=column.class>{label}</th> }
    });
    let name = caption.clone();
    view! {
        <div
            class=if stack { "table-scroll table-stack" } else { "table-scroll" }
            tabindex="0"
            role="region"
            aria-label=name
        >
            <table class="table">
                <caption class=caption_hidden.then_some("visually-hidden")>{caption}</caption>
                <thead>
                    <tr>{heads.collect_view()}</tr>
                </thead>
                <tbody>{children()}</tbody>
                {foot.map(|foot| view! { <tfoot>{foot}</tfoot> })}
            </table>
        </div>
    }
}

/// One cell. `label` repeats the column's heading for the narrow, stacked form.
#[component]
pub fn Cell(
    #[prop(optional, into)] label: MaybeText,
    #[prop(optional)] numeric: bool,
    /// The cell that names the row: a row heading for screen readers.
    #[prop(optional)]
    head: bool,
    /// Holds buttons.
    #[prop(optional)]
    actions: bool,
    children: Children,
) -> impl IntoView {
    let class = match (numeric, actions) {
        (true, _) => "numeric",
        (_, true) => "actions",
        _ => "",
    };
    let label = label.into_option();
    if head {
        view! { <th scope="row" class=class data-label=label>{children()}</th> }.into_any()
    } else {
        view! { <td class=class data-label=label>{children()}</td> }.into_any()
    }
}
