//! Scopes: what a token of the REST API may do, chosen when it is made.

use crate::role::MemberRole;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// One right of a token. Writing does not include reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    #[serde(rename = "keys:read")]
    KeysRead,
    #[serde(rename = "keys:write")]
    KeysWrite,
    #[serde(rename = "teams:write")]
    TeamsWrite,
    #[serde(rename = "usage:read")]
    UsageRead,
    #[serde(rename = "usage:write")]
    UsageWrite,
    #[serde(rename = "invoices:read")]
    InvoicesRead,
    #[serde(rename = "plans:read")]
    PlansRead,
    #[serde(rename = "plan:write")]
    PlanWrite,
    #[serde(rename = "plans:write")]
    PlansWrite,
    #[serde(rename = "partners:read")]
    PartnersRead,
    #[serde(rename = "partners:write")]
    PartnersWrite,
}

/// The text names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scope")]
pub struct UnknownScope(pub String);

impl Scope {
    /// All of them, in the order in which a form offers them.
    pub const ALL: [Self; 11] = [
        Self::KeysRead,
        Self::KeysWrite,
        Self::TeamsWrite,
        Self::UsageRead,
        Self::UsageWrite,
        Self::InvoicesRead,
        Self::PlansRead,
        Self::PlanWrite,
        Self::PlansWrite,
        Self::PartnersRead,
        Self::PartnersWrite,
    ];

    /// Those that a partner's own token may hold; the others are the provider's.
    pub const OF_PARTNERS: [Self; 8] = [
        Self::KeysRead,
        Self::KeysWrite,
        Self::TeamsWrite,
        Self::UsageRead,
        Self::UsageWrite,
        Self::InvoicesRead,
        Self::PlansRead,
        Self::PlanWrite,
    ];

    /// Whether a member with that role may give it to a token: what a form lets only some do, a token does only for them.
    pub const fn is_for(self, role: MemberRole) -> bool {
        !matches!(self, Self::TeamsWrite | Self::PlanWrite) || matches!(role, MemberRole::Owner | MemberRole::Admin)
    }

    /// `keys:read`: the column's text.
    pub const fn code(self) -> &'static str {
        match self {
            Self::KeysRead => "keys:read",
            Self::KeysWrite => "keys:write",
            Self::TeamsWrite => "teams:write",
            Self::UsageRead => "usage:read",
            Self::UsageWrite => "usage:write",
            Self::InvoicesRead => "invoices:read",
            Self::PlansRead => "plans:read",
            Self::PlanWrite => "plan:write",
            Self::PlansWrite => "plans:write",
            Self::PartnersRead => "partners:read",
            Self::PartnersWrite => "partners:write",
        }
    }

    /// One line for the form that makes a token.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::KeysRead => "List apps and keys",
            Self::KeysWrite => "Create, rotate and revoke keys, create apps",
            Self::TeamsWrite => "Create teams and put apps into them",
            Self::UsageRead => "Read usage and the request log",
            Self::UsageWrite => "Report usage from outside the gateway",
            Self::InvoicesRead => "Read invoices",
            Self::PlansRead => "Read plans and products",
            Self::PlanWrite => "Change and cancel the company's own plan, buy prepaid credit, and allocate it",
            Self::PlansWrite => "Create and update products, create plan versions",
            Self::PartnersRead => "Read partners",
            Self::PartnersWrite => {
                "Suspend and reactivate partners, assign plans, grant credit, resolve unknown requests"
            }
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;
    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL.into_iter().find(|scope| scope.code() == text).ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_reads_back_from_its_code_and_from_json() {
        for scope in Scope::ALL {
            assert_eq!(scope.code().parse(), Ok(scope));
            assert_eq!(serde_json::to_value(scope).expect("json"), scope.code());
        }
        assert!("keys:*".parse::<Scope>().is_err());
    }
}
