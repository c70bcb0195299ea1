//! What listens on the portal's port: pages, the REST API and Stripe's webhooks, under one request log.

use crate::{api, portal, portal::site::Site, webhooks};
use app::state::AppState;
use axum::{
    Router,
    extract::{MatchedPath, Request},
    middleware::{self, Next},
    response::Response,
};
use std::time::Instant;

/// The whole front. Only the pages have sessions and the origin check; the others prove who calls by other means.
pub fn router(state: AppState, site: Site, webhooks: webhooks::Receiver) -> Router {
    api::router(state.clone())
        .merge(webhooks::router(webhooks))
        .merge(portal::router(state, site))
        .layer(middleware::from_fn(log))
}

/// One line for each request, at level debug, or info where it failed on our side. It names the route and not the
/// address: an address may hold a one-time link.
async fn log(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let (status, ms) = (response.status().as_u16(), started.elapsed().as_millis());
    metrics::counter!("turnpike_portal_requests_total", "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    if status >= 500 {
        tracing::info!(%method, route, status, ms, "request");
    } else {
        tracing::debug!(%method, route, status, ms, "request");
    }
    response
}
