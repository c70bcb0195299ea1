//! What came of a request that took its key: kept, released, or known to be unknown, before the client hears of it.

use super::{Held, kept::Kept};
use crate::{
    accept::{Connection, Core},
    meter::{Broken, Frames, Reply},
    ports::{Attempt, IdempotencyStore},
    request_id::X_REQUEST_ID,
    respond::Refusal,
};
use bytes::{Bytes, BytesMut};
use domain::{idempotency::Unknown, policy::Idempotency, refusal::Code};
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE, response};
use http_body::Body;
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::Arc,
};

/// Marks a response that we wrote ourselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ours {
    pub code: Code,
    /// Whether the upstream may have been sent a byte of the request.
    pub sent: bool,
}

/// What became of an answer's body.
enum Collected {
    Whole(Bytes, Option<HeaderMap>),
    /// What was read of it.
    TooLong(Bytes),
    Broken(Broken),
}

/// Carries the call out and ends the attempt. The client's connection is told about an answer that flows on.
pub(super) async fn keep(
    core: &Rc<Core>,
    client: &Rc<Connection>,
    store: &Arc<dyn IdempotencyStore>,
    attempt: &Arc<Attempt>,
    rule: Idempotency,
    call: impl Future<Output = Response<Reply>>,
) -> Response<Reply> {
    let response = call.await;
    if let Some(ours) = response.extensions().get::<Ours>().copied() {
        match ours {
            Ours { sent: false, .. } => store.release(attempt).await,
            Ours { code: Code::MeteringUnavailable, .. } => store.give_up(attempt, Unknown::Unrecorded).await,
            Ours { .. } => store.give_up(attempt, Unknown::NoAnswer).await,
        }
        return response;
    }
    let (mut head, mut body) = response.into_parts();
    let mut held = Held::new(core.clone());
    let collected = if is_stream(&head) {
        Collected::TooLong(Bytes::new())
    } else {
        collect(&mut body, rule.max_body_bytes as usize, &mut held).await
    };
    match collected {
        Collected::Whole(body, trailers) => {
            let kept = Kept::new(&head, body, trailers);
            if let Err(error) = store.keep(attempt, kept.encode()).await {
                // The client may know what came of its request; a retry is told that nobody else does.
                tracing::error!(%error, "an answer is passed on and could not be kept");
            }
            let trailers = Some(kept.trailers).filter(|trailers| !trailers.is_empty());
            head.headers.remove(http::header::TRAILER);
            Response::from_parts(head, Reply::Frames(Box::new(Frames::whole(kept.body, trailers))))
        }
        Collected::TooLong(start) => {
            store.give_up(attempt, Unknown::TooLong).await;
            let Reply::Streaming(mut rest) = body else { return Response::from_parts(head, Reply::Whole(start)) };
            rest.flow_to(client.clone());
            Response::from_parts(head, Reply::Frames(Box::new(Frames::then(start, rest))))
        }
        Collected::Broken(broken) => {
            let (reason, code) = match broken {
                Broken::Unrecorded(_) => (Unknown::Unrecorded, Code::MeteringUnavailable),
                _ => (Unknown::NoAnswer, Code::UpstreamUnreachable),
            };
            tracing::warn!(error = %broken, "the answer to a request with an Idempotency-Key is withheld");
            store.give_up(attempt, reason).await;
            refuse(core, attempt, Refusal::of(code))
        }
    }
}

/// The call had more time than any may have, and was broken off.
pub(super) async fn took_too_long(
    core: &Rc<Core>,
    store: &Arc<dyn IdempotencyStore>,
    attempt: &Arc<Attempt>,
) -> Response<Reply> {
    store.give_up(attempt, Unknown::NoAnswer).await;
    refuse(core, attempt, Refusal::of(Code::UpstreamTimeout))
}

/// Says no after the call was recorded.
fn refuse(core: &Rc<Core>, attempt: &Attempt, refusal: Refusal) -> Response<Reply> {
    core.shared.metrics.count_refusal(refusal.code);
    let mut response = refusal.answer(&core.shared.portal_url, &attempt.request_id);
    if let Ok(id) = HeaderValue::from_str(&attempt.request_id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response
}

/// Whether the answer is an endless one by its own word.
fn is_stream(head: &response::Parts) -> bool {
    let of_events = |value: &http::HeaderValue| value.as_bytes().to_ascii_lowercase().starts_with(b"text/event-stream");
    head.status == http::StatusCode::SWITCHING_PROTOCOLS || head.headers.get(CONTENT_TYPE).is_some_and(of_events)
}

async fn collect(body: &mut Reply, most: usize, held: &mut Held) -> Collected {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > most {
        return Collected::TooLong(Bytes::new());
    }
    let mut whole = BytesMut::with_capacity(announced);
    let mut trailers = None;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(broken) => return Collected::Broken(broken),
        };
        match frame.into_data() {
            Ok(data) => {
                let fits = whole.len() + data.len() <= most && held.take(data.len());
                whole.extend_from_slice(&data);
                if !fits {
                    return Collected::TooLong(whole.freeze());
                }
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Collected::Whole(whole.freeze(), trailers)
}
