//! `/console/stripe-events`: what Stripe has told us, and what came of it.

use super::listed::{self, Listed, PAGE_SIZE};
use crate::{
    components::*,
    flash::flash,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    viewer,
};
use domain::role::OperatorRole;
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};
use store::stripe_events::{ListedStripeEvent, StripeEventState};

const PATH: &str = "/console/stripe-events";

#[component]
pub fn StripeEventsPage() -> impl IntoView {
    let cx = viewer::operator();
    let query = use_query_map().get_untracked();
    let flash = flash();
    page(async move {
        let cx = cx?;
        let (after, state) = (query.get("after"), read(&query)?);
        let found = cx.state.store.stripe_events(state, after.as_deref(), PAGE_SIZE).await?;
        let may_change = cx.viewer.role == OperatorRole::Admin;
        let found = Listed::new(found, after.as_deref(), |after| address(state, after));
        let columns =
            vec![Column::text("Came"), Column::text("Event"), Column::text("State"), Column::text("What it said")];
        let is_on = cx.state.settings.stripe_is_on;
        let heading = ("Events of Stripe, newest first; times in UTC", columns);
        let list = found.view(heading, |one| row(one, may_change), || nothing(is_on, state.is_some()));
        let choices = StripeEventState::ALL.map(|state| Choice::new(state.code(), name(state))).to_vec();
        let problems = flash.problems.clone();
        Ok(view! {
            <PageTitle text="Stripe events"/>
            <OperatorFrame cx=cx path=PATH>
                <PageHeader
                    title="Stripe events"
                    description="What Stripe told the portal. Each event is kept once, and applying one again does no harm."
                />
                <ErrorSummary problems=problems/>
                <FilterBar action=PATH label="Filter events">
                    <SelectField label="State" name="state" choices=choices value=state.map(|state| state.code().to_owned()) blank="All"/>
                    <Button icon=IconName::Search>"Filter"</Button>
                </FilterBar>
                {list}
            </OperatorFrame>
        })
    })
}

const fn name(state: StripeEventState) -> &'static str {
    match state {
        StripeEventState::Waiting => "Waiting",
        StripeEventState::Applied => "Applied",
        StripeEventState::Failed => "Failed",
    }
}

const fn tone(state: StripeEventState) -> Tone {
    match state {
        StripeEventState::Waiting => Tone::Info,
        StripeEventState::Applied => Tone::Success,
        StripeEventState::Failed => Tone::Danger,
    }
}

fn nothing(is_on: bool, is_filtered: bool) -> AnyView {
    let (title, text) = match (is_on, is_filtered) {
        (true, true) => ("Nothing matches", "No event is in that state."),
        (true, false) => (
            "No events yet",
            "Set a webhook endpoint at Stripe to /webhooks/stripe of this portal, and its signing secret here.",
        ),
        (false, _) => (
            "Stripe is not set up",
            "Set TURNPIKE_STRIPE_KEY and TURNPIKE_STRIPE_WEBHOOK_SECRET and start anew. Until then billing ends with the invoice.",
        ),
    };
    view! {
        <EmptyState title=title text=text icon=IconName::Inbox>
            <ButtonLink href="/console/invoices">"Invoices"</ButtonLink>
        </EmptyState>
    }
    .into_any()
}

fn read(query: &ParamsMap) -> Result<Option<StripeEventState>, PageError> {
    match query.get("state").as_deref() {
        None | Some("") => Ok(None),
        Some(code) => {
            let known = StripeEventState::ALL.into_iter().find(|state| state.code() == code);
            known.map(Some).ok_or(PageError::NotFound)
        }
    }
}

fn address(state: Option<StripeEventState>, after: Option<&str>) -> String {
    let state = state.map(|state| state.code().to_owned());
    listed::address(PATH, [("state", state), ("partner", None), ("kind", None)], after)
}

fn row(one: ListedStripeEvent, may_change: bool) -> impl IntoView + use<> {
    let ListedStripeEvent { event, state, received_at, applied_at, error, replays } = one;
    let payload = serde_json::to_string_pretty(&event.payload).unwrap_or_default();
    let when = applied_at.map(|at| view! { <p class="key-note"><TimeText at=at/></p> });
    let error = error.map(|error| view! { <p>{error}</p> });
    let replays = (replays > 0).then(|| {
        let times = if replays == 1 { "once".to_owned() } else { format!("{replays} times") };
        view! { <p class="key-note">{format!("Applied again {times}")}</p> }
    });
    let id = event.id.clone();
    let replay = (may_change && state != StripeEventState::Waiting).then(|| {
        view! {
            <Form action="/do/console/stripe-events/replay" label=format!("Apply {id} again")>
                <input type="hidden" name="event" value=id/>
                <Button icon=IconName::Rotate>"Apply again"</Button>
            </Form>
        }
    });
    view! {
        <tr>
            <Cell label="Came" head=true><TimeText at=received_at seconds=true/></Cell>
            <Cell label="Event"><div class="cell-lines"><code>{event.kind}</code> <p class="key-note"><code>{event.id}</code></p></div></Cell>
            <Cell label="State"><div class="cell-lines"><Badge text=name(state) tone=tone(state)/> {when} {error} {replays} {replay}</div></Cell>
            <Cell label="What it said"><details class="row-form"><summary>"Content"</summary><pre class="row-json">{payload}</pre></details></Cell>
        </tr>
    }
}
