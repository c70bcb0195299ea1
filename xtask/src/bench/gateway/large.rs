//! A large installation beside a small one: what 100,000 keys and 1,000 routes add to a call. Three times: 1,000 of its keys
//! call 20 of its routes, each a product with an upstream of its own; the same keys call all routes alike; all keys do.
//!
//! Each partner's first call asks Postgres for units, and where all keys call, each has a row of its own in the hour's sums. So
//! Postgres does not give way to the load here, and the first rounds, in which all partners are met, do not count.

use super::{Bench, Peer, ROUNDS, load, turnpike};
use crate::{Outcome, bench::report, http, process, progress, workspace};
use std::{fmt::Write as _, fs, time::Duration};

const KEYS: usize = 100_000;
const PARTNERS: usize = 10_000;
const ROUTES: usize = 1_000;
const SMALL: turnpike::Installation = turnpike::Installation { postgres_niceness: 0, ..turnpike::FIRST };
const LARGE: turnpike::Installation =
    turnpike::Installation { name: "1,000 of 100,000 keys call 20 of 1,000 routes", port: 4811, ..SMALL };
/// As many as the small installation has.
const CALLING: usize = 1_000;
const FEW_ROUTES: usize = 20;
const WARM_UP_ROUNDS: usize = 4;

pub fn measure() -> Outcome {
    process::show(process::cargo(["build", "--release", "--package", "chaos"]))?;
    let Bench { mut services, folder, site, ours: small } = Bench::start(SMALL)?;
    let folder_of_large = folder.join("large");
    fs::create_dir_all(&folder_of_large).map_err(|why| why.to_string())?;
    let mut large = progress::step("Starting a second Turnpike", || {
        turnpike::start(&mut services, LARGE, &folder_of_large, &site)
    })?;
    let texts = folder_of_large.join("crowd.txt");
    let version = progress::step("Filling it with 100,000 keys, 10,000 partners and 1,000 routes", || {
        let (data, texts) = (folder_of_large.join("data"), texts.to_string_lossy().into_owned());
        let numbers = [KEYS, PARTNERS, ROUTES].map(|number| number.to_string());
        let arguments = [
            "fill",
            "--data-dir",
            &data.to_string_lossy(),
            "--texts",
            &texts,
            "--partner",
            "load-0",
            "--keys",
            &numbers[0],
            "--partners",
            &numbers[1],
            "--routes",
            &numbers[2],
        ];
        process::read(process::program(&workspace::program("chaos", true).to_string_lossy(), arguments, &folder))
    })?;
    let keys = fs::read_to_string(&texts).map_err(|why| why.to_string())?;
    let other = |name| Peer::new(name, large.port, large.processes.clone(), &large.keys);
    let mut broad = other("1,000 of 100,000 keys call 1,000 routes alike");
    let mut all = other("100,000 keys call 1,000 routes alike");
    let loads = [
        (&mut large, "few.txt", KEYS / CALLING, FEW_ROUTES),
        (&mut broad, "broad.txt", KEYS / CALLING, ROUTES),
        (&mut all, "all.txt", 1, ROUTES),
    ];
    for (peer, name, step, routes) in loads {
        let mut calls = String::new();
        for (number, key) in keys.lines().enumerate().step_by(step) {
            // A number that has nothing in common with the number of routes, so that partners meet all of them.
            let _ = writeln!(calls, "{key} /crowd-{}/payments", 1 + (number / step) * 7 % routes);
        }
        let file = folder_of_large.join(name);
        fs::write(&file, calls).map_err(|why| why.to_string())?;
        peer.keys = file.to_string_lossy().into_owned();
    }
    let last = keys.lines().last().unwrap_or_default().to_owned();
    services.wait("the gateway's new directory", Duration::from_secs(60), || {
        http::get(LARGE.port, "/crowd-1/payments", &[("X-API-Key", &last)]).is_some_and(|one| one.status == 200)
    })?;
    println!("The gateway knows version {} of its directory.", version.trim());
    let mut peers = [small, large, broad, all];
    for round in 0..WARM_UP_ROUNDS + ROUNDS {
        for peer in &mut peers {
            let sample = load::full(peer, &folder)?;
            if round >= WARM_UP_ROUNDS {
                peer.samples.push(sample);
            }
        }
    }
    for peer in &peers {
        let cpu = peer.median(|sample| sample.cpu_ns);
        let micros = format!("{}.{:02} µs", cpu / 1_000, cpu % 1_000 / 10);
        report(&format!("{}: CPU for each call", peer.name), &micros, "see the ratio");
        let speed = format!("{} calls/s", peer.median(|sample| sample.requests_per_second));
        report(&format!("{}: speed", peer.name), &speed, "with upstream and Postgres on core 1");
        let memory = peer.median(|sample| sample.resident_bytes) >> 20;
        report(&format!("{}: memory", peer.name), &format!("{memory} MiB"), "published");
    }
    let [small, others @ ..] = &peers;
    let by = |peer: &Peer| peer.median(|sample| sample.cpu_ns);
    for peer in others {
        let hundredths = by(peer) * 100 / by(small).max(1);
        let ratio = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        report(&format!("{}: by the small", peer.name), &ratio, "at most 1.10");
    }
    services.stop();
    Ok(())
}
