//! What passed and what failed, over all steps.

use std::process::ExitCode;

use crate::{Outcome, progress};

/// The count, and the names of what failed.
#[derive(Default)]
pub struct Tally {
    passed: usize,
    failed: usize,
    problems: Vec<String>,
    /// What failed, and passed when it was run once more.
    flaky: Vec<String>,
}

impl Tally {
    /// A step that counts as one: it holds or it does not.
    pub fn one(&mut self, what: &str, work: impl FnOnce() -> Outcome) {
        match progress::step(what, work) {
            Ok(()) => self.passed += 1,
            Err(problem) => self.fail(what, &problem),
        }
    }

    /// A step that counts for itself.
    pub fn many(&mut self, what: &str, work: impl FnOnce() -> Outcome<Count>) {
        let counted = progress::step(what, work);
        self.add(what, counted);
    }

    /// What a step has counted.
    pub fn add(&mut self, what: &str, counted: Outcome<Count>) {
        match counted {
            Ok(count) => {
                self.passed += count.passed;
                self.failed += count.failed;
                self.flaky.extend(count.flaky);
                if count.failed > 0 {
                    let problem = format!("{what}: {} of {}", count.failed, count.passed + count.failed);
                    progress::note(&format!("FAIL {problem}"));
                    self.problems.push(problem);
                }
            }
            Err(problem) => self.fail(what, &problem),
        }
    }

    pub fn fail(&mut self, what: &str, problem: &str) {
        self.failed += 1;
        progress::note(problem);
        progress::note(&format!("FAIL {what}"));
        self.problems.push(what.to_owned());
    }

    /// Names what passed by chance and what failed, and ends with the line that people and machines look for.
    pub fn end(self) -> ExitCode {
        for name in &self.flaky {
            println!("    flaky: {name}: it failed, and passed when it was run once more");
        }
        for problem in &self.problems {
            println!("    FAIL {problem}");
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// What a test runner counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub passed: usize,
    pub failed: usize,
    /// Of those that passed, the names of those that failed first.
    pub flaky: Vec<String>,
}

impl Count {
    /// Reads the summary lines of a runner (nextest, cargo test, node --test). A runner that failed without counting a
    /// failure (it did not compile, it crashed) counts as one.
    pub fn of(well: bool, lines: &[String]) -> Self {
        let mut count = Self::default();
        // Where nextest sums up, what a single test printed is none of it.
        let sums_up = lines.iter().any(|line| line.trim().starts_with("Summary ["));
        for line in lines.iter().map(|line| line.trim()) {
            if line.starts_with("Summary [") || !sums_up && (line.starts_with("test result:") || is_bare_count(line)) {
                count.passed += number_before(line, "passed");
                count.failed += number_before(line, "failed") + number_before(line, "timed out");
            } else if let Some(name) = flaky_name(line) {
                if !count.flaky.contains(&name) {
                    count.flaky.push(name);
                }
            } else if let Some(words) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) {
                count.passed += number_after(words, "pass ");
                count.failed += number_after(words, "fail ") + number_after(words, "cancelled ");
            }
        }
        if !well && count.failed == 0 {
            count.failed = 1;
        }
        count
    }
}

/// The test in `FLAKY 2/2 [   0.008s] (3/9) gateway::tests calls::quota::a_test`, as nextest's list at the end has it.
fn flaky_name(line: &str) -> Option<String> {
    let rest = line.strip_prefix("FLAKY ")?.split_once(']')?.1.trim();
    let rest = match rest.strip_prefix('(') {
        Some(place) => place.split_once(')')?.1.trim(),
        None => rest,
    };
    Some(rest.to_owned()).filter(|name| !name.is_empty())
}

/// `16 passed, 0 failed`, as our own scripts end.
fn is_bare_count(line: &str) -> bool {
    line.split_once(" passed, ").is_some_and(|(passed, failed)| {
        passed.parse::<usize>().is_ok()
            && failed.strip_suffix(" failed").is_some_and(|failed| failed.parse::<usize>().is_ok())
    })
}

/// The number in `16 passed` or in `15 passed (2 slow)`.
fn number_before(line: &str, word: &str) -> usize {
    let before = line.split_once(word).map_or("", |(before, _)| before).trim_end();
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn number_after(line: &str, word: &str) -> usize {
    line.strip_prefix(word).and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(well: bool, lines: &[&str]) -> Count {
        Count::of(well, &lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
    }

    fn counted(passed: usize, failed: usize) -> Count {
        Count { passed, failed, flaky: Vec::new() }
    }

    #[test]
    fn what_passed_when_it_was_run_again_is_counted_as_passed_and_named_once() {
        let lines = [
            "  TRY 1 FAIL [   0.021s] (7/18) xtask test::tally::tests::sometimes",
            "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.02s",
            "   FLAKY 2/2 [   0.008s] (8/18) xtask test::tally::tests::sometimes",
            "     Summary [   5.812s] 18 tests run: 18 passed (1 slow, 1 flaky), 4 skipped",
            "   FLAKY 2/2 [   0.008s] (8/18) xtask test::tally::tests::sometimes",
            "   FLAKY 2/2 [   0.008s] gateway::calls calls::quota::another",
        ];
        let names = ["xtask test::tally::tests::sometimes", "gateway::calls calls::quota::another"];
        let flaky = names.map(ToOwned::to_owned).to_vec();
        assert_eq!(count(true, &lines), Count { passed: 18, failed: 0, flaky });
    }

    #[test]
    fn the_runners_are_understood() {
        let nextest = "     Summary [   5.812s] 18 tests run: 15 passed (1 slow), 2 failed, 1 timed out, 4 skipped";
        assert_eq!(count(false, &[nextest]), counted(15, 3));
        let cargo =
            "test result: FAILED. 15 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 5.80s";
        assert_eq!(count(false, &[cargo, cargo]), counted(30, 2));
        assert_eq!(count(true, &["# tests 3", "# pass 3", "# fail 0"]), counted(3, 0));
        assert_eq!(count(false, &["ℹ pass 3", "ℹ fail 1"]), counted(3, 1));
        assert_eq!(count(true, &["12 passed, 0 failed"]), counted(12, 0));
    }

    #[test]
    fn a_runner_that_breaks_before_it_counts_is_a_failure() {
        assert_eq!(count(false, &["error: could not compile"]), counted(0, 1));
    }
}
