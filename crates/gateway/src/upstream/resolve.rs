//! Names to addresses: one cache for the whole process, so that neither a slow nor a failing DNS is in the way of calls.
//!
//! The system's resolver tells no time to live. So an answer counts for [`Freshness::fresh`]; for as long again it is used
//! while a new one is fetched behind it; and while look-ups fail the last answer serves for up to [`Freshness::stale`].

use crate::ports::Names;
use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::timeout};

/// A failed look-up is repeated no sooner.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// An address that did not answer is tried after the others for that long.
const SHUNNED_FOR: Duration = Duration::from_secs(10);

/// How long a caller that has an old answer waits for a new one.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long answers count.
#[derive(Debug, Clone, Copy)]
pub struct Freshness {
    /// Until it is asked again.
    pub fresh: Duration,
    /// While asking fails.
    pub stale: Duration,
}

impl Default for Freshness {
    fn default() -> Self {
        Self { fresh: Duration::from_secs(30), stale: Duration::from_secs(3_600) }
    }
}

/// The cache.
#[derive(Debug)]
pub(crate) struct Resolver {
    names: Arc<dyn Names>,
    freshness: Freshness,
    known: RwLock<HashMap<Box<str>, Arc<Name>>>,
    started: Instant,
}

#[derive(Debug)]
struct Name {
    state: watch::Sender<State>,
    /// Spreads connections over the addresses.
    turn: AtomicUsize,
    asked_at: AtomicU64,
}

#[derive(Debug, Default, Clone)]
struct State {
    answer: Option<Arc<Answer>>,
    failure: Option<(Instant, Arc<str>)>,
    looking: bool,
}

/// What a name led to.
#[derive(Debug)]
pub(crate) struct Answer {
    addresses: Vec<Address>,
    at: Instant,
}

#[derive(Debug)]
struct Address {
    ip: IpAddr,
    /// Milliseconds since the resolver started.
    shunned_until: AtomicU64,
}

/// Where a name leads now: all its addresses, the best first, and the means to say which did not answer.
#[derive(Debug)]
pub(crate) struct Candidates {
    answer: Arc<Answer>,
    order: Vec<usize>,
    started: Instant,
}

/// The name leads nowhere.
#[derive(Debug, thiserror::Error)]
#[error("the name {name} cannot be resolved: {reason}")]
pub(crate) struct Unresolved {
    name: Box<str>,
    reason: Arc<str>,
}

impl Resolver {
    pub(crate) fn new(names: Arc<dyn Names>, freshness: Freshness) -> Arc<Self> {
        Arc::new(Self { names, freshness, known: RwLock::default(), started: Instant::now() })
    }

    /// The name's addresses; an address in text form is its own answer.
    ///
    /// # Errors
    /// The look-up fails and there is no answer that is young enough.
    pub(crate) async fn resolve(self: &Arc<Self>, host: &str) -> Result<Candidates, Unresolved> {
        if let Ok(ip) = host.parse() {
            let address = Address { ip, shunned_until: AtomicU64::new(0) };
            let answer = Arc::new(Answer { addresses: vec![address], at: Instant::now() });
            return Ok(Candidates { answer, order: vec![0], started: self.started });
        }
        let name = self.name(host);
        name.asked_at.store(millis(self.started.elapsed()), Relaxed);
        let state = name.state.borrow().clone();
        let failed = state.failure.filter(|(at, _)| at.elapsed() < PAUSE_AFTER_FAILURE);
        let Some(answer) = state.answer.filter(|answer| answer.at.elapsed() < self.freshness.stale) else {
            if let Some((_, reason)) = failed {
                return Err(Unresolved { name: host.into(), reason });
            }
            return self.look_up(&name, host).await.map(|answer| self.candidates(&name, answer));
        };
        let age = answer.at.elapsed();
        if age < self.freshness.fresh || failed.is_some() {
            return Ok(self.candidates(&name, answer));
        }
        if age < self.freshness.fresh * 2 {
            self.begin_look_up(&name, host);
            return Ok(self.candidates(&name, answer));
        }
        // Nobody asked for a while, so the name may have moved.
        let newer = timeout(PATIENCE, self.look_up(&name, host)).await;
        Ok(self.candidates(&name, newer.ok().and_then(Result::ok).unwrap_or(answer)))
    }

    /// Forgets names that nobody asked for within the longest time that an answer serves.
    pub(crate) fn forget_unused(&self) {
        let (now, stale) = (millis(self.started.elapsed()), millis(self.freshness.stale));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, name| now.saturating_sub(name.asked_at.load(Relaxed)) < stale);
    }

    fn name(&self, host: &str) -> Arc<Name> {
        if let Some(name) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(host) {
            return name.clone();
        }
        let new = || {
            let (state, _) = watch::channel(State::default());
            Arc::new(Name { state, turn: AtomicUsize::new(0), asked_at: AtomicU64::new(0) })
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(host.into()).or_insert_with(new).clone()
    }

    /// Asks, or joins whoever asks already, and waits for the outcome.
    async fn look_up(self: &Arc<Self>, name: &Arc<Name>, host: &str) -> Result<Arc<Answer>, Unresolved> {
        let mut watched = name.state.subscribe();
        self.begin_look_up(name, host);
        let state = watched.wait_for(|state| !state.looking).await.map(|state| state.clone());
        let reason = match state {
            Ok(State { failure: Some((_, reason)), .. }) => reason,
            Ok(State { answer: Some(answer), .. }) => return Ok(answer),
            Ok(State { answer: None, .. }) | Err(_) => "nobody answered".into(),
        };
        Err(Unresolved { name: host.into(), reason })
    }

    fn begin_look_up(self: &Arc<Self>, name: &Arc<Name>, host: &str) {
        if !name.state.send_if_modified(|state| !std::mem::replace(&mut state.looking, true)) {
            return;
        }
        let (resolver, looking, host) = (self.clone(), Looking(name.clone()), host.to_owned());
        tokio::spawn(async move {
            let found = resolver.names.look_up(&host).await;
            looking.0.settle(&host, found);
        });
    }

    fn candidates(&self, name: &Name, answer: Arc<Answer>) -> Candidates {
        let now = millis(self.started.elapsed());
        let order = answer.order(name.turn.fetch_add(1, Relaxed), now);
        Candidates { answer, order, started: self.started }
    }
}

/// A look-up under way; one that is dropped with its runtime keeps nobody waiting.
struct Looking(Arc<Name>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.state.send_if_modified(|state| std::mem::take(&mut state.looking));
    }
}

impl Name {
    fn settle(&self, host: &str, found: io::Result<Vec<IpAddr>>) {
        let found = found.and_then(|mut ips| {
            ips.sort_unstable();
            ips.dedup();
            if ips.is_empty() { Err(io::Error::other("it has no address")) } else { Ok(ips) }
        });
        let now = Instant::now();
        self.state.send_modify(|state| match found {
            Ok(ips) => {
                if state.failure.take().is_some() && state.answer.is_some() {
                    tracing::info!(name = host, "a name can be resolved again");
                }
                let address = |ip| Address { ip, shunned_until: AtomicU64::new(0) };
                state.answer = Some(Arc::new(Answer { addresses: ips.into_iter().map(address).collect(), at: now }));
            }
            Err(error) => {
                if state.failure.is_none() {
                    let stale = state.answer.is_some();
                    tracing::warn!(name = host, %error, stale, "a name cannot be resolved; an older answer serves if there is one");
                }
                state.failure = Some((now, error.to_string().into()));
            }
        });
    }
}

impl Answer {
    /// The two families in turns, beginning anywhere, and what did not answer lately last.
    fn order(&self, turn: usize, now: u64) -> Vec<usize> {
        if self.addresses.len() == 1 {
            return vec![0];
        }
        let family = |wanted: bool| {
            let all: Vec<usize> =
                (0..self.addresses.len()).filter(|&at| self.addresses[at].ip.is_ipv6() == wanted).collect();
            let start = turn % all.len().max(1);
            let mut turned = all;
            turned.rotate_left(start);
            turned
        };
        let (mut v6, mut v4) = (family(true).into_iter(), family(false).into_iter());
        let mut order = Vec::with_capacity(self.addresses.len());
        loop {
            let (six, four) = (v6.next(), v4.next());
            if six.is_none() && four.is_none() {
                break;
            }
            order.extend(six.into_iter().chain(four));
        }
        order.sort_by_key(|&at| self.addresses[at].shunned_until.load(Relaxed) > now);
        order
    }
}

impl Candidates {
    /// In the order in which they are to be tried.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.order.iter().filter_map(|&at| Some(self.answer.addresses.get(at)?.ip))
    }

    /// Has the address tried after the others for a while.
    pub(crate) fn shun(&self, ip: IpAddr) {
        let until = millis(self.started.elapsed() + SHUNNED_FOR);
        for address in self.answer.addresses.iter().filter(|address| address.ip == ip) {
            address.shunned_until.store(until, Relaxed);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
