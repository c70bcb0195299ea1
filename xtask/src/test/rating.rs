//! The engine against its oracle, in short: `cargo xtask check rating` is the long run.

use super::tally::Tally;
use crate::check::rating;

pub fn check(tally: &mut Tally) {
    tally.one("Oracle: 20,000 random plans cost the same in exact fractions", || rating::judge(20_000, 1, false));
    tally.one("Oracle: each rule that is read wrongly is found", || rating::judge(1_500, 1, true));
}
