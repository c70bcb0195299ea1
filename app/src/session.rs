//! Signing in and out: what a browser session holds, and how a request's viewer is found from it.

use crate::{
    state::AppState,
    viewer::{MemberViewer, OperatorViewer},
};
use domain::id::{MemberId, OperatorId};
use http::request::Parts;
use leptos::prelude::use_context;
use store::StoreError;
use tower_sessions::Session;

/// Session value that holds a member's id.
pub const MEMBER: &str = "member";

/// Session value that holds an operator's id.
pub const OPERATOR: &str = "operator";

/// The session could not be kept; nobody is signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session could not be kept")]
pub struct SessionFailed;

/// Makes this browser the member's: a fresh session id, never the one that came with the request.
pub async fn sign_in_member(member: MemberId) -> Result<(), SessionFailed> {
    begin(MEMBER, member.to_string()).await
}

/// Makes this browser the operator's.
pub async fn sign_in_operator(operator: OperatorId) -> Result<(), SessionFailed> {
    begin(OPERATOR, operator.to_string()).await
}

/// Forgets the session, here and in the database.
pub async fn sign_out() -> Result<(), SessionFailed> {
    current()?.flush().await.map_err(failed)
}

async fn begin(name: &str, id: String) -> Result<(), SessionFailed> {
    let session = current()?;
    session.clear().await;
    session.cycle_id().await.map_err(failed)?;
    session.insert(name, id).await.map_err(failed)
}

fn current() -> Result<Session, SessionFailed> {
    use_context::<Parts>().and_then(|parts| parts.extensions.get::<Session>().cloned()).ok_or(SessionFailed)
}

fn failed(cause: tower_sessions::session::Error) -> SessionFailed {
    tracing::error!(%cause, "cannot keep a session");
    SessionFailed
}
