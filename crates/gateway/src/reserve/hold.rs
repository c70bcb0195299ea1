//! Taking a call's units: from the quota, then from credit: what its app or team has for itself, then, where the allocation lets it, what only
//! calls of its product spend, and what is common to the partner ([`domain::credit::bound`] is the rule).
//!
//! What is held here is enough for all but a few calls. The few say [`No::Short`]: units are on their way, and the call
//! tries again when they have come.

use super::credit::{Credit, Part, Purse, Source};
use crate::{
    accept::Core,
    admit::Paced,
    authenticate::Caller,
    leases::{Account, Short, answered},
    matching::{self, Target},
    respond::{CreditLeft, QuotaStanding, Refusal, Standings},
    snapshot::{CurrentPeriod, Plan},
};
use domain::{
    credit::allocation::Holder, id::ProductId, period::Period, quota::Beyond, refusal::Code, usage::Allocated,
};
use jiff::Timestamp;
use metrics::Counter;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::timeout};

/// A call that still finds nothing after this is treated as if Postgres did not answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why a call has no reservation.
#[derive(Debug)]
pub(crate) enum No {
    Refused(Refusal),
    /// Wait, then try again.
    Short(Shortage),
}

/// Units that are on their way, and how long the call still waits for them.
#[derive(Debug)]
pub(crate) struct Shortage {
    answer: watch::Receiver<u64>,
    patience: Duration,
}

impl Shortage {
    /// Returns when they have come, or it is known that they do not.
    pub(crate) async fn over(self) {
        // Where it takes too long the next try says so.
        let _ = timeout(self.patience, answered(self.answer)).await;
    }
}

/// Units that were taken; given back on drop unless they were spent.
#[derive(Debug)]
pub(crate) struct Reservation {
    period: Period,
    quota: Part,
    credit: Option<Credit>,
    /// Where more is taken, at the end, than was reserved.
    limit: Option<u64>,
    /// Units beyond all that was left.
    beyond: u64,
    /// The credit, where the plan says how fast it may be spent.
    pub paced: Option<Paced>,
}

/// How a call's units were paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    pub credits: u64,
    /// Of those, the units that the app or team has for itself.
    pub allocated: Option<Allocated>,
    /// Units that the allowance did not have.
    pub overdraft: u64,
}

impl Reservation {
    /// The billing period that the units count in.
    pub(crate) const fn period(&self) -> Period {
        self.period
    }

    /// Units of credit that are held.
    pub(crate) fn credits(&self) -> u64 {
        self.credit.as_ref().map_or(0, Credit::units)
    }

    /// Of those, the units that the app or team has for itself.
    pub(crate) fn allocated(&self) -> Option<Allocated> {
        self.credit.as_ref().and_then(Credit::allocated)
    }

    /// Units that are held.
    pub(crate) fn units(&self) -> u64 {
        self.quota.units + self.credits()
    }

    /// Makes the units that are held those that were used: what is too much goes back, credit first; what is missing is
    /// taken, from the quota first. A call that was served is never refused afterwards, so what nobody has is overdraft.
    /// Says how many of the units are credit. They are kept by [`Self::spend`] only.
    pub(crate) fn adjust(&mut self, used: u64) -> Settled {
        let held = self.units();
        if held > used {
            let mut surplus = held - used;
            if let Some(credit) = &mut self.credit {
                let part = surplus.min(credit.units());
                credit.release(part);
                surplus -= part;
            }
            self.quota.release(surplus);
        } else if held < used {
            self.add(used - held);
        }
        let overdraft = self.beyond + self.quota.overdrawn + self.credit.as_ref().map_or(0, Credit::overdrawn);
        Settled { credits: self.credits(), allocated: self.allocated(), overdraft }
    }

    fn add(&mut self, missing: u64) {
        let Self { quota, credit, limit, beyond, .. } = self;
        let from_quota = match (&*limit, &credit) {
            // A quota that never refuses counts all, and credit without a quota takes all.
            (None, None) => {
                quota.account.count(missing);
                missing
            }
            (None, Some(_)) => 0,
            (Some(limit), _) => quota.account.take_up_to(missing, Some(*limit)),
        };
        quota.units += from_quota;
        let mut missing = missing - from_quota;
        let mut last = quota;
        if let Some(credit) = credit {
            missing -= credit.take_up_to(missing);
            // What nobody has is the partner's, never more than an allocation holds.
            last = &mut credit.common;
        }
        last.account.count(missing);
        last.units += missing;
        *beyond += missing;
    }

    /// The units are used and stay taken.
    pub(crate) fn spend(mut self) {
        let credits = self.credits();
        if let Some(paced) = self.paced.take() {
            paced.settle(credits);
        }
        (self.quota.units, self.quota.overdrawn) = (0, 0);
        self.credit.iter_mut().for_each(Credit::spent);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.quota.release(u64::MAX);
        if let Some(credit) = &mut self.credit {
            credit.release(u64::MAX);
        }
    }
}

/// Takes the units. They are counted where the plan has no quota too: the period's next plan may have one. `since` is when
/// the call began to wait for units.
pub(super) fn hold(
    core: &Core,
    asking: Asking<'_>,
    now: Timestamp,
    since: &mut Option<Instant>,
    standings: &mut Standings,
) -> Result<Option<Reservation>, No> {
    let Some((subscription, plan)) = matching::terms(asking.caller) else { return Ok(None) };
    let Some(current) = subscription.current(plan, now) else {
        let needed = plan.quota.is_some() || plan.takes_credit;
        return if needed { Err(No::Refused(Refusal::of(Code::NoSubscription))) } else { Ok(None) };
    };
    let partner = asking.caller.partner();
    let account = current.quota(partner.id, &core.shared.leases);
    let mut holding = Holding {
        overdraft: asking.overdraft,
        plan,
        units: asking.units,
        since,
        reset_seconds: reset(&current, now),
        exhausted: &core.shared.metrics.exhausted,
    };
    let hard =
        current.limit.filter(|quota| quota.beyond == Beyond::Block || current.takes_credit).map(|quota| quota.units);
    let period = current.period;
    let reserved = match current.takes_credit {
        false => holding.take_quota(account, hard),
        true => {
            let (leases, key) = (&core.shared.leases, asking.caller.key());
            let own = partner.allocation(key.app, key.team).map(|own| (own, own.account(leases)));
            let bound = asking.product.into_iter().flat_map(|product| partner.bound_to(product));
            let bound = bound.map(|one| (one, one.account(leases))).collect();
            holding.take_both(account, &Purse { own, bound, common: partner.credit(leases) }, hard, standings)
        }
    };
    let show = |used: u64, standings: &mut Standings| {
        // Right after a start nobody knows yet what was used before it.
        if let Some(quota) = current.limit.filter(|_| core.shared.leases.has_begun()) {
            standings.policy = current.policy.clone();
            standings.quota = Some(QuotaStanding { quota, used, reset_seconds: holding.reset_seconds });
        }
    };
    match reserved {
        Ok((used, quota, credit)) => {
            show(used, standings);
            Ok(Some(Reservation { period, quota, credit, limit: hard, beyond: 0, paced: None }))
        }
        Err(no) => {
            show(account.used(), standings);
            Err(no)
        }
    }
}

/// Who asks for units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub caller: &'a Caller,
    /// What it calls; `None` spends no credit that is for calls of some products.
    pub product: Option<ProductId>,
    pub units: u64,
    /// As in [`crate::snapshot::Product::overdraft`].
    pub overdraft: Option<u64>,
}

impl<'a> Asking<'a> {
    /// A call that is to be forwarded.
    pub(super) fn of(target: &'a Target, units: u64) -> Self {
        let product = target.product();
        Self { caller: &target.caller, product: Some(product.id), units, overdraft: product.overdraft }
    }
}

/// What a call asks for, and what its plan says.
struct Holding<'a> {
    overdraft: Option<u64>,
    plan: &'a Plan,
    units: u64,
    since: &'a mut Option<Instant>,
    reset_seconds: u64,
    /// Calls that found too little in what their app has for itself, or their team.
    exhausted: &'a [Counter; 2],
}

type Held = (u64, Part, Option<Credit>);

impl Holding<'_> {
    fn take_quota(&mut self, account: &Arc<Account>, hard: Option<u64>) -> Result<Held, No> {
        let units = self.units;
        let part = |overdrawn| Part { account: account.clone(), units, overdrawn };
        let Some(limit) = hard else { return Ok((account.count(self.units), part(0), None)) };
        if let Some(used) = account.take(self.units, hard) {
            return Ok((used, part(0), None));
        }
        match self.why_short(account, self.units, hard)? {
            Left::Nothing => Err(self.quota_exceeded(account, limit)),
            Left::Overdraft(used) => Ok((used, part(self.units), None)),
        }
    }

    fn take_both(
        &mut self,
        quota: &Arc<Account>,
        purse: &Purse<'_>,
        hard: Option<u64>,
        standings: &mut Standings,
    ) -> Result<Held, No> {
        let part = |account: &Arc<Account>, units, overdrawn| Part { account: account.clone(), units, overdrawn };
        let taken = hard.and_then(|_| quota.take(self.units, hard));
        if let Some(used) = taken {
            standings.credit = self.credit_left(purse);
            return Ok((used, part(quota, self.units, 0), Some(purse.credit(None, (0, 0)))));
        }
        let mut within = part(quota, 0, 0);
        if hard.is_some() {
            if let Left::Overdraft(used) = self.why_short(quota, self.units, hard)? {
                return Ok((used, part(quota, self.units, self.units), Some(purse.credit(None, (0, 0)))));
            }
            within.units = quota.take_up_to(self.units, hard);
        }
        let taken = self.take_credit(purse, self.units - within.units);
        standings.credit = self.credit_left(purse);
        match taken {
            Ok(from_credit) => Ok((quota.used(), within, Some(from_credit))),
            Err(no) => {
                within.release(u64::MAX);
                Err(no)
            }
        }
    }

    /// The first source that has all of it, else the first that has some with what is common, else what is common.
    fn take_credit(&mut self, purse: &Purse<'_>, units: u64) -> Result<Credit, No> {
        let mut pending = None;
        for source in purse.sources() {
            // While nobody knows what stands before it, nothing is taken of it.
            if pending.is_none() && source.account.take(units, None).is_some() {
                return Ok(purse.credit(Some((source, units)), (0, 0)));
            }
            if !purse.is_open() {
                return match self.why_short_of((source.account, purse.common), units, None)? {
                    Left::Nothing => Err(No::Refused(self.credit_exhausted(purse, units))),
                    Left::Overdraft(_) => Ok(purse.credit(None, (units, units))),
                };
            }
            // All are asked at once: one after the other, what the first said would be forgotten before the last has answered.
            if let Short::Wait(answer) = source.account.why_short(units, None) {
                pending.get_or_insert(answer);
            }
        }
        if let Some(no) = pending.and_then(|answer| self.wait(answer)) {
            return Err(no);
        }
        for source in purse.sources() {
            let part = source.account.take_up_to(units, None);
            if part == 0 {
                continue;
            }
            let taken = self.take_common(purse, Some((source, part)), units - part);
            if taken.is_err() {
                source.account.release(part);
            }
            if !matches!(taken, Err(No::Refused(_))) {
                return taken;
            }
        }
        self.take_common(purse, None, units)
    }

    fn take_common<'a>(
        &mut self,
        purse: &Purse<'a>,
        from: Option<(Source<'a>, u64)>,
        units: u64,
    ) -> Result<Credit, No> {
        if purse.common.take(units, None).is_some() {
            return Ok(purse.credit(from, (units, 0)));
        }
        match self.why_short(purse.common, units, None)? {
            Left::Nothing => Err(No::Refused(self.credit_exhausted(purse, from.map_or(0, |(_, part)| part) + units))),
            Left::Overdraft(_) => Ok(purse.credit(from, (units, units))),
        }
    }

    fn why_short(&mut self, account: &Arc<Account>, units: u64, limit: Option<u64>) -> Result<Left, No> {
        self.why_short_of((account, account), units, limit)
    }

    /// What is served on overdraft counts in the second account.
    fn why_short_of(
        &mut self,
        (account, in_debt): (&Arc<Account>, &Arc<Account>),
        units: u64,
        limit: Option<u64>,
    ) -> Result<Left, No> {
        match account.why_short(units, limit) {
            Short::Exhausted => return Ok(Left::Nothing),
            Short::Wait(answer) => {
                if let Some(no) = self.wait(answer) {
                    return Err(no);
                }
            }
            Short::Unknown => {}
        }
        let used = self.overdraft.and_then(|cap| in_debt.overdraw(units, cap));
        used.map(Left::Overdraft).ok_or_else(|| No::Refused(Refusal::of(Code::AllowanceUnavailable)))
    }

    /// `None` where the call has waited long enough.
    fn wait(&mut self, answer: watch::Receiver<u64>) -> Option<No> {
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        let patience = PATIENCE.checked_sub(waited).filter(|left| !left.is_zero())?;
        Some(No::Short(Shortage { answer, patience }))
    }

    fn quota_exceeded(&self, account: &Account, quota: u64) -> No {
        let detail = format!("{} of the period's {quota} units are used.", account.used().min(quota));
        let wait = u32::try_from(self.reset_seconds).unwrap_or(u32::MAX);
        No::Refused(Refusal::new(Code::QuotaExceeded, detail).retry_after(wait))
    }

    /// What this call may spend: its key's own, and where it may be taken what calls of its product have, and what is common.
    fn credit_left(&self, purse: &Purse<'_>) -> Option<CreditLeft> {
        // Each that nobody knows yet is asked for by this, so none waits for the one before it.
        let own = purse.own.map_or(Some(0), |(_, account)| account.left().map(|left| left.max(0)));
        if !purse.is_open() {
            return Some(CreditLeft { balance: own?, overdraft: 0, bound: None });
        }
        let mut bound = Some(0_i64);
        for (_, account) in &purse.bound {
            bound = account.left().zip(bound).map(|(left, sum)| sum.saturating_add(left.max(0)));
        }
        let common = self.common_left(purse.common);
        let (own, bound, CreditLeft { balance, overdraft, .. }) = (own?, bound?, common?);
        let balance = balance.saturating_add(own).saturating_add(bound);
        Some(CreditLeft { balance, overdraft, bound: (!purse.bound.is_empty()).then_some(bound.unsigned_abs()) })
    }

    /// What an exchange calls left has the plan's overdraft in it.
    fn common_left(&self, credit: &Arc<Account>) -> Option<CreditLeft> {
        let overdraft = self.plan.credit_overdraft;
        let balance = |left: i64| match overdraft {
            // Below zero it is by no plan's will: nothing is left.
            0 => left.max(0),
            _ => left.saturating_sub_unsigned(overdraft),
        };
        credit.left().map(|left| CreditLeft { balance: balance(left), overdraft, bound: None })
    }

    fn credit_exhausted(&self, purse: &Purse<'_>, units: u64) -> Refusal {
        let beyond = if self.plan.quota.is_some() { " beyond the quota" } else { "" };
        let own = purse.own.map(|(of, account)| (of, account.left().unwrap_or(0).max(0)));
        if let Some((of, left)) = own.filter(|_| !purse.is_open()) {
            let [of_app, of_team] = self.exhausted;
            let (whose, counter) = match of.of {
                Holder::App(_) => ("app", of_app),
                Holder::Team(_) => ("team", of_team),
            };
            counter.increment(1);
            let detail = format!(
                "The call needs {units} units of credit{beyond}, and {left} are left of those that its {whose} has for itself."
            );
            return Refusal::new(Code::CreditExhausted, detail);
        }
        let common = purse.common.left().unwrap_or(0).max(0);
        let bound =
            purse.bound.iter().map(|(_, account)| account.left().unwrap_or(0).max(0)).fold(0, i64::saturating_add);
        let left = own.map_or(0, |(_, left)| left).saturating_add(bound).saturating_add(common);
        // Who reads that more is left than is needed has to read why that does not do.
        let apart = if left.unsigned_abs() >= units {
            "; a call takes them of one allocation or list of products, and of what is common"
        } else {
            ""
        };
        let detail = match self.plan.credit_overdraft {
            0 => format!("The call needs {units} units of credit{beyond}, and {left} are left{apart}."),
            most => format!(
                "The call needs {units} units of credit{beyond}, and {left} are left before the balance is {most} below zero{apart}."
            ),
        };
        Refusal::new(Code::CreditExhausted, detail)
    }
}

/// What a call that found too little may do.
enum Left {
    Nothing,
    /// It is served on overdraft; that many units are used with it.
    Overdraft(u64),
}

fn reset(current: &CurrentPeriod, now: Timestamp) -> u64 {
    current.period.end.as_second().saturating_sub(now.as_second()).max(0).unsigned_abs()
}
