//! Turnpike on one core, with a plan of two windows and a quota, and a partner with many keys.

use super::{KEYS, PARTNERS, Peer, nginx};
use crate::{Outcome, http, process, service::Services, workspace};
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// One installation.
#[derive(Clone, Copy)]
pub struct Installation {
    pub name: &'static str,
    /// The gateway's port; the portal and the admin listener have the two after it.
    pub port: u16,
    /// The core that all of it has; both where there is none.
    pub core: Option<&'static str>,
    /// How its private Postgres stands to the load, which would wait for no database on a machine of its own (see nice(1)).
    pub postgres_niceness: u8,
}

pub const FIRST: Installation = Installation { name: "Turnpike", port: 4803, core: Some("0"), postgres_niceness: 19 };

/// Another program where the environment names one, as that of `build --tuned`.
pub const OTHER: &str = "TURNPIKE_BIN";

/// What is measured.
fn program() -> PathBuf {
    std::env::var_os(OTHER).map_or_else(|| workspace::program("turnpike", true), |path| workspace::root().join(path))
}

/// Starts it with everything it keeps in `folder`.
pub fn start(services: &mut Services, installation: Installation, folder: &Path, site: &Path) -> Outcome<Peer> {
    let Installation { name, port, core, postgres_niceness } = installation;
    let binary = program();
    let cores = core.unwrap_or("0,1");
    let mut program = process::program("taskset", ["-c", cores, &binary.to_string_lossy(), "serve"], folder);
    set(&mut program, port, folder, site);
    services.start(name, program)?;
    let process = services.process(name)?;
    services.wait(name, Duration::from_secs(60), || {
        http::get(port + 2, "/ready", &[]).is_some_and(|one| one.status == 200)
    })?;
    write_setup(folder)?;
    let mut apply = process::program(&binary.to_string_lossy(), ["apply", "setup.yaml"], folder);
    set(&mut apply, port, folder, site);
    let applied = process::read(apply)?;
    let keys: Vec<&str> = applied.split('"').filter(|text| text.starts_with("tp_live_")).collect();
    if keys.len() != KEYS {
        return Err(format!("apply made {} keys of {KEYS}.", keys.len()));
    }
    let path = folder.join("keys.txt");
    fs::write(&path, keys.join("\n")).map_err(|why| why.to_string())?;
    let first = keys.first().copied().unwrap_or_default().to_owned();
    services.wait("the gateway", Duration::from_secs(10), || {
        http::get(port, "/payments/payments", &[("X-API-Key", &first)]).is_some_and(|one| one.status == 200)
    })?;
    let ours = Peer::new(name, port, vec![process], &path.to_string_lossy());
    if core.is_some() {
        move_postgres(folder, &ours.processes, postgres_niceness);
    }
    Ok(ours)
}

/// Our private Postgres was started on our core and moves to the other: nginx has no database on its core either.
fn move_postgres(folder: &Path, processes: &[u32], niceness: u8) {
    let niceness = niceness.to_string();
    let children = |parent: &str| {
        let listed = process::read(process::program("pgrep", ["-P", parent], folder)).unwrap_or_default();
        listed.lines().map(|pid| pid.trim().to_owned()).collect::<Vec<_>>()
    };
    let mut left: Vec<String> = processes.iter().flat_map(|process| children(&process.to_string())).collect();
    while let Some(process) = left.pop() {
        process::succeeds(process::program("taskset", ["-a", "-p", "-c", "1", &process], folder));
        process::succeeds(process::program("renice", ["-n", &niceness, "-p", &process], folder));
        // Those that are started from now on follow it.
        left.extend(children(&process));
    }
}

fn set(program: &mut Command, port: u16, folder: &Path, site: &Path) {
    program
        .env("TURNPIKE_GATEWAY_LISTEN", format!("127.0.0.1:{port}"))
        .env("TURNPIKE_PORTAL_LISTEN", format!("127.0.0.1:{}", port + 1))
        .env("TURNPIKE_ADMIN_LISTEN", format!("127.0.0.1:{}", port + 2))
        .env("TURNPIKE_DATA_DIR", folder.join("data"))
        .env("TURNPIKE_SITE_DIR", site)
        .env("TURNPIKE_GATEWAY_CORES", "1")
        .env("TURNPIKE_GATEWAY_MAX_BODY", (2_u64 << 30).to_string())
        .env("TURNPIKE_GATEWAY_MAX_CONNECTIONS", "12000")
        .env("TURNPIKE_LOG", "warn")
        .env("TURNPIKE_DEVELOPMENT", "true")
        .env_remove("DATABASE_URL");
}

fn write_setup(folder: &Path) -> Outcome {
    let document = "openapi: 3.1.0\ninfo: {title: Payments, version: '1'}\npaths:\n  /payments:\n    get:\n      \
                    operationId: listPayments\n      responses: {'200': {description: All payments}}\n    post:\n      \
                    operationId: createPayment\n      responses: {'200': {description: The payment}}\n  /large:\n    \
                    get:\n      operationId: getLarge\n      responses: {'200': {description: Much}}\n  /sink:\n    \
                    post:\n      operationId: sink\n      responses: {'200': {description: Taken}}\n";
    let mut setup = format!(
        "products:\n  payments:\n    name: Payments\n    document: api.yaml\n    route: /payments\n    upstream_url: {}\n    \
         visibility: public\nplans:\n  all:\n    name: All\n    currency: USD\n    products: [{{ product: payments }}]\n    \
         limits: [{{ calls: 4000000, window: second }}, {{ calls: 4000000000, window: minute }}]\n    \
         quota: {{ units: 4000000000, beyond: block }}\n    price: {{ model: per_unit, unit_price: \"0.0001\" }}\n\
         partners:\n",
        nginx::upstream()
    );
    for partner in 0..PARTNERS {
        let _ = write!(
            setup,
            "  load-{partner}:\n    name: Load {partner}\n    plan: all\n    apps:\n      load:\n        name: Load\n        keys:\n"
        );
        for number in 0..KEYS / PARTNERS {
            let _ = writeln!(setup, "          key-{number}: {{ name: Key {number}, environment: live }}");
        }
    }
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).map_err(|why| why.to_string());
    write("api.yaml", document)?;
    write("setup.yaml", &setup)
}
