//! A partner's own plan: what it is, what a change of it means, and the change.

use super::{
    extract::Body,
    guard::{PartnerCall, Token},
    invoices::AmountOut,
    keys::Whose,
    problem::Problem,
};
use app::{api::plan, payment, plan_letters, state::AppState};
use axum::{Json, http::StatusCode};
use billing::{BillingError, ChangeRefused, News, Proposal, Recipient, Wanted};
use domain::{
    id::PartnerId,
    limit::Limit,
    plan_change::{FeeFrom, When},
    scope::Scope,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Ordered, OrderedBy, ScheduledChange, Subscription, Wish};
use utoipa::ToSchema;

/// Which plan.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanWishIn {
    /// The plan's code; its newest version is taken. `null` cancels.
    #[schema(example = "pro")]
    plan: Option<String>,
    /// `usual`: an upgrade at once, a downgrade and an end when the period ends. Only the provider's tokens may say `at_once` or
    /// `period_end`.
    #[serde(default)]
    when: Option<String>,
}

/// A change as it was shown.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanChangeIn {
    /// As for the preview.
    plan: Option<String>,
    #[serde(default)]
    when: Option<String>,
    /// `preview` of the preview's answer. It holds for ten minutes, and as long as nothing of what it told changes; then 409.
    preview: String,
}

/// What a change of plan means. Amounts without usage are those that the invoices will have.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanPreviewOut {
    /// What the change carries.
    preview: String,
    /// `start`, `upgrade`, `downgrade` or `cancel`.
    direction: String,
    from: Option<PlanNameOut>,
    to: Option<PlanNameOut>,
    /// Whether an operator has to say yes first.
    needs_approval: bool,
    /// Whether it is in force at once, from the instant of the preview on.
    at_once: bool,
    #[schema(value_type = String, format = DateTime)]
    effective_at: Timestamp,
    /// Until when the new plan is tried; its first period that is paid begins then.
    #[schema(value_type = Option<String>, format = DateTime)]
    trial_until: Option<Timestamp>,
    /// IANA name: the partner's.
    time_zone: String,
    /// The new plan's first billing period, of which it has the part from `effective_at` on.
    #[schema(value_type = Option<String>, format = DateTime)]
    period_start: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    period_end: Option<Timestamp>,
    /// The old plan's fee until then, of what is not billed yet; less discounts.
    old_fee: Option<AmountOut>,
    /// What is given back of the old plan's fee on the next invoice, where it was billed in advance and the period is cut off.
    given_back: Option<AmountOut>,
    /// Of the bonus that the old plan's fee gave when it was paid, the units for the time that does not run: those of them that are unused go back.
    bonus_back: u64,
    /// What the running bill is until now, usage included: it grows with usage, and no commit is held to it.
    so_far: Option<AmountOut>,
    /// The new plan's fee for the part of its first period, less discounts, and for the whole period after it, or for the first where that
    /// is whole, before discounts.
    first_fee: Option<AmountOut>,
    fee: Option<AmountOut>,
    /// The units of prepaid credit that the first fee gives as a bonus once its invoice is paid.
    bonus_first: u64,
    /// Its fee in later periods, where its phases and promotions make it another.
    later_fees: Vec<LaterFeeOut>,
    /// Units: of the running period before, of that period with the change where it is not the plan's, and of those that follow.
    quota_before: Option<u64>,
    quota_first: Option<u64>,
    quota_after: Option<u64>,
    #[schema(value_type = Vec<Object>)]
    limits_before: Vec<Limit>,
    #[schema(value_type = Vec<Object>)]
    limits_after: Vec<Limit>,
    /// Until when limits and features of the old plan are kept after a downgrade, and the limits of that time; fee, prices, quota and products
    /// are the new plan's from `effective_at` on. `null` where nothing is kept.
    #[schema(value_type = Option<String>, format = DateTime)]
    kept_until: Option<Timestamp>,
    #[schema(value_type = Vec<Object>)]
    limits_kept: Vec<Limit>,
    /// Codes of the products that it opens and closes, of those that the partner may know of.
    gained: Vec<String>,
    lost: Vec<String>,
    replaces: Option<ScheduledOut>,
}

/// A plan's version.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanNameOut {
    code: String,
    name: String,
    version: i32,
}

/// What a whole period costs from one on, before discounts.
#[derive(Debug, Serialize, ToSchema)]
pub struct LaterFeeOut {
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    fee: AmountOut,
}

impl From<FeeFrom> for LaterFeeOut {
    fn from(own: FeeFrom) -> Self {
        Self { from: own.from, fee: own.fee.into() }
    }
}

/// A change that waits for the end of a period.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScheduledOut {
    #[schema(example = "change_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    /// What begins; `null` where the plan ends and none follows.
    to: Option<PlanNameOut>,
    #[schema(value_type = String, format = DateTime)]
    effective_at: Timestamp,
    /// Where the provider moves its partners off the plan: why, which may be empty. Until then the partner may choose another plan or
    /// cancel, and not stay. `null` for every other change.
    move_reason: Option<String>,
}

/// The plan in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnPlanOut {
    /// `null` where there is none.
    plan: Option<PlanNameOut>,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    /// Until when it is tried, or was.
    #[schema(value_type = Option<String>, format = DateTime)]
    trial_until: Option<Timestamp>,
    /// Until when limits and features of the plan before are kept.
    #[schema(value_type = Option<String>, format = DateTime)]
    kept_until: Option<Timestamp>,
    /// The running billing period; where the plan has calendar periods and began within one, from that instant on.
    #[schema(value_type = Option<String>, format = DateTime)]
    period_start: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    period_end: Option<Timestamp>,
    /// Units of the running billing period; `null` without a quota.
    quota: Option<u64>,
    /// A change that waits.
    scheduled: Option<ScheduledOut>,
}

/// What became of a change.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanChangedOut {
    /// `in_force`, `requested` or `scheduled`.
    status: &'static str,
    /// `null` where it was requested: from the approval on, or when the period ends in which that is given.
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_at: Option<Timestamp>,
}

/// The partner's plan, its running period, and a change that waits.
#[utoipa::path(get, path = "/api/plan", operation_id = "getPlan", tag = "Plans", params(Whose),
    responses((status = 200, description = "The plan", body = OwnPlanOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(call: PartnerCall) -> Result<Json<OwnPlanOut>, Problem> {
    let store = &call.state.store;
    let scheduled = store.scheduled_change(call.partner).await?.map(ScheduledOut::from);
    let own = store.subscription(call.partner).await?;
    let period = own.as_ref().and_then(|own| own.counted_at(call.now).ok());
    Ok(Json(OwnPlanOut {
        quota: own.as_ref().and_then(|own| own.quota_at(call.now)).map(|quota| quota.units),
        started_at: own.as_ref().and_then(|own| own.started_at),
        trial_until: own.as_ref().and_then(|own| own.trial_until),
        kept_until: own.as_ref().and_then(|own| own.kept_until).filter(|until| *until > call.now),
        plan: own.as_ref().map(named),
        period_start: period.map(|period| period.start),
        period_end: period.map(|period| period.end),
        scheduled,
    }))
}

/// Tells what a change of plan means: money, quota, limits and when. Nothing is changed. A provider's token is told of the partner's
/// bills with `partners:read` and `invoices:read` only.
#[utoipa::path(post, path = "/api/plan/preview", operation_id = "previewPlanChange", tag = "Plans", params(Whose),
    request_body = PlanWishIn,
    responses((status = 200, description = "What it means", body = PlanPreviewOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn preview(call: PartnerCall, Body(wish): Body<PlanWishIn>) -> Result<Json<PlanPreviewOut>, Problem> {
    let wanted = wanted(&call, wish.plan.as_deref(), wish.when.as_deref()).await?;
    let proposal = billing::preview_change(&call.state.store, call.partner, wanted, call.now).await?;
    let mut out = PlanPreviewOut::from(proposal);
    let reads_bills = [Scope::PartnersRead, Scope::InvoicesRead].iter().all(|scope| call.token.scopes.contains(scope));
    if call.token.partner.is_none() && !reads_bills {
        (out.so_far, out.old_fee, out.given_back) = (None, None, None);
    }
    if call.token.partner.is_some() {
        let (store, partner) = (&call.state.store, call.partner);
        let known: Vec<String> =
            store.visible_products(partner).await?.into_iter().map(|product| product.line.code).collect();
        let offered = store.offered_plans(Some(partner)).await?;
        let public = |code: &String| offered.iter().any(|plan| plan.terms.grant(code).is_some());
        out.gained.retain(|code| known.contains(code) || public(code));
        out.lost.retain(|code| known.contains(code));
    }
    Ok(Json(out))
}

/// Changes the plan as the preview told, from the preview's instant on; refuses with 409 where anything of it is otherwise by now. A
/// provider's token has to have `partners:write` as well.
#[utoipa::path(post, path = "/api/plan/change", operation_id = "changePlan", tag = "Plans", params(Whose),
    request_body = PlanChangeIn,
    responses((status = 200, description = "Changed, requested or scheduled", body = PlanChangedOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn change(call: PartnerCall, Body(wish): Body<PlanChangeIn>) -> Result<Json<PlanChangedOut>, Problem> {
    let wanted = wanted(&call, wish.plan.as_deref(), wish.when.as_deref()).await?;
    let state = &call.state;
    if let (true, Wish::Plan(plan)) = (call.token.partner.is_some(), &wanted.wish)
        && payment::is_missing(state, call.partner, *plan).await?
    {
        return Err(Problem::new(StatusCode::CONFLICT, "conflict", "Conflict", payment::METHOD_FIRST));
    }
    if let (true, Wish::Plan(_)) = (call.token.partner.is_some(), &wanted.wish) {
        payment::end_pages(state, call.partner, call.now).await.map_err(super::payment::refused)?;
    }
    let letter = |to: &Recipient, news: &News| plan_letters::letter(&state.settings, to, news);
    let (ordered, proposal) =
        billing::order_change(&state.store, call.partner, wanted, &wish.preview, &letter, call.token.actor(), call.now)
            .await?;
    let at = proposal.preview.effective_at;
    let (status, effective_at) = match ordered {
        Ordered::Done(_) => ("in_force", Some(at)),
        Ordered::Requested(_) => ("requested", None),
        Ordered::Scheduled(_) => ("scheduled", Some(at)),
    };
    Ok(Json(PlanChangedOut { status, effective_at }))
}

/// Takes back a change that waits for the end of a period; the plan stays. What the provider planned only the provider takes back, whose
/// token has to have `partners:write` as well.
#[utoipa::path(delete, path = "/api/plan/change", operation_id = "keepPlan", tag = "Plans", params(Whose),
    responses((status = 204, description = "Taken back"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn keep(call: PartnerCall) -> Result<axum::http::StatusCode, Problem> {
    let PartnerCall { state, partner, token, now } = call;
    let waits = state.store.scheduled_change(partner).await?.ok_or_else(Problem::not_found)?;
    take_back(&state, partner, &token, &waits, now).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn take_back(
    state: &AppState,
    partner: PartnerId,
    token: &Token,
    waits: &ScheduledChange,
    now: Timestamp,
) -> Result<(), Problem> {
    let letter = |to: &Recipient, news: &News| plan_letters::letter(&state.settings, to, news);
    let by = if token.partner.is_some() { OrderedBy::Partner } else { OrderedBy::Operator };
    billing::take_change_back(&state.store, partner, waits.id, by, &letter, token.actor(), now).await?;
    Ok(())
}

async fn wanted(call: &PartnerCall, code: Option<&str>, when: Option<&str>) -> Result<Wanted, Problem> {
    let store = &call.state.store;
    let no_plan = || Problem::invalid("plan", "There is no such plan to choose");
    let is_partner = call.token.partner.is_some();
    let wish = match code {
        None => Wish::Nothing,
        Some(code) if is_partner => {
            let offered = store.offered_plans(Some(call.partner)).await?.into_iter().find(|plan| plan.code == code);
            Wish::Plan(offered.ok_or_else(no_plan)?.id)
        }
        Some(code) => Wish::Plan(store.find_plan_by_code(code).await?.ok_or_else(no_plan)?.id),
    };
    if is_partner {
        return match when {
            None | Some("usual") => Ok(plan::wanted(wish)),
            Some(_) => Err(Problem::invalid("when", "Only the provider decides when: leave it out")),
        };
    }
    let when = when.map_or(Ok(When::Usual), str::parse).map_err(|error| Problem::invalid("when", error))?;
    Ok(Wanted { wish, when, by: OrderedBy::Operator })
}

fn named(own: &Subscription) -> PlanNameOut {
    PlanNameOut { code: own.plan_code.clone(), name: own.plan_name.clone(), version: own.version }
}

impl From<ScheduledChange> for ScheduledOut {
    fn from(change: ScheduledChange) -> Self {
        let to = change.to.map(|to| PlanNameOut { code: to.code, name: to.name, version: to.version });
        let move_reason = change.of_move.map(|own| own.reason);
        Self { id: change.id.to_string(), to, effective_at: change.effective_at, move_reason }
    }
}

impl From<Proposal> for PlanPreviewOut {
    fn from(proposal: Proposal) -> Self {
        let preview = proposal.preview;
        let direction = serde_json::to_value(preview.direction).ok();
        Self {
            preview: proposal.token,
            direction: direction.and_then(|code| code.as_str().map(str::to_owned)).unwrap_or_default(),
            from: proposal.from.as_ref().map(named),
            to: proposal.to.map(|to| PlanNameOut { code: to.code, name: to.name, version: to.version }),
            needs_approval: proposal.needs_approval,
            at_once: preview.at_once,
            effective_at: preview.effective_at,
            trial_until: preview.trial_until,
            time_zone: proposal.time_zone,
            period_start: preview.period.map(|period| period.start),
            period_end: preview.period.map(|period| period.end),
            old_fee: preview.old_fee.map(Into::into),
            given_back: preview.given_back.map(Into::into),
            bonus_back: preview.bonus_back,
            so_far: proposal.so_far.map(Into::into),
            first_fee: preview.first_fee.map(Into::into),
            fee: preview.fee.map(Into::into),
            bonus_first: preview.bonus_first,
            later_fees: preview.later_fees.into_iter().map(LaterFeeOut::from).collect(),
            quota_before: preview.quota_before,
            quota_first: preview.quota_first.map(|quota| quota.units),
            quota_after: preview.quota_after,
            limits_before: preview.limits_before,
            limits_after: preview.limits_after,
            kept_until: preview.kept_until,
            limits_kept: preview.limits_kept,
            gained: preview.gained,
            lost: preview.lost,
            replaces: proposal.replaces.map(ScheduledOut::from),
        }
    }
}

impl From<ChangeRefused> for Problem {
    fn from(error: ChangeRefused) -> Self {
        match error {
            ChangeRefused::Moved(why) => store::StoreError::conflict("preview", why).into(),
            ChangeRefused::Store(error) | ChangeRefused::Billing(BillingError::Store(error)) => error.into(),
            ChangeRefused::Billing(error) => {
                tracing::warn!(%error, "a change of plan cannot be told");
                Problem::invalid("", format!("What the change means cannot be said: {error}"))
            }
        }
    }
}
