//! Judges that share no code with us: a public validator of OpenAPI and JSON Schema, Stripe's own library, clients of every
//! protocol of the gateway, and a library that signs tokens. What the first two judge was left behind by the Rust tests, which therefore run before.

use std::path::{Path, PathBuf};

use super::everything;
use super::tally::{Count, Tally};
use crate::{Outcome, check as judges, install, process, site, workspace};

pub fn check(tally: &mut Tally) {
    tally.many("Referee: four servers read one request or none in what we forward", || {
        let (well, lines) = judges::smuggling::judge(false)?;
        Ok(Count::of(well, &lines))
    });
    let end2end = workspace::end2end();
    let (openapi, stripe) = (end2end.join("openapi-referee"), end2end.join("stripe-stand-in/referee"));
    tally.many("Referee: OpenAPI documents are valid", || judge(&openapi, "validate.mjs", documents()?));
    tally.one("Referee: a public linter passes the description of the REST API", || {
        install::npm(&openapi)?;
        let document = made_documents().join("rest-api.json").to_string_lossy().into_owned();
        let lint = ["lint", "--ruleset", "spectral.yaml", "--fail-severity", "error", &document];
        process::show(process::program("node_modules/.bin/spectral", lint, &openapi))
    });
    tally.many("Referee: the example fits the schema of set-up files", || {
        judge(&openapi, "setup.mjs", vec![workspace::root().join("examples/turnpike.yaml")])
    });
    tally.many("Referee: usage events fit their schema, and a broken one does not", || {
        judge(&openapi, "events.mjs", vec![made_events().join("events.jsonl")])
    });
    tally.many("Referee: the library of Standard Webhooks believes our messages, and no changed one", || {
        judge(
            &end2end.join("hook-referee"),
            "verify.mjs",
            vec![made_messages().join("messages.jsonl"), made_messages().join("documents.jsonl")],
        )
    });
    tally.many("Referee: Stripe's library understands the stand-in", || {
        judge(&stripe, "referee.mjs", vec![workspace::program("stripe-stand-in", false)])
    });
    tally.one("Referee: the public tests for HTTP caches pass but for those that the report explains", || {
        judges::cache::judge(everything::cargo(&["test"]))
    });
    tally.many("Referee: what we send to Stripe fits its library's types", || {
        judge(&stripe, "types.mjs", vec![workspace::target().join("tmp/stripe-requests")])
    });
    tally.many("Referee: other people's clients speak through the gateway", || {
        install::protocol_clients()?;
        call(&end2end.join("protocol-referee"), "clients.mjs")
    });
    tally.many("Referee: another library's tokens are taken, and its forgeries are not", || {
        call(&end2end.join("token-referee"), "tokens.mjs")
    });
}

/// Where the Rust tests leave the documents that Turnpike made.
pub fn made_documents() -> PathBuf {
    workspace::target().join("referee/openapi")
}

/// Where they leave usage events.
pub fn made_events() -> PathBuf {
    workspace::target().join("referee/events")
}

/// Where they leave messages to hooks, as a receiver got them.
pub fn made_messages() -> PathBuf {
    workspace::target().join("referee/hooks")
}

/// Calls of other people's programs, on an installation of their own.
fn call(folder: &Path, script: &str) -> Outcome<Count> {
    install::npm(folder)?;
    let mut node = process::program("node", ["--test", "--test-reporter=spec", script], folder);
    node.env("TURNPIKE_GATEWAY_LATE_MS", "600000")
        .env("TURNPIKE_SITE_DIR", workspace::target().join("site"))
        .env("TURNPIKE_BIN", workspace::program("turnpike", false))
        .env("PAYMENTS_API_BIN", workspace::program("payments-api", false));
    let (well, lines) = process::show_and_read(node)?;
    Ok(Count::of(well, &lines))
}

fn documents() -> Outcome<Vec<PathBuf>> {
    let mut documents = site::files(&made_documents())?;
    if documents.is_empty() {
        return Err("The Rust tests left no documents.".to_owned());
    }
    documents.push(workspace::root().join("examples/payments-api/openapi.yaml"));
    Ok(documents)
}

fn judge(folder: &Path, script: &str, subjects: Vec<PathBuf>) -> Outcome<Count> {
    install::npm(folder)?;
    let mut node = process::program("node", [script], folder);
    node.args(subjects);
    let (well, lines) = process::show_and_read(node)?;
    let count = Count::of(well, &lines);
    // A judge that gives one verdict counts as one.
    Ok(if count == Count::default() { Count { passed: 1, ..count } } else { count })
}
