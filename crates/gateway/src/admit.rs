//! Admission: checks that spend nothing. The features that the plan opens, calls in flight, then every limit at once.
//!
//! An [`Admission`] has counted the call. Whoever refuses it after all withdraws it, and a drop does the same, so that a
//! refused call uses no limit.

use crate::{
    accept::Core,
    live::{Kind, Live, Place},
    matching::Target,
    reserve::Draft,
    respond::{Refusal, Standings},
};
use domain::{
    limit::{
        caller::{Caller, Counts, Rules, Scope},
        sliding::{Reached, Standing},
    },
    policy::Pace,
    refusal::Code,
};
use std::{rc::Rc, sync::Arc};

mod credit;
mod gate;
mod plan;
mod throttle;

pub(crate) use credit::{Paced, pace};
pub(crate) use plan::{PlanAdmission, credit_pace};

/// Every check said yes, and every limit has counted the call.
#[derive(Debug)]
pub(crate) struct Admission<'a> {
    /// `None` where nothing limits the call, or once it is kept.
    counted: Option<Counted<'a>>,
    /// The call's place among those that the partner may have in flight.
    pub in_flight: Option<Place>,
}

#[derive(Debug)]
struct Counted<'a> {
    live: Arc<Live>,
    rules: Rules<'a>,
    caller: Caller,
    at: u64,
}

/// Admits the call, at once or after the delay that its plan asks for near a limit.
pub(crate) async fn admit<'a>(
    core: &Rc<Core>,
    target: &'a Target,
    draft: &Draft,
    query: Option<&str>,
    standings: &mut Standings,
) -> Result<Admission<'a>, Refusal> {
    let Some((_, plan)) = target.terms() else { return Ok(Admission { counted: None, in_flight: None }) };
    standings.policy = plan.limits_policy.clone();
    let gates = &target.operation().gates;
    if !gates.is_empty() {
        gate::check(gates, plan, query)?;
    }
    let (key, partner) = (target.caller.key(), target.caller.partner().id);
    let share = core.shared.share.of(partner.0.as_u128());
    let rules = plan.rules(share);
    if rules.is_empty() && plan.admission.is_none() {
        return Ok(Admission { counted: None, in_flight: None });
    }
    let live = core.shared.limits.of(partner, key.environment);
    let caller = Caller { app: key.app, key: key.id };
    let Some(own) = &plan.admission else {
        let at = count(&mut live.counts(), &rules, caller, core.shared.monotonic(), standings)
            .map_err(|reached| refusal(reached, &rules))?;
        return Ok(Admission { counted: Some(Counted { live, rules, caller, at }), in_flight: None });
    };
    let in_flight = own.concurrency.map(|calls| {
        let detail = move || format!("{calls} calls of yours are in flight, as many as the plan allows at once.");
        let refused = || Refusal::new(Code::ConcurrencyExceeded, detail()).retry_after(1);
        live.enter(Kind::InFlight, calls).ok_or_else(refused)
    });
    let in_flight = in_flight.transpose()?;
    let at = match own.pace {
        Pace { soft: true, .. } => tell(core, own, &live, &rules, caller, standings),
        Pace { throttle: Some(throttle), .. } => {
            let waiting = throttle::Waiting { core, target, draft, live: &live, rules: &rules, caller };
            Box::pin(waiting.admit(throttle, standings)).await?
        }
        _ => count(&mut live.counts(), &rules, caller, core.shared.monotonic(), standings)
            .map_err(|reached| refusal(reached, &rules))?,
    };
    Ok(Admission { counted: Some(Counted { live, rules, caller, at }), in_flight })
}

/// Counts the call if every limit has room, and says how the limits stand either way.
fn count(
    counts: &mut Counts,
    rules: &Rules<'_>,
    caller: Caller,
    now: u64,
    standings: &mut Standings,
) -> Result<u64, (Scope, Reached)> {
    let counted = counts.admit(rules, caller, now);
    match counted {
        Ok(at) if rules.app.is_empty() && rules.key.is_empty() => put(counts.standings_after(rules, at), standings),
        _ => stand(counts, rules, caller, now, standings),
    }
    counted
}

/// Limits that only tell: counts the call whatever they say, and warns where one is passed.
fn tell(
    core: &Core,
    own: &PlanAdmission,
    live: &Live,
    rules: &Rules<'_>,
    caller: Caller,
    standings: &mut Standings,
) -> u64 {
    let now = core.shared.monotonic();
    let mut counts = live.counts();
    if let Err((scope, reached)) = counts.check(rules, caller, now) {
        standings.warning =
            Some(format!("{}{} limit of {} passed", scope.prefix(), reached.limit.window.code(), reached.limit.calls));
        own.passed.increment(1);
    }
    let at = counts.count(rules, caller, now);
    stand(&mut counts, rules, caller, now, standings);
    at
}

fn stand(counts: &mut Counts, rules: &Rules<'_>, caller: Caller, now: u64, standings: &mut Standings) {
    put(counts.standings(rules, now), standings);
    if !rules.app.is_empty() || !rules.key.is_empty() {
        standings.own = counts.own_standings(rules, caller, now);
    }
}

fn put(partners: impl Iterator<Item = Standing>, standings: &mut Standings) {
    standings.limits = [None; 4];
    standings.limits.iter_mut().zip(partners).for_each(|(slot, standing)| *slot = Some(standing));
}

fn refusal((scope, reached): (Scope, Reached), rules: &Rules<'_>) -> Refusal {
    let whose = match scope {
        Scope::Partner => "",
        Scope::App => " for each app",
        Scope::Key => " for each key",
    };
    let limit = reached.limit;
    let detail = match rules.share.calls(limit.calls) {
        0 => format!(
            "The plan's limit of {limit}{whose} is smaller than the number of gateways, and this one has no part in it."
        ),
        _ => format!("The plan's limit of {limit}{whose} is reached."),
    };
    Refusal::new(Code::LimitExceeded, detail).retry_after(reached.retry_after_seconds())
}

impl Admission<'_> {
    /// The call goes on: what was counted stays.
    pub(crate) fn keep(mut self) {
        self.counted = None;
    }

    /// The call is refused after all: what was counted is taken back.
    pub(crate) fn withdraw(mut self, standings: &mut Standings) {
        if let Some(Counted { live, rules, caller, at }) = self.counted.take() {
            let mut counts = live.counts();
            counts.withdraw(&rules, caller, at);
            stand(&mut counts, &rules, caller, at, standings);
        }
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if let Some(Counted { live, rules, caller, at }) = self.counted.take() {
            live.counts().withdraw(&rules, caller, at);
        }
    }
}
