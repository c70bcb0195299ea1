//! How often somebody may try: a count in Postgres by subject, over a window that slides, never a lock that stays.
//!
//! Guessing is counted three ways: for the account from one network, for the account from anywhere, and for the network.
//! So a stranger's guesses do not shut out the owner at once, and whoever is shut out can still use a reset link.

use crate::{client::client_address, state::AppState};
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use store::StoreError;

/// A subject and how many tries it has within the window.
struct Allowance {
    subject: String,
    tries: u64,
    window: SignedDuration,
}

/// Tries at one thing by one visitor.
pub struct Throttle {
    allowances: Vec<Allowance>,
    /// The subject that a success clears.
    cleared: Option<String>,
}

const QUARTER: SignedDuration = SignedDuration::from_mins(15);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

impl Throttle {
    /// Passwords tried at an account; `door` tells members' from operators'.
    pub fn sign_in(state: &AppState, door: &str, email: &str, parts: &Parts) -> Self {
        let (account, address) = (account(state, email), client_address(parts));
        let pair = format!("pair:{door}:{account}:{address}");
        Self {
            allowances: vec![
                Allowance { subject: pair.clone(), tries: 10, window: QUARTER },
                Allowance { subject: format!("account:{door}:{account}"), tries: 100, window: HOUR },
                Allowance { subject: format!("address:{address}"), tries: 200, window: QUARTER },
            ],
            cleared: Some(pair),
        }
    }

    /// Forms that send a mail to an address that anybody may type.
    pub fn mail(state: &AppState, email: &str, parts: &Parts) -> Self {
        let (account, address) = (account(state, email), client_address(parts));
        Self {
            allowances: vec![
                Allowance { subject: format!("mail:{account}"), tries: 5, window: HOUR },
                Allowance { subject: format!("mail-from:{address}"), tries: 60, window: HOUR },
            ],
            cleared: None,
        }
    }

    /// Invitations of one partner, so that inviting is no way to ask who has an account.
    pub fn invitations(partner: domain::id::PartnerId) -> Self {
        let subject = format!("invitations:{partner}");
        Self { allowances: vec![Allowance { subject, tries: 50, window: HOUR }], cleared: None }
    }

    /// Codes of coupons that one partner tries.
    pub fn coupons(partner: domain::id::PartnerId) -> Self {
        let subject = format!("coupons:{partner}");
        Self { allowances: vec![Allowance { subject, tries: 20, window: HOUR }], cleared: None }
    }

    /// Takes one try, or says that there is none left. What is refused is not counted, so waiting always helps.
    pub async fn take(&self, state: &AppState, now: Timestamp) -> Result<bool, StoreError> {
        if self.most_used(state, now).await? >= 0 {
            return Ok(false);
        }
        let subjects: Vec<String> = self.allowances.iter().map(|allowance| allowance.subject.clone()).collect();
        state.store.note_failed_sign_in(&subjects, now).await?;
        // Once more, since others may have tried between the count and the note.
        Ok(self.most_used(state, now).await? <= 0)
    }

    /// The try was right: it does not count against the account from here.
    pub async fn forgive(&self, state: &AppState) -> Result<(), StoreError> {
        match &self.cleared {
            Some(subject) => state.store.forget_failed_sign_ins(subject).await,
            None => Ok(()),
        }
    }

    /// How far the fullest count is above what it may be; negative where there is room.
    async fn most_used(&self, state: &AppState, now: Timestamp) -> Result<i64, StoreError> {
        let mut most = i64::MIN;
        for Allowance { subject, tries, window } in &self.allowances {
            let since = now.saturating_sub(*window).unwrap_or(Timestamp::MIN);
            let used = state.store.failed_sign_ins(subject, since).await?;
            most = most.max(used.cast_signed().saturating_sub(tries.cast_signed()));
        }
        Ok(most)
    }
}

/// The address as it was typed, as a keyed hash: the table of tries is no list of customers.
fn account(state: &AppState, email: &str) -> String {
    let hash = state.secrets.hash_key(&format!("account {}", email.trim().to_lowercase()));
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
