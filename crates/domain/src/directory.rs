//! The directory: who may call what, as one immutable picture of the configuration.
//!
//! The store reads it in one transaction, the gateway compiles it into look-up tables, and it is written to disk so that
//! a gateway can start while Postgres is down. It holds no secret: keys are keyed hashes, header values are sealed.

use crate::{
    id::{AppId, KeyId, PartnerId, PlanVersionId, ProductId, SubscriptionId, TeamId},
    key_text::Environment,
    period::Cycle,
    plan::PlanTerms,
    product::Product,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Everything that the gateway needs to decide on a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Directory {
    /// Rises with each change; the same number means the same content.
    pub version: i64,
    pub products: Vec<Product>,
    /// Headers that the gateway adds for a product, sealed.
    pub headers: Vec<UpstreamHeader>,
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
}

/// The active subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub id: SubscriptionId,
    pub plan_version: PlanVersionId,
    pub cycle: Cycle,
}

/// One key that has not been deleted; a revoked key stays, so that its refusal can say so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub id: KeyId,
    /// HMAC-SHA-256 of the text under the installation's pepper.
    pub hash: [u8; 32],
    pub partner: PartnerId,
    pub app: AppId,
    pub team: Option<TeamId>,
    pub environment: Environment,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}
