//! A partner with an owner in one line, for tests that are about something else.

use crate::{Actor, NewMail, NewSignUp, NewToken, SignedUp, Store};
use domain::id::{MemberId, PartnerId};
use jiff::{SignedDuration, Timestamp};

/// A partner that signed up, and its owner.
#[derive(Debug, Clone, Copy)]
pub struct World {
    pub partner: PartnerId,
    pub owner: MemberId,
    pub now: Timestamp,
}

impl World {
    /// The partner `acme`, with `owner@acme.example`.
    pub async fn new(store: &Store) -> Self {
        Self::named(store, "acme").await
    }

    /// A partner of that name, with `owner@<name>.example`.
    pub async fn named(store: &Store, name: &str) -> Self {
        match store.sign_up(&sign_up(name), now()).await.expect("signing up works") {
            SignedUp::Created { partner, member } => Self { partner, owner: member, now: now() },
            SignedUp::AlreadyKnown => panic!("{name} has signed up before"),
        }
    }

    /// The owner, as the one who acts.
    pub fn actor(&self) -> Actor {
        Actor::Member(self.owner)
    }
}

/// A moment to begin at: the middle of a month, a day and an hour.
pub fn now() -> Timestamp {
    Timestamp::from_second(1_791_981_000).expect("in range")
}

/// What `owner@<name>.example` would send.
pub fn sign_up(name: &str) -> NewSignUp {
    let email = format!("owner@{name}.example");
    let mut hash = [0xEE; 32];
    for (place, byte) in hash.iter_mut().zip(name.bytes()) {
        *place = byte;
    }
    NewSignUp {
        company: name.to_owned(),
        name: String::new(),
        password_hash: "$argon2id$not-a-real-hash".to_owned(),
        time_zone: "UTC".to_owned(),
        token: NewToken { hash, expires_at: now() + SignedDuration::from_hours(24) },
        verify: NewMail { subject: "Verify".to_owned(), ..mail(&email) },
        already: NewMail { subject: "Already known".to_owned(), ..mail(&email) },
        email,
    }
}

/// A token with that byte for a hash, good for a day.
pub fn token(byte: u8) -> NewToken {
    NewToken { hash: [byte; 32], expires_at: now() + SignedDuration::from_hours(24) }
}

/// A message to that address.
pub fn mail(recipient: &str) -> NewMail {
    NewMail {
        recipient: recipient.to_owned(),
        subject: "A subject".to_owned(),
        body_text: "A body".to_owned(),
        body_html: "<p>A body</p>".to_owned(),
    }
}
