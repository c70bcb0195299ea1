//! The quota: units are taken before the call is forwarded, and a [`Permit`] holds them until it is known what happened.
//!
//! What costs the operation's weight, unless the product's rule ([`crate::counting`]) says otherwise: the upstream answered with
//! less than 500, and its whole answer was handed over to the client's connection, or at least one byte of the body before the
//! client left. Otherwise a client that always leaves before the end would never pay. Everything else (a 5xx, an answer that
//! the upstream broke off, a client that left before the first byte) gives the units back and is recorded with zero.

use crate::{
    accept::Core,
    admit::{self, Admission},
    authenticate::Caller,
    bulkhead::Berth,
    config::WhenFull,
    cost::Cost,
    live::Place,
    matching::{Reached, Target},
    measure::{self, Facts, Reading},
    ports::RecordError,
    request_id::RequestText,
    respond::{Refusal, Standings},
    upstream::{ExchangeError, Failure, Patience, Sent, report},
    watch::{self, Sums, Trace},
};
use domain::{
    id::ProductId,
    key_text::Environment,
    refusal::Code,
    usage::{Metered, Outcome, UsageEvent},
};
use http::Method;
use jiff::Timestamp;
use std::{
    borrow::Cow,
    cell::Cell,
    io,
    rc::Rc,
    time::{Duration, Instant},
};

mod credit;
mod hold;
mod unanswered;

pub(crate) use hold::Reservation;
use hold::{Asking, No};
pub(crate) use unanswered::Unanswered;

/// What is known of a call from its first moment.
#[derive(Debug)]
pub(crate) struct Draft {
    /// By the gateway's clock, which a test clock may move.
    pub at: Timestamp,
    pub arrived: Instant,
    pub request_id: RequestText,
    pub method: Method,
    /// The call's own span, where anybody wants spans.
    pub trace: Option<Box<Trace>>,
    /// The trace that the client says the call is part of.
    pub trace_id: Option<[u8; 16]>,
    /// Set where the call was recorded while it waited.
    pub recorded: Cell<bool>,
}

/// Takes the call's units, and keeps its count in the limits. A test call uses no quota. It waits only where this node holds
/// too few units, until more have come.
pub(crate) async fn take(
    core: &Core,
    target: &Target,
    admission: Admission<'_>,
    draft: &Draft,
    standings: &mut Standings,
) -> Result<Option<Reservation>, Refusal> {
    let weight = target.reserved();
    let live = target.caller.key().environment == Environment::Live;
    let refuses = core.shared.when_full == WhenFull::Refuse;
    if refuses && live && weight > 0 && !core.shared.recorder.has_room(core.index) {
        admission.withdraw(standings);
        return Err(Refusal::of(Code::MeteringUnavailable));
    }
    let reservation = if live { wait_for(core, target, weight, draft, standings).await } else { Ok(None) };
    let reservation = reservation.and_then(|held| admit::pace(core, target, held));
    match reservation {
        Ok(_) => admission.keep(),
        Err(_) => admission.withdraw(standings),
    }
    reservation
}

/// Takes the units, and waits until more have come where this node holds too few.
async fn wait_for(
    core: &Core,
    target: &Target,
    units: u64,
    draft: &Draft,
    standings: &mut Standings,
) -> Result<Option<Reservation>, Refusal> {
    let mut since = None;
    loop {
        match hold::hold(core, Asking::of(target, units), draft.at, &mut since, standings) {
            Ok(reservation) => return Ok(reservation),
            Err(No::Refused(refusal)) => return Err(refusal),
            Err(No::Short(shortage)) => {
                let unanswered = Unanswered::new(core, target, draft);
                Box::pin(shortage.over()).await;
                unanswered.over();
            }
        }
    }
}

/// What an answer that is given again takes. `None` where it is free: by the rule, or because the partner has not that many
/// units left.
pub(crate) async fn take_for_replay(core: &Core, target: &Target, draft: &Draft) -> Option<(u64, Option<Reservation>)> {
    let units = target.product().counting.replay(target.operation().weight);
    if units == 0 || target.caller.key().environment != Environment::Live {
        return None;
    }
    let held = wait_for(core, target, units, draft, &mut Standings::default()).await;
    Some((units, held.ok()?))
}

/// What a refusal takes; it waits where this node holds too few units, until more have come. `None` where it is free: it costs nothing, the
/// partner has not that many units left, or nobody can say.
pub(crate) async fn take_for_refusal(
    core: &Core,
    (caller, product): (&Caller, Option<ProductId>),
    units: u64,
    at: Timestamp,
) -> Option<Option<Reservation>> {
    if units == 0 || caller.key().environment != Environment::Live {
        return None;
    }
    let (asking, mut since) = (Asking { caller, product, units, overdraft: None }, None);
    loop {
        match hold::hold(core, asking, at, &mut since, &mut Standings::default()) {
            Ok(reservation) => return Some(reservation),
            Err(No::Refused(_)) => return None,
            Err(No::Short(shortage)) => shortage.over().await,
        }
    }
}

/// Among the partner's calls in flight, and among those at the upstream.
pub(crate) type Places = (Option<Place>, Option<Berth>);

/// The call may proceed, and holds what was reserved. It ends by [`Self::settle`] or, where the client leaves or the code
/// panics, by its drop: either way what happened is recorded once and unused units are given back.
#[derive(Debug)]
pub(crate) struct Permit {
    core: Rc<Core>,
    target: Target,
    draft: Draft,
    reservation: Option<Reservation>,
    /// What to record if nobody settles.
    pub if_dropped: Ending,
    pub bytes_in: Rc<Cell<u64>>,
    pub upstream: Duration,
    /// Units that the answer says the call costs.
    pub used: Option<u64>,
    /// What the answer says for the operation's meters, in their order; empty where there are none.
    pub readings: Box<[Option<Reading>]>,
    /// Among the partner's calls in flight and at the product's upstream, until the call has ended.
    pub places: Places,
    /// The target that answers.
    pub sent: Option<Sent>,
    settled: bool,
    /// What is used as soon as its event is in the log, which it will be.
    unwritten: Option<Used>,
}

/// Units that a call used.
#[derive(Debug, Clone, Copy)]
struct Used {
    units: u64,
    /// Of those, units that the allowance did not have.
    overdraft: u64,
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    pub status: u16,
    pub outcome: Outcome,
    pub bytes_out: u64,
}

impl Permit {
    pub(crate) fn new(core: Rc<Core>, target: Target, draft: Draft, reservation: Option<Reservation>) -> Self {
        // The status that proxies' logs give a client that left before its answer.
        let if_dropped = Ending { status: 499, outcome: Outcome::ClientGone, bytes_out: 0 };
        let (bytes_in, upstream) = (Rc::default(), Duration::ZERO);
        core.load.begin_call();
        Self {
            core,
            target,
            draft,
            reservation,
            if_dropped,
            bytes_in,
            upstream,
            used: None,
            readings: Box::default(),
            places: (None, None),
            sent: None,
            settled: false,
            unwritten: None,
        }
    }

    pub(crate) const fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) const fn draft(&self) -> &Draft {
        &self.draft
    }

    /// The deadlines of its answer's body, where the product or the operation has some.
    pub(crate) fn patience(&self) -> Option<Box<Patience>> {
        let upstream = self.target.product().upstream.as_ref()?;
        let total = self.target.operation().total.or(upstream.total);
        Patience::new(total, upstream.body_idle, self.draft.arrived)
    }

    /// The answer does not come to its end, for that reason.
    pub(crate) fn note_broken(&mut self, error: &ExchangeError) {
        if let (Some(sent), ExchangeError::Io(error)) = (&mut self.sent, error)
            && error.kind() == io::ErrorKind::TimedOut
        {
            sent.broke = Failure::BodyTimeout;
        }
    }

    /// The call costs no more than that, whatever was reserved.
    pub(crate) fn costs_at_most(&mut self, units: Option<u64>) {
        self.target.price = units.map(|units| units.min(self.target.reserved())).or(self.target.price);
    }

    /// Units that the call costs if it is served with this status and so many bytes; `None` where only its end tells.
    pub(crate) fn announced(&self, status: u16, bytes: Option<u64>) -> Option<u64> {
        let operation = self.target.operation();
        let live = self.target.caller.key().environment == Environment::Live;
        match &operation.cost {
            _ if !live || !self.target.product().counting.counts(status) => Some(0),
            _ if self.target.price.is_some() => self.target.price,
            None => Some(operation.weight),
            Some(Cost::Bytes(_)) if bytes.is_none() => None,
            Some(cost) => Some(cost.by_bytes(bytes.unwrap_or(0)).or(self.used).unwrap_or(operation.reserved)),
        }
    }

    fn cost(&self, ending: Ending) -> u64 {
        self.announced(ending.status, Some(ending.bytes_out)).unwrap_or(0)
    }

    /// What the call counts for on its product's meters. Kept out of line: most operations have none.
    #[inline(never)]
    fn metered(&self, ending: Ending) -> Vec<Metered<Cow<'_, str>>> {
        let (operation, counting) = (self.target.operation(), &self.target.product().counting);
        if !counting.counts(ending.status) || !measure::is_measured(ending, self.target.price, counting.interrupted) {
            return Vec::new();
        }
        let facts = Facts {
            weight: operation.weight,
            bytes_in: self.bytes_in.get(),
            bytes_out: ending.bytes_out,
            upstream: self.upstream,
        };
        measure::metered(&operation.meters, &self.readings, facts)
    }

    /// Records how the call ended, then spends or gives back its units.
    ///
    /// # Errors
    /// The event was not kept and the answer must not be released.
    pub(crate) fn settle(mut self, ending: Ending) -> Result<(), RecordError> {
        self.end(ending)
    }

    /// The same, in one write with the other calls that end in this turn of the core's loop.
    pub(crate) async fn settle_in_turn(&mut self, ending: Ending) -> Result<(), RecordError> {
        if self.core.load.is_alone() {
            return self.end(ending);
        }
        let (gathered, used) =
            self.tell(ending, |core, event| core.turn.gather(&*core.shared.recorder, core.index, event));
        let kept = match gathered {
            Ok(gathered) => {
                self.unwritten = Some(used);
                let written = gathered.written().await;
                self.unwritten = None;
                written
            }
            Err(error) => Err(error),
        };
        self.account(kept, used)
    }

    fn end(&mut self, ending: Ending) -> Result<(), RecordError> {
        let (kept, used) = self.tell(ending, |core, event| core.shared.recorder.record(core.index, event));
        self.account(kept, used)
    }

    /// Tells everybody who has to know how the call ended; `record` tells the usage log.
    fn tell<T>(
        &mut self,
        ending: Ending,
        record: impl FnOnce(&Core, &UsageEvent<Cow<'_, str>>) -> Result<T, RecordError>,
    ) -> (Result<T, RecordError>, Used) {
        self.settled = true;
        let units = match ending.outcome {
            Outcome::Served | Outcome::Cached | Outcome::Replayed => self.cost(ending),
            Outcome::ClientGone if ending.bytes_out > 0 && self.target.product().counting.interrupted => {
                self.cost(ending)
            }
            _ => 0,
        };
        let duration = self.draft.arrived.elapsed();
        let settled =
            self.reservation.as_mut().filter(|_| units > 0).map(|held| held.adjust(units)).unwrap_or_default();
        let event = UsageEvent {
            units,
            credits: settled.credits,
            allocated: settled.allocated,
            period: self.reservation.as_ref().map(Reservation::period),
            bytes_in: self.bytes_in.get(),
            upstream_us: micros(self.upstream),
            price_rule: Cow::Borrowed(match units {
                0 => "",
                _ if ending.outcome == Outcome::Replayed => "replay",
                // Only an answer that was kept has a price of its own.
                _ if self.target.price.is_some() => "cache",
                _ => &self.target.operation().price_rule,
            }),
            meters: if self.target.operation().meters.is_empty() { Vec::new() } else { self.metered(ending) },
            ..event(&self.core, &self.draft, &self.target.caller, self.target.reached(), ending, duration)
        };
        if let (Some(sent), Some(upstream)) = (self.sent, &self.target.product().upstream) {
            match ending.outcome {
                Outcome::Served => report::end(&self.core, upstream, sent, ending.status),
                Outcome::UpstreamFailed => report::broke(&self.core, upstream, sent),
                _ => {}
            }
        }
        let shared = &self.core.shared;
        let kept = record(&self.core, &event);
        self.target.product().metrics.count(ending.outcome, ending.status, duration);
        if let Some((_, plan)) = self.target.terms() {
            plan.metrics.count(ending.outcome, ending.status);
        }
        let sums = Sums { units, bytes_in: self.bytes_in.get(), duration, upstream: self.upstream };
        shared.metrics.count_partner(self.target.caller.partner().id, ending.outcome, ending.status);
        watch::tell(shared, &self.draft, Some(&self.target.caller), self.target.reached(), ending, sums);
        (kept, Used { units, overdraft: settled.overdraft })
    }

    /// Spends the units where the event is kept.
    fn account(&mut self, kept: Result<(), RecordError>, used: Used) -> Result<(), RecordError> {
        let shared = &self.core.shared;
        match (kept, shared.when_full) {
            (Ok(()), _) => {
                if let Some(reservation) = self.reservation.take_if(|_| used.units > 0) {
                    self.target.product().metrics.overdraft.increment(used.overdraft);
                    reservation.spend();
                }
                Ok(())
            }
            (Err(error), _) if used.units == 0 => {
                tracing::error!(%error, "the event of a call that costs nothing is lost");
                shared.metrics.unrecorded.increment(1);
                Ok(())
            }
            (Err(error), WhenFull::ServeUnmetered) => {
                tracing::error!(%error, "a call is served unmetered");
                shared.metrics.unmetered.increment(1);
                Ok(())
            }
            (Err(error), WhenFull::Refuse) => Err(error),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.core.load.end_call();
        if let Some(used) = self.unwritten.take() {
            // Its client left before the write that its event is part of.
            let _ = self.account(Ok(()), used);
        }
        if !self.settled {
            let ending = match std::thread::panicking() {
                true => Ending { outcome: Outcome::UpstreamFailed, ..self.if_dropped },
                false => self.if_dropped,
            };
            // Nothing waits for the answer any more.
            if let Err(error) = self.end(ending) {
                tracing::error!(%error, "a call that its client left is not recorded");
            }
        }
    }
}

/// The event of a call that a caller made, with zero units.
pub(crate) fn event<'a>(
    core: &'a Core,
    draft: &'a Draft,
    caller: &'a Caller,
    reached: Reached,
    ending: Ending,
    duration: Duration,
) -> UsageEvent<Cow<'a, str>> {
    let key = caller.key();
    let partner = caller.partner();
    let plan = partner.subscription.as_ref().and_then(|subscription| caller.snapshot().plans.get(subscription.plan));
    let product = reached.product.and_then(|product| caller.snapshot().products.get(product));
    let operation = product.and_then(|product| product.operations.get(reached.operation?));
    let method = draft.method.as_str();
    let method = match method.len() <= 16 && !method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        true => Cow::Borrowed(method),
        false => Cow::Owned(method.get(..16).unwrap_or(method).to_ascii_uppercase()),
    };
    UsageEvent {
        at: draft.at,
        request_id: Cow::Borrowed(&*draft.request_id),
        partner: partner.id,
        app: key.app,
        key: key.id,
        team: key.team,
        member: caller.member(),
        environment: key.environment,
        plan_version: plan.map(|plan| plan.id),
        product: product.map(|product| product.id),
        operation: operation.map(|operation| operation.id),
        method,
        path: Cow::Borrowed(operation.map_or("", |operation| &operation.path)),
        status: ending.status,
        outcome: ending.outcome,
        units: 0,
        credits: 0,
        period: None,
        bytes_in: 0,
        bytes_out: ending.bytes_out,
        duration_us: micros(duration),
        upstream_us: 0,
        epoch: core.shared.epoch,
        region: Cow::Borrowed(&core.shared.region),
        trace_id: draft.trace.as_ref().map(|trace| trace.trace_id).or(draft.trace_id),
        price_rule: Cow::Borrowed(""),
        meters: Vec::new(),
        allocated: None,
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
