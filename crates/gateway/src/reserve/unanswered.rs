//! A call that waits after its caller is known: for room in a limit, or for units. If its client leaves meanwhile, the call
//! has nothing that would record it but this.

use super::{Draft, Ending, event};
use crate::{
    accept::Core,
    matching::Target,
    watch::{self, Sums},
};
use domain::usage::Outcome;

/// Held while the call waits; its drop records that the client left.
pub(crate) struct Unanswered<'a> {
    core: &'a Core,
    target: &'a Target,
    draft: &'a Draft,
}

impl<'a> Unanswered<'a> {
    pub(crate) const fn new(core: &'a Core, target: &'a Target, draft: &'a Draft) -> Self {
        Self { core, target, draft }
    }

    /// The wait is over, and whoever goes on records the call.
    pub(crate) fn over(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let Self { core, target, draft } = self;
        let (duration, reached) = (draft.arrived.elapsed(), target.reached());
        // The status that proxies' logs give a client that left before its answer.
        let ending = Ending { status: 499, outcome: Outcome::ClientGone, bytes_out: 0 };
        target.product().metrics.count(ending.outcome, ending.status, duration);
        core.shared.metrics.count_partner(target.caller.partner().id, ending.outcome, ending.status);
        if let Some((_, plan)) = target.terms() {
            plan.metrics.count(ending.outcome, ending.status);
        }
        watch::tell(&core.shared, draft, Some(&target.caller), reached, ending, Sums { duration, ..Sums::default() });
        let event = event(core, draft, &target.caller, reached, ending, duration);
        let fits = core.shared.recorder.has_room(core.index);
        if !fits || core.shared.recorder.record(core.index, &event).is_err() {
            core.shared.metrics.unrecorded.increment(1);
        }
        draft.recorded.set(true);
    }
}
