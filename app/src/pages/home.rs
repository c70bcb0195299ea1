//! `/home`: what to do next, and how the current period stands.

use crate::{
    bill,
    components::*,
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    pages::time_text::{local_zone, period_text},
    viewer::{self, Cx, MemberViewer},
};
use domain::{key_text::Environment, money::group_thousands, period::Period};
use jiff::ToSpan;
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
        let recent = recent(seen.recent, now);
        Ok(view! {
            <PageTitle text="Home"/>
            <MemberFrame cx=cx path="/home">
                <PageHeader title=title description=description/>
                {(!started).then(|| view! { <Card title="Get started"><Checklist steps=steps/></Card> })}
                {figures}
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
    month: Totals,
    recent: Vec<LoggedRequest>,
}

impl Seen {
    async fn load(cx: &Cx<MemberViewer>) -> Result<Self, PageError> {
        let (store, partner) = (&cx.state.store, cx.viewer.partner);
        let subscription = store.subscription(partner).await?;
        let bill = match &subscription {
            Some(subscription) => Some(bill::so_far(&cx.state, partner, subscription, cx.now).await?),
            None => None,
        };
        let start = cx.now.checked_sub(744.hours()).unwrap_or(cx.now);
        let range = Period { start, end: cx.now.checked_add(1.minute()).unwrap_or(cx.now) };
        Ok(Self {
            requested: store.requested_subscription(partner).await?,
            has_key: !store.keys(partner).await?.is_empty(),
            month: store.usage_totals(partner, range, &UsageFilter::default()).await?,
            recent: store.request_log(partner, range, &RequestFilter::default(), None, RECENT).await?.requests,
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
        let period = period_text(bill.period, zone);
        let total = bill.total().to_string();
        let units = bill.units;
        let limits: Vec<String> = terms.limits.iter().map(ToString::to_string).collect();
        let limits = if limits.is_empty() { "None".to_owned() } else { limits.join(", ") };
        let quota = terms.quota.map(|quota| {
            view! {
                <Card title="Quota">
                    <Meter label="Units this period" used=units limit=Some(quota.units) unit="units" hint=quota.beyond.describe()/>
                </Card>
            }
        });
        let month = self.month;
        let plan = subscription.plan_name.clone();
        view! {
            <StatGrid>
                <Stat label="Plan" figure=plan hint=limits/>
                <Stat label="Units this period" figure=group_thousands(units) hint=period/>
                <Stat label="Bill so far" figure=total hint="Same figures as the invoice"/>
                <Stat label="Calls in 31 days" figure=group_thousands(month.calls) hint=format!("{} errors", group_thousands(month.errors))/>
            </StatGrid>
            {quota}
        }
        .into_any()
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
                    <Cell label="Call"><Cluster><MethodBadge method=request.method/><code>{call}</code></Cluster></Cell>
                    <Cell label="App">{request.app_name} " " <EnvironmentBadge live=live/></Cell>
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
