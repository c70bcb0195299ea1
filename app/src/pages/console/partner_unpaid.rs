//! `/console/partners/{partner}/unpaid`: how a partner stands with its invoices; an operator pauses what follows, or gives it other
//! days, or another threshold for invoices within the period.

use super::partner_threshold;
use crate::{
    components::*,
    flash::{Flash, flash},
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    pages::{
        time_text::{local_date, local_zone, moment},
        unpaid::StageBadge,
    },
    viewer,
};
use domain::{id::PartnerId, role::OperatorRole};
use jiff::tz::TimeZone;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use store::Dunning;

const PAUSE: &str = "dunning/pause";
const DAYS: &str = "dunning/days";

#[component]
pub fn PartnerUnpaidPage() -> impl IntoView {
    let cx = viewer::operator();
    let id = use_params_map().get_untracked().get("partner");
    let flash = flash();
    page(async move {
        let cx = cx?;
        let id: PartnerId = id.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let partner = cx.state.store.partner(id).await?;
        let standing = cx.state.store.dunning(id, cx.now).await?;
        let zone = local_zone(&partner.time_zone);
        let trail = vec![
            Crumb::new("Partners", "/console/partners"),
            Crumb::new(partner.name.clone(), format!("/console/partners/{id}")),
        ];
        let may_change = cx.viewer.role == OperatorRole::Admin;
        let problems = flash.problems.clone();
        let stage = standing.stage;
        let no_rules = standing.days.is_none();
        let facts = facts(id, &standing, &zone);
        let plan = cx.state.store.subscription(id).await?;
        let own = cx.state.store.own_invoice_threshold(id).await?;
        let threshold = partner_threshold::card(id, (plan.as_ref(), own), may_change, &flash);
        let forms = may_change.then(|| forms(id, &standing, &flash));
        Ok(view! {
            <PageTitle text="Payment"/>
            <OperatorFrame cx=cx path="/console/unpaid">
                <Breadcrumbs trail=trail current="Payment"/>
                <PageHeader title="Payment" description=partner.name beside=move || view! { <StageBadge stage=stage/> }/>
                <ErrorSummary problems=problems/>
                {no_rules.then(|| view! {
                    <Notice title="Nothing happens when an invoice stays unpaid">"The partner's plan sets no days for it. " <a href="/console/plans">"Set them in the plan"</a></Notice>
                })}
                {facts}
                {forms}
                {threshold}
            </OperatorFrame>
        })
    })
}

fn facts(id: PartnerId, standing: &Dunning, zone: &TimeZone) -> impl IntoView + use<> {
    let since = moment(standing.since, zone);
    let since = (standing.stage != domain::dunning::Stage::Good)
        .then(|| view! { <Description label="Since">{since}</Description> });
    let invoice = standing.invoice.as_ref().map(|invoice| {
        let (href, code) = (format!("/console/partners/{id}/invoices/{}", invoice.id), invoice.code());
        let text = format!(", {} due on {}", invoice.owed, local_date(invoice.due_at, zone));
        view! { <Description label="Oldest unpaid invoice"><a href=href>{code}</a> {text}</Description> }
    });
    let nothing =
        standing.invoice.is_none().then(|| view! { <Description label="Oldest unpaid invoice">"None"</Description> });
    let next = standing.stage.worse().zip(standing.worsens_at).map(|(worse, at)| {
        let text = format!("{} on {} at the earliest", worse.word(), moment(at, zone));
        view! { <Description label="Next">{text}</Description> }
    });
    let days = standing.days.map(|days| {
        let text = format!("{} overdue, then {} limited", days_text(days.grace), days_text(days.limited));
        view! { <Description label="What follows">{text}</Description> }
    });
    let lowered =
        standing.lowered.clone().map(|text| view! { <Description label="Limits when limited">{text}</Description> });
    let paused = standing.paused.as_ref().map(|(until, reason)| {
        let text = format!("Until {}: {reason}", moment(*until, zone));
        view! { <Description label="Paused">{text}</Description> }
    });
    view! {
        <Card title="Standing">
            <DescriptionList>{since} {invoice} {nothing} {next} {days} {lowered} {paused}</DescriptionList>
        </Card>
    }
}

fn days_text(days: u16) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

fn forms(id: PartnerId, standing: &Dunning, flash: &Flash) -> impl IntoView + use<> {
    let id = id.to_string();
    let own = |days: Option<u16>| days.map(|days| days.to_string()).unwrap_or_default();
    let grace = flash.typed(DAYS, "grace_days", &own(standing.own_days.grace));
    let limited = flash.typed(DAYS, "limited_days", &own(standing.own_days.limited));
    let (grace_error, limited_error) = (flash.problem(DAYS, "grace_days"), flash.problem(DAYS, "limited_days"));
    let (until, until_error) = (flash.typed(PAUSE, "until", ""), flash.problem(PAUSE, "until"));
    let (reason, reason_error) = (flash.typed(PAUSE, "reason", ""), flash.problem(PAUSE, "reason"));
    let resume = standing.paused.is_some().then(|| {
        let id = id.clone();
        view! {
            <Form action="/do/console/dunning/resume" inline=true>
                <input type="hidden" name="partner" value=id/>
                <Button>"End the pause now"</Button>
            </Form>
        }
    });
    let pause_id = id.clone();
    view! {
        <Card title="Pause" description="Until that day nothing happens and the partner is in good standing. Then the days begin again.">
            <Stack>
                {resume}
                <Form action="/do/console/dunning/pause">
                    <input type="hidden" name="partner" value=pause_id/>
                    <TextField label="Until" name="until" kind="date" value=until error=until_error hint="The beginning of that day, UTC" narrow=true required=true/>
                    <TextField label="Reason" name="reason" value=reason error=reason_error hint="For operators and the audit log" maxlength=500 required=true/>
                    <FormActions><Button kind=ButtonKind::Primary>"Pause"</Button></FormActions>
                </Form>
            </Stack>
        </Card>
        <Card title="Days of its own" description="For this partner instead of the plan's days. Empty: as the plan says.">
            <Form action="/do/console/dunning/days">
                <input type="hidden" name="partner" value=id/>
                <FormRow>
                    <TextField label="Overdue, nothing else" name="grace_days" value=grace error=grace_error suffix="days" inputmode="numeric" narrow=true/>
                    <TextField label="Then with lowered limits" name="limited_days" value=limited error=limited_error suffix="days" inputmode="numeric" narrow=true/>
                </FormRow>
                <FormActions><Button>"Save"</Button></FormActions>
            </Form>
        </Card>
    }
}
