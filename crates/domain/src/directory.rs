//! The directory: who may call what, as one immutable picture of the configuration.
//!
//! The store reads it in one transaction, the gateway compiles it into look-up tables, and it is written to disk so that
//! a gateway can start while Postgres is down. It holds no secret: keys are keyed hashes, header values are sealed.

use crate::{
    credit::{
        allocation::{Holder, Spend},
        bound::Purse,
    },
    dunning::Stage,
    id::{AllocationId, AppId, InvoiceId, KeyId, PartnerId, PlanVersionId, ProductId, SubscriptionId, TeamId},
    key_text::Environment,
    period::Cycle,
    plan::PlanTerms,
    plan_change::Kept,
    product::Product,
    quota::PeriodQuota,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

mod changes;

pub use changes::{Changes, Touched};

/// Everything that the gateway needs to decide on a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Directory {
    /// Rises with each change; the same number means the same content, as long as the database is not put back.
    pub version: i64,
    /// The database's own for this version, and random: one that was put back comes to the same version with another. Nil in a directory
    /// of no database.
    #[serde(default)]
    pub edition: Uuid,
    pub products: Vec<Product>,
    /// Headers that the gateway adds for a product, sealed.
    pub headers: Vec<UpstreamHeader>,
    /// What policies refer to by name, sealed.
    #[serde(default)]
    pub secrets: Vec<ProductSecret>,
    /// Plan versions that some partner is on.
    pub plans: Vec<PlanVersion>,
    pub partners: Vec<Partner>,
    pub keys: Vec<Key>,
}

/// A header that the gateway adds before it forwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamHeader {
    pub product: ProductId,
    pub name: String,
    /// The value under the installation's key.
    pub sealed_value: Vec<u8>,
}

/// A secret that a product's policy refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductSecret {
    pub product: ProductId,
    pub name: String,
    /// The value under the installation's key.
    pub sealed_value: Vec<u8>,
}

/// One immutable state of a tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanVersion {
    pub id: PlanVersionId,
    pub plan_code: String,
    pub plan_name: String,
    pub version: i32,
    pub terms: PlanTerms,
}

/// What the gateway has to know of a partner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partner {
    pub id: PartnerId,
    pub suspended: bool,
    pub subscription: Option<Subscription>,
    /// What an unpaid invoice has made of it; `None` where that changes nothing here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpaid: Option<Unpaid>,
    /// Prepaid units that apps and teams have for themselves, in the order of their identifiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allocations: Vec<Allocation>,
    /// Prepaid units that only calls of some products spend, in the order of their identifiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bound: Vec<Purse>,
}

/// Prepaid units of one app or team; how many there are, gateways learn as they spend them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    pub id: AllocationId,
    pub of: Holder,
    pub spend: Spend,
}

/// The invoice that a partner did not pay, and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpaid {
    pub stage: Stage,
    pub invoice: InvoiceId,
    /// As [`Self::invoice`]'s document has it.
    pub number: i64,
}

impl Unpaid {
    /// `TP-000042`: the number as people write it.
    pub fn code(&self) -> String {
        format!("TP-{:06}", self.number)
    }
}

/// The active subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub id: SubscriptionId,
    pub plan_version: PlanVersionId,
    pub cycle: Cycle,
    /// Since when units count in the period that holds this instant, where that is not its begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_from: Option<Timestamp>,
    /// Where a period has another quota than the plan, as its plan changed within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<PeriodQuota>,
    /// Until when the plan is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_until: Option<Timestamp>,
    /// From when on it holds no more, as somebody planned, and no plan follows. Nothing is billed from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// Limits and features that are kept of the plan before, in place of the plan's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
}

/// One key that has not been deleted; a revoked key stays, so that its refusal can say so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub id: KeyId,
    /// HMAC-SHA-256 under the installation's pepper: of the key's text, or of an identity's, see [`KeyKind`].
    pub hash: [u8; 32],
    pub partner: PartnerId,
    pub app: AppId,
    pub team: Option<TeamId>,
    pub environment: Environment,
    #[serde(default)]
    pub kind: KeyKind,
    /// Networks as `192.0.2.0/24` or `2001:db8::/32` from which it may be used; empty is everywhere.
    #[serde(default)]
    pub allowed_addresses: Vec<String>,
    /// What it may do; empty is everything that the plan opens.
    #[serde(default)]
    pub scopes: Vec<String>,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

/// What a caller shows to be taken for this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// The key's text.
    #[default]
    Key,
    /// A token; the hash is that of `token`, the issuer and the claim's text, with a line feed between them.
    Token,
    /// A client certificate; the hash is that of `certificate` and the name in it, with a line feed between them.
    Certificate,
}

impl KeyKind {
    pub const ALL: [Self; 3] = [Self::Key, Self::Token, Self::Certificate];

    pub const fn code(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Token => "token",
            Self::Certificate => "certificate",
        }
    }
}

impl std::str::FromStr for KeyKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.code() == text)
            .ok_or_else(|| format!("{text:?} is not known: key, token or certificate"))
    }
}
