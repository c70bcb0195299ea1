//! A partner of the set-up with its members, apps and keys.

use super::Coded;
use crate::{
    directory::KeyKind, key_bounds::KeyBounds, key_text::Environment, period::zone, plan::Problem, role::MemberRole,
};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize};

/// A customer company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerSetup {
    pub name: String,
    /// IANA name, as `Europe/Berlin`; billing periods begin at its midnight.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// The plan's code. An operator's word: it takes effect at once, even where the plan has a queue.
    #[serde(default)]
    pub plan: Option<String>,
    /// In the place of its plan's, in that plan's currency; `null` for no threshold invoices. Left out, what there is stays.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub invoice_threshold: Option<OwnAmount>,
    /// Each gets an invitation by mail, once.
    #[serde(default)]
    pub members: Vec<MemberSetup>,
    #[serde(default)]
    pub apps: Coded<AppSetup>,
}

/// An amount of a partner's own, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OwnAmount(pub Option<Decimal>);

/// What is written as `null` is said all the same.
fn said<'de, D: Deserializer<'de>>(from: D) -> Result<Option<OwnAmount>, D::Error> {
    OwnAmount::deserialize(from).map(Some)
}

/// A person of a partner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberSetup {
    pub email: String,
    #[serde(default)]
    pub name: String,
    pub role: MemberRole,
}

/// What keys belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppSetup {
    pub name: String,
    #[serde(default)]
    pub keys: Coded<KeySetup>,
}

/// A key. Its text is made by `apply`, printed once, and never kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySetup {
    pub name: String,
    /// A test key is never billed.
    pub environment: Environment,
    /// What a caller shows to be taken for it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: KeyKind,
    /// For a token: its `iss` claim, letter by letter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub issuer: String,
    /// The text of the token's claim, or the certificate's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub identity: String,
    /// Networks as `192.0.2.0/24` from which it may be used; none is everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_addresses: Vec<String>,
    /// What it may do; none is everything that the plan opens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl KeySetup {
    /// Where, for what and until when it works.
    pub fn bounds(&self) -> KeyBounds {
        KeyBounds {
            allowed_addresses: self.allowed_addresses.clone(),
            scopes: self.scopes.clone(),
            expires_at: self.expires_at,
        }
    }
}

fn is_default(kind: &KeyKind) -> bool {
    *kind == KeyKind::default()
}

fn utc() -> String {
    "UTC".to_owned()
}

impl PartnerSetup {
    pub(super) fn problems(&self, place: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |field: String, message: &str| problems.push(Problem::new(format!("{place}.{field}"), message));
        if !(1..=200).contains(&self.name.trim().chars().count()) {
            add("name".to_owned(), "The name is 1 to 200 characters long");
        }
        if zone(&self.time_zone).is_err() {
            add("time_zone".to_owned(), "This is not a time zone; write an IANA name, as Europe/Berlin");
        }
        if matches!(self.invoice_threshold, Some(OwnAmount(Some(_)))) && self.plan.is_none() {
            add(
                "invoice_threshold".to_owned(),
                "An amount is in the currency of the partner's plan: say which under `plan`",
            );
        }
        if !self.members.is_empty() && !self.members.iter().any(|member| member.role == MemberRole::Owner) {
            add("members".to_owned(), "A partner with members has at least one owner");
        }
        for (index, member) in self.members.iter().enumerate() {
            let parts = member.email.split_once('@');
            let whole =
                parts.is_some_and(|(local, host)| !local.is_empty() && host.contains('.') && !host.contains('@'));
            if !whole || member.email.len() > 254 || member.email.contains(char::is_whitespace) {
                add(format!("members[{index}].email"), "This is not an e-mail address");
            }
        }
        let named = |name: &str| (1..=100).contains(&name.trim().chars().count());
        let mut key_codes: Vec<&str> = Vec::new();
        for (code, app) in &self.apps {
            if !named(&app.name) {
                add(format!("apps.{code}.name"), "The name is 1 to 100 characters long");
            }
            for (key_code, key) in &app.keys {
                if !named(&key.name) {
                    add(format!("apps.{code}.keys.{key_code}.name"), "The name is 1 to 100 characters long");
                }
                let identity = key.kind.identity(&key.issuer, &key.identity).err();
                for problem in identity.into_iter().chain(key.bounds().tidy().err()) {
                    add(format!("apps.{code}.keys.{key_code}.{}", problem.field), &problem.message);
                }
                if key_codes.contains(&key_code) {
                    add(format!("apps.{code}.keys.{key_code}"), "Another app has a key with this code; use each once");
                }
                key_codes.push(key_code);
            }
        }
        for (code, app) in &self.apps {
            problems.extend(app.keys.code_problems(&format!("{place}.apps.{code}.keys")));
        }
        problems.extend(self.apps.code_problems(&format!("{place}.apps")));
        problems
    }
}
