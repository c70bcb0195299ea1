//! What a walk found and did, for people and as JSON.

use serde::Serialize;
use std::fmt;

/// The outcome of a walk.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// What differs, or was changed.
    pub changes: Vec<Change>,
    /// How many things were as the file says.
    pub unchanged: usize,
    /// Keys that were made; a text is shown here and never again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<MadeKey>,
    /// Members who were invited; each has the link by mail too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub invitations: Vec<MadeInvitation>,
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `product`, `plan`, `credit package`, `partner`, `member`, `app` or `key`.
    pub kind: &'static str,
    /// Its code; of what belongs to a partner with the partner's before it.
    pub code: String,
    pub action: Action,
    /// What differs, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

/// What is done about a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Create,
    Update,
}

/// A new key.
#[derive(Serialize)]
pub struct MadeKey {
    pub partner: String,
    pub app: String,
    pub key: String,
    pub environment: String,
    pub text: String,
}

/// A new member's way in.
#[derive(Serialize)]
pub struct MadeInvitation {
    pub partner: String,
    pub email: String,
    /// Works once, for 24 hours.
    pub link: String,
}

impl fmt::Debug for MadeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MadeKey").field("partner", &self.partner).field("key", &self.key).finish_non_exhaustive()
    }
}

impl fmt::Debug for MadeInvitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MadeInvitation").field("email", &self.email).finish_non_exhaustive()
    }
}

impl Report {
    pub fn created(&mut self, kind: &'static str, code: impl Into<String>) {
        self.changes.push(Change { kind, code: code.into(), action: Action::Create, details: Vec::new() });
    }

    /// Notes what differs of a thing that is there, or that nothing does.
    pub fn compared(&mut self, kind: &'static str, code: impl Into<String>, details: Vec<String>) {
        if details.is_empty() {
            self.unchanged += 1;
        } else {
            self.changes.push(Change { kind, code: code.into(), action: Action::Update, details });
        }
    }
}

/// The difference as `plan` prints it.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            return write!(f, "Nothing to change; {} things are as the file says.", self.unchanged);
        }
        for Change { kind, code, action, details } in &self.changes {
            let sign = if *action == Action::Create { '+' } else { '~' };
            writeln!(f, "{sign} {kind} {code}")?;
            for detail in details {
                writeln!(f, "    {detail}")?;
            }
        }
        write!(f, "{} to change, {} as the file says.", self.changes.len(), self.unchanged)
    }
}

/// Notes `name: old -> new` where the two differ.
pub fn differ(details: &mut Vec<String>, name: &str, old: impl fmt::Display, new: impl fmt::Display) {
    let (old, new) = (old.to_string(), new.to_string());
    if old != new {
        let shown = |text: String| if text.is_empty() { "nothing".to_owned() } else { text };
        details.push(format!("{name}: {} -> {}", shown(old), shown(new)));
    }
}
