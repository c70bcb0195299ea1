//! What a call costs in units, where its weight alone does not say.

use crate::plan::Problem;
use serde::{Deserialize, Serialize};

/// Where a call's units come from. The operation's weight is reserved before the call, or `reserve` where it is larger;
/// the true amount is settled after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Cost {
    /// A header of the answer holds a whole number of units. The header is not passed on.
    Header { name: String, reserve: u32 },
    /// A number in the answer's JSON body, by JSON Pointer (RFC 6901), rounded up. Answers up to 1 MiB are read for it.
    JsonField { pointer: String, reserve: u32 },
    /// One unit for each begun `per` bytes of the answer's body.
    Bytes { per: u32, reserve: u32 },
    /// One unit for each begun `per` milliseconds until the upstream's answer began.
    Milliseconds { per: u32, reserve: u32 },
}

impl Cost {
    /// Units that are held before the call.
    pub const fn reserve(&self) -> u32 {
        match self {
            Self::Header { reserve, .. }
            | Self::JsonField { reserve, .. }
            | Self::Bytes { reserve, .. }
            | Self::Milliseconds { reserve, .. } => *reserve,
        }
    }

    pub(super) fn problems(&self, place: &str, problems: &mut Vec<Problem>) {
        let mut add = |message: &str| problems.push(Problem::new(format!("{place}.cost"), message));
        match self {
            Self::Header { name, .. } if !is_header_name(name) => {
                add("Name the header that holds the units: letters, digits and dashes");
            }
            Self::JsonField { pointer, .. } if !pointer.starts_with('/') => {
                add("Write a JSON Pointer that starts with a slash, as /usage/units");
            }
            Self::Bytes { per: 0, .. } => add("A unit stands for at least one byte"),
            Self::Milliseconds { per: 0, .. } => add("A unit stands for at least one millisecond"),
            _ => {}
        }
    }
}

pub(super) fn is_header_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}
