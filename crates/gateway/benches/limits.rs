//! How exact limits are: overshoot in every sliding window, and how much of a limit a caller under pressure gets.
//!
//! `cargo bench -p gateway --bench limits` prints a table and fails if a limit is passed, if less than 0.99 of it is used on one
//! node at ten times the load, or if the control does not overshoot. `--json FILE` also writes the table as JSON, `--windows N`
//! simulates that many windows in each cell, `--seconds N` loads each cell over TCP for as long; zero leaves TCP out.
//!
//! Windows of all lengths are simulated: the limiter gets times, nobody waits. Windows of a second are also measured over
//! TCP, by when calls reach the upstream. The referee shares no code with the limiter.

#[path = "limits/cell.rs"]
mod cell;
#[path = "limits/control.rs"]
mod control;
#[path = "limits/over_tcp.rs"]
mod over_tcp;
#[path = "limits/referee.rs"]
mod referee;
#[path = "limits/simulated.rs"]
mod simulated;
#[path = "call/world.rs"]
mod world;

use cell::{Cell, Row};
use domain::limit::Window;
use std::process::ExitCode;

const LIMITS: [u32; 3] = [5, 100, 1_000];
/// In tenths of the limit.
const LOADS: [u32; 3] = [9, 10, 100];
const WINDOWS: [Window; 3] = [Window::Second, Window::Minute, Window::Hour];
const NODES: [u32; 2] = [1, 3];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let number = |name: &str, default: u64| option(name).map_or(default, |text| text.parse().expect("a number"));
    let (windows, seconds) = (number("--windows", 2_000), number("--seconds", 6));
    let mut rows = Vec::new();
    println!("{}", Row::HEAD);
    let mut note = |row: Row| {
        println!("{row}");
        rows.push(row);
    };
    for control in control::run(windows) {
        note(control);
    }
    for window in WINDOWS {
        for cell in cells(window) {
            note(simulated::run(cell, windows));
        }
    }
    if seconds > 0 {
        for cell in cells(Window::Second) {
            note(over_tcp::run(cell, seconds));
        }
    }
    let failed = rows.iter().filter(|row| !row.holds()).count();
    if let Some(file) = option("--json") {
        let json = serde_json::Value::Array(rows.iter().map(Row::json).collect());
        std::fs::write(&file, format!("{json:#}\n")).expect("the file can be written");
    }
    println!("{} of {} rows hold", rows.len() - failed, rows.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn cells(window: Window) -> impl Iterator<Item = Cell> {
    NODES.into_iter().flat_map(move |nodes| {
        LIMITS.into_iter().flat_map(move |calls| LOADS.into_iter().map(move |load| Cell { calls, window, load, nodes }))
    })
}
