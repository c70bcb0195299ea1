//! A browser without scripts: it keeps cookies and sends what browsers send.

use crate::portal::HOST;
use app::{flash::Flash, secrets::Secrets};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use http_body_util::BodyExt;
use std::{collections::BTreeMap, sync::Arc};
use tower::ServiceExt;

pub struct Browser {
    router: Router,
    secrets: Arc<Secrets>,
    pub cookies: BTreeMap<String, String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    /// What it leaves for the next page.
    pub flash: Flash,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a text"))
    }

    pub fn location(&self) -> &str {
        self.header("location")
    }

    /// The Set-Cookie line of that name.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let lines = self.headers.get_all(header::SET_COOKIE).iter().map(|line| line.to_str().expect("a text"));
        lines.into_iter().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
    }

    /// What the page's first hidden field of that name holds.
    pub fn hidden(&self, name: &str) -> String {
        let field = self.text.split(&format!("name=\"{name}\"")).nth(1);
        let field = field.unwrap_or_else(|| panic!("no {name}: {}", self.text));
        field.split("value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a value").to_owned()
    }

    /// All that went wrong with a form, in one text.
    pub fn problems(&self) -> String {
        self.flash.problems.iter().map(|(field, message)| format!("{field}: {message}\n")).collect()
    }
}

impl Browser {
    pub fn new(router: Router, secrets: Arc<Secrets>) -> Self {
        Self { router, secrets, cookies: BTreeMap::new() }
    }

    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    pub fn session(&self) -> &str {
        self.cookies.get("__Host-session").map_or("", String::as_str)
    }

    /// Opens a page by its address.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, &[("sec-fetch-site", "none")], String::new()).await
    }

    /// Sends a form of ours.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let origin = format!("http://{HOST}");
        let headers = [("origin", origin.as_str()), ("sec-fetch-site", "same-origin")];
        self.post_from(path, &headers, fields).await
    }

    /// Sends a form with these headers, from wherever.
    pub async fn post_from(&mut self, path: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Answer {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/x-www-form-urlencoded"));
        self.send(Method::POST, path, &headers, encoded(fields)).await
    }

    /// Sends JSON, as a script of ours does.
    pub async fn post_json(&mut self, path: &str, body: &serde_json::Value) -> Answer {
        let headers =
            [("sec-fetch-site", "same-origin"), ("content-type", "application/json"), ("accept", "application/json")];
        self.send(Method::POST, path, &headers, body.to_string()).await
    }

    pub async fn send(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, HOST);
        if headers.iter().all(|(name, _)| *name != "accept") {
            request = request.header(header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, pairs.join("; "));
        }
        let request = request.body(Body::from(body)).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let mut flash = Flash::default();
        for line in parts.headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().expect("a text");
            let (name, value) = line.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.set_cookie(name, value);
            }
            if name == app::flash::COOKIE {
                flash = Flash::from_cookie(value, &self.secrets, jiff::Timestamp::now()).unwrap_or_default();
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, text, flash }
    }
}

/// As browsers write a form's fields.
pub fn encoded(fields: &[(&str, &str)]) -> String {
    let escape = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        text.bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect()
    };
    fields.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect::<Vec<_>>().join("&")
}
