//! The directory compiled to look-up tables: immutable, shared by all cores, replaced as a whole.
//!
//! A snapshot that follows from another by a few changes shares with it what they do not concern, so that one change among
//! 100,000 keys costs what one change is worth. Live counters are not in it, so that a reload forgets nothing.

use crate::{
    admit::PlanAdmission,
    cache,
    cost::Cost,
    counting::Counting,
    leases::{Account, Leases},
    measure::Measure,
    observe::{PlanMetrics, ProductMetrics},
    router::Router,
    termination::Authorities,
};
use arc_swap::ArcSwapOption;
use domain::{
    allowance::Allowance,
    credit::{
        allocation::{Holder, Spend},
        bound::Purse,
    },
    directory::{Directory, KeyKind, ProductSecret, Touched, Unpaid, UpstreamHeader},
    dunning::Stage,
    id::{AllocationId, AppId, KeyId, OperationId, PartnerId, PlanVersionId, ProductId, TeamId},
    key_text::Environment,
    limit::{Limit, spending::SpendingRule},
    period::{Cycle, Period},
    policy::{FeatureGate, Idempotency, IdempotencyKey},
    product::Visibility,
    quota::{PeriodQuota, Quota},
    rating::trial,
};
use http::HeaderValue;
use jiff::Timestamp;
use std::{
    collections::HashSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

mod authorities;
mod bounds;
mod compile;
pub(crate) mod credentials;
mod keys;
mod partners;
mod patch;
mod routes;
mod upstream;

use bounds::Bounds;
use credentials::{Credentials, Entry};
use keys::Keys;
use partners::Partners;
use routes::Routes;
pub(crate) use upstream::{Target, Upstream};

/// Everything that one call is decided by.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    version: i64,
    keys: Keys,
    partners: Partners,
    pub(crate) plans: Arc<[Plan]>,
    pub(crate) products: Arc<[Arc<Product>]>,
    /// What is wrong with products.
    product_problems: Arc<[Problem]>,
    routes: Arc<Routes>,
    /// Who signs client certificates, of all products together.
    pub(crate) client_authorities: Authorities,
    pub(crate) credentials: Arc<Credentials>,
}

/// A value in the directory that is under the installation's key.
#[derive(Debug, Clone, Copy)]
pub enum Sealed<'a> {
    Header(&'a UpstreamHeader),
    Secret(&'a ProductSecret),
}

/// Something in the directory that the gateway cannot use. What it concerns is closed, everything else works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The product's or the plan's code, or the partner's id.
    pub subject: String,
    /// A sentence for the operator.
    pub message: String,
}

#[derive(Debug)]
pub(crate) struct Key {
    pub id: KeyId,
    /// The partner's place.
    pub partner: usize,
    pub app: AppId,
    pub team: Option<TeamId>,
    pub environment: Environment,
    pub kind: KeyKind,
    pub bounds: Option<Box<Bounds>>,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

#[derive(Debug)]
pub(crate) struct Partner {
    pub id: PartnerId,
    pub suspended: bool,
    /// What an unpaid invoice has made of it.
    pub unpaid: Option<Unpaid>,
    pub subscription: Option<Subscription>,
    credit: OnceLock<Arc<Account>>,
    /// Credit that apps and teams have for themselves, in the order of whose it is; empty for most.
    allocations: Box<[Allocation]>,
    /// Credit that only calls of some products spend, in the order in which it is spent; empty for most.
    bound: Box<[Bound]>,
}

/// Credit of one app or team.
#[derive(Debug)]
pub(crate) struct Allocation {
    pub id: AllocationId,
    pub of: Holder,
    pub spend: Spend,
    partner: PartnerId,
    account: OnceLock<Arc<Account>>,
}

/// Credit for calls of some products.
#[derive(Debug)]
pub(crate) struct Bound {
    purse: Purse,
    partner: PartnerId,
    account: OnceLock<Arc<Account>>,
}

#[derive(Debug)]
pub(crate) struct Subscription {
    pub plan: usize,
    cycle: Cycle,
    /// Since when units count in the period that holds this instant.
    counts_from: Option<Timestamp>,
    /// Where one period has another quota than the plan.
    own_quota: Option<PeriodQuota>,
    trial_until: Option<Timestamp>,
    ends_at: Option<Timestamp>,
    /// The plan with what is kept of the one before.
    kept: Option<Kept>,
    current: ArcSwapOption<CurrentPeriod>,
}

/// A plan for some days.
#[derive(Debug)]
struct Kept {
    until: Timestamp,
    plan: Box<Plan>,
}

/// The running billing period and what follows from it, kept because calendars are slow.
#[derive(Debug)]
pub(crate) struct CurrentPeriod {
    pub period: Period,
    /// The RateLimit-Policy field of live calls, quota included.
    pub policy: Option<HeaderValue>,
    /// How many units the plan holds in it, and what happens beyond.
    pub limit: Option<Quota>,
    /// Whether units beyond that take credit: what a trial makes free takes none.
    pub takes_credit: bool,
    /// Whether the policy is that of what is kept.
    is_kept: bool,
    quota: OnceLock<Arc<Account>>,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub id: PlanVersionId,
    pub code: String,
    pub name: String,
    pub limits: Vec<Limit>,
    pub quota: Option<Quota>,
    /// In place of it while the plan is tried.
    pub trial_quota: Option<Quota>,
    /// What is admitted beyond the partner's limits; `None` for most.
    pub admission: Option<Box<PlanAdmission>>,
    /// What gates of operations ask for.
    pub features: HashSet<String>,
    /// Units beyond the quota, or all where there is none, take credit; see [`CurrentPeriod::takes_credit`].
    pub takes_credit: bool,
    /// Whether usage costs nothing while the plan is tried.
    pub trial_frees_usage: bool,
    /// Units below zero that its balance may go to.
    pub credit_overdraft: u64,
    /// How fast; `None` as fast as it is used.
    pub credit_pace: Option<SpendingRule>,
    /// The RateLimit-Policy field of test calls, which use no quota.
    pub limits_policy: Option<HeaderValue>,
    /// The same with lowered limits, for partners that did not pay; `None` where the plan lowers none.
    lowered: Option<Box<Self>>,
    /// Whether it has limits and features of a plan before.
    is_kept: bool,
    /// By product; `None` where the plan does not open it.
    grants: Vec<Option<Grant>>,
    pub metrics: PlanMetrics,
}

#[derive(Debug)]
enum Grant {
    All,
    Some(Box<[bool]>),
}

#[derive(Debug)]
pub(crate) struct Product {
    pub id: ProductId,
    pub visibility: Visibility,
    invited: HashSet<PartnerId>,
    pub route_bytes: usize,
    pub operations: Vec<Operation>,
    pub router: Router,
    /// `None` where one API key is the whole story.
    pub entry: Option<Box<Entry>>,
    /// `None` where the address or a header cannot be used: the product answers 502.
    pub upstream: Option<Upstream>,
    /// Units of each allowance that are served while nobody can say whether any are left; `None` refuses.
    pub overdraft: Option<u64>,
    /// `None` keeps no answers.
    pub cache: Option<cache::Rules>,
    /// Which calls cost units.
    pub counting: Counting,
    pub route: String,
    /// How long its operations' answers are kept for retries.
    pub idempotency: Idempotency,
    pub metrics: ProductMetrics,
    /// Calls at its upstream at once, on each core; `None` takes the installation's bound.
    pub max_in_flight: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Operation {
    pub id: OperationId,
    pub method: http::Method,
    pub path: String,
    pub weight: u64,
    /// Units that are held before the call; the weight where no cost is measured.
    pub reserved: u64,
    /// How the answer says what it costs; `None` is the weight.
    pub cost: Option<Cost>,
    /// What it counts for besides units; empty for most.
    pub meters: Vec<Measure>,
    /// Whether its cost or a meter has to look at the answer before it is passed on, and whether at its JSON body.
    pub reads_answer: bool,
    pub reads_json: bool,
    /// How its units come about, in a word that its events keep.
    pub price_rule: String,
    /// Features that it, or some of its parameters, need.
    pub gates: Vec<FeatureGate>,
    /// What a key with scopes has to have.
    pub scope: Option<String>,
    pub idempotency_key: IdempotencyKey,
    /// The wait for the answer's end, where it is not the product's.
    pub total: Option<Duration>,
    pub never_cached: bool,
}

impl Snapshot {
    /// Compiles the directory. `unseal` opens what is sealed in it.
    ///
    /// It never fails as a whole, so that one bad address cannot keep a revoked key alive: what cannot be used is closed and
    /// named in [`Self::problems`], which the caller logs.
    pub fn compile(directory: &Directory, unseal: &dyn Fn(Sealed<'_>) -> Result<Vec<u8>, String>) -> Self {
        compile::compile(directory, unseal)
    }

    /// What [`Self::compile`] makes of a directory that follows from this snapshot's by the changes of `touched`, in a time
    /// that goes by their number. Both directories' lists are in order.
    pub fn patch(
        &self,
        directory: &Directory,
        touched: &Touched,
        unseal: &dyn Fn(Sealed<'_>) -> Result<Vec<u8>, String>,
    ) -> Self {
        patch::patch(self, directory, touched, unseal).unwrap_or_else(|| compile::compile(directory, unseal))
    }

    /// The directory's version.
    pub const fn version(&self) -> i64 {
        self.version
    }

    pub fn problems(&self) -> Vec<Problem> {
        self.product_problems.iter().chain(self.partners.problems()).chain(self.keys.problems()).cloned().collect()
    }

    /// The key's place.
    pub(crate) fn key_by_hash(&self, hash: &[u8; 32]) -> Option<usize> {
        self.keys.by_hash(hash)
    }

    /// The key's place.
    pub(crate) fn key_by_id(&self, id: KeyId) -> Option<usize> {
        self.keys.by_id(id)
    }

    pub(crate) fn key(&self, place: usize) -> &Key {
        self.keys.at(place)
    }

    pub(crate) fn partner_of(&self, key: &Key) -> &Partner {
        self.partners.at(key.partner)
    }

    /// The product with the longest route that the path begins with, whole segments only.
    pub(crate) fn product_at(&self, path: &str) -> Option<usize> {
        self.routes.product_at(path)
    }
}

impl Subscription {
    /// Whether its planned end has come, whoever carries that out.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }

    /// The billing period that holds `now`, or what of it counts.
    pub(crate) fn current(&self, plan: &Plan, now: Timestamp) -> Option<Arc<CurrentPeriod>> {
        let known = self.current.load();
        if let Some(current) =
            known.as_ref().filter(|known| known.period.contains(now) && known.is_kept == plan.is_kept)
        {
            return Some(current.clone());
        }
        let period = self.cycle.counted_at(now, self.counts_from).ok()?;
        let in_trial = trial::is_in(self.trial_until, period);
        let of_trial = plan.trial_quota.filter(|_| in_trial);
        let limit = of_trial.or_else(|| plan.quota.map(|quota| quota.in_period(self.own_quota, period.end)));
        let policy = crate::respond::policy(plan.scopes(), limit.map(|quota| (quota, period)));
        let takes_credit = plan.takes_credit && !(in_trial && plan.trial_frees_usage);
        let (is_kept, quota) = (plan.is_kept, OnceLock::new());
        let current = Arc::new(CurrentPeriod { period, policy, limit, takes_credit, is_kept, quota });
        self.current.store(Some(current.clone()));
        Some(current)
    }
}

impl CurrentPeriod {
    /// Where the partner's units of the period are counted.
    pub(crate) fn quota(&self, partner: PartnerId, leases: &Leases) -> &Arc<Account> {
        self.quota.get_or_init(|| leases.account(Allowance::quota(partner, self.period)))
    }
}

impl Partner {
    /// The plan as it is for this partner, with what is kept of the one before or without. Who does not pay keeps nothing.
    pub(crate) fn own<'a>(&'a self, plan: &'a Plan, keeps: bool) -> &'a Plan {
        let limited = self.unpaid.is_some_and(|unpaid| unpaid.stage == Stage::Limited);
        let kept = self.subscription.as_ref().and_then(|own| own.kept.as_ref()).filter(|_| keeps);
        let other = if limited { plan.lowered.as_deref() } else { kept.map(|kept| &*kept.plan) };
        other.unwrap_or(plan)
    }

    /// Whether something is kept of the plan before, by the clock of this node.
    pub(crate) fn keeps(&self, now: Timestamp) -> bool {
        let kept = self.subscription.as_ref().and_then(|own| own.kept.as_ref());
        kept.is_some_and(|kept| now < kept.until)
    }

    /// The invoice for which its calls are refused.
    pub(crate) fn refused_for(&self) -> Option<Unpaid> {
        self.unpaid.filter(|unpaid| unpaid.stage == Stage::Suspended)
    }

    /// The credit that keys of that app spend before what is common to the partner, or in its place.
    pub(crate) fn allocation(&self, app: AppId, team: Option<TeamId>) -> Option<&Allocation> {
        if self.allocations.is_empty() {
            return None;
        }
        let of = |holder: Holder| self.allocations.binary_search_by_key(&holder, |one| one.of).ok();
        let place = of(Holder::App(app)).or_else(|| of(Holder::Team(team?)))?;
        self.allocations.get(place)
    }

    /// The credit that calls of that product may spend and others may not, in the order in which it is spent.
    pub(crate) fn bound_to(&self, product: ProductId) -> impl Iterator<Item = &Bound> {
        self.bound.iter().filter(move |one| one.purse.pays_for(product))
    }

    /// Where the credit that is common to the partner is counted.
    pub(crate) fn credit(&self, leases: &Leases) -> &Arc<Account> {
        self.credit.get_or_init(|| leases.account(Allowance::credit(self.id)))
    }
}

impl Allocation {
    /// Where it is counted.
    pub(crate) fn account(&self, leases: &Leases) -> &Arc<Account> {
        self.account.get_or_init(|| leases.account(Allowance::allocation(self.partner, self.id)))
    }
}

impl Bound {
    pub(crate) const fn id(&self) -> AllocationId {
        self.purse.id
    }

    /// Where it is counted.
    pub(crate) fn account(&self, leases: &Leases) -> &Arc<Account> {
        self.account.get_or_init(|| leases.account(Allowance::allocation(self.partner, self.purse.id)))
    }
}

impl Plan {
    pub(crate) fn opens_some_of(&self, product: usize) -> bool {
        self.grants.get(product).is_some_and(Option::is_some)
    }

    pub(crate) fn opens(&self, product: usize, operation: usize) -> bool {
        match self.grants.get(product) {
            Some(Some(Grant::All)) => true,
            Some(Some(Grant::Some(open))) => open.get(operation).copied().unwrap_or(false),
            _ => false,
        }
    }
}

impl Product {
    /// How long its upstream may take to begin an answer.
    pub(crate) fn patience(&self) -> Duration {
        self.upstream.as_ref().map_or(Duration::ZERO, |upstream| upstream.timeout)
    }

    /// Whether the partner may know that the product exists, given whether its plan opens it.
    pub(crate) fn is_known_to(&self, partner: PartnerId, plan_opens: bool) -> bool {
        match self.visibility {
            Visibility::Public => true,
            Visibility::Plan => plan_opens,
            Visibility::Invitation => plan_opens && self.invited.contains(&partner),
        }
    }
}

#[cfg(test)]
mod tests;
