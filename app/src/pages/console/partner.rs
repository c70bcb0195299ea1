//! `/console/partners/{partner}`: everything about one partner, and what an operator may do for it.

use super::named_partners::own_terms;
use crate::{
    bill,
    components::*,
    flash::flash,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    pages::{
        coupons,
        home::by_day,
        invoices::{InvoiceState, number, period, threshold_badge},
        time_text::{local_zone, moment, period_days},
        unpaid::StageBadge,
    },
    viewer::{self, Cx, OperatorViewer},
};
use domain::{
    dunning::Stage, id::PartnerId, key_text::Environment, money::group_thousands, period::Period, plan_change::When,
    role::OperatorRole,
};
use jiff::{Timestamp, ToSpan};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use store::reconcile::Finding;
use store::{
    CouponLine, Key, KeyState, Member, NamedPlan, Partner, Plan, RedeemedCoupon, ScheduledChange, Subscription,
    invoices::Invoice,
    usage::{Totals, UsageFilter},
};

/// Keys that the page lists.
const MOST_KEYS: usize = 25;

#[component]
pub fn PartnerPage() -> impl IntoView {
    let cx = viewer::operator();
    let id = use_params_map().get_untracked().get("partner");
    let flash = flash();
    let problems = flash.problems.clone();
    page(async move {
        let cx = cx?;
        let id: PartnerId = id.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let seen = Seen::load(&cx, id).await?;
        let now = cx.now;
        let name = seen.partner.name.clone();
        let code = seen.partner.code.clone().map_or(String::new(), |code| format!("Code {code}"));
        let suspended = seen.partner.suspended_at.is_some();
        let reason = seen.partner.suspended_reason.clone().filter(|reason| !reason.is_empty());
        let figures = seen.figures();
        let used = seen.days.iter().any(|(_, totals)| totals.calls > 0);
        let chart = used.then(|| by_day(&seen.days, &local_zone(&seen.partner.time_zone)));
        let zone = local_zone(&seen.partner.time_zone);
        let may_change = cx.viewer.role == OperatorRole::Admin;
        let own_terms = own_terms(id, seen.named, &seen.plans);
        let coupons = coupons::of_partner(id, (seen.coupons, seen.offered), may_change, &flash, &zone);
        let plan = plan_card(id, seen.subscription, (seen.requested, seen.scheduled), seen.plans, &zone);
        let members = members(seen.members, now);
        let keys = keys(seen.keys, now);
        let invoices = invoices(id, seen.invoices);
        let state = state_card(seen.partner);
        let doubt = seen.doubt.is_some();
        let stage = seen.stage;
        Ok(view! {
            <PageTitle text=name.clone()/>
            <OperatorFrame cx=cx path="/console/partners">
                <Breadcrumbs trail=vec![Crumb::new("Partners", "/console/partners")] current=name.clone()/>
                <PageHeader title=name description=code beside=move || view! {
                    {suspended.then(|| view! { <Badge text="Suspended" tone=Tone::Danger/> })}
                    {stage.map(|stage| view! { <StageBadge stage=stage/> })}
                }>
                    <ButtonLink href=format!("/console/corrections?partner={id}") icon=IconName::Check>"Corrections"</ButtonLink>
                    <ButtonLink href=format!("/console/partners/{id}/unpaid") icon=IconName::Receipt>"Payment"</ButtonLink>
                    <ButtonLink href=format!("/console/partners/{id}/credit") icon=IconName::Layers>"Credit"</ButtonLink>
                    <ButtonLink href=format!("/console/partners/{id}/identities") icon=IconName::Key>"Identities"</ButtonLink>
                    <ButtonLink href=format!("/console/trace?partner={id}") icon=IconName::ArrowRight>"Trace a call"</ButtonLink>
                    <ButtonLink href=format!("/console/audit?partner={id}") icon=IconName::Shield>"Audit log"</ButtonLink>
                </PageHeader>
                <ErrorSummary problems=problems/>
                {suspended
                    .then(|| view! {
                        <Notice tone=Tone::Danger title="Calls are refused">
                            {reason.unwrap_or_else(|| "No reason was given.".to_owned())}
                        </Notice>
                    })}
                {doubt
                    .then(|| view! {
                        <Notice tone=Tone::Warning title="Invoices of this partner wait">
                            "Two places that count its usage do not say the same. "
                            <a href=format!("/console/reconciliation?partner={id}")>"Look at its findings"</a>
                            ", or at " <a href="/console/reconciliation">"those that nobody can say whose they are"</a> "."
                        </Notice>
                    })}
                {figures}
                {chart}
                {plan}
                {coupons}
                {own_terms}
                {members}
                {keys}
                {invoices}
                {state}
            </OperatorFrame>
        })
    })
}

/// What the page shows.
struct Seen {
    partner: Partner,
    subscription: Option<Subscription>,
    requested: Option<Subscription>,
    scheduled: Option<ScheduledChange>,
    bill: Option<bill::BillSoFar>,
    plans: Vec<Plan>,
    members: Vec<Member>,
    keys: Vec<Key>,
    named: Vec<NamedPlan>,
    invoices: Vec<Invoice>,
    coupons: Vec<RedeemedCoupon>,
    offered: Vec<CouponLine>,
    days: Vec<(Timestamp, Totals)>,
    /// What an unpaid invoice has made of it.
    stage: Option<Stage>,
    /// What holds its invoices back.
    doubt: Option<Finding>,
}

impl Seen {
    async fn load(cx: &Cx<OperatorViewer>, id: PartnerId) -> Result<Self, PageError> {
        let store = &cx.state.store;
        let subscription = store.subscription(id).await?;
        let bill = bill::so_far(&cx.state, id, cx.now).await?;
        let partner = store.partner(id).await?;
        let start = cx.now.checked_sub(744.hours()).unwrap_or(cx.now);
        let range = Period { start, end: cx.now.checked_add(1.minute()).unwrap_or(cx.now) };
        Ok(Self {
            doubt: store.doubt(id, Period { start: partner.created_at.min(start), end: range.end }).await?,
            stage: store.unpaid_stage(id).await?.map(|line| line.stage),
            days: store.usage_days(id, range, &partner.time_zone, &UsageFilter::default()).await?,
            partner,
            requested: store.requested_subscription(id).await?,
            scheduled: store.scheduled_change(id).await?,
            plans: store.all_plans().await?,
            members: store.members(id).await?,
            keys: store.keys(id).await?,
            named: store.plans_naming(id).await?,
            invoices: store.invoices(id).await?,
            coupons: store.redeemed_coupons(id, cx.now).await?,
            offered: store.coupons().await?,
            subscription,
            bill,
        })
    }

    fn figures(&self) -> AnyView {
        let Some(bill) = &self.bill else { return ().into_any() };
        let zone = local_zone(&self.partner.time_zone);
        let period = format!("{}, {} time", period_days(bill.period, &zone), self.partner.time_zone);
        let (units, total) = (group_thousands(bill.units), bill.total().to_string());
        let billed = bill.billed_already().map(|billed| format!("Besides, {billed}")).unwrap_or_default();
        let label = if bill.changed { "Live units since the change of plan" } else { "Live units this period" };
        let keys = group_thousands(self.keys.len() as u64);
        view! {
            <StatGrid>
                <Stat label=label figure=units hint=period/>
                <Stat label="Bill so far" figure=total hint=billed/>
                <Stat label="Keys" figure=keys/>
            </StatGrid>
        }
        .into_any()
    }
}

fn plan_card(
    id: PartnerId,
    current: Option<Subscription>,
    (requested, scheduled): (Option<Subscription>, Option<ScheduledChange>),
    plans: Vec<Plan>,
    zone: &jiff::tz::TimeZone,
) -> impl IntoView + use<> {
    let title =
        current.as_ref().map_or("No plan".to_owned(), |own| format!("{}, version {}", own.plan_name, own.version));
    let on = current.as_ref().map(|own| own.version_id.to_string());
    let newer = current.as_ref().filter(|own| own.version < own.newest_version).map(|own| {
        format!("There is a newer version: {}. Partners stay on theirs until they are moved.", own.newest_version)
    });
    let tried = current
        .as_ref()
        .and_then(|own| own.trial_until)
        .map(|until| format!("Its trial is until {}.", moment(until, zone)));
    let scheduled = scheduled.map(|change| {
        let at = moment(change.effective_at, zone);
        let text = match &change.to {
            Some(to) => format!("{}, version {}, begins on {at}. ", to.name, to.version),
            None => format!("The plan ends on {at}. "),
        };
        view! {
            <Notice tone=Tone::Info title="A change is planned">
                {text}
                <Form action="/do/console/partners/keep-plan" inline=true>
                    <input type="hidden" name="partner" value=id.to_string()/>
                    <input type="hidden" name="change" value=change.id.to_string()/>
                    <Button size=Size::Small>"Take it back"</Button>
                </Form>
            </Notice>
        }
    });
    let whens = vec![
        Choice::new(When::Usual.code(), "Upgrade at once, downgrade at the period's end"),
        Choice::new(When::AtOnce.code(), "At once"),
        Choice::new(When::PeriodEnd.code(), "When the period ends"),
    ];
    let mut choices: Vec<Choice> = plans
        .iter()
        .flat_map(|plan| plan.versions.iter().map(move |version| (plan, version)))
        .map(|(plan, version)| {
            let private = if plan.meta.private { ", private" } else { "" };
            Choice::new(version.id.to_string(), format!("{}, version {}{private}", plan.meta.name, version.version))
        })
        .collect();
    if current.is_some() {
        choices.push(Choice::new("none", "No plan: end it"));
    }
    let waits = requested.map(|own| {
        view! {
            <Notice tone=Tone::Warning title="Waits for approval">
                {format!("{} was requested. ", own.plan_name)} <a href="/console/requests">"Decide"</a>
            </Notice>
        }
    });
    view! {
        <Card title=title description="You see what a change means before you make it; gateways have it within a second.">
            <Stack>
                {waits}
                {scheduled}
                {tried.map(|text| view! { <p>{text}</p> })}
                {newer.map(|text| view! { <p>{text}</p> })}
                <form class="form form-inline" method="get" action=format!("/console/partners/{id}/plan")>
                    <SelectField label="Plan version" name="version" choices=choices value=on blank="Choose a version"/>
                    <SelectField label="When" name="when" choices=whens value="usual"/>
                    <Button>"Preview the change"</Button>
                </form>
            </Stack>
        </Card>
    }
}

fn members(members: Vec<Member>, now: Timestamp) -> impl IntoView {
    let rows = members
        .into_iter()
        .map(|member| {
            let state = match (member.disabled_at, member.email_verified_at, member.has_password) {
                (Some(_), ..) => "Disabled",
                (None, None, false) => "Invited",
                (None, None, true) => "Address not verified",
                (None, Some(_), _) => "Active",
            };
            view! {
                <tr>
                    <Cell label="E-mail" head=true>{member.email}</Cell>
                    <Cell label="Name">{Some(member.name).filter(|name| !name.is_empty())}</Cell>
                    <Cell label="Role">{crate::pages::team::title(member.role)}</Cell>
                    <Cell label="State">{state}</Cell>
                    <Cell label="Since"><RelativeTime at=member.created_at now=now/></Cell>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="Members" flush=true>
            <DataTable
                caption="Members"
                caption_hidden=true
                columns=vec![
                    Column::text("E-mail"),
                    Column::text("Name"),
                    Column::text("Role"),
                    Column::text("State"),
                    Column::text("Since"),
                ]
                stack=true
            >
                {rows}
            </DataTable>
        </Card>
    }
}

fn keys(keys: Vec<Key>, now: Timestamp) -> impl IntoView {
    if keys.is_empty() {
        return view! {
            <Card title="Keys"><EmptyState title="No keys" text="The partner creates its keys itself." icon=IconName::Key/></Card>
        }
        .into_any();
    }
    let all = keys.len();
    let rows = keys
        .into_iter()
        .take(MOST_KEYS)
        .map(|key| {
            let (state, tone) = match key.state(now) {
                KeyState::Active => ("Active", Tone::Success),
                KeyState::Expiring => ("Ends soon", Tone::Warning),
                KeyState::Expired => ("Expired", Tone::Neutral),
                KeyState::Revoked => ("Revoked", Tone::Neutral),
            };
            let live = key.environment == Environment::Live;
            let used = match key.last_used_at {
                Some(at) => view! { <RelativeTime at=at now=now/> }.into_any(),
                None => "Never".into_any(),
            };
            view! {
                <tr>
                    <Cell label="Key" head=true>{key.name} " " <code>{format!("…{}", key.last_four)}</code></Cell>
                    <Cell label="App">{key.app_name}</Cell>
                    <Cell label="Environment"><EnvironmentBadge live=live/></Cell>
                    <Cell label="State"><Badge text=state tone=tone/></Cell>
                    <Cell label="Last used">{used}</Cell>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="Keys" flush=true>
            <DataTable
                caption="Keys"
                caption_hidden=true
                columns=vec![
                    Column::text("Key"),
                    Column::text("App"),
                    Column::text("Environment"),
                    Column::text("State"),
                    Column::text("Last used"),
                ]
                stack=true
            >
                {rows}
            </DataTable>
            {(all > MOST_KEYS).then(|| view! { <p class="table-note">{format!("The newest {MOST_KEYS} of {all}.")}</p> })}
        </Card>
    }
    .into_any()
}

fn invoices(id: PartnerId, invoices: Vec<Invoice>) -> impl IntoView {
    if invoices.is_empty() {
        return view! {
            <Card title="Invoices">
                <EmptyState title="No invoices yet" text="One is made after each billing period." icon=IconName::Receipt/>
            </Card>
        }
        .into_any();
    }
    let rows = invoices
        .into_iter()
        .map(|invoice| {
            let href = format!("/console/partners/{id}/invoices/{}", invoice.id);
            let period = period(&invoice, &local_zone(&invoice.time_zone));
            let threshold = threshold_badge(&invoice);
            let (number, status, total) = (number(&invoice), invoice.status, invoice.total);
            view! {
                <tr>
                    <Cell label="Invoice" head=true><a href=href>{number}</a></Cell>
                    <Cell label="Period">{period} {threshold}</Cell>
                    <Cell label="State"><InvoiceState status=status/></Cell>
                    <Cell label="Total" numeric=true><MoneyText amount=total/></Cell>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="Invoices" flush=true>
            <DataTable
                caption="Invoices"
                caption_hidden=true
                columns=vec![Column::text("Invoice"), Column::text("Period"), Column::text("State"), Column::numeric("Total")]
                stack=true
            >
                {rows}
            </DataTable>
        </Card>
    }
    .into_any()
}

fn state_card(partner: Partner) -> impl IntoView {
    let id = partner.id.to_string();
    if partner.suspended_at.is_some() {
        return view! {
            <Card title="Reactivate" description="Calls with the partner's keys are served again within a second.">
                <Form action="/do/console/partners/reactivate" inline=true>
                    <input type="hidden" name="partner" value=id/>
                    <Button>"Reactivate"</Button>
                </Form>
            </Card>
        }
        .into_any();
    }
    view! {
        <Card title="Suspend" description="All calls are refused within a second; its people can still sign in and read why.">
            <Form action="/do/console/partners/suspend" inline=true>
                <input type="hidden" name="partner" value=id/>
                <TextField label="Reason" name="reason" hint="The partner reads it" maxlength=300/>
                <Button kind=ButtonKind::Danger>"Suspend"</Button>
            </Form>
        </Card>
    }
    .into_any()
}
