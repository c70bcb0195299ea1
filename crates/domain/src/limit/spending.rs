//! How fast credit is spent: at most so many units in any minute, and evenly where the preset asks for it.
//!
//! The window is counted in 128 sub-windows as a large limit's ([`super::sliding`]): never too many, and at least 0.992 of
//! what is allowed. 540 bytes for each partner whose plan paces its credit.

use super::{
    Window,
    counter::{Parts, length},
};
use crate::policy::Preset;

const MINUTE: Window = Window::Minute;

/// How fast credit may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpendingRule {
    /// Units in any minute, at least one.
    pub most: u32,
    pub preset: Preset,
}

/// The credit that one partner spent in the last minute.
#[derive(Debug, Clone, Default)]
pub struct Spending {
    pub(super) parts: Option<Box<Parts>>,
    /// When the next unit is due if units came evenly, in nanoseconds.
    pub(super) due: u64,
    pub(super) latest: u64,
}

/// Why units may not be spent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooFast {
    /// For so many nanoseconds.
    Wait(u64),
    /// One call needs more than a minute allows.
    Never,
}

impl Spending {
    /// Counts the units, and returns the time at which they count; or none of them.
    pub fn spend(&mut self, rule: SpendingRule, units: u32, now: u64) -> Result<u64, TooFast> {
        if units > rule.most {
            return Err(TooFast::Never);
        }
        let now = now.max(self.latest);
        self.latest = now;
        let parts = self.parts.get_or_insert_with(|| Box::new(Parts::begin(MINUTE, now)));
        parts.move_to(MINUTE, now);
        let over = parts.total().saturating_add(units).saturating_sub(rule.most);
        let full = over.checked_sub(1).map_or(0, |nth| parts.wait(MINUTE, nth, now).max(1));
        let interval = length(MINUTE).div_ceil(u64::from(rule.most));
        let slack = match rule.preset {
            Preset::BurstThrough => u64::MAX,
            Preset::Spread => 0,
            Preset::Hybrid => u64::from((rule.most / 10).saturating_sub(units)) * interval,
        };
        // Under a rule that was raised nobody waits for longer than a window.
        self.due = self.due.min(now.saturating_add(length(MINUTE)));
        let paced = self.due.saturating_sub(slack).saturating_sub(now);
        if full.max(paced) > 0 {
            return Err(TooFast::Wait(full.max(paced)));
        }
        parts.add(MINUTE, now, units);
        self.due = self.due.max(now).saturating_add(interval * u64::from(units));
        Ok(now)
    }

    /// Takes back units that were counted at that time and not spent after all.
    pub fn withdraw(&mut self, rule: SpendingRule, units: u32, at: u64) {
        if let Some(parts) = &mut self.parts {
            parts.remove(MINUTE, at, units);
            self.due = self.due.saturating_sub(length(MINUTE).div_ceil(u64::from(rule.most.max(1))) * u64::from(units));
        }
    }

    /// The latest time at which it was asked.
    pub const fn latest(&self) -> u64 {
        self.latest
    }

    /// Whether nothing counts any more.
    pub const fn is_idle(&self, now: u64) -> bool {
        now.saturating_sub(self.latest) > 2 * length(MINUTE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_minute_holds_so_many_units_and_no_call_may_need_more() {
        let rule = SpendingRule { most: 100, preset: Preset::BurstThrough };
        let mut spending = Spending::default();
        assert_eq!(spending.spend(rule, 101, 0), Err(TooFast::Never));
        assert_eq!(spending.spend(rule, 90, 0), Ok(0));
        let Err(TooFast::Wait(wait)) = spending.spend(rule, 11, SECOND) else { panic!("too fast") };
        assert!((58 * SECOND..62 * SECOND).contains(&wait));
        assert_eq!(spending.spend(rule, 10, SECOND), Ok(SECOND));
        spending.withdraw(rule, 10, SECOND);
        assert_eq!(spending.spend(rule, 10, 2 * SECOND), Ok(2 * SECOND));
        assert_eq!(spending.spend(rule, 90, SECOND + wait), Ok(SECOND + wait));
    }

    #[test]
    fn spread_and_hybrid_hold_units_apart() {
        let spread = SpendingRule { most: 60, preset: Preset::Spread };
        let mut spending = Spending::default();
        assert_eq!(spending.spend(spread, 5, 0), Ok(0));
        assert_eq!(spending.spend(spread, 1, SECOND), Err(TooFast::Wait(4 * SECOND)));
        assert_eq!(spending.spend(spread, 1, 5 * SECOND), Ok(5 * SECOND));
        let hybrid = SpendingRule { most: 60, preset: Preset::Hybrid };
        let mut spending = Spending::default();
        let at_once = (0..20).filter(|_| spending.spend(hybrid, 1, 0).is_ok()).count();
        assert_eq!(at_once, 6, "a tenth");
        assert_eq!(spending.spend(hybrid, 1, SECOND), Ok(SECOND));
    }

    proptest! {
        #[test]
        fn no_minute_ever_holds_more(
            most in 10_u32..2_000,
            preset in prop_oneof![Just(Preset::BurstThrough), Just(Preset::Spread), Just(Preset::Hybrid)],
            steps in prop::collection::vec((0..5 * SECOND, 1_u32..40, any::<bool>()), 400),
        ) {
            let rule = SpendingRule { most, preset };
            let mut spending = Spending::default();
            let (mut now, mut spent) = (0, Vec::new());
            for (gap, units, withdraws) in steps {
                now += gap;
                match spending.spend(rule, units, now) {
                    Ok(at) if withdraws => spending.withdraw(rule, units, at),
                    Ok(at) => spent.push((at, units)),
                    Err(TooFast::Never) => prop_assert!(units > most),
                    Err(TooFast::Wait(wait)) => {
                        prop_assert!(spending.clone().spend(rule, units, now + wait).is_ok(), "the wait is long enough");
                    }
                }
            }
            for (index, (from, _)) in spent.iter().enumerate() {
                let within = spent[index..].iter().take_while(|(at, _)| at - from < 60 * SECOND);
                prop_assert!(within.map(|(_, units)| units).sum::<u32>() <= most);
            }
        }
    }
}
