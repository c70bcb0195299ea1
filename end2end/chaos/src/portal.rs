//! The portal as people and programs have it: a browser that keeps its cookies, and a token of the REST API.

use crate::Trouble;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::time::Duration;
use tokio::{net::TcpStream, time::timeout};

/// The longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(120);

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Where a browser would go next.
    pub location: String,
    pub text: String,
    cookies: Vec<(String, String)>,
}

/// Somebody at the portal.
pub struct Browser {
    port: u16,
    cookies: Vec<(String, String)>,
}

impl Browser {
    pub const fn new(port: u16) -> Self {
        Self { port, cookies: Vec::new() }
    }

    /// The page at that address, which has to be there.
    pub async fn page(&mut self, path: &str) -> Result<String, Trouble> {
        let answer = self.ask("GET", path, "").await?;
        match answer.status {
            200 => Ok(answer.text),
            other => Err(format!("{path}: {other}, to {:?}", answer.location).into()),
        }
    }

    /// Sends a form, and says where it leads.
    pub async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<String, Trouble> {
        let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let answer = self.ask("POST", path, &pairs.join("&")).await?;
        match answer.status {
            303 => Ok(answer.location),
            other => Err(format!("{path}: {other}").into()),
        }
    }

    /// Any request, with a form where it is one.
    pub async fn ask(&mut self, method: &str, path: &str, form: &str) -> Result<Answer, Trouble> {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (origin, cookies) = (format!("http://localhost:{}", self.port), pairs.join("; "));
        let headers = [
            ("accept", "text/html"),
            ("origin", &origin),
            ("sec-fetch-site", "same-origin"),
            ("content-type", FORM),
            ("cookie", &cookies),
        ];
        let answer = exchange(self.port, (method, path), &headers, form.to_owned()).await?;
        for (cookie, value) in &answer.cookies {
            self.cookies.retain(|(known, _)| known != cookie);
            self.cookies.push((cookie.clone(), value.clone()));
        }
        Ok(answer)
    }
}

/// A program with a token.
#[derive(Clone)]
pub struct Rest {
    pub port: u16,
    pub token: String,
}

impl Rest {
    /// What is at that address, as text.
    pub async fn text(&self, path: &str) -> Result<String, Trouble> {
        self.ask("GET", path, (JSON, String::new())).await
    }

    /// The same, as JSON.
    pub async fn json(&self, path: &str) -> Result<Value, Trouble> {
        Ok(serde_json::from_str(&self.text(path).await?)?)
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Trouble> {
        Ok(serde_json::from_str(&self.ask("POST", path, (JSON, body.to_string())).await?)?)
    }

    /// The same with a form, as Stripe's API takes it.
    pub async fn form(&self, path: &str, form: &str) -> Result<Value, Trouble> {
        Ok(serde_json::from_str(&self.ask("POST", path, (FORM, form.to_owned())).await?)?)
    }

    async fn ask(&self, method: &str, path: &str, (kind, body): (&str, String)) -> Result<String, Trouble> {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str()), ("content-type", kind)];
        let answer = exchange(self.port, (method, path), &headers, body).await?;
        match answer.status {
            200..300 => Ok(answer.text),
            status => Err(format!("{method} {path}: {status} {}", answer.text).into()),
        }
    }
}

async fn exchange(
    port: u16,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: String,
) -> Result<Answer, Trouble> {
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, format!("localhost:{port}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::<Bytes>::from(body))?;
    let ask = async {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await?.into_parts();
        let text = String::from_utf8_lossy(&body.collect().await?.to_bytes()).into_owned();
        let named = |name| head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let cookies = named(header::SET_COOKIE)
            .filter_map(|value| value.split(';').next()?.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let location = named(header::LOCATION).next().unwrap_or_default().to_owned();
        Ok::<_, Trouble>(Answer { status: head.status.as_u16(), location, text, cookies })
    };
    timeout(PATIENCE, ask).await?
}

/// For a form's value.
pub fn encoded(text: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| if unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}
