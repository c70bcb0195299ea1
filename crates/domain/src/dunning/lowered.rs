//! A plan's limits as a partner has them who did not pay.

use super::UnpaidRules;
use crate::{limit::Limit, plan::PlanTerms};

impl UnpaidRules {
    /// The plan's terms with lowered limits. A limit that only tells becomes one that counts, and nothing more is lent: whoever does
    /// not pay for what was used below zero uses no more there.
    pub fn lowered(&self, terms: &PlanTerms) -> PlanTerms {
        let mut lowered = terms.clone();
        let admission = &mut lowered.admission;
        if self.limited_percent.is_some() {
            for limits in [&mut lowered.limits, &mut admission.app_limits, &mut admission.key_limits] {
                limits.iter_mut().for_each(|limit| limit.calls = self.share(limit.calls));
            }
            if let Some(concurrency) = &mut admission.concurrency {
                concurrency.calls = self.share(concurrency.calls);
            }
        }
        admission.limits.soft = false;
        if let Some(overdraft) = &mut admission.credit.overdraft {
            overdraft.units = 0;
        }
        for fixed in &self.limited_limits {
            match lowered.limits.iter_mut().find(|own| own.window == fixed.window) {
                Some(own) => own.calls = own.calls.min(fixed.calls),
                None => lowered.limits.push(*fixed),
            }
        }
        lowered
    }

    fn share(&self, calls: u32) -> u32 {
        let percent = u64::from(self.limited_percent.unwrap_or(100).min(100));
        u32::try_from(u64::from(calls) * percent / 100).unwrap_or(calls).max(1)
    }

    /// What is left of the limits, in words.
    pub fn describe(&self, terms: &PlanTerms) -> String {
        let limits = self.lowered(terms).limits;
        if limits.is_empty() {
            return format!("{} % of what your apps and keys may do now", self.limited_percent.unwrap_or(100));
        }
        limits.iter().map(Limit::to_string).collect::<Vec<_>>().join(" and ")
    }
}
