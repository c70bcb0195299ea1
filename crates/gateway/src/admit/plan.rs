//! What a plan's admission is compiled to; plans with limits for the partner only have none.

use crate::snapshot::Plan;
use domain::{
    limit::{
        Limit,
        caller::{Rules, Scope},
        rule::Share,
        spending::SpendingRule,
    },
    plan::PlanTerms,
    policy::{Admission, Credit, Pace, Preset},
};
use metrics::{Counter, counter};

/// A plan's admission beyond limits for the partner.
pub(crate) struct PlanAdmission {
    pub app_limits: Vec<Limit>,
    pub key_limits: Vec<Limit>,
    /// Calls in flight at once on this node.
    pub concurrency: Option<u32>,
    pub pace: Pace,
    /// Calls beyond a limit that only tells.
    pub passed: Counter,
}

impl std::fmt::Debug for PlanAdmission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlanAdmission").field("pace", &self.pace).finish_non_exhaustive()
    }
}

impl PlanAdmission {
    /// `None` where the terms ask for nothing but limits for the partner.
    pub(crate) fn new(terms: &PlanTerms, plan_code: &str) -> Option<Box<Self>> {
        let Admission { app_limits, key_limits, concurrency, limits: pace, credit: _ } = terms.admission.clone();
        if app_limits.is_empty() && key_limits.is_empty() && concurrency.is_none() && pace == Pace::default() {
            return None;
        }
        let passed = counter!("turnpike_gateway_soft_limits_passed_total", "plan" => plan_code.to_owned());
        Some(Box::new(Self {
            app_limits,
            key_limits,
            concurrency: concurrency.map(|concurrency| concurrency.calls),
            pace,
            passed,
        }))
    }
}

/// How fast credit may be spent; `None` where the plan takes none, or does not say.
pub(crate) fn credit_pace(credit: &Credit) -> Option<SpendingRule> {
    let most = credit.units_per_minute.filter(|most| credit.required && *most > 0)?;
    Some(SpendingRule { most, preset: credit.preset })
}

impl Plan {
    /// The limits that a call of this plan has to fit, of which this node has that share.
    pub(crate) fn rules(&self, share: Share) -> Rules<'_> {
        let own = self.admission.as_deref();
        Rules {
            partner: &self.limits,
            app: own.map_or(&[], |own| &own.app_limits),
            key: own.map_or(&[], |own| &own.key_limits),
            preset: own.map_or(Preset::BurstThrough, |own| own.pace.preset),
            share,
        }
    }

    /// The same by scope, in the order of the RateLimit fields.
    pub(crate) fn scopes(&self) -> [(Scope, &[Limit]); 3] {
        let rules = self.rules(Share::WHOLE);
        [(Scope::Partner, rules.partner), (Scope::App, rules.app), (Scope::Key, rules.key)]
    }
}
