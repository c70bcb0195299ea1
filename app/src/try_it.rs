//! Sends a call that is tried from a reference page through the gateway, as one of the partner's keys.
//!
//! Key texts are not kept, so the call carries a signed credential of a few minutes that the gateway takes for that key.
//! Only operations that the partner may see can be tried, and only the gateway is ever called.

use crate::{
    api::try_it::{TriedCall, TryAnswer},
    components::highlighted,
    viewer::{Cx, MemberViewer},
};
use bytes::Bytes;
use domain::{id::KeyId, key_text::Environment, product::Operation};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use std::time::{Duration, Instant};
use tokio::{net::TcpStream, time::timeout};

const CREDENTIAL_LIFE: SignedDuration = SignedDuration::from_mins(2);
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of an answer that are read; the page shows as much.
const LARGEST_ANSWER: usize = 512 * 1024;

/// Bytes of JSON that are coloured; more of it stays plain, which is quicker to show.
const LARGEST_COLOURED: usize = 64 * 1024;

/// Headers that a tried call may not set: the portal or the connection sets them.
const RESERVED: [HeaderName; 8] = [
    header::AUTHORIZATION,
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::COOKIE,
];

/// Sends it; an error is a sentence for the person who tried.
pub async fn send(cx: &Cx<MemberViewer>, call: TriedCall) -> Result<TryAnswer, String> {
    let store = &cx.state.store;
    let unseen = || "This operation is not in your plan.".to_owned();
    let product = store.visible_product(cx.viewer.partner, &call.product).await.map_err(|_| unseen())?;
    let operation = product.operations.iter().find(|own| own.code == call.operation).filter(|_| product.is_open());
    let operation = operation.ok_or_else(unseen)?;
    let id: KeyId = call.key.parse().map_err(|_| "Choose a key.".to_owned())?;
    let key =
        store.key(cx.viewer.partner, id).await.map_err(|_| "This key no longer exists. Reload the page.".to_owned())?;
    let credential = (cx.state.mint_try_credential)(id, Some(cx.viewer.id), credential_end(cx));
    let target = target(&product.line.route, operation, &call.parameters)?;
    let request = request(cx, operation, &target, &call, &credential)?;
    let begin = Instant::now();
    let (head, body, cut) = timeout(PATIENCE, exchange(cx, request))
        .await
        .map_err(|_| "The gateway did not answer within a minute.".to_owned())?
        .ok_or_else(|| "The gateway could not be reached from the portal. Try again in a moment.".to_owned())?;
    let milliseconds = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(answer(head, &body, cut, milliseconds, key.environment))
}

/// The gateway's clock is the installation's, which a test clock may have moved.
fn credential_end(cx: &Cx<MemberViewer>) -> Timestamp {
    cx.now.checked_add(CREDENTIAL_LIFE).unwrap_or(cx.now)
}

fn target(route: &str, operation: &Operation, parameters: &[(String, String, String)]) -> Result<String, String> {
    let mut path = operation.path.clone();
    let mut query = Vec::new();
    for (place, name, value) in parameters {
        match place.as_str() {
            "path" => path = path.replace(&format!("{{{name}}}"), &encoded(value)),
            "query" => query.push(format!("{}={}", encoded(name), encoded(value))),
            _ => {}
        }
    }
    if let Some(missing) = path.split('{').nth(1).and_then(|rest| rest.split('}').next()) {
        return Err(format!("Fill in {missing}, which is part of the path."));
    }
    let question = if query.is_empty() { "" } else { "?" };
    Ok(format!("{route}{path}{question}{}", query.join("&")))
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

fn request(
    cx: &Cx<MemberViewer>,
    operation: &Operation,
    target: &str,
    call: &TriedCall,
    credential: &str,
) -> Result<Request<Full<Bytes>>, String> {
    let mut builder = Request::builder()
        .method(operation.method.as_str())
        .uri(target)
        .header(header::HOST, cx.state.settings.gateway_address.as_str())
        .header(header::AUTHORIZATION, format!("Bearer {credential}"))
        .header(header::ACCEPT, "application/json, */*;q=0.5");
    for (_, name, value) in call.parameters.iter().filter(|(place, ..)| place == "header") {
        let name: HeaderName = name.parse().map_err(|_| format!("{name} is not the name of a header."))?;
        let value: HeaderValue =
            value.parse().map_err(|_| format!("The value of {name} cannot be sent in a header."))?;
        if !RESERVED.contains(&name) && !name.as_str().starts_with("x-turnpike") {
            builder = builder.header(name, value);
        }
    }
    let body = match &call.body {
        Some(text) => {
            builder = builder.header(header::CONTENT_TYPE, call.content_type.as_str());
            Bytes::from(text.clone())
        }
        None => Bytes::new(),
    };
    builder.body(Full::new(body)).map_err(|_| "This call cannot be written as HTTP. Check the values.".to_owned())
}

type Head = (StatusCode, HeaderMap);

async fn exchange(cx: &Cx<MemberViewer>, request: Request<Full<Bytes>>) -> Option<(Head, Bytes, bool)> {
    let stream = TcpStream::connect(cx.state.settings.gateway_address.as_str()).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let running = tokio::spawn(connection);
    let response = sender.send_request(request).await.ok()?;
    let (parts, mut body) = response.into_parts();
    let mut read = Vec::new();
    let mut cut = false;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        let room = LARGEST_ANSWER - read.len();
        read.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
        if data.len() > room {
            cut = true;
            break;
        }
    }
    running.abort();
    Some(((parts.status, parts.headers), Bytes::from(read), cut))
}

fn answer((status, headers): Head, body: &Bytes, cut: bool, milliseconds: u64, environment: Environment) -> TryAnswer {
    let number =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<u64>().ok());
    let mut limits = Vec::new();
    if let (Some(left), Some(limit), Some(reset)) =
        (number("x-ratelimit-remaining"), number("x-ratelimit-limit"), number("x-ratelimit-reset"))
    {
        limits.push(format!("{left} of {limit} calls left; the window is whole again in {reset} s."));
    }
    if let Some(seconds) = number("retry-after") {
        limits.push(format!("Try again in {seconds} s."));
    }
    let text = String::from_utf8_lossy(body);
    let pretty = serde_json::from_str::<serde_json::Value>(&text)
        .ok()
        .and_then(|value| serde_json::to_string_pretty(&value).ok());
    TryAnswer {
        problem: None,
        status: status.as_u16(),
        reason: status.canonical_reason().unwrap_or_default().to_owned(),
        milliseconds,
        units: number("x-turnpike-units").unwrap_or(0),
        charged: environment == Environment::Live,
        headers: headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        limits,
        body: match pretty {
            Some(json) if json.len() <= LARGEST_COLOURED => highlighted("json", &json),
            Some(json) => highlighted("", &json),
            None => highlighted("", &text),
        },
        cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::OperationId;

    fn operation(path: &str) -> Operation {
        Operation {
            id: OperationId(uuid::Uuid::nil()),
            code: "get".to_owned(),
            method: "GET".to_owned(),
            path: path.to_owned(),
            summary: String::new(),
            weight: 1,
            deprecated: false,
            removed: false,
        }
    }

    #[test]
    fn a_value_cannot_leave_its_place_in_the_path() {
        let parameters = [("path".to_owned(), "id".to_owned(), "../../refunds?x=1#y".to_owned())];
        let target = target("/payments", &operation("/payments/{id}"), &parameters);
        assert_eq!(target.as_deref(), Ok("/payments/payments/..%2F..%2Frefunds%3Fx%3D1%23y"));
    }

    #[test]
    fn a_missing_path_value_is_told() {
        assert!(target("/payments", &operation("/payments/{id}"), &[]).is_err_and(|told| told.contains("id")));
    }
}
