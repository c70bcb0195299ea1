//! Questions about keys that are under way: identical requests that come meanwhile share the answer, so that a storm of
//! retries is one question to Postgres.

use domain::idempotency::Slot;
use gateway::{Attempt, Begun, KeysUnavailable};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// What Postgres says of a key.
pub(super) type Told = Result<Begun, KeysUnavailable>;

/// The questions of this node.
#[derive(Default)]
pub(super) struct Questions(Mutex<HashMap<Slot, Question>>);

struct Question {
    fingerprint: [u8; 32],
    told: watch::Receiver<Option<Told>>,
}

/// Whose question it is.
pub(super) enum Turn {
    /// Ours. It is over when this is dropped.
    Ask(Asking),
    /// Somebody has asked the same.
    Share(Shared),
}

/// A question that is under way.
pub(super) struct Asking {
    questions: Arc<Questions>,
    slot: Slot,
    /// `None` where another request is being asked about under the same key: then this one is nobody else's.
    tell: Option<watch::Sender<Option<Told>>>,
}

/// The answer to somebody else's question.
pub(super) struct Shared(watch::Receiver<Option<Told>>);

impl Questions {
    pub(super) fn turn(self: &Arc<Self>, attempt: &Attempt) -> Turn {
        let mut questions = self.lock();
        let ask = |tell| Turn::Ask(Asking { questions: self.clone(), slot: attempt.slot.clone(), tell });
        match questions.get(&attempt.slot) {
            Some(question) if question.fingerprint == attempt.fingerprint => Turn::Share(Shared(question.told.clone())),
            Some(_) => ask(None),
            None => {
                let (tell, told) = watch::channel(None);
                questions.insert(attempt.slot.clone(), Question { fingerprint: attempt.fingerprint, told });
                ask(Some(tell))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Slot, Question>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asking {
    /// Everybody who waits is told. What may go on only once is in flight to them.
    pub(super) fn tell(&self, told: &Told) {
        if let Some(tell) = &self.tell {
            tell.send_replace(Some(match told {
                Ok(Begun::Fresh) => Ok(Begun::InFlight),
                other => other.clone(),
            }));
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if self.tell.is_some() {
            self.questions.lock().remove(&self.slot);
        }
    }
}

impl Shared {
    pub(super) async fn told(mut self) -> Told {
        let stopped = || KeysUnavailable("the server stops".to_owned());
        let told = self.0.wait_for(Option::is_some).await.map_err(|_| stopped())?;
        told.clone().unwrap_or_else(|| Err(stopped()))
    }
}
