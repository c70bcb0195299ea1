//! What members see of payment methods and of pages at Stripe: whether there is one, what came of a page, and the ways there.

use crate::{
    components::*,
    page::PageError,
    viewer::{Cx, MemberViewer},
};
use leptos::prelude::*;
use store::{StoreError, payment_methods::CheckoutState};

/// In place of the button that chooses a plan.
#[component]
pub fn MethodFirst(
    /// The plan's code.
    plan: String,
) -> impl IntoView {
    view! {
        <Notice tone=Tone::Info title="This plan asks for a payment method first">
            "You leave it on a page of Stripe's, which charges nothing now. Then you choose the plan here."
        </Notice>
        <Form action="/do/payment/checkout">
            <input type="hidden" name="plan" value=plan/>
            <FormActions cancel="/plan"><Button kind=ButtonKind::Primary icon=IconName::External>"Leave a payment method"</Button></FormActions>
        </Form>
    }
}

/// The button that leads to Stripe's customer portal, where that is where invoices go.
pub fn portal_button(cx: &Cx<MemberViewer>) -> Option<impl IntoView + use<>> {
    cx.state.stripe.as_ref().map(|_| {
        view! {
            <Form action="/do/payment/portal" inline=true label="Payment methods at Stripe">
                <Button icon=IconName::External>"Payment methods"</Button>
            </Form>
        }
    })
}

/// Whether there is a payment method, for those who decide; and what became of the page that somebody comes back from.
pub async fn standing(
    cx: &Cx<MemberViewer>,
    decides: bool,
    checkout: Option<String>,
) -> Result<Option<impl IntoView + use<>>, PageError> {
    if cx.state.stripe.is_none() || !decides {
        return Ok(None);
    }
    let (store, partner) = (&cx.state.store, cx.viewer.partner);
    let on_file = store.payment_method(partner).await?.is_some();
    let state = match checkout.and_then(|id| id.parse().ok()) {
        None => None,
        Some(id) => match store.checkout(partner, id).await {
            Ok(checkout) => Some(checkout.state),
            Err(StoreError::NotFound) => None,
            Err(error) => return Err(error.into()),
        },
    };
    // The truth is what Stripe has told us, and not that somebody came back from there.
    let came = state.map(|state| match state {
        CheckoutState::Open | CheckoutState::Processing => view! {
            <Notice tone=Tone::Info title="Stripe has not confirmed it yet">
                "Nothing is on file before it does, which takes a few seconds as a rule. Load this page again in a moment."
            </Notice>
        }
        .into_any(),
        CheckoutState::Complete if on_file => view! {
            <Notice tone=Tone::Success title="Your payment method is on file">"Choose your plan below."</Notice>
        }
        .into_any(),
        CheckoutState::Complete => view! {
            <Notice tone=Tone::Warning title="There is no payment method any more">"It was left, and taken away again."</Notice>
        }
        .into_any(),
        CheckoutState::Expired | CheckoutState::Failed => view! {
            <Notice tone=Tone::Warning title="The page at Stripe has expired">"Nothing was kept. Open it again from the plan that you want."</Notice>
        }
        .into_any(),
    });
    let text = if on_file { "On file at Stripe" } else { "None" };
    let button = portal_button(cx);
    Ok(Some(view! {
        {came}
        <Card title="Payment method" description="Cards are entered on pages of Stripe's, and never here.">
            <DescriptionList><Description label="Payment method">{text}</Description></DescriptionList>
            {button}
        </Card>
    }))
}

/// What became of the page on which units were to be paid, for who comes back from it.
pub async fn came_of(
    cx: &Cx<MemberViewer>,
    checkout: Option<String>,
) -> Result<Option<impl IntoView + use<>>, PageError> {
    let Some(id) = checkout.and_then(|id| id.parse().ok()) else { return Ok(None) };
    let checkout = match cx.state.store.checkout(cx.viewer.partner, id).await {
        Ok(checkout) => checkout,
        Err(StoreError::NotFound) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Some(cost) = checkout.cost else { return Ok(None) };
    let (tone, title, text) = match checkout.state {
        CheckoutState::Open => (
            Tone::Info,
            "Stripe has not confirmed the payment yet",
            "The units are there as soon as it has, which takes a few seconds as a rule. Load this page again in a moment.".to_owned(),
        ),
        CheckoutState::Processing => (
            Tone::Info,
            "The payment is on its way",
            format!("Your bank takes some days for the {cost}. The units come with it, and nothing else is to be done."),
        ),
        CheckoutState::Complete => {
            (Tone::Success, "Paid", format!("{cost} are paid, and the units can be used. The invoice is under Purchases."))
        }
        CheckoutState::Expired => {
            (Tone::Warning, "The page at Stripe has expired", "Nothing was charged, and nothing is owed.".to_owned())
        }
        CheckoutState::Failed => {
            (Tone::Warning, "The payment did not come", "Nothing is owed. Buy the units again if you want them.".to_owned())
        }
    };
    Ok(Some(view! { <Notice tone=tone title=title>{text}</Notice> }))
}
