//! The limiter under simulated time: steady pressure to see what it lets through, then silences and bursts to make it err.

use super::{
    cell::{Cell, Row},
    referee,
};
use domain::{
    limit::{
        Limit,
        rule::{Rule, Share},
        sliding::Windows,
    },
    policy::Preset,
};

/// Times are nanoseconds.
pub fn length(cell: Cell) -> u64 {
    u64::from(cell.window.seconds()) * 1_000_000_000
}

pub fn run(cell: Cell, windows: u64) -> Row {
    let limits = [Limit { calls: cell.calls, window: cell.window }];
    let mut nodes = vec![Windows::default(); cell.nodes as usize];
    let mut random = Random(u64::from(cell.calls) << 8 | u64::from(cell.load));
    let mut admit = |node: u64, at: u64| {
        let share = Share::new(cell.nodes, node as u32).expect("one of the nodes").of(5);
        let rule = Rule { limits: &limits, preset: Preset::BurstThrough, share };
        // Each node has a clock of its own, that began at another time.
        nodes[node as usize].admit(rule, at + node * 123_456_789).is_ok()
    };
    let steady = steady(cell, windows);
    let (mut offered, mut accepted) = (0, Vec::new());
    for at in steady {
        offered += 1;
        if admit(random.below(u64::from(cell.nodes)), at) {
            accepted.push(at);
        }
    }
    let in_steady = accepted.len() as u64;
    let after = length(cell) * (windows + 2);
    for at in bursts(cell, windows, &mut random) {
        if admit(random.below(u64::from(cell.nodes)), after + at) {
            accepted.push(after + at);
        }
    }
    let most = referee::most_in_any_window(accepted, length(cell));
    Row {
        by: "simulated",
        cell,
        offered,
        accepted: in_steady,
        possible: u64::from(cell.calls) * windows,
        overshoot: most.saturating_sub(u64::from(cell.calls)),
        control: false,
    }
}

/// Evenly, at the cell's load.
fn steady(cell: Cell, windows: u64) -> impl Iterator<Item = u64> {
    let arrivals = u64::from(cell.calls) * windows * u64::from(cell.load) / 10;
    let span = u128::from(length(cell)) * u128::from(windows);
    (0..arrivals).map(move |n| (u128::from(n) * span / u128::from(arrivals)) as u64)
}

/// Silences of up to two windows, each followed by more calls than fit, within a small part of a window.
pub fn bursts(cell: Cell, windows: u64, random: &mut Random) -> Vec<u64> {
    let length = length(cell);
    let (mut at, mut times) = (0, Vec::new());
    while at < length * windows {
        at += random.below(2 * length);
        let gap = random.below(length / u64::from(cell.calls) / 8) + 1;
        for _ in 0..cell.calls + cell.calls / 2 + 2 {
            at += random.below(gap);
            times.push(at);
        }
    }
    times
}

/// A linear congruential generator: the same run each time.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}
