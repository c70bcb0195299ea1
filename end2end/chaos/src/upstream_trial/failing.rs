//! R19 and R20: one product's upstream fails, in every way that there is.

use super::{
    Trial,
    faulty::{Fault, Faulty},
    load::{Caller, Pauses, Seen, percentile},
    product, setup,
};
use crate::{Trouble, findings::Findings, world::World};
use std::{
    sync::atomic::Ordering::SeqCst,
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep};

/// What a failing product has: time for the head, for the next byte, for all of it.
const HEAD_MS: u64 = 1_000;
const IDLE_MS: u64 = 1_000;
const TOTAL_MS: u64 = 2_500;

/// How late an answer may be.
const SLACK: Duration = Duration::from_millis(100);

/// Failures in a row that open the breaker.
const FAILURES: usize = 5;

const CALLERS: usize = 4;

/// Of those who must not notice: they do not fill the processor, which is shared with whoever else calls.
const PAUSES: Pauses = Pauses { served: Duration::from_millis(5), refused: Duration::ZERO };
const HANGING: usize = 200;
const BULKHEAD: u64 = 20;

const FAULTS: [(&str, Fault); 6] = [
    ("hang", Fault::HangsBeforeHead),
    ("stall", Fault::HangsInBody),
    ("slowhead", Fault::TricklesHead),
    ("slowbody", Fault::TricklesBody),
    ("reset", Fault::Resets),
    ("close", Fault::Closes),
];

pub async fn run(trial: &Trial) -> Result<Findings, Trouble> {
    let (failures, bulkhead) = if trial.control { (0, 1_000_000) } else { (FAILURES, BULKHEAD) };
    let steady = Faulty::start(Fault::None).await?;
    let crowded = Faulty::start(Fault::HangsBeforeHead).await?;
    let mut apis = Vec::new();
    let mut products = vec![("steady", product("steady", steady.port, "127.0.0.1", ""))];
    for (name, fault) in FAULTS {
        let api = Faulty::start(fault).await?;
        let settings = format!(
            "    timeout_ms: {HEAD_MS}\n    policy: {{ upstream: {{ timeouts: {{ idle_ms: {IDLE_MS}, total_ms: {TOTAL_MS} }}, \
             retry: {{ attempts: 0 }}, breaker: {{ failures: {failures}, open_ms: 60000 }} }} }}\n"
        );
        products.push((name, product(name, api.port, "127.0.0.1", &settings)));
        apis.push(api);
    }
    let settings = format!(
        "    timeout_ms: 5000\n    policy: {{ upstream: {{ max_in_flight: {bulkhead}, retry: {{ attempts: 0 }}, breaker: {{ failures: 0 }} }} }}\n"
    );
    products.push(("crowded", product("crowded", crowded.port, "127.0.0.1", &settings)));
    let world =
        World::launch(trial.launch(&[("TURNPIKE_GATEWAY_CORES", "2")], setup(&products)), "/steady/payments").await?;
    let caller = Caller { port: world.gateway_port(), key: world.key().to_owned() };
    let mut found = Findings::new(trial.untimed);

    let time = Duration::from_secs(trial.seconds);
    let press = || caller.press("steady", 8, time, PAUSES);
    let before = press().await;
    let began = Instant::now();
    let failing = fail_all(&caller, time);
    let (during, seen) = tokio::join!(press(), failing);
    for (index, (name, fault)) in FAULTS.into_iter().enumerate() {
        judge(&mut found, name, fault, &seen[index], &apis[index]);
    }
    println!("  the failing calls took {:?}", began.elapsed());
    compare(&mut found, "while six upstreams failed", &before, &during);

    // R20: one product has two hundred calls that hang.
    let before = press().await;
    let mut hanging = JoinSet::new();
    for _ in 0..HANGING {
        let caller = caller.clone();
        hanging.spawn(async move { caller.call("crowded").await });
    }
    sleep(Duration::from_millis(500)).await;
    let during = press().await;
    let hung = hanging.join_all().await;
    let refused = hung.iter().filter(|seen| seen.status == 503).count();
    let most = crowded.most.load(SeqCst);
    let bound = 2 * BULKHEAD;
    found.check(
        most <= bound,
        format!("of {HANGING} hanging calls at most {bound} were with the upstream: {most}; {refused} got 503"),
    );
    compare(&mut found, "while two hundred calls of another product hung", &before, &during);

    world.wait_until_ingested().await?;
    let billed = world.count("select coalesce(sum(units), 0) from usage_events where request_id not like 'trial-steady-%' and request_id like 'trial-%'")?;
    found.check(billed == 0, format!("units billed for calls that failed: {billed}"));
    let calls = world.count("select count(*) from usage_events where request_id like 'trial-%'")?;
    let twice = world.count("select count(*) from (select 1 from usage_events where request_id like 'trial-%' group by request_id having count(*) > 1) doubled")?;
    found.check(calls > 0 && twice == 0, format!("{calls} calls recorded, {twice} of them twice"));
    world.stop().await?;
    Ok(found)
}

/// Each failing product is called by a few programs that wait a little between calls.
async fn fail_all(caller: &Caller, time: Duration) -> Vec<Vec<Seen>> {
    let mut running = JoinSet::new();
    for (index, (name, _)) in FAULTS.into_iter().enumerate() {
        for _ in 0..CALLERS {
            let caller = caller.clone();
            running.spawn(async move {
                let began = Instant::now();
                let mut seen = Vec::new();
                while seen.len() < 4 || began.elapsed() < time {
                    seen.push(caller.call(name).await);
                    sleep(Duration::from_millis(50)).await;
                }
                (index, seen)
            });
        }
    }
    let mut all = vec![Vec::new(); FAULTS.len()];
    for (index, seen) in running.join_all().await {
        all[index].extend(seen);
    }
    all
}

fn judge(found: &mut Findings, name: &str, fault: Fault, seen: &[Seen], api: &Faulty) {
    let sent: Vec<&Seen> = seen.iter().filter(|seen| seen.status != 503).collect();
    let slowest = sent.iter().map(|seen| seen.end).max().unwrap_or_default();
    let (limit, right): (u64, fn(&Seen) -> bool) = match fault {
        Fault::HangsBeforeHead | Fault::TricklesHead => (HEAD_MS, |seen| seen.status == 504),
        Fault::HangsInBody => (IDLE_MS, |seen| seen.status == 200 && !seen.whole),
        Fault::TricklesBody => (TOTAL_MS, |seen| seen.status == 200 && !seen.whole),
        _ => (0, |seen| seen.status == 502),
    };
    let limit = Duration::from_millis(limit) + SLACK;
    let right = !sent.is_empty() && sent.iter().all(|seen| right(seen));
    found.check(right, format!("{name}: {} calls ended as they should", sent.len()));
    found.check_time(slowest <= limit, format!("{name}: the slowest took {slowest:?} of {limit:?}"));
    let refused = seen.len() - sent.len();
    let reached = api.requests();
    let open = refused > 0 && reached <= FAILURES + CALLERS;
    found.check(
        open,
        format!("{name}: the breaker opened; {reached} calls reached the upstream, {refused} got 503 at once"),
    );
    let slowest = seen.iter().filter(|seen| seen.status == 503).map(|seen| seen.end).max().unwrap_or_default();
    found.check_time(slowest < Duration::from_millis(50), format!("{name}: the slowest refusal took {slowest:?}"));
}

/// The other product's calls are as fast as before, within 10 % and what a machine's own unrest makes of it.
fn compare(found: &mut Findings, when: &str, before: &[Seen], during: &[Seen]) {
    let p99 = |seen: &[Seen]| percentile(seen.iter().map(|seen| seen.end), 99);
    let (before_p99, during_p99) = (p99(before), p99(during));
    let bound = before_p99 * 110 / 100 + Duration::from_millis(1);
    let failed = during.iter().filter(|seen| seen.status != 200).count();
    found.check(failed == 0, format!("{when}, {failed} of {} calls of the other product failed", during.len()));
    let what = format!("{when}, p99 of the other product was {during_p99:?}, before {before_p99:?}");
    found.check_time(during_p99 <= bound, what);
}
