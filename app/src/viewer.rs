//! Who is looking: the proof that a request has a session, and whose.
//!
//! The server's guard loads the viewer once per request, checks [`access`](crate::access) and leaves both here. A page or
//! server function that takes a [`Cx`] of members cannot run for anybody else.

use crate::{components::Theme, flash::Flash, state::AppState};
use domain::{
    id::{MemberId, OperatorId, PartnerId},
    role::{MemberRole, OperatorRole},
};
use http::request::Parts;
use jiff::Timestamp;
use leptos::prelude::{provide_context, use_context};
use store::DunningLine;

/// Who sent the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Viewer {
    Nobody,
    Member(MemberViewer),
    Operator(OperatorViewer),
}

/// A signed-in member of a partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberViewer {
    pub id: MemberId,
    pub partner: PartnerId,
    pub partner_name: String,
    pub time_zone: String,
    /// Why the provider refuses the partner's calls, which may be empty; `None` where it serves them.
    pub suspended: Option<String>,
    /// What an unpaid invoice has made of the partner; `None` in good standing.
    pub unpaid: Option<Box<DunningLine>>,
    pub name: String,
    pub email: String,
    pub role: MemberRole,
}

/// A signed-in operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorViewer {
    pub id: OperatorId,
    pub name: String,
    pub email: String,
    pub role: OperatorRole,
}

/// The request's viewer is not of the kind that the caller takes. The guard prevents this; it is here to fail closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sign in first")]
pub struct NotAllowed;

/// One request's surroundings: the installation, who is looking, and the time, which stands still for the request.
#[derive(Clone)]
pub struct Cx<V> {
    pub state: AppState,
    pub viewer: V,
    pub now: Timestamp,
}

/// Gives the page what the guard left in the request: called once for each request, before anything renders.
pub fn provide_from_request() {
    let Some(parts) = use_context::<Parts>() else { return };
    let extensions = &parts.extensions;
    if let (Some(state), Some(viewer)) = (extensions.get::<AppState>(), extensions.get::<Viewer>()) {
        provide_context(state.clone());
        provide_context(viewer.clone());
    }
    provide_context(extensions.get::<Flash>().cloned().unwrap_or_default());
    provide_context(extensions.get::<Theme>().copied().unwrap_or_default());
}

/// The surroundings of a request from whoever.
pub fn anyone() -> Result<Cx<Viewer>, NotAllowed> {
    let state = use_context::<AppState>().ok_or(NotAllowed)?;
    let viewer = use_context::<Viewer>().ok_or(NotAllowed)?;
    let now = state.clock.now();
    Ok(Cx { state, viewer, now })
}

/// The surroundings of a member's request.
pub fn member() -> Result<Cx<MemberViewer>, NotAllowed> {
    let Cx { state, viewer, now } = anyone()?;
    match viewer {
        Viewer::Member(viewer) => Ok(Cx { state, viewer, now }),
        _ => Err(NotAllowed),
    }
}

/// The surroundings of an operator's request.
pub fn operator() -> Result<Cx<OperatorViewer>, NotAllowed> {
    let Cx { state, viewer, now } = anyone()?;
    match viewer {
        Viewer::Operator(viewer) => Ok(Cx { state, viewer, now }),
        _ => Err(NotAllowed),
    }
}
