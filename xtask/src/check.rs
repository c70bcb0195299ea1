//! `cargo xtask check`: one judge at a time.

pub mod cache;
mod fuzz;
pub mod rating;
pub mod smuggling;

use crate::Outcome;

/// Runs the judge of that name.
pub fn run(arguments: &[String]) -> Outcome {
    match arguments {
        [name] if name == "cache" => cache::run(),
        [name] if name == "fuzz" => fuzz::run(60),
        [name, flag, seconds] if name == "fuzz" && flag == "--seconds" => {
            fuzz::run(seconds.parse().map_err(|_| format!("{seconds} is no number of seconds"))?)
        }
        [name, rest @ ..] if name == "rating" => rating::run(rest),
        [name] if name == "smuggling" => match smuggling::run()? {
            (true, _) => Ok(()),
            (false, _) => Err("What failed is above.".to_owned()),
        },
        _ => Err("cargo xtask check takes the name of a check: cache, fuzz (--seconds N), rating (--cases N, --control) or smuggling."
            .to_owned()),
    }
}
