//! Usage events, corrections of them and late usage to others as they come: one message for up to 500 events, signed as Standard Webhooks has it, with the events as
//! a batch of CloudEvents. The same events have the same ids whenever they are sent, so that a receiver counts each once.

mod client;
pub mod documents;
mod later;
mod message;

pub use client::{Client, PATIENCE, Undelivered};
use message::Message;

use app::{hooks, secrets::Secrets, state::Clock};
use domain::usage::cloud_event::{self, Standing};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use store::{
    Store, StoreError,
    hooks::{Following, Hook, HookState, Told},
};
use tokio::time::Instant;

/// In one message.
const MOST_EVENTS: usize = 500;
const MOST_BYTES: usize = 1 << 20;
/// After that time the others have their turn.
const TURN: Duration = Duration::from_secs(30);
/// A hook is nobody else's for that time, which is longer than a turn and one message.
const CLAIM: SignedDuration = SignedDuration::from_secs(120);
/// Between the first failures, and at most.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(5);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(3_600);
/// What people read of failures that are ours.
const UNREADABLE: &str = "what it gets next cannot be read; see the log";
const UNNOTED: &str = "what it got could not be noted; see the log";

/// Sends what hooks have not got.
#[derive(Clone)]
pub struct Sender {
    pub store: Store,
    pub secrets: Arc<Secrets>,
    pub clock: Clock,
    pub client: Client,
}

impl Sender {
    /// Hooks with something to do, which are this process' from now on.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn claim(&self) -> Result<Vec<Hook>, StoreError> {
        let now = self.clock.now();
        self.store.claim_hooks(now, now + CLAIM).await
    }

    /// Does what there is to do for a hook that is claimed, and lets it go whatever came of that.
    ///
    /// # Errors
    /// Postgres does not answer. Where it can still be noted the hook has failed and is tried again later.
    pub async fn serve(&self, hook: &Hook) -> Result<(), StoreError> {
        let outcome = self.work(hook).await;
        let released = self.store.release_hook(hook.id).await;
        outcome.and(released)
    }

    async fn work(&self, hook: &Hook) -> Result<(), StoreError> {
        if hook.test_asked {
            self.test(hook).await?;
        }
        let is_due = hook.next_try_at.is_none_or(|at| at <= self.clock.now());
        if hook.state == HookState::Active && is_due {
            self.deliver(hook).await?;
        }
        Ok(())
    }

    async fn deliver(&self, hook: &Hook) -> Result<(), StoreError> {
        let name = hook.id.to_string();
        let turn = Instant::now() + TURN;
        while Instant::now() < turn {
            let following = match self.store.follow_usage(hook, MOST_EVENTS).await {
                Ok(following) => following,
                Err(error) => {
                    self.note_failure(hook, &Undelivered::new(UNREADABLE)).await?;
                    return Err(error);
                }
            };
            if following.is_empty() {
                if hook.failures > 0 {
                    self.store.note_delivered(hook.id, &following, self.clock.now()).await?;
                }
                break;
            }
            let (events, following) = fitting(following);
            if !events.is_empty() {
                let id = message::content_id(hook.id, &events);
                if let Err(why) = self.send(hook, &id, &Value::Array(events)).await {
                    self.note_failure(hook, &why).await?;
                    break;
                }
            }
            let noted = self.store.note_delivered(hook.id, &following, self.clock.now()).await;
            metrics::counter!("turnpike_hook_events_total", "hook" => name.clone()).increment(following.len() as u64);
            match noted {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.note_failure(hook, &Undelivered::new(UNNOTED)).await?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn note_failure(&self, hook: &Hook, why: &Undelivered) -> Result<(), StoreError> {
        metrics::counter!("turnpike_hook_failures_total", "hook" => hook.id.to_string()).increment(1);
        let now = self.clock.now();
        let pause = pause(hook.failures).max(why.not_before.unwrap_or_default().min(LONGEST_PAUSE));
        let message = why.to_string();
        let noted = self.store.note_hook_failure(hook.id, &message, why.gone, now + pause, now).await;
        let state = match noted {
            // Somebody deleted it meanwhile.
            Err(StoreError::NotFound) => return Ok(()),
            noted => noted?,
        };
        if state == HookState::Disabled {
            tracing::error!(hook = %hook.id, message, "a hook is switched off: nothing could be delivered for too long");
        } else if hook.failures == 0 {
            tracing::warn!(hook = %hook.id, message, "a delivery failed; it will be tried again");
        }
        Ok(())
    }

    /// One event without usage: receivers leave types alone that they do not know.
    async fn test(&self, hook: &Hook) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let id = format!("msg_test_{}", uuid::Uuid::new_v4().simple());
        let event = json!([{
            "specversion": "1.0",
            "type": "io.turnpike.test.v1",
            "source": format!("turnpike:{}", hook.id),
            "id": id,
            "time": now,
        }]);
        let began = Instant::now();
        let result = match self.send(hook, &id, &event).await {
            Ok(()) => format!("It was taken in {} ms", began.elapsed().as_millis()),
            Err(why) => why.to_string(),
        };
        self.store.note_hook_test(hook.id, &result, self.clock.now()).await
    }

    async fn send(&self, hook: &Hook, id: &str, events: &Value) -> Result<(), Undelivered> {
        let url = hooks::read_url(&hook.url).map_err(Undelivered::new)?;
        let sealed = std::iter::once(&hook.sealed_secret).chain(&hook.sealed_previous);
        let keys: Vec<_> = sealed.filter_map(|sealed| hooks::key(&self.secrets, hook.id, sealed)).collect();
        if keys.is_empty() {
            return Err(Undelivered::new("its secret does not open with this installation's key: rotate it"));
        }
        let body = serde_json::to_vec(events).map_err(|_| Undelivered::new("the events could not be written"))?;
        let content_type = "application/cloudevents-batch+json; charset=utf-8";
        let message = Message { id, content_type, sent_at: Timestamp::now(), body: &body };
        let signature = message.signature(&keys);
        self.client.post(&url, &message, &signature).await
    }
}

/// As many events as fit into a message, and what it passes.
fn fitting(following: Following) -> (Vec<Value>, Following) {
    let (mut events, mut bytes) = (Vec::new(), 0_usize);
    for told in following.events() {
        let event = written(told);
        bytes = bytes.saturating_add(event.to_string().len() + 1);
        if bytes > MOST_BYTES && !events.is_empty() {
            break;
        }
        events.push(event);
    }
    let kept = events.len();
    (events, if kept < following.len() { following.cut(kept) } else { following })
}

fn written(told: &Told) -> Value {
    match told {
        Told::Usage(stored) => {
            let (place, source) = (&stored.place, stored.source.as_str());
            let standing = Standing { node: &place.node, lane: place.lane, sequence: place.sequence, source };
            cloud_event::write(&stored.event, standing)
        }
        Told::Corrected(corrected) => later::corrected(corrected),
        Told::Late(late) => later::late(late),
    }
}

/// Twice as long each time, and never the same for two hooks that failed together.
fn pause(failures: u32) -> SignedDuration {
    let whole = FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE);
    let mut byte = [0_u8; 1];
    app::secrets::fill_random(&mut byte);
    // From three quarters to five quarters of it.
    whole / 4 * 3 + whole / 512 * i32::from(byte[0])
}

#[cfg(test)]
mod tests;
