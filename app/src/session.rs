//! Signing in and out: what a browser session holds, and how a request's viewer is found from it.

use crate::{
    state::AppState,
    viewer::{MemberViewer, OperatorViewer},
};
use domain::id::{MemberId, OperatorId};
use http::request::Parts;
use leptos::prelude::use_context;
use sha2::{Digest, Sha256};
use store::StoreError;
use tower_sessions::Session;

/// Session value that holds a member's id.
pub const MEMBER: &str = "member";

/// Session value that holds an operator's id.
pub const OPERATOR: &str = "operator";

/// Session value that holds the browser's name.
pub const PROGRAM: &str = "program";

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

/// The member whose session it is, while they may still sign in.
pub async fn member_viewer(state: &AppState, id: MemberId) -> Result<Option<MemberViewer>, StoreError> {
    let Some(found) = state.store.find_member_of_any_partner(id).await? else { return Ok(None) };
    let (member, partner) = (found.member, found.partner);
    if member.disabled_at.is_some() || member.email_verified_at.is_none() {
        return Ok(None);
    }
    Ok(Some(MemberViewer {
        id: member.id,
        partner: partner.id,
        partner_name: partner.name,
        time_zone: partner.time_zone,
        unpaid: state.store.unpaid_stage(partner.id).await?.map(Box::new),
        suspended: partner.suspended_at.map(|_| partner.suspended_reason.unwrap_or_default()),
        name: member.name,
        email: member.email,
        role: member.role,
    }))
}

/// The operator whose session it is, while they may still sign in.
pub async fn operator_viewer(state: &AppState, id: OperatorId) -> Result<Option<OperatorViewer>, StoreError> {
    let Some(operator) = state.store.find_operator(id).await?.filter(|operator| operator.disabled_at.is_none()) else {
        return Ok(None);
    };
    Ok(Some(OperatorViewer { id: operator.id, name: operator.name, email: operator.email, role: operator.role }))
}

/// Keeps what the browser calls itself, for the list from which people end their sessions.
pub async fn note_program(program: &str) -> Result<(), SessionFailed> {
    current()?.insert(PROGRAM, program).await.map_err(failed)
}

/// What the database knows this request's session by.
pub fn own_id_hash() -> Option<[u8; 32]> {
    current().ok()?.id().map(id_hash)
}

/// SHA-256 of a session's id: all that is kept of it.
pub fn id_hash(id: tower_sessions::session::Id) -> [u8; 32] {
    Sha256::digest(id.0.to_be_bytes()).into()
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
