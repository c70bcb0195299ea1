//! Prepaid units that one app or one team of a partner has for itself.
//!
//! Keys of an app spend what the app has; where the app has no allocation, what its team has; where neither has one, what is common to
//! the partner. Nobody else spends allocated units until they are given back.

use crate::id::{AppId, TeamId};
use serde::{Deserialize, Serialize};

/// Whose units they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    App(AppId),
    /// Of all apps of the team that have none of their own.
    Team(TeamId),
}

/// What its calls spend when nothing of it is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spend {
    /// Nothing: they are refused.
    #[default]
    Only,
    /// What is common to the partner.
    First,
}

impl Spend {
    pub const ALL: [Self; 2] = [Self::Only, Self::First];

    /// `only` or `first`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Only => "only",
            Self::First => "first",
        }
    }
}

impl std::str::FromStr for Spend {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|spend| spend.code() == text);
        known.ok_or_else(|| format!("{text:?} is not known: only or first"))
    }
}
