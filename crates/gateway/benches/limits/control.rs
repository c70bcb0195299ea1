//! The control: what common limiters do with the same bursts. The referee has to catch them.

use super::{
    cell::{Cell, Row},
    referee,
    simulated::{Random, bursts, length},
};
use domain::limit::Window;

pub fn run(windows: u64) -> Vec<Row> {
    let cell = Cell { calls: 100, window: Window::Second, load: 100, nodes: 1 };
    vec![row("fixed window", cell, windows, fixed_window()), row("plain GCRA", cell, windows, plain_gcra(cell))]
}

fn row(by: &'static str, cell: Cell, windows: u64, mut admit: impl FnMut(u64, Cell) -> bool) -> Row {
    let times = bursts(cell, windows, &mut Random(7));
    let offered = times.len() as u64;
    let accepted: Vec<u64> = times.into_iter().filter(|at| admit(*at, cell)).collect();
    let count = accepted.len() as u64;
    let most = referee::most_in_any_window(accepted, length(cell));
    let overshoot = most.saturating_sub(u64::from(cell.calls));
    Row { by, cell, offered, accepted: count, possible: u64::from(cell.calls) * windows, overshoot, control: true }
}

/// A counter that starts anew with each second.
fn fixed_window() -> impl FnMut(u64, Cell) -> bool {
    let (mut current, mut count) = (0, 0);
    move |at, cell| {
        if at / length(cell) != current {
            (current, count) = (at / length(cell), 0);
        }
        count += 1;
        count <= cell.calls
    }
}

/// A token bucket with a full burst.
fn plain_gcra(cell: Cell) -> impl FnMut(u64, Cell) -> bool {
    let interval = length(cell) / u64::from(cell.calls);
    let mut due = 0_u64;
    move |at, cell| {
        let fits = due.saturating_sub(at) <= interval * u64::from(cell.calls - 1);
        if fits {
            due = due.max(at) + interval;
        }
        fits
    }
}
