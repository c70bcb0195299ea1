//! What the system says of a process that it runs: memory, processor time and open files, from `/proc`.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

/// Ticks a second of the times in `/proc/<pid>/stat`; Linux shows a hundred whatever its own clock is.
const TICKS: u64 = 100;

/// Resident memory in bytes; zero once the process is gone.
pub fn resident(pid: u32) -> u64 {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

/// Processor time that it took so far, over all threads.
pub fn processor_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name of the program may hold spaces; the fields after it are counted from its bracket.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 1_000 / TICKS)
}

/// The same in whole milliseconds.
pub fn processor_ms(pid: u32) -> u64 {
    u64::try_from(processor_time(pid).as_millis()).unwrap_or(u64::MAX)
}

/// The most resident memory that it ever had, in bytes.
pub fn most_resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// How many files this process may have open.
pub fn most_files() -> u64 {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or_default();
    line.split_whitespace().next().and_then(|soft| soft.parse().ok()).unwrap_or(1_024)
}

/// In whole MiB, for people.
pub const fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

/// Files and sockets that it has open.
pub fn open_files(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |files| files.count() as u64)
}

/// The most that a measure showed while somebody looked.
pub struct Peak {
    stop: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
    looking: thread::JoinHandle<()>,
}

impl Peak {
    /// Looks again and again, on a thread of its own.
    pub fn of(measure: impl Fn() -> u64 + Send + 'static) -> Self {
        let (stop, most) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (ends, kept) = (stop.clone(), most.clone());
        let looking = thread::spawn(move || {
            while !ends.load(Relaxed) {
                kept.fetch_max(measure(), Relaxed);
                thread::sleep(Duration::from_millis(5));
            }
        });
        Self { stop, most, looking }
    }

    pub fn end(self) -> u64 {
        self.stop.store(true, Relaxed);
        let _ = self.looking.join();
        self.most.load(Relaxed)
    }
}
