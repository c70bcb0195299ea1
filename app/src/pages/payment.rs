//! What members see of payment methods and of pages at Stripe: whether there is one, what came of a page, and the ways there.

use crate::{
    components::*,
    page::PageError,
    pages::time_text::{local_date, local_zone},
    viewer::{Cx, MemberViewer},
};
use domain::money::Money;
use jiff::SignedDuration;
use leptos::prelude::*;
use store::{
    StoreError,
    payment_methods::{Checkout, CheckoutFor, CheckoutState},
};

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

/// In place of the button that chooses a plan, where its first fee is paid before it begins.
#[component]
pub fn PayFirst(
    /// The plan's code and name.
    plan: (String, String),
    cost: Money,
    /// What the payment is bound to.
    preview: String,
) -> impl IntoView {
    let (code, name) = plan;
    let title = format!("{cost} are paid before {name} begins");
    view! {
        <Notice tone=Tone::Info title=title>
            "You pay on a page of Stripe's, which keeps your payment method for the periods to come. The plan begins as soon as Stripe says that it is paid; who gives up there owes nothing."
        </Notice>
        <Form action="/do/payment/checkout">
            <input type="hidden" name="plan" value=code/>
            <input type="hidden" name="preview" value=preview/>
            <FormActions cancel="/plan">
                <Button kind=ButtonKind::Primary icon=IconName::External>{format!("Pay {cost} and begin")}</Button>
            </FormActions>
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

/// How long a page for a plan is told of that was not paid.
const TOLD: SignedDuration = SignedDuration::from_hours(3 * 24);
/// How long a payment is told of that went back.
const TOLD_BACK: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Whether there is a payment method, for those who decide; what became of the page that somebody comes back from, or where there is no plan
/// of the last one on which one was to be paid; and what goes back.
pub async fn standing(
    cx: &Cx<MemberViewer>,
    (decides, has_plan): (bool, bool),
    checkout: Option<String>,
) -> Result<Option<impl IntoView + use<>>, PageError> {
    if cx.state.stripe.is_none() || !decides {
        return Ok(None);
    }
    let (store, partner) = (&cx.state.store, cx.viewer.partner);
    let on_file = store.payment_method(partner).await?.is_some();
    let left = match checkout.and_then(|id| id.parse().ok()) {
        None if has_plan => None,
        None => store.newest_plan_checkout(partner, cx.now.saturating_sub(TOLD).unwrap_or(cx.now)).await?,
        Some(id) => match store.checkout(partner, id).await {
            Ok(checkout) => Some(checkout),
            Err(StoreError::NotFound) => None,
            Err(error) => return Err(error.into()),
        },
    };
    let back = goes_back(cx).await?;
    let (of_plan, left) = match left.map(|left| (left.purpose.clone(), left)) {
        // It has begun, and ended since.
        Some((CheckoutFor::Plan { .. }, left)) if left.state == CheckoutState::Complete && !has_plan => (None, None),
        Some((CheckoutFor::Plan { code, name }, left)) => (plan_paid(left, code, name), None),
        other => (None, other.map(|(_, left)| left.state)),
    };
    // The truth is what Stripe has told us, and not that somebody came back from there.
    let came = left.map(|state| match state {
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
        CheckoutState::Expired | CheckoutState::Failed | CheckoutState::PaidBack => view! {
            <Notice tone=Tone::Warning title="The page at Stripe has expired">"Nothing was kept. Open it again from the plan that you want."</Notice>
        }
        .into_any(),
    });
    let text = if on_file { "On file at Stripe" } else { "None" };
    let button = portal_button(cx);
    Ok(Some(view! {
        {back}
        {of_plan}
        {came}
        <Card title="Payment method" description="Cards are entered on pages of Stripe's, and never here.">
            <DescriptionList><Description label="Payment method">{text}</Description></DescriptionList>
            {button}
        </Card>
    }))
}

/// What became of a page on which a plan's first fee was to be paid, and the way on. What goes back is told of elsewhere.
fn plan_paid(left: Checkout, code: String, name: String) -> Option<impl IntoView + use<>> {
    let cost = left.cost.map_or_else(String::new, |cost| cost.to_string());
    let (tone, title, text, again) = match left.state {
        CheckoutState::Open => (
            Tone::Info,
            format!("{name} is not paid yet"),
            format!(
                "Stripe has confirmed no payment, so nothing has begun and nothing is owed. If you have paid the {cost}, load this page again in a moment. "
            ),
            Some("Go on to the payment"),
        ),
        CheckoutState::Processing => (
            Tone::Info,
            "The payment is on its way".to_owned(),
            format!(
                "Your bank takes some days for the {cost}. {name} begins when they are there, and nothing else is to be done."
            ),
            None,
        ),
        CheckoutState::Complete => (
            Tone::Success,
            format!("{name} has begun"),
            format!("{cost} are paid. The invoice is under Invoices."),
            None,
        ),
        CheckoutState::Expired => (
            Tone::Warning,
            "The page at Stripe has expired".to_owned(),
            format!("Nothing was charged, and {name} has not begun. "),
            Some("Open it again"),
        ),
        CheckoutState::Failed => (
            Tone::Warning,
            "The payment did not come".to_owned(),
            format!("{name} has not begun, and nothing is owed. "),
            Some("Pay again"),
        ),
        CheckoutState::PaidBack => return None,
    };
    let again = again.map(|label| view! { <a href=format!("/plan/change?to={code}")>{label}</a> });
    Some(view! { <Notice tone=tone title=title>{text}{again}</Notice> })
}

/// Payments of the last days that go back to where they came from, or have.
pub async fn goes_back(cx: &Cx<MemberViewer>) -> Result<impl IntoView + use<>, PageError> {
    let since = cx.now.saturating_sub(TOLD_BACK).unwrap_or(cx.now);
    let back = cx.state.store.checkouts_paid_back(cx.viewer.partner, since).await?;
    let zone = local_zone(&cx.viewer.time_zone);
    let provider = &cx.state.settings.provider_name;
    let notice = |checkout: Checkout| {
        let (cost, why) = (checkout.cost?, checkout.pay_back?);
        let when = match (checkout.paid_back_at, checkout.refund_failed) {
            (_, Some(why)) => {
                format!(
                    "Stripe could not pay it back ({why}). {provider} has been told, and pays it back again or in another way."
                )
            }
            (Some(at), None) => {
                format!("Stripe has been paying it back since {}, which takes some days.", local_date(at, &zone))
            }
            (None, None) => "Stripe is asked to pay it back.".to_owned(),
        };
        let text = format!(
            "{cost} were paid on a page that was opened on {}. {why}, so nothing came of it. {when}",
            local_date(checkout.opened_at, &zone)
        );
        Some(view! { <Notice tone=Tone::Warning title="A payment goes back to you">{text}</Notice> })
    };
    Ok(back.into_iter().filter_map(notice).collect_view())
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
    let (CheckoutFor::Units, Some(cost)) = (&checkout.purpose, checkout.cost) else { return Ok(None) };
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
        CheckoutState::PaidBack => return Ok(None),
    };
    Ok(Some(view! { <Notice tone=tone title=title>{text}</Notice> }))
}
