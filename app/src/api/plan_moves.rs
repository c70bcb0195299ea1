//! Forms about bulk moves with notice.

use leptos::prelude::*;

/// Orders a move, as it was shown.
#[server(prefix = "/do", endpoint = "console/plans/order-move")]
pub async fn order_plan_move(
    #[server(default)] plan: String,
    #[server(default)] version: String,
    #[server(default)] to: String,
    #[server(default)] notice_days: String,
    #[server(default)] reason: String,
    #[server(default)] preview: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/console/plans/{plan}/moves");
    let outcome = async {
        let cx = viewer::operator()?;
        let new = read(form::id(&plan)?, &version, &to, &notice_days, &reason)?;
        billing::order_move(&cx.state.store, &new, &preview, store::Actor::Operator(cx.viewer.id), cx.now).await?;
        Ok(Done::go(&back).saying("Ordered: the partners are told within seconds."))
    };
    // The page shows from these what the move means now.
    let typed = [("version", &*version), ("to", &*to), ("notice_days", &*notice_days), ("reason", &*reason)];
    form::answer("plans/order-move", &back, &typed, outcome.await)
}

/// Cancels a move: whoever was not moved yet stays, and is told.
#[server(prefix = "/do", endpoint = "console/plans/cancel-move")]
pub async fn cancel_plan_move(
    #[server(default)] plan: String,
    #[server(default)] plan_move: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        plan_letters, viewer,
    };
    let back = format!("/console/plans/{plan}/moves");
    let outcome = async {
        let cx = viewer::operator()?;
        let letter = |to: &billing::Recipient, news: &billing::News| plan_letters::letter(&cx.state.settings, to, news);
        let actor = store::Actor::Operator(cx.viewer.id);
        let done = billing::cancel_move(&cx.state.store, form::id(&plan_move)?, &letter, actor, cx.now).await?;
        Ok(Done::go(&back).saying(if done {
            "Cancelled: the others stay, and are told."
        } else {
            "It was over before."
        }))
    };
    form::answer("plans/cancel-move", &back, &[], outcome.await)
}

/// What the form asks for.
#[cfg(feature = "ssr")]
pub fn read(
    plan: domain::id::PlanId,
    version: &str,
    to: &str,
    notice_days: &str,
    reason: &str,
) -> Result<store::NewPlanMove, crate::form::Failure> {
    use crate::form::Failure;
    let from_version = match version {
        "" => None,
        text => Some(text.parse().map_err(|_| Failure::field("version", "Choose a version"))?),
    };
    let days = notice_days.trim().parse().ok().filter(|days| (1..=366).contains(days));
    Ok(store::NewPlanMove {
        from: plan,
        from_version,
        to: to.parse().map_err(|_| Failure::field("to", "Choose a version"))?,
        notice_days: days.ok_or_else(|| Failure::field("notice_days", "A notice is 1 to 366 days long"))?,
        reason: reason.trim().to_owned(),
    })
}
