//! Forms of those who look after what Stripe holds otherwise than we.

use leptos::prelude::*;

/// Has everything compared within seconds.
#[server(prefix = "/do", endpoint = "console/stripe-drift/compare")]
pub async fn compare_with_stripe() -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    const LIST: &str = "/console/stripe-drift";
    let outcome = async {
        let cx = viewer::operator()?;
        if !cx.state.settings.has_stripe_account {
            return Err(Failure::whole("Stripe is not set up: there is nothing to compare with."));
        }
        cx.state.store.ask_to_compare_with_stripe(cx.now).await?;
        Ok(Done::go(LIST)
            .saying("Comparing begins within seconds. Open this page again in a moment to see what it found."))
    }
    .await;
    form::answer("stripe-drift/compare", LIST, &[], outcome)
}

/// Has our value of one field written to Stripe.
#[server(prefix = "/do", endpoint = "console/stripe-drift/write")]
pub async fn write_to_stripe(#[server(default)] drift: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    use domain::id::DriftId;
    use store::{Actor, StoreError};
    const LIST: &str = "/console/stripe-drift";
    let outcome = async {
        let cx = viewer::operator()?;
        let id: DriftId = form::id(&drift)?;
        match cx.state.store.ask_to_write_stripe_drift(id, Actor::Operator(cx.viewer.id), cx.now).await {
            Ok(()) => Ok(Done::go(LIST)
                .saying("It is written within seconds. Open this page again in a moment to see that it is gone.")),
            Err(StoreError::NotFound) => {
                Err(Failure::whole("Nothing was written: the values are others by now, or somebody was faster."))
            }
            Err(error) => Err(error.into()),
        }
    }
    .await;
    form::answer("stripe-drift/write", LIST, &[("drift", &drift)], outcome)
}

/// Lets Stripe's value stand.
#[server(prefix = "/do", endpoint = "console/stripe-drift/accept")]
pub async fn accept_stripe_drift(
    #[server(default)] drift: String,
    #[server(default)] note: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    use domain::id::DriftId;
    use store::{Actor, StoreError};
    const LIST: &str = "/console/stripe-drift";
    let outcome = async {
        let cx = viewer::operator()?;
        let id: DriftId = form::id(&drift)?;
        match cx.state.store.accept_stripe_drift(id, &note, Actor::Operator(cx.viewer.id), cx.now).await {
            Ok(()) => Ok(Done::go(LIST).saying("Accepted, as long as both values stay as they are.")),
            Err(StoreError::NotFound) => {
                Err(Failure::whole("Nothing was changed: the values are others by now, or somebody was faster."))
            }
            Err(error) => Err(error.into()),
        }
    }
    .await;
    form::answer("stripe-drift/accept", LIST, &[("drift", &drift), ("note", &note)], outcome)
}
