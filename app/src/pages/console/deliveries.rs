//! `/console/deliveries`: invoices, credit notes and voids on their way to the provider's own receiver.

use super::listed::{self, Listed, PAGE_SIZE};
use crate::{
    components::*,
    flash::flash,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    state::InvoiceSink,
    viewer,
};
use domain::{money::group_thousands, role::OperatorRole};
use jiff::Timestamp;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use store::document_deliveries::{DeliveriesStanding, DeliveryState, Document, DocumentKind, ListedDelivery};

const PATH: &str = "/console/deliveries";

#[component]
pub fn DeliveriesPage() -> impl IntoView {
    let cx = viewer::operator();
    let query = use_query_map().get_untracked();
    let flash = flash();
    page(async move {
        let cx = cx?;
        let store = &cx.state.store;
        let after = query.get("after");
        let asked = query.get("state").filter(|code| !code.is_empty());
        let state: Option<DeliveryState> =
            asked.map(|code| code.parse()).transpose().map_err(|_| PageError::NotFound)?;
        let found = store.all_partners_deliveries(state, after.as_deref(), PAGE_SIZE).await?;
        let standing = store.deliveries_standing().await?;
        let may_change = cx.viewer.role == OperatorRole::Admin;
        let (sink, now) = (cx.state.settings.invoice_sink, cx.now);
        let found = Listed::new(found, after.as_deref(), |after| address(state, after));
        let columns = vec![
            Column::text("Made"),
            Column::text("Document"),
            Column::text("Partner"),
            Column::text("State"),
            Column::actions(),
        ];
        let heading = ("Deliveries, the newest first; times in UTC", columns);
        let list = found.view(heading, |one| row(one, may_change, now), || nothing(sink, state.is_some()));
        let choices = DeliveryState::ALL.map(|state| Choice::new(state.code(), state_text(state).0)).to_vec();
        let problems = flash.problems.clone();
        Ok(view! {
            <PageTitle text="Deliveries"/>
            <OperatorFrame cx=cx path=PATH>
                <PageHeader
                    title="Deliveries"
                    description="Invoices, credit notes and voids on their way to your own receiver. Each has one identifier, and its content never changes."
                />
                <ErrorSummary problems=problems/>
                <Standing sink=sink standing=standing now=now/>
                <FilterBar action=PATH label="Filter deliveries">
                    <SelectField label="State" name="state" choices=choices value=state.map(|state| state.code().to_owned()) blank="All"/>
                    <Button icon=IconName::Search>"Filter"</Button>
                </FilterBar>
                {list}
            </OperatorFrame>
        })
    })
}

fn address(state: Option<DeliveryState>, after: Option<&str>) -> String {
    let state = state.map(|state| state.code().to_owned());
    listed::address(PATH, [("state", state), ("kind", None), ("partner", None)], after)
}

#[component]
fn Standing(sink: InvoiceSink, standing: DeliveriesStanding, now: Timestamp) -> impl IntoView {
    let (goes, how) = match sink {
        InvoiceSink::Files => ("Files", "Fetched from here, sent nowhere"),
        InvoiceSink::Stripe => ("Stripe", "As invoices of its own"),
        InvoiceSink::Webhook => ("Your receiver", "As soon as they are made"),
    };
    let since = standing.waiting_since.map(|at| format!("The oldest from {}", relative_text(at, now)));
    let notice = (standing.dead > 0).then(|| {
        view! {
            <Notice tone=Tone::Danger title="Documents were given up">
                "They failed for five days, or the receiver said that it is gone. Mend the receiver and send them again."
            </Notice>
        }
    });
    view! {
        {notice}
        <StatGrid>
            <Stat label="Invoices go to" figure=goes hint=how/>
            <Stat label="Waiting" figure=group_thousands(standing.waiting) hint=since/>
            <Stat label="Given up" figure=group_thousands(standing.dead)/>
        </StatGrid>
    }
}

const fn state_text(state: DeliveryState) -> (&'static str, Tone) {
    match state {
        DeliveryState::Waiting => ("Waiting", Tone::Info),
        DeliveryState::Delivered => ("Delivered", Tone::Success),
        DeliveryState::Dead => ("Given up", Tone::Danger),
    }
}

fn nothing(sink: InvoiceSink, is_filtered: bool) -> AnyView {
    let (title, text) = match (sink, is_filtered) {
        (_, true) => ("Nothing matches", "No document is in that state."),
        (InvoiceSink::Webhook, false) => ("Nothing was sent yet", "The next invoice is sent as soon as it is made."),
        (InvoiceSink::Stripe, false) => {
            ("Invoices go to Stripe", "TURNPIKE_INVOICE_SINK=webhook sends them to a receiver of your own instead.")
        }
        (InvoiceSink::Files, false) => {
            ("Invoices are files", "Set TURNPIKE_INVOICE_SINK to webhook or stripe to have them sent.")
        }
    };
    view! {
        <EmptyState title=title text=text icon=IconName::Inbox>
            <ButtonLink href="/console/invoices">"Invoices"</ButtonLink>
        </EmptyState>
    }
    .into_any()
}

fn row(one: ListedDelivery, may_change: bool, now: Timestamp) -> impl IntoView + use<> {
    let (name, place) = match (one.kind, one.document) {
        (DocumentKind::Invoice, id) => ("Invoice", format!("/console/partners/{}/invoices/{id}", one.partner)),
        (DocumentKind::CreditNote, id) => ("Credit note", format!("/console/credit-notes/{id}")),
        (DocumentKind::Void, id) => ("Void of", format!("/console/credit-notes/{id}")),
    };
    let id = one.document.to_string();
    let (text, tone) = state_text(one.state);
    let when = match (one.state, one.waits_for_invoice) {
        (DeliveryState::Delivered, _) => one.delivered_at.map(|at| view! { <p class="key-note"><RelativeTime at=at now=now/></p> }.into_any()),
        (DeliveryState::Waiting, true) => Some(view! { <p class="key-note">"Waits for its invoice"</p> }.into_any()),
        (DeliveryState::Waiting, false) if one.failures > 0 => {
            Some(view! { <p class="key-note">{format!("Tries that failed: {}, the next ", one.failures)} <TimeText at=one.next_try_at/></p> }.into_any())
        }
        _ => None,
    };
    let message = (!one.message.is_empty()).then(|| view! { <p class="key-note finding-place">{one.message}</p> });
    let replays =
        (one.replays > 0).then(|| view! { <p class="key-note">{format!("Sent again by hand: {}", one.replays)}</p> });
    let replay = may_change.then(|| {
        let document: Document = one.document;
        view! {
            <Form action="/do/console/deliveries/replay" inline=true label=format!("Send {id} again")>
                <input type="hidden" name="document" value=document.to_string()/>
                <Button size=Size::Small icon=IconName::Rotate>"Send again"</Button>
            </Form>
        }
    });
    view! {
        <tr>
            <Cell label="Made" head=true><TimeText at=one.enlisted_at/></Cell>
            <Cell label="Document">
                <div class="cell-lines"><a href=place>{format!("{name} {}", one.code)}</a> <p class="key-note"><code class="clip">{one.document.to_string()}</code></p></div>
            </Cell>
            <Cell label="Partner"><a href=format!("/console/partners/{}", one.partner)>{one.partner_name}</a></Cell>
            <Cell label="State"><div class="cell-lines"><Badge text=text tone=tone/> {when} {message} {replays}</div></Cell>
            <Cell actions=true>{replay}</Cell>
        </tr>
    }
}
