//! `/console/audit`: who did what, newest first; of all, or of one partner.

use crate::{
    components::*,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    viewer,
};
use domain::id::PartnerId;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use store::AuditEntry;

const PAGE_SIZE: u32 = 50;

#[component]
pub fn AuditPage() -> impl IntoView {
    let cx = viewer::operator();
    let query = use_query_map().get_untracked();
    page(async move {
        let cx = cx?;
        let after = query.get("after");
        let partner = match query.get("partner") {
            Some(id) => Some(id.parse::<PartnerId>().map_err(|_| PageError::NotFound)?),
            None => None,
        };
        let store = &cx.state.store;
        let (found, whose) = match partner {
            Some(id) => (
                store.audit_page(id, after.as_deref(), PAGE_SIZE).await?,
                format!("Of {}.", store.partner(id).await?.name),
            ),
            None => (store.all_audit_page(after.as_deref(), PAGE_SIZE).await?, "Of everybody.".to_owned()),
        };
        let base = partner.map_or("/console/audit?".to_owned(), |id| format!("/console/audit?partner={id}&"));
        let next = found.next.map(|next| format!("{base}after={next}"));
        let first = after.map(|_| base.trim_end_matches(['?', '&']).to_owned());
        let empty = found.items.is_empty();
        let rows = found.items.into_iter().map(row).collect_view();
        Ok(view! {
            <PageTitle text="Audit log"/>
            <OperatorFrame cx=cx path="/console/audit">
                <PageHeader title="Audit log" description=format!("Who did what, newest first. {whose} Entries are never changed.")/>
                <Card flush=true>
                    {if empty {
                        view! { <EmptyState title="Nothing yet" text="Every change is written here as it is made." icon=IconName::Shield/> }.into_any()
                    } else {
                        view! {
                            <DataTable
                                caption="Audit log, newest first; times in UTC"
                                columns=vec![
                                    Column::text("When"),
                                    Column::text("Who"),
                                    Column::text("What"),
                                    Column::text("To what"),
                                    Column::text("Before and after"),
                                ]
                                stack=true
                            >
                                {rows}
                            </DataTable>
                        }
                        .into_any()
                    }}
                </Card>
                <Pagination previous=first next=next summary=String::new()/>
            </OperatorFrame>
        })
    })
}

fn row(entry: AuditEntry) -> impl IntoView {
    let who = if entry.actor.is_empty() { entry.actor_kind } else { format!("{} ({})", entry.actor, entry.actor_kind) };
    let change = [("Before", entry.before), ("After", entry.after)].into_iter().filter_map(|(label, value)| {
        let text = value?.to_string();
        Some(view! { <p>{label} " " <code>{text}</code></p> })
    });
    let change: Vec<_> = change.collect();
    let change = (!change.is_empty()).then(|| view! { <details><summary>"Show"</summary>{change}</details> });
    view! {
        <tr>
            <Cell label="When" head=true><TimeText at=entry.at seconds=true/></Cell>
            <Cell label="Who">{who}</Cell>
            <Cell label="What"><code>{entry.action}</code></Cell>
            <Cell label="To what">{entry.subject}</Cell>
            <Cell label="Before and after">{change}</Cell>
        </tr>
    }
}
