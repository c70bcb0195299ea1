//! An installation for tests: a database of its own, the REST API on it, tokens in one line.

use crate::{
    api,
    new_key::{NewKeyText, new_key_text},
};
use app::{
    secrets::Secrets,
    state::{AppState, Clock, Settings},
};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, request::Builder},
};
use domain::{
    id::{AppId, KeyId, PartnerId},
    key_text::{Environment, KeyKind},
    scope::Scope,
    usage::UsageEvent,
};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;
use store::{Actor, NewApiToken, test_db::TestStore};
use tower::ServiceExt;
use uuid::Uuid;

/// The installation.
pub struct TestApp {
    pub store: TestStore,
    pub state: AppState,
    router: Router,
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

/// An installation's state on this store.
pub fn state(store: &TestStore) -> AppState {
    let settings = Settings {
        provider_name: "Test".to_owned(),
        provider_address: "1 Example Street; 1010 Auckland".to_owned(),
        portal_url: "http://localhost:3000".to_owned(),
        gateway_url: "http://localhost:8080".to_owned(),
        gateway_address: "127.0.0.1:8080".to_owned(),
        development: true,
        mail_is_sent: false,
        stripe_is_on: false,
        has_stripe_account: false,
        invoice_sink: app::state::InvoiceSink::default(),
        four_eyes: false,
        closing_grace: jiff::SignedDuration::from_mins(11),
        hooks_may_be_private: false,
    };
    AppState {
        store: store.handle(),
        secrets: Arc::new(Secrets::from_master([7; 32])),
        settings: Arc::new(settings),
        clock: Clock::default(),
        stripe: None,
        mint_try_credential: Arc::new(|_, _, _| String::new()),
    }
}

/// A served call of a partner.
pub fn event(partner: PartnerId, environment: Environment, units: u64, at: Timestamp) -> UsageEvent {
    UsageEvent {
        request_id: "req_1".to_owned(),
        environment,
        method: "GET".to_owned(),
        path: "/payments".to_owned(),
        units,
        bytes_out: 2,
        duration_us: 900,
        upstream_us: 800,
        ..UsageEvent::new(at, partner, AppId(Uuid::from_u128(1)), KeyId(Uuid::from_u128(2)))
    }
}

impl TestApp {
    pub async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// With other settings than most tests have.
    pub async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let store = store::test_db::store().await;
        let mut state = state(&store);
        let mut settings = (*state.settings).clone();
        change(&mut settings);
        state.settings = Arc::new(settings);
        Self { router: api::router(state.clone()), state, store }
    }

    /// A token of the partner, or of the provider where there is none.
    pub async fn token(&self, partner: Option<PartnerId>, scopes: &[Scope]) -> String {
        let NewKeyText { text, secret } = new_key_text(&self.state.secrets, KeyKind::Api);
        let new = NewApiToken {
            name: "test".to_owned(),
            hash: secret.hash,
            last_four: secret.last_four,
            scopes: scopes.iter().map(ToString::to_string).collect(),
            expires_at: None,
        };
        self.store.create_api_token(partner, &new, Actor::System, self.state.clock.now()).await.expect("a token");
        text.expose().to_owned()
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.send(Some(token), "GET", path, None).await
    }

    pub async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.send(Some(token), "POST", path, Some(body)).await
    }

    pub async fn send(&self, token: Option<&str>, method: &str, path: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        self.send_bytes(token, method, path, body).await
    }

    /// Under an Idempotency-Key.
    pub async fn post_once(&self, token: &str, path: &str, key: &str, body: Value) -> Answer {
        let request = Request::builder().method("POST").uri(path).header("idempotency-key", key);
        self.answer(Some(token), request, body.to_string().into_bytes()).await
    }

    /// A body that need not be JSON, sent as if it were.
    pub async fn send_bytes(&self, token: Option<&str>, method: &str, path: &str, body: Vec<u8>) -> Answer {
        self.answer(token, Request::builder().method(method).uri(path), body).await
    }

    async fn answer(&self, token: Option<&str>, mut request: Builder, body: Vec<u8>) -> Answer {
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.header("content-type", "application/json").body(Body::from(body)).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, text, bytes: bytes.to_vec() }
    }
}
