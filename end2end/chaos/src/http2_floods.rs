//! `chaos http2-floods` (R22): frames of HTTP/2 that cost their sender next to nothing.
//!
//! Calls taken back at once (rapid reset), heads without an end (CONTINUATION), SETTINGS, PING, empty DATA, windows of one byte,
//! heads that unfold to a thousand times what was sent (HPACK bomb). The attacker is a process of its own, whose connections come
//! back as soon as they are closed. Promise: each connection is closed, the server's CPU time is at most twice the attacker's, its
//! memory grows by at most 64 MiB, and every call of others is served.

mod attacker;
mod bare;

use crate::{
    Trouble,
    clients::{Clients, Habit},
    findings::Findings,
    process::{mib, processor_ms, resident},
    upstream::Upstream,
    world::{Launch, World},
};
use attacker::{Kind, Tally};
use clap::{Parser, ValueEnum};
use std::{env, path::PathBuf, process::Stdio, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::sleep,
};

pub use attacker::{Attacker, run as attack};
pub use bare::serve as serve_bare;

const GROWTH_BYTES: u64 = 64 << 20;
/// Of CPU time, against the attacker's.
const MOST_TIMES: u64 = 2;

#[derive(Parser, Clone)]
pub struct Floods {
    /// Seconds of each attack.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Only this one.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Control run: a bare HTTP/2 server takes the gateway's place, and the check must fail.
    #[arg(long)]
    control: bool,
    /// Prints the CPU times and does not judge them: a debug build, or a machine that is busy with other things.
    #[arg(long)]
    untimed: bool,
    #[arg(long, env = "TURNPIKE_BIN")]
    binary: PathBuf,
    #[arg(long, env = "TURNPIKE_SITE_DIR")]
    site: PathBuf,
}

pub async fn run(floods: &Floods) -> Result<bool, Trouble> {
    let upstream = Upstream::start().await?;
    let launch = Launch {
        binary: floods.binary.clone(),
        site: floods.site.clone(),
        environment: vec![("TURNPIKE_GATEWAY_CORES".to_owned(), "1".to_owned())],
        wrapper: Vec::new(),
        setup: include_str!("setup.yaml").replace("{upstream}", &format!("http://127.0.0.1:{}", upstream.port())),
    };
    let world = World::launch(launch, "/payments/payments").await?;
    let mut victim = Victim { pid: world.pid(), port: world.gateway_port(), key: world.key().to_owned() };
    let mut bare = None;
    if floods.control {
        let mut process =
            Command::new(env::current_exe()?).arg("http2-bare").stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line).await?;
        victim.pid = process.id().ok_or("it ended")?;
        victim.port = line.trim().parse()?;
        bare = Some(process);
    }
    let mut found = Findings::new(floods.untimed);
    for kind in Kind::value_variants() {
        if floods.kind.is_none_or(|only| only == *kind) {
            try_one(floods, &victim, *kind, &mut found).await?;
        }
    }
    drop(bare);
    world.stop().await?;
    Ok(found.conclude("Floods by HTTP/2") != floods.control)
}

/// Who is attacked.
struct Victim {
    pid: u32,
    port: u16,
    key: String,
}

async fn try_one(floods: &Floods, victim: &Victim, kind: Kind, found: &mut Findings) -> Result<(), Trouble> {
    let Victim { pid, port, key } = victim;
    let pid = *pid;
    let mut clients = Clients::new();
    let habit = Habit {
        name: "good",
        port: *port,
        paths: Arc::new(vec!["/payments/payments".to_owned()]),
        keys: Arc::new(vec![key.clone()]),
        pause: Duration::from_millis(50),
        http2: false,
        fresh: false,
        at_once: 1,
    };
    if !floods.control {
        clients.add(&habit, 2);
    }
    clients.add(&Habit { http2: true, ..habit }, 2);
    sleep(Duration::from_millis(500)).await;
    // What the good calls cost alone.
    let (idle, before) = (processor_ms(pid), resident(pid));
    sleep(Duration::from_secs(1)).await;
    let each_second = processor_ms(pid).saturating_sub(idle);

    let (began, mut most) = (processor_ms(pid), before);
    let attack = Command::new(env::current_exe()?)
        .args(["http2-attacker", "--port", &port.to_string(), "--key", key])
        .args(["--seconds", &floods.seconds.to_string(), "--kind", kind.name()])
        .output();
    let mut attack = std::pin::pin!(attack);
    let output = loop {
        tokio::select! {
            output = &mut attack => break output?,
            () = sleep(Duration::from_millis(50)) => most = most.max(resident(pid)),
        }
    };
    let spent = processor_ms(pid).saturating_sub(began).saturating_sub(each_second * floods.seconds);
    let tally = Tally::read(&String::from_utf8_lossy(&output.stdout)).ok_or("the attacker said nothing")?;
    let mut seen = clients.stop().await;
    if floods.untimed {
        println!("  note {} calls were refused because the server was overloaded", seen.take_overloaded());
    }

    let Tally { connections, closed, longest_ms, bytes, cpu } = tally;
    let name = kind.name();
    found.check(
        closed > 0 && closed == connections,
        format!("{name}: {closed} of {connections} connections were closed, the longest after {longest_ms} ms"),
    );
    found.check_time(
        spent <= MOST_TIMES * cpu,
        format!(
            "{name}: {} MiB cost the server {spent} ms of CPU and the attacker {cpu}: {}.{:02} times",
            mib(bytes),
            spent / cpu.max(1),
            spent * 100 / cpu.max(1) % 100
        ),
    );
    let growth = most.saturating_sub(before);
    found.check(growth <= GROWTH_BYTES, format!("{name}: memory grew by {} MiB from {}", mib(growth), mib(before)));
    let (answered, failed) = (seen.answered.len(), seen.failed.len());
    found.check(
        failed == 0 && answered > 0,
        format!("{name}: {failed} of {} calls of others failed{}", answered + failed, seen.examples(&[])),
    );
    Ok(())
}
