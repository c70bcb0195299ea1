//! R34: five times the load that an upstream can take.

use super::{
    Trial,
    faulty::{Fault, Faulty},
    load::{Caller, Pauses, Seen, percentile},
    product, setup,
};
use crate::{Trouble, findings::Findings, world::World};
use std::time::{Duration, Instant};

/// Calls that the upstream serves at once without slowing down.
const CAPACITY: usize = 40;

const PAUSES: Pauses = Pauses { served: Duration::ZERO, refused: Duration::from_millis(100) };

pub async fn run(trial: &Trial) -> Result<Findings, Trouble> {
    let api = Faulty::start(Fault::Thrashes(CAPACITY as u64)).await?;
    let products = [("slow", product("slow", api.port, "127.0.0.1", "    timeout_ms: 5000\n"))];
    // One thread, so that its bound is the bound.
    let bound = if trial.control { "10000".to_owned() } else { CAPACITY.to_string() };
    let environment = [("TURNPIKE_GATEWAY_CORES", "1"), ("TURNPIKE_GATEWAY_MAX_CALLS", bound.as_str())];
    let world = World::launch(trial.launch(&environment, setup(&products)), "/slow/payments").await?;
    let caller = Caller { port: world.gateway_port(), key: world.key().to_owned() };
    let mut found = Findings::new(trial.untimed);

    let time = Duration::from_secs(trial.seconds);
    let press = |connections| caller.press("slow", connections, time, PAUSES);
    press(CAPACITY / 2).await;
    let peak = goodput(&press(CAPACITY).await, time);
    let seen = press(5 * CAPACITY).await;
    let (served, refused) = (goodput(&seen, time), seen.iter().filter(|seen| seen.status == 503).count());
    found.check(
        served * 100 >= peak * 80,
        format!(
            "at five times the load {served} calls a second were served, {peak} at the peak; {refused} were refused"
        ),
    );
    let refusals = || seen.iter().filter(|seen| seen.status == 503).map(|seen| seen.end);
    let (half, most) = (percentile(refusals(), 50), percentile(refusals(), 99));
    found.check(
        refused > 0 && most <= Duration::from_millis(5),
        format!("refusals took {half:?} in the middle, {most:?} at p99"),
    );
    let others = seen.iter().filter(|seen| !matches!(seen.status, 200 | 503)).count();
    found.check(others == 0, format!("calls that were neither served nor refused: {others}"));
    let began = Instant::now();
    loop {
        let again =
            goodput(&caller.press("slow", CAPACITY, Duration::from_secs(1), PAUSES).await, Duration::from_secs(1));
        if again * 100 >= peak * 90 || began.elapsed() > Duration::from_secs(6) {
            let took = began.elapsed();
            found.check(
                took <= Duration::from_secs(5),
                format!("after the load {again} calls a second were served again within {took:?}"),
            );
            break;
        }
    }
    world.stop().await?;
    Ok(found)
}

/// Served calls a second.
fn goodput(seen: &[Seen], time: Duration) -> u64 {
    let served = seen.iter().filter(|seen| seen.status == 200 && seen.whole).count() as u64;
    served * 1_000 / u64::try_from(time.as_millis()).unwrap_or(1).max(1)
}
