//! The gradual throttle: near a limit a call waits a little, and counts when it is let through.
//!
//! It holds no lock while it waits. A caller has a bounded number of calls waiting, all of them bounded in time; a client
//! that leaves meanwhile costs nothing, and its call is recorded all the same.

use super::{count, refusal, stand};
use crate::{
    accept::Core,
    live::{Kind, Live},
    matching::Target,
    reserve::{Draft, Unanswered},
    respond::{Refusal, Standings},
};
use domain::{
    limit::caller::{Caller, Rules},
    policy::Throttle,
    refusal::Code,
};
use std::{rc::Rc, sync::Arc, time::Duration};
use tokio::time::sleep;

/// Calls of one partner and environment that may wait at once, on this node.
const PLACES: u32 = 256;

const NANOSECONDS: u64 = 1_000_000;

/// A call that may have to wait.
pub(super) struct Waiting<'w, 'a> {
    pub core: &'w Rc<Core>,
    pub target: &'a Target,
    pub draft: &'w Draft,
    pub live: &'w Arc<Live>,
    pub rules: &'w Rules<'a>,
    pub caller: Caller,
}

impl Waiting<'_, '_> {
    /// The time at which the call was counted, after at most the throttle's delay.
    pub(super) async fn admit(&self, throttle: Throttle, standings: &mut Standings) -> Result<u64, Refusal> {
        let longest = u64::from(throttle.max_delay_ms) * NANOSECONDS;
        let began = self.core.shared.monotonic();
        let wait = {
            let mut counts = self.live.counts();
            stand(&mut counts, self.rules, self.caller, began, standings);
            let delay = counts.delay(self.rules, self.caller, throttle, began) * NANOSECONDS;
            match counts.check(self.rules, self.caller, began) {
                Ok(()) if delay == 0 => {
                    return count(&mut counts, self.rules, self.caller, began, standings)
                        .map_err(|reached| refusal(reached, self.rules));
                }
                Ok(()) => delay,
                Err((_, reached)) if reached.wait <= longest => delay.max(reached.wait),
                Err(reached) => return Err(refusal(reached, self.rules)),
            }
        };
        let Some(_place) = self.live.enter(Kind::Waiting, PLACES) else {
            let detail = format!("{PLACES} calls of yours wait already, near the plan's limit.");
            return Err(Refusal::new(Code::LimitExceeded, detail).retry_after(1));
        };
        let unanswered = Unanswered::new(self.core, self.target, self.draft);
        let counted = self.wait(wait, began.saturating_add(longest), standings).await;
        unanswered.over();
        counted
    }

    async fn wait(&self, mut wait: u64, deadline: u64, standings: &mut Standings) -> Result<u64, Refusal> {
        loop {
            sleep(Duration::from_nanos(wait)).await;
            let now = self.core.shared.monotonic();
            match count(&mut self.live.counts(), self.rules, self.caller, now, standings) {
                Ok(at) => return Ok(at),
                // Others that waited as well were first.
                Err((_, reached)) if now.saturating_add(reached.wait) <= deadline => wait = reached.wait,
                Err(reached) => return Err(refusal(reached, self.rules)),
            }
        }
    }
}
