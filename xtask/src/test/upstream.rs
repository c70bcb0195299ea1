//! An API that fails behind the gateway: calls end in time and cost nothing, and other products do not notice. Short runs;
//! `cargo xtask chaos upstream` is the long one. It needs what `kill` built.

use super::{kill::attack, tally::Tally};

pub fn check(tally: &mut Tally) {
    // Overload is about time alone, which a debug build says nothing of.
    for (part, promise) in [
        ("failing", "Upstreams that hang, trickle, reset and close harm only themselves"),
        ("names", "A name that vanishes goes on serving, one that moves inside is not followed"),
    ] {
        tally.one(promise, || attack(&["upstream", part, "--seconds", "2", "--untimed"]));
        let control = format!("Control run: without the protection the check of {part} fails");
        tally.one(&control, || attack(&["upstream", part, "--seconds", "2", "--untimed", "--control"]));
    }
}
