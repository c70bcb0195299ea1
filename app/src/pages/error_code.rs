//! `/docs/errors/{code}`: one refusal: what it means, what to do, how the answer looks.

mod answer;
mod backoff;
mod limits;

use crate::{
    components::{
        Breadcrumbs, ButtonLink, Card, CodeBlock, Crumb, Description, DescriptionList, PageHeader, StatusCode,
    },
    frames::PublicFrame,
    page::{PageError, PageTitle, page},
    viewer::{self, Viewer},
};
use domain::refusal::Code;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

#[component]
pub fn ErrorCodePage() -> impl IntoView {
    let cx = viewer::anyone();
    let code = use_params_map().with_untracked(|params| params.get("code"));
    page(async move {
        let cx = cx?;
        let code = code.as_deref().and_then(Code::from_code).ok_or(PageError::NotFound)?;
        let described = code.describe();
        let member = matches!(cx.viewer, Viewer::Member(_));
        let answer = answer::example(code, &cx.state.settings.portal_url);
        let headers = answer::headers(code);
        Ok(view! {
            <PageTitle text=format!("{}: {}", described.status, described.title)/>
            <PublicFrame cx path=format!("/docs/errors/{}", described.code)>
                <Breadcrumbs trail=vec![Crumb::new("Error codes", "/docs/errors")] current=described.code/>
                <PageHeader
                    title=described.title
                    description=described.meaning
                    beside=move || view! { <StatusCode code=described.status/> }
                />
                <div class="stack error-code">
                    <Card title="What to do">
                        <div class="prose"><p>{described.remedy}</p></div>
                        <NextSteps code member/>
                    </Card>
                    {matches!(code, Code::LimitExceeded).then(|| view! { <limits::Windows/> })}
                    {matches!(code, Code::QuotaExceeded).then(|| view! { <limits::QuotaEnd/> })}
                    <Card title="The answer" description="As it comes over the wire. The code is stable; the words may change.">
                        <CodeBlock code=answer language="json" title="Example"/>
                    </Card>
                    {(!headers.is_empty()).then(|| view! { <Headers headers/> })}
                    {waits(code).then(|| view! { <backoff::Samples url=described.code/> })}
                </div>
            </PublicFrame>
        })
    })
}

/// Whether waiting and sending the same again is the cure.
fn waits(code: Code) -> bool {
    matches!(code, Code::LimitExceeded | Code::Overloaded | Code::MeteringUnavailable)
}

#[component]
fn Headers(headers: Vec<(&'static str, &'static str)>) -> impl IntoView {
    let rows = headers.into_iter().map(|(name, meaning)| view! { <Description label=name>{meaning}</Description> });
    let rows = rows.collect_view();
    view! {
        <Card title="Headers of the answer">
            <DescriptionList>{rows}</DescriptionList>
        </Card>
    }
}

/// Where the cure is: links for somebody who is signed in, or the way in.
#[component]
fn NextSteps(code: Code, member: bool) -> impl IntoView {
    let links: &[(&str, &str)] = match code {
        Code::LimitExceeded | Code::QuotaExceeded => {
            &[("Your usage and limits", "/usage"), ("Change your plan", "/plan")]
        }
        Code::OperationNotInPlan | Code::NoSubscription => &[("Compare and change plans", "/plan")],
        Code::MissingKey | Code::MalformedKey | Code::UnknownKey | Code::ExpiredKey | Code::RevokedKey => {
            &[("Your apps and keys", "/apps")]
        }
        Code::ConflictingCredentials => &[("Your apps and keys", "/apps")],
        Code::NotFound | Code::MethodNotAllowed => &[("The reference of your products", "/products")],
        Code::PartnerSuspended => &[("Your account", "/home")],
        _ => &[],
    };
    if links.is_empty() {
        return None;
    }
    let buttons = links.iter().map(|(label, href)| {
        let href = if member { (*href).to_owned() } else { format!("/sign-in?next={}", href.replace('/', "%2F")) };
        view! { <ButtonLink href>{*label}</ButtonLink> }
    });
    let buttons = buttons.collect_view();
    let hint = (!member).then(|| view! { <p class="error-hint">"You will be asked to sign in first."</p> });
    Some(view! {
        <div class="cluster error-next">{buttons}</div>
        {hint}
    })
}
