//! Which target a call goes to: by weight, smoothly, and never to one that is out while another is in.

use super::{
    breaker::Stand,
    live::{LiveTarget, LiveUpstream},
};
use domain::policy::Breaker as Settings;
use std::sync::atomic::Ordering::Relaxed;

/// The most targets of a product; the rest is named as a problem and not used.
pub(crate) const MAX_TARGETS: usize = 64;

/// No target can take a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoTarget {
    /// Seconds until one may be tried.
    pub retry_after: u32,
}

/// Targets that a call has been sent to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tried(u64);

impl Tried {
    pub(crate) const fn add(&mut self, target: usize) {
        self.0 |= 1 << (target % MAX_TARGETS);
    }

    const fn has(self, target: usize) -> bool {
        self.0 & (1 << (target % MAX_TARGETS)) != 0
    }

    const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The target of a call on that core: one that was not tried before, where there is one. `now` is asked for only where
/// something is wrong.
///
/// # Errors
/// All targets are out.
pub(crate) fn choose(
    live: &LiveUpstream,
    weights: &[u32],
    settings: &Settings,
    core: usize,
    tried: Tried,
    now: impl Fn() -> u64,
) -> Result<usize, NoTarget> {
    if let [only] = &*live.targets
        && only.is_well()
    {
        return Ok(0);
    }
    let now = if live.targets.iter().all(|target| target.is_well()) { 0 } else { now() };
    let mut lost = Tried::default();
    loop {
        let open = |index: usize| !lost.has(index) && stand(&live.targets[index], now).is_none();
        let fresh = |index: usize| open(index) && !tried.has(index);
        let all = 0..live.targets.len().min(MAX_TARGETS);
        let chosen = match all.clone().any(|index| weights.get(index) > Some(&0) && fresh(index)) {
            true => take_turn(live, weights, core, fresh),
            false if tried.is_empty() => None,
            false => take_turn(live, weights, core, open),
        };
        let Some(index) = chosen else { return Err(nobody(live, settings, now)) };
        let breaker = &live.targets[index].breaker;
        if breaker.stand(now) == Stand::Closed || breaker.claim_trial(settings, now) {
            return Ok(index);
        }
        lost.add(index);
    }
}

/// Whether a call could go anywhere now.
///
/// # Errors
/// All targets are out.
pub(crate) fn check(live: &LiveUpstream, settings: &Settings, now: u64) -> Result<(), NoTarget> {
    match live.targets.iter().any(|target| stand(target, now).is_none()) {
        true => Ok(()),
        false => Err(nobody(live, settings, now)),
    }
}

fn nobody(live: &LiveUpstream, settings: &Settings, now: u64) -> NoTarget {
    let waits = live.targets.iter().filter_map(|target| stand(target, now));
    let wait = waits.min().unwrap_or(settings.open_ms.into()).div_ceil(1_000).max(1);
    NoTarget { retry_after: u32::try_from(wait).unwrap_or(u32::MAX) }
}

/// For how many milliseconds the target is out; `None` if a call may go there.
fn stand(target: &LiveTarget, now: u64) -> Option<u64> {
    const UNTIL_THE_NEXT_CHECK: u64 = 5_000;
    if target.sick.load(Relaxed) {
        return Some(UNTIL_THE_NEXT_CHECK);
    }
    match target.breaker.stand(now) {
        Stand::Open(wait) => Some(wait),
        Stand::Closed | Stand::Due => None,
    }
}

/// Smooth weighted turns: everybody gains its weight, the richest goes and pays what all gained. Over a round each goes as
/// often as it weighs, and the heavy do not go in a row.
fn take_turn(live: &LiveUpstream, weights: &[u32], core: usize, takes_part: impl Fn(usize) -> bool) -> Option<usize> {
    let turns = &live.on_core(core)?.turns;
    let mut total = 0;
    let mut best: Option<(usize, i64)> = None;
    for (index, (turn, weight)) in turns.iter().zip(weights).enumerate().take(MAX_TARGETS) {
        let weight = i64::from(*weight);
        if weight == 0 || !takes_part(index) {
            continue;
        }
        total += weight;
        let gained = turn.load(Relaxed) + weight;
        turn.store(gained, Relaxed);
        if best.is_none_or(|(_, most)| gained > most) {
            best = Some((index, gained));
        }
    }
    let (index, gained) = best?;
    turns[index].store(gained - total, Relaxed);
    Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{breaker::Stage, live::LiveUpstreams};
    use domain::id::ProductId;
    use std::sync::Arc;
    use uuid::Uuid;

    const SETTINGS: Settings = Settings { failures: 1, open_ms: 2_500 };

    fn upstream(targets: usize) -> Arc<LiveUpstream> {
        let urls: Vec<String> = (0..targets).map(|number| format!("http://{number}")).collect();
        LiveUpstreams::new(2).of(ProductId(Uuid::nil()), urls.iter().map(String::as_str))
    }

    fn pick(live: &LiveUpstream, weights: &[u32], now: u64) -> Result<usize, NoTarget> {
        choose(live, weights, &SETTINGS, 0, Tried::default(), || now)
    }

    fn counts(live: &LiveUpstream, weights: &[u32], calls: usize, now: u64) -> Vec<usize> {
        let mut counts = vec![0; weights.len()];
        (0..calls).for_each(|_| counts[pick(live, weights, now).expect("a target")] += 1);
        counts
    }

    #[test]
    fn each_target_gets_its_weight_and_the_heavy_one_does_not_go_in_a_row() {
        let live = upstream(3);
        let order: Vec<usize> = (0..7).map(|_| pick(&live, &[5, 1, 1], 0).expect("a target")).collect();
        assert_eq!(order, [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(counts(&live, &[5, 1, 1], 700, 0), [500, 100, 100]);
        assert_eq!(counts(&live, &[0, 1, 3], 400, 0), [0, 100, 300]);
    }

    #[test]
    fn calls_of_a_target_that_is_out_go_to_the_others_by_their_weights() {
        let live = upstream(3);
        live.targets[0].breaker.fail(&SETTINGS, 0, Stage::Head);
        assert_eq!(counts(&live, &[5, 1, 3], 400, 10), [0, 100, 300]);
        live.targets[2].sick.store(true, Relaxed);
        assert_eq!(counts(&live, &[5, 1, 3], 10, 10), [0, 10, 0]);
        // One call tries what was open for long enough; the others wait for its outcome.
        let tries = counts(&live, &[5, 1, 3], 100, 2_500);
        assert_eq!(tries, [1, 99, 0]);
        live.targets[0].breaker.answered();
        assert_eq!(counts(&live, &[5, 1, 3], 600, 2_600), [500, 100, 0]);
    }

    #[test]
    fn where_all_are_out_the_answer_says_when_one_may_be_tried() {
        let live = upstream(2);
        live.targets[0].breaker.fail(&SETTINGS, 0, Stage::Head);
        live.targets[1].breaker.fail(&SETTINGS, 1_000, Stage::Head);
        assert_eq!(pick(&live, &[1, 1], 1_001), Err(NoTarget { retry_after: 2 }));
        assert_eq!(pick(&live, &[1, 1], 2_499), Err(NoTarget { retry_after: 1 }));
        assert_eq!(pick(&live, &[1, 1], 2_500), Ok(0));
        let sick = upstream(1);
        sick.targets[0].sick.store(true, Relaxed);
        assert_eq!(pick(&sick, &[1], 0), Err(NoTarget { retry_after: 5 }));
    }

    #[test]
    fn a_call_that_is_sent_again_goes_elsewhere_if_there_is_an_elsewhere() {
        let live = upstream(2);
        let mut tried = Tried::default();
        tried.add(0);
        let again = |tried| choose(&live, &[9, 1], &SETTINGS, 0, tried, || 0).expect("a target");
        (0..20).for_each(|_| assert_eq!(again(tried), 1));
        tried.add(1);
        let both: Vec<usize> = (0..10).map(|_| again(tried)).collect();
        assert!(both.contains(&0) && both.contains(&1));
        let single = upstream(1);
        assert_eq!(choose(&single, &[1], &SETTINGS, 0, Tried(1), || 0), Ok(0));
    }
}
