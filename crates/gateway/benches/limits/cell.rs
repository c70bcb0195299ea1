//! One cell of the table, and what was seen in it.

use domain::limit::Window;
use std::fmt;

#[derive(Debug, Clone, Copy)]
pub struct Cell {
    pub calls: u32,
    pub window: Window,
    /// In tenths of the limit.
    pub load: u32,
    pub nodes: u32,
}

#[derive(Debug, Clone)]
pub struct Row {
    /// `simulated`, `tcp`, or the control's name.
    pub by: &'static str,
    pub cell: Cell,
    pub offered: u64,
    pub accepted: u64,
    /// Calls that the limit would let through in the time, at most.
    pub possible: u64,
    /// The most calls that a window held, beyond the limit.
    pub overshoot: u64,
    /// Whether the row is a control, which has to overshoot.
    pub control: bool,
}

impl Row {
    pub const HEAD: &'static str =
        "by           limit window load nodes     offered    accepted  of limit  most beyond it  holds";

    /// Accepted of what was possible, in thousandths.
    fn used(&self) -> u64 {
        self.accepted * 1_000 / self.possible.max(1)
    }

    /// Whether the row is as promised.
    pub fn holds(&self) -> bool {
        if self.control {
            return self.overshoot > 0;
        }
        let pressed = self.cell.nodes == 1 && self.cell.load == 100 && self.offered >= self.possible * 2;
        self.overshoot == 0 && (!pressed || self.used() >= 990)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "by": self.by,
            "limit": self.cell.calls,
            "window": self.cell.window.code(),
            "load_tenths": self.cell.load,
            "nodes": self.cell.nodes,
            "offered": self.offered,
            "accepted": self.accepted,
            "used_thousandths": self.used(),
            "overshoot": self.overshoot,
            "control": self.control,
            "holds": self.holds(),
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cell { calls, window, load, nodes } = self.cell;
        let (used, load) = (self.used(), format!("{}.{}", load / 10, load % 10));
        write!(
            f,
            "{:<12} {calls:>5} {:<6} {load:>4} {nodes:>5} {:>11} {:>11}     {}.{:03}  {:>14}  {}",
            self.by,
            window.code(),
            self.offered,
            self.accepted,
            used / 1_000,
            used % 1_000,
            self.overshoot,
            if self.holds() { "yes" } else { "NO" },
        )
    }
}
