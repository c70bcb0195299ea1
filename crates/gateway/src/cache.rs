//! The response cache of a product (RFC 9111): a call that a kept answer serves does not reach the upstream.
//!
//! A call asks twice. [`consult`] looks before anything is spent, so that a hit is reserved at its own price.
//! [`Consulted::before_forward`] gives the hit, or waits for another call's fetch of the same answer, or asks the
//! upstream about what is kept; [`Consulted::after_forward`] keeps what came. Answers are found by what is forwarded,
//! byte for byte, and by whose they are: a partner's own, unless the product is declared the same for everybody.
//!
//! Never kept: answers with Set-Cookie, to requests with a body, and to requests with fields that make an upstream
//! answer for another address or method.

mod answer;
mod collect;
mod condition;
mod directives;
mod entries;
mod flights;
mod freshness;
mod invalidate;
mod key;
mod purge;
mod range;
mod refresh;
mod rules;

pub(crate) use collect::Collecting;
pub use entries::Which;
pub use purge::Purger;
pub(crate) use rules::{Rules, Shelves};

use crate::{
    accept::{Connection, Core},
    matching::Target,
    reserve::Permit,
    respond::Refusal,
    upstream::{Answer, AnswerBody},
};
use answer::{Shown, give};
use collect::Filing;
use directives::Directives;
use domain::{policy::CachePrice, refusal::Code, usage::Outcome};
use entries::{Search, Stored};
use flights::{Lead, Progress, Role};
use http::{
    HeaderMap, Method, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, COOKIE, HOST, IF_RANGE, PRAGMA, RANGE, UPGRADE},
    request,
};
use key::{Address, Scope};
use rules::{Result as Became, Shelf};
use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{sync::watch, time::timeout};

/// How long a call waits for the body that another call is fetching. Past that it fetches for itself: the other one's
/// client may be slow.
const BODY_WAIT: Duration = Duration::from_secs(1);

/// Where a call's answer is kept, and what the call said.
#[derive(Clone)]
pub(crate) struct Asked {
    shelf: Arc<Shelf>,
    address: Address,
    scope: Scope,
    head_only: bool,
    headers: HeaderMap,
    directives: Directives,
    /// Monotonic nanoseconds.
    at: u64,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What the cache has for a call.
#[derive(Debug)]
pub(crate) enum Consulted {
    /// The product keeps nothing.
    Off,
    /// The call is none of the cache's, for this reason; what it changes is no longer kept.
    Passed(Box<Asked>, &'static str),
    Hit(Box<Asked>, Arc<Stored>, Shown),
    Missed(Box<Missed>),
    /// The request wants a kept answer or none, and there is none.
    OnlyIfCached,
}

/// A call that has to be forwarded.
#[derive(Debug)]
pub(crate) struct Missed {
    asked: Asked,
    why: &'static str,
    stale: Option<Arc<Stored>>,
    /// The upstream is asked whether `stale` is still right.
    validates: bool,
    lead: Option<Lead>,
}

/// Looks for an answer, and spends nothing. One comparison where the product keeps nothing.
pub(crate) fn consult(core: &Core, target: &Target, head: &request::Parts, has_body: bool) -> Consulted {
    match &target.product().cache {
        None => Consulted::Off,
        Some(rules) => look_up(core, rules, target, head, has_body),
    }
}

fn look_up(core: &Core, rules: &Rules, target: &Target, head: &request::Parts, has_body: bool) -> Consulted {
    let now = core.shared.monotonic();
    let key = target.caller.key();
    let mut directives = Directives::read(&head.headers, &CACHE_CONTROL);
    let pragma = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"no-cache");
    directives.no_cache |= !directives.given && head.headers.get_all(PRAGMA).iter().any(pragma);
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = head.headers.get(HOST).map(|host| host.as_bytes()).or(authority).unwrap_or_default();
    let asked = Asked {
        shelf: core.shared.shelves.of(target.product().id),
        address: Address { path: target.path_below.as_str().into(), query: head.uri.query().map(Into::into) },
        scope: Scope {
            partner: (!rules.public).then(|| target.caller.partner().id),
            key: rules.by_key.then_some(key.id),
            environment: key.environment,
            host: host.to_ascii_lowercase().into(),
        },
        head_only: head.method == Method::HEAD,
        headers: head.headers.clone(),
        directives,
        at: now,
    };
    let readable = asked.head_only || head.method == Method::GET;
    let elsewhere = has_body || head.headers.contains_key(UPGRADE) || head.headers.keys().any(misleads);
    if !readable {
        return Consulted::Passed(Box::new(asked), "method");
    }
    if target.operation().never_cached || elsewhere {
        return Consulted::Passed(Box::new(asked), "bypass");
    }
    if asked.directives.no_store || condition::is_for_the_upstream(&head.headers) {
        return Consulted::Passed(Box::new(asked), "request");
    }
    let (stale, why) = match asked.shelf.entries.find(&asked.address, &asked.scope, &head.headers, now) {
        Search::Nothing => (None, "uri-miss"),
        Search::OtherVariants => (None, "vary-miss"),
        Search::Found(stored) => match use_of(&stored, &asked.directives, now) {
            Ok(shown) => return Consulted::Hit(Box::new(asked), stored, shown),
            Err(why) => (Some(stored), why),
        },
    };
    if asked.directives.only_if_cached {
        return Consulted::OnlyIfCached;
    }
    Consulted::Missed(Box::new(Missed { asked, why, stale, validates: false, lead: None }))
}

/// Fields that some upstreams take for another address or method than the one that is looked up. A call that brings
/// one is passed on, and has no part in the cache.
fn misleads(name: &http::HeaderName) -> bool {
    let name = name.as_str().replace('_', "-");
    matches!(
        name.as_str(),
        "x-http-method"
            | "x-http-method-override"
            | "x-method-override"
            | "x-host"
            | "x-http-host-override"
            | "x-original-method"
            | "x-url"
            | "x-uri"
            | "x-path"
    ) || ["x-original-", "x-rewrite-", "x-override-", "x-proxy-", "x-backend-"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Whether the request takes what is kept (RFC 9111, 4.2 and 5.2.1), or why the upstream has to be asked.
fn use_of(stored: &Stored, request: &Directives, now: u64) -> Result<Shown, &'static str> {
    let (age, ttl) = (stored.age(now), stored.ttl(now));
    let too_old = request.max_age.is_some_and(|longest| longest == 0 || age > longest);
    let too_stale_soon = request.min_fresh.is_some_and(|least| u64::try_from(ttl).unwrap_or(0) < least);
    if request.no_cache || too_old || too_stale_soon {
        return Err("request");
    }
    if stored.is_fresh(now) {
        return Ok(Shown::Hit);
    }
    let since = ttl.min(0).unsigned_abs();
    if !stored.terms.must_revalidate && request.max_stale.is_some_and(|longest| since <= longest) {
        return Ok(Shown::Stale);
    }
    let demanding = request.max_age.is_some() || request.min_fresh.is_some();
    if !demanding && since < stored.terms.stale_while_revalidate {
        return Ok(Shown::WhileRevalidating);
    }
    Err("stale")
}

impl Consulted {
    /// Why the call cannot be answered at all.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        matches!(self, Self::OnlyIfCached).then(|| {
            Refusal::new(Code::UpstreamTimeout, "The request wants a kept answer (only-if-cached), and none is kept.")
        })
    }

    /// Whether the cache has nothing to do with the call.
    pub(crate) const fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }

    /// Whether the call needs no upstream.
    pub(crate) const fn is_hit(&self) -> bool {
        matches!(self, Self::Hit(..))
    }

    /// Whether a stale answer stands in for an upstream that cannot be asked; from then on it is a hit.
    pub(crate) fn stands_in(&mut self, core: &Core) -> bool {
        let Self::Missed(missed) = self else { return false };
        let Some(stale) = missed.for_an_error(core) else { return false };
        *self = Self::Hit(Box::new(missed.asked.clone()), stale, Shown::Stale);
        true
    }

    /// Units that the call costs because a kept answer serves it; `None` where it costs what it always does.
    pub(crate) fn price(&self, target: &Target) -> Option<u64> {
        match self {
            Self::Hit(..) => hit_price(target),
            _ => None,
        }
    }

    /// The kept answer, if there is one or another call is about to bring it. Else the request is made ready to be
    /// forwarded.
    pub(crate) async fn before_forward(
        &mut self,
        core: &Rc<Core>,
        connection: &Rc<Connection>,
        permit: &mut Permit,
        head: &mut request::Parts,
    ) -> Option<Answer> {
        match self {
            Self::Off | Self::Passed(..) | Self::OnlyIfCached => None,
            Self::Hit(asked, stored, shown) => {
                if *shown == Shown::WhileRevalidating {
                    refresh::start(core, connection, permit.target(), asked, stored);
                }
                permit.costs_at_most(hit_price(permit.target()));
                count(permit.target(), if *shown == Shown::Hit { Became::Hit } else { Became::Stale });
                Some(give(stored, asked, core.shared.monotonic(), *shown))
            }
            Self::Missed(missed) => {
                if let Some(stored) = Box::pin(missed.wait(core, permit.target())).await {
                    permit.costs_at_most(hit_price(permit.target()));
                    count(permit.target(), Became::Collapsed);
                    return Some(give(&stored, &missed.asked, core.shared.monotonic(), Shown::Collapsed));
                }
                if let Some(stale) = &missed.stale {
                    missed.validates = condition::validate(&mut head.headers, &stale.headers);
                    if missed.validates {
                        head.headers.remove(RANGE);
                        head.headers.remove(IF_RANGE);
                    } else {
                        head.headers = missed.asked.headers.clone();
                    }
                }
                missed.asked.at = core.shared.monotonic();
                None
            }
        }
    }

    /// Keeps what the upstream answered if it may be kept, and gives what is kept where the upstream says that it is
    /// still right, or fails and the answer allows it. The outcome tells who answered.
    pub(crate) fn after_forward(
        self,
        core: &Core,
        permit: &mut Permit,
        forwarded: Result<Answer, Refusal>,
    ) -> (Result<Answer, Refusal>, Outcome) {
        match self {
            Self::Passed(asked, why) => {
                count(permit.target(), Became::Bypass);
                let answer = forwarded.map(|mut answer| {
                    if why == "method" {
                        invalidate::after(&asked, core, permit, &answer.head);
                    }
                    answer::say_forwarded(&mut answer.head.headers, why, false);
                    answer
                });
                (answer, Outcome::Served)
            }
            Self::Missed(mut missed) => {
                let failed = match &forwarded {
                    Ok(answer) => answer.head.status.is_server_error(),
                    Err(refusal) => refusal.status() >= 500,
                };
                if failed && let Some(stale) = missed.for_an_error(core) {
                    permit.costs_at_most(hit_price(permit.target()));
                    count(permit.target(), Became::Stale);
                    let answer = give(&stale, &missed.asked, core.shared.monotonic(), Shown::Stale);
                    return (Ok(answer), Outcome::Cached);
                }
                let answer = forwarded.map(|answer| missed.receive(core, permit.target(), answer));
                (answer, Outcome::Served)
            }
            Self::Off | Self::Hit(..) | Self::OnlyIfCached => (forwarded, Outcome::Served),
        }
    }
}

fn hit_price(target: &Target) -> Option<u64> {
    match target.product().cache.as_ref()?.price {
        CachePrice::Full => None,
        CachePrice::Units(units) => Some(u64::from(units)),
    }
}

impl Missed {
    /// Waits while another call fetches the same answer, and gives it if it was kept. Becomes that other call if
    /// there is none.
    async fn wait(&mut self, core: &Core, target: &Target) -> Option<Arc<Stored>> {
        let Asked { headers, directives, shelf, address, scope, .. } = &self.asked;
        let own = self.asked.head_only
            || headers.contains_key(RANGE)
            || self.why == "request"
            || (self.stale.is_none() && condition::is_conditional(headers))
            || directives.no_cache;
        if own {
            return None;
        }
        let mut progress = match shelf.flights.join(address, scope, core.shared.monotonic()) {
            Role::Alone => return None,
            Role::Leads(lead) => {
                self.lead = Some(lead);
                return None;
            }
            Role::Follows(progress) => progress,
        };
        let head_wait = target.product().upstream.as_ref().map_or(BODY_WAIT, |upstream| upstream.timeout);
        if !is_kept(&mut progress, head_wait).await {
            return None;
        }
        let now = core.shared.monotonic();
        match shelf.entries.find(address, scope, headers, now) {
            Search::Found(stored) if use_of(&stored, directives, now) == Ok(Shown::Hit) => Some(stored),
            _ => None,
        }
    }
}

async fn is_kept(progress: &mut watch::Receiver<Progress>, head_wait: Duration) -> bool {
    let past = |progress: &mut watch::Receiver<Progress>, so_far: Progress, longest| {
        let mut progress = progress.clone();
        async move {
            match timeout(longest, progress.wait_for(|now| *now != so_far)).await {
                Ok(Ok(now)) => *now,
                _ => Progress::Alone,
            }
        }
    };
    match past(progress, Progress::Asked, head_wait).await {
        Progress::Coming => past(progress, Progress::Coming, BODY_WAIT).await == Progress::Kept,
        now => now == Progress::Kept,
    }
}

impl Missed {
    fn for_an_error(&self, core: &Core) -> Option<Arc<Stored>> {
        let stale = self.stale.as_ref()?;
        let since = stale.ttl(core.shared.monotonic()).min(0).unsigned_abs();
        // A request that insists on a new answer is told that there is none.
        let insists = self.why == "request";
        (!insists && since < stale.terms.stale_if_error).then(|| stale.clone())
    }

    /// The client's answer from the upstream's.
    fn receive(&mut self, core: &Core, target: &Target, mut answer: Answer) -> Answer {
        let status = answer.head.status;
        if self.validates
            && status == StatusCode::NOT_MODIFIED
            && let Some(stale) = &self.stale
        {
            count(target, Became::Revalidated);
            let cookies = answer::cookies(&answer.head.headers);
            let fresh = self.asked.freshen(core, target, stale, answer.head.headers, self.lead.take());
            let mut answer = give(&fresh, &self.asked, core.shared.monotonic(), Shown::Validated);
            answer.head.headers.extend(cookies);
            return answer;
        }
        count(target, Became::Miss);
        let filing = self.asked.filing(core, target, &answer, self.lead.take());
        // A new answer takes the old one's place, whether it is kept or not.
        if let Some(stale) = self.stale.as_ref().filter(|_| !status.is_server_error() && !self.asked.head_only)
            && status != StatusCode::NOT_MODIFIED
            && status != StatusCode::PARTIAL_CONTENT
            && filing.is_none()
        {
            self.asked.shelf.entries.drop_one(&self.asked.address, &self.asked.scope, stale);
        }
        answer::say_forwarded(&mut answer.head.headers, self.why, filing.is_some());
        if let Some(filing) = filing {
            answer.body = match answer.body {
                AnswerBody::Full(bytes) => {
                    filing.file(bytes.clone());
                    AnswerBody::Full(bytes)
                }
                body => AnswerBody::Collected(Box::new(Collecting::new(body, filing))),
            };
        }
        answer
    }
}

impl Asked {
    /// Where the answer goes once it is here as a whole; `None` if it may not be kept.
    fn filing(&self, core: &Core, target: &Target, answer: &Answer, lead: Option<Lead>) -> Option<Filing> {
        let rules = target.product().cache.as_ref()?;
        let filing = if self.head_only { None } else { self.terms_of(rules, answer) };
        let Some((terms, variation)) = filing else {
            if let Some(lead) = lead.filter(|_| !answer.head.status.is_server_error()) {
                lead.leave(core.shared.monotonic());
            }
            return None;
        };
        lead.iter().for_each(Lead::comes);
        Some(Filing {
            shelf: self.shelf.clone(),
            address: self.address.clone(),
            scope: self.scope.clone(),
            status: answer.head.status,
            headers: answer::to_keep(&answer.head.headers),
            variation,
            terms,
            asked_at: self.at,
            arrived_at: core.shared.monotonic(),
            max_bytes: rules.max_bytes,
            max_body_bytes: rules.max_body_bytes,
            bytes: rules.metrics.bytes(),
            lead,
        })
    }

    fn terms_of(&self, rules: &Rules, answer: &Answer) -> Option<(freshness::Terms, key::Variation)> {
        let headers = &answer.head.headers;
        let too_long = http_body::Body::size_hint(&answer.body).lower() > rules.max_body_bytes as u64;
        let switched = matches!(answer.body, AnswerBody::Switched(_));
        // An event stream has no end worth waiting for.
        let stream = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if too_long || switched || stream {
            return None;
        }
        let terms = freshness::terms(answer.head.status, headers, &self.directives, rules.fallback, SystemTime::now())?;
        // What a cookie brought about is for its owner, unless the answer says otherwise.
        if rules.public && self.headers.contains_key(COOKIE) && !terms.explicitly_shared {
            return None;
        }
        let variation = key::Variation::of(headers, &self.headers)?;
        Some((terms, variation))
    }

    /// What is kept with the fields of a 304 (RFC 9111, 4.3.4).
    fn freshen(
        &self,
        core: &Core,
        target: &Target,
        stale: &Arc<Stored>,
        fields: HeaderMap,
        lead: Option<Lead>,
    ) -> Arc<Stored> {
        let headers = answer::freshened(&stale.headers, &answer::to_keep(&fields));
        let (rules, now) = (target.product().cache.as_ref(), core.shared.monotonic());
        let mut judged = headers.clone();
        if let Some(age) = fields.get(http::header::AGE) {
            judged.insert(http::header::AGE, age.clone());
        }
        let fallback = rules.map(|rules| rules.fallback).unwrap_or_default();
        let terms = freshness::terms(stale.status, &judged, &self.directives, fallback, SystemTime::now());
        let stored = Arc::new(Stored {
            status: stale.status,
            headers,
            body: stale.body.clone(),
            variation: stale.variation.clone(),
            terms: terms.unwrap_or(stale.terms),
            asked_at: self.at,
            stored_at: now,
            refreshing: Default::default(),
        });
        match rules.filter(|_| terms.is_some()) {
            Some(rules) => {
                let (address, scope) = (self.address.clone(), self.scope.clone());
                self.shelf.entries.keep(address, scope, stored.clone(), rules.max_bytes);
                rules.metrics.set_bytes(self.shelf.entries.bytes());
                if let Some(lead) = lead {
                    lead.landed();
                }
            }
            None => self.shelf.entries.drop_one(&self.address, &self.scope, stale),
        }
        stored
    }
}

fn count(target: &Target, became: Became) {
    if let Some(rules) = &target.product().cache {
        rules.metrics.count(became);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_lead_to_another_address_are_known_in_every_spelling() {
        for name in ["x-original-url", "x_original_url", "x-rewrite-url", "x-http-method-override", "x-host"] {
            assert!(misleads(&http::HeaderName::from_static(name)), "{name}");
        }
        for name in ["accept", "user-agent", "x-request-id", "x-client-version"] {
            assert!(!misleads(&http::HeaderName::from_static(name)), "{name}");
        }
    }
}
