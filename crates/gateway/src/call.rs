//! One call from its head to its answer: the list of the steps.

use crate::{
    accept::{Connection, Core, RequestBody},
    admit,
    authenticate::{Asking, Caller, Rejection, requirements},
    cache::{self, Consulted},
    cost,
    forward::{self, Journey},
    headers::{self, Outward},
    idempotency, identity,
    matching::{self, Reached, Target},
    meter::{Metered, Reply, Source, Upload, UploadState},
    reserve::{self, Draft, Ending, Permit, Reservation},
    respond::{Refusal, SaidCost, Standings},
    snapshot::Product,
    upstream::{Answer, AnswerBody},
    watch::{self, Sums},
    websocket,
};
use bytes::Bytes;
use domain::{
    key_text::Environment,
    refusal::Code,
    usage::{Outcome, UsageEvent},
};
use http::{Request, Response, Version, header::HOST};
use http_body::Body;
use std::{borrow::Cow, cell::Cell, rc::Rc, time::Instant};

/// HTTP/1 has no more anyway.
const MAX_HEADERS: usize = 100;

/// Answers the request. Whatever happens, a known caller's call is recorded once.
pub(crate) async fn answer(
    core: Rc<Core>,
    connection: Rc<Connection>,
    request: Request<RequestBody>,
) -> Response<Reply> {
    let (mut head, body) = request.into_parts();
    let now = core.shared.clock.now();
    let request_id = core.request_ids.take(&head.headers, now);
    let trace = watch::begin(&core, &head.headers);
    let draft = Draft {
        at: now,
        arrived: Instant::now(),
        request_id,
        method: head.method.clone(),
        trace,
        trace_id: watch::trace_id(&head.headers),
        recorded: Cell::new(false),
    };
    let mut standings = Standings::default();

    if let Err(refusal) = core.load.check().and_then(|()| well_formed(&core, &head)) {
        return refuse(&core, &draft, refusal, None, Reached::default(), &standings).await;
    }
    let snapshot = core.shared.directory.load_full();
    let mut asking = Asking { core: &core, connection: &connection, head: &head, now, waited: false };
    let mut authenticated = core.shared.authenticator.authenticate(asking, snapshot);
    if let Err(Rejection::Awaits(fetching)) = authenticated {
        Box::pin(fetching.ended()).await;
        asking.waited = true;
        authenticated = core.shared.authenticator.authenticate(asking, core.shared.directory.load_full());
    }
    let caller = match authenticated {
        Ok(caller) => caller,
        Err(rejection) => {
            let (refusal, caller) = rejection.refusal();
            return refuse(&core, &draft, refusal, caller.as_ref(), Reached::default(), &standings).await;
        }
    };
    let mut reached = Reached::default();
    let mut target = match matching::find(caller, (&head.method, &head.uri), draft.at, &mut reached) {
        Ok(target) => target,
        Err((refusal, caller)) => {
            return refuse(&core, &draft, refusal, Some(&caller), reached, &standings).await;
        }
    };
    let keyed = idempotency::concerns(target.operation().idempotency_key, &head.headers);
    if target.operation().reads_json {
        cost::ask_for_whole(&mut head.headers);
    }
    // A call with a key has an answer of its own: it only tells the cache what it changed.
    let mut kept = cache::consult(&core, &target, &head, keyed || !body.is_end_stream());
    target.price = kept.price(&target);
    if let Err(refusal) = requirements::check(&target) {
        return refuse(&core, &draft, refusal, Some(&target.caller), target.reached(), &standings).await;
    }
    let announced = body.size_hint().lower();
    if announced > core.shared.body_limit {
        let detail = format!("A body is at most {} bytes long, this one has {announced}.", core.shared.body_limit);
        let refusal = Refusal::new(Code::BodyTooLarge, detail);
        return refuse(&core, &draft, refusal, Some(&target.caller), target.reached(), &standings).await;
    }
    if keyed {
        return idempotency::answer(core, connection, target, draft, head, body, kept).await;
    }
    if let Some(refusal) = kept.refusal() {
        return refuse(&core, &draft, refusal, Some(&target.caller), target.reached(), &standings).await;
    }
    let spent = match admit::admit(&core, &target, &draft, head.uri.query(), &mut standings).await {
        Ok(admission) => spend(&core, &target, &draft, &mut kept, admission, &mut standings).await,
        Err(refusal) => Err(refusal),
    };
    let spent = match spent {
        Ok(spent) => spent,
        Err(refusal) => {
            return refuse(&core, &draft, refusal, Some(&target.caller), target.reached(), &standings).await;
        }
    };
    let permit = spent.permit(core.clone(), target, draft);
    carry_out(&core, &connection, permit, &mut head, Source::Client(body), kept, &mut standings).await
}

/// What an admitted call takes: its places and its units.
pub(crate) struct Spent {
    reservation: Option<Reservation>,
    places: reserve::Places,
}

impl Spent {
    pub(crate) fn permit(self, core: Rc<Core>, target: Target, draft: Draft) -> Box<Permit> {
        let mut permit = Box::new(Permit::new(core, target, draft, self.reservation));
        permit.places = self.places;
        permit
    }
}

/// Takes the call's place at the upstream, then its units.
pub(crate) async fn spend(
    core: &Rc<Core>,
    target: &Target,
    draft: &Draft,
    kept: &mut Consulted,
    mut admission: admit::Admission<'_>,
    standings: &mut Standings,
) -> Result<Spent, Refusal> {
    if !kept.is_hit()
        && let Err(refusal) = forward::check(core, target.product().upstream.as_ref())
        && !kept.stands_in(core)
    {
        admission.withdraw(standings);
        return Err(refusal);
    }
    let in_flight = admission.in_flight.take();
    let entered =
        if kept.is_hit() { Ok(None) } else { core.bulkheads.enter(target.product(), core.shared.max_in_flight) };
    let berth = match entered {
        Ok(berth) => berth,
        Err(refusal) => {
            admission.withdraw(standings);
            return Err(refusal);
        }
    };
    let reservation = reserve::take(core, target, admission, draft, standings).await?;
    Ok(Spent { reservation, places: (in_flight, berth) })
}

/// Forwards the call, and gives the answer once what has to be recorded is.
pub(crate) async fn carry_out(
    core: &Rc<Core>,
    connection: &Rc<Connection>,
    mut permit: Box<Permit>,
    head: &mut http::request::Parts,
    body: Source,
    mut kept: Consulted,
    standings: &mut Standings,
) -> Response<Reply> {
    let upload = Rc::new(UploadState::new(connection.clone(), permit.bytes_in.clone()));
    let (mut forwarded, outcome) = match kept.before_forward(core, connection, &mut permit, head).await {
        Some(answer) => (Ok(answer), Outcome::Cached),
        None => {
            // Lines are for those who look at an answer no more: not at its fields, nor for another client.
            let is_seen = !kept.is_off() || permit.target().operation().reads_answer;
            let as_lines = (connection.takes_lines() && !is_seen).then(|| standings.policy.is_some());
            let forwarded = forward_to(core, connection, &mut permit, head, body, &upload, as_lines).await;
            kept.after_forward(core, &mut permit, forwarded)
        }
    };
    if permit.target().operation().reads_answer
        && let Ok(answer) = forwarded
    {
        forwarded = Box::pin(cost::measure(core, &mut permit, answer, standings)).await;
    }
    let Answer { mut head, body, lines } = match forwarded {
        Ok(answer) => answer,
        Err(refusal) => return give_up(core, permit, refusal.sent(upload.sent.get()), standings),
    };
    if lines.is_none() {
        headers::to_client(&mut head.headers, standings.policy.is_some());
    }
    let status = head.status.as_u16();
    let cost = permit.announced(status, body.size_hint().exact()).into();
    let request_id = &permit.draft().request_id;
    let mut fields = Some(match lines {
        Some(lines) => standings.behind(lines, request_id, cost),
        None => standings.fields(request_id, cost),
    });
    if !(matches!(body, AnswerBody::Full(_)) && connection.takes_lines()) {
        fields.take().into_iter().for_each(|fields| fields.put(&mut head.headers));
    }
    let whole = match body {
        AnswerBody::Full(bytes) => bytes,
        AnswerBody::Switched(upstream) => {
            websocket::put_upgrade(&mut head.headers);
            websocket::switch(connection, upstream, permit);
            return Response::from_parts(head, Reply::Whole(Bytes::new()));
        }
        body => {
            let metered = Metered::new(body, permit, upload, status);
            return Response::from_parts(head, Reply::Streaming(Box::new(metered)));
        }
    };
    // The answer is here as a whole, so its head waits for the record too.
    let request_id = permit.draft().request_id.clone();
    connection.settle(true);
    let settled = permit.settle_in_turn(Ending { status, outcome, bytes_out: whole.len() as u64 }).await;
    connection.settle(false);
    match settled {
        Ok(()) => match fields {
            Some(fields) => Response::from_parts(head, Reply::Ready(whole, fields)),
            None => Response::from_parts(head, Reply::Whole(whole)),
        },
        Err(error) => {
            tracing::error!(%error, "an answer is withheld because its event could not be recorded");
            core.shared.metrics.count_refusal(Code::MeteringUnavailable);
            let refusal = Refusal::of(Code::MeteringUnavailable).sent(true);
            let mut response = refusal.answer(&core.shared.portal_url, &request_id);
            standings.fields(&request_id, SaidCost::Nothing).put(response.headers_mut());
            response
        }
    }
}

/// What HTTP asks of every request, whoever sends it.
fn well_formed(core: &Core, head: &http::request::Parts) -> Result<(), Refusal> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() || (host.is_none() && head.version >= Version::HTTP_11) {
        return Err(Refusal::new(Code::BadRequest, "A request has exactly one Host header."));
    }
    // HTTP/2's :authority, or the address of a request line that holds a whole one.
    if let Some(authority) = head.uri.authority()
        && host.is_some_and(|host| !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()))
    {
        return Err(Refusal::new(Code::BadRequest, "The Host header names another host than the request's address."));
    }
    if head.headers.len() > MAX_HEADERS {
        return Err(Refusal::new(Code::HeadersTooLarge, format!("A request has at most {MAX_HEADERS} headers.")));
    }
    if core.shared.via.is_loop(&head.headers) {
        return Err(Refusal::of(Code::LoopDetected));
    }
    Ok(())
}

async fn forward_to(
    core: &Rc<Core>,
    connection: &Connection,
    permit: &mut Permit,
    head: &mut http::request::Parts,
    body: Source,
    upload: &Rc<UploadState>,
    as_lines: Option<bool>,
) -> Result<Answer, Refusal> {
    let target = permit.target();
    let Some(upstream) = &target.product().upstream else {
        return Err(Refusal::new(Code::UpstreamUnreachable, "The product's set-up is incomplete."));
    };
    let environment = target.caller.key().environment;
    let opens_websocket = websocket::is_asked_for(head) && body.is_empty();
    let reads_json = target.operation().reads_json;
    let outward = Outward::new(&head.headers, core, connection, permit.draft(), environment, upstream, head.version);
    let body = Upload::new(body, upload.clone(), core.shared.body_limit);
    let draft = permit.draft();
    let tell = |request: &mut Request<Upload>| {
        if target.product().entry.is_some() {
            identity::tell(target, connection, draft, request);
        }
    };
    let is_seen = opens_websocket || reads_json || target.product().entry.is_some();
    let target_0 = &upstream.targets[0];
    let (request, outward) = if is_seen || !target_0.origin.speaks_http1() {
        outward.put(&mut head.headers, &target_0.host);
        if opens_websocket {
            websocket::put_upgrade(&mut head.headers);
        }
        if reads_json {
            cost::ask_for_plain(&mut head.headers);
        }
        let mut request = forward::readdress(take(head), upstream, &target.path_below, body)?;
        tell(&mut request);
        (request, None)
    } else {
        (Box::new(Request::from_parts(take(head), body)), Some(&outward))
    };
    let began = Instant::now();
    let (operation, path_below, arrived) = (target.operation(), &*target.path_below, draft.arrived);
    let journey =
        Journey { core, upstream, operation, path_below, upload, arrived, began, tell: &tell, outward, as_lines };
    let sent = forward::send(&journey, request).await;
    permit.upstream = began.elapsed();
    let (answer, sent) = sent?;
    permit.sent = Some(sent);
    Ok(answer)
}

/// The head, whose place is not looked at any more.
fn take(head: &mut http::request::Parts) -> http::request::Parts {
    std::mem::replace(head, Request::new(()).into_parts().0)
}

/// The upstream gave no answer: the call is settled with ours.
fn give_up(core: &Rc<Core>, permit: Box<Permit>, refusal: Refusal, standings: &Standings) -> Response<Reply> {
    let outcome = match refusal.code {
        Code::UpstreamUnreachable | Code::UpstreamTimeout => Outcome::UpstreamFailed,
        code => Outcome::Refused(code),
    };
    core.shared.metrics.count_refusal(refusal.code);
    let request_id = permit.draft().request_id.clone();
    let ending = Ending { status: refusal.status(), outcome, bytes_out: 0 };
    if let Err(error) = permit.settle(ending) {
        tracing::error!(%error, "a call that the upstream did not answer is not recorded");
    }
    let mut response = refusal.answer(&core.shared.portal_url, &request_id);
    standings.fields(&request_id, SaidCost::Units(0)).put(response.headers_mut());
    response
}

/// Says no, and records it where the caller is known, once what the product's rule asks for it is taken.
pub(crate) async fn refuse(
    core: &Rc<Core>,
    draft: &Draft,
    refusal: Refusal,
    caller: Option<&Caller>,
    reached: Reached,
    standings: &Standings,
) -> Response<Reply> {
    let refused = Refused { core, draft, code: refusal.code, status: refusal.status(), caller, reached };
    let price = refused.price();
    let held = match caller {
        Some(caller) if price > 0 => {
            let called = (caller, refused.product().map(|product| product.id));
            let left = Left(refused);
            // Among the calls in flight while it waits: where those are too many, it is answered at once and costs nothing.
            let _waits = core.load.enter();
            let held = match core.load.check() {
                Ok(()) => Box::pin(reserve::take_for_refusal(core, called, price, draft.at)).await,
                Err(_) => None,
            };
            // Whoever goes on records the call.
            std::mem::forget(left);
            held
        }
        _ => None,
    };
    let units = refused.record(price, held);
    let mut response = refusal.answer(&core.shared.portal_url, &draft.request_id);
    let pays = caller.is_some_and(|caller| caller.key().environment == Environment::Live);
    let cost = if pays { SaidCost::Units(units) } else { SaidCost::Nothing };
    standings.fields(&draft.request_id, cost).put(response.headers_mut());
    response
}

/// A call that is told no.
#[derive(Clone, Copy)]
struct Refused<'a> {
    core: &'a Core,
    draft: &'a Draft,
    code: Code,
    status: u16,
    caller: Option<&'a Caller>,
    reached: Reached,
}

impl<'a> Refused<'a> {
    fn product(&self) -> Option<&'a Product> {
        let (caller, index) = self.caller.zip(self.reached.product)?;
        caller.snapshot().products.get(index).map(|product| &**product)
    }

    /// What room is left in the log belongs to calls that were admitted.
    fn fits(&self) -> bool {
        self.core.shared.recorder.has_room(self.core.index)
    }

    /// Units that the product's rule asks for it.
    fn price(&self) -> u64 {
        let product = self.product().filter(|_| self.reached.operation.is_some() && self.fits());
        product.map_or(0, |product| product.counting.refusal(self.code))
    }

    /// Tells everybody who has to know, and says how many units it cost: the price where that was taken.
    fn record(&self, price: u64, held: Option<Option<Reservation>>) -> u64 {
        let Self { core, draft, code, status, caller, reached } = *self;
        core.shared.metrics.count_refusal(code);
        let duration = draft.arrived.elapsed();
        let ending = Ending { status, outcome: Outcome::Refused(code), bytes_out: 0 };
        let metrics = self.product().map_or(&core.shared.metrics.no_product, |product| &product.metrics);
        metrics.count(ending.outcome, ending.status, duration);
        metrics.refuse(code);
        if let Some((_, plan)) = caller.and_then(matching::terms) {
            plan.metrics.count(ending.outcome, ending.status);
        }
        let mut units = if held.is_some() { price } else { 0 };
        if let Some(caller) = caller {
            core.shared.metrics.count_partner(caller.partner().id, ending.outcome, ending.status);
            let held = held.flatten();
            let event = UsageEvent {
                units,
                credits: held.as_ref().map_or(0, Reservation::credits),
                allocated: held.as_ref().and_then(Reservation::allocated),
                period: held.as_ref().map(Reservation::period),
                price_rule: Cow::Borrowed(if units > 0 { "refusal" } else { "" }),
                ..reserve::event(core, draft, caller, reached, ending, duration)
            };
            if self.fits() && core.shared.recorder.record(core.index, &event).is_ok() {
                held.into_iter().for_each(Reservation::spend);
            } else {
                units = 0;
                core.shared.metrics.unrecorded.increment(1);
            }
        }
        watch::tell(&core.shared, draft, caller, reached, ending, Sums { units, duration, ..Sums::default() });
        units
    }
}

/// Held while a refusal waits for its units; its drop records that the client left before, for nothing.
struct Left<'a>(Refused<'a>);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.0.record(0, None);
    }
}
