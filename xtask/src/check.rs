//! `cargo xtask check`: one judge at a time, that shares no code with us.

mod cache;

pub use cache::check as cache;

use crate::Outcome;

/// Runs the judge of that name.
pub fn run(arguments: &[String]) -> Outcome {
    match arguments {
        [name] if name == "cache" => cache(),
        _ => Err("cargo xtask check takes the name of a check: cache.".to_owned()),
    }
}
