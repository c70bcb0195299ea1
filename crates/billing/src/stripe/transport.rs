//! Requests to Stripe over pooled connections, with a deadline, and answers of bounded size.

use super::{API_VERSION, connect::Connector, error::StripeError, form};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    fmt,
    time::{Duration, Instant},
};

const STRIPE: &str = "https://api.stripe.com";
const STREAM: &str = "https://meter-events.stripe.com";

/// No answer of ours is near this size.
const LARGEST_ANSWER: usize = 8 << 20;

/// Between a failure that may pass and the next try, three times as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_millis(900);

/// An API key of Stripe's. It prints masked.
#[derive(Clone)]
pub struct SecretKey(String);

/// Where Stripe is and who we are.
#[derive(Debug, Clone)]
pub struct StripeSettings {
    pub key: SecretKey,
    /// `https://api.stripe.com`, or a stand-in's address.
    pub base_url: String,
    /// From the request's first byte to the answer's last. No request is tried again after it.
    pub timeout: Duration,
}

/// A handle on one Stripe account. Cheap to clone.
#[derive(Clone)]
pub struct Stripe {
    client: Client<Connector, Full<Bytes>>,
    base_url: String,
    authorization: HeaderValue,
    key: SecretKey,
    timeout: Duration,
    computes_tax: bool,
}

impl SecretKey {
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// Whether real money may move: the key begins with neither `sk_test_` nor `rk_test_`.
    pub fn is_live(&self) -> bool {
        !["sk_test_", "rk_test_"].iter().any(|test| self.0.starts_with(test))
    }
}

/// A request as it is sent, and sent again.
pub(super) struct Outgoing<'a> {
    pub method: Method,
    pub url: String,
    pub authorization: HeaderValue,
    pub body: Body,
    /// Idempotency key.
    pub key: Option<&'a str>,
}

/// What it carries: a form for version 1 of the API, JSON for version 2.
pub(super) enum Body {
    Form(String),
    Json(String),
}

impl Outgoing<'_> {
    fn request(&self) -> Result<Request<Full<Bytes>>, StripeError> {
        let (content_type, body) = match &self.body {
            Body::Form(body) => ("application/x-www-form-urlencoded", body),
            Body::Json(body) => ("application/json", body),
        };
        let mut request = Request::builder()
            .method(&self.method)
            .uri(&self.url)
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::CONTENT_TYPE, content_type)
            .header(header::USER_AGENT, concat!("turnpike/", env!("CARGO_PKG_VERSION")))
            .header("stripe-version", API_VERSION);
        if let Some(key) = self.key {
            request = request.header("idempotency-key", key);
        }
        request
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .map_err(|_| StripeError::Settings("the request could not be written".to_owned()))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

impl StripeSettings {
    /// Stripe itself, with the usual deadline.
    pub fn new(key: SecretKey) -> Self {
        Self { key, base_url: STRIPE.to_owned(), timeout: Duration::from_secs(30) }
    }
}

impl Stripe {
    /// Checks the settings; opens no connection yet.
    pub fn new(settings: StripeSettings) -> Result<Self, StripeError> {
        let StripeSettings { key, base_url, timeout } = settings;
        let base_url = base_url.trim_end_matches('/').to_owned();
        let uri: Uri =
            base_url.parse().map_err(|_| StripeError::Settings("Stripe's address is not a URL".to_owned()))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(StripeError::Settings("Stripe's address starts with https:// or http://".to_owned()));
        }
        if uri.scheme_str() == Some("http") && key.is_live() {
            return Err(StripeError::Settings("A live Stripe key is only sent over https://".to_owned()));
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", key.0))
            .map_err(|_| StripeError::Settings("The Stripe key holds characters that no key has".to_owned()))?;
        authorization.set_sensitive(true);
        let connector = Connector::new().map_err(|error| StripeError::Settings(error.to_string()))?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(8)
            .build(connector);
        Ok(Self { client, base_url, authorization, key, timeout, computes_tax: false })
    }

    /// The same account, of which Stripe Tax computes the taxes, or does not.
    #[must_use]
    pub fn with_tax(self, computes_tax: bool) -> Self {
        Self { computes_tax, ..self }
    }

    /// Whether Stripe Tax computes the taxes on what is new there.
    pub const fn computes_tax(&self) -> bool {
        self.computes_tax
    }

    /// Whether real money moves.
    pub fn is_live(&self) -> bool {
        self.key.is_live()
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, StripeError> {
        let query = form::encode(query.iter().copied());
        let path = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        self.send(self.outgoing(Method::GET, &path, String::new(), None)).await
    }

    /// `idempotency_key` is left out where doing it twice is the same as once.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(String, String)],
        idempotency_key: Option<&str>,
    ) -> Result<T, StripeError> {
        let body = form::encode(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        self.send(self.outgoing(Method::POST, path, body, idempotency_key)).await
    }

    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, StripeError> {
        self.send(self.outgoing(Method::DELETE, path, String::new(), None)).await
    }

    fn outgoing<'a>(&self, method: Method, path: &str, form: String, key: Option<&'a str>) -> Outgoing<'a> {
        Outgoing { method, url: self.url(path), authorization: self.authorization(), body: Body::Form(form), key }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// Where the stream of meter events is: Stripe has a host of its own for it.
    pub(super) fn stream_url(&self, path: &str) -> String {
        let base = if self.base_url == STRIPE { STREAM } else { &self.base_url };
        format!("{base}{path}")
    }

    pub(super) fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }

    /// What may get through by itself is tried a few times, under the same key. Without a key only requests are sent of which two are
    /// as good as one.
    pub(super) async fn send<T: DeserializeOwned>(&self, outgoing: Outgoing<'_>) -> Result<T, StripeError> {
        let begin = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let request = outgoing.request()?;
            let answer = match tokio::time::timeout(self.timeout, self.exchange(request)).await {
                Ok(answer) => answer.map_err(|error| self.without_key(error)),
                Err(_) => Err(StripeError::Unreachable(format!("no answer within {} s", self.timeout.as_secs_f32()))),
            };
            match answer {
                // What a key has failed with once it fails with again.
                Err(error)
                    if error.is_passing()
                        && !error.is_remembered_failure()
                        && !error.is_other_request()
                        && pause <= LAST_PAUSE
                        && begin.elapsed() + pause < self.timeout =>
                {
                    tokio::time::sleep(pause).await;
                    pause *= 3;
                }
                answer => return answer,
            }
        }
    }

    async fn exchange<T: DeserializeOwned>(&self, request: Request<Full<Bytes>>) -> Result<T, StripeError> {
        let answer = self.client.request(request).await.map_err(|error| StripeError::Unreachable(causes(&error)))?;
        let status = answer.status().as_u16();
        let replayed = answer.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER)
            .collect()
            .await
            .map_err(|error| StripeError::Unreachable(error.to_string()))?
            .to_bytes();
        if (200..300).contains(&status) {
            return serde_json::from_slice(&body).map_err(|error| StripeError::Unreadable(error.to_string()));
        }
        let Envelope { error } = serde_json::from_slice(&body).unwrap_or_default();
        let message = error.message.unwrap_or_else(|| "no explanation".to_owned());
        let (kind, code) = (error.kind.unwrap_or_default(), error.code.unwrap_or_default());
        Err(StripeError::Refused { status, kind, code, message, replayed })
    }

    /// Stripe masks keys in its messages; should anything between us not, the key still stays out of logs.
    fn without_key(&self, error: StripeError) -> StripeError {
        let clean = |text: String| if self.key.0.is_empty() { text } else { text.replace(&self.key.0, "…") };
        match error {
            StripeError::Refused { status, kind, code, message, replayed } => {
                StripeError::Refused { status, kind: clean(kind), code: clean(code), message: clean(message), replayed }
            }
            StripeError::Unreachable(text) => StripeError::Unreachable(clean(text)),
            StripeError::Unreadable(text) => StripeError::Unreadable(clean(text)),
            other @ StripeError::Settings(_) => other,
        }
    }
}

#[derive(Deserialize, Default)]
struct Envelope {
    error: Reason,
}

#[derive(Deserialize, Default)]
struct Reason {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    message: Option<String>,
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(key: &str, base_url: &str) -> Result<Stripe, StripeError> {
        let settings = StripeSettings { base_url: base_url.to_owned(), ..StripeSettings::new(SecretKey::new(key)) };
        Stripe::new(settings)
    }

    #[test]
    fn a_live_key_never_leaves_in_the_clear() {
        assert!(client("sk_live_1", "https://api.stripe.com").is_ok());
        assert!(client("sk_test_1", "http://127.0.0.1:12111").is_ok());
        for key in ["sk_live_1", "rk_live_1", "something"] {
            assert!(matches!(client(key, "http://127.0.0.1:12111"), Err(StripeError::Settings(_))), "{key}");
        }
        assert!(client("sk_test_1", "ftp://stripe").is_err() && client("sk_test_1", "stripe").is_err());
        assert!(client("sk_test_\n", "https://api.stripe.com").is_err());
    }

    #[test]
    fn the_key_is_taken_out_of_whatever_goes_wrong() {
        let stripe = client("sk_test_secret", "http://127.0.0.1:1").expect("settings");
        let error = stripe.without_key(StripeError::Unreachable("bad key sk_test_secret".to_owned()));
        assert!(!error.to_string().contains("secret"));
        assert!(!format!("{:?}", StripeSettings::new(SecretKey::new("sk_test_secret"))).contains("secret"));
    }
}
