//! To the upstream and back to its answer's head. Bodies stream in both directions.

use crate::{
    accept::Core,
    meter::{Upload, UploadState},
    pool::Lease,
    respond::Refusal,
    snapshot::Upstream,
};
use domain::refusal::Code;
use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_LENGTH, request};
use http_body::Body;
use hyper::body::Incoming;
use std::rc::Rc;
use tokio::time::timeout;

/// Sends the request and waits for the answer's head, for at most the product's time.
///
/// A request that found a pooled connection closed is sent once more, on a new connection: if it was not written at all, or
/// if it has no body and its method is safe, so that sending it twice does no harm.
pub(crate) async fn send(
    core: &Core,
    upstream: &Upstream,
    request: Request<Upload>,
    upload: &Rc<UploadState>,
) -> Result<(Response<Incoming>, Lease), Refusal> {
    let sent = timeout(upstream.timeout, exchange(core, upstream, request)).await;
    if upload.too_large.get() {
        let limit = core.shared.body_limit;
        return Err(Refusal::new(Code::BodyTooLarge, format!("A body is at most {limit} bytes long.")));
    }
    if upload.broken.get() {
        return Err(Refusal::new(Code::BadRequest, "The request's body broke off."));
    }
    match sent {
        Ok(Ok((response, _))) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            Err(Refusal::new(Code::UpstreamUnreachable, "The API switched protocols without being asked to."))
        }
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            tracing::warn!(error, upstream = ?upstream.host, "an upstream could not be reached");
            Err(Refusal::of(Code::UpstreamUnreachable))
        }
        Err(_) if !upload.ended.get() => Err(Refusal::new(
            Code::BadRequest,
            "The request's body did not arrive in the time that the product allows.",
        )),
        Err(_) => {
            let limit = upstream.timeout.as_millis();
            Err(Refusal::new(Code::UpstreamTimeout, format!("The API did not begin its answer within {limit} ms.")))
        }
    }
}

async fn exchange(
    core: &Core,
    upstream: &Upstream,
    mut request: Request<Upload>,
) -> Result<(Response<Incoming>, Lease), String> {
    let mut reuse = true;
    loop {
        let lease = core.pools.lease(&upstream.origin, reuse).await;
        let mut lease = lease.map_err(|error| error.to_string())?;
        let spare = if lease.reused { spare(&request) } else { None };
        let mut error = match lease.sender.try_send_request(request).await {
            Ok(response) => return Ok((response, lease)),
            Err(error) => error,
        };
        let unsent = error.take_message();
        let error = error.into_error();
        request = match unsent.or(spare.filter(|_| !error.is_user() && !error.is_parse())) {
            Some(again) if lease.reused => again,
            _ => return Err(error.to_string()),
        };
        reuse = false;
    }
}

/// The same request again, where sending it twice is safe.
fn spare(request: &Request<Upload>) -> Option<Request<Upload>> {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe || !request.body().is_end_stream() {
        return None;
    }
    let mut again = Request::new(Upload::Empty);
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    Some(again)
}

/// The upstream's request from the client's: another target, the same method, headers and body.
pub(crate) fn readdress(
    mut head: request::Parts,
    upstream: &Upstream,
    path_below: &str,
    body: Upload,
) -> Result<Request<Upload>, Refusal> {
    let query = head.uri.query();
    let mut target = String::with_capacity(upstream.base_path.len() + path_below.len() + query.map_or(0, str::len) + 1);
    target.push_str(&upstream.base_path);
    target.push_str(path_below);
    if let Some(query) = query {
        target.push('?');
        target.push_str(query);
    }
    head.uri = http::Uri::from_maybe_shared(bytes::Bytes::from(target)).map_err(|_| Refusal::of(Code::BadRequest))?;
    head.version = http::Version::HTTP_11;
    // hyper says nothing of an empty body, and some upstreams want to hear that it is empty.
    if body.is_end_stream() && matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    head.extensions.clear();
    Ok(Request::from_parts(head, body))
}
