//! Forms of the operators' console about partners, requests, tokens and the test clock.

use leptos::prelude::*;

/// Puts a partner on a plan version, private ones too, or ends its plan, as it was shown.
#[server(prefix = "/do", endpoint = "console/partners/assign")]
pub async fn assign_plan(
    partner: String,
    #[server(default)] version: String,
    #[server(default)] when: String,
    #[server(default)] preview: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        pages::console::partner_plan::wanted,
        plan_letters, viewer,
    };
    let done = format!("/console/partners/{partner}");
    let wanted = wanted(&version, &when);
    let back = match wanted {
        Some(_) => format!("{done}/plan?version={version}&when={when}"),
        None => done.clone(),
    };
    let outcome = async {
        let cx = viewer::operator()?;
        let wanted = wanted.ok_or_else(|| Failure::field("version", "Choose a plan version"))?;
        let actor = store::Actor::Operator(cx.viewer.id);
        let letter = |to: &billing::Recipient, news: &billing::News| plan_letters::letter(&cx.state.settings, to, news);
        let id = form::id(&partner)?;
        let ordered = billing::order_change(&cx.state.store, id, wanted, &preview, &letter, actor, cx.now).await?.0;
        let notice = match ordered {
            store::Ordered::Scheduled(_) => "Planned for the end of the period. Until then nothing changes.",
            store::Ordered::Done(None) => "The plan has ended. Calls are refused within a second.",
            _ => "Plan assigned. It is in force within a second.",
        };
        Ok(Done::go(&done).saying(notice))
    };
    form::answer("partners/assign", &back, &[], outcome.await)
}

/// Takes back a change of a partner's plan that waits for the period's end.
#[server(prefix = "/do", endpoint = "console/partners/keep-plan")]
pub async fn keep_partners_plan(partner: String, #[server(default)] change: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        plan_letters, viewer,
    };
    let back = format!("/console/partners/{partner}");
    let outcome = async {
        let cx = viewer::operator()?;
        let actor = store::Actor::Operator(cx.viewer.id);
        let letter = |to: &billing::Recipient, news: &billing::News| plan_letters::letter(&cx.state.settings, to, news);
        let (id, change) = (form::id(&partner)?, form::id(&change)?);
        billing::take_change_back(&cx.state.store, id, change, store::OrderedBy::Operator, &letter, actor, cx.now)
            .await?;
        Ok(Done::go(&back).saying("The change was taken back. The plan stays."))
    };
    form::answer("partners/keep-plan", &back, &[], outcome.await)
}

/// Refuses all calls of a partner.
#[server(prefix = "/do", endpoint = "console/partners/suspend")]
pub async fn suspend_partner(partner: String, #[server(default)] reason: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/console/partners/{partner}");
    let outcome = async {
        let cx = viewer::operator()?;
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.suspend_partner(form::id(&partner)?, &reason, actor, cx.now).await?;
        Ok(Done::go(&back).saying("Suspended. Calls are refused within a second."))
    };
    form::answer("partners/suspend", &back, &[("reason", &reason)], outcome.await)
}

/// Serves a suspended partner again.
#[server(prefix = "/do", endpoint = "console/partners/reactivate")]
pub async fn reactivate_partner(partner: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/console/partners/{partner}");
    let outcome = async {
        let cx = viewer::operator()?;
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.reactivate_partner(form::id(&partner)?, actor, cx.now).await?;
        Ok(Done::go(&back).saying("Reactivated. Calls are served within a second."))
    };
    form::answer("partners/reactivate", &back, &[], outcome.await)
}

/// Says yes to a requested plan.
#[server(prefix = "/do", endpoint = "console/requests/approve")]
pub async fn approve_plan(partner: String, subscription: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let outcome = async {
        let cx = viewer::operator()?;
        let actor = store::Actor::Operator(cx.viewer.id);
        let (partner, requested) = (form::id(&partner)?, form::id(&subscription)?);
        let notice = match cx.state.store.approve_plan_request(partner, requested, actor, cx.now).await? {
            store::Ordered::Scheduled(_) => "Approved. The plan begins when the running period ends.",
            _ => "Approved. The plan is in force within a second.",
        };
        Ok(Done::go("/console/requests").saying(notice))
    };
    form::answer("requests/approve", "/console/requests", &[], outcome.await)
}

/// Says no to a requested plan.
#[server(prefix = "/do", endpoint = "console/requests/decline")]
pub async fn decline_plan(partner: String, subscription: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let outcome = async {
        let cx = viewer::operator()?;
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.decline_plan_request(form::id(&partner)?, form::id(&subscription)?, actor, cx.now).await?;
        Ok(Done::go("/console/requests").saying("Declined. The partner keeps the plan it has."))
    };
    form::answer("requests/decline", "/console/requests", &[], outcome.await)
}

/// Moves the test clock forward; the guard opens this in development installs only.
#[server(prefix = "/do", endpoint = "console/clock/advance")]
pub async fn advance_clock(#[server(default)] seconds: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    let outcome = async {
        let cx = viewer::operator()?;
        let seconds: i64 = seconds.parse().map_err(|_| Failure::field("seconds", "Choose how far"))?;
        if !(1..=31_622_400).contains(&seconds) {
            return Err(Failure::field("seconds", "Time can be moved forward by up to a year at once"));
        }
        let actor = store::Actor::Operator(cx.viewer.id);
        let by = jiff::SignedDuration::from_secs(seconds);
        // The day that time jumps to must have its partition before the gateway follows.
        cx.state.store.make_partitions(cx.now.checked_add(by).unwrap_or(cx.now), 1).await?;
        let ahead = cx.state.store.advance_clock(by, actor, cx.now).await?;
        cx.state.clock.set_ahead_seconds(ahead.as_secs());
        Ok(Done::go("/console/clock").saying("Time moved forward."))
    };
    form::answer("clock/advance", "/console/clock", &[], outcome.await)
}

/// Makes a token of the provider.
#[server(prefix = "/do", endpoint = "console/tokens/create")]
pub async fn create_provider_token(
    #[server(default)] name: String,
    #[server(default)] scopes: Vec<String>,
) -> Result<(), ServerFnError> {
    use crate::{form, viewer};
    let outcome = async {
        let cx = viewer::operator()?;
        let actor = store::Actor::Operator(cx.viewer.id);
        super::tokens::create(&cx.state, None, &name, &scopes, "/console/tokens", actor, cx.now).await
    };
    form::answer("tokens/create", "/console/tokens", &[("name", &name)], outcome.await)
}

/// Revokes a token of the provider.
#[server(prefix = "/do", endpoint = "console/tokens/revoke")]
pub async fn revoke_provider_token(token: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let outcome = async {
        let cx = viewer::operator()?;
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.revoke_api_token(None, form::id(&token)?, actor, cx.now).await?;
        Ok(Done::go("/console/tokens").saying("Token revoked."))
    };
    form::answer("tokens/revoke", "/console/tokens", &[], outcome.await)
}
