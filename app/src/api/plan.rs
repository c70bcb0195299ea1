//! Forms about a partner's own plan.

use leptos::prelude::*;

/// What the partner itself wants, at the usual time.
#[cfg(feature = "ssr")]
pub const fn wanted(wish: store::Wish) -> billing::Wanted {
    billing::Wanted { wish, when: domain::plan_change::When::Usual, by: store::OrderedBy::Partner }
}

/// Why there is no preview, in words; or that the page cannot be shown.
#[cfg(feature = "ssr")]
pub fn refused(error: billing::ChangeRefused) -> Result<String, crate::page::PageError> {
    use billing::ChangeRefused;
    match error {
        ChangeRefused::Moved(why) => Ok(why.to_owned()),
        ChangeRefused::Store(store::StoreError::Conflict { message, .. }) => Ok(message),
        ChangeRefused::Store(error) => Err(error.into()),
        ChangeRefused::Billing(error) => {
            tracing::error!(%error, "a change of plan cannot be previewed");
            Err(crate::page::PageError::Unavailable)
        }
    }
}

#[cfg(feature = "ssr")]
impl From<billing::ChangeRefused> for crate::form::Failure {
    fn from(error: billing::ChangeRefused) -> Self {
        use billing::{BillingError, ChangeRefused};
        match error {
            ChangeRefused::Moved(why) => Self::whole(why),
            // What moved belongs to no field of the form.
            ChangeRefused::Store(store::StoreError::Conflict { message, .. }) => Self::whole(message),
            ChangeRefused::Store(error) | ChangeRefused::Billing(BillingError::Store(error)) => error.into(),
            ChangeRefused::Billing(error) => {
                tracing::error!(%error, "a change of plan was not made");
                Self::whole("What the change means cannot be said at the moment, and nothing was changed.")
            }
        }
    }
}

/// Chooses or requests a plan by its code, as it was shown.
#[server(prefix = "/do", endpoint = "plan/choose")]
pub async fn choose_plan(
    #[server(default)] plan: String,
    #[server(default)] preview: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        plan_letters, viewer,
    };
    let back = if domain::product::is_code(&plan) { format!("/plan/change?to={plan}") } else { "/plan".to_owned() };
    let outcome = async {
        let cx = viewer::member()?;
        let store = &cx.state.store;
        let offered = store.offered_plans(Some(cx.viewer.partner)).await?;
        let offer = offered.into_iter().find(|offer| offer.code == plan);
        let offer = offer.ok_or_else(|| Failure::field("plan", "This plan is no longer offered. Choose another."))?;
        if crate::payment::is_missing(&cx.state, cx.viewer.partner, offer.id).await? {
            return Err(Failure::whole(crate::payment::METHOD_FIRST));
        }
        crate::payment::end_pages(&cx.state, cx.viewer.partner, cx.now).await?;
        let letter = |to: &billing::Recipient, news: &billing::News| plan_letters::letter(&cx.state.settings, to, news);
        let (wish, actor) = (store::Wish::Plan(offer.id), store::Actor::Member(cx.viewer.id));
        let (ordered, proposal) =
            billing::order_change(store, cx.viewer.partner, wanted(wish), &preview, &letter, actor, cx.now).await?;
        let notice = match ordered {
            store::Ordered::Done(_) => format!("You are on {}. It is in force within a second.", offer.name),
            store::Ordered::Requested(_) => {
                format!("{} was requested. Until the provider approves it nothing changes.", offer.name)
            }
            store::Ordered::Scheduled(_) => {
                let zone = crate::pages::time_text::local_zone(&proposal.time_zone);
                let at = crate::pages::time_text::moment(proposal.preview.effective_at, &zone);
                format!("{} begins on {at}. Until then nothing changes.", offer.name)
            }
        };
        Ok(Done::go("/plan").saying(notice))
    };
    let outcome = outcome.await;
    // What is not offered has no page to go back to.
    let is_gone = matches!(&outcome, Err(Failure(problems)) if problems.iter().any(|(field, _)| field == "plan"));
    form::answer("plan/choose", if is_gone { "/plan" } else { &back }, &[], outcome)
}

/// Cancels the plan at the period's end, as it was shown.
#[server(prefix = "/do", endpoint = "plan/cancel")]
pub async fn cancel_plan(#[server(default)] preview: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        plan_letters, viewer,
    };
    let outcome = async {
        let cx = viewer::member()?;
        let letter = |to: &billing::Recipient, news: &billing::News| plan_letters::letter(&cx.state.settings, to, news);
        let (partner, actor) = (cx.viewer.partner, store::Actor::Member(cx.viewer.id));
        let wanted = wanted(store::Wish::Nothing);
        billing::order_change(&cx.state.store, partner, wanted, &preview, &letter, actor, cx.now).await?;
        Ok(Done::go("/plan").saying("The plan ends with the period. Until then nothing changes."))
    };
    form::answer("plan/cancel", "/plan/cancel", &[], outcome.await)
}

/// Takes back a change that waits for the period's end.
#[server(prefix = "/do", endpoint = "plan/keep")]
pub async fn keep_plan(#[server(default)] change: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        plan_letters, viewer,
    };
    let outcome = async {
        let cx = viewer::member()?;
        let letter = |to: &billing::Recipient, news: &billing::News| plan_letters::letter(&cx.state.settings, to, news);
        let (partner, actor) = (cx.viewer.partner, store::Actor::Member(cx.viewer.id));
        let (change, by) = (form::id(&change)?, store::OrderedBy::Partner);
        billing::take_change_back(&cx.state.store, partner, change, by, &letter, actor, cx.now).await?;
        Ok(Done::go("/plan").saying("The change was taken back. Your plan stays."))
    };
    form::answer("plan/keep", "/plan", &[], outcome.await)
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
