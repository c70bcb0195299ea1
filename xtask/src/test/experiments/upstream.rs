//! An API that fails behind the gateway: calls end in time and cost nothing, and other products do not notice.
//! `cargo xtask chaos upstream` is the long run.

use super::Experiment;

pub fn experiments() -> Vec<Experiment> {
    // Overload is about time alone, which a debug build says nothing of.
    [
        ("failing", "Upstreams that hang, trickle, reset and close harm only themselves"),
        ("names", "A name that vanishes goes on serving, one that moves inside is not followed"),
    ]
    .into_iter()
    .flat_map(|(part, promise)| {
        let trial = ["upstream", part, "--seconds", "2", "--untimed"];
        let control = format!("Control run: without the protection the check of {part} fails");
        [Experiment::new(promise, &trial), Experiment::and(&control, &trial, &["--control"])]
    })
    .collect()
}
