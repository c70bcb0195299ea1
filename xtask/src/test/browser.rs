//! The journeys: what people do, in a real Chromium, against the built server.

use std::path::Path;

use super::tally::{Count, Tally};
use crate::{Outcome, install, process, site, workspace};

pub fn check(tally: &mut Tally) {
    tally.one("Building what the journeys use", || {
        let packages = ["build", "--package", "server", "--package", "payments-api", "--package", "stripe-stand-in"];
        process::show(process::cargo(packages))
    });
    let mut journeys = match site::files(&workspace::end2end().join("journeys")) {
        Ok(files) => files,
        Err(problem) => return tally.fail("Journeys", &problem),
    };
    journeys.retain(|file| file.extension().is_some_and(|end| end == "mjs"));
    for journey in journeys {
        let name = journey.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        tally.many(&format!("Journey: {name}"), || walk(&journey));
    }
}

fn walk(journey: &Path) -> Outcome<Count> {
    let folder = workspace::end2end();
    install::npm(&folder)?;
    let mut node = process::program("node", ["--test", "--test-reporter=spec"], &folder);
    node.arg(journey)
        .env("TURNPIKE_CHROMIUM", install::chromium()?)
        .env("TURNPIKE_SITE_DIR", workspace::target().join("site"))
        .env("TURNPIKE_BIN", workspace::program("turnpike", false))
        .env("PAYMENTS_API_BIN", workspace::program("payments-api", false))
        .env("STRIPE_STAND_IN_BIN", workspace::program("stripe-stand-in", false));
    let (well, lines) = process::show_and_read(node)?;
    Ok(Count::of(well, &lines))
}
