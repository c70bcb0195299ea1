//! The form that has a document sent to the provider's receiver again.

use leptos::prelude::*;

/// Whatever became of it before, it goes again within seconds, as it was.
#[server(prefix = "/do", endpoint = "console/deliveries/replay")]
pub async fn replay_delivery(#[server(default)] document: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    use store::{Actor, document_deliveries::Document};
    const LIST: &str = "/console/deliveries";
    let outcome = async {
        let cx = viewer::operator()?;
        let document: Document = form::id(&document)?;
        cx.state.store.replay_delivery(document, Actor::Operator(cx.viewer.id), cx.now).await?;
        Ok(Done::go(LIST).saying("It goes again within seconds. Open this page in a moment to see what came of it."))
    }
    .await;
    form::answer("deliveries/replay", LIST, &[("document", &document)], outcome)
}
