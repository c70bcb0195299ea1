//! Who is calling: each credential's form, then its keyed hash in the snapshot, gives a [`Caller`].
//!
//! A mistyped key is refused by its checksum, without a look-up. The look-up is by the key's HMAC, so that the time it
//! takes tells nothing about other keys.
//!
//! Whatever a request carries is judged before it is known what is called, and in the same way whatever that is, so that a
//! refusal tells a stranger nothing of products that it may not know of. What the product asks for is checked by
//! [`requirements`], after matching. All proofs have to name the same partner and environment; nobody is billed otherwise.

mod bounded;
mod certificate;
mod guesses;
mod presented;
pub(crate) mod requirements;
mod token;

use crate::{
    accept::{Connection, Core},
    key_sets::Fetching,
    matching,
    respond::Refusal,
    snapshot::{Key, Partner, Snapshot, credentials::Entry},
    try_credential::{self, BadCredential},
};
use domain::{
    id::MemberId,
    key_text::{KeyKind, kind_of},
    product::Visibility,
    refusal::Code,
};
use hmac::{Hmac, KeyInit, Mac};
use http::request;
use jiff::Timestamp;
use presented::Presented;
use sha2::Sha256;
use std::{cell::RefCell, rc::Rc, sync::Arc};
use token::{Judges, TokenProblem, Tokens};

pub(crate) use certificate::{CertificateProof, ClientAuthorities, Memo};
use guesses::Guesses;
pub(crate) use token::KeySet;

/// Who is calling, proven. Made only here.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    snapshot: Arc<Snapshot>,
    key: usize,
    member: Option<MemberId>,
    /// Whether limits and features of an earlier plan hold for this call.
    keeps: bool,
    /// `None` where one API key is all that was brought.
    more: Option<Rc<More>>,
}

/// The proofs of a caller who brought more than one API key, or something else.
#[derive(Debug)]
struct More {
    /// Whether an API key was brought.
    key: bool,
    /// The place of the token's issuer.
    token: Option<usize>,
    certificate: Option<CertificateProof>,
    /// Whether the connection has a certificate, whatever it proves.
    shows_certificate: bool,
    /// Keys besides the caller's own that the other proofs stand for.
    others: Vec<usize>,
}

impl Caller {
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(crate) fn key(&self) -> &Key {
        self.snapshot.key(self.key)
    }

    pub(crate) fn partner(&self) -> &Partner {
        self.snapshot.partner_of(self.key())
    }

    /// The person, for a call that was tried from the portal.
    pub(crate) const fn member(&self) -> Option<MemberId> {
        self.member
    }

    /// With what holds for a call that comes then.
    pub(crate) fn at(self, now: Timestamp) -> Self {
        let keeps = self.partner().keeps(now);
        Self { keeps, ..self }
    }

    /// Whether limits and features of an earlier plan hold for the call.
    pub(crate) const fn keeps(&self) -> bool {
        self.keeps
    }

    /// The authorities, by their place, under which the connection's certificate belongs to the caller.
    pub(crate) fn certified_by(&self) -> Option<usize> {
        Some(self.more.as_ref()?.certificate?.authorities)
    }

    fn has_scope(&self, scope: &str) -> bool {
        let allows = |key: &Key| key.bounds.as_ref().is_none_or(|bounds| bounds.allow_scope(scope));
        let others = self.more.iter().flat_map(|more| &more.others);
        allows(self.key()) && others.into_iter().all(|other| allows(self.snapshot.key(*other)))
    }
}

/// Why there is no caller.
pub(crate) enum Rejection {
    /// With a refusal comes the caller whom it concerns, where the key is known and only no longer valid.
    Refused(Refusal, Option<Caller>),
    /// The keys of a token's issuer are being fetched: ask again when that has ended.
    Awaits(Fetching),
}

impl Rejection {
    pub(crate) fn refusal(self) -> (Refusal, Option<Caller>) {
        match self {
            Self::Refused(refusal, caller) => (refusal, caller),
            Self::Awaits(_) => (Refusal::of(Code::IssuerUnavailable), None),
        }
    }

    fn nobody(refusal: Refusal) -> Self {
        Self::Refused(refusal, None)
    }
}

/// What proves a caller.
pub(crate) struct Authenticator {
    pepper: Hmac<Sha256>,
    try_signing_key: [u8; 32],
}

/// What a core remembers of credentials.
pub(crate) struct Remembered {
    guesses: RefCell<Guesses>,
    tokens: RefCell<Tokens>,
}

impl Remembered {
    /// Guesses of a network address within a minute after which it is told so.
    pub(crate) fn new(guesses_per_minute: u32) -> Self {
        Self { guesses: RefCell::new(Guesses::new(guesses_per_minute)), tokens: RefCell::default() }
    }
}

/// A request whose credentials are judged.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub core: &'a Core,
    pub connection: &'a Connection,
    pub head: &'a request::Parts,
    pub now: Timestamp,
    /// Whether it has waited for an issuer's keys and does not wait again.
    pub waited: bool,
}

impl Authenticator {
    pub(crate) fn new(pepper: &[u8; 32], try_signing_key: [u8; 32]) -> Self {
        Self { pepper: keyed(pepper), try_signing_key }
    }

    /// The caller, or why the credentials prove none.
    pub(crate) fn authenticate(&self, asking: Asking<'_>, snapshot: Arc<Snapshot>) -> Result<Caller, Rejection> {
        let tokens = !snapshot.credentials.issuers.is_empty();
        let presented = Presented::read(&asking.head.headers, tokens).map_err(Rejection::nobody)?;
        let certificates = !snapshot.credentials.authorities.is_empty();
        let certificate = asking.connection.peer_certificate().filter(|_| certificates);
        let caller = match (presented.key, presented.token, certificate) {
            (Some(text), None, None) => {
                let (key, member) = self.look_up(text, &snapshot, asking.now).map_err(|no| asking.guessed(no))?;
                Caller { snapshot, key, member, keeps: false, more: None }
            }
            (None, None, None) => return Err(Rejection::nobody(nothing(&snapshot, asking.head))),
            _ => self.weigh(presented, asking, snapshot)?,
        };
        let others = caller.more.iter().flat_map(|more| more.others.iter().copied());
        let problem = std::iter::once(caller.key)
            .chain(others)
            .find_map(|key| valid(caller.snapshot.key(key), asking).err().map(|refusal| (key, refusal)));
        match problem {
            None => Ok(caller),
            Some((key, refusal)) => Err(Rejection::Refused(refusal, Some(Caller { key, ..caller }))),
        }
    }

    /// Judges several proofs, or one that is no API key.
    fn weigh(
        &self,
        presented: Presented<'_>,
        asking: Asking<'_>,
        snapshot: Arc<Snapshot>,
    ) -> Result<Caller, Rejection> {
        let own = own_entry(&snapshot, asking.head);
        let mut proven: Vec<usize> = Vec::new();
        let mut member = None;
        if let Some(text) = presented.key {
            let (key, tried_by) = self.look_up(text, &snapshot, asking.now).map_err(|no| asking.guessed(no))?;
            (member, _) = (tried_by, proven.push(key));
        }
        let mut token = None;
        if let Some(text) = presented.token {
            let (issuer, key) = self.token(text, asking, &snapshot, own)?;
            token = Some(issuer);
            proven.push(key);
        }
        let shown = asking.connection.peer_certificate();
        let own_authorities = own.and_then(|entry| entry.authorities);
        let hash = |text: &str| self.hash(text);
        let certificate =
            shown.and_then(|shown| certificate::prove(shown, &snapshot, own_authorities, &hash, asking.now));
        proven.extend(certificate.map(|proof| proof.key));

        let mut others = proven.into_iter();
        let Some(key) = others.next() else {
            return Err(Rejection::nobody(Refusal::of(Code::InvalidCertificate)));
        };
        let mut others: Vec<usize> = others.filter(|other| *other != key).collect();
        others.dedup();
        let side = |key: usize| (snapshot.key(key).partner, snapshot.key(key).environment);
        if others.iter().any(|other| side(*other) != side(key)) {
            let detail = "The request carries credentials that belong to different accounts or environments.";
            return Err(Rejection::nobody(Refusal::new(Code::ConflictingCredentials, detail)));
        }
        let more =
            More { key: presented.key.is_some(), token, certificate, shows_certificate: shown.is_some(), others };
        Ok(Caller { snapshot, key, member, keeps: false, more: Some(Rc::new(more)) })
    }

    /// The places of the token's issuer and of its key.
    fn token(
        &self,
        text: &str,
        asking: Asking<'_>,
        snapshot: &Arc<Snapshot>,
        own: Option<&Entry>,
    ) -> Result<(usize, usize), Rejection> {
        let invalid = |detail: &'static str| asking.guessed(Refusal::new(Code::InvalidToken, detail));
        let core = asking.core;
        let known = core.shared.key_sets.known();
        let judges = Judges {
            named: &|name| snapshot.credentials.named(name),
            issuers: &snapshot.credentials.issuers,
            own: own.map_or(&[], |entry| &entry.issuers),
            key_sets: &core.shared.key_sets,
            hash: &|text| self.hash(text),
            now: asking.now.as_second(),
        };
        let mut may_verify = || {
            let address = core.shared.proxies.client(&asking.connection.peer, &asking.head.headers);
            address.is_none_or(|address| core.remembered.guesses.borrow_mut().may_be_costly(address, asking.now))
        };
        let proven = core.remembered.tokens.borrow_mut().prove(text, &judges, &mut may_verify);
        match proven {
            Ok((issuer, verified)) => {
                let shown = asking.connection.peer_certificate();
                if verified.certificate.is_some_and(|bound| shown.map(certificate::thumbprint) != Some(bound)) {
                    return Err(invalid("It is bound to a client certificate that this connection does not have."));
                }
                let key = snapshot.key_by_hash(&verified.identity);
                let key =
                    key.ok_or_else(|| invalid("It is valid, but the identity that it names belongs to no app."))?;
                Ok((issuer, key))
            }
            Err(TokenProblem::Invalid(detail)) => Err(invalid(detail)),
            Err(TokenProblem::Untimely { identity, detail }) => {
                let caller = snapshot.key_by_hash(&identity).map(|key| {
                    let more = More {
                        key: false,
                        token: None,
                        certificate: None,
                        shows_certificate: false,
                        others: Vec::new(),
                    };
                    Caller { snapshot: snapshot.clone(), key, member: None, keeps: false, more: Some(Rc::new(more)) }
                });
                Err(Rejection::Refused(Refusal::new(Code::ExpiredToken, detail), caller))
            }
            Err(TokenProblem::Guesser) => Err(Rejection::nobody(Refusal::of(Code::TooManyGuesses).retry_after(1))),
            Err(TokenProblem::UnknownKey { jwks_url }) => {
                match core.shared.key_sets.ask(&jwks_url, &known).filter(|_| !asking.waited) {
                    Some(fetching) => Err(Rejection::Awaits(fetching)),
                    None if core.shared.key_sets.of(&jwks_url).is_none() => {
                        Err(Rejection::nobody(Refusal::of(Code::IssuerUnavailable)))
                    }
                    None => Err(invalid("The key that signed it is not one of its issuer's for that algorithm.")),
                }
            }
        }
    }

    fn look_up(&self, text: &str, snapshot: &Snapshot, now: Timestamp) -> Result<(usize, Option<MemberId>), Refusal> {
        if text.starts_with(try_credential::PREFIX) {
            let claims = try_credential::verify(&self.try_signing_key, text, now).map_err(|bad| match bad {
                BadCredential::Malformed => Refusal::of(Code::MalformedKey),
                BadCredential::Expired => Refusal::new(Code::ExpiredKey, "The try-it credential has expired."),
            })?;
            let key = snapshot.key_by_id(claims.key).ok_or_else(|| Refusal::of(Code::UnknownKey))?;
            return Ok((key, claims.member));
        }
        match kind_of(text) {
            Ok(KeyKind::Gateway(_)) => {}
            Ok(KeyKind::Api) => {
                let detail = "This is a token of the REST API; calls take a key that starts with tp_live_ or tp_test_.";
                return Err(Refusal::new(Code::UnknownKey, detail));
            }
            Err(_) => return Err(Refusal::of(Code::MalformedKey)),
        }
        snapshot.key_by_hash(&self.hash(text)).map(|key| (key, None)).ok_or_else(|| Refusal::of(Code::UnknownKey))
    }

    fn hash(&self, text: &str) -> [u8; 32] {
        let mut mac = self.pepper.clone();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl Asking<'_> {
    /// The refusal of a credential that nobody has; another one for addresses that guess too often.
    fn guessed(&self, refusal: Refusal) -> Rejection {
        if !matches!(refusal.code, Code::UnknownKey | Code::InvalidToken) {
            return Rejection::nobody(refusal);
        }
        let address = self.core.shared.proxies.client(&self.connection.peer, &self.head.headers);
        let wait = address.and_then(|address| self.core.remembered.guesses.borrow_mut().count(address, self.now));
        Rejection::nobody(match wait {
            Some(seconds) => Refusal::of(Code::TooManyGuesses).retry_after(seconds),
            None => refusal,
        })
    }
}

/// Whether a key that was proven may be used now and from here.
fn valid(key: &Key, asking: Asking<'_>) -> Result<(), Refusal> {
    if key.revoked_at.is_some() {
        return Err(Refusal::of(Code::RevokedKey));
    }
    if let Some(end) = key.expires_at.filter(|end| *end <= asking.now) {
        return Err(Refusal::new(Code::ExpiredKey, format!("The key expired at {end}.")));
    }
    let Some(bounds) = &key.bounds else { return Ok(()) };
    let client = || asking.core.shared.proxies.client(&asking.connection.peer, &asking.head.headers);
    if bounds.allow_address(client) { Ok(()) } else { Err(Refusal::of(Code::AddressNotAllowed)) }
}

/// How the product at the request's path is entered, whoever calls.
fn own_entry<'a>(snapshot: &'a Snapshot, head: &request::Parts) -> Option<&'a Entry> {
    let product = matching::product_at(snapshot, &head.uri)?;
    snapshot.products.get(product)?.entry.as_deref()
}

/// The answer to a request without any credential. Only what everybody may know of says what it asks for.
fn nothing(snapshot: &Snapshot, head: &request::Parts) -> Refusal {
    let product = matching::product_at(snapshot, &head.uri).and_then(|at| snapshot.products.get(at));
    let public = product.filter(|product| product.visibility == Visibility::Public);
    match public.and_then(|product| product.entry.as_ref()) {
        Some(entry) => {
            let detail = format!("This product asks for {}.", requirements::words(&entry.accept));
            Refusal::new(Code::MissingCredential, detail)
        }
        None => Refusal::of(Code::MissingKey),
    }
}

/// The hash that the directory keeps of a key's text.
pub fn hash_key(pepper: &[u8; 32], text: &str) -> [u8; 32] {
    let mut mac = keyed(pepper);
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// HMAC pads a key with zeros to its block, so that taking a whole block cannot fail.
pub(crate) fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    block[..key.len()].copy_from_slice(key);
    KeyInit::new(&block)
}
