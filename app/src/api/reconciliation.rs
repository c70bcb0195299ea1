//! Forms of those who look after what usage says: differing counts and contradicting events.

use leptos::prelude::*;

/// Compares the last two days, beside whatever else is done.
#[server(prefix = "/do", endpoint = "console/reconciliation/run")]
pub async fn run_reconciliation() -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        reconciliation, viewer,
    };
    use jiff::SignedDuration;
    use store::{StoreError, reconcile::hours_before};
    const LIST: &str = "/console/reconciliation";
    let outcome = async {
        let cx = viewer::operator()?;
        let range = hours_before(cx.now, SignedDuration::from_hours(48));
        match reconciliation::begin(&cx.state, range, cx.now).await {
            Ok(()) => {
                Ok(Done::go(LIST).saying("Comparing has begun. Open this page again in a moment to see what it found."))
            }
            Err(StoreError::Conflict { message, .. }) => Err(Failure::whole(message)),
            Err(error) => Err(error.into()),
        }
    }
    .await;
    form::answer("reconciliation/run", LIST, &[], outcome)
}

/// Lets invoices go on although two numbers differ.
#[server(prefix = "/do", endpoint = "console/reconciliation/accept")]
pub async fn accept_finding(
    #[server(default)] finding: String,
    #[server(default)] note: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    use domain::id::FindingId;
    use store::{Actor, StoreError};
    const LIST: &str = "/console/reconciliation";
    let outcome = async {
        let cx = viewer::operator()?;
        let id: FindingId = form::id(&finding)?;
        match cx.state.store.accept_finding(id, &note, Actor::Operator(cx.viewer.id), cx.now).await {
            Ok(()) => Ok(Done::go(LIST).saying("Accepted. It holds no invoice back any more.")),
            Err(StoreError::NotFound) => {
                Err(Failure::whole("Nothing was changed: these numbers are others by now, or somebody was faster."))
            }
            Err(error) => Err(error.into()),
        }
    }
    .await;
    form::answer("reconciliation/accept", LIST, &[("finding", &finding), ("note", &note)], outcome)
}

/// Writes down what was found about an event that contradicts another.
#[server(prefix = "/do", endpoint = "console/conflicts/resolve")]
pub async fn resolve_conflict(
    #[server(default)] conflict: String,
    #[server(default)] note: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    use domain::id::ConflictId;
    use store::{Actor, StoreError};
    const LIST: &str = "/console/conflicts";
    let outcome = async {
        let cx = viewer::operator()?;
        let id: ConflictId = form::id(&conflict)?;
        match cx.state.store.resolve_outside_conflict(id, &note, Actor::Operator(cx.viewer.id), cx.now).await {
            Ok(()) => Ok(Done::go(LIST).saying("Written down. The first event goes on to count.")),
            Err(StoreError::NotFound) => Err(Failure::whole("Nothing was changed: somebody was faster.")),
            Err(error) => Err(error.into()),
        }
    }
    .await;
    form::answer("conflicts/resolve", LIST, &[("conflict", &conflict), ("note", &note)], outcome)
}
