//! The guard: loads who is looking and holds the access list, once for each request, before anything else runs.

use super::refusals::Refusals;
use app::{
    access::{Verdict, who_may},
    components::Theme,
    flash::{self, Flash},
    page::Refusal,
    session::{MEMBER, OPERATOR},
    state::AppState,
    viewer::Viewer,
};
use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, Method, header};
use server_fn::error::SERVER_FN_ERROR_HEADER;
use std::error::Error;
use tower_sessions::Session;

/// What the guard works with.
#[derive(Clone)]
pub struct Guard {
    pub state: AppState,
    pub refusals: Refusals,
}

/// Refuses what the list does not allow; leaves viewer, flash and theme for the page.
pub async fn guard(
    State(Guard { state, refusals }): State<Guard>,
    session: Session,
    mut request: Request,
    next: Next,
) -> Response {
    let viewer = load_viewer(&state, &session).await;
    let refusal = match &viewer {
        Ok(viewer) => judge(&request, viewer, state.settings.development),
        Err(cause) => {
            tracing::error!(%cause, "cannot tell who is looking");
            Some(Stop::With(Refusal::Unavailable))
        }
    };
    let html = matches!(*request.method(), Method::GET | Method::HEAD) || accepts_html(request.headers());
    let theme = cookie(request.headers(), "theme").map(Theme::from_code).unwrap_or_default();
    let flash = cookie(request.headers(), flash::COOKIE)
        .and_then(|value| Flash::from_cookie(value, &state.secrets, jiff::Timestamp::now()));
    let known = request.extensions().get::<MatchedPath>().is_some();
    let extensions = request.extensions_mut();
    extensions.insert(state);
    extensions.insert(viewer.unwrap_or(Viewer::Nobody));
    extensions.insert(theme);
    match refusal {
        Some(Stop::At(sign_in)) => return Redirect::to(&sign_in).into_response(),
        Some(Stop::With(refusal)) if html => return refusals.show(refusal, request).await,
        Some(Stop::With(refusal)) => return refusal.status().into_response(),
        None => {}
    }
    // What is not there shows no flash and removes none: it may be a file that a browser asks for by itself.
    if known {
        request.extensions_mut().insert(flash.unwrap_or_default());
    }
    let blank = blank(&request);
    let mut response = next.run(request).await;
    // Our functions answer mistakes themselves: this one could not be read. The framework would send the browser on, with
    // what was wrong in the address, and call it an error of ours to scripts.
    if response.headers().contains_key(SERVER_FN_ERROR_HEADER) {
        if html {
            return refusals.show(Refusal::Unreadable, blank).await;
        }
        *response.status_mut() = Refusal::Unreadable.status();
    }
    response
}

/// Why the guard lets nothing through.
enum Stop {
    /// To the sign-in page at this address.
    At(String),
    With(Refusal),
}

fn judge(request: &Request, viewer: &Viewer, development: bool) -> Option<Stop> {
    let path = request.extensions().get::<MatchedPath>()?;
    let who = who_may(request.method().as_str(), path.as_str());
    let page = matches!(*request.method(), Method::GET | Method::HEAD);
    match who.map_or(Verdict::Hide, |who| who.judge(viewer, development)) {
        Verdict::Allow => None,
        Verdict::SignInAsMember if page => Some(Stop::At(sign_in("/sign-in", request))),
        Verdict::SignInAsOperator if page => Some(Stop::At(sign_in("/console/sign-in", request))),
        Verdict::SignInAsMember | Verdict::SignInAsOperator => Some(Stop::With(Refusal::SignedOut)),
        Verdict::Refuse => Some(Stop::With(Refusal::Role)),
        Verdict::Hide => Some(Stop::With(Refusal::Hidden)),
    }
}

/// A request to the same place, with no body: enough to render a page for whoever sent it.
fn blank(request: &Request) -> Request {
    let mut blank = Request::default();
    *blank.uri_mut() = request.uri().clone();
    *blank.extensions_mut() = request.extensions().clone();
    blank
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("text/html"))
}

/// A database that does not answer is an error, and not somebody who is signed out.
async fn load_viewer(state: &AppState, session: &Session) -> Result<Viewer, Box<dyn Error + Send + Sync>> {
    if let Some(id) = session.get::<String>(MEMBER).await?.and_then(|id| id.parse().ok()) {
        return Ok(app::session::member_viewer(state, id).await?.map_or(Viewer::Nobody, Viewer::Member));
    }
    if let Some(id) = session.get::<String>(OPERATOR).await?.and_then(|id| id.parse().ok()) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{portal::sessions::Sessions, test_app};
    use app::shell::SiteFiles;
    use axum::{Router, middleware::from_fn_with_state, routing::get};
    use http::StatusCode;
    use leptos::config::LeptosOptions;
    use tower::ServiceExt;
    use tower_sessions::SessionManagerLayer;

    async fn status(router: &Router, path: &str) -> StatusCode {
        let request = http::Request::get(path).body(axum::body::Body::empty()).expect("a request");
        router.clone().oneshot(request).await.expect("an answer").status()
    }

    #[tokio::test]
    async fn a_route_that_is_not_in_the_list_does_not_exist() {
        let store = store::test_db::store().await;
        // The portal's router does the same, and with it sets up what renders pages.
        leptos_axum::generate_route_list(app::routes::App);
        let options = LeptosOptions::builder().output_name("x").build();
        let refusals = Refusals::new(options, SiteFiles { style: "/pkg/x.css".to_owned() });
        let open =
            Router::new().route("/sign-in", get(|| async { "open" })).route("/forgotten", get(|| async { "open" }));
        let guarded = open
            .clone()
            .layer(from_fn_with_state(Guard { state: test_app::state(&store), refusals }, guard))
            .layer(SessionManagerLayer::new(Sessions::new(store.handle())));
        assert_eq!(status(&open, "/forgotten").await, StatusCode::OK, "without the guard");
        assert_eq!(status(&guarded, "/forgotten").await, StatusCode::NOT_FOUND);
        assert_eq!(status(&guarded, "/sign-in").await, StatusCode::OK, "what the list has is there");
    }
}
