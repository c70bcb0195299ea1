//! `/console/corrections`: usage that was corrected, or is to be; newest first.

use crate::{
    components::*,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    viewer,
};
use domain::{
    correction::{Change, State},
    id::PartnerId,
    money::group_thousands,
};
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};
use store::corrections::Correction;

const PAGE_SIZE: u32 = 50;
const PATH: &str = "/console/corrections";

#[component]
pub fn CorrectionsPage() -> impl IntoView {
    let cx = viewer::operator();
    let query = use_query_map().get_untracked();
    page(async move {
        let cx = cx?;
        let store = &cx.state.store;
        let after = query.get("after").filter(|text| !text.is_empty());
        let state: Option<State> = query.get("state").and_then(|code| code.parse().ok());
        let partner: Option<PartnerId> = match query.get("partner").filter(|id| !id.is_empty()) {
            Some(id) => Some(id.parse().map_err(|_| PageError::NotFound)?),
            None => None,
        };
        let name = match partner {
            Some(partner) => Some(store.partner(partner).await?.name),
            None => None,
        };
        let states = state.map_or(State::ALL.to_vec(), |one| vec![one]);
        let found = store.corrections_of_any_partner(partner, &states, after.as_deref(), PAGE_SIZE).await?;
        let filtered = state.is_some() || partner.is_some() || after.is_some();
        let next = found.next.map(|next| address(partner, state, Some(&next)));
        let first = after.map(|_| address(partner, state, None));
        let empty = found.items.is_empty();
        let rows = found.items.into_iter().map(row).collect_view();
        let description = match &name {
            Some(name) => format!("Of {name}, newest first."),
            None => "Usage that was counted wrongly and is put right. A new one begins with its partner.".to_owned(),
        };
        let make = partner.map_or("/console/partners".to_owned(), |id| format!("/console/partners/{id}/correct"));
        let choices = State::ALL.into_iter().map(|state| Choice::new(state.code(), text(state))).collect();
        Ok(view! {
            <PageTitle text="Corrections"/>
            <OperatorFrame cx=cx path=PATH>
                <PageHeader title="Corrections" description=description>
                    {match partner {
                        Some(_) => view! { <ButtonLink href=make icon=IconName::Plus kind=ButtonKind::Primary>"New correction"</ButtonLink> }.into_any(),
                        None => view! { <ButtonLink href=make icon=IconName::Building>"Choose a partner"</ButtonLink> }.into_any(),
                    }}
                </PageHeader>
                <FilterBar action=PATH label="Filter corrections">
                    {partner.map(|id| view! { <input type="hidden" name="partner" value=id.to_string()/> })}
                    <SelectField label="State" name="state" choices=choices value=state.map(|state| state.code().to_owned()) blank="All"/>
                    <Button icon=IconName::Search>"Filter"</Button>
                </FilterBar>
                <Card flush=true>
                    {match (empty, filtered) {
                        (true, true) => view! {
                            <EmptyState title="Nothing matches" text="No correction fits the filter." icon=IconName::Search>
                                <ButtonLink href=PATH>"Show all"</ButtonLink>
                            </EmptyState>
                        }
                        .into_any(),
                        (true, false) => view! {
                            <EmptyState
                                title="Nothing was corrected"
                                text="Open a partner to void calls that should not count, to set what they cost, or to fill in calls that nobody counted."
                                icon=IconName::Success
                            >
                                <ButtonLink href="/console/partners">"Partners"</ButtonLink>
                            </EmptyState>
                        }
                        .into_any(),
                        (false, _) => view! {
                            <DataTable
                                caption="Corrections, newest first; times in UTC"
                                columns=vec![
                                    Column::text("Made"),
                                    Column::text("Partner"),
                                    Column::text("What"),
                                    Column::numeric("Units"),
                                    Column::text("Why"),
                                    Column::text("State"),
                                ]
                                stack=true
                            >
                                {rows}
                            </DataTable>
                        }
                        .into_any(),
                    }}
                </Card>
                <Pagination previous=first next=next summary=String::new()/>
            </OperatorFrame>
        })
    })
}

fn address(partner: Option<PartnerId>, state: Option<State>, after: Option<&str>) -> String {
    let mut map = ParamsMap::new();
    let parts = [
        ("partner", partner.map(|id| id.to_string())),
        ("state", state.map(|state| state.code().to_owned())),
        ("after", after.map(str::to_owned)),
    ];
    for (name, value) in parts {
        if let Some(value) = value {
            map.insert(name, value);
        }
    }
    format!("{PATH}{}", map.to_query_string())
}

/// A state in one or two words.
pub fn text(state: State) -> &'static str {
    match state {
        State::Draft => "Draft",
        State::Approved => "Approved",
        State::Applied => "Applied",
        State::Reverted => "Reverted",
        State::Refused => "Refused",
    }
}

/// The state as a badge.
#[component]
pub fn StateBadge(state: State) -> impl IntoView {
    let tone = match state {
        State::Draft => Tone::Warning,
        State::Approved => Tone::Info,
        State::Applied => Tone::Success,
        State::Reverted | State::Refused => Tone::Neutral,
    };
    view! { <Badge text=text(state) tone=tone/> }
}

/// What it does, in a few words.
pub fn what(change: &Change) -> String {
    match change {
        Change::Void => "Void: it counts nothing".to_owned(),
        Change::SetUnits { units: 1 } => "Each costs 1 unit".to_owned(),
        Change::SetUnits { units } => format!("Each costs {} units", group_thousands(*units)),
        Change::BackFill(fill) if fill.calls == 1 => "Back-fill of 1 call".to_owned(),
        Change::BackFill(fill) => format!("Back-fill of {} calls", group_thousands(fill.calls)),
    }
}

fn row(correction: Correction) -> impl IntoView {
    let href = format!("{PATH}/{}", correction.id);
    let partner = format!("/console/partners/{}", correction.partner);
    let dry_run: Option<billing::DryRun> = serde_json::from_value(correction.dry_run).ok();
    let units = dry_run.map(|dry_run| signed(dry_run.units_after.saturating_sub(dry_run.units_before)));
    view! {
        <tr>
            <Cell label="Made" head=true><a href=href><TimeText at=correction.made.at/></a></Cell>
            <Cell label="Partner"><a href=partner>{correction.partner_name}</a></Cell>
            <Cell label="What">{what(&correction.new.change)}</Cell>
            <Cell label="Units" numeric=true>{units}</Cell>
            <Cell label="Why">{correction.new.reason}</Cell>
            <Cell label="State"><StateBadge state=correction.state/></Cell>
        </tr>
    }
}

/// With its sign: `+5`, `−2,600`, `0`.
pub fn signed(change: i64) -> String {
    let digits = group_thousands(change.unsigned_abs());
    match change {
        0 => digits,
        1.. => format!("+{digits}"),
        _ => format!("−{digits}"),
    }
}
