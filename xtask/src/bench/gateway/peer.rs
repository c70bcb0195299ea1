//! One proxy under load, and what its processes use.

use crate::Outcome;
use std::fs;

pub struct Peer {
    pub name: &'static str,
    pub port: u16,
    /// Its processes; CPU time and memory of all of them count.
    pub processes: Vec<u32>,
    /// The file of keys that it knows.
    pub keys: String,
    pub samples: Vec<Sample>,
    /// At the same paced load for all, in microseconds.
    pub half_load_p99_us: Vec<u64>,
}

/// One round of one proxy.
#[derive(Clone, Copy)]
pub struct Sample {
    /// CPU time of the whole process for each request, in nanoseconds.
    pub cpu_ns: u64,
    pub requests_per_second: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub resident_bytes: u64,
}

impl Peer {
    pub fn new(name: &'static str, port: u16, processes: Vec<u32>, keys: &str) -> Self {
        Self { name, port, processes, keys: keys.to_owned(), samples: Vec::new(), half_load_p99_us: Vec::new() }
    }

    pub fn median(&self, read: impl Fn(&Sample) -> u64) -> u64 {
        median(self.samples.iter().map(read).collect())
    }

    /// User and system time of all its threads, in nanoseconds (proc(5): clock ticks are hundredths of a second).
    pub fn cpu_ns(&self) -> Outcome<u64> {
        let mut ticks = 0;
        for process in &self.processes {
            let stat = fs::read_to_string(format!("/proc/{process}/stat"))
                .map_err(|why| format!("{} is gone: {why}.", self.name))?;
            let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
            let times = fields.split_whitespace().skip(11).take(2);
            ticks += times.map(|time| time.parse::<u64>().unwrap_or(0)).sum::<u64>();
        }
        Ok(ticks * 10_000_000)
    }

    pub fn resident_bytes(&self) -> u64 {
        let of = |process: &u32| {
            let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
            line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
        };
        self.processes.iter().map(of).sum()
    }
}

pub fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}
