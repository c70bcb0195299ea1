//! A small payments API: what a provider puts Turnpike in front of. `openapi.yaml` beside it says the same in OpenAPI 3.1.
//!
//! Everything is in memory and begins with the same data. Each kind of answer that a gateway has to carry is there: quick
//! JSON, validation problems, a slow search, a streaming report, failures on demand.

mod customers;
mod fields;
mod listing;
mod payments;
mod problem;
mod query;
mod refunds;
mod reports;
mod search;
mod seed;
mod simulate;
mod state;

use axum::{
    Router,
    routing::{get, post},
};
use problem::Problem;
use state::Shared;

/// The whole API with its first data.
pub fn router() -> Router {
    Router::new()
        .route("/payments", get(payments::list).post(payments::create))
        .route("/payments/{payment_id}", get(payments::read))
        .route("/payments/{payment_id}/capture", post(payments::capture))
        .route("/payments/{payment_id}/cancel", post(payments::cancel))
        .route("/refunds", post(refunds::create))
        .route("/refunds/{refund_id}", get(refunds::read))
        .route("/customers", get(customers::list).post(customers::create))
        .route("/customers/{customer_id}", get(customers::read))
        .route("/search", get(search::search))
        .route("/reports/settlement", get(reports::settlement))
        .route("/simulate/failure", post(simulate::failure))
        .fallback(async || Problem::not_found("There is nothing at this path."))
        .method_not_allowed_fallback(async || Problem::new(405, "method-not-allowed", "This path has no such method."))
        .with_state(Shared::new(seed::seed()))
}
