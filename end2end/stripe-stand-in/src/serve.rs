//! The server: who asks, which fault strikes, whether the answer is known already, and which function answers.

use crate::{
    account::Account,
    answers::{break_off, respond},
    charges, control, credit_notes, customers, events,
    failure::Failure,
    faults::{Fault, Faults},
    idempotency, invoice_items, invoices,
    limits::Running,
    meter_events, meter_stream, meters,
    params::Params,
    prices, products, sessions, subscriptions,
    tax::Tax,
    webhooks,
};
use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    response::Response,
};
use base64::Engine as _;
use http::{HeaderMap, Method, header};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};

/// How to start.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// On the loopback address; 0 takes a free one.
    pub port: u16,
    /// Where events are posted.
    pub webhook: Option<String>,
    pub webhook_secret: String,
    pub faults: Faults,
    /// Whether Stripe Tax is set up.
    pub tax: Option<Tax>,
}

/// A running stand-in; it stops when this is dropped.
pub struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

/// What the requests share.
pub struct Shared {
    account: Mutex<Account>,
    webhooks: Mutex<webhooks::Settings>,
    posted: Mutex<webhooks::Posted>,
}

impl StandIn {
    /// Opens the port and serves.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
        let address = listener.local_addr()?;
        let settings =
            webhooks::Settings { url: options.webhook, secret: options.webhook_secret, ..Default::default() };
        let account = Account { faults: options.faults, tax: options.tax, ..Account::default() };
        let shared =
            Arc::new(Shared { account: Mutex::new(account), webhooks: Mutex::new(settings), posted: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let serve = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        let deliver = tokio::spawn(webhooks::deliver_for_ever(shared.clone()));
        Ok(Self { address, shared, tasks: vec![serve, deliver] })
    }

    /// `http://127.0.0.1:12111`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does what `/_control/…` does, without a connection.
    pub async fn control(&self, method: &str, path: &str, body: Value) -> Result<Value, Failure> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        control::handle(&self.shared, method, path, &body).await
    }

    /// Serves until SIGINT or SIGTERM.
    pub async fn run_until_stopped(self) -> std::io::Result<()> {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => stopped,
            _ = terminate.recv() => Ok(()),
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    pub fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn webhooks(&self) -> webhooks::Settings {
        self.webhooks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was posted so far.
    pub fn posted(&self) -> webhooks::Posted {
        self.posted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a post.
    pub fn count_post(&self, count: impl FnOnce(&mut webhooks::Posted)) {
        count(&mut self.posted.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn set_webhooks(&self, settings: webhooks::Settings) {
        *self.webhooks.lock().unwrap_or_else(PoisonError::into_inner) = settings;
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let Ok(body) = to_bytes(body, 1 << 20).await else { return respond(413, &json!({}), false) };
    if let Some(control_path) = path.strip_prefix("/_control/") {
        return match control::handle(&shared, head.method.as_str(), control_path, &body).await {
            Ok(value) => respond(200, &value, false),
            Err(failure) => respond(failure.status, &failure.body(), false),
        };
    }
    let allowed = match path.as_str() {
        meter_stream::PATH => meter_stream::authenticate(&shared.account(), &head.headers),
        _ => authenticate(&head.headers),
    };
    if let Err(failure) = allowed {
        return respond(failure.status, &failure.body(), false);
    }
    let form = if head.method == Method::POST {
        String::from_utf8_lossy(&body).into_owned()
    } else {
        head.uri.query().unwrap_or_default().to_owned()
    };
    let is_json = head.method == Method::POST && path.starts_with("/v2/");
    let params = match if is_json { Params::json(&form) } else { Params::parse(&form) } {
        Ok(params) => params,
        Err(failure) => return respond(failure.status, &failure.body(), false),
    };
    let key = head.headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let _running = match Running::begin(&shared, &path, &params, key.as_deref()) {
        Ok(running) => running,
        Err(failure) => return respond(failure.status, &failure.body(), false),
    };
    let done = run(&mut shared.account(), &head.method, &path, &params, key.as_deref());
    let Faults { timeout_ms, delay_ms, .. } = shared.account().faults.clone();
    let [timeout, delay] = [timeout_ms, delay_ms].map(Duration::from_millis);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match done.fault {
        Some(Fault::Timeout) => {
            tokio::time::sleep(timeout).await;
            respond(504, &json!({}), false)
        }
        Some(Fault::Reset) => break_off(done.status, &done.body),
        _ => respond(done.status, &done.body, done.replayed),
    }
}

struct Done {
    status: u16,
    body: Value,
    replayed: bool,
    fault: Option<Fault>,
}

/// One request under the account's lock: nothing else happens meanwhile.
fn run(account: &mut Account, method: &Method, path: &str, params: &Params, key: Option<&str>) -> Done {
    account.do_what_is_due();
    let fault = match path == meter_stream::PATH && account.faults.loses_stream() {
        true => Some(Fault::ErrorAfter),
        false => account.faults.draw(method != Method::GET),
    };
    let done = |status, body, replayed| Done { status, body, replayed, fault };
    let failed = |failure: Failure| done(failure.status, failure.body(), false);
    let log = |account: &mut Account, status: u16| {
        let entry = json!({ "method": method.as_str(), "path": path, "params": params.to_json(), "status": status });
        account.log.push(entry);
    };
    let turned_away = match fault {
        Some(Fault::Down) => Some(Failure::api(503, "api_error", "Stripe is not available.")),
        Some(Fault::RateLimited) => Some(
            Failure::api(429, "invalid_request_error", "Too many requests hit the API too quickly.").code("rate_limit"),
        ),
        Some(Fault::Conflict) if method == Method::POST => {
            let message = "There is currently another in-progress request using this idempotency key.";
            Some(Failure::api(409, "idempotency_error", message).code("idempotency_key_in_use"))
        }
        _ => None,
    };
    if let Some(failure) = turned_away {
        log(account, failure.status);
        return failed(failure);
    }
    let key = key.filter(|_| method == Method::POST);
    if let Some(key) = key {
        match idempotency::replay(account, key, path, params) {
            Err(failure) => return failed(failure),
            Ok(Some((status, body))) => return done(status, body, true),
            Ok(None) => {}
        }
    }
    let broken = || Failure::api(500, "api_error", "An unknown error occurred.");
    let outcome = match fault {
        Some(Fault::ErrorBefore) => Err(broken()),
        Some(Fault::ErrorAfter) => route(account, method.as_str(), path, params).and_then(|_| Err(broken())),
        _ => route(account, method.as_str(), path, params),
    };
    let (status, body) = match outcome {
        Ok(mut body) => {
            // Meters are still seen: without them nothing could be sent.
            if account.faults.blind && method == Method::GET && body["data"].is_array() && path != "/v1/billing/meters"
            {
                body["data"] = json!([]);
                body["has_more"] = json!(false);
            }
            (200, body)
        }
        Err(failure) => (failure.status, failure.body()),
    };
    if let Some(key) = key {
        idempotency::save(account, key, path, params, status, &body);
    }
    log(account, status);
    done(status, body, false)
}

/// Carries a request out.
pub fn route(account: &mut Account, method: &str, path: &str, params: &Params) -> Result<Value, Failure> {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (method, segments.as_slice()) {
        ("POST", ["v1", "customers"]) => customers::create(account, params),
        ("GET", ["v1", "customers"]) => customers::list(account, params),
        ("GET", ["v1", "customers", "search"]) => customers::search(account, params),
        ("GET", ["v1", "customers", id]) => customers::retrieve(account, id),
        ("POST", ["v1", "customers", id]) => customers::update(account, id, params),
        ("DELETE", ["v1", "customers", id]) => customers::delete(account, id),
        ("GET", ["v1", "customers", id, "payment_methods"]) => sessions::payment_methods(account, id, params),
        ("POST", ["v1", "payment_methods", id, "detach"]) => sessions::detach(account, id),
        ("POST", ["v1", "billing_portal", "sessions"]) => sessions::open_portal(account, params),
        ("POST", ["v1", "checkout", "sessions"]) => sessions::open_checkout(account, params),
        ("POST", ["v1", "checkout", "sessions", id, "expire"]) => sessions::expire(account, id, params),
        ("GET", ["v1", "checkout", "sessions", id]) => sessions::retrieve(account, id, params),
        ("POST", ["v1", "products"]) => products::create(account, params),
        ("GET", ["v1", "products"]) => products::list(account, params),
        ("GET", ["v1", "products", id]) => products::retrieve(account, id),
        ("POST", ["v1", "products", id]) => products::update(account, id, params),
        ("DELETE", ["v1", "products", id]) => products::delete(account, id),
        ("POST", ["v1", "prices"]) => prices::create(account, params),
        ("GET", ["v1", "prices"]) => prices::list(account, params),
        ("GET", ["v1", "prices", id]) => prices::retrieve(account, id, params),
        ("POST", ["v1", "prices", id]) => prices::update(account, id, params),
        ("POST", ["v1", "subscriptions"]) => subscriptions::create(account, params),
        ("GET", ["v1", "subscriptions"]) => subscriptions::list(account, params),
        ("GET", ["v1", "subscriptions", id]) => subscriptions::retrieve(account, id),
        ("POST", ["v1", "subscriptions", id]) => subscriptions::update(account, id, params),
        ("DELETE", ["v1", "subscriptions", id]) => subscriptions::cancel(account, id, params),
        ("POST", ["v1", "invoiceitems"]) => invoice_items::create(account, params),
        ("GET", ["v1", "invoiceitems"]) => invoice_items::list(account, params),
        ("GET", ["v1", "invoiceitems", id]) => invoice_items::retrieve(account, id),
        ("DELETE", ["v1", "invoiceitems", id]) => invoice_items::delete(account, id),
        ("POST", ["v1", "invoices"]) => invoices::create(account, params),
        ("GET", ["v1", "invoices"]) => invoices::list(account, params),
        ("GET", ["v1", "invoices", "search"]) => invoices::search(account, params),
        ("GET", ["v1", "invoices", id]) => invoices::retrieve(account, id),
        ("POST", ["v1", "invoices", id]) => invoices::update(account, id, params),
        ("DELETE", ["v1", "invoices", id]) => invoices::delete(account, id),
        ("GET", ["v1", "invoices", id, "lines"]) => invoices::lines(account, id, params),
        ("POST", ["v1", "invoices", id, "finalize"]) => invoices::finalize(account, id, params),
        ("POST", ["v1", "invoices", id, "pay"]) => invoices::pay(account, id, params),
        ("POST", ["v1", "invoices", id, "void"]) => invoices::void(account, id, params),
        ("POST", ["v1", "invoices", id, "mark_uncollectible"]) => invoices::mark_uncollectible(account, id, params),
        ("GET", ["v1", "invoice_payments"]) => charges::invoice_payments(account, params),
        ("POST", ["v1", "refunds"]) => charges::refund(account, params),
        ("GET", ["v1", "refunds"]) => charges::refunds(account, params),
        ("GET", ["v1", "disputes"]) => charges::disputes(account, params),
        ("GET", ["v1", "disputes", id]) => charges::retrieve_dispute(account, id),
        ("POST", ["v1", "credit_notes"]) => credit_notes::create(account, params),
        ("GET", ["v1", "credit_notes"]) => credit_notes::list(account, params),
        ("GET", ["v1", "credit_notes", "preview"]) => credit_notes::preview(account, params),
        ("GET", ["v1", "credit_notes", id, "lines"]) => credit_notes::lines(account, id, params),
        ("POST", ["v1", "credit_notes", id, "void"]) => credit_notes::void(account, id, params),
        ("GET", ["v1", "credit_notes", id]) => credit_notes::retrieve(account, id),
        ("POST", ["v1", "billing", "meters"]) => meters::create(account, params),
        ("GET", ["v1", "billing", "meters"]) => meters::list(account, params),
        ("POST", ["v1", "billing", "meters", id]) => meters::update(account, id, params),
        ("POST", ["v1", "billing", "meters", id, "deactivate"]) => meters::switch(account, id, "inactive"),
        ("POST", ["v1", "billing", "meters", id, "reactivate"]) => meters::switch(account, id, "active"),
        ("GET", ["v1", "billing", "meters", id]) => meters::retrieve(account, id),
        ("GET", ["v1", "billing", "meters", id, "event_summaries"]) => meters::summaries(account, id, params),
        ("POST", ["v1", "billing", "meter_events"]) => meter_events::create(account, params),
        ("POST", ["v2", "billing", "meter_event_session"]) => meter_stream::open(account, params),
        ("POST", ["v2", "billing", "meter_event_stream"]) => meter_stream::take(account, params),
        ("GET", ["v1", "events"]) => events::list(account, params),
        ("GET", ["v1", "events", id]) => events::retrieve(account, id),
        ("GET", ["v2", "core", "events", id]) => events::retrieve_thin(account, id),
        (method, _) => Err(Failure::unknown_address(method, path)),
    }
}

fn authenticate(headers: &HeaderMap) -> Result<(), Failure> {
    let refused = |message: &str| Err(Failure::api(401, "invalid_request_error", message));
    let Some(value) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
        return refused("You did not provide an API key.");
    };
    let key = match value.split_once(' ') {
        Some(("Bearer", key)) => key.to_owned(),
        Some(("Basic", encoded)) => {
            let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap_or_default();
            String::from_utf8_lossy(&decoded).split(':').next().unwrap_or_default().to_owned()
        }
        _ => return refused("The Authorization header is neither Bearer nor Basic."),
    };
    if key.starts_with("sk_test_") { Ok(()) } else { refused("Invalid API Key provided.") }
}
