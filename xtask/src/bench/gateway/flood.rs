//! A flood of keys that nobody has beside calls with good ones: what becomes of the good ones' latency.

use super::{Bench, load, turnpike};
use crate::{Outcome, bench::report, process};
use std::fs;

/// Good calls each second, and bad ones: nine in ten.
const GOOD: u64 = 2_000;
const BAD: u64 = GOOD * 9;
const ROUNDS: usize = 3;

pub fn measure() -> Outcome {
    let Bench { mut services, folder, ours, .. } = Bench::start(turnpike::FIRST)?;
    // Well-formed but for the checksum's sake, which is what a guesser gets wrong.
    let bad: Vec<String> = (0..1_000).map(|number| format!("tp_live_{number:036}")).collect();
    let bad_keys = folder.join("bad-keys.txt");
    fs::write(&bad_keys, bad.join("\n")).map_err(|why| why.to_string())?;
    let bad_keys = bad_keys.to_string_lossy().into_owned();
    let (mut quiet, mut flooded, mut refused) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        quiet.push(load::run(&ours, &folder, GOOD, &ours.keys, "good")?.p99_us);
        let mut flood = load::command(ours.port, &folder, BAD, &bad_keys, "bad")?;
        let child = flood.stdout(std::process::Stdio::piped()).spawn().map_err(|why| why.to_string())?;
        let good = load::run(&ours, &folder, GOOD, &ours.keys, "good")?;
        let output = child.wait_with_output().map_err(|why| why.to_string())?;
        let counted = load::read(&String::from_utf8_lossy(&output.stdout))?;
        if good.failed > 0 || counted.failed < counted.requests {
            return Err("A good key was refused, or a bad one was not.".to_owned());
        }
        refused += counted.failed;
        flooded.push(good.p99_us);
    }
    let [quiet, flooded] = [quiet, flooded].map(super::peer::median);
    report("bad calls refused", &refused.to_string(), "all");
    report("good calls' p99 without the flood", &format!("{quiet} µs"), "none");
    let most = format!("at most {} µs", quiet * 120 / 100);
    report("good calls' p99 under nine times as many bad", &format!("{flooded} µs"), &most);
    services.stop();
    let _ = process::succeeds(process::program("rm", ["-rf", "data"], &folder));
    Ok(())
}
