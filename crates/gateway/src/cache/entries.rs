//! The answers of one product that are kept: bounded in bytes, shared by all cores, the least recently used leave
//! first.

use super::{
    freshness::Terms,
    key::{Address, Scope, Variation},
};
use bytes::Bytes;
use domain::id::PartnerId;
use http::{HeaderMap, StatusCode};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// What an entry takes besides its texts, in bytes, roughly.
const OVERHEAD: usize = 512;
/// Answers that differ by request fields, for each address and scope.
const MAX_VARIANTS: usize = 32;
/// Invalidated addresses that are remembered.
const MAX_INVALIDATED: usize = 4096;
/// An answer that was used this recently counts as just used, in nanoseconds.
const RECENT: u64 = 1_000_000_000;

/// An answer that is kept.
#[derive(Debug)]
pub(crate) struct Stored {
    pub status: StatusCode,
    /// As they go to clients, without what differs by call.
    pub headers: HeaderMap,
    pub body: Bytes,
    pub variation: Variation,
    pub terms: Terms,
    /// When the request for it left, and when it arrived, in monotonic nanoseconds.
    pub asked_at: u64,
    pub stored_at: u64,
    /// A new one is being fetched in the background.
    pub refreshing: AtomicBool,
}

impl Stored {
    /// Seconds since it was made.
    pub(super) fn age(&self, now: u64) -> u64 {
        self.terms.age + now.saturating_sub(self.stored_at) / 1_000_000_000
    }

    /// Whether it may be used without asking.
    pub(super) fn is_fresh(&self, now: u64) -> bool {
        let left = self.terms.lifetime.saturating_sub(self.terms.age).saturating_mul(1_000_000_000);
        now.saturating_sub(self.stored_at) < left
    }

    /// Seconds until it is stale; negative since then.
    pub(super) fn ttl(&self, now: u64) -> i64 {
        let seconds = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        seconds(self.terms.lifetime) - seconds(self.age(now))
    }

    fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
        self.body.len() + headers + self.variation.bytes() + OVERHEAD
    }
}

/// What a search found.
#[derive(Debug)]
pub(super) enum Search {
    Found(Arc<Stored>),
    /// There are answers for other values of the fields that they vary by.
    OtherVariants,
    Nothing,
}

/// Which answers go; all of them where nothing narrows it down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Which {
    /// Only that partner's own. What is shared between partners is nobody's own.
    pub partner: Option<PartnerId>,
    /// Only paths below the product's route that begin with this.
    pub path_prefix: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Entries {
    inner: Mutex<Inner>,
    bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    by_address: HashMap<Address, HashMap<Scope, Variants>>,
    /// The least recently used first.
    by_use: BTreeMap<u64, (Address, Scope)>,
    uses: u64,
    bytes: usize,
    /// When addresses lost their answers; one that was asked for before is not kept.
    invalidated: HashMap<Address, u64>,
    purged_at: Option<u64>,
}

#[derive(Debug, Default)]
struct Variants {
    /// The newest first.
    all: Vec<Arc<Stored>>,
    use_number: u64,
    used_at: u64,
}

impl Entries {
    pub(super) fn find(&self, address: &Address, scope: &Scope, request: &HeaderMap, now: u64) -> Search {
        let mut inner = self.lock();
        let Inner { by_address, by_use, uses, .. } = &mut *inner;
        let Some(variants) = by_address.get_mut(address).and_then(|scopes| scopes.get_mut(scope)) else {
            return Search::Nothing;
        };
        if now.saturating_sub(variants.used_at) > RECENT
            && let Some(place) = by_use.remove(&variants.use_number)
        {
            *uses += 1;
            (variants.use_number, variants.used_at) = (*uses, now);
            by_use.insert(*uses, place);
        }
        match variants.all.iter().find(|stored| stored.variation.matches(request)) {
            Some(stored) => Search::Found(stored.clone()),
            None => Search::OtherVariants,
        }
    }

    /// Keeps the answer in place of the one for the same request, and lets others go until all fit in `max_bytes`.
    pub(super) fn keep(&self, address: Address, scope: Scope, stored: Arc<Stored>, max_bytes: usize) {
        if stored.bytes() > max_bytes {
            return;
        }
        let mut inner = self.lock();
        if inner.is_outdated(&address, stored.asked_at) {
            return;
        }
        inner.uses += 1;
        let number = inner.uses;
        let now = stored.stored_at;
        let Inner { by_address, by_use, bytes, .. } = &mut *inner;
        let variants = by_address.entry(address.clone()).or_default().entry(scope.clone()).or_default();
        by_use.remove(&variants.use_number);
        (variants.use_number, variants.used_at) = (number, now);
        by_use.insert(number, (address, scope));
        *bytes += stored.bytes();
        let variation = &stored.variation;
        variants.all.retain(|other| {
            let stays = other.variation != *variation;
            *bytes -= if stays { 0 } else { other.bytes() };
            stays
        });
        variants.all.insert(0, stored);
        while variants.all.len() > MAX_VARIANTS
            && let Some(oldest) = variants.all.pop()
        {
            *bytes -= oldest.bytes();
        }
        while inner.bytes > max_bytes {
            let Some((_, (address, scope))) = inner.by_use.pop_first() else { break };
            inner.forget(&address, Some(&scope));
        }
        self.bytes.store(inner.bytes as u64, Ordering::Relaxed);
    }

    /// Lets go what is kept for that address, whoever asked for it, and what was asked for before now.
    pub(super) fn invalidate(&self, address: Address, now: u64) {
        let mut inner = self.lock();
        inner.forget(&address, None);
        if inner.invalidated.len() >= MAX_INVALIDATED {
            inner.invalidated.clear();
            inner.purged_at = Some(now);
        }
        inner.invalidated.insert(address, now);
        self.bytes.store(inner.bytes as u64, Ordering::Relaxed);
    }

    /// Lets go that one answer, if it is still there.
    pub(super) fn drop_one(&self, address: &Address, scope: &Scope, stored: &Arc<Stored>) {
        let mut inner = self.lock();
        let Inner { by_address, bytes, .. } = &mut *inner;
        if let Some(variants) = by_address.get_mut(address).and_then(|scopes| scopes.get_mut(scope)) {
            let before = variants.all.len();
            variants.all.retain(|other| !Arc::ptr_eq(other, stored));
            *bytes -= if variants.all.len() < before { stored.bytes() } else { 0 };
            if variants.all.is_empty() {
                inner.forget(address, Some(scope));
            }
        }
        self.bytes.store(inner.bytes as u64, Ordering::Relaxed);
    }

    /// Lets go all of these, and what was asked for before now. Says how many answers they were.
    pub(super) fn purge(&self, which: &Which, now: u64) -> usize {
        let mut inner = self.lock();
        inner.purged_at = Some(now);
        let goes = |address: &Address, scope: &Scope| {
            which.path_prefix.as_ref().is_none_or(|prefix| address.path.starts_with(prefix.as_str()))
                && (which.partner.is_none() || scope.partner == which.partner)
        };
        let doomed: Vec<(Address, Scope)> =
            inner.by_use.values().filter(|(address, scope)| goes(address, scope)).cloned().collect();
        let count = doomed.iter().map(|(address, scope)| inner.forget(address, Some(scope))).sum();
        self.bytes.store(inner.bytes as u64, Ordering::Relaxed);
        count
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether the address lost its answers after that one was asked for.
    fn is_outdated(&self, address: &Address, asked_at: u64) -> bool {
        let lost = self.invalidated.get(address).copied().max(self.purged_at);
        lost.is_some_and(|lost| asked_at <= lost)
    }

    /// Drops one scope of the address, or all of them, and says how many answers they held.
    fn forget(&mut self, address: &Address, scope: Option<&Scope>) -> usize {
        let Self { by_address, by_use, bytes, .. } = self;
        let Some(scopes) = by_address.get_mut(address) else { return 0 };
        let mut count = 0;
        scopes.retain(|own, variants| {
            if scope.is_some_and(|scope| scope != own) {
                return true;
            }
            by_use.remove(&variants.use_number);
            count += variants.all.len();
            *bytes -= variants.all.iter().map(|stored| stored.bytes()).sum::<usize>();
            false
        });
        if scopes.is_empty() {
            by_address.remove(address);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::key_text::Environment;
    use http::{HeaderValue, header::VARY};
    use uuid::Uuid;

    fn address(path: &str) -> Address {
        Address { path: path.into(), query: None }
    }

    fn scope(partner: u128) -> Scope {
        let partner = Some(PartnerId(Uuid::from_u128(partner)));
        Scope { partner, key: None, environment: Environment::Live, host: Box::default() }
    }

    fn stored(body: &str, asked: &HeaderMap, at: u64) -> Arc<Stored> {
        let mut headers = HeaderMap::new();
        headers.insert(VARY, HeaderValue::from_static("foo"));
        Arc::new(Stored {
            status: StatusCode::OK,
            variation: Variation::of(&headers, asked).expect("kept"),
            headers,
            body: Bytes::from(body.to_owned()),
            terms: Terms {
                lifetime: 60,
                age: 10,
                stale_while_revalidate: 0,
                stale_if_error: 0,
                must_revalidate: false,
                explicitly_shared: false,
            },
            asked_at: at,
            stored_at: at,
            refreshing: AtomicBool::new(false),
        })
    }

    fn body(search: Search) -> Option<String> {
        match search {
            Search::Found(stored) => Some(String::from_utf8_lossy(&stored.body).into_owned()),
            _ => None,
        }
    }

    fn below(prefix: &str) -> Which {
        Which { path_prefix: Some(prefix.to_owned()), partner: None }
    }

    fn of(partner: u128) -> Which {
        Which { partner: Some(PartnerId(Uuid::from_u128(partner))), path_prefix: None }
    }

    const ROOM: usize = 1 << 20;

    #[test]
    fn an_answer_is_found_by_address_scope_and_variation_and_by_nothing_else() {
        let entries = Entries::default();
        let none = HeaderMap::new();
        let mut foo = HeaderMap::new();
        foo.insert("foo", HeaderValue::from_static("1"));
        entries.keep(address("/a"), scope(1), stored("plain", &none, 0), ROOM);
        entries.keep(address("/a"), scope(1), stored("foo", &foo, 0), ROOM);
        let find = |path, partner, request: &HeaderMap| body(entries.find(&address(path), &scope(partner), request, 0));
        assert_eq!(find("/a", 1, &none).as_deref(), Some("plain"));
        assert_eq!(find("/a", 1, &foo).as_deref(), Some("foo"));
        assert_eq!((find("/a", 2, &none), find("/a/", 1, &none)), (None, None));
        let with_query = Address { path: "/a".into(), query: Some("".into()) };
        assert!(matches!(entries.find(&with_query, &scope(1), &none, 0), Search::Nothing));
        foo.insert("foo", HeaderValue::from_static("2"));
        assert!(matches!(entries.find(&address("/a"), &scope(1), &foo, 0), Search::OtherVariants));
        entries.keep(address("/a"), scope(1), stored("newer", &none, 1), ROOM);
        assert_eq!(find("/a", 1, &none).as_deref(), Some("newer"));
        assert_eq!(entries.purge(&Which::default(), 9), 2);
        assert_eq!(entries.bytes(), 0);
    }

    #[test]
    fn the_least_recently_used_leave_and_the_bound_holds() {
        let entries = Entries::default();
        let none = HeaderMap::new();
        let size = stored(&"x".repeat(1000), &none, 0).bytes();
        for number in 0..50_u64 {
            let at = number * 2 * RECENT;
            entries.keep(address(&format!("/{number}")), scope(1), stored(&"x".repeat(1000), &none, at), 5 * size);
            assert!(entries.bytes() <= 5 * size as u64);
            // The first is used again and again, and stays.
            assert!(body(entries.find(&address("/0"), &scope(1), &none, at + RECENT + 1)).is_some(), "{number}");
        }
        let left = |number: u64| body(entries.find(&address(&format!("/{number}")), &scope(1), &none, 0)).is_some();
        assert_eq!((0..50).filter(|number| left(*number)).collect::<Vec<_>>(), [0, 46, 47, 48, 49]);
        entries.keep(address("/large"), scope(1), stored(&"x".repeat(1000), &none, 0), size - 1);
        assert!(matches!(entries.find(&address("/large"), &scope(1), &none, 0), Search::Nothing));
    }

    #[test]
    fn purges_and_invalidations_take_what_they_name() {
        let entries = Entries::default();
        let none = HeaderMap::new();
        for path in ["/a/1", "/a/2", "/b"] {
            for partner in [1, 2] {
                entries.keep(address(path), scope(partner), stored("x", &none, 0), ROOM);
            }
        }
        let left = |path: &str, partner| body(entries.find(&address(path), &scope(partner), &none, 0)).is_some();
        entries.invalidate(address("/b"), 5);
        assert!(!left("/b", 1) && !left("/b", 2), "whoever asked for it");
        assert_eq!(entries.purge(&of(2), 5), 2);
        assert!(left("/a/1", 1) && !left("/a/1", 2));
        assert_eq!(entries.purge(&below("/a/1"), 5), 1);
        assert!(!left("/a/1", 1) && left("/a/2", 1));
        let Search::Found(last) = entries.find(&address("/a/2"), &scope(1), &none, 0) else { panic!("gone") };
        entries.drop_one(&address("/a/2"), &scope(1), &last);
        entries.drop_one(&address("/a/2"), &scope(1), &last);
        assert_eq!(entries.bytes(), 0);
    }

    #[test]
    fn what_was_asked_for_before_an_invalidation_is_not_kept_after_it() {
        let entries = Entries::default();
        let none = HeaderMap::new();
        let kept = |path: &str, at| {
            entries.keep(address(path), scope(1), stored("x", &none, at), ROOM);
            body(entries.find(&address(path), &scope(1), &none, at)).is_some()
        };
        entries.invalidate(address("/a"), 100);
        assert!(!kept("/a", 99) && !kept("/a", 100) && kept("/b", 99) && kept("/a", 101));
        entries.purge(&below("/c"), 200);
        assert!(!kept("/d", 200) && kept("/d", 201));
    }

    #[test]
    fn an_answer_ages() {
        let kept = stored("x", &HeaderMap::new(), 5);
        let second = 1_000_000_000;
        assert!(kept.is_fresh(5 + 50 * second - 1) && !kept.is_fresh(5 + 50 * second));
        assert_eq!((kept.age(5 + 3 * second), kept.ttl(5 + 3 * second), kept.ttl(5 + 53 * second)), (13, 47, -3));
    }
}
