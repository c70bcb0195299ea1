//! The form that says what became of a request with an Idempotency-Key whose outcome nobody knew.

use leptos::prelude::*;

/// Writes down what the API said of one: its key goes on to be refused, or is forgotten.
#[server(prefix = "/do", endpoint = "console/unknown-requests/resolve")]
pub async fn resolve_unknown_request(
    attempt: String,
    #[server(default)] outcome: String,
    #[server(default)] note: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    use domain::id::AttemptId;
    use store::{StoreError, idempotency::Resolution};
    const LIST: &str = "/console/unknown-requests";
    let id: Result<AttemptId, Failure> = form::id(&attempt);
    let mut back = id.as_ref().map_or(LIST.to_owned(), |id| format!("{LIST}/{id}"));
    let outcome_given = async {
        let cx = viewer::operator()?;
        let id = id?;
        let (resolution, told) = match outcome.as_str() {
            "carried_out" => (
                Resolution::CarriedOut,
                "Written down. The key goes on to be refused, and says that the request was carried out.",
            ),
            "not_carried_out" => (
                Resolution::NotCarriedOut,
                "Written down. The key is forgotten: the partner may send the same request again.",
            ),
            _ => return Err(Failure::field("outcome", "Choose what the API said")),
        };
        let actor = store::Actor::Operator(cx.viewer.id);
        match cx.state.store.resolve_unknown_request(id, resolution, &note, actor, cx.now).await {
            Ok(()) => Ok(Done::go(LIST).saying(told)),
            Err(StoreError::NotFound) => {
                // The request's own page is gone, too.
                LIST.clone_into(&mut back);
                Err(Failure::whole(
                    "Nothing was changed: the outcome of this request is known by now. The audit log says how.",
                ))
            }
            Err(error) => Err(error.into()),
        }
    }
    .await;
    form::answer("unknown-requests/resolve", &back, &[("outcome", &outcome), ("note", &note)], outcome_given)
}
