//! The journeys: what people do, in a real Chromium, against the built server. One that fails is walked once more, and named at
//! the end.

use std::path::Path;

use super::tally::{Count, Tally};
use crate::{Outcome, install, process, progress, site, workspace};

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
        tally.many(&format!("Journey: {name}"), || again_where_it_fails(&name, || walk(&journey)));
    }
}

/// Walks it a second time where the first fails; what counts is the second.
fn again_where_it_fails(name: &str, mut walk: impl FnMut() -> Outcome<Count>) -> Outcome<Count> {
    let first = walk()?;
    if first.failed == 0 {
        return Ok(first);
    }
    progress::note("It failed; once more, in case that was chance.");
    let mut second = walk()?;
    if second.failed == 0 {
        second.flaky.push(format!("journey {name}"));
    }
    Ok(second)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a journey gives that is walked with these failures, one after the other; and how often it was walked.
    fn walked(failures: &[usize]) -> (Count, usize) {
        let mut left = failures.iter();
        let count = again_where_it_fails("main", || {
            let failed = *left.next().expect("walked no more often");
            Ok(Count { passed: 3 - failed, failed, ..Count::default() })
        });
        (count.expect("a count"), failures.len() - left.len())
    }

    #[test]
    fn a_journey_that_fails_is_walked_once_more_and_named() {
        assert_eq!(walked(&[0, 0]), (Count { passed: 3, ..Count::default() }, 1));
        let flaky = vec!["journey main".to_owned()];
        assert_eq!(walked(&[1, 0]), (Count { passed: 3, failed: 0, flaky }, 2));
        assert_eq!(walked(&[1, 2, 0]), (Count { passed: 1, failed: 2, ..Count::default() }, 2));
    }
}
