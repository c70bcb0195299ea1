//! Forms that send a member to pages of Stripe's: for cards, and to leave a payment method that a plan asks for.

use leptos::prelude::*;

/// To Stripe's customer portal.
#[server(prefix = "/do", endpoint = "payment/portal")]
pub async fn open_payment_portal() -> Result<(), ServerFnError> {
    use crate::{form, payment, viewer};
    const BACK: &str = "/plan";
    let outcome = async {
        let cx = viewer::member()?;
        let actor = store::Actor::Member(cx.viewer.id);
        payment::portal(&cx.state, (cx.viewer.partner, actor), cx.now).await
    };
    form::leave("payment/portal", BACK, outcome.await)
}

/// To a page of Checkout's that charges nothing, or the first fee as it was shown, for a plan by its code.
#[server(prefix = "/do", endpoint = "payment/checkout")]
pub async fn open_payment_checkout(
    #[server(default)] plan: String,
    #[server(default)] preview: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Failure},
        payment, viewer,
    };
    let back = if domain::product::is_code(&plan) { format!("/plan/change?to={plan}") } else { "/plan".to_owned() };
    let outcome = async {
        let cx = viewer::member()?;
        let offered = cx.state.store.offered_plans(Some(cx.viewer.partner)).await?;
        let offer = offered.into_iter().find(|offer| offer.code == plan);
        let offer = offer.ok_or_else(|| Failure::whole("This plan is no longer offered. Choose another."))?;
        let actor = store::Actor::Member(cx.viewer.id);
        let (page, _) = payment::checkout(&cx.state, (cx.viewer.partner, actor), (&offer, &preview), cx.now).await?;
        Ok(page)
    };
    form::leave("payment/checkout", &back, outcome.await)
}

/// Has a plan ask for a payment method before it begins, or not.
#[server(prefix = "/do", endpoint = "console/plans/payment-method")]
pub async fn ask_for_payment_method(
    #[server(default)] plan: String,
    #[server(default)] asks: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/console/plans/{plan}");
    let outcome = async {
        let cx = viewer::operator()?;
        let (id, asks) = (form::id(&plan)?, !asks.is_empty());
        cx.state.store.set_asks_for_payment_method(id, asks, store::Actor::Operator(cx.viewer.id), cx.now).await?;
        Ok(Done::go(&back).saying(if asks {
            "Who chooses the plan leaves a payment method first. Who is on it stays."
        } else {
            "The plan asks for no payment method."
        }))
    };
    form::answer("plans/payment-method", &back, &[], outcome.await)
}
