//! The walls of the house (docs/ARCHITECTURE.md): which crate may use which, where SQL may be, what a browser never gets.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::tally::Tally;
use crate::{Outcome, process, workspace};

/// Each crate of ours, and which others of ours it may use. Imports run one way.
const MAY_USE: [(&str, &[&str]); 14] = [
    ("server", &["app", "billing", "domain", "gateway", "paper", "spool", "store"]),
    ("app", &["billing", "domain", "store"]),
    ("billing", &["domain", "store"]),
    ("store", &["domain"]),
    ("gateway", &["domain", "spool"]),
    ("paper", &[]),
    ("spool", &[]),
    ("domain", &[]),
    ("frontend", &["app"]),
    // What tests us from outside shares no code with us.
    ("xtask", &[]),
    ("payments-api", &[]),
    ("stripe-stand-in", &[]),
    ("chaos", &["stripe-stand-in"]),
    ("smuggling", &[]),
];

/// What only the store may use: it is the only room with SQL.
const SQL: [&str; 5] = ["sqlx", "sqlx-core", "sqlx-postgres", "tokio-postgres", "postgres"];

/// What never reaches a browser.
const SERVER_ONLY: [&str; 12] = [
    "argon2",
    "axum",
    "billing",
    "gateway",
    "hyper",
    "hyper-util",
    "rustls",
    "server",
    "spool",
    "sqlx",
    "store",
    "tokio",
];

pub fn check(tally: &mut Tally) {
    let metadata = process::read(process::cargo(["metadata", "--format-version", "1", "--no-deps", "--quiet"]))
        .and_then(|text| serde_json::from_str::<Value>(&text).map_err(|why| why.to_string()));
    let metadata = match metadata {
        Ok(metadata) => metadata,
        Err(problem) => return tally.fail("Walls", &problem),
    };
    let uses = uses(&metadata);
    tally.one("Wall: imports run one way", || verdict(wrong_imports(&uses)));
    tally.one("Wall: SQL only in the store", || verdict(sql_outside_store(&uses)));
    tally.one("Wall: no server code in the browser", || {
        let tree = [
            "tree",
            "--package",
            "frontend",
            "--target",
            "wasm32-unknown-unknown",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ];
        verdict(server_code(&process::read(process::cargo(tree))?))
    });
    tally.one("Wall: every file says what it is for", || verdict(silent_files(&workspace::root())?));
}

/// One line of a Cargo.toml: this crate uses that one.
struct Use {
    by: String,
    of: String,
    /// Only tests use it: they may stand anything up beside the crate.
    in_tests: bool,
}

fn uses(metadata: &Value) -> Vec<Use> {
    let mut uses = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if let (Some(by), Some(of)) = (package["name"].as_str(), dependency["name"].as_str()) {
                let in_tests = dependency["kind"].as_str() == Some("dev");
                uses.push(Use { by: by.to_owned(), of: of.to_owned(), in_tests });
            }
        }
    }
    uses
}

fn wrong_imports(uses: &[Use]) -> Vec<String> {
    let ours = |name: &str| MAY_USE.iter().find(|(crate_name, _)| *crate_name == name);
    let wrong = uses.iter().filter(|Use { by, of, in_tests }| match (ours(by), ours(of)) {
        (Some((_, allowed)), Some(_)) => !in_tests && !allowed.contains(&of.as_str()),
        (Some(_), None) => false,
        (None, _) => true,
    });
    let lines: BTreeSet<String> = wrong
        .map(|Use { by, of, .. }| match ours(by) {
            Some(_) => format!("{by} uses {of}"),
            None => format!("{by} is not in the list of crates"),
        })
        .collect();
    lines.into_iter().collect()
}

fn sql_outside_store(uses: &[Use]) -> Vec<String> {
    let wrong = uses.iter().filter(|Use { by, of, .. }| by != "store" && SQL.contains(&of.as_str()));
    wrong.map(|Use { by, of, .. }| format!("{by} uses {of}")).collect()
}

/// `tree` has one crate a line, as `tokio v1.54.1 (…)`.
fn server_code(tree: &str) -> Vec<String> {
    let crates: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    SERVER_ONLY.iter().filter(|name| crates.contains(*name)).map(|name| format!("frontend reaches {name}")).collect()
}

fn silent_files(folder: &Path) -> Outcome<Vec<String>> {
    let mut silent = Vec::new();
    for entry in fs::read_dir(folder).map_err(|why| format!("{} cannot be read: {why}.", folder.display()))?.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "var", "node_modules"].contains(&name.as_str()) {
                silent.extend(silent_files(&path)?);
            }
        } else if name == "mod.rs" {
            silent.push(format!("{} should be named after its folder and lie beside it", path.display()));
        } else if name.ends_with(".rs") && !fs::read_to_string(&path).is_ok_and(|text| text.starts_with("//!")) {
            silent.push(format!("{} does not open with //!", path.display()));
        }
    }
    Ok(silent)
}

fn verdict(wrong: Vec<String>) -> Outcome {
    if wrong.is_empty() { Ok(()) } else { Err(format!("{}.", wrong.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(by: &str, of: &str) -> [Use; 1] {
        [Use { by: by.to_owned(), of: of.to_owned(), in_tests: false }]
    }

    #[test]
    fn an_import_against_the_grain_is_seen() {
        assert_eq!(wrong_imports(&one("gateway", "store")), ["gateway uses store"]);
        assert_eq!(wrong_imports(&one("chaos", "domain")), ["chaos uses domain"]);
        assert_eq!(wrong_imports(&one("utils", "serde")), ["utils is not in the list of crates"]);
        assert!(wrong_imports(&one("server", "gateway")).is_empty());
        let [mut in_tests] = one("billing", "stripe-stand-in");
        in_tests.in_tests = true;
        assert!(wrong_imports(&[in_tests]).is_empty());
    }

    #[test]
    fn sql_outside_the_store_is_seen() {
        assert_eq!(sql_outside_store(&one("app", "sqlx")), ["app uses sqlx"]);
        assert!(sql_outside_store(&one("store", "sqlx")).is_empty());
    }

    #[test]
    fn server_code_in_the_browser_is_seen() {
        assert_eq!(
            server_code("app v0.1.0 (/srv/app)\ntokio v1.54.1\ntokio-macros v2.0.0\n"),
            ["frontend reaches tokio"]
        );
        assert!(server_code("app v0.1.0 (/srv/app)\nleptos v0.9.0-rc1\n").is_empty());
    }

    #[test]
    fn a_file_without_its_opening_line_is_seen() {
        let folder = std::env::temp_dir().join(format!("turnpike-walls-{}", std::process::id()));
        fs::create_dir_all(folder.join("inside")).unwrap();
        fs::write(folder.join("good.rs"), "//! Good.\n").unwrap();
        fs::write(folder.join("inside/bad.rs"), "fn main() {}\n").unwrap();
        fs::write(folder.join("inside/mod.rs"), "//! Good, but misnamed.\n").unwrap();
        let silent = silent_files(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(silent.len(), 2, "{silent:?}");
    }
}
