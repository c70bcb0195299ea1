//! To the upstream and back to its answer's head. Bodies stream in both directions.
//!
//! A call is tried on one target after another for as long as that does no harm: nothing of it was written, or it is safe,
//! has no body and nothing of an answer came; and only within the product's attempts and its budget. All attempts together
//! have the product's time for the answer's head.

use crate::{
    accept::Core,
    headers::Outward,
    meter::{Upload, UploadState},
    respond::Refusal,
    snapshot::{Operation, Target, Upstream},
    upstream::{
        Answer, AnswerBody, ExchangeError, Failure, LiveUpstream, Manner, SendFailed, Sent, Stage, Tried, Written,
        balance, report,
    },
    websocket,
};
use domain::{policy::IdempotencyKey, refusal::Code};
use http::{Method, Request, Uri, header::HOST, request};
use metrics::counter;
use std::{
    cell::Cell,
    pin::pin,
    rc::Rc,
    time::{Duration, Instant},
};

/// One call on its way.
pub(crate) struct Journey<'a> {
    pub core: &'a Core,
    pub upstream: &'a Upstream,
    pub operation: &'a Operation,
    /// The path below a target's base path, as it was matched.
    pub path_below: &'a str,
    pub upload: &'a Rc<UploadState>,
    pub arrived: Instant,
    /// When it was sent on its way; the wait for the head counts from here.
    pub began: Instant,
    /// Says who calls, over the address that the request has by then.
    pub tell: &'a dyn Fn(&mut Request<Upload>),
    /// What is sent in place of the request's header map and address.
    pub outward: Option<&'a Outward<'a>>,
    /// As in [`Manner`].
    pub as_lines: Option<bool>,
}

/// An attempt that brought no answer.
struct Failed {
    failure: Option<Failure>,
    error: String,
    /// The request, where sending it again does no harm.
    again: Option<Box<Request<Upload>>>,
}

/// Whether some target can take a call now; asked before anything is spent on it.
///
/// # Errors
/// All of them are left alone for a while.
pub(crate) fn check(core: &Core, upstream: Option<&Upstream>) -> Result<(), Refusal> {
    let Some(upstream) = upstream else { return Ok(()) };
    let live = upstream.live(&core.shared);
    match live.targets.iter().any(|target| target.is_well()) {
        true => Ok(()),
        false => balance::check(live, &upstream.breaker, core.shared.millis()).map_err(unavailable),
    }
}

/// Sends the request and waits for the answer's head.
pub(crate) async fn send(journey: &Journey<'_>, request: Box<Request<Upload>>) -> Result<(Answer, Sent), Refusal> {
    let Journey { core, upstream, upload, .. } = *journey;
    let live = upstream.live(&core.shared);
    let at = Cell::new(None);
    let limit = journey.time_for_head();
    let sent = core.alarms.within(journey.began, limit, pin!(attempts(journey, live, request, &at))).await;
    if upload.too_large.get() {
        let limit = core.shared.body_limit;
        return Err(Refusal::new(Code::BodyTooLarge, format!("A body is at most {limit} bytes long.")));
    }
    if upload.broken.get() {
        return Err(Refusal::new(Code::BadRequest, "The request's body broke off."));
    }
    match (sent, at.get()) {
        (Ok(Ok(Answer { head, body: AnswerBody::Switched(_), .. })), _) if !websocket::is_granted(&head.headers) => {
            Err(Refusal::new(Code::UpstreamUnreachable, "The API switched to a protocol that it was not asked for."))
        }
        (Ok(Ok(answer)), target) => Ok((answer, Sent::to(target.unwrap_or(0)))),
        (Ok(Err(refusal)), _) => Err(refusal),
        (Err(_), _) if !upload.ended.get() => Err(Refusal::new(
            Code::BadRequest,
            "The request's body did not arrive in the time that the product allows.",
        )),
        (Err(_), target) => {
            let limit = limit.as_millis();
            if let Some(target) = target {
                let error = format_args!("no head within {limit} ms");
                report::fail(core, upstream, target, Failure::HeadTimeout, Stage::Head, &error);
            }
            Err(Refusal::new(Code::UpstreamTimeout, format!("The API did not begin its answer within {limit} ms.")))
        }
    }
}

impl Journey<'_> {
    /// The wait for the head, which ends with the whole call's time at the latest.
    fn time_for_head(&self) -> Duration {
        match self.operation.total.or(self.upstream.total) {
            None => self.upstream.timeout,
            Some(total) => self.upstream.timeout.min(total.saturating_sub(self.arrived.elapsed())),
        }
    }

    /// Whether the operation must not be repeated once a byte of it was written.
    fn is_careful(&self) -> bool {
        self.operation.idempotency_key != IdempotencyKey::Ignored
    }
}

async fn attempts(
    journey: &Journey<'_>,
    live: &LiveUpstream,
    mut request: Box<Request<Upload>>,
    at: &Cell<Option<usize>>,
) -> Result<Answer, Refusal> {
    let Journey { core, upstream, .. } = *journey;
    let budget = live.on_core(core.index).map(|own| &own.budget).filter(|_| upstream.retry.attempts > 0);
    if let Some(budget) = budget {
        budget.count_call(core.second());
    }
    let (mut tried, mut left) = (Tried::default(), upstream.retry.attempts);
    let mut last = None;
    loop {
        let now = || core.shared.millis();
        let index = match balance::choose(live, &upstream.weights, &upstream.breaker, core.index, tried, now) {
            Ok(index) => index,
            Err(nobody) => return Err(last.unwrap_or_else(|| unavailable(nobody))),
        };
        let target = &upstream.targets[index];
        if at.replace(Some(index)).unwrap_or(0) != index && journey.outward.is_none() {
            request.headers_mut().insert(HOST, target.host.clone());
            *request.uri_mut() = address(target, journey.path_below, request.uri())?;
            (journey.tell)(&mut request);
        }
        tried.add(index);
        let failed = match exchange(journey, target, request).await {
            Ok(answer) => {
                report::head(core, upstream, index, answer.head.status);
                return Ok(answer);
            }
            Err(failed) => failed,
        };
        let Some(failure) = failed.failure else { return Err(Refusal::of(Code::BadRequest)) };
        report::fail(core, upstream, index, failure, Stage::Head, &failed.error);
        let refusal = Refusal::of(match failure {
            Failure::OutOfDescriptors => Code::Overloaded,
            _ => Code::UpstreamUnreachable,
        });
        let budget = budget.filter(|_| left > 0);
        request = match (failed.again, budget) {
            (Some(again), Some(budget)) if budget.take(core.second(), upstream.retry.budget_percent) => again,
            _ => return Err(refusal),
        };
        counter!("turnpike_gateway_upstream_retries_total", "product" => upstream.code.clone()).increment(1);
        left -= 1;
        last = Some(refusal);
    }
}

/// One attempt on one target. A request that found a pooled connection closed is sent once more on a new one, which is no
/// retry: the upstream had every right to close it.
async fn exchange(journey: &Journey<'_>, target: &Target, mut request: Box<Request<Upload>>) -> Result<Answer, Failed> {
    let mut reuse = true;
    loop {
        let lease = match journey.core.pools.lease(&target.origin, reuse).await {
            Ok(lease) => lease,
            Err(error) => {
                let (failure, error) = (Some(Failure::of(&error)), error.to_string());
                return Err(Failed { failure, error, again: Some(request) });
            }
        };
        let reused = lease.reused;
        let sent_before = journey.upload.sent.replace(true);
        let written = journey.outward.map(|outward| Written { outward, target, path_below: journey.path_below });
        let manner = Manner { written, as_lines: journey.as_lines };
        let failed = match lease.send(request, manner, &|interim| journey.upload.connection.inform(interim)).await {
            Ok(answer) => return Ok(answer),
            Err(failed) => failed,
        };
        journey.upload.sent.set(sent_before || failed.written);
        let repeatable = may_repeat(&failed, journey.is_careful());
        let SendFailed { error, request: unsent, .. } = failed;
        let again = unsent.filter(|_| repeatable);
        request = match again {
            Some(again) if reused => again,
            again => {
                let failure = match &error {
                    ExchangeError::Io(error) => Some(Failure::of(error)),
                    ExchangeError::Closed | ExchangeError::Http2(_) => Some(Failure::Closed),
                    ExchangeError::Malformed(_) => Some(Failure::Malformed),
                    ExchangeError::Upload => None,
                };
                return Err(Failed { failure, error: error.to_string(), again });
            }
        };
        reuse = false;
    }
}

/// Whether sending the request again does no harm: nothing of it was written, or it is safe and nothing was answered.
fn may_repeat(failed: &SendFailed, careful: bool) -> bool {
    let safe = |request: &Request<Upload>| {
        let method = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        method && matches!(request.body(), Upload::Empty)
    };
    !failed.written || (!careful && !failed.answered && failed.request.as_deref().is_some_and(safe))
}

/// The first target's request from the client's: another address, the same method, headers and body.
pub(crate) fn readdress(
    mut head: request::Parts,
    upstream: &Upstream,
    path_below: &str,
    body: Upload,
) -> Result<Box<Request<Upload>>, Refusal> {
    head.uri = address(&upstream.targets[0], path_below, &head.uri)?;
    head.version = http::Version::HTTP_11;
    head.extensions.clear();
    Ok(Box::new(Request::from_parts(head, body)))
}

/// The target's base path, the path below it, and the query of the address before.
fn address(target: &Target, path_below: &str, before: &Uri) -> Result<Uri, Refusal> {
    let query = before.query();
    let bytes = target.base_path.len() + path_below.len() + query.map_or(0, str::len) + 1;
    let mut address = String::with_capacity(bytes);
    address.push_str(&target.base_path);
    address.push_str(path_below);
    if let Some(query) = query {
        address.push('?');
        address.push_str(query);
    }
    Uri::from_maybe_shared(bytes::Bytes::from(address)).map_err(|_| Refusal::of(Code::BadRequest))
}

fn unavailable(nobody: balance::NoTarget) -> Refusal {
    Refusal::of(Code::UpstreamUnavailable).retry_after(nobody.retry_after)
}
