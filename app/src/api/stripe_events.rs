//! The form that has an event of Stripe's applied again.

use leptos::prelude::*;

/// Whatever came of it before, it is looked at once more within seconds.
#[server(prefix = "/do", endpoint = "console/stripe-events/replay")]
pub async fn replay_stripe_event(#[server(default)] event: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    const LIST: &str = "/console/stripe-events";
    let outcome = async {
        let cx = viewer::operator()?;
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.replay_stripe_event(&event, actor, cx.now).await?;
        Ok(Done::go(LIST).saying("The event is applied again. Open this page in a moment to see what came of it."))
    }
    .await;
    form::answer("stripe-events/replay", LIST, &[("event", &event)], outcome)
}
