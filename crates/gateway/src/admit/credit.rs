//! How fast credit is spent, where the plan says: after the units were taken, before the call goes on.

use crate::{accept::Core, live::Live, matching::Target, reserve::Reservation, respond::Refusal};
use domain::{
    limit::spending::{SpendingRule, TooFast},
    refusal::Code,
};
use std::sync::Arc;

/// Credit that counts in the partner's last minute; given back on drop as far as it was not spent.
#[derive(Debug)]
pub(crate) struct Paced {
    live: Arc<Live>,
    rule: SpendingRule,
    units: u32,
    at: u64,
}

/// Counts the credit that the call holds, or gives all of its units back. What a call costs beyond its reserve is spent,
/// and not counted here.
pub(crate) fn pace(core: &Core, target: &Target, held: Option<Reservation>) -> Result<Option<Reservation>, Refusal> {
    let rule = target.terms().and_then(|(_, plan)| plan.credit_pace);
    let Some(rule) = rule else { return Ok(held) };
    let Some(mut reservation) = held else { return Ok(None) };
    let credits = reservation.credits();
    if credits == 0 {
        return Ok(Some(reservation));
    }
    let live = core.shared.limits.of(target.caller.partner().id, target.caller.key().environment);
    let units = u32::try_from(credits).unwrap_or(u32::MAX);
    let spent = live.spending().spend(rule, units, core.shared.monotonic());
    match spent {
        Ok(at) => {
            reservation.paced = Some(Paced { live, rule, units, at });
            Ok(Some(reservation))
        }
        Err(TooFast::Wait(wait)) => {
            let detail = format!("The plan spends at most {} units of credit a minute.", rule.most);
            let seconds = u32::try_from(wait.div_ceil(1_000_000_000)).unwrap_or(u32::MAX);
            Err(Refusal::new(Code::LimitExceeded, detail).retry_after(seconds.max(1)))
        }
        Err(TooFast::Never) => {
            let most = rule.most;
            let detail =
                format!("The call needs {credits} units of credit, and the plan spends at most {most} a minute.");
            Err(Refusal::new(Code::LimitExceeded, detail).retry_after(60))
        }
    }
}

impl Paced {
    /// So many of the units were spent.
    pub(crate) fn settle(mut self, credits: u64) {
        self.units = self.units.saturating_sub(u32::try_from(credits).unwrap_or(u32::MAX));
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        if self.units > 0 {
            self.live.spending().withdraw(self.rule, self.units, self.at);
        }
    }
}
