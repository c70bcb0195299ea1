//! Steps that are no business of each other, two at a time. What a step said is shown as one piece when it ends.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::tally::{Count, Tally};
use crate::{Outcome, progress};

const AT_ONCE: usize = 2;

type Work = Box<dyn FnOnce() -> Outcome<(Count, Vec<String>)> + Send>;

/// What is found out, and how: what was counted, and what was said.
pub struct Step {
    what: String,
    work: Work,
}

impl Step {
    pub fn new(what: impl Into<String>, work: impl FnOnce() -> Outcome<(Count, Vec<String>)> + Send + 'static) -> Self {
        Self { what: what.into(), work: Box::new(work) }
    }
}

/// Runs them all; the first begin first.
pub fn run(tally: &mut Tally, steps: Vec<Step>) {
    let queue = Mutex::new(VecDeque::from(steps));
    let tally = Mutex::new(tally);
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(Step { what, work }) = next() {
                    progress::note(&format!("begins: {what}"));
                    let start = Instant::now();
                    let result = work();
                    // Held while the step is shown, so that no other comes between.
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    println!("==> {what}");
                    let counted = result.map(|(count, lines)| {
                        lines.iter().for_each(|line| println!("{line}"));
                        count
                    });
                    progress::ended(&counted, start.elapsed());
                    tally.add(&what, counted);
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::ExitCode;
    use std::sync::{Arc, Barrier};

    #[test]
    fn two_steps_run_at_once_and_a_failure_is_counted() {
        let mut tally = Tally::default();
        let meet = Arc::new(Barrier::new(2));
        let step = |failed: usize| {
            let meet = meet.clone();
            Step::new("a step", move || {
                // One after the other they would wait here for ever.
                meet.wait();
                Ok((Count { passed: 1, failed, ..Count::default() }, vec!["said".to_owned()]))
            })
        };
        run(&mut tally, vec![step(0), step(1), step(0), step(0)]);
        assert_eq!(tally.end(), ExitCode::FAILURE);
    }
}
