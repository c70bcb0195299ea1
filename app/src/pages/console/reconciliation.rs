//! `/console/reconciliation`: numbers of two places that count usage and should be the same, and are not.

use super::listed::{self, Listed, PAGE_SIZE};
use crate::{
    components::*,
    flash::{Flash, flash},
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    viewer,
};
use domain::{money::group_thousands, role::OperatorRole};
use jiff::Timestamp;
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};
use store::reconcile::{FindingFilter, FindingSources, FindingState, Kind, ListedFinding};

const PATH: &str = "/console/reconciliation";
const ACCEPT: &str = "reconciliation/accept";

#[component]
pub fn ReconciliationPage() -> impl IntoView {
    let cx = viewer::operator();
    let query = use_query_map().get_untracked();
    let flash = flash();
    page(async move {
        let cx = cx?;
        let store = &cx.state.store;
        let (after, filter) = (query.get("after"), read(&query)?);
        let found = store.all_findings(&filter, after.as_deref(), PAGE_SIZE).await?;
        let sources = store.all_finding_sources().await?;
        let last = store.last_reconciliation().await?;
        let may_change = cx.viewer.role == OperatorRole::Admin;
        let found = Listed::new(found, after.as_deref(), |after| address(&filter, after));
        let now = cx.now;
        let columns = vec![
            Column::text("Hour"),
            Column::text("Partner"),
            Column::text("What differs"),
            Column::numeric("Expected"),
            Column::numeric("Found"),
            Column::text("State"),
        ];
        let heading = ("Findings, the newest hour first; times in UTC", columns);
        let compared = last.is_some();
        let nothing = || view! { <Nothing filter=filter compared=compared/> }.into_any();
        let list = found.view(heading, |one| row(one, may_change, &flash), nothing);
        let bar = view! { <Filter filter=filter sources=sources.clone()/> };
        let standing = view! { <Standing sources=sources.clone() last=last now=now/> };
        let problems = flash.problems.clone();
        Ok(view! {
            <PageTitle text="Reconciliation"/>
            <OperatorFrame cx=cx path=PATH>
                <PageHeader
                    title="Reconciliation"
                    description="What gateways say, usage events, sums and invoices are compared every five minutes. Where two differ, invoices wait."
                >
                    {may_change
                        .then(|| view! {
                            <Form action="/do/console/reconciliation/run" inline=true label="Compare now">
                                <Button icon=IconName::Rotate>"Compare the last 2 days"</Button>
                            </Form>
                        })}
                </PageHeader>
                <ErrorSummary problems=problems/>
                {standing}
                {bar}
                {list}
            </OperatorFrame>
        })
    })
}

/// What the address asks for: what is open, where it does not say.
fn read(query: &ParamsMap) -> Result<FindingFilter, PageError> {
    let text = |name: &str| query.get(name).filter(|value| !value.is_empty());
    let state = match query.get("state") {
        None => Some(FindingState::Open),
        Some(code) if code.is_empty() => None,
        Some(code) => Some(code.parse().map_err(|_| PageError::NotFound)?),
    };
    let kind = |code: String| Kind::ALL.into_iter().find(|kind| kind.code() == code).ok_or(PageError::NotFound);
    Ok(FindingFilter { state, kind: text("kind").map(kind).transpose()?, partner: listed::partner(query)? })
}

fn address(filter: &FindingFilter, after: Option<&str>) -> String {
    let state = filter.state.map_or("", FindingState::code).to_owned();
    let (kind, partner) = (filter.kind.map(|kind| kind.code().to_owned()), filter.partner.map(|id| id.to_string()));
    listed::address(PATH, [("state", Some(state)), ("kind", kind), ("partner", partner)], after)
}

#[component]
fn Standing(sources: FindingSources, last: Option<(Timestamp, Timestamp)>, now: Timestamp) -> impl IntoView {
    let compared = last.map_or_else(|| "Not yet".to_owned(), |(at, _)| relative_text(at, now));
    let holding = (sources.open > 0).then_some("They hold invoices back");
    view! {
        <StatGrid>
            <Stat label="Open" figure=group_thousands(sources.open) hint=holding/>
            <Stat label="Accepted" figure=group_thousands(sources.accepted) hint="Still different"/>
            <Stat label="Resolved" figure=group_thousands(sources.resolved)/>
            <Stat label="Last compared" figure=compared/>
        </StatGrid>
    }
}

#[component]
fn Filter(filter: FindingFilter, sources: FindingSources) -> impl IntoView {
    let states =
        vec![Choice::new("open", "Open"), Choice::new("accepted", "Accepted"), Choice::new("resolved", "Resolved")];
    let kinds = Kind::ALL.into_iter().map(|kind| Choice::new(kind.code(), kind_text(kind))).collect();
    let mut partners: Vec<Choice> =
        sources.partners.into_iter().map(|(id, name)| Choice::new(id.to_string(), name)).collect();
    let asked = filter.partner.map(|id| id.to_string());
    if let Some(id) = asked.clone().filter(|id| partners.iter().all(|known| known.value != *id)) {
        partners.push(Choice::new(id, "A partner without findings"));
    }
    view! {
        <FilterBar action=PATH label="Filter findings">
            <SelectField label="State" name="state" choices=states value=filter.state.map(|state| state.code().to_owned()) blank="All"/>
            <SelectField label="What" name="kind" choices=kinds value=filter.kind.map(|kind| kind.code().to_owned()) blank="All"/>
            <SelectField label="Partner" name="partner" choices=partners value=asked blank="All"/>
            <Button icon=IconName::Search>"Filter"</Button>
        </FilterBar>
    }
}

#[component]
fn Nothing(filter: FindingFilter, compared: bool) -> impl IntoView {
    let is_usual = filter == FindingFilter { state: Some(FindingState::Open), ..FindingFilter::default() };
    let (title, text, icon) = match (is_usual, compared) {
        (true, true) => (
            "All places say the same",
            "Gateways, events, sums and invoices agree wherever they were compared. Numbers that differ appear here.",
            IconName::Success,
        ),
        (true, false) => {
            ("Nothing was compared yet", "The first comparison runs when the portal starts.", IconName::Clock)
        }
        (false, _) => ("Nothing matches", "No finding fits the filter.", IconName::Search),
    };
    view! {
        <EmptyState title=title text=text icon=icon>
            {(!is_usual).then(|| view! { <ButtonLink href=PATH>"Show what is open"</ButtonLink> })}
        </EmptyState>
    }
}

/// What is compared, in a few words.
const fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Gateway => "Gateway and events",
        Kind::Sequence => "Numbers of records",
        Kind::Hourly => "Events and hours",
        Kind::Daily => "Hours and days",
        Kind::Meters => "Events and meters",
        Kind::Credit => "Credit and its ledger",
        Kind::Invoice => "Events and invoice",
    }
}

fn row(listed: ListedFinding, may_change: bool, flash: &Flash) -> impl IntoView + use<> {
    let ListedFinding { id, finding, partner_name, state, note, accepted_at, resolved_at, .. } = listed;
    let partner = match finding.partner {
        Some(id) => view! { <a href=format!("/console/partners/{id}")>{partner_name}</a> }.into_any(),
        None => "Nobody can say whose".into_any(),
    };
    let lane = finding.lane.map(|(node, lane)| view! { <p class="key-note">"Gateway " <code class="clip">{node}</code> {format!(", lane {lane}")}</p> });
    let place = (!finding.place.is_empty()).then(|| view! { <p class="key-note finding-place">{finding.place}</p> });
    let (text, tone) = match state {
        FindingState::Open => ("Open", Tone::Warning),
        FindingState::Accepted => ("Accepted", Tone::Neutral),
        FindingState::Resolved => ("Resolved", Tone::Success),
    };
    let when = resolved_at.or(accepted_at).map(|at| view! { <p class="key-note"><TimeText at=at/></p> });
    let note = (!note.is_empty()).then(|| view! { <p class="key-note">{note}</p> });
    let accept = (may_change && state == FindingState::Open).then(|| {
        let typed_here = flash.typed(ACCEPT, "finding", "") == id.to_string();
        let typed = if typed_here { flash.typed(ACCEPT, "note", "") } else { String::new() };
        view! {
            <details class="row-form" open=typed_here>
                <summary>"Accept"</summary>
                <Form action="/do/console/reconciliation/accept" label=format!("Accept {id}")>
                    <input type="hidden" name="finding" value=id.to_string()/>
                    <TextField
                        label="Why it may stand"
                        name="note"
                        id=format!("note-{id}")
                        value=typed
                        hint="Invoices go on. The audit log keeps it."
                        required=true
                        maxlength=500
                    />
                    <FormActions><Button>"Accept the difference"</Button></FormActions>
                </Form>
            </details>
        }
    });
    view! {
        <tr>
            <Cell label="Hour" head=true><TimeText at=finding.hour/></Cell>
            <Cell label="Partner">{partner}</Cell>
            <Cell label="What differs">
                <div class="cell-lines">{format!("{}: {}", kind_text(finding.kind), finding.meter)} {lane} {place}</div>
            </Cell>
            <Cell label="Expected" numeric=true>{number(&finding.expected)}</Cell>
            <Cell label="Found" numeric=true>{number(&finding.actual)}</Cell>
            <Cell label="State"><div class="cell-lines"><Badge text=text tone=tone/> {when} {note} {accept}</div></Cell>
        </tr>
    }
}

/// As it is where it is no plain count.
fn number(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), group_thousands)
}
