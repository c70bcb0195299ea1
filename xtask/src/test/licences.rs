//! Every dependency may be used by whoever uses Turnpike: under a permissive licence, at the user's choice where it offers
//! several.

use serde_json::Value;

use super::tally::Tally;
use crate::process;

/// Licences that ask for no more than the notice to be kept.
const PERMISSIVE: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

pub fn check(tally: &mut Tally) {
    tally.one("Licences of dependencies", || {
        let metadata = process::read(process::cargo(["metadata", "--format-version", "1", "--quiet"]))?;
        let metadata: Value = serde_json::from_str(&metadata).map_err(|why| why.to_string())?;
        let packages = metadata["packages"].as_array().ok_or("cargo metadata names no packages.")?;
        let bad: Vec<String> = packages.iter().filter_map(problem).collect();
        if bad.is_empty() { Ok(()) } else { Err(bad.join("; ")) }
    });
}

fn problem(package: &Value) -> Option<String> {
    let name = package["name"].as_str().unwrap_or("a package without a name");
    match package["license"].as_str() {
        Some(expression) if is_permissive(expression) => None,
        Some(expression) => Some(format!("{name} is under {expression}")),
        None => Some(format!("{name} names no licence")),
    }
}

/// Whether an SPDX expression leaves a permissive way to use the package.
fn is_permissive(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut words = words.as_slice();
    any_of(&mut words) && words.is_empty()
}

fn any_of(words: &mut &[&str]) -> bool {
    let mut good = all_of(words);
    while let [first, rest @ ..] = *words
        && *first == "OR"
    {
        *words = rest;
        good |= all_of(words);
    }
    good
}

fn all_of(words: &mut &[&str]) -> bool {
    let mut good = one(words);
    while let [first, rest @ ..] = *words
        && *first == "AND"
    {
        *words = rest;
        good &= one(words);
    }
    good
}

fn one(words: &mut &[&str]) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let good = any_of(words);
            let closed = words.first() == Some(&")");
            *words = words.get(1..).unwrap_or_default();
            good && closed
        }
        [licence, "WITH", exception, rest @ ..] => {
            *words = rest;
            PERMISSIVE.contains(&format!("{licence} WITH {exception}").as_str())
        }
        [licence, rest @ ..] => {
            *words = rest;
            PERMISSIVE.contains(licence)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_needs_one_permissive_side_and_a_sum_needs_all() {
        for good in ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(MIT OR Apache-2.0) AND Unicode-3.0"] {
            assert!(is_permissive(good), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "", "MIT Apache-2.0", "(MIT OR GPL-3.0) AND AGPL-3.0", "(MIT"] {
            assert!(!is_permissive(bad), "{bad}");
        }
        assert!(is_permissive("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT"));
    }
}
