//! Sends usage events to those who asked for them, each hook by itself: one that is slow keeps no other waiting.

use super::TaskError;
use crate::hooks::Sender;
use std::time::Duration;
use store::hooks::HookState;

pub const NAME: &str = "send_hooks";
pub const PERIOD: Duration = Duration::from_secs(1);

/// Starts to send for each hook that has something to get.
///
/// # Errors
/// Postgres does not answer.
pub async fn run(sender: Sender) -> Result<(), TaskError> {
    let now = sender.clock.now();
    for hook in sender.claim().await? {
        let sender = sender.clone();
        tokio::spawn(async move {
            if let Err(error) = sender.serve(&hook).await {
                tracing::warn!(%error, hook = %hook.id, "how far a hook is could not be noted; it goes on in a while");
            }
        });
    }
    let hooks = sender.store.all_hooks(None, now).await?;
    let disabled = hooks.iter().filter(|hook| hook.state == HookState::Disabled).count();
    metrics::gauge!("turnpike_hooks_disabled").set(disabled as f64);
    Ok(())
}

pub const FORGET: &str = "forget_followed_usage";
pub const FORGET_PERIOD: Duration = Duration::from_secs(600);

/// Lets go of what every hook has passed.
///
/// # Errors
/// Postgres does not answer.
pub async fn forget(sender: Sender) -> Result<(), TaskError> {
    sender.store.forget_followed(sender.clock.now()).await?;
    Ok(())
}
