//! The journeys: what people do, in a real Chromium, against the built server. One that fails is walked once more, and named at
//! the end.

use std::path::Path;

use super::side_by_side::{self, Step};
use super::tally::{Count, Tally};
use crate::{Outcome, install, process, site, workspace};

/// What was counted, and what was said.
type Walked = (Count, Vec<String>);

pub fn check(tally: &mut Tally) {
    let mut journeys = match site::files(&workspace::end2end().join("journeys")) {
        Ok(files) => files,
        Err(problem) => return tally.fail("Journeys", &problem),
    };
    journeys.retain(|file| file.extension().is_some_and(|end| end == "mjs"));
    let prepared = install::npm(&workspace::end2end()).and_then(|()| install::chromium());
    let chromium = match prepared {
        Ok(chromium) => chromium,
        Err(problem) => return tally.fail("Journeys", &problem),
    };
    let steps = journeys.into_iter().map(|journey| {
        let name = journey.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let chromium = chromium.clone();
        Step::new(format!("Journey: {name}"), move || again_where_it_fails(&name, || walk(&journey, &chromium)))
    });
    side_by_side::run(tally, steps.collect());
}

/// Walks it a second time where the first fails; what counts is the second.
fn again_where_it_fails(name: &str, mut walk: impl FnMut() -> Outcome<Walked>) -> Outcome<Walked> {
    let (first, mut said) = walk()?;
    if first.failed == 0 {
        return Ok((first, said));
    }
    said.push("It failed; once more, in case that was chance.".to_owned());
    let (mut second, more) = walk()?;
    if second.failed == 0 {
        second.flaky.push(format!("journey {name}"));
    }
    said.extend(more);
    Ok((second, said))
}

fn walk(journey: &Path, chromium: &str) -> Outcome<Walked> {
    let mut node = process::program("node", ["--test", "--test-reporter=spec"], &workspace::end2end());
    node.arg(journey)
        .env("TMPDIR", workspace::scratch())
        .env("TURNPIKE_CHROMIUM", chromium)
        .env("TURNPIKE_SITE_DIR", workspace::target().join("site"))
        .env("TURNPIKE_BIN", workspace::program("turnpike", false))
        .env("PAYMENTS_API_BIN", workspace::program("payments-api", false))
        .env("STRIPE_STAND_IN_BIN", workspace::program("stripe-stand-in", false));
    if std::env::var_os("CI").is_some() {
        // Nobody looks at them there, and they take half of the time.
        node.env("TURNPIKE_PICTURES", "none");
    }
    let (well, lines) = process::read_lines(node)?;
    Ok((Count::of(well, &lines), lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a journey gives that is walked with these failures, one after the other; and how often it was walked.
    fn walked(failures: &[usize]) -> (Count, usize) {
        let mut left = failures.iter();
        let count = again_where_it_fails("main", || {
            let failed = *left.next().expect("walked no more often");
            Ok((Count { passed: 3 - failed, failed, ..Count::default() }, Vec::new()))
        });
        (count.expect("a count").0, failures.len() - left.len())
    }

    #[test]
    fn a_journey_that_fails_is_walked_once_more_and_named() {
        assert_eq!(walked(&[0, 0]), (Count { passed: 3, ..Count::default() }, 1));
        let flaky = vec!["journey main".to_owned()];
        assert_eq!(walked(&[1, 0]), (Count { passed: 3, failed: 0, flaky }, 2));
        assert_eq!(walked(&[1, 2, 0]), (Count { passed: 1, failed: 2, ..Count::default() }, 2));
    }
}
