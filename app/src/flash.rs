//! What a form's answer leaves for the next page: a notice, what was wrong and what was typed, or a key shown once.
//!
//! It travels in a sealed cookie that the next page removes, so it works without JavaScript, is never in an address, a log
//! or the database, and a reload shows it no second time. A cookie holds 4 KiB; longer typed values are dropped from it.

use crate::secrets::Secrets;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use leptos::prelude::use_context;
use serde::{Deserialize, Serialize};

/// The cookie's name.
pub const COOKIE: &str = "__Host-flash";

const LARGEST_BYTES: usize = 2_700;

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
    /// A secret to show this once.
    pub secret: Option<String>,
}

impl Flash {
    /// What is wrong with a field of this form.
    pub fn problem(&self, form: &str, field: &str) -> Option<String> {
        let own = self.problems.iter().filter(|_| self.form == form);
        own.filter(|(name, _)| name == field).map(|(_, message)| message.clone()).next()
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

    /// The Set-Cookie value that carries it to the next page.
    pub fn to_cookie(mut self, secrets: &Secrets) -> String {
        let size = |flash: &Self| serde_json::to_vec(flash).map_or(0, |bytes| bytes.len());
        while size(&self) > LARGEST_BYTES && !self.typed.is_empty() {
            let longest =
                self.typed.iter().enumerate().max_by_key(|(_, (_, value))| value.len()).map(|(index, _)| index);
            self.typed.remove(longest.unwrap_or(0));
        }
        while size(&self) > LARGEST_BYTES && self.problems.len() > 1 {
            self.problems.pop();
        }
        let plain = serde_json::to_vec(&self).unwrap_or_default();
        let sealed = URL_SAFE_NO_PAD.encode(secrets.seal(COOKIE, &plain));
        format!("{COOKIE}={sealed}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60")
    }

    /// The Set-Cookie value that removes it.
    pub fn removal() -> String {
        format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
    }

    /// Reads a cookie's value; whatever does not open is nothing.
    pub fn from_cookie(value: &str, secrets: &Secrets) -> Option<Self> {
        let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
        serde_json::from_slice(&secrets.unseal(COOKIE, &sealed)?).ok()
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
        let cookie = flash.to_cookie(&secrets);
        assert!(cookie.len() < 4_096);
        let value = cookie.split(['=', ';']).nth(1).expect("a value");
        let read = Flash::from_cookie(value, &secrets).expect("it opens");
        assert_eq!(read.typed("products/create", "name", ""), "Payments");
        assert_eq!(read.typed("products/create", "document", "gone"), "gone");
        assert_eq!(Flash::from_cookie("bm90IG91cnM", &secrets), None);
    }
}
