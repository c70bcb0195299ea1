//! `/console/corrections/{correction}`: what one would do or did, who said so, and the next step.

use super::corrections::{StateBadge, signed, what};
use crate::{
    components::*,
    flash::{Flash, flash},
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    viewer::{self, Cx, OperatorViewer},
};
use billing::{Bill, BilledOn, DryRun};
use domain::{
    correction::{Change, Filter, State},
    id::CorrectionId,
    money::group_thousands,
    role::OperatorRole,
};
use jiff::{Timestamp, tz::TimeZone};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use store::corrections::{Correction, Person};

#[component]
pub fn CorrectionPage() -> impl IntoView {
    let cx = viewer::operator();
    let correction = use_params_map().get_untracked().get("correction");
    let flash = flash();
    page(async move {
        let cx = cx?;
        let id: CorrectionId = correction.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let correction = cx.state.store.correction_of_any_partner(id).await?;
        let dry_run: Option<DryRun> = serde_json::from_value(correction.dry_run.clone()).ok();
        let problems = flash.problems.clone();
        let state = correction.state;
        let next = next(&cx, &correction, &flash);
        let trail = vec![Crumb::new("Corrections", "/console/corrections")];
        let title = what(&correction.new.change);
        Ok(view! {
            <PageTitle text="Correction"/>
            <OperatorFrame cx=cx path="/console/corrections">
                <Breadcrumbs trail=trail current=correction.partner_name.clone()/>
                <PageHeader title=title description=correction.new.reason.clone() beside=move || view! { <StateBadge state=state/> }/>
                <ErrorSummary problems=problems/>
                {dry_run.map(|dry_run| view! { <Effect dry_run=dry_run state=state/> })}
                <Facts correction=correction/>
                {next}
            </OperatorFrame>
        })
    })
}

fn counts(count: i64) -> String {
    group_thousands(count.unsigned_abs())
}

fn hint(before: i64, after: i64) -> String {
    format!("{} before, {} after", counts(before), counts(after))
}

#[component]
fn Effect(dry_run: DryRun, state: State) -> impl IntoView {
    let calls = dry_run.calls_after.saturating_sub(dry_run.calls_before);
    let units = dry_run.units_after.saturating_sub(dry_run.units_before);
    let back = [(dry_run.quota_back, "the quota"), (dry_run.credit_back, "prepaid credit")];
    let back = back.into_iter().filter(|(units, _)| *units != 0).map(|(units, what)| match units {
        1.. => {
            format!("{} units go back to {what}, where a gateway can spend them with its next block.", counts(units))
        }
        _ => format!("{} more units are held against {what}.", counts(units)),
    });
    let back: Vec<String> = back.collect();
    let unbilled = (dry_run.unbilled_units != 0).then(|| {
        format!("{} units of it are in no bill: test calls, or a time without a plan.", signed(dry_run.unbilled_units))
    });
    let notes = back.into_iter().chain(unbilled).map(|note| view! { <p class="table-note">{note}</p> }).collect_view();
    let title = match state {
        State::Draft | State::Approved => "What it would do",
        State::Applied => "What it did",
        State::Reverted => "What it did, until it was reverted",
        State::Refused => "What it would have done",
    };
    let empty = dry_run.bills.is_empty();
    let rows = dry_run.bills.iter().map(|one| bill(one.clone(), dry_run.billed_on(one))).collect_view();
    view! {
        <StatGrid>
            <Stat label="Events that change" figure=group_thousands(dry_run.events)/>
            <Stat label="Calls counted" figure=signed(calls) hint=hint(dry_run.calls_before, dry_run.calls_after)/>
            <Stat label="Units" figure=signed(units) hint=hint(dry_run.units_before, dry_run.units_after)/>
        </StatGrid>
        <Card title=title flush=true>
            {if empty {
                view! { <p class="table-note">"No bill changes."</p> }.into_any()
            } else {
                view! {
                    <DataTable
                        caption="Bills with it and without"
                        caption_hidden=true
                        columns=vec![
                            Column::text("Period, UTC"),
                            Column::numeric("Units"),
                            Column::numeric("Before"),
                            Column::numeric("After"),
                            Column::numeric("Difference"),
                            Column::text("Where it is billed"),
                        ]
                        stack=true
                    >
                        {rows}
                    </DataTable>
                }
                .into_any()
            }}
            {notes}
        </Card>
    }
}

fn bill(bill: Bill, on: BilledOn) -> impl IntoView {
    let difference = bill.after.micros.saturating_sub(bill.before.micros);
    let difference = domain::money::Money::new(bill.after.currency, difference);
    let place = match on {
        BilledOn::Final => "A final invoice a day later: no next one has this currency. Below zero, pay it out by hand",
        BilledOn::Next => "The next invoice: this one is closed",
        BilledOn::ItsOwn => "This period's own invoice; amounts so far",
    };
    view! {
        <tr>
            <Cell label="Period, UTC" head=true><TimeText at=bill.period.start date=true/> " to " <TimeText at=bill.period.end date=true/></Cell>
            <Cell label="Units" numeric=true>{signed(bill.units)}</Cell>
            <Cell label="Before" numeric=true><MoneyText amount=bill.before/></Cell>
            <Cell label="After" numeric=true><MoneyText amount=bill.after/></Cell>
            <Cell label="Difference" numeric=true><MoneyText amount=difference/></Cell>
            <Cell label="Where it is billed">{place}</Cell>
        </tr>
    }
}

#[component]
fn Facts(correction: Correction) -> impl IntoView {
    let partner = format!("/console/partners/{}", correction.partner);
    let which = which(&correction.new.change, &correction.new.filter);
    let which =
        which.into_iter().map(|(label, text)| view! { <Description label=label><code>{text}</code></Description> });
    let which = which.collect_view();
    let ended = if correction.state == State::Refused { "Refused" } else { "Reverted" };
    let (ended_by, ended_reason) = correction.ended.unzip();
    let steps = [
        ("Made", Some(correction.made)),
        ("Approved", correction.approved),
        ("Applied", correction.applied),
        (ended, ended_by),
    ];
    let steps = steps.into_iter().filter_map(|(label, person)| Some(step(label, person?))).collect_view();
    view! {
        <Card title="What is corrected">
            <DescriptionList>
                <Description label="Partner"><a href=partner>{correction.partner_name}</a></Description>
                {which}
                {steps}
                {ended_reason.map(|text| view! { <Description label="Why it ended">{text}</Description> })}
                <Description label="Id"><code>{correction.id.to_string()}</code></Description>
            </DescriptionList>
        </Card>
    }
}

fn step(label: &'static str, person: Person) -> impl IntoView {
    let by = match person.name.as_str() {
        "" => "Turnpike".to_owned(),
        name if person.kind == "token" => format!("the token {name}"),
        name => name.to_owned(),
    };
    view! { <Description label=label><TimeText at=person.at seconds=true/> " UTC, by " {by}</Description> }
}

/// What was chosen, by its names.
fn which(change: &Change, filter: &Filter) -> Vec<(&'static str, String)> {
    let (fill, filter) = match change {
        Change::BackFill(fill) => (Some(fill.clone()), &Filter::default()),
        _ => (None, filter),
    };
    let filled = fill.as_ref();
    let all = [
        ("At", filled.map(|fill| second(fill.at))),
        ("From", filter.from.map(second)),
        ("To", filter.to.map(second)),
        ("Environment", filled.map(|fill| fill.environment).or(filter.environment).map(|of| of.to_string())),
        ("Product", filled.and_then(|fill| fill.product.clone()).or_else(|| filter.product.clone())),
        ("Operation", filled.and_then(|fill| fill.operation.clone()).or_else(|| filter.operation.clone())),
        ("App", filled.and_then(|fill| fill.app).or(filter.app).map(|id| id.to_string())),
        ("Key", filter.key.map(|id| id.to_string())),
        ("Request id", filter.request_id.clone()),
        ("Told by", filter.source.clone()),
    ];
    all.into_iter().filter_map(|(label, text)| Some((label, text?))).collect()
}

/// `22 Nov 2026, 03:20:00 UTC`
fn second(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%-d %b %Y, %H:%M:%S UTC").to_string()
}

/// The forms of the next step, for whom may take it.
fn next(cx: &Cx<OperatorViewer>, correction: &Correction, flash: &Flash) -> AnyView {
    let (id, hash, flash) = (correction.id, billing::write_hash(&correction.hash), flash.clone());
    let refused = flash.clone();
    if cx.viewer.role != OperatorRole::Admin {
        return view! { <Notice title="Your role reads only">"An operator who may change things takes the next step."</Notice> }
            .into_any();
    }
    let is_maker = correction.made.id == Some(cx.viewer.id.0);
    let waits_for_another = cx.state.settings.four_eyes && is_maker;
    let another = || {
        view! { <Notice title="Another operator has to agree">"You have made this correction. Somebody else approves or reverts it."</Notice> }
    };
    let forms = match correction.state {
        State::Draft if waits_for_another => another().into_any(),
        State::Draft => view! {
            <Card title="Approve" description="You agree to just what is shown above. If the usage changes before it is applied, it waits for you again.">
                <Form action="/do/console/corrections/approve">
                    <input type="hidden" name="correction" value=id.to_string()/>
                    <input type="hidden" name="hash" value=hash/>
                    <FormActions><Button kind=ButtonKind::Primary>"Approve"</Button></FormActions>
                </Form>
            </Card>
        }
        .into_any(),
        State::Approved => view! {
            <Card title="Apply" description="All figures have it at once. It can be reverted.">
                <Form action="/do/console/corrections/apply">
                    <input type="hidden" name="correction" value=id.to_string()/>
                    <FormActions><Button kind=ButtonKind::Primary>"Apply"</Button></FormActions>
                </Form>
            </Card>
        }
        .into_any(),
        State::Applied if waits_for_another => another().into_any(),
        State::Applied => view! {
            <Card title="Revert" description="All figures are as if it had never counted; what a closed bill had of it is on the next invoice.">
                <End id=id form="corrections/revert" button="Revert" flash=flash/>
            </Card>
        }
        .into_any(),
        State::Reverted | State::Refused => ().into_any(),
    };
    let refuse = matches!(correction.state, State::Draft | State::Approved).then(|| {
        view! {
            <Card title="Refuse" description="It will never count.">
                <End id=id form="corrections/refuse" button="Refuse" flash=refused/>
            </Card>
        }
    });
    view! { {forms} {refuse} }.into_any()
}

#[component]
fn End(id: CorrectionId, form: &'static str, button: &'static str, flash: Flash) -> impl IntoView {
    view! {
        <Form action=format!("/do/console/{form}")>
            <input type="hidden" name="correction" value=id.to_string()/>
            <TextField
                label="Why"
                name="reason"
                id=format!("{}-reason", button.to_lowercase())
                value=flash.typed(form, "reason", "")
                error=flash.problem(form, "reason")
                required=true
                hint=if button == "Revert" { "The partner reads this" } else { "For the audit log" }
            />
            <FormActions><Button kind=ButtonKind::Danger>{button}</Button></FormActions>
        </Form>
    }
}
