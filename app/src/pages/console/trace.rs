//! `/console/trace`: the way of a call from the meter to Stripe, found by its request id, whoever's it is.

use super::listed;
use crate::{
    components::*,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    pages::{
        time_text::moment,
        way::{CallWay, Sees, WayReader, adjusted_way, event_text},
    },
    viewer,
};
use domain::{key_text::Environment, money::group_thousands};
use jiff::tz::TimeZone;
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};
use store::trace::{MOST, TracedCall, TracedLate};

const PATH: &str = "/console/trace";

/// The page of a request id.
pub fn address(request_id: &str) -> String {
    let mut query = ParamsMap::new();
    query.insert("request", request_id.to_owned());
    format!("{PATH}{}", query.to_query_string())
}

#[component]
pub fn TracePage() -> impl IntoView {
    let cx = viewer::operator();
    let query = use_query_map().get_untracked();
    page(async move {
        let cx = cx?;
        let store = &cx.state.store;
        let asked = query.get("request").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let partner = listed::partner(&query)?;
        let (calls, late) = match &asked {
            Some(id) => (store.all_partners_trace(id, partner).await?, store.all_partners_late(id, partner).await?),
            None => (Vec::new(), Vec::new()),
        };
        let whose = match partner {
            Some(id) => format!(" Only calls of {} are shown.", store.partner(id).await?.name),
            None => String::new(),
        };
        let most = usize::try_from(MOST).unwrap_or(usize::MAX);
        let cut = match calls.len().max(late.len()) >= most {
            true => format!(" Only the oldest {MOST} with this id are shown."),
            false => String::new(),
        };
        let description = format!(
            "Give a request id, and see where the call was counted, billed and sent to. Times in UTC.{whose}{cut}"
        );
        let reader = WayReader {
            sees: Sees::All,
            zone: TimeZone::UTC,
            now: cx.now,
            stripe_is_on: cx.state.settings.stripe_is_on,
            closing_grace: cx.state.settings.closing_grace,
        };
        let nothing = (calls.is_empty() && late.is_empty()).then(|| nothing(asked.is_some()));
        let found = calls.into_iter().map(|call| found(call, reader.clone())).collect_view();
        let late = late.into_iter().map(|one| came_late(one, &reader)).collect_view();
        let hidden = partner.map(|id| view! { <input type="hidden" name="partner" value=id.to_string()/> });
        Ok::<_, PageError>(view! {
            <PageTitle text="Trace a call"/>
            <OperatorFrame cx=cx path=PATH>
                <PageHeader title="Trace a call" description=description/>
                <FilterBar action=PATH label="Trace a call">
                    {hidden}
                    <TextField label="Request id" name="request" value=asked mono=true placeholder="The whole of it"/>
                    <Button icon=IconName::Search>"Trace"</Button>
                </FilterBar>
                {nothing}
                {found}
                {late}
            </OperatorFrame>
        })
    })
}

fn nothing(asked: bool) -> AnyView {
    let (title, text) = match asked {
        true => (
            "No call with this request id is stored",
            "Its gateway may not have handed it over yet: turnpike trace looks in a node's own log, too. A call that was refused before its key was known is not recorded, and old calls are dropped.",
        ),
        false => (
            "Nothing was asked for",
            "The X-Request-Id of an answer is the request id. Each call on a line of an invoice leads here, too.",
        ),
    };
    view! {
        <Card flush=true>
            <EmptyState title=title text=text icon=IconName::Search>
                <ButtonLink href="/console/invoices">"Open invoices"</ButtonLink>
            </EmptyState>
        </Card>
    }
    .into_any()
}

fn found(call: TracedCall, reader: WayReader) -> impl IntoView {
    let partner = format!("/console/partners/{}", call.partner);
    let whose = if call.partner_code.is_empty() { call.partner.to_string() } else { call.partner_code.clone() };
    let at = moment(call.at, &reader.zone);
    let operation = match call.operation_code.as_str() {
        "" => "None matched".to_owned(),
        operation => format!("{}, {operation}", call.product_code),
    };
    let live = call.environment == Environment::Live;
    let (event, title) = (event_text(&call), format!("{} {}", call.method, call.path));
    let (status, outcome, units) = (call.status, call.outcome.clone(), group_thousands(call.units));
    view! {
        <Card title=title>
            <DescriptionList>
                <Description label="Partner"><a href=partner>{whose}</a></Description>
                <Description label="Time">{at}</Description>
                <Description label="Operation">{operation}</Description>
                <Description label="Answer"><StatusCode code=status/> " " {outcome}</Description>
                <Description label="Units">{units}</Description>
                <Description label="Environment"><EnvironmentBadge live=live/></Description>
            </DescriptionList>
        </Card>
        <CallWay call=call event=event reader=reader/>
    }
}

fn came_late(late: TracedLate, reader: &WayReader) -> impl IntoView + use<> {
    let partner = format!("/console/partners/{}", late.partner);
    let (whose, at) = (late.partner.to_string(), moment(late.at, &reader.zone));
    let way = adjusted_way(late.partner, late.invoice.as_ref(), reader);
    view! {
        <Card title="Told after its period was closed" description="It is no stored call: it adjusts the bill of a closed period.">
            <Stack>
                <DescriptionList>
                    <Description label="Partner"><a href=partner>{whose}</a></Description>
                    <Description label="Time">{at}</Description>
                    <Description label="Told by"><code>{late.source}</code></Description>
                    <Description label="Units"><SignedFigure value=late.units/></Description>
                </DescriptionList>
                {way}
            </Stack>
        </Card>
    }
}
