//! What a form's answer leaves for the next page: a notice, what was wrong and what was typed, or a key shown once.
//!
//! It travels in a sealed cookie that the next page removes, so it works without JavaScript, is never in an address, a log
//! or the database, and a reload shows it no second time. A cookie holds 4 KiB; what was typed into a longer form stays in memory
//! ([`crate::drafts`]), and where it is gone by then the next page says so.
//!
//! A browser is asked to remove it, and a kept copy is worth nothing: it ends after a minute, and what holds a secret is
//! shown once by this process. A restart, or a second portal, forgets that for what is left of the minute.

use crate::{drafts, secrets::Secrets};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use leptos::prelude::use_context;
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// The cookie's name.
pub const COOKIE: &str = "__Host-flash";

const LARGEST_BYTES: usize = 2_700;

/// What is said where a form shows what it showed before anything was typed.
const LOST: &str =
    "What you typed was too long to be kept, and is not here any more. Look at every field before you save.";

/// How long a flash can be shown.
const LIFE: SignedDuration = SignedDuration::from_secs(60);

/// How many shown secrets are remembered; the oldest go first.
const MOST_SHOWN: usize = 4_096;

/// Tickets of secrets that were shown, and when they end.
static SHOWN: Mutex<VecDeque<(Ticket, Timestamp)>> = Mutex::new(VecDeque::new());

/// What tells one sealed cookie from every other: it begins with random bytes, which the seal covers.
pub(crate) type Ticket = [u8; 24];

/// What the next page shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Flash {
    /// Which form it is about, as `keys/create`; a page with several forms shows it beside the right one.
    pub form: String,
    /// Something worked: one sentence.
    pub notice: Option<String>,
    /// Field name and sentence; an empty name is about the whole form.
    pub problems: Vec<(String, String)>,
    /// What was typed, by field name. Never passwords.
    pub typed: Vec<(String, String)>,
    /// The draft that has it, where it is too long for a cookie.
    #[serde(default)]
    pub(crate) draft: Option<String>,
    /// A secret to show this once.
    pub secret: Option<String>,
    /// Of the cookie that it came in, where that holds a secret.
    #[serde(skip)]
    pub(crate) ticket: Option<(Ticket, Timestamp)>,
}

/// What is in the cookie.
#[derive(Serialize, Deserialize)]
struct Sealed {
    /// Seconds since 1970.
    until: i64,
    flash: Flash,
}

impl Flash {
    /// What is wrong with a field of this form.
    pub fn problem(&self, form: &str, field: &str) -> Option<String> {
        let own = self.problems.iter().filter(|_| self.form == form);
        own.filter(|(name, _)| name == field).map(|(_, message)| message.clone()).next()
    }

    /// Whether anything is wrong with the fields of this form whose names begin so, as `meters.3.`.
    pub fn any_problem(&self, form: &str, beginning: &str) -> bool {
        self.form == form && self.problems.iter().any(|(name, _)| name.starts_with(beginning))
    }

    /// What was typed into a field of this form, or `otherwise`.
    pub fn typed(&self, form: &str, field: &str, otherwise: &str) -> String {
        let own = self.typed.iter().filter(|_| self.form == form);
        own.filter(|(name, _)| name == field)
            .map(|(_, value)| value.clone())
            .next()
            .unwrap_or_else(|| otherwise.to_owned())
    }

    /// Everything that is wrong with this form, in the order in which it was found.
    pub fn problems_of(&self, form: &str) -> Vec<(String, String)> {
        if self.form == form { self.problems.clone() } else { Vec::new() }
    }

    /// The Set-Cookie value that carries it to the next page, for a minute of real time: a test clock may leap meanwhile.
    pub fn to_cookie(mut self, secrets: &Secrets, real_now: Timestamp) -> String {
        let size = |flash: &Self| serde_json::to_vec(flash).map_or(0, |bytes| bytes.len());
        if size(&self) > LARGEST_BYTES && !self.typed.is_empty() {
            let typed = std::mem::take(&mut self.typed);
            self.draft = serde_json::to_string(&typed).ok().map(drafts::keep);
        }
        while size(&self) > LARGEST_BYTES && self.problems.len() > 1 {
            self.problems.pop();
        }
        let until = real_now.saturating_add(LIFE).unwrap_or(Timestamp::MAX).as_second();
        let plain = serde_json::to_vec(&Sealed { until, flash: self }).unwrap_or_default();
        let sealed = URL_SAFE_NO_PAD.encode(secrets.seal(COOKIE, &plain));
        format!("{COOKIE}={sealed}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60")
    }

    /// The Set-Cookie value that removes it.
    pub fn removal() -> String {
        format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
    }

    /// Reads a cookie's value; whatever does not open, or has ended, is nothing.
    pub fn from_cookie(value: &str, secrets: &Secrets, real_now: Timestamp) -> Option<Self> {
        let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
        let Sealed { until, mut flash } = serde_json::from_slice(&secrets.unseal(COOKIE, &sealed)?).ok()?;
        let until = Timestamp::from_second(until).ok().filter(|until| real_now < *until)?;
        let ticket = sealed.first_chunk().copied()?;
        flash.ticket = flash.secret.is_some().then_some((ticket, until));
        if let Some(draft) = flash.draft.take() {
            match drafts::find(&draft).and_then(|text| serde_json::from_str(&text).ok()) {
                Some(typed) => flash.typed = typed,
                None => flash.problems.insert(0, (String::new(), LOST.to_owned())),
            }
        }
        Some(flash)
    }

    /// What may be shown now: the whole of it, or nothing where its secret was shown before.
    #[must_use]
    pub fn shown_once(self, real_now: Timestamp) -> Self {
        let Some((ticket, until)) = self.ticket else { return self };
        let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
        shown.retain(|(_, until)| real_now < *until);
        if shown.iter().any(|(before, _)| *before == ticket) {
            return Self::default();
        }
        shown.push_back((ticket, until));
        if shown.len() > MOST_SHOWN {
            shown.pop_front();
        }
        self
    }
}

/// What the previous form left for this page.
pub fn flash() -> Flash {
    use_context::<Flash>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flash_fits_a_cookie_and_reads_back() {
        let secrets = Secrets::from_master([1; 32]);
        let flash = Flash {
            form: "products/create".to_owned(),
            typed: vec![("document".to_owned(), "x".repeat(600_000)), ("name".to_owned(), "Payments".to_owned())],
            ..Flash::default()
        };
        let now = Timestamp::UNIX_EPOCH;
        let cookie = flash.to_cookie(&secrets, now);
        assert!(cookie.len() < 4_096);
        let read = || Flash::from_cookie(value(&cookie), &secrets, now).expect("it opens");
        assert_eq!(read().typed("products/create", "name", ""), "Payments");
        assert_eq!(read().typed("products/create", "document", "").len(), 600_000);
        assert_eq!(read().problems, []);
        drafts::forget_all();
        assert_eq!(read().typed("products/create", "name", "as before"), "as before");
        assert_eq!(read().problem("products/create", "").as_deref(), Some(LOST));
        assert_eq!(Flash::from_cookie("bm90IG91cnM", &secrets, now), None);
    }

    fn value(cookie: &str) -> &str {
        cookie.split(['=', ';']).nth(1).expect("a value")
    }

    #[test]
    fn a_kept_cookie_ends_after_a_minute_and_shows_its_secret_once() {
        let secrets = Secrets::from_master([1; 32]);
        let now = Timestamp::now();
        let flash = Flash { secret: Some("tp_live_x".to_owned()), ..Flash::default() };
        let cookies = [flash.clone().to_cookie(&secrets, now), flash.to_cookie(&secrets, now)];
        for cookie in &cookies {
            let read = |at| Flash::from_cookie(value(cookie), &secrets, at).map(|flash| flash.shown_once(at));
            let first = read(now).expect("it opens");
            assert_eq!(first.secret.as_deref(), Some("tp_live_x"));
            assert_eq!(read(now + SignedDuration::from_secs(59)), Some(Flash::default()));
            assert_eq!(read(now + SignedDuration::from_secs(60)), None);
        }
    }

    #[test]
    fn a_notice_may_be_read_again_within_its_minute() {
        let secrets = Secrets::from_master([1; 32]);
        let now = Timestamp::now();
        let flash = Flash { notice: Some("Saved.".to_owned()), ..Flash::default() };
        let cookie = flash.clone().to_cookie(&secrets, now);
        for _ in 0..2 {
            let read = Flash::from_cookie(value(&cookie), &secrets, now).expect("it opens");
            assert_eq!(read.shown_once(now), flash);
        }
    }
}
