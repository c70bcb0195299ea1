//! Typed identifiers: a UUIDv7 behind a prefix that says what it names, as `partner_0192f0c1a5b27cc3…`.
//!
//! The prefix keeps a key id from being pasted where an app id belongs; the database stores the bare UUID.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// The text was not an identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier of the form {prefix}_<32 hex digits>")]
pub struct BadId {
    /// What the text should have begun with.
    pub prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// What every text form of this identifier begins with, without the underscore.
            pub const PREFIX: &'static str = $prefix;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|hex| hex.len() == 32)
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or(BadId { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A customer company.
    PartnerId = "partner";
    /// A person of a partner.
    MemberId = "member";
    /// A group of members, for attribution of usage.
    TeamId = "team";
    /// What a key belongs to.
    AppId = "app";
    /// One API key.
    KeyId = "key";
    /// Prepaid units that a partner was given or bought.
    CreditGrantId = "grant";
    /// Prepaid units that one app or team spends, or calls of some products.
    AllocationId = "allocation";
    /// A person of the provider.
    OperatorId = "operator";
    /// A set of operations sold under one route.
    ProductId = "product";
    /// One method and path of a product.
    OperationId = "op";
    /// A tier.
    PlanId = "plan";
    /// One immutable state of a tier.
    PlanVersionId = "planver";
    /// What ties a partner to a plan version.
    SubscriptionId = "sub";
    /// What a partner owes for one billing period.
    InvoiceId = "invoice";
    /// What a partner holds against a line of an invoice.
    DisputeId = "dispute";
    /// What is taken off an invoice.
    CreditNoteId = "credit_note";
    /// A call, from the client's or our own `X-Request-Id`.
    RequestId = "req";
    /// A token of the REST API.
    TokenId = "token";
    /// A request that took its Idempotency-Key.
    AttemptId = "attempt";
    /// A number that is not what another place says, with these two numbers.
    FindingId = "finding";
    /// An event that contradicts the first of its id.
    ConflictId = "conflict";
    /// Where usage events are sent to as they come.
    HookId = "hook";
    /// A correction of usage.
    CorrectionId = "correction";
    /// A change of plan that waits for the end of a period.
    PlanChangeId = "change";
    /// A bulk move of partners to another plan or version.
    PlanMoveId = "move";
    /// A field that Stripe holds otherwise than we, with both its values.
    DriftId = "drift";
    /// A page of Stripe's on which a partner leaves a payment method.
    CheckoutId = "checkout";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_reads_back_and_other_kinds_are_refused() {
        let id = PartnerId(Uuid::from_u128(7));
        assert_eq!(id.to_string().parse::<PartnerId>(), Ok(id));
        assert!(id.to_string().parse::<KeyId>().is_err());
        assert!("partner_7".parse::<PartnerId>().is_err());
    }
}
