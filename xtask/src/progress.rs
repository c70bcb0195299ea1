//! What a person sees while something is under way: each step by name, and how long it took. Plain lines, so that a log
//! file reads like the terminal.

use std::time::{Duration, Instant};

use crate::Outcome;

/// Says what begins, does it, says how long it took.
pub fn step<T>(what: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    println!("==> {what}");
    let start = Instant::now();
    let result = work();
    ended(&result, start.elapsed());
    result
}

/// Says how a step ended that took so long.
pub fn ended<T>(result: &Outcome<T>, taken: Duration) {
    match result {
        Ok(_) => println!("    done in {}", time(taken)),
        Err(_) => println!("    failed after {}", time(taken)),
    }
}

/// One line about something small.
pub fn note(text: &str) {
    println!("    {text}");
}

/// `340 ms`, `12.0 s`, `3 min 8 s`.
pub fn time(taken: Duration) -> String {
    let seconds = taken.as_secs();
    if seconds < 1 {
        format!("{} ms", taken.as_millis())
    } else if seconds < 60 {
        format!("{seconds}.{} s", taken.subsec_millis() / 100)
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

/// `840 B`, `65.2 KB`: thousands of bytes, as browsers count.
pub fn size(bytes: usize) -> String {
    if bytes < 1000 { format!("{bytes} B") } else { format!("{}.{} KB", bytes / 1000, bytes % 1000 / 100) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_read_well() {
        assert_eq!(time(Duration::from_millis(340)), "340 ms");
        assert_eq!(time(Duration::from_millis(12_090)), "12.0 s");
        assert_eq!(time(Duration::from_secs(188)), "3 min 8 s");
        assert_eq!(size(840), "840 B");
        assert_eq!(size(65_240), "65.2 KB");
    }
}
