//! To the upstream and back to its answer's head. Bodies stream in both directions.

use crate::{
    accept::Core,
    meter::{Upload, UploadState},
    respond::Refusal,
    snapshot::Upstream,
    upstream::{Answer, AnswerBody, ExchangeError, SendFailed},
    websocket,
};
use domain::refusal::Code;
use http::{Method, Request, request};
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
) -> Result<Answer, Refusal> {
    let sent = timeout(upstream.timeout, exchange(core, upstream, request)).await;
    if upload.too_large.get() {
        let limit = core.shared.body_limit;
        return Err(Refusal::new(Code::BodyTooLarge, format!("A body is at most {limit} bytes long.")));
    }
    if upload.broken.get() {
        return Err(Refusal::new(Code::BadRequest, "The request's body broke off."));
    }
    match sent {
        Ok(Ok(Answer { head, body: AnswerBody::Switched(_) })) if !websocket::is_granted(&head.headers) => {
            Err(Refusal::new(Code::UpstreamUnreachable, "The API switched to a protocol that it was not asked for."))
        }
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            tracing::warn!(%error, upstream = ?upstream.host, "an upstream could not be reached");
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

async fn exchange(core: &Core, upstream: &Upstream, mut request: Request<Upload>) -> Result<Answer, ExchangeError> {
    let mut reuse = true;
    loop {
        let lease = core.pools.lease(&upstream.origin, reuse).await?;
        let reused = lease.reused;
        let failed = match lease.send(request).await {
            Ok(answer) => return Ok(answer),
            Err(failed) => failed,
        };
        let again = reused && may_repeat(&failed);
        let SendFailed { error, request: unsent, .. } = failed;
        request = match unsent {
            Some(unsent) if again => unsent,
            _ => return Err(error),
        };
        reuse = false;
    }
}

/// Whether sending the request again does no harm: nothing of it was written, or it is safe and nothing was answered.
fn may_repeat(failed: &SendFailed) -> bool {
    let safe = |request: &Request<Upload>| {
        let method = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        method && matches!(request.body(), Upload::Empty)
    };
    !failed.written || (!failed.answered && failed.request.as_ref().is_some_and(safe))
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
    head.extensions.clear();
    Ok(Request::from_parts(head, body))
}
