//! Sends the corpus to each door, one case at a time, and compares what arrived with what may arrive.

use crate::{
    corpus,
    judge::{self, Seen},
    paths,
};
use serde_json::json;
use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    thread::{self, sleep},
    time::{Duration, Instant},
};

/// How long a silent connection is listened to.
const SILENCE: Duration = Duration::from_millis(150);
/// How long a case may take in all.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long what was forwarded may be on its way to the recorder.
const SETTLE: Duration = Duration::from_millis(15);

/// Somewhere to attack.
struct Door<'a> {
    name: &'a str,
    port: u16,
    route: &'a str,
    /// What the recorder behind it writes.
    log: &'a str,
    /// Passes everything on: there the check has to fail.
    naive: bool,
}

/// Attacks all doors at once; true where everything held and every naive door was caught.
pub fn run(key: &str, result: &str, doors: &[&str]) -> Result<bool, String> {
    let doors: Vec<Door<'_>> = doors.iter().map(|door| parse(door)).collect::<Result<_, String>>()?;
    let found: Vec<Result<Found, String>> = thread::scope(|scope| {
        let attacks: Vec<_> = doors.iter().map(|door| scope.spawn(|| attack(door, key))).collect();
        let ended =
            |attack: thread::ScopedJoinHandle<'_, _>| attack.join().map_err(|_| "an attack panicked".to_owned())?;
        attacks.into_iter().map(ended).collect()
    });
    let (mut passed, mut failed, mut reports) = (0_u32, 0_u32, Vec::new());
    for (door, found) in doors.iter().zip(found) {
        let Found { sent, arrived, wrong } = found?;
        let holds = wrong.is_empty() != door.naive;
        let verdict = if holds { "ok" } else { "FAILED" };
        let what = if door.naive { "control, has to be caught" } else { "has to hold" };
        println!("{verdict} - {} ({what}): {sent} sent, {arrived} requests arrived, {} wrong", door.name, wrong.len());
        if !door.naive {
            wrong.iter().for_each(|one| println!("    {one}"));
        }
        if holds {
            passed += 1
        } else {
            failed += 1
        }
        reports.push(json!({
            "door": door.name, "control": door.naive, "sent": sent, "arrived": arrived, "wrong": wrong,
        }));
    }
    std::fs::write(result, format!("{:#}\n", json!(reports))).map_err(|why| format!("{result}: {why}"))?;
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}

/// What one door let through.
struct Found {
    sent: usize,
    /// Requests that the recorder behind it read.
    arrived: usize,
    wrong: Vec<String>,
}

fn attack(door: &Door<'_>, key: &str) -> Result<Found, String> {
    let file = File::open(door.log).map_err(|why| format!("{}: {why}", door.log))?;
    let mut log = BufReader::new(file);
    drain(&mut log)?;
    let (cases, targets) = (corpus::cases(), paths::targets());
    let mut found = Found { sent: cases.len() + targets.len(), arrived: 0, wrong: Vec::new() };
    for (number, case) in cases.iter().enumerate() {
        let seen = send(door, &fill(&case.bytes, door, key, number), &mut log)?;
        found.arrived += seen.targets.len();
        let label = format!("{}: {}", case.class, case.name);
        found.wrong.extend(judge::of_case(case, &seen).map(|problem| format!("{label}: {problem}")));
    }
    for (number, target) in targets.iter().enumerate() {
        let bytes = format!("GET {{route}}{target} HTTP/1.1\r\n{{auth}}Connection: close\r\n\r\n");
        let seen = send(door, &fill(bytes.as_bytes(), door, key, number), &mut log)?;
        found.arrived += seen.targets.len();
        found.wrong.extend(judge::of_path(&seen).map(|problem| format!("path: {target}: {problem}")));
    }
    Ok(found)
}

fn parse(door: &str) -> Result<Door<'_>, String> {
    let (place, naive) = door.strip_suffix(",naive").map_or((door, false), |place| (place, true));
    let parts: Vec<&str> = place.split('=').collect();
    let wrong = || format!("{door:?} is not NAME=PORT/route=LOG");
    let &[name, address, log] = parts.as_slice() else { return Err(wrong()) };
    let digits = address.split('/').next().unwrap_or_default();
    let port = digits.parse().map_err(|_| wrong())?;
    Ok(Door { name, port, route: &address[digits.len()..], log, naive })
}

fn fill(bytes: &[u8], door: &Door<'_>, key: &str, number: usize) -> Vec<u8> {
    let host = format!("127.0.0.1:{}", door.port);
    let auth = format!("Host: {host}\r\nX-API-Key: {key}\r\nX-Case: {number}\r\n");
    let values = [
        ("{auth}", auth.as_str()),
        ("{open}", &format!("{}/items", door.route)),
        ("{route}", door.route),
        ("{key}", key),
        ("{case}", &number.to_string()),
    ];
    let mut filled = bytes.to_vec();
    for (name, value) in values {
        while let Some(at) = filled.windows(name.len()).position(|window| window == name.as_bytes()) {
            filled.splice(at..at + name.len(), value.bytes());
        }
    }
    filled
}

fn send(door: &Door<'_>, bytes: &[u8], log: &mut BufReader<File>) -> Result<Seen, String> {
    let address = format!("127.0.0.1:{}", door.port);
    let mut stream = TcpStream::connect(&address).map_err(|why| format!("{} at {address}: {why}", door.name))?;
    let began = Instant::now();
    let _ = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(SILENCE)));
    // A server may close before it has read everything.
    let _ = stream.write_all(bytes);
    let mut buffer = [0_u8; 4096];
    while began.elapsed() < PATIENCE {
        match stream.read(&mut buffer) {
            Ok(1..) => {}
            Ok(0) | Err(_) => break,
        }
    }
    drop(stream);
    sleep(SETTLE);
    Ok(Seen::read(&drain(log)?))
}

/// The lines that the recorder has written since the last time.
fn drain(log: &mut BufReader<File>) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if log.read_line(&mut line).map_err(|why| format!("the recorder's log: {why}"))? == 0 {
            return Ok(lines);
        }
        lines.push(line);
    }
}
