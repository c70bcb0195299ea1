//! What a server does when something runs out or is too large. `cargo xtask chaos exhaustion` and `sizes` are the long runs, and
//! the first has one more part, for memory.

use super::Experiment;

pub fn experiments() -> Vec<Experiment> {
    let files = ["exhaustion", "files", "--seconds", "2", "--untimed"];
    vec![
        Experiment::new("Out of open files, what was admitted is served and recorded", &files),
        Experiment::and("Control run: with no file kept free the same check fails", &files, &["--control"]),
        Experiment::new("What is too large is refused with its status, in constant memory", &["sizes"]),
        Experiment::new(
            "Control run: where bodies of a gigabyte are allowed the same check fails",
            &["sizes", "--control"],
        ),
    ]
}
