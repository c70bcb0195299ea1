//! Sends usage events to those who asked for them, each hook by itself: one that is slow keeps no other waiting.

use super::TaskError;
use crate::{hooks::Sender, logs};
use jiff::Timestamp;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use store::hooks::{Forgotten, HookState, HookWait, MOST_FORGOTTEN};

pub const NAME: &str = "send_hooks";
pub const PERIOD: Duration = Duration::from_secs(1);

/// Hooks that a gauge was set for: it goes to nought when they are deleted.
#[derive(Debug, Clone, Default)]
pub struct Measured(Arc<Mutex<BTreeSet<String>>>);

/// Starts to send for each hook that has something to get, and says how long each waits.
///
/// # Errors
/// Postgres does not answer.
pub async fn run(sender: Sender, measured: Measured) -> Result<(), TaskError> {
    for hook in sender.claim().await? {
        let sender = sender.clone();
        tokio::spawn(async move {
            if let Err(error) = sender.serve(&hook).await {
                let error = logs::chain(&error);
                tracing::warn!(error, hook = %hook.id, "what a hook gets could not be read or noted; it goes on in a while");
            }
        });
    }
    let waits = sender.store.hooks_waiting().await?;
    for (name, seconds) in measured.seconds(&waits, sender.clock.now()) {
        metrics::gauge!("turnpike_hook_waiting_seconds", "hook" => name).set(seconds);
    }
    let disabled = waits.iter().filter(|hook| hook.state == HookState::Disabled).count();
    metrics::gauge!("turnpike_hooks_disabled").set(disabled as f64);
    Ok(())
}

impl Measured {
    /// What each gauge is to say, those of hooks that are gone included, once.
    fn seconds(&self, waits: &[HookWait], now: Timestamp) -> Vec<(String, f64)> {
        let waits = waits.iter().map(|hook| {
            let seconds = hook.since.map_or(0, |since| now.duration_since(since).as_secs().max(0));
            (hook.id.to_string(), seconds as f64)
        });
        let mut seconds: Vec<_> = waits.collect();
        let names = seconds.iter().map(|(name, _)| name.clone()).collect();
        let before = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), names);
        let gone: Vec<_> = before.into_iter().filter(|name| seconds.iter().all(|(there, _)| there != name)).collect();
        seconds.extend(gone.into_iter().map(|name| (name, 0.0)));
        seconds
    }
}

pub const FORGET: &str = "forget_followed_usage";
pub const FORGET_PERIOD: Duration = Duration::from_secs(600);

/// Lets go of what every hook has passed, and of what retention has taken from under one.
///
/// # Errors
/// Postgres does not answer.
pub async fn forget(sender: Sender) -> Result<(), TaskError> {
    loop {
        let Forgotten { stretches, undelivered, undelivered_records } =
            sender.store.forget_followed(sender.clock.now()).await?;
        if undelivered > 0 {
            tracing::warn!(
                stretches = undelivered,
                records = undelivered_records,
                "usage was never delivered to a hook that stood still: its events were kept long enough"
            );
        }
        if stretches < MOST_FORGOTTEN {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::HookId;
    use jiff::SignedDuration;

    #[test]
    fn a_hook_that_is_deleted_waits_for_nothing_and_is_then_forgotten() {
        let now = Timestamp::now();
        let wait = |number: u128, since: Option<i64>| {
            let since = since.map(|seconds| now - SignedDuration::from_secs(seconds));
            HookWait { id: HookId(uuid::Uuid::from_u128(number)), state: HookState::Active, since }
        };
        let (measured, one, two) = (Measured::default(), wait(1, Some(700)), wait(2, None));
        let [first, second] = [one, two].map(|wait| wait.id.to_string());
        let both = vec![(first.clone(), 700.0), (second.clone(), 0.0)];
        assert_eq!(measured.seconds(&[one, two], now), both);
        assert_eq!(measured.seconds(&[two], now), [(second.clone(), 0.0), (first, 0.0)]);
        assert_eq!(measured.seconds(&[two], now), [(second, 0.0)]);
    }
}
