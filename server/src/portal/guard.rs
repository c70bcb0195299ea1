//! The guard: loads who is looking and holds the access list, once for each request, before anything else runs.

use app::{
    access::{Verdict, who_may},
    components::Theme,
    flash::{self, Flash},
    session::{MEMBER, OPERATOR},
    state::AppState,
    viewer::Viewer,
};
use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{Html, IntoResponse, Redirect, Response},
};
use http::{HeaderMap, Method, StatusCode, header};
use store::StoreError;
use tower_sessions::Session;

/// Refuses what the list does not allow; leaves viewer, flash and theme for the page.
pub async fn guard(State(state): State<AppState>, session: Session, mut request: Request, next: Next) -> Response {
    let viewer = match load_viewer(&state, &session).await {
        Ok(viewer) => viewer,
        Err(cause) => {
            tracing::error!(%cause, "cannot tell who is looking");
            return (StatusCode::SERVICE_UNAVAILABLE, "The database did not answer. Reload in a moment.")
                .into_response();
        }
    };
    if let Some(path) = request.extensions().get::<MatchedPath>() {
        let who = who_may(request.method().as_str(), path.as_str());
        let verdict = who.map_or(Verdict::Hide, |who| who.judge(&viewer, state.settings.development));
        let page = matches!(*request.method(), Method::GET | Method::HEAD);
        match verdict {
            Verdict::Allow => {}
            Verdict::SignInAsMember if page => return Redirect::to(&sign_in("/sign-in", &request)).into_response(),
            Verdict::SignInAsOperator if page => {
                return Redirect::to(&sign_in("/console/sign-in", &request)).into_response();
            }
            Verdict::SignInAsMember | Verdict::SignInAsOperator => return StatusCode::UNAUTHORIZED.into_response(),
            Verdict::Refuse => return refused(StatusCode::FORBIDDEN),
            Verdict::Hide => return refused(StatusCode::NOT_FOUND),
        }
    }
    let flash = cookie(request.headers(), flash::COOKIE).and_then(|value| Flash::from_cookie(value, &state.secrets));
    let theme = cookie(request.headers(), "theme").map(Theme::from_code).unwrap_or_default();
    let extensions = request.extensions_mut();
    extensions.insert(state);
    extensions.insert(viewer);
    extensions.insert(theme);
    extensions.insert(flash.unwrap_or_default());
    next.run(request).await
}

async fn load_viewer(state: &AppState, session: &Session) -> Result<Viewer, StoreError> {
    let text = |key: &'static str| async move { session.get::<String>(key).await.ok().flatten() };
    if let Some(id) = text(MEMBER).await.and_then(|id| id.parse().ok()) {
        return Ok(app::session::member_viewer(state, id).await?.map_or(Viewer::Nobody, Viewer::Member));
    }
    if let Some(id) = text(OPERATOR).await.and_then(|id| id.parse().ok()) {
        return Ok(app::session::operator_viewer(state, id).await?.map_or(Viewer::Nobody, Viewer::Operator));
    }
    Ok(Viewer::Nobody)
}

/// The value of a cookie of this name.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split("; ")).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The sign-in page's address, which remembers where the viewer wanted to go.
fn sign_in(page: &str, request: &Request) -> String {
    let wanted = request.uri().path_and_query().map_or("/", |wanted| wanted.as_str());
    let encoded: String = wanted
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    if wanted == "/" { page.to_owned() } else { format!("{page}?next={encoded}") }
}

/// A short page of its own: the one that was asked for must not even begin to render.
fn refused(status: StatusCode) -> Response {
    let (title, text) = match status {
        StatusCode::FORBIDDEN => {
            ("Not allowed", "Your role does not open this. Ask an owner or admin of your company.")
        }
        _ => ("Not found", "There is nothing at this address, or nothing that you may see."),
    };
    let page = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} · Turnpike</title>\
         <meta name=\"viewport\" content=\"width=device-width\"></head>\
         <body><main><h1>{title}</h1><p>{text}</p><p><a href=\"/\">Go to the front page</a></p></main></body></html>"
    );
    (status, Html(page)).into_response()
}
