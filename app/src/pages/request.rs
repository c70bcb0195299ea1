//! `/requests/{place}`: one call, with everything that was kept of it.

use crate::{
    components::*,
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    pages::{
        requests::duration_text,
        time_text::{local_time, local_zone},
    },
    viewer,
};
use domain::{key_text::Environment, refusal::Code};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use store::usage::{LoggedRequest, Place};

#[component]
pub fn RequestPage() -> impl IntoView {
    let cx = viewer::member();
    let place = use_params_map().get_untracked().get("place");
    page(async move {
        let cx = cx?;
        let place: Place = place.and_then(|place| place.parse().ok()).ok_or(PageError::NotFound)?;
        let request = cx.state.store.request_at(cx.viewer.partner, &place).await?;
        let zone = local_zone(&cx.viewer.time_zone);
        let when = format!("{} ({})", local_time(request.at, &zone), cx.viewer.time_zone);
        let title = format!("{} {}", request.method, request.path);
        Ok(view! {
            <PageTitle text=title.clone()/>
            <MemberFrame cx=cx path="/requests">
                <Breadcrumbs trail=vec![Crumb::new("Requests", "/requests")] current=request.request_id.clone()/>
                <PageHeader title=title description=when/>
                <Why request=request.clone()/>
                <Facts request=request/>
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
fn Facts(request: LoggedRequest) -> impl IntoView {
    let outcome = match request.outcome.as_str() {
        "served" => "Served",
        "refused" => "Refused by the gateway",
        "upstream_failed" => "The API behind the gateway failed",
        _ => "The client went away before the end",
    };
    let billed = match (request.units, request.environment) {
        (0, _) => "0 units".to_owned(),
        (units, Environment::Test) => format!("{units} units, not charged: test key"),
        (units, Environment::Live) => format!("{units} units"),
    };
    let reference = (!request.product_code.is_empty() && !request.operation_code.is_empty())
        .then(|| format!("/products/{}/{}", request.product_code, request.operation_code));
    view! {
        <Card title="The call">
            <DescriptionList>
                <Description label="Request id"><code>{request.request_id.clone()}</code></Description>
                <Description label="Answer"><StatusCode code=request.status/></Description>
                <Description label="Outcome">{outcome}</Description>
                <Description label="Units">{billed}</Description>
                <Description label="Environment"><EnvironmentBadge live=request.environment == Environment::Live/></Description>
                <Description label="App"><a href=format!("/requests?app={}", request.app)>{request.app_name.clone()}</a></Description>
                <Description label="Key"><a href=format!("/requests?key={}", request.key)>{request.key_name.clone()}</a></Description>
                <Description label="Took">{duration_text(request.duration_us)}</Description>
                <Description label="Of that, the API itself">{duration_text(request.upstream_us)}</Description>
                <Description label="Body sent">{format!("{} bytes", domain::money::group_thousands(request.bytes_in))}</Description>
                <Description label="Body received">{format!("{} bytes", domain::money::group_thousands(request.bytes_out))}</Description>
                {reference
                    .map(|href| view! { <Description label="Reference"><a href=href>{request.operation_code.clone()}</a></Description> })}
            </DescriptionList>
        </Card>
    }
}
