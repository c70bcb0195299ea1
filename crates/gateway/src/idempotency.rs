//! Requests with an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07), on operations that the product marks.
//!
//! The same key never reaches the upstream twice: the key is taken in a store that all nodes share before a byte is sent,
//! and freed only where none was. Whatever came of a request that was sent is kept before its client hears of it, or is
//! known to be unknown; a retry gets the same answer for nothing, or 409.
//!
//! Such a call runs in a task of its own, which goes on when the client leaves: the upstream is at work, and a retry wants to
//! know what came of it. So it is billed when the upstream has answered, whether or not the client waited.
//!
//! The order: the key's form, admission (limits), the whole body, the key in the store, then the steps of every call (units,
//! upstream, usage log), then the store again, then the client. A replay counts in the limits, which protect us, and in nothing
//! else. A refusal counts nowhere.

mod answer;
mod held;
mod kept;
mod request;

pub(crate) use answer::Ours;
pub(crate) use held::InHand;

use held::{Held, Running};

use crate::{
    accept::{Connection, Core, RequestBody},
    admit, authenticate,
    cache::Consulted,
    call,
    matching::Target,
    meter::{Reply, Source},
    ports::{Attempt, Begun, IdempotencyStore},
    reserve::{self, Draft, Ending, Permit},
    respond::{Refusal, SaidCost, Standings},
};
use bytes::Bytes;
use domain::{
    idempotency::{Key, Slot},
    policy::IdempotencyKey,
    refusal::Code,
    usage::Outcome,
};
use hmac::Hmac;
use http::{HeaderMap, HeaderName, Response, header::UPGRADE, request::Parts};
use sha2::Sha256;
use std::{rc::Rc, sync::Arc, time::Duration};
use tokio::{sync::oneshot, task::spawn_local, time::timeout};
use uuid::Uuid;

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Added to the longest that an attempt may take before it counts as lost, for clocks that differ and for the store.
const MARGIN: Duration = Duration::from_secs(30);

/// What all cores need for such calls.
pub(crate) struct Keys {
    /// Without one every such call is refused.
    pub store: Option<Arc<dyn IdempotencyStore>>,
    fingerprints: Hmac<Sha256>,
}

impl Keys {
    pub(crate) fn new(pepper: &[u8; 32], store: Option<Arc<dyn IdempotencyStore>>) -> Self {
        let key = authenticate::hash_key(pepper, "idempotency fingerprint 1");
        Self { store, fingerprints: authenticate::keyed(&key) }
    }
}

/// Whether the call has to go through here: the operation is marked, and the header is there or required.
pub(crate) fn concerns(rule: IdempotencyKey, headers: &HeaderMap) -> bool {
    match rule {
        IdempotencyKey::Ignored => false,
        IdempotencyKey::Optional => headers.contains_key(IDEMPOTENCY_KEY),
        IdempotencyKey::Required => true,
    }
}

/// Answers the call. It goes on to its end if the client leaves.
pub(crate) async fn answer(
    core: Rc<Core>,
    connection: Rc<Connection>,
    target: Target,
    draft: Draft,
    mut head: Parts,
    body: RequestBody,
    kept: Consulted,
) -> Response<Reply> {
    // Another protocol has no answer that could be given again.
    head.headers.remove(UPGRADE);
    let (tell, told) = oneshot::channel();
    let request_id = draft.request_id.clone();
    let running = Running::new(core.clone());
    spawn_local(async move {
        let entered = Entered { core: running.0.clone(), parts: Some((target, draft)), bytes_in: 0 };
        let response = carry_out(&running.0, &connection, entered, head, body, kept).await;
        // Nobody listens any more where the client has left.
        if tell.send(response).is_err() {
            connection.note_abandoned();
        }
    });
    told.await.unwrap_or_else(|_| {
        // The task panicked; what it held has recorded the call.
        let refusal = Refusal::new(Code::UpstreamUnreachable, "The gateway failed while it carried the call out.");
        let mut response = refusal.answer(&core.shared.portal_url, &request_id);
        Standings::default().fields(&request_id, SaidCost::Nothing).put(response.headers_mut());
        response
    })
}

/// A call of a known caller that is neither refused nor admitted yet. Its drop, when the gateway stops, records it.
struct Entered {
    core: Rc<Core>,
    parts: Option<(Target, Draft)>,
    bytes_in: u64,
}

impl Entered {
    /// Says no.
    async fn refuse(mut self, refusal: Refusal, standings: &Standings) -> Response<Reply> {
        match self.parts.take() {
            Some((target, draft)) => {
                call::refuse(&self.core, &draft, refusal, Some(&target.caller), target.reached(), standings).await
            }
            None => refusal.answer(&self.core.shared.portal_url, ""),
        }
    }

    /// Records the answer of an earlier call as this one's, for what the product's rule says.
    async fn replay(mut self, answer: kept::Kept, standings: &Standings) -> Response<Reply> {
        let held = match &self.parts {
            Some((target, draft)) => reserve::take_for_replay(&self.core, target, draft).await,
            None => None,
        };
        let Some((mut target, draft)) = self.parts.take() else { return Response::new(Reply::Whole(Bytes::new())) };
        let request_id = draft.request_id.clone();
        let (units, held) = held.unwrap_or_default();
        target.price = Some(units);
        let permit = Permit::new(self.core.clone(), target, draft, held);
        permit.bytes_in.set(self.bytes_in);
        let (status, bytes_out) = (answer.status.as_u16(), answer.body.len() as u64);
        let mut cost = permit.announced(status, Some(bytes_out));
        // The answer is there, so it is given: a log that is full makes it free.
        if let Err(error) = permit.settle(Ending { status, outcome: Outcome::Replayed, bytes_out }) {
            tracing::error!(%error, "a replay is not recorded");
            self.core.shared.metrics.unmetered.increment(1);
            cost = Some(0);
        }
        let mut response = answer.replay();
        standings.fields(&request_id, cost.into()).put(response.headers_mut());
        response
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let Some((target, draft)) = self.parts.take().filter(|(_, draft)| !draft.recorded.get()) else { return };
        let ending = Ending { status: 499, outcome: Outcome::UpstreamFailed, bytes_out: 0 };
        let duration = draft.arrived.elapsed();
        let event = reserve::event(&self.core, &draft, &target.caller, target.reached(), ending, duration);
        if self.core.shared.recorder.record(self.core.index, &event).is_err() {
            self.core.shared.metrics.unrecorded.increment(1);
        }
    }
}

async fn carry_out(
    core: &Rc<Core>,
    connection: &Rc<Connection>,
    mut entered: Entered,
    mut head: Parts,
    body: RequestBody,
    mut cached: Consulted,
) -> Response<Reply> {
    let mut standings = Standings::default();
    let Some((target, draft)) = &entered.parts else { return Response::new(Reply::Whole(Bytes::new())) };
    let (rule, patience) = (target.product().idempotency, target.product().patience());
    let asked = Asked { core, connection, target, draft, head: &head };
    let decided = asked.decide(body, &mut cached, &mut standings, &mut entered.bytes_in).await;
    let Fresh { store, attempt, spent, body, held } = match decided {
        Ok(Decision::Fresh(fresh)) => fresh,
        Ok(Decision::Replay(kept)) => return entered.replay(kept, &standings).await,
        Err(refusal) => return entered.refuse(refusal, &standings).await,
    };
    let Some((target, draft)) = entered.parts.take() else { return Response::new(Reply::Whole(Bytes::new())) };
    let own = Rc::new(connection.detached());
    let permit = spent.permit(core.clone(), target, draft);
    let call = call::carry_out(core, &own, permit, &mut head, Source::Whole(body), cached, &mut standings);
    let answered = answer::keep(core, connection, &store, &attempt, rule, call);
    let answered = timeout(longest(patience, core), answered).await;
    drop(held);
    match answered {
        Ok(response) => response,
        Err(_) => answer::took_too_long(core, &store, &attempt).await,
    }
}

/// What a request is decided by.
struct Asked<'a> {
    core: &'a Rc<Core>,
    connection: &'a Connection,
    target: &'a Target,
    draft: &'a Draft,
    head: &'a Parts,
}

enum Decision {
    Replay(kept::Kept),
    Fresh(Fresh),
}

/// The key is taken, and so are the call's units.
struct Fresh {
    store: Arc<dyn IdempotencyStore>,
    attempt: Arc<Attempt>,
    spent: call::Spent,
    body: Bytes,
    held: Held,
}

impl Asked<'_> {
    /// Reads the request and asks the store.
    async fn decide(
        &self,
        body: RequestBody,
        cached: &mut Consulted,
        standings: &mut Standings,
        bytes_in: &mut u64,
    ) -> Result<Decision, Refusal> {
        let Self { core, target, draft, .. } = *self;
        let key = request::key(&self.head.headers)?;
        let store = core.shared.idempotency.store.clone().ok_or(Refusal::of(Code::IdempotencyUnavailable))?;
        let admission = admit::admit(core, target, draft, self.head.uri.query(), standings).await?;
        let (body, held) = match self.read(body).await {
            Ok(read) => read,
            Err(refusal) => {
                admission.withdraw(standings);
                return Err(refusal);
            }
        };
        *bytes_in = body.len() as u64;
        let attempt = Arc::new(self.attempt(key, &body));
        let refusal = match store.begin(&attempt).await {
            Ok(Begun::Fresh) => match call::spend(core, target, draft, cached, admission, standings).await {
                Ok(spent) => return Ok(Decision::Fresh(Fresh { store, attempt, spent, body, held })),
                Err(refusal) => {
                    store.release(&attempt).await;
                    return Err(refusal);
                }
            },
            Ok(Begun::Answered(answer)) => match kept::Kept::decode(answer) {
                Some(kept) => {
                    admission.keep();
                    return Ok(Decision::Replay(kept));
                }
                None => {
                    tracing::error!(request_id = attempt.request_id, "a kept answer cannot be read");
                    Refusal::of(Code::IdempotencyUnavailable)
                }
            },
            Ok(held) => refusal(&held),
            Err(error) => {
                tracing::warn!(%error, "a request with an Idempotency-Key is refused");
                Refusal::of(Code::IdempotencyUnavailable)
            }
        };
        admission.withdraw(standings);
        Err(refusal)
    }

    async fn read(&self, body: RequestBody) -> Result<(Bytes, Held), Refusal> {
        let product = self.target.product();
        let limit = self.core.shared.body_limit.min(u64::from(product.idempotency.max_request_bytes));
        let read = timeout(product.patience(), request::read(self.core, self.connection, body, limit)).await;
        read.unwrap_or_else(|_| {
            let detail = "The request's body did not arrive in the time that the product allows.";
            Err(Refusal::new(Code::RequestTimeout, detail))
        })
    }

    /// What the store is asked about.
    fn attempt(&self, key: Key, body: &[u8]) -> Attempt {
        let Self { core, target, .. } = *self;
        let product = target.product();
        let slot = Slot {
            partner: target.caller.partner().id,
            environment: target.caller.key().environment,
            product: product.id,
            operation: target.operation().id,
            key,
        };
        let mac = &core.shared.idempotency.fingerprints;
        Attempt {
            id: Uuid::now_v7(),
            fingerprint: request::fingerprint(mac, &slot, self.head, &target.path_below, body),
            slot,
            request_id: self.draft.request_id.to_string(),
            longest: longest(product.patience(), core) + MARGIN,
            keep: Duration::from_secs(u64::from(product.idempotency.keep_seconds)),
        }
    }
}

/// The longest that a call may be with the upstream: a try and another one, and the answer's body.
fn longest(patience: Duration, core: &Core) -> Duration {
    patience * 2 + core.shared.deadlines.connect + core.shared.deadlines.body_idle
}

fn refusal(begun: &Begun) -> Refusal {
    match begun {
        Begun::InFlight => Refusal::of(Code::IdempotencyInFlight).retry_after(1),
        Begun::Mismatch => Refusal::of(Code::IdempotencyMismatch),
        Begun::Unknown(reason) => Refusal::new(Code::IdempotencyUnknown, reason.detail()),
        Begun::Full => {
            let detail = "The answers that are kept for your account take up all the room they may; the oldest are forgotten first.";
            Refusal::new(Code::IdempotencyUnavailable, detail).retry_after(60)
        }
        Begun::Fresh | Begun::Answered(_) => Refusal::of(Code::IdempotencyUnavailable),
    }
}
