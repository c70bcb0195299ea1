//! The admin listener: metrics, health and status. It asks for no credential and belongs on loopback or a private network.

use crate::tasks::board::{Board, TaskState};
use app::state::Clock;
use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};
use store::{Store, UsageStorage};

/// What the admin listener shows.
#[derive(Clone)]
pub struct Admin {
    pub metrics: PrometheusHandle,
    pub board: Board,
    pub store: Store,
    pub node: Arc<str>,
    pub clock: Clock,
    /// Which directory the gateway decides by; `None` where this process has no gateway.
    pub directory_version: Arc<dyn Fn() -> Option<i64> + Send + Sync>,
    /// Seconds since Postgres last said that this directory is the newest; likewise.
    pub directory_age: Arc<dyn Fn() -> Option<u64> + Send + Sync>,
    /// The server was told to stop.
    pub leaving: Arc<AtomicBool>,
}

/// The answer of `/status`.
#[derive(Debug, Serialize)]
struct Status {
    version: &'static str,
    node: String,
    /// Null where this process has no gateway.
    directory_version: Option<i64>,
    /// Seconds since Postgres last said that this is the newest; likewise.
    directory_age_seconds: Option<u64>,
    database: &'static str,
    /// Seconds by which stored usage may be behind the gateway, over all nodes; null while that is not known.
    usage_lag_seconds: Option<i64>,
    /// What is stored of usage and from when on; null while that is not known.
    usage: Option<UsageStorage>,
    tasks: BTreeMap<&'static str, TaskState>,
}

/// Upper ends of the buckets of every duration, in seconds.
const DURATIONS: [f64; 13] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Collects what is measured from here on.
///
/// # Errors
/// Something else in this process already does.
pub fn metrics() -> Result<PrometheusHandle, BuildError> {
    let durations = Matcher::Suffix("_seconds".to_owned());
    PrometheusBuilder::new().set_buckets_for_metric(durations, &DURATIONS)?.install_recorder()
}

/// The routes.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/metrics", get(show_metrics))
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/status", get(status))
        .with_state(admin)
}

async fn show_metrics(State(admin): State<Admin>) -> impl IntoResponse {
    if let Some(age) = (admin.directory_age)() {
        metrics::gauge!("turnpike_directory_age_seconds").set(age as f64);
    }
    ([("content-type", "text/plain; version=0.0.4")], admin.metrics.render())
}

/// The gateway is ready before this listener answers, and stays so while Postgres is down; until it is told to stop.
async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    if admin.leaving.load(Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned());
    }
    let ready = match (admin.directory_version)() {
        Some(version) => format!("ready, directory {version}\n"),
        None => "ready\n".to_owned(),
    };
    (StatusCode::OK, ready)
}

async fn status(State(admin): State<Admin>) -> impl IntoResponse {
    let is_up = admin.store.ping().await.is_ok();
    let lag = if is_up { admin.store.usage_lag(admin.clock.now()).await.ok().flatten() } else { None };
    let usage = if is_up { admin.store.usage_storage().await.ok() } else { None };
    Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        node: admin.node.to_string(),
        directory_version: (admin.directory_version)(),
        directory_age_seconds: (admin.directory_age)(),
        database: if is_up { "up" } else { "down" },
        usage_lag_seconds: lag.map(|lag| lag.as_secs()),
        usage,
        tasks: admin.board.read(),
    })
}
