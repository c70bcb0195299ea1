//! A request made ready: credentials taken out, the body as it goes over the wire.

use super::{
    literal::json,
    request::{Request, encoded},
};
use serde_json::Value;

/// Header names that carry a credential; the sample puts its own.
const CREDENTIALS: [&str; 2] = ["authorization", "x-api-key"];

/// What every language's sample is written from.
pub struct Prepared<'a> {
    pub method: String,
    pub url: &'a str,
    pub headers: Vec<(String, String)>,
    pub body: Body<'a>,
}

/// What goes over the wire.
pub enum Body<'a> {
    None,
    Json(&'a Value),
    Text(String),
}

impl<'a> Prepared<'a> {
    pub fn new(request: &'a Request) -> Self {
        let mut headers: Vec<(String, String)> = request
            .headers
            .iter()
            .filter(|(name, _)| is_token(name) && !CREDENTIALS.contains(&name.to_ascii_lowercase().as_str()))
            .map(|(name, value)| (name.clone(), value.chars().filter(|letter| !letter.is_control()).collect()))
            .collect();
        let content_type = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let content_type = content_type.map(|(_, value)| value.to_ascii_lowercase());
        if content_type.is_none() && request.body.is_some() {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        let essence =
            content_type.as_deref().unwrap_or("application/json").split(';').next().unwrap_or_default().trim();
        let is_json = essence == "application/json" || essence.ends_with("+json");
        let body = match &request.body {
            None => Body::None,
            Some(value) if is_json => Body::Json(value),
            Some(Value::String(text)) => Body::Text(text.clone()),
            Some(Value::Object(fields)) if essence == "application/x-www-form-urlencoded" => {
                let pairs = fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(&plain(value))));
                Body::Text(pairs.collect::<Vec<_>>().join("&"))
            }
            Some(value) => Body::Text(value.to_string()),
        };
        let letters = |letter: &char| letter.is_ascii_alphabetic() || *letter == '-';
        Self { method: request.method.chars().filter(letters).collect(), url: &request.url, headers, body }
    }
}

impl Body<'_> {
    /// The text that is sent; JSON is indented.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Json(value) => Some(json(value)),
            Self::Text(text) => Some(text.clone()),
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// RFC 9110 token: what a header's name may be.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
