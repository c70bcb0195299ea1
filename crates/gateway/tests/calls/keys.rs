//! A store of idempotency keys in memory, which a test can take away.

use domain::idempotency::{Slot, Unknown};
use gateway::{Answering, Attempt, Begun, IdempotencyStore, KeysUnavailable};
use std::{
    collections::HashMap,
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use uuid::Uuid;

/// Who took a key, for which request, and what it holds.
type Row = (Uuid, [u8; 32], Begun);

#[derive(Debug, Default)]
pub struct Keys {
    rows: Mutex<HashMap<Slot, Row>>,
    /// Nothing is answered, and nothing is kept.
    pub down: AtomicBool,
    pub full: AtomicBool,
}

impl Keys {
    fn is_down(&self) -> Result<(), KeysUnavailable> {
        if self.down.load(Ordering::SeqCst) { Err(KeysUnavailable("down on purpose".to_owned())) } else { Ok(()) }
    }

    fn end(&self, attempt: &Attempt, held: Option<Begun>) {
        let mut rows = self.rows.lock().expect("no panic");
        let (id, fingerprint, was) = rows.remove(&attempt.slot).expect("it was begun");
        assert_eq!((id, was), (attempt.id, Begun::InFlight), "an attempt is ended once, by who began it");
        if let Some(held) = held {
            rows.insert(attempt.slot.clone(), (id, fingerprint, held));
        }
    }

    /// What each key holds.
    pub fn held(&self) -> Vec<Begun> {
        self.rows.lock().expect("no panic").values().map(|(.., held)| held.clone()).collect()
    }
}

impl IdempotencyStore for Keys {
    fn begin(&self, attempt: &Arc<Attempt>) -> Answering<Result<Begun, KeysUnavailable>> {
        if let Err(down) = self.is_down() {
            return Box::pin(ready(Err(down)));
        }
        let mut rows = self.rows.lock().expect("no panic");
        let begun = match rows.get(&attempt.slot) {
            Some((_, fingerprint, _)) if *fingerprint != attempt.fingerprint => Begun::Mismatch,
            Some((.., held)) => held.clone(),
            None if self.full.load(Ordering::SeqCst) => Begun::Full,
            None => {
                rows.insert(attempt.slot.clone(), (attempt.id, attempt.fingerprint, Begun::InFlight));
                Begun::Fresh
            }
        };
        Box::pin(ready(Ok(begun)))
    }

    fn keep(&self, attempt: &Arc<Attempt>, answer: Vec<u8>) -> Answering<Result<(), KeysUnavailable>> {
        let kept = self.is_down().map(|()| self.end(attempt, Some(Begun::Answered(answer))));
        Box::pin(ready(kept))
    }

    fn release(&self, attempt: &Arc<Attempt>) -> Answering<()> {
        self.end(attempt, None);
        Box::pin(ready(()))
    }

    fn give_up(&self, attempt: &Arc<Attempt>, reason: Unknown) -> Answering<()> {
        self.end(attempt, Some(Begun::Unknown(reason)));
        Box::pin(ready(()))
    }
}
