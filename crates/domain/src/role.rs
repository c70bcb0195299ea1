//! Who may do what: roles of a partner's members and of the provider's operators.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The text names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a role")]
pub struct UnknownRole(pub String);

/// What a member may do for their partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Everything, and the only one who can make or unmake owners. A partner always has one.
    Owner,
    /// Everything but owners.
    Admin,
    /// Apps, keys, docs, try it, usage.
    Developer,
    /// Plan, invoices, usage.
    Billing,
    /// Reads docs and usage.
    Viewer,
}

/// What an operator may do in the admin console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorRole {
    /// Everything, operators included.
    Admin,
    /// Reads everything, changes nothing.
    Viewer,
}

impl MemberRole {
    /// From the most to the least able.
    pub const ALL: [Self; 5] = [Self::Owner, Self::Admin, Self::Developer, Self::Billing, Self::Viewer];

    pub const fn code(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Developer => "developer",
            Self::Billing => "billing",
            Self::Viewer => "viewer",
        }
    }

    /// One line for the form that invites somebody.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Owner => "Everything, including who owns the account",
            Self::Admin => "Members, apps, keys, plan and invoices",
            Self::Developer => "Apps, keys, docs and usage",
            Self::Billing => "Plan, invoices and usage",
            Self::Viewer => "Reads docs and usage, changes nothing",
        }
    }

    /// Whether this role may give `other` to somebody, or take it away.
    pub const fn may_grant(self, other: Self) -> bool {
        match self {
            Self::Owner => true,
            Self::Admin => !matches!(other, Self::Owner),
            _ => false,
        }
    }
}

impl OperatorRole {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Viewer => "viewer",
        }
    }
}

impl fmt::Display for MemberRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for OperatorRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for MemberRole {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.code() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

impl FromStr for OperatorRole {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        [Self::Admin, Self::Viewer]
            .into_iter()
            .find(|role| role.code() == text)
            .ok_or_else(|| UnknownRole(text.to_owned()))
    }
}
