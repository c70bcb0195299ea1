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
        let own_plan = match &cx.viewer {
            Viewer::Member(member) if about_limits(code) => cx.state.store.subscription(member.partner).await?,
            _ => None,
        };
        let member = matches!(cx.viewer, Viewer::Member(_));
        let (head, body) = (answer::head(code), answer::body(code, &cx.state.settings.portal_url));
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
                <div class="error-code">
                    <div class="stack">
                        <Card title="What to do">
                            <div class="prose"><p>{described.remedy}</p></div>
                            <NextSteps code member/>
                        </Card>
                        {own_plan.map(|own| view! { <limits::OwnPlan own/> })}
                        {matches!(code, Code::LimitExceeded).then(|| view! { <limits::Windows/> })}
                        {matches!(code, Code::QuotaExceeded).then(|| view! { <limits::QuotaEnd/> })}
                        {(!headers.is_empty()).then(|| view! { <Headers headers/> })}
                    </div>
                    <div class="stack">
                        <Card title="The answer" description="As it comes over the wire. The code is stable; the words may change.">
                            <div class="stack stack-tight">
                                <CodeBlock code=head title="Status and headers"/>
                                <CodeBlock code=body language="json" title="Body"/>
                            </div>
                        </Card>
                        {waits(code).then(|| view! { <backoff::Samples url=described.code/> })}
                    </div>
                </div>
            </PublicFrame>
        })
    })
}

fn about_limits(code: Code) -> bool {
    matches!(code, Code::LimitExceeded | Code::QuotaExceeded)
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
        Code::InvoiceUnpaid => &[("Your invoices", "/invoices")],
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
