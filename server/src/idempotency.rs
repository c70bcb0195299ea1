//! The gateway's store of idempotency keys, answered by Postgres.
//!
//! Every question has a time within which it is answered, and only so many are under way at once, so that a flood of such
//! calls does not take the connections that everything else needs; and what became of a request never waits behind questions.
//! What cannot be told to Postgres at once (a key that is free again, an answer) is told later, by
//! [`crate::tasks::keep_keys`].

mod asking;

use app::secrets::Secrets;
use arc_swap::ArcSwap;
use asking::{Questions, Turn};
use domain::{
    id::PartnerId,
    idempotency::{Slot, Unknown},
};
use gateway::{Answering, Attempt, Begun, IdempotencyStore, KeysUnavailable};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::{Future, ready},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{Store, StoreError, idempotency as rows};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
    time::{Instant, sleep, timeout, timeout_at},
};
use uuid::Uuid;

/// The longest that one question may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest that a client waits for its answer to be kept.
const KEEPING: Duration = Duration::from_secs(5);
/// Between two tries to keep an answer.
const PAUSE: Duration = Duration::from_millis(200);
/// What waits to be told later, at most; answers beyond are given up, and their keys become unknown. What is in doubt gets half
/// of it.
const MOST_WAITING: usize = 1_000;
/// How long a question that was given up may still be carried out: as long as Postgres lets a statement run.
const DOUBT: Duration = Duration::from_secs(30);

/// Asks Postgres on behalf of the gateway's cores, on the runtime that it was made on.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("node", &self.0.node).finish_non_exhaustive()
    }
}

struct Inner {
    store: Store,
    secrets: Arc<Secrets>,
    runtime: Handle,
    node: String,
    life: Uuid,
    /// Places of questions, and of what is told.
    asking: Semaphore,
    telling: Semaphore,
    questions: Arc<Questions>,
    /// What this node carries out: its retries are told so without asking Postgres.
    in_flight: Mutex<HashMap<Slot, (Uuid, [u8; 32])>>,
    /// Partners whose kept answers take as much room as they may.
    full: ArcSwap<HashSet<PartnerId>>,
    waiting: Mutex<VecDeque<Waiting>>,
}

/// What could not be told.
struct Waiting {
    attempt: Arc<Attempt>,
    ending: Ending,
    since: Instant,
}

/// How an attempt ended.
enum Ending {
    Kept {
        sealed: Vec<u8>,
    },
    Released,
    GivenUp {
        reason: Unknown,
    },
    /// Nothing is sent under the key, and whether it was taken, or will be, is not known.
    Doubtful,
}

impl Keys {
    /// For this life of the node. At most half of the connections to Postgres are used.
    pub fn new(store: Store, secrets: Arc<Secrets>, node: String, connections: u32) -> Self {
        let places = || Semaphore::new((connections as usize / 4).max(1));
        Self(Arc::new(Inner {
            store,
            secrets,
            runtime: Handle::current(),
            node,
            life: Uuid::new_v4(),
            asking: places(),
            telling: places(),
            questions: Arc::default(),
            in_flight: Mutex::default(),
            full: ArcSwap::default(),
            waiting: Mutex::default(),
        }))
    }

    /// Marks what earlier lives of this node and slow attempts of any left in flight as unknown, forgets keys whose time is
    /// over, and finds out who keeps more than `most` bytes.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn sweep(&self, most: u64, now: Timestamp) -> Result<(), StoreError> {
        let Inner { store, node, life, full, .. } = &*self.0;
        let ended = store.lose_attempts_of_earlier_lives(node, *life, now).await?;
        let swept = store.sweep_all_idempotency_keys(now).await?;
        let lost = ended + swept.lost;
        if lost > 0 {
            metrics::counter!("turnpike_idempotency_unknown_total").increment(lost);
            tracing::warn!(lost, "the outcome of requests with an Idempotency-Key is unknown; ask the API about them");
        }
        let over = store.partners_with_more_kept_than(i64::try_from(most).unwrap_or(i64::MAX)).await?;
        full.store(Arc::new(over.into_iter().collect()));
        Ok(())
    }

    /// Tells Postgres what could not be told before.
    ///
    /// # Errors
    /// Postgres does not answer; what is left is told later still.
    pub async fn tell_waiting(&self) -> Result<(), StoreError> {
        let count = self.0.waiting().len();
        for _ in 0..count {
            let Some(waiting) = self.0.waiting().pop_front() else { break };
            match self.0.tell(&waiting.attempt, &waiting.ending).await {
                Ok(true) => self.0.forget(&waiting.attempt),
                Ok(false) if waiting.since.elapsed() > DOUBT => {}
                Ok(false) => self.0.waiting().push_back(waiting),
                Err(error) => {
                    self.0.waiting().push_front(waiting);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The last try to tell Postgres, when the gateway has ended: what is not told is unknown at the next start.
    pub async fn finish(&self, patience: Duration) {
        match timeout(patience, self.tell_waiting()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = crate::logs::chain(&error), "what became of requests is not kept"),
            Err(_) => tracing::warn!("what became of requests is not kept: Postgres does not answer"),
        }
    }
}

impl IdempotencyStore for Keys {
    fn begin(&self, attempt: &Arc<Attempt>) -> Answering<Result<Begun, KeysUnavailable>> {
        if let Some((_, fingerprint)) = self.0.in_flight().get(&attempt.slot) {
            let same = *fingerprint == attempt.fingerprint;
            return Box::pin(ready(Ok(if same { Begun::InFlight } else { Begun::Mismatch })));
        }
        let asking = match self.0.questions.turn(attempt) {
            Turn::Ask(asking) => asking,
            Turn::Share(shared) => return Box::pin(shared.told()),
        };
        let (inner, attempt, (tell, told)) = (self.0.clone(), attempt.clone(), oneshot::channel());
        self.0.runtime.spawn(async move {
            let begun = inner.begin(&attempt).await;
            asking.tell(&begun);
            drop(asking);
            if let Err(Ok(Begun::Fresh)) = tell.send(begun) {
                // The core stopped meanwhile and sends nothing.
                inner.end(&attempt, Ending::Released).await;
            }
        });
        Box::pin(async { told.await.unwrap_or_else(|_| Err(KeysUnavailable("the server stops".to_owned()))) })
    }

    fn keep(&self, attempt: &Arc<Attempt>, answer: Vec<u8>) -> Answering<Result<(), KeysUnavailable>> {
        let (inner, attempt) = (self.0.clone(), attempt.clone());
        let stopped = Err(KeysUnavailable("the server stops".to_owned()));
        self.0.run(stopped, async move {
            let sealed = inner.secrets.seal(&context(&attempt.slot), &answer);
            drop(answer);
            inner.keep(&attempt, Ending::Kept { sealed }).await
        })
    }

    fn release(&self, attempt: &Arc<Attempt>) -> Answering<()> {
        let (inner, attempt) = (self.0.clone(), attempt.clone());
        self.0.run((), async move { inner.end(&attempt, Ending::Released).await })
    }

    fn give_up(&self, attempt: &Arc<Attempt>, reason: Unknown) -> Answering<()> {
        let (inner, attempt) = (self.0.clone(), attempt.clone());
        self.0.run((), async move { inner.end(&attempt, Ending::GivenUp { reason }).await })
    }
}

impl Inner {
    /// Runs to the end, whatever becomes of who waits for it.
    fn run<T>(&self, otherwise: T, work: impl Future<Output = T> + Send + 'static) -> Answering<T>
    where
        T: Send + 'static,
    {
        let running = self.runtime.spawn(work);
        Box::pin(async { running.await.unwrap_or(otherwise) })
    }

    async fn begin(&self, attempt: &Arc<Attempt>) -> Result<Begun, KeysUnavailable> {
        let unavailable = |why: String| {
            self.wait(attempt.clone(), Ending::Doubtful);
            KeysUnavailable(why)
        };
        let deadline = Instant::now() + PATIENCE;
        // Whoever gets no place has asked nothing.
        let crowded = |_| KeysUnavailable(format!("too many questions for {} s", PATIENCE.as_secs()));
        let _place = timeout_at(deadline, self.asking.acquire()).await.map_err(crowded)?;
        let asked = timeout_at(deadline, self.ask(attempt)).await;
        let begun = asked.map_err(|_| unavailable(format!("no answer within {} s", PATIENCE.as_secs())))?;
        let begun = begun.map_err(|error| unavailable(crate::logs::chain(&error)))?;
        Ok(match begun {
            None => Begun::Full,
            Some(rows::Begun::Fresh) => {
                self.in_flight().insert(attempt.slot.clone(), (attempt.id, attempt.fingerprint));
                Begun::Fresh
            }
            Some(rows::Begun::InFlight) => Begun::InFlight,
            Some(rows::Begun::Mismatch) => Begun::Mismatch,
            Some(rows::Begun::Unknown(reason)) => Begun::Unknown(reason),
            Some(rows::Begun::Answered { sealed_answer }) => {
                let answer = self.secrets.unseal(&context(&attempt.slot), &sealed_answer);
                let answer = answer.ok_or_else(|| KeysUnavailable("a kept answer does not open".to_owned()))?;
                Begun::Answered(answer)
            }
        })
    }

    /// What the key holds; `None` where the attempt would be a new one and there is no room for it.
    async fn ask(&self, attempt: &Attempt) -> Result<Option<rows::Begun>, StoreError> {
        let now = Timestamp::now();
        let partner = attempt.slot.partner;
        if self.full.load().contains(&partner) {
            return self.store.held(partner, &attempt.slot, &attempt.fingerprint, now).await;
        }
        let row = rows::Attempt {
            id: attempt.id,
            fingerprint: attempt.fingerprint,
            request_id: attempt.request_id.clone(),
            node: self.node.clone(),
            life: self.life,
            lost_at: now + signed(attempt.longest),
        };
        self.store.begin_attempt(partner, &attempt.slot, &row, now).await.map(Some)
    }

    async fn keep(&self, attempt: &Arc<Attempt>, ending: Ending) -> Result<(), KeysUnavailable> {
        let deadline = Instant::now() + KEEPING;
        loop {
            let told = timeout_at(deadline, self.tell(attempt, &ending)).await;
            let problem = match told {
                Ok(Ok(_)) => {
                    self.forget(attempt);
                    return Ok(());
                }
                Ok(Err(error)) => crate::logs::chain(&error),
                Err(_) => "no answer in time".to_owned(),
            };
            if Instant::now() + PAUSE >= deadline {
                self.wait(attempt.clone(), ending);
                return Err(KeysUnavailable(problem));
            }
            sleep(PAUSE).await;
        }
    }

    async fn end(&self, attempt: &Arc<Attempt>, ending: Ending) {
        if let Ending::GivenUp { reason } = ending
            && reason.needs_a_look()
        {
            metrics::counter!("turnpike_idempotency_unknown_total").increment(1);
        }
        match timeout(PATIENCE, self.tell(attempt, &ending)).await {
            Ok(Ok(_)) => self.forget(attempt),
            _ => self.wait(attempt.clone(), ending),
        }
    }

    /// Whether that is the end of it.
    async fn tell(&self, attempt: &Attempt, ending: &Ending) -> Result<bool, StoreError> {
        let _place = self.telling.acquire().await;
        let (partner, now) = (attempt.slot.partner, Timestamp::now());
        let until = now + signed(attempt.keep);
        match ending {
            Ending::Kept { sealed } => {
                if !self.store.answer_attempt(partner, attempt.id, sealed, until).await? {
                    tracing::warn!(request_id = attempt.request_id, "an answer comes after its key was resolved");
                }
                Ok(true)
            }
            Ending::Released => self.store.release_attempt(partner, attempt.id).await.map(|_| true),
            Ending::Doubtful => self.store.release_attempt(partner, attempt.id).await,
            Ending::GivenUp { reason } => {
                self.store.give_up_attempt(partner, attempt.id, *reason, until, now).await.map(|()| true)
            }
        }
    }

    fn wait(&self, attempt: Arc<Attempt>, ending: Ending) {
        let mut waiting = self.waiting();
        let in_doubt = matches!(ending, Ending::Doubtful);
        if waiting.len() < if in_doubt { MOST_WAITING / 2 } else { MOST_WAITING } {
            waiting.push_back(Waiting { attempt, ending, since: Instant::now() });
        } else if !in_doubt {
            drop(waiting);
            self.forget(&attempt);
            tracing::error!(
                request_id = attempt.request_id,
                "what became of a request is not kept; its key stays unknown"
            );
        }
    }

    fn forget(&self, attempt: &Attempt) {
        let mut in_flight = self.in_flight();
        if in_flight.get(&attempt.slot).is_some_and(|(id, _)| *id == attempt.id) {
            in_flight.remove(&attempt.slot);
        }
    }

    fn in_flight(&self) -> MutexGuard<'_, HashMap<Slot, (Uuid, [u8; 32])>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A kept answer opens only for the partner and key that it was kept for.
fn context(slot: &Slot) -> String {
    format!("idempotency:{slot}")
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests;
