//! The REST API under `/api`: what the pages do, a script can do.
//!
//! A request passes the guard, which proves whose token it is and holds it against [`access`]'s list; a handler takes
//! that proof, makes one call of the store and maps the answer. The description of it all is `/api/openapi.json`.

pub mod access;
mod cache;
mod corrections;
mod coupons;
mod credit;
mod credit_allocations;
mod credit_checkouts;
pub(crate) mod credit_notes;
mod credit_packages;
mod credit_top_up;
pub(crate) mod csv;
mod deliveries;
mod disputes;
pub(crate) mod draft_invoice;
mod dunning;
mod events;
mod extract;
mod guard;
mod hooks;
mod identities;
mod invoice_export;
mod invoice_lines;
mod invoice_thresholds;
pub(crate) mod invoices;
mod journal;
mod keys;
mod list;
mod me;
mod meters;
mod missing;
mod named_partners;
mod once;
mod own_credit;
mod partners;
mod payment;
mod plan;
mod plan_moves;
mod plans;
mod problem;
mod products;
mod quotes;
mod reconciliation;
mod requests;
pub(crate) mod rows;
mod stripe_drift;
mod stripe_events;
mod teams;
mod trace;
mod unknown_requests;
mod usage;

use app::state::AppState;
use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::header::CONTENT_TYPE,
    middleware,
    routing::{any, get},
};
use domain::openapi::MAX_DOCUMENT_BYTES;
use problem::Problem;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Description,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The longest body: a document, and room for its escapes.
const MAX_BODY_BYTES: usize = 2 * MAX_DOCUMENT_BYTES;

/// The description's frame.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Turnpike",
        description = "Keys, usage, invoices, plans, products and partners of a Turnpike installation.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
        contact(name = "The provider of this installation")
    ),
    servers((url = "/", description = "This installation")),
    security(("token" = [])),
    modifiers(&Tokens),
    tags(
        (name = "Token", description = "The token itself"),
        (name = "Keys", description = "Apps and their keys"),
        (name = "Usage", description = "What was used"),
        (name = "Invoices", description = "What is owed"),
        (name = "Products", description = "What is sold"),
        (name = "Plans", description = "Tiers"),
        (name = "Partners", description = "Customer companies, for the provider")
    )
)]
struct Frame;

struct Tokens;

impl Modify for Tokens {
    fn modify(&self, description: &mut Description) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("An API token, `tp_api_…`, made in the portal or the console.".to_owned());
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// The whole API.
pub fn router(state: AppState) -> Router {
    let (router, description) = routes().split_for_parts();
    let guarded = router
        .route_layer(middleware::from_fn_with_state(state.clone(), once::once))
        .route_layer(middleware::from_fn_with_state(state.clone(), guard::guard))
        .method_not_allowed_fallback(extract::no_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    let missing = any(|| async { Problem::not_found() });
    guarded
        .route("/api/openapi.json", get(move || async move { Json(description) }))
        .route(
            "/api/usage-event.schema.json",
            get(|| async { ([(CONTENT_TYPE, "application/schema+json")], events::SCHEMA) }),
        )
        .route("/api", missing.clone())
        .route("/api/{*rest}", missing)
        .with_state(state)
}

/// The routes with their descriptions.
fn routes() -> OpenApiRouter<AppState> {
    let mut router = all_routes();
    once::describe(router.get_openapi_mut());
    router
}

fn all_routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Frame::openapi())
        .routes(routes!(me::show))
        .routes(routes!(keys::apps, keys::create_app))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::rotate))
        .routes(routes!(keys::revoke))
        .routes(routes!(identities::bound))
        .routes(routes!(identities::register))
        .routes(routes!(usage::show))
        .routes(routes!(usage::series))
        .routes(routes!(usage::query))
        .routes(routes!(meters::show))
        .routes(routes!(usage::export))
        .routes(routes!(teams::list, teams::create))
        .routes(routes!(teams::put_app))
        .routes(routes!(requests::list))
        .routes(routes!(events::list, events::report))
        .routes(routes!(events::told::conflicts))
        .routes(routes!(events::told::resolve))
        .routes(routes!(events::told::late))
        .routes(routes!(corrections::list, corrections::draft))
        .routes(routes!(corrections::show))
        .routes(routes!(corrections::approve))
        .routes(routes!(corrections::apply))
        .routes(routes!(corrections::revert))
        .routes(routes!(corrections::refuse))
        .routes(routes!(invoices::list))
        .routes(routes!(draft_invoice::show))
        .routes(routes!(invoices::show))
        .routes(routes!(invoice_export::export))
        .routes(routes!(invoice_lines::open))
        .routes(routes!(disputes::list))
        .routes(routes!(disputes::show))
        .routes(routes!(disputes::open))
        .routes(routes!(disputes::withdraw))
        .routes(routes!(disputes::accept))
        .routes(routes!(disputes::refuse))
        .routes(routes!(journal::show))
        .routes(routes!(journal::export))
        .routes(routes!(dunning::show))
        .routes(routes!(dunning::list))
        .routes(routes!(dunning::set_days))
        .routes(routes!(dunning::pause))
        .routes(routes!(dunning::resume))
        .routes(routes!(dunning::dispute))
        .routes(routes!(invoice_thresholds::show, invoice_thresholds::put, invoice_thresholds::clear))
        .routes(routes!(credit_notes::list))
        .routes(routes!(credit_notes::show))
        .routes(routes!(credit_notes::draft))
        .routes(routes!(credit_notes::issue))
        .routes(routes!(credit_notes::discard))
        .routes(routes!(products::list))
        .routes(routes!(products::put))
        .routes(routes!(cache::purge))
        .routes(routes!(plan::show))
        .routes(routes!(plan::preview))
        .routes(routes!(plan::change, plan::keep))
        .routes(routes!(payment::show))
        .routes(routes!(payment::portal))
        .routes(routes!(payment::checkout))
        .routes(routes!(payment::came_of))
        .routes(routes!(payment::ask))
        .routes(routes!(plans::list))
        .routes(routes!(quotes::quote))
        .routes(routes!(plan_moves::list, plan_moves::order))
        .routes(routes!(plan_moves::preview))
        .routes(routes!(plan_moves::cancel))
        .routes(routes!(plans::add_version))
        .routes(routes!(plans::preview_version))
        .routes(routes!(partners::list))
        .routes(routes!(partners::show))
        .routes(routes!(partners::suspend))
        .routes(routes!(partners::reactivate))
        .routes(routes!(partners::assign_plan))
        .routes(routes!(named_partners::list))
        .routes(routes!(named_partners::name, named_partners::unname))
        .routes(routes!(named_partners::derive))
        .routes(routes!(own_credit::show))
        .routes(routes!(credit::show))
        .routes(routes!(credit::grant))
        .routes(routes!(credit::grants))
        .routes(routes!(credit::void))
        .routes(routes!(coupons::list))
        .routes(routes!(coupons::put))
        .routes(routes!(coupons::own, coupons::redeem))
        .routes(routes!(coupons::take_back))
        .routes(routes!(credit_packages::list))
        .routes(routes!(credit_packages::put))
        .routes(routes!(credit_packages::buy, credit_packages::purchases))
        .routes(routes!(credit_allocations::allocate, credit_allocations::list))
        .routes(routes!(credit_allocations::give_back))
        .routes(routes!(credit_checkouts::open))
        .routes(routes!(credit_checkouts::show))
        .routes(routes!(credit_packages::paid))
        .routes(routes!(credit_top_up::show, credit_top_up::put, credit_top_up::stop))
        .routes(routes!(hooks::list, hooks::create))
        .routes(routes!(hooks::delete))
        .routes(routes!(hooks::pause))
        .routes(routes!(hooks::resume))
        .routes(routes!(hooks::rotate))
        .routes(routes!(hooks::test))
        .routes(routes!(reconciliation::show))
        .routes(routes!(reconciliation::findings))
        .routes(routes!(reconciliation::accept))
        .routes(routes!(reconciliation::run))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::replay))
        .routes(routes!(stripe_drift::show, stripe_drift::compare))
        .routes(routes!(stripe_drift::list))
        .routes(routes!(stripe_drift::write))
        .routes(routes!(stripe_drift::accept))
        .routes(routes!(stripe_events::list))
        .routes(routes!(stripe_events::replay))
        .routes(routes!(trace::show))
        .routes(routes!(unknown_requests::list))
        .routes(routes!(unknown_requests::resolve))
}

#[cfg(test)]
pub(crate) mod tests;
