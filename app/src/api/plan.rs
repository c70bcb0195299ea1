//! Forms about a partner's own plan.

use leptos::prelude::*;

/// Chooses or requests a plan, by its code.
#[server(prefix = "/do", endpoint = "plan/choose")]
pub async fn choose_plan(#[server(default)] plan: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    let outcome = async {
        let cx = viewer::member()?;
        let offered = cx.state.store.offered_plans().await?;
        let wanted = offered.into_iter().find(|offer| offer.code == plan);
        let wanted = wanted.ok_or_else(|| Failure::whole("This plan is no longer offered. Choose another."))?;
        let actor = store::Actor::Member(cx.viewer.id);
        let notice = match cx.state.store.choose_plan(cx.viewer.partner, wanted.id, actor, cx.now).await? {
            store::Chosen::Active(_) => format!("You are on {}. It is in force within a second.", wanted.name),
            store::Chosen::Requested(_) => format!("{} was requested. You will hear by mail.", wanted.name),
        };
        Ok(Done::go("/plan").saying(notice))
    };
    form::answer("plan/choose", "/plan", &[], outcome.await)
}

/// Takes back a request for a plan.
#[server(prefix = "/do", endpoint = "plan/withdraw")]
pub async fn withdraw_plan(subscription: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let outcome = async {
        let cx = viewer::member()?;
        let actor = store::Actor::Member(cx.viewer.id);
        cx.state.store.withdraw_plan_request(cx.viewer.partner, form::id(&subscription)?, actor, cx.now).await?;
        Ok(Done::go("/plan").saying("Request taken back."))
    };
    form::answer("plan/withdraw", "/plan", &[], outcome.await)
}
