//! A product: operations of one upstream API, reachable under one route of the gateway.

use crate::{
    id::{OperationId, PartnerId, ProductId},
    policy::Policy,
};
use serde::{Deserialize, Serialize};

/// Who may know that a product exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Everybody sees it in the catalogue; using it still takes a plan that opens it.
    Public,
    /// Partners whose plan opens it.
    #[default]
    Plan,
    /// Partners who were invited by name, and whose plan opens it.
    Invitation,
}

impl Visibility {
    pub const ALL: [Self; 3] = [Self::Public, Self::Plan, Self::Invitation];

    pub const fn code(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Plan => "plan",
            Self::Invitation => "invitation",
        }
    }

    pub const fn describe(self) -> &'static str {
        match self {
            Self::Public => "Everybody sees it; a plan opens it",
            Self::Plan => "Only partners whose plan opens it",
            Self::Invitation => "Only invited partners whose plan opens it",
        }
    }
}

impl std::str::FromStr for Visibility {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|visibility| visibility.code() == text)
            .ok_or_else(|| format!("{text:?} is not a visibility: public, plan or invitation"))
    }
}

/// One method and path of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub id: OperationId,
    /// Stable name within the product: the document's `operationId`, else method and path as a slug.
    pub code: String,
    /// Upper case.
    pub method: String,
    /// The document's path template, as `/payments/{payment_id}`.
    pub path: String,
    pub summary: String,
    /// Units that one call uses.
    pub weight: u32,
    pub deprecated: bool,
    /// No longer in the document. It is kept, so that its path does not fall to a broader template.
    #[serde(default)]
    pub removed: bool,
}

/// What the gateway has to know of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    pub id: ProductId,
    /// Stable name, a slug.
    pub code: String,
    pub name: String,
    /// Where it is on the gateway: `/payments`, without a slash at the end.
    pub route: String,
    /// Scheme, host, port and base path of the upstream, without a slash at the end.
    pub upstream_url: String,
    /// From the request's first byte sent to the response's first byte, in milliseconds.
    pub timeout_ms: u32,
    pub visibility: Visibility,
    /// Partners who were invited, for [`Visibility::Invitation`].
    pub invited: Vec<PartnerId>,
    #[serde(default)]
    pub policy: Policy,
    pub operations: Vec<Operation>,
}

/// Whether a text may be a code: lower-case letters, digits and inner hyphens, 1 to 64 of them.
pub fn is_code(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Why a text cannot be a route, or `None`: one or more path segments of unreserved characters, no slash at the end.
pub fn route_problem(route: &str) -> Option<&'static str> {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let Some(path) = route.strip_prefix('/') else { return Some("A route starts with a slash, as /payments") };
    if path.is_empty() {
        return Some("A route names at least one path segment, as /payments");
    }
    if route.len() > 200 {
        return Some("A route is at most 200 characters long");
    }
    let whole = |segment: &str| !segment.is_empty() && segment != "." && segment != "..";
    if !path.split('/').all(|segment| whole(segment) && segment.bytes().all(unreserved)) {
        return Some("A route holds letters, digits, - . _ ~ between single slashes and does not end in one");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_routes_are_strict() {
        assert!(is_code("payments-v2"));
        for bad in ["", "-a", "a-", "A", "a b", "ä"] {
            assert!(!is_code(bad), "{bad}");
        }
        assert_eq!(route_problem("/payments/v2"), None);
        for bad in ["", "/", "payments", "/a/", "/a//b", "/../b", "/a b", "/%2e"] {
            assert!(route_problem(bad).is_some(), "{bad}");
        }
    }
}
