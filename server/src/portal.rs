//! The portal's router: pages, forms and built files, behind one list of layers.
//!
//! Order, from the outside in: security headers on everything; a panic becomes a 500; the origin check on every state
//! change; the session; the guard, which knows who is looking and holds the access list; then the page.

mod downloads;
#[cfg(feature = "embed-site")]
pub mod embedded;
mod guard;
mod headers;
mod invoice_files;
mod refusals;
pub mod sessions;
pub mod site;

use app::{
    routes::App,
    shell::{SiteFiles, shell},
    state::AppState,
    viewer::provide_from_request,
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    middleware,
    response::{IntoResponse, Response},
};
use leptos::config::LeptosOptions;
use leptos_axum::{LeptosRoutes, generate_route_list, render_app_async_with_context};
use refusals::Refusals;
use site::Site;
use tower_http::{catch_panic::CatchPanicLayer, csrf::CsrfLayer};
use tower_sessions::{Expiry, SessionManagerLayer, cookie::SameSite, cookie::time::Duration};

/// Larger than the largest OpenAPI document that we take (bytes).
const LARGEST_FORM: usize = 8 * 1024 * 1024;

/// Time after which a session ends, counted from the sign-in: reading a page does not make it longer.
const SESSION_LIFE: Duration = Duration::hours(12);

/// The whole portal.
pub fn router(state: AppState, site: Site) -> Router {
    let options = site.leptos_options();
    let files = site.files();
    let routes = generate_route_list(App);
    let document = {
        let (options, files) = (options.clone(), files.clone());
        move || shell(options.clone(), files.clone())
    };
    let guard = guard::Guard { state: state.clone(), refusals: Refusals::new(options.clone(), files.clone()) };
    let pages = Router::new()
        .leptos_routes_with_context(&options, routes, provide_from_request, document)
        .fallback(move |request: Request| not_found(request, options.clone(), files.clone()))
        .with_state::<()>(site.leptos_options());
    let sessions = SessionManagerLayer::new(sessions::Sessions::new(state.store.clone()))
        .with_name("__Host-session")
        .with_secure(true)
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_expiry(Expiry::OnInactivity(SESSION_LIFE));
    pages
        .merge(downloads::router(state))
        .layer(DefaultBodyLimit::max(LARGEST_FORM))
        .layer(middleware::from_fn_with_state(guard, guard::guard))
        .layer(sessions)
        .merge(site.router())
        .layer(CsrfLayer::new())
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn(headers::harden))
}

async fn not_found(request: Request, options: LeptosOptions, files: SiteFiles) -> Response {
    render_app_async_with_context(provide_from_request, move || shell(options.clone(), files.clone()))(request)
        .await
        .into_response()
}
