//! What an experiment found: one line for each promise, printed as soon as it is known.

/// One thing that was measured, and whether it is as promised.
struct Finding {
    what: String,
    holds: bool,
}

/// What an experiment found.
pub struct Findings {
    found: Vec<Finding>,
    untimed: bool,
}

impl Findings {
    /// `untimed` prints how long things took and does not judge it.
    pub const fn new(untimed: bool) -> Self {
        Self { found: Vec::new(), untimed }
    }

    /// A promise about time.
    pub fn check_time(&mut self, holds: bool, what: impl Into<String>) {
        if self.untimed {
            println!("  time {}", what.into());
        } else {
            self.check(holds, what);
        }
    }

    pub fn check(&mut self, holds: bool, what: impl Into<String>) {
        let what = what.into();
        // Not the word that a failed step is looked for by: a control run has to find something bad.
        println!("  {} {what}", if holds { "ok  " } else { "bad " });
        self.found.push(Finding { what, holds });
    }

    /// Whether all of it is as promised; says so under that name.
    pub fn conclude(&self, name: &str) -> bool {
        let broken: Vec<&str> = self.found.iter().filter(|found| !found.holds).map(|found| &*found.what).collect();
        // An experiment that found nothing out has not shown anything.
        let holds = broken.is_empty() && !self.found.is_empty();
        println!("{name} {}", if holds { "holds" } else { "does not hold" });
        holds
    }
}
