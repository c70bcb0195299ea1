//! R37: the upstream's name vanishes, comes back, and leads where it should not.
//!
//! The server gets a hosts file of its own, in a mount namespace; this needs `unshare` and either root or user namespaces.

use super::{
    Trial,
    faulty::{Fault, Faulty},
    load::Caller,
    product, setup,
};
use crate::{Trouble, findings::Findings, world::World};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};
use tokio::time::sleep;

const HOSTS: &str = "127.0.0.1 localhost\n";

pub async fn run(trial: &Trial) -> Result<Findings, Trouble> {
    let folder = tempfile::tempdir()?;
    let hosts = folder.path().join("hosts");
    // The name server is out too: whatever is not in the file cannot be found.
    let resolver = folder.path().join("resolv.conf");
    fs::write(&resolver, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")?;
    write(&hosts, &["api.trial", "rebound.trial"])?;
    let (api, private) = (Faulty::start(Fault::None).await?, Faulty::start(Fault::None).await?);
    let open = trial.control;
    let guard = format!("    policy: {{ upstream: {{ allow_private_addresses: {open} }} }}\n");
    let products = [
        ("named", product("named", api.port, "api.trial", "    policy: { upstream: { breaker: { failures: 0 } } }\n")),
        ("rebound", product("rebound", private.port, "rebound.trial", &guard)),
    ];
    let stale = if trial.control { "1" } else { "9" };
    let environment = [("TURNPIKE_UPSTREAM_DNS_FRESH", "1"), ("TURNPIKE_UPSTREAM_DNS_STALE", stale)];
    let mut launch = trial.launch(&environment, setup(&products));
    let mounts = format!(
        "mount --bind {} /etc/hosts && mount --bind {} /etc/resolv.conf && exec \"$0\" \"$@\"",
        hosts.display(),
        resolver.display()
    );
    launch.wrapper = ["unshare", "--mount", "sh", "-c", &mounts].map(str::to_owned).to_vec();
    let world = World::launch(launch, "/named/payments").await?;
    let caller = Caller { port: world.gateway_port(), key: world.key().to_owned() };
    let mut found = Findings::new(trial.untimed);

    let rebound = caller.call("rebound").await;
    found.check(
        rebound.status == 502 && private.requests() == 0,
        format!(
            "a name that leads to a private address was answered {}, {} calls got there",
            rebound.status,
            private.requests()
        ),
    );
    write(&hosts, &["rebound.trial"])?;
    let mut lost = 0;
    for _ in 0..8 {
        // Longer than an unused connection is kept, now and then, so that new ones have to be opened.
        sleep(Duration::from_millis(500)).await;
        lost += usize::from(caller.call("named").await.status != 200);
    }
    sleep(Duration::from_millis(8_000)).await;
    found.check(lost == 0, format!("calls that failed in the first seconds without the name: {lost}"));
    let gone = caller.call("named").await.status;
    found.check(gone == 502, format!("once the last answer was too old a call was answered {gone}"));
    write(&hosts, &["api.trial", "rebound.trial"])?;
    let began = Instant::now();
    let mut back = caller.call("named").await.status;
    while back != 200 && began.elapsed() < Duration::from_secs(30) {
        sleep(Duration::from_millis(250)).await;
        back = caller.call("named").await.status;
    }
    found.check(back == 200, format!("with the name back a call was answered {back}"));
    world.stop().await?;
    Ok(found)
}

/// In place, because the file is mounted and not its name.
fn write(hosts: &Path, names: &[&str]) -> Result<(), Trouble> {
    let lines: String = names.iter().map(|name| format!("127.0.0.1 {name}\n")).collect();
    Ok(fs::write(hosts, format!("{HOSTS}{lines}"))?)
}
