//! `/console/stripe-drift`: what Stripe holds otherwise than we, field by field, and what to do about it.

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
use store::stripe_drift::{DriftFilter, DriftKind, DriftState, ListedDrift, StripeComparison};

const PATH: &str = "/console/stripe-drift";
const ACCEPT: &str = "stripe-drift/accept";

#[component]
pub fn StripeDriftPage() -> impl IntoView {
    let cx = viewer::operator();
    let query = use_query_map().get_untracked();
    let flash = flash();
    page(async move {
        let cx = cx?;
        let store = &cx.state.store;
        let (after, filter) = (query.get("after"), read(&query)?);
        let found = store.all_partners_stripe_drift(&filter, after.as_deref(), PAGE_SIZE).await?;
        let standing = store.stripe_comparison().await?;
        let (is_on, compares_all) = (cx.state.settings.has_stripe_account, cx.state.settings.stripe_is_on);
        let may_change = cx.viewer.role == OperatorRole::Admin;
        let found = Listed::new(found, after.as_deref(), |after| address(&filter, after));
        let columns = vec![
            Column::text("Object"),
            Column::text("Field"),
            Column::text("Ours"),
            Column::text("Stripe's"),
            Column::text("Since"),
            Column::text("State"),
        ];
        let heading = ("What differs, the newest first; times in UTC", columns);
        let nothing =
            || view! { <Nothing filter=filter standing=standing is_on=is_on compares_all=compares_all/> }.into_any();
        let list = found.view(heading, |one| row(one, may_change, &flash), nothing);
        let now = cx.now;
        let problems = flash.problems.clone();
        // Where Stripe was never there, there is nothing to count and to filter.
        let has_standing = is_on || standing.compared_at.is_some();
        Ok(view! {
            <PageTitle text="Stripe drift"/>
            <OperatorFrame cx=cx path=PATH>
                <PageHeader
                    title="Stripe drift"
                    description="Customers, products, prices, meters and subscriptions at Stripe, compared with ours. Nothing is written over there before you say so."
                >
                    {(may_change && is_on)
                        .then(|| view! {
                            <Form action="/do/console/stripe-drift/compare" inline=true label="Compare now">
                                <Button icon=IconName::Rotate>"Compare now"</Button>
                            </Form>
                        })}
                </PageHeader>
                <ErrorSummary problems=problems/>
                {has_standing.then(|| view! { <Standing standing=standing now=now/> <Filter filter=filter/> })}
                {list}
            </OperatorFrame>
        })
    })
}

/// What the address asks for: all of it, where it does not say.
fn read(query: &ParamsMap) -> Result<DriftFilter, PageError> {
    let text = |name: &str| query.get(name).filter(|value| !value.is_empty());
    Ok(DriftFilter {
        state: text("state").map(|code| code.parse()).transpose().map_err(|_| PageError::NotFound)?,
        kind: text("kind").map(|code| code.parse()).transpose().map_err(|_| PageError::NotFound)?,
        partner: listed::partner(query)?,
    })
}

fn address(filter: &DriftFilter, after: Option<&str>) -> String {
    let state = filter.state.map(|state| state.code().to_owned());
    let (kind, partner) = (filter.kind.map(|kind| kind.code().to_owned()), filter.partner.map(|id| id.to_string()));
    listed::address(PATH, [("state", state), ("kind", kind), ("partner", partner)], after)
}

#[component]
fn Standing(standing: StripeComparison, now: Timestamp) -> impl IntoView {
    let compared = match (standing.compared_at, standing.asked_at) {
        (_, Some(_)) => "Within seconds".to_owned(),
        (Some(at), None) => relative_text(at, now),
        (None, None) => "Not yet".to_owned(),
    };
    let fields = standing.compared_at.map(|_| match standing.compared {
        1 => "1 field".to_owned(),
        fields => format!("{} fields", group_thousands(fields)),
    });
    let waiting = (standing.open > 0).then_some("They wait for your decision");
    view! {
        <StatGrid>
            <Stat label="Open" figure=group_thousands(standing.open) hint=waiting/>
            <Stat label="To be written" figure=group_thousands(standing.asked)/>
            <Stat label="Accepted" figure=group_thousands(standing.accepted) hint="Still different"/>
            <Stat label="Last compared" figure=compared hint=fields/>
        </StatGrid>
    }
}

#[component]
fn Filter(filter: DriftFilter) -> impl IntoView {
    let states = DriftState::ALL.map(|state| Choice::new(state.code(), state_text(state).0)).to_vec();
    let kinds = DriftKind::ALL.map(|kind| Choice::new(kind.code(), kind_text(kind))).to_vec();
    let partner = filter.partner.map(|id| view! { <input type="hidden" name="partner" value=id.to_string()/> });
    view! {
        <FilterBar action=PATH label="Filter what differs">
            <SelectField label="State" name="state" choices=states value=filter.state.map(|state| state.code().to_owned()) blank="All"/>
            <SelectField label="Object" name="kind" choices=kinds value=filter.kind.map(|kind| kind.code().to_owned()) blank="All"/>
            {partner}
            <Button icon=IconName::Search>"Filter"</Button>
        </FilterBar>
    }
}

#[component]
fn Nothing(filter: DriftFilter, standing: StripeComparison, is_on: bool, compares_all: bool) -> impl IntoView {
    let is_usual = filter == DriftFilter::default();
    let (title, text, icon) = match (is_on, is_usual, standing.compared_at) {
        (false, ..) => (
            "Stripe is not set up",
            "Set TURNPIKE_STRIPE_KEY and start again. Until then there is nothing to compare with.",
            IconName::Inbox,
        ),
        (true, false, _) => ("Nothing matches", "Nothing that differs fits the filter.", IconName::Search),
        (true, true, None) => {
            ("Nothing was compared yet", "The first comparison runs within seconds of the start.", IconName::Clock)
        }
        (true, true, Some(_)) if !compares_all => (
            "Nothing that went back waits for you",
            "Invoices go elsewhere by now, so that customers and prices are not compared. What goes back at Stripe of what it has taken before, and what was to and could not, appears here.",
            IconName::Success,
        ),
        (true, true, Some(_)) => (
            "Stripe holds what we hold",
            "Every field of every customer, product, price and meter of ours agrees, whatever went back there is credited here, and what was to go back did. What is otherwise appears here.",
            IconName::Success,
        ),
    };
    view! {
        <EmptyState title=title text=text icon=icon>
            {if is_usual {
                view! { <ButtonLink href="/console/invoices">"Invoices"</ButtonLink> }.into_any()
            } else {
                view! { <ButtonLink href=PATH>"Show all"</ButtonLink> }.into_any()
            }}
        </EmptyState>
    }
}

const fn kind_text(kind: DriftKind) -> &'static str {
    match kind {
        DriftKind::Customer => "Customer",
        DriftKind::Product => "Product",
        DriftKind::Price => "Price",
        DriftKind::Meter => "Meter",
        DriftKind::Invoice => "Invoice",
        DriftKind::Subscription => "Subscription",
    }
}

const fn state_text(state: DriftState) -> (&'static str, Tone) {
    match state {
        DriftState::Open => ("Open", Tone::Warning),
        DriftState::Asked => ("To be written", Tone::Info),
        DriftState::Accepted => ("Accepted", Tone::Neutral),
    }
}

/// An empty value is said so.
fn value(text: String) -> AnyView {
    if text.is_empty() { view! { <span class="key-note">"nothing"</span> }.into_any() } else { text.into_any() }
}

fn row(listed: ListedDrift, may_change: bool, flash: &Flash) -> impl IntoView + use<> {
    let ListedDrift { id, drift, partner_name, state, first_seen_at, note, problem, .. } = listed;
    let object = match drift.partner {
        Some(partner) => view! { <a href=format!("/console/partners/{partner}")>{partner_name}</a> }.into_any(),
        None => view! { <code class="clip">{drift.object.clone()}</code> }.into_any(),
    };
    let stripe_id = (!drift.stripe_id.is_empty())
        .then(|| view! { <p class="key-note"><code class="clip">{drift.stripe_id.clone()}</code></p> });
    let (text, tone) = state_text(state);
    let note = (!note.is_empty()).then(|| view! { <p class="key-note">{note}</p> });
    let problem = (!problem.is_empty()).then(|| view! { <p>{problem}</p> });
    let can_write = billing::drift::can_write(drift.kind, &drift.field);
    let write = (may_change && can_write && state != DriftState::Asked).then(|| {
        // Of what went back a refund that failed is all that can be written.
        let label = if drift.kind == DriftKind::Invoice { "Send again" } else { "Write ours" };
        let hint = billing::drift::makes_another(drift.kind, &drift.field).then(|| {
            view! {
                <p class="key-note">
                    "Stripe changes no amount: this makes another price with the same lookup key. Move subscriptions to it there."
                </p>
            }
        });
        view! {
            <Form action="/do/console/stripe-drift/write" label=format!("{label}: {id}")>
                <input type="hidden" name="drift" value=id.to_string()/>
                <Button icon=IconName::External>{label}</Button>
            </Form>
            {hint}
        }
    });
    let accept = (may_change && state == DriftState::Open).then(|| {
        let typed_here = flash.typed(ACCEPT, "drift", "") == id.to_string();
        let typed = if typed_here { flash.typed(ACCEPT, "note", "") } else { String::new() };
        view! {
            <details class="row-form" open=typed_here>
                <summary>"Accept"</summary>
                <Form action="/do/console/stripe-drift/accept" label=format!("Accept {id}")>
                    <input type="hidden" name="drift" value=id.to_string()/>
                    <TextField
                        label="Why it may stand"
                        name="note"
                        id=format!("note-{id}")
                        value=typed
                        hint="The audit log keeps it."
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
            <Cell label="Object" head=true><div class="cell-lines">{kind_text(drift.kind)} {object} {stripe_id}</div></Cell>
            <Cell label="Field"><code class="clip">{drift.field}</code></Cell>
            <Cell label="Ours">{value(drift.ours)}</Cell>
            <Cell label="Stripe's">{value(drift.theirs)}</Cell>
            <Cell label="Since"><TimeText at=first_seen_at/></Cell>
            <Cell label="State"><div class="cell-lines"><Badge text=text tone=tone/> {problem} {note} {write} {accept}</div></Cell>
        </tr>
    }
}
