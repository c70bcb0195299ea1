//! What usage is broken down by.

use domain::id::{AppId, KeyId, MemberId, OperationId, ProductId, TeamId};
use store::usage::Dimension;
use uuid::Uuid;

/// In the order in which rows lead from one to the next.
pub(super) const DIMENSIONS: [(&str, &str, Dimension); 6] = [
    ("product", "Products", Dimension::Product),
    ("operation", "Operations", Dimension::Operation),
    ("app", "Apps", Dimension::App),
    ("key", "Keys", Dimension::Key),
    ("team", "Teams", Dimension::Team),
    ("member", "Members", Dimension::Member),
];

pub(super) fn singular(code: &str) -> &'static str {
    DIMENSIONS.iter().find(|(known, ..)| *known == code).map_or("Name", |(_, label, _)| label.trim_end_matches('s'))
}

/// What is said of calls that have none.
pub(super) const fn nothing(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Product => "No product matched",
        Dimension::Team => "No team",
        Dimension::Member => "Not from the portal",
        _ => "No operation matched",
    }
}

pub(super) fn id_text(dimension: Dimension, id: Uuid) -> String {
    match dimension {
        Dimension::Product => ProductId(id).to_string(),
        Dimension::Operation => OperationId(id).to_string(),
        Dimension::App => AppId(id).to_string(),
        Dimension::Key => KeyId(id).to_string(),
        Dimension::Team => TeamId(id).to_string(),
        Dimension::Member => MemberId(id).to_string(),
        _ => id.to_string(),
    }
}
