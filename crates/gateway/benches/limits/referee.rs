//! The referee: from the times at which calls were let through, the most that any window held. It knows nothing of how the
//! limiter counts.

/// The most calls in any half-open span of that length, wherever it begins. Times and length in the same unit.
pub fn most_in_any_window(mut times: Vec<u64>, length: u64) -> u64 {
    times.sort_unstable();
    let (mut first, mut most) = (0, 0);
    for (last, at) in times.iter().enumerate() {
        while at - times[first] >= length {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most as u64
}
