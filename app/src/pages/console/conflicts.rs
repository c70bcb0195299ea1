//! `/console/conflicts`: events that were told from outside under the source and id of another one. The first one counts.

use super::listed::{self, Listed, PAGE_SIZE};
use crate::{
    components::*,
    flash::{Flash, flash},
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    viewer,
};
use domain::{money::group_thousands, role::OperatorRole};
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};
use store::outside::{ConflictFilter, OutsideConflict};

const PATH: &str = "/console/conflicts";
const RESOLVE: &str = "conflicts/resolve";

#[component]
pub fn ConflictsPage() -> impl IntoView {
    let cx = viewer::operator();
    let query = use_query_map().get_untracked();
    let flash = flash();
    page(async move {
        let cx = cx?;
        let store = &cx.state.store;
        let (after, filter) = (query.get("after"), read(&query)?);
        let found = store.outside_conflicts_of_any_partner(&filter, after.as_deref(), PAGE_SIZE).await?;
        let whose = match filter.partner {
            Some(id) => format!(" Of {}.", store.partner(id).await?.name),
            None => String::new(),
        };
        let may_change = cx.viewer.role == OperatorRole::Admin;
        let found = Listed::new(found, after.as_deref(), |after| address(&filter, after));
        let columns = vec![
            Column::text("Came"),
            Column::text("Partner"),
            Column::text("Source and id"),
            Column::text("The first, which counts"),
            Column::text("The other"),
            Column::text("State"),
        ];
        let open = filter.resolved == Some(false);
        let heading = ("Contradicting events, newest first; times in UTC", columns);
        let list = found.view(heading, |one| row(one, may_change, &flash), || nothing(open));
        let description = format!(
            "An outside producer told two different things under one source and id. The first one counts; the other was kept.{whose}"
        );
        let problems = flash.problems.clone();
        let value = filter.resolved.map(|resolved| if resolved { "resolved" } else { "open" }.to_owned());
        let partner = filter.partner.map(|id| view! { <input type="hidden" name="partner" value=id.to_string()/> });
        Ok(view! {
            <PageTitle text="Contradicting events"/>
            <OperatorFrame cx=cx path=PATH>
                <PageHeader title="Contradicting events" description=description>
                    <ButtonLink href="/console/late-usage">"Late usage"</ButtonLink>
                </PageHeader>
                <ErrorSummary problems=problems/>
                <FilterBar action=PATH label="Filter contradicting events">
                    {partner}
                    <SelectField
                        label="State"
                        name="state"
                        choices=vec![Choice::new("open", "Open"), Choice::new("resolved", "Looked at")]
                        value=value
                        blank="All"
                    />
                    <Button icon=IconName::Search>"Filter"</Button>
                </FilterBar>
                {list}
            </OperatorFrame>
        })
    })
}

fn nothing(open: bool) -> AnyView {
    let (title, text) = if open {
        ("No event contradicts another", "Whatever was told twice was told the same, or somebody has looked at it.")
    } else {
        ("Nothing matches", "No contradicting event fits the filter.")
    };
    view! {
        <EmptyState title=title text=text icon=IconName::Success>
            <ButtonLink href="/console/usage">"Usage"</ButtonLink>
        </EmptyState>
    }
    .into_any()
}

/// What the address asks for: what nobody has looked at, where it does not say.
fn read(query: &ParamsMap) -> Result<ConflictFilter, PageError> {
    let resolved = match query.get("state").as_deref() {
        None | Some("open") => Some(false),
        Some("resolved") => Some(true),
        Some("") => None,
        Some(_) => return Err(PageError::NotFound),
    };
    Ok(ConflictFilter { resolved, partner: listed::partner(query)? })
}

fn address(filter: &ConflictFilter, after: Option<&str>) -> String {
    let state = filter.resolved.map_or("", |resolved| if resolved { "resolved" } else { "open" }).to_owned();
    let partner = filter.partner.map(|id| id.to_string());
    listed::address(PATH, [("state", Some(state)), ("partner", partner), ("kind", None)], after)
}

fn row(one: OutsideConflict, may_change: bool, flash: &Flash) -> impl IntoView + use<> {
    let partner = format!("/console/partners/{}", one.partner);
    let teller = if one.by_partner { "Told by the partner" } else { "Told by the provider" };
    let first = match one.first_units {
        Some(units) => format!("{} units", group_thousands(units)),
        None => "No longer kept".to_owned(),
    };
    let units = one.payload.pointer("/data/units").and_then(serde_json::Value::as_u64);
    let other = units.map_or_else(|| "Something else".to_owned(), |units| format!("{} units", group_thousands(units)));
    let payload = serde_json::to_string_pretty(&one.payload).unwrap_or_default();
    let (text, tone) = if one.resolved_at.is_some() { ("Looked at", Tone::Success) } else { ("Open", Tone::Warning) };
    let when = one.resolved_at.map(|at| view! { <p class="key-note"><TimeText at=at/></p> });
    let note = (!one.note.is_empty()).then(|| view! { <p class="key-note">{one.note}</p> });
    let id = one.conflict;
    let resolve = (may_change && one.resolved_at.is_none()).then(|| {
        let typed_here = flash.typed(RESOLVE, "conflict", "") == id.to_string();
        let typed = if typed_here { flash.typed(RESOLVE, "note", "") } else { String::new() };
        view! {
            <details class="row-form" open=typed_here>
                <summary>"Mark as looked at"</summary>
                <Form action="/do/console/conflicts/resolve" label=format!("Mark {id} as looked at")>
                    <input type="hidden" name="conflict" value=id.to_string()/>
                    <TextField
                        label="What was found"
                        name="note"
                        id=format!("note-{id}")
                        value=typed
                        hint="No number changes. The audit log keeps it."
                        required=true
                        maxlength=500
                    />
                    <FormActions><Button>"Mark as looked at"</Button></FormActions>
                </Form>
            </details>
        }
    });
    view! {
        <tr>
            <Cell label="Came" head=true><TimeText at=one.received_at seconds=true/></Cell>
            <Cell label="Partner"><div class="cell-lines"><a href=partner>{one.partner_name}</a> <p class="key-note">{teller}</p></div></Cell>
            <Cell label="Source and id"><div class="cell-lines"><code>{one.source}</code> <p class="key-note"><code>{one.id}</code></p></div></Cell>
            <Cell label="The first, which counts"><div class="cell-lines">{first} <p class="key-note">"of " <TimeText at=one.first_at/></p></div></Cell>
            <Cell label="The other">
                <div class="cell-lines">
                    {other}
                    <details class="row-form"><summary>"What it said"</summary><pre class="row-json">{payload}</pre></details>
                </div>
            </Cell>
            <Cell label="State"><div class="cell-lines"><Badge text=text tone=tone/> {when} {note} {resolve}</div></Cell>
        </tr>
    }
}
