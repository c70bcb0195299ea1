//! `/home`: what to do next, and how the current period stands.

use crate::{
    bill,
    components::*,
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    pages::{
        credit::Balance,
        time_text::{local_date, local_zone, period_days},
    },
    viewer::{self, Cx, MemberViewer},
};
use domain::{key_text::Environment, money::group_thousands, period::Period, quota::Beyond};
use jiff::{Timestamp, ToSpan};
use leptos::prelude::*;
use store::{
    Subscription,
    usage::{LoggedRequest, RequestFilter, Totals, UsageFilter},
};

const RECENT: u16 = 8;

#[component]
pub fn HomePage() -> impl IntoView {
    let cx = viewer::member();
    page(async move {
        let cx = cx?;
        let seen = Seen::load(&cx).await?;
        let title = format!("Hello, {}", first_name(&cx.viewer));
        let description = cx.viewer.partner_name.clone();
        let zone = local_zone(&cx.viewer.time_zone);
        let now = cx.now;
        let steps = seen.steps();
        let started = steps.iter().all(|step| step.done);
        let figures = seen.figures(&zone);
        let credit = seen.credit.map(Balance::card);
        let recent = recent(seen.recent, now);
        Ok(view! {
            <PageTitle text="Home"/>
            <MemberFrame cx=cx path="/home">
                <PageHeader title=title description=description/>
                {(!started).then(|| view! { <Card title="Get started"><Checklist steps=steps/></Card> })}
                {figures}
                {credit}
                {recent}
            </MemberFrame>
        })
    })
}

fn first_name(viewer: &MemberViewer) -> String {
    let name = if viewer.name.trim().is_empty() { &viewer.email } else { &viewer.name };
    name.split([' ', '@']).next().unwrap_or_default().to_owned()
}

/// What the page shows.
struct Seen {
    subscription: Option<Subscription>,
    requested: Option<Subscription>,
    has_key: bool,
    bill: Option<bill::BillSoFar>,
    credit: Option<Balance>,
    month: Totals,
    days: Vec<(Timestamp, Totals)>,
    recent: Vec<LoggedRequest>,
}

impl Seen {
    async fn load(cx: &Cx<MemberViewer>) -> Result<Self, PageError> {
        let (store, partner) = (&cx.state.store, cx.viewer.partner);
        let subscription = store.subscription(partner).await?;
        let bill = bill::so_far(&cx.state, partner, cx.now).await?;
        let start = cx.now.checked_sub(744.hours()).unwrap_or(cx.now);
        let range = Period { start, end: cx.now.checked_add(1.minute()).unwrap_or(cx.now) };
        Ok(Self {
            requested: store.requested_subscription(partner).await?,
            has_key: !store.keys(partner).await?.is_empty(),
            month: store.usage_totals(partner, range, &UsageFilter::default()).await?,
            days: store.usage_days(partner, range, &cx.viewer.time_zone, &UsageFilter::default()).await?,
            recent: store.request_log(partner, range, &RequestFilter::default(), None, RECENT).await?.requests,
            credit: Balance::load(cx, subscription.as_ref()).await?,
            subscription,
            bill,
        })
    }

    fn steps(&self) -> Vec<ChecklistStep> {
        let plan = match (&self.subscription, &self.requested) {
            (Some(own), _) => ("Choose a plan", format!("You are on {}.", own.plan_name), true),
            (None, Some(own)) => {
                ("Wait for approval", format!("{} is waiting for the provider's approval.", own.plan_name), false)
            }
            (None, None) => (
                "Choose a plan",
                "It decides which APIs you may call, how often, and what that costs.".to_owned(),
                false,
            ),
        };
        vec![
            ChecklistStep::new(plan.0, plan.1, "/plan", plan.2),
            ChecklistStep::new(
                "Create a test key",
                "A test key reaches the same API and is never charged.",
                "/apps",
                self.has_key,
            ),
            ChecklistStep::new(
                "Make your first call",
                "Copy a sample from the reference, or try an operation right there.",
                "/products",
                self.month.served > 0,
            ),
        ]
    }

    fn figures(&self, zone: &jiff::tz::TimeZone) -> AnyView {
        let (Some(subscription), Some(bill)) = (&self.subscription, &self.bill) else { return ().into_any() };
        let terms = &subscription.terms;
        let period = period_days(bill.period, zone);
        let total = bill.total().to_string();
        let pace = format!("About {} by the end of the period at this pace", bill.estimate);
        let estimate = match bill.billed_already() {
            Some(billed) => format!("{pace}. Besides, {billed}"),
            None => pace,
        };
        let (label, units, quota_units) = (bill.units_label(), bill.units, bill.quota_units);
        let limits: Vec<String> = terms.limits.iter().map(ToString::to_string).collect();
        let limits = if limits.is_empty() { "No limits".to_owned() } else { limits.join(", ") };
        let (beyond, takes_credit) = (terms.beyond_quota().unwrap_or_default(), terms.admission.credit.required);
        let quota = subscription.quota_at(bill.period.start).map(|quota| {
            // What is beyond it is under credit.
            let quota_units = if takes_credit { quota_units.min(quota.units) } else { quota_units };
            let soft = takes_credit || quota.beyond != Beyond::Block;
            view! {
                <Card title="Quota" actions=move || view! { <a href="/plan">"Compare plans"</a> }>
                    <Meter label="Units this period" used=quota_units limit=Some(quota.units) unit="units" soft=soft hint=beyond/>
                </Card>
            }
        });
        let chart = (self.month.calls > 0).then(|| by_day(&self.days, zone));
        let month = self.month;
        let plan = subscription.plan_name.clone();
        view! {
            <StatGrid>
                <Stat label="Plan" figure=plan hint=limits/>
                <Stat label=label figure=group_thousands(units) hint=period/>
                <Stat label="Bill so far" figure=total hint=estimate/>
                <Stat label="Calls in 31 days" figure=group_thousands(month.calls) hint=format!("{} errors", group_thousands(month.errors))/>
            </StatGrid>
            {chart}
            {quota}
        }
        .into_any()
    }
}

/// Calls by day as a chart; the same for the partner and for the operator.
pub fn by_day(days: &[(Timestamp, Totals)], zone: &jiff::tz::TimeZone) -> impl IntoView + use<> {
    let label =
        |day: &Timestamp| local_date(*day, zone).rsplit_once(' ').map_or_else(String::new, |(day, _)| day.to_owned());
    let labels: Vec<String> = days.iter().map(|(day, _)| label(day)).collect();
    let of = |read: fn(&Totals) -> u64| days.iter().map(|(_, totals)| read(totals)).collect::<Vec<_>>();
    let series = vec![
        Series::new("Served", Tone::Info, of(|totals| totals.served)),
        Series::new("Refused or failed", Tone::Warning, of(|totals| totals.calls - totals.served)),
    ];
    view! {
        <Card>
            <BarChart
                title="The last 31 days"
                description="Calls for each of the last 31 days, with test and live keys"
                unit="calls a day"
                labels=labels
                series=series
            />
        </Card>
    }
}

fn recent(requests: Vec<LoggedRequest>, now: jiff::Timestamp) -> AnyView {
    if requests.is_empty() {
        return ().into_any();
    }
    let rows = requests
        .into_iter()
        .map(|request| {
            let href = format!("/requests/{}", request.place);
            let call = if request.path.is_empty() { "No operation matched".to_owned() } else { request.path.clone() };
            let live = request.environment == Environment::Live;
            view! {
                <tr>
                    <Cell label="When" head=true><a href=href><RelativeTime at=request.at now=now/></a></Cell>
                    <Cell label="Answer"><StatusCode code=request.status/></Cell>
                    <Cell label="Call"><CallPath method=request.method path=call/></Cell>
                    <Cell label="App"><span class="clip" title=request.app_name.clone()>{request.app_name.clone()}</span> " " <EnvironmentBadge live=live/></Cell>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="Latest calls" flush=true actions=move || view! { <a href="/requests">"All requests"</a> }>
            <DataTable
                caption="Latest calls"
                caption_hidden=true
                columns=vec![Column::text("When"), Column::text("Answer"), Column::text("Call"), Column::text("App")]
                stack=true
            >
                {rows}
            </DataTable>
        </Card>
    }
    .into_any()
}
