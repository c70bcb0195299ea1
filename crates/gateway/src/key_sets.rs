//! The key sets of token issuers: fetched in the background, one thread for the process, and read by every core.
//!
//! A set is fetched when a product begins to name it, then every few minutes. A token whose key is not in it asks for it
//! again, at most once in `pause` however many tokens ask. While an issuer is down its last set stays in force.

mod fetch;

use crate::{authenticate::KeySet, ports::Directory, upstream::Dialer};
use arc_swap::ArcSwap;
use metrics::counter;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::timeout,
};

/// After this a set is fetched again though nobody asks.
const MAX_AGE: Duration = Duration::from_secs(300);

/// A failed fetch is tried again after this, and then after twice as long each time, up to a minute.
const RETRY: Duration = Duration::from_secs(1);

/// How long a call waits for a set.
const PATIENCE: Duration = Duration::from_secs(2);

/// The sets that were fetched, by their addresses.
#[derive(Debug)]
pub(crate) struct KeySets {
    sets: ArcSwap<HashMap<String, Arc<KeySet>>>,
    attempts: Mutex<HashMap<String, Attempt>>,
    asked: Notify,
    changed: watch::Sender<u64>,
    /// The least time between two fetches of one set that tokens ask for.
    pause: Duration,
}

/// What became of the fetches of one set.
#[derive(Debug, Clone, Copy, Default)]
struct Attempt {
    last: Option<Instant>,
    failures: u32,
    /// A fetch is under way or about to begin.
    pending: bool,
}

/// The sets as they were at an instant.
#[derive(Debug)]
pub(crate) struct Known(Arc<HashMap<String, Arc<KeySet>>>);

/// A fetch that a call may wait for.
#[derive(Debug)]
pub(crate) struct Fetching {
    sets: Arc<KeySets>,
    jwks_url: String,
    changed: watch::Receiver<u64>,
}

impl Fetching {
    /// Waits until the fetch has ended in one way or another, for at most two seconds.
    pub(crate) async fn ended(mut self) {
        let ended = async {
            while self.sets.attempt(&self.jwks_url).pending {
                if self.changed.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = timeout(PATIENCE, ended).await;
    }
}

impl KeySets {
    pub(crate) fn new(pause: Duration) -> Self {
        Self {
            sets: ArcSwap::default(),
            attempts: Mutex::default(),
            asked: Notify::new(),
            changed: watch::Sender::new(0),
            pause,
        }
    }

    /// The set at that address, if it was ever fetched.
    pub(crate) fn of(&self, jwks_url: &str) -> Option<Arc<KeySet>> {
        self.sets.load().get(jwks_url).cloned()
    }

    /// What is known now, to be told apart from what is known later.
    pub(crate) fn known(&self) -> Known {
        Known(self.sets.load_full())
    }

    /// Asks for the set to be fetched again; `None` if that was done a moment ago, and its outcome was among what was known.
    pub(crate) fn ask(self: &Arc<Self>, jwks_url: &str, known: &Known) -> Option<Fetching> {
        let changed = self.changed.subscribe();
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = attempts.entry(jwks_url.to_owned()).or_default();
        if !attempt.pending {
            match attempt.last.is_some_and(|last| last.elapsed() < self.pause) {
                true if Arc::ptr_eq(&known.0, &self.sets.load_full()) => return None,
                // It ended between the look at the sets and this question.
                true => {}
                false => {
                    attempt.pending = true;
                    self.asked.notify_one();
                }
            }
        }
        Some(Fetching { sets: self.clone(), jwks_url: jwks_url.to_owned(), changed })
    }

    fn attempt(&self, jwks_url: &str) -> Attempt {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).get(jwks_url).copied().unwrap_or_default()
    }

    fn is_due(&self, jwks_url: &str) -> bool {
        let attempt = self.attempt(jwks_url);
        let pause = match attempt.failures {
            0 => MAX_AGE,
            failures => RETRY.saturating_mul(1 << (failures - 1).min(6)).min(Duration::from_secs(60)),
        };
        attempt.pending || attempt.last.is_none_or(|last| last.elapsed() >= pause)
    }

    /// Keeps what was fetched. A failure keeps what was there.
    fn note(&self, jwks_url: &str, fetched: Result<KeySet, String>) {
        let outcome = if fetched.is_ok() { "fetched" } else { "failed" };
        counter!("turnpike_gateway_key_set_fetches_total", "outcome" => outcome).increment(1);
        let failures = match fetched {
            Ok(set) => {
                let set = Arc::new(set);
                self.sets.rcu(|sets| {
                    let mut sets = HashMap::clone(sets);
                    sets.insert(jwks_url.to_owned(), set.clone());
                    sets
                });
                0
            }
            Err(error) => {
                let kept = self.of(jwks_url).is_some();
                tracing::warn!(error, jwks_url, kept, "the key set of a token issuer could not be fetched");
                self.attempt(jwks_url).failures.saturating_add(1)
            }
        };
        let attempt = Attempt { last: Some(Instant::now()), failures, pending: false };
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).insert(jwks_url.to_owned(), attempt);
        self.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    fn forget_all_but(&self, named: &HashSet<&str>) {
        let gone = |sets: &HashMap<String, Arc<KeySet>>| sets.keys().any(|url| !named.contains(url.as_str()));
        if gone(&self.sets.load()) {
            self.sets.rcu(|sets| {
                let kept = sets.iter().filter(|(url, _)| named.contains(url.as_str()));
                kept.map(|(url, set)| (url.clone(), set.clone())).collect::<HashMap<_, _>>()
            });
        }
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.retain(|url, _| named.contains(url.as_str()));
    }
}

/// Fetches sets until the future is dropped.
pub(crate) async fn keep(sets: Arc<KeySets>, directory: Directory, dialer: Arc<Dialer>) {
    let mut under_way = JoinSet::new();
    let mut busy: HashSet<String> = HashSet::new();
    loop {
        let snapshot = directory.load_full();
        let issuers = &snapshot.credentials.issuers;
        sets.forget_all_but(&issuers.iter().map(|issuer| issuer.jwks_url.as_str()).collect());
        for issuer in issuers {
            if sets.is_due(&issuer.jwks_url) && busy.insert(issuer.jwks_url.clone()) {
                let (url, private) = (issuer.jwks_url.clone(), issuer.allow_private_addresses);
                let dialer = dialer.clone();
                under_way.spawn(async move {
                    let fetched = fetch::get(&url, private, &dialer).await.and_then(|text| KeySet::read(&text));
                    (url, fetched)
                });
            }
        }
        drop(snapshot);
        tokio::select! {
            Some(ended) = under_way.join_next() => {
                if let Ok((url, fetched)) = ended {
                    sets.note(&url, fetched);
                    busy.remove(&url);
                }
            }
            () = sets.asked.notified() => {}
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_set_that_came_between_the_look_and_the_question_is_looked_at_once_more() {
        const URL: &str = "https://issuer.example/keys";
        // The key of RFC 8037, appendix A.2.
        const KEY: &str = r#"{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let sets = Arc::new(KeySets::new(Duration::from_secs(60)));
        let known = sets.known();
        sets.note(URL, KeySet::read(format!(r#"{{"keys": [{KEY}]}}"#).as_bytes()));
        assert!(sets.of(URL).is_some());
        let news = sets.ask(URL, &known).expect("news");
        timeout(Duration::from_secs(60), news.ended()).await.expect("it has ended");
        assert!(sets.ask(URL, &sets.known()).is_none(), "nothing new within the pause");
    }
}
