//! `cargo xtask check`: one judge at a time, that shares no code with us.

mod cache;
pub mod smuggling;

pub use cache::check as cache;

use crate::Outcome;

/// Runs the judge of that name.
pub fn run(arguments: &[String]) -> Outcome {
    match arguments {
        [name] if name == "cache" => cache(),
        [name] if name == "smuggling" => match smuggling::run(true)? {
            (true, _) => Ok(()),
            (false, _) => Err("What failed is above.".to_owned()),
        },
        _ => Err("cargo xtask check takes the name of a check: cache or smuggling.".to_owned()),
    }
}
