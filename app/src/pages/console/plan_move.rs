//! `/console/plans/{plan}/moves`: all partners of a plan, or of one version of it, have another from the end of a billing period on; what
//! that means for each is shown before it is ordered.

use super::plan_impact::{sums, terms_words, with_these_terms};
use crate::{
    components::*,
    flash::{Flash, flash},
    form::Failure,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    pages::time_text::{local_zone, moment},
    viewer,
};
use billing::{Affected, BillingError, MOST_RATED, MovePreview};
use domain::{id::PlanId, role::OperatorRole};
use jiff::Timestamp;
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};
use store::{NewPlanMove, Plan, PlanMove, StoreError};

const FORM: &str = "plans/order-move";

#[component]
pub fn PlanMovesPage() -> impl IntoView {
    let cx = viewer::operator();
    let id = use_params_map().get_untracked().get("plan");
    let asked = use_query_map().with_untracked(|query| {
        ["version", "to", "notice_days", "reason"].map(|name| (name, query.get(name).unwrap_or_default()))
    });
    let flash = flash();
    let asked = asked.map(|(name, value)| flash.typed(FORM, name, &value));
    page(async move {
        let cx = cx?;
        let id: PlanId = id.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let store = &cx.state.store;
        let plan = store.plan(id).await?;
        let may_change = cx.viewer.role == OperatorRole::Admin;
        let [version, to, notice_days, reason] = asked;
        let (mut preview, mut wrong) = (None, Vec::new());
        if !to.is_empty() {
            let read = crate::api::plan_moves::read(id, &version, &to, &notice_days, &reason);
            let shown = match read {
                Ok(new) => previewed(store, new, may_change, cx.now).await?,
                Err(failure) => Err(failure),
            };
            match shown {
                Ok(view) => preview = Some(view),
                Err(failure) => wrong = failure.0,
            }
        }
        let moves = store.plan_moves().await?.into_iter().filter(|one| one.from == id).collect();
        let list = list(moves, may_change);
        let choices = store.all_plans().await?;
        let mut problems = flash.problems.clone();
        problems.extend(wrong.iter().filter(|one| !flash.problems.contains(one)).cloned());
        let typed = Typed { version, to, notice_days, reason, wrong };
        let form = may_change.then(|| form(&plan, choices, typed, &flash));
        let name = plan.meta.name.clone();
        let title = "Move partners";
        Ok(view! {
            <PageTitle text=title/>
            <OperatorFrame cx=cx path="/console/plans">
                <Breadcrumbs trail=vec![Crumb::new("Plans", "/console/plans"), Crumb::new(name, format!("/console/plans/{id}"))] current=title/>
                <PageHeader
                    title=title
                    description="Each partner is told by mail and moves when the first billing period after the notice ends. Until then it may choose another plan or leave."
                />
                <ErrorSummary problems=problems/>
                {preview}
                {list}
                {form}
            </OperatorFrame>
        })
    })
}

struct Typed {
    version: String,
    to: String,
    notice_days: String,
    reason: String,
    wrong: Vec<(String, String)>,
}

fn form(plan: &Plan, plans: Vec<Plan>, typed: Typed, flash: &Flash) -> AnyView {
    let problem = |field: &str| {
        let own = typed.wrong.iter().find(|(name, _)| name == field).map(|(_, message)| message.clone());
        own.or_else(|| flash.problem(FORM, field))
    };
    let versions: Vec<Choice> = plan
        .versions
        .iter()
        .map(|version| {
            Choice::new(version.id.to_string(), format!("Version {}, {} on it", version.version, version.partners))
        })
        .collect();
    let targets: Vec<Choice> = plans
        .iter()
        .filter(|plan| plan.archived_at.is_none())
        .flat_map(|plan| plan.versions.iter().map(move |version| (plan, version)))
        .map(|(plan, version)| {
            Choice::new(version.id.to_string(), format!("{}, version {}", plan.meta.name, version.version))
        })
        .collect();
    let action = format!("/console/plans/{}/moves", plan.id);
    let days = if typed.notice_days.is_empty() { "30".to_owned() } else { typed.notice_days.clone() };
    let errors = ["version", "to", "notice_days", "reason"].map(problem);
    let [version_error, to_error, days_error, reason_error] = errors;
    view! {
        <Card title="Plan a move" description="You see what it means before you order it. Partners who already have a change of plan waiting move only if that is taken back; partners on terms of their own stay on them.">
            <form class="form" method="get" action=action>
                <SelectField label="Partners on" name="version" id="field-version" choices=versions value=typed.version.clone() error=version_error blank="All versions"/>
                <SelectField label="Move to" name="to" id="field-to" choices=targets value=typed.to.clone() error=to_error blank="Choose a version" required=true/>
                <TextField label="Notice" name="notice_days" id="field-notice_days" value=days error=days_error suffix="days" inputmode="numeric" narrow=true required=true/>
                <TextField label="Why" name="reason" id="field-reason" value=typed.reason.clone() error=reason_error hint="Partners read it in the mail and on their plan page" maxlength=500/>
                <FormActions><Button kind=ButtonKind::Primary>"See what it means"</Button></FormActions>
            </form>
        </Card>
    }
    .into_any()
}

async fn previewed(
    store: &store::Store,
    new: NewPlanMove,
    may_change: bool,
    now: Timestamp,
) -> Result<Result<AnyView, Failure>, PageError> {
    let preview = match billing::preview_move(store, &new, now).await {
        Ok(preview) => preview,
        Err(BillingError::Store(
            error @ (StoreError::Conflict { .. } | StoreError::Invalid { .. } | StoreError::NotFound),
        )) => {
            return Ok(Err(error.into()));
        }
        Err(error) => {
            tracing::error!(%error, "a move cannot be previewed");
            return Err(PageError::Unavailable);
        }
    };
    let words = terms_words(&store.plan_version_terms(new.to).await?);
    let MovePreview { impact, at, waits, token } = preview;
    if impact.partners.is_empty() {
        let nobody =
            view! { <Notice tone=Tone::Info title="Nobody would be moved">"No partner has that version."</Notice> };
        return Ok(Ok(nobody.into_any()));
    }
    let rest = impact.partners_in_all.saturating_sub(u64::from(MOST_RATED));
    let [before, after, difference] = sums(&impact);
    let rows =
        impact.partners.into_iter().zip(at).zip(waits).map(|((own, at), waits)| row(own, at, waits)).collect_view();
    let hidden = [
        ("plan", new.from.to_string()),
        ("version", new.from_version.map(|version| version.to_string()).unwrap_or_default()),
        ("to", new.to.to_string()),
        ("notice_days", new.notice_days.to_string()),
        ("reason", new.reason),
        ("preview", token),
    ];
    let hidden = hidden.map(|(name, value)| view! { <input type="hidden" name=name value=value/> }).collect_view();
    let order = may_change.then(|| {
        view! {
            <Form action="/do/console/plans/order-move">
                {hidden}
                <FormActions><Button kind=ButtonKind::Primary>"Order the move and tell the partners"</Button></FormActions>
            </Form>
        }
    });
    Ok(Ok(view! {
        <Card title="The terms that they come to">{words}</Card>
        <Card title="What it means" description="The last full billing period of each partner, priced with its own terms and with these." flush=true>
            <DataTable
                caption="What it means"
                caption_hidden=true
                columns=vec![
                    Column::text("Partner"),
                    Column::numeric("Version"),
                    Column::text("From"),
                    Column::numeric("Now"),
                    Column::numeric("With these terms"),
                    Column::numeric("Difference"),
                ]
                stack=true
                foot=move || view! {
                    <tr>
                        <Cell label="Partner" head=true>"All who can be compared"</Cell>
                        <Cell numeric=true>{None::<String>}</Cell>
                        <Cell>{None::<String>}</Cell>
                        <Cell label="Now" numeric=true>{before.clone()}</Cell>
                        <Cell label="With these terms" numeric=true>{after.clone()}</Cell>
                        <Cell label="Difference" numeric=true>{difference.clone()}</Cell>
                    </tr>
                }
            >
                {rows}
            </DataTable>
            {(rest > 0).then(|| view! { <p class="invoice-note">{format!("{rest} more partners would be moved and are not in this list or its sums.")}</p> })}
        </Card>
        {order}
    }
    .into_any()))
}

fn row(own: Affected, at: Timestamp, waits: bool) -> impl IntoView {
    let href = format!("/console/partners/{}", own.partner);
    let from = if waits { "A change of its own waits".to_owned() } else { moment(at, &local_zone("UTC")) };
    let (after, differs) = with_these_terms(own.after, own.before);
    let before = own.before.map_or("—".to_owned(), |before| before.to_string());
    view! {
        <tr>
            <Cell label="Partner" head=true><a href=href>{own.name}</a></Cell>
            <Cell label="Version" numeric=true>{own.version}</Cell>
            <Cell label="From">{from}</Cell>
            <Cell label="Now" numeric=true>{before}</Cell>
            <Cell label="With these terms" numeric=true>{after}</Cell>
            <Cell label="Difference" numeric=true>{differs}</Cell>
        </tr>
    }
}

fn list(moves: Vec<PlanMove>, may_change: bool) -> Option<AnyView> {
    if moves.is_empty() {
        return None;
    }
    let row = |own: PlanMove| {
        let (text, tone) = match (own.ended_at, own.waiting) {
            (Some(_), _) => ("Ended", Tone::Neutral),
            (None, 0) => ("Nobody waits", Tone::Success),
            (None, _) => ("Under way", Tone::Info),
        };
        let who = own.from_version.map_or("All versions".to_owned(), |version| format!("Version {version}"));
        let cancel = (may_change && own.ended_at.is_none()).then(|| {
            view! {
                <Form action="/do/console/plans/cancel-move" inline=true>
                    <input type="hidden" name="plan" value=own.from.to_string()/>
                    <input type="hidden" name="plan_move" value=own.id.to_string()/>
                    <Button size=Size::Small>"Cancel"</Button>
                </Form>
            }
        });
        view! {
            <tr>
                <Cell label="Who" head=true>{who}</Cell>
                <Cell label="To">{format!("{}, version {}", own.to_name, own.to_version)}</Cell>
                <Cell label="State"><Badge text=text tone=tone/></Cell>
                <Cell label="Told" numeric=true><Figure value=own.told/></Cell>
                <Cell label="Waiting" numeric=true><Figure value=own.waiting/></Cell>
                <Cell label="Moved" numeric=true><Figure value=own.moved/></Cell>
                <Cell label="Until">{own.last_at.map(|at| moment(at, &local_zone("UTC")))}</Cell>
                <Cell label="Actions">{cancel}</Cell>
            </tr>
        }
    };
    let columns = vec![
        Column::text("Who"),
        Column::text("To"),
        Column::text("State"),
        Column::numeric("Told"),
        Column::numeric("Waiting"),
        Column::numeric("Moved"),
        Column::text("Until"),
        Column::actions(),
    ];
    let rows = moves.into_iter().map(row).collect_view();
    Some(
        view! {
            <Card title="Moves" flush=true>
                <DataTable caption="Moves" caption_hidden=true columns=columns stack=true>{rows}</DataTable>
            </Card>
        }
        .into_any(),
    )
}
