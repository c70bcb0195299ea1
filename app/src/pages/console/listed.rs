//! What the console's lists of findings, contradictions and late usage have in common: they are filtered by their address and paged
//! by a key.

use crate::{components::*, page::PageError};
use domain::id::PartnerId;
use leptos::prelude::*;
use leptos_router::params::ParamsMap;
use store::Page;

/// Rows of one page.
pub(super) const PAGE_SIZE: u32 = 50;

/// A page of a list, and where those before and after it are.
pub(super) struct Listed<Item> {
    pub items: Vec<Item>,
    previous: Option<String>,
    next: Option<String>,
}

impl<Item> Listed<Item> {
    /// `after` is where the page begins, and `address` says where a page is.
    pub fn new(found: Page<Item>, after: Option<&str>, address: impl Fn(Option<&str>) -> String) -> Self {
        let next = found.next.map(|next| address(Some(&next)));
        Self { items: found.items, previous: after.map(|_| address(None)), next }
    }

    /// The card with the rows, or with what is said where there are none, and the ways on.
    pub fn view<Row: IntoView + 'static>(
        self,
        (caption, columns): (&'static str, Vec<Column>),
        row: impl FnMut(Item) -> Row,
        nothing: impl FnOnce() -> AnyView,
    ) -> AnyView {
        let Self { items, previous, next } = self;
        let table = if items.is_empty() {
            nothing()
        } else {
            let rows = items.into_iter().map(row).collect_view();
            view! { <DataTable caption=caption columns=columns stack=true>{rows}</DataTable> }.into_any()
        };
        view! {
            <Card flush=true>{table}</Card>
            <Pagination previous=previous next=next summary=String::new()/>
        }
        .into_any()
    }
}

/// The address of a page of the list at `path`. What is `None` is left out, and what is empty says that all are asked for.
pub(super) fn address(path: &str, fields: [(&'static str, Option<String>); 3], after: Option<&str>) -> String {
    let mut map = ParamsMap::new();
    for (name, value) in fields.into_iter().chain([("after", after.map(str::to_owned))]) {
        if let Some(value) = value {
            map.insert(name, value);
        }
    }
    format!("{path}{}", map.to_query_string())
}

/// Whose rows the address asks for.
pub(super) fn partner(query: &ParamsMap) -> Result<Option<PartnerId>, PageError> {
    let asked = query.get("partner").filter(|id| !id.is_empty());
    asked.map(|id| id.parse()).transpose().map_err(|_| PageError::NotFound)
}
