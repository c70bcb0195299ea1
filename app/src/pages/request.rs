//! `/requests/{place}`: one call, with everything that was kept of it.

use crate::{
    components::*,
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    pages::{
        corrected::call_text,
        requests::duration_text,
        time_text::{local_time, local_zone},
        way::{CallWay, Sees, WayReader},
    },
    viewer,
};
use domain::{
    credit::allocation::Holder,
    id::{AllocationId, PartnerId},
    key_text::Environment,
    money::group_thousands,
    refusal::Code,
    role::MemberRole,
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use store::{
    BoundCredit, CreditAllocation, Store,
    usage::{LoggedRequest, Place},
};

#[component]
pub fn RequestPage() -> impl IntoView {
    let cx = viewer::member();
    let place = use_params_map().get_untracked().get("place");
    page(async move {
        let cx = cx?;
        let place: Place = place.and_then(|place| place.parse().ok()).ok_or(PageError::NotFound)?;
        let request = cx.state.store.request_at(cx.viewer.partner, &place).await?;
        let call = cx.state.store.trace_at(cx.viewer.partner, &place).await?;
        let corrections = cx.state.store.corrections_of_call(cx.viewer.partner, &place).await?;
        let own = match request.allocated {
            Some((id, units)) => Some((Payer::of(&cx.state.store, cx.viewer.partner, id).await?, units)),
            None => None,
        };
        let zone = local_zone(&cx.viewer.time_zone);
        let corrected: Vec<String> = corrections.iter().map(|line| call_text(line, &zone)).collect();
        let when = format!("{} ({})", local_time(request.at, &zone), cx.viewer.time_zone);
        let title = format!("{} {}", request.method, request.path);
        let sees = match cx.viewer.role {
            MemberRole::Owner | MemberRole::Admin | MemberRole::Billing => Sees::Own,
            MemberRole::Developer | MemberRole::Viewer => Sees::NoInvoices,
        };
        let settings = &cx.state.settings;
        let (stripe_is_on, closing_grace) = (settings.stripe_is_on, settings.closing_grace);
        let reader = WayReader { sees, zone, now: cx.now, stripe_is_on, closing_grace };
        let event = request.event_id.clone();
        Ok(view! {
            <PageTitle text=title.clone()/>
            <MemberFrame cx=cx path="/requests">
                <Breadcrumbs trail=vec![Crumb::new("Requests", "/requests")] current=request.request_id.clone()/>
                <PageHeader title=title description=when/>
                <Why request=request.clone()/>
                <Facts paid=paid_text(request.credits, own.as_ref()) request=request corrected=corrected/>
                <CallWay call=call event=event reader=reader/>
            </MemberFrame>
        })
    })
}

#[component]
fn Why(request: LoggedRequest) -> impl IntoView {
    let code = request.refusal.as_deref().and_then(Code::from_code)?;
    let told = code.describe();
    Some(view! {
        <Notice tone=Tone::Warning title=told.title>
            {told.meaning} " " {told.remedy} " " <a href=format!("/docs/errors/{}", told.code)>"What this code means"</a>
        </Notice>
    })
}

#[component]
fn Facts(request: LoggedRequest, paid: Option<String>, corrected: Vec<String>) -> impl IntoView {
    let outcome = match request.outcome.as_str() {
        "served" if !request.source.is_empty() => "Reported from outside",
        "served" => "Served",
        "replayed" => "Replayed: the answer of an earlier call was given again",
        "cached" => "Answered from the cache",
        "refused" => "Refused by the gateway",
        "upstream_failed" => "The API behind the gateway failed",
        _ => "The client went away before the end",
    };
    let billed = match (request.units, request.environment) {
        (0, _) => "0 units".to_owned(),
        (1, Environment::Test) => "1 unit, not charged: test key".to_owned(),
        (1, Environment::Live) => "1 unit".to_owned(),
        (units, Environment::Test) => format!("{units} units, not charged: test key"),
        (units, Environment::Live) => format!("{units} units"),
    };
    let reference = (!request.product_code.is_empty() && !request.operation_code.is_empty())
        .then(|| format!("/products/{}/{}", request.product_code, request.operation_code));
    let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let (told, region) = (known(&request.source), known(&request.region));
    view! {
        <Card title="The call">
            <DescriptionList>
                <Description label="Request id"><code>{request.request_id.clone()}</code></Description>
                <Description label="Event id"><code>{request.event_id.clone()}</code></Description>
                <Description label="Answer"><StatusCode code=request.status/></Description>
                <Description label="Outcome">{outcome}</Description>
                <Description label="Units">{billed}</Description>
                {paid.map(|text| view! { <Description label="Paid with credit">{text}</Description> })}
                {corrected.into_iter().map(|text| view! { <Description label="Corrected">{text}</Description> }).collect_view()}
                {counted_by(&request.price_rule).map(|rule| view! { <Description label="Counted by">{rule}</Description> })}
                <Description label="Environment"><EnvironmentBadge live=request.environment == Environment::Live/></Description>
                <Description label="App"><a href=format!("/requests?app={}", request.app)>{request.app_name.clone()}</a></Description>
                <Description label="Key"><a href=format!("/requests?key={}", request.key)>{request.key_name.clone()}</a></Description>
                <Description label="Took">{duration_text(request.duration_us)}</Description>
                <Description label="Of that, the API itself">{duration_text(request.upstream_us)}</Description>
                <Description label="Body sent">{format!("{} bytes", group_thousands(request.bytes_in))}</Description>
                <Description label="Body received">{format!("{} bytes", group_thousands(request.bytes_out))}</Description>
                {told.map(|source| view! { <Description label="Reported by"><code>{source}</code></Description> })}
                {region.map(|region| view! { <Description label="Region">{region}</Description> })}
                {request.trace_id.map(|trace| view! { <Description label="Trace id"><code>{trace}</code></Description> })}
                {reference
                    .map(|href| view! { <Description label="Reference"><a href=href>{request.operation_code.clone()}</a></Description> })}
            </DescriptionList>
        </Card>
    }
}

/// Whose units paid for a call, besides what is common.
enum Payer {
    Own(CreditAllocation),
    /// Units that only calls of some products use.
    Bound(BoundCredit),
}

impl Payer {
    async fn of(store: &Store, partner: PartnerId, id: AllocationId) -> Result<Self, PageError> {
        Ok(match store.bound_credit_of(partner, id).await? {
            Some(bound) => Self::Bound(bound),
            None => Self::Own(store.credit_allocation(partner, id).await?),
        })
    }

    fn words(&self) -> String {
        match self {
            Self::Bound(bound) => format!("what only calls of {} use", bound.words()),
            Self::Own(CreditAllocation { of: Holder::App(_), name, .. }) => {
                format!("what the app {name} has for itself")
            }
            Self::Own(CreditAllocation { of: Holder::Team(_), name, .. }) => {
                format!("what the team {name} has for itself")
            }
        }
    }
}

/// `40 units, 12 of them from what the app Billing has for itself`; nothing where credit paid nothing.
fn paid_text(credits: u64, own: Option<&(Payer, u64)>) -> Option<String> {
    let units = match credits {
        0 => return None,
        1 => "1 unit".to_owned(),
        more => format!("{} units", group_thousands(more)),
    };
    let Some((payer, own)) = own else { return Some(units) };
    let part = if *own == credits { "all".to_owned() } else { group_thousands(*own) };
    Some(format!("{units}, {part} of them from {}", payer.words()))
}

/// The rule that gave the units, in words.
fn counted_by(rule: &str) -> Option<String> {
    let (kind, value) = rule.split_once(':').unwrap_or((rule, ""));
    Some(match kind {
        "" => return None,
        "weight" => format!("The operation's weight, {value}"),
        "header" => format!("The answer's header {value}"),
        "json" => format!("The answer's field {value}"),
        "bytes" => format!("The answer's size, by {value} bytes"),
        "milliseconds" => format!("The API's time, by {value} ms"),
        "cache" => "The price of an answer from the cache".to_owned(),
        "replay" => "The price of an answer that is given again".to_owned(),
        "refusal" => "The price of a refusal".to_owned(),
        "told" => "The producer's own figure".to_owned(),
        _ => rule.to_owned(),
    })
}
