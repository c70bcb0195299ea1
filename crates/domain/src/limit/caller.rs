//! The limits of one call's partner, app and key together: all of them count the call, or none.
//!
//! A partner's apps and keys are kept with the partner, so that one look at one place decides. Memory: as
//! [`super::sliding`] says for each app and key that called within twice the longest window and whose plan limits them.

use super::{
    Limit,
    rule::{Rule, Share},
    sliding::{Reached, Standing, Windows},
};
use crate::{
    id::{AppId, KeyId},
    policy::{Preset, Throttle},
};
use std::collections::HashMap;

/// The limits that one call has to fit.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    pub partner: &'a [Limit],
    pub app: &'a [Limit],
    pub key: &'a [Limit],
    pub preset: Preset,
    pub share: Share,
}

/// Whose call it is, within the partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub app: AppId,
    pub key: KeyId,
}

/// What a limit is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    Partner,
    App,
    Key,
}

impl Scope {
    /// What comes before the window's name in the RateLimit fields: nothing, `app-`, `key-`.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Partner => "",
            Self::App => "app-",
            Self::Key => "key-",
        }
    }
}

/// The live counts of one partner, its apps and its keys.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    pub(super) partner: Windows,
    pub(super) apps: HashMap<AppId, Windows>,
    pub(super) keys: HashMap<KeyId, Windows>,
}

impl Counts {
    /// Whether every window of every scope has room for the call. Counts nothing.
    ///
    /// # Errors
    /// The scope and limit that take longest to admit a call again.
    pub fn check(&mut self, rules: &Rules<'_>, caller: Caller, now: u64) -> Result<(), (Scope, Reached)> {
        if rules.app.is_empty() && rules.key.is_empty() {
            return self.partner.check(rules.partner(), now).map_err(|reached| (Scope::Partner, reached));
        }
        let scopes = self.scopes(rules, caller);
        let reached = scopes.into_iter().flatten().filter_map(|(scope, rule, windows)| {
            let reached = windows.check(rule, now).err()?;
            Some((scope, reached))
        });
        reached.max_by_key(|(_, reached)| reached.wait).map_or(Ok(()), Err)
    }

    /// Counts the call in every window of every scope, and returns the time at which it counts; or in none.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn admit(&mut self, rules: &Rules<'_>, caller: Caller, now: u64) -> Result<u64, (Scope, Reached)> {
        if rules.app.is_empty() && rules.key.is_empty() {
            return self.partner.admit(rules.partner(), now).map_err(|reached| (Scope::Partner, reached));
        }
        self.check(rules, caller, now)?;
        Ok(self.count(rules, caller, now))
    }

    /// How each limit of the partner stands right after a call was counted at that time, in the limits' order.
    pub fn standings_after<'a>(&self, rules: &Rules<'a>, at: u64) -> impl Iterator<Item = Standing> + use<'_, 'a> {
        self.partner.standings_now(rules.partner(), at)
    }

    /// Counts the call whatever the limits say: where they only tell. Returns the time at which it counts.
    pub fn count(&mut self, rules: &Rules<'_>, caller: Caller, now: u64) -> u64 {
        if rules.app.is_empty() && rules.key.is_empty() {
            return self.partner.count(rules.partner(), now);
        }
        // Every clock moves to the same time first, so that the call is found again by one.
        let now = self.scopes(rules, caller).into_iter().flatten().fold(now, |now, (.., windows)| windows.latest(now));
        for (_, rule, windows) in self.scopes(rules, caller).into_iter().flatten() {
            windows.count(rule, now);
        }
        now
    }

    /// Takes back the call that was counted at that time.
    pub fn withdraw(&mut self, rules: &Rules<'_>, caller: Caller, at: u64) {
        for (_, rule, windows) in self.scopes(rules, caller).into_iter().flatten() {
            windows.withdraw(rule, at);
        }
    }

    /// How long the next call waits before it is let through, in milliseconds.
    pub fn delay(&mut self, rules: &Rules<'_>, caller: Caller, throttle: Throttle, now: u64) -> u64 {
        let scopes = self.scopes(rules, caller).into_iter().flatten();
        scopes.map(|(_, rule, windows)| windows.delay(rule, throttle, now)).max().unwrap_or(0)
    }

    /// How each limit of the partner stands, in the limits' order.
    pub fn standings<'a>(&mut self, rules: &Rules<'a>, now: u64) -> impl Iterator<Item = Standing> + use<'_, 'a> {
        self.partner.standings(rules.partner(), now)
    }

    /// How each limit of the app and then of the key stands.
    pub fn own_standings(&mut self, rules: &Rules<'_>, caller: Caller, now: u64) -> Vec<(Scope, Standing)> {
        let [_, app, key] = self.scopes(rules, caller);
        let scopes = [app, key].into_iter().flatten();
        let standings = |(scope, rule, windows): (Scope, Rule<'_>, &mut Windows)| {
            windows.standings(rule, now).map(|standing| (scope, standing)).collect::<Vec<_>>()
        };
        scopes.flat_map(standings).collect()
    }

    /// The latest time at which any of the counts was looked at.
    pub fn latest(&self) -> u64 {
        let own = self.apps.values().chain(self.keys.values());
        own.fold(self.partner.latest(0), |latest, windows| windows.latest(latest))
    }

    /// Drops what counts no more.
    pub fn forget_idle(&mut self, now: u64) {
        self.apps.retain(|_, windows| !windows.is_idle(now));
        self.keys.retain(|_, windows| !windows.is_idle(now));
    }

    /// Whether nothing counts any more, so that the whole value can be dropped.
    pub fn is_idle(&self, now: u64) -> bool {
        self.apps.is_empty() && self.keys.is_empty() && self.partner.is_idle(now)
    }

    /// The windows that the call has to fit, with their rules.
    fn scopes<'c, 'a>(
        &'c mut self,
        rules: &Rules<'a>,
        caller: Caller,
    ) -> [Option<(Scope, Rule<'a>, &'c mut Windows)>; 3] {
        let Rules { app, key, preset, share, .. } = *rules;
        let partner = (!rules.partner.is_empty()).then(|| (Scope::Partner, rules.partner(), &mut self.partner));
        let app = (!app.is_empty()).then(|| {
            let rule = Rule { limits: app, preset, share: share.of(caller.app.0.as_u128()) };
            (Scope::App, rule, self.apps.entry(caller.app).or_default())
        });
        let key = (!key.is_empty()).then(|| {
            let rule = Rule { limits: key, preset, share: share.of(caller.key.0.as_u128()) };
            (Scope::Key, rule, self.keys.entry(caller.key).or_default())
        });
        [partner, app, key]
    }
}

impl<'a> Rules<'a> {
    /// No limit at all lets everything through, and nothing is counted.
    pub const fn is_empty(&self) -> bool {
        self.partner.is_empty() && self.app.is_empty() && self.key.is_empty()
    }

    const fn partner(&self) -> Rule<'a> {
        Rule { limits: self.partner, preset: self.preset, share: self.share }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Window;
    use proptest::prelude::*;
    use uuid::Uuid;

    const SECOND: u64 = 1_000_000_000;

    fn caller(app: u8, key: u8) -> Caller {
        Caller { app: AppId(Uuid::from_u128(app.into())), key: KeyId(Uuid::from_u128(key.into())) }
    }

    fn limits(calls: u32) -> [Limit; 1] {
        [Limit { calls, window: Window::Second }]
    }

    #[test]
    fn a_call_that_one_scope_refuses_counts_in_none() {
        let (partner, app, key) = (limits(10), limits(5), limits(2));
        let rules =
            Rules { partner: &partner, app: &app, key: &key, preset: Preset::BurstThrough, share: Share::WHOLE };
        let mut counts = Counts::default();
        for _ in 0..5 {
            let _ = counts.admit(&rules, caller(1, 1), 0);
        }
        assert_eq!(counts.admit(&rules, caller(1, 1), 0).expect_err("full").0, Scope::Key);
        assert_eq!(counts.standings(&rules, 0).next().expect("one").remaining, 8);
        let own = counts.own_standings(&rules, caller(1, 1), 0);
        assert_eq!(own.iter().map(|(_, standing)| standing.remaining).collect::<Vec<_>>(), [3, 0]);
        for _ in 0..2 {
            counts.admit(&rules, caller(1, 2), 0).expect("another key");
        }
        counts.admit(&rules, caller(1, 3), 0).expect("a third key");
        assert_eq!(counts.admit(&rules, caller(1, 3), 0).expect_err("full").0, Scope::App);
        let at = counts.admit(&rules, caller(2, 4), 0).expect("another app");
        counts.withdraw(&rules, caller(2, 4), at);
        assert_eq!(counts.standings(&rules, 0).next().expect("one").remaining, 5);
        counts.forget_idle(10 * SECOND);
        assert!(counts.is_idle(10 * SECOND));
    }

    proptest! {
        #[test]
        fn no_scope_ever_passes_its_limit(
            steps in prop::collection::vec((0..20_000_000_u64, 0..2_u8, 0..2_u8), 400),
            preset in prop_oneof![Just(Preset::BurstThrough), Just(Preset::Hybrid)],
        ) {
            let (partner, app, key) = (limits(30), limits(20), limits(12));
            let rules = Rules { partner: &partner, app: &app, key: &key, preset, share: Share::WHOLE };
            let mut counts = Counts::default();
            let mut now = 0;
            let mut admitted = Vec::new();
            for (gap, app, key) in steps {
                now += gap;
                let who = caller(app, app * 2 + key);
                if let Ok(at) = counts.admit(&rules, who, now) {
                    admitted.push((at, who));
                }
            }
            for limit in [30_usize, 20, 12] {
                for someone in [caller(0, 0), caller(0, 1), caller(1, 2), caller(1, 3)] {
                    let of = admitted.iter().filter(|(_, who)| match limit {
                        30 => true,
                        20 => who.app == someone.app,
                        _ => who.key == someone.key,
                    });
                    let times: Vec<u64> = of.map(|(at, _)| *at).collect();
                    prop_assert!(times.iter().zip(times.iter().skip(limit)).all(|(a, b)| b - a >= SECOND));
                }
            }
        }
    }
}
