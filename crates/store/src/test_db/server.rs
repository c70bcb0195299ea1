//! Starting the test server: unix socket only, no durability, as another user where we are root.

use sqlx::postgres::PgConnectOptions;
use std::{
    fs,
    os::unix::{
        fs::{DirBuilderExt as _, chown},
        process::{CommandExt as _, parent_id},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Bytes; with less in all, what many tests write at once could fill it.
const ROOM: u64 = 4 << 30;

/// The server of this test run. The runner's process id names its directory, so that all its tests find the same one.
pub(super) fn find_or_start() -> PgConnectOptions {
    let runner = parent_id();
    let root = folder().join(format!("turnpike-test-{runner}"));
    fs::create_dir_all(&root).expect("a temporary directory");
    let lock = fs::File::create(root.join("lock")).expect("a lock file");
    lock.lock().expect("the lock is had");
    if !root.join("pg/ready").exists() {
        start(&root, runner);
    }
    PgConnectOptions::new_without_pgpass().socket(root.join("pg")).username("turnpike").database("postgres")
}

/// In memory, where that has room: a database is a thousand files, and a disk takes a second to make them.
fn folder() -> &'static Path {
    let memory = Path::new("/dev/shm");
    let size = rustix::fs::statvfs(memory).map_or(0, |all| all.f_blocks.saturating_mul(all.f_frsize));
    if size >= ROOM { memory } else { Path::new("/tmp") }
}

fn start(root: &Path, runner: u32) {
    let (binaries, home) = (binaries(), root.join("pg"));
    let _ = fs::remove_dir_all(&home);
    fs::DirBuilder::new().mode(0o700).create(&home).expect("a directory for the server");
    let user = other_user();
    if let Some((uid, gid)) = user {
        chown(&home, Some(uid), Some(gid)).expect("the directory belongs to the server");
    }
    let data = home.join("data");
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(binaries.join(program));
        command.arg("-D").arg(&data).args(arguments).current_dir(&home).stdin(Stdio::null());
        // Output into a file: a pipe that the server inherits would never close.
        let log = fs::File::options().create(true).append(true).open(root.join("log")).expect("a log file");
        command.stdout(log.try_clone().expect("a log file")).stderr(log).process_group(0);
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        let done = command.status().expect("Postgres' programs run").success();
        assert!(done, "{program} failed: {}", fs::read_to_string(root.join("log")).unwrap_or_default());
    };
    run("initdb", &["-U", "turnpike", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]);
    let socket = home.display();
    let settings = format!(
        "-c listen_addresses='' -c unix_socket_directories='{socket}' -c fsync=off -c synchronous_commit=off \
         -c full_page_writes=off -c max_wal_size=256MB -c max_connections=300 -c shared_buffers=64MB -c timezone=UTC"
    );
    run("pg_ctl", &["-w", "-o", &settings, "-l", &home.join("server-log").display().to_string(), "start"]);
    stop_with(runner, root);
    fs::write(home.join("ready"), "").expect("a mark that the server is ready");
}

/// Leaves a small process behind that waits for the runner's end, then stops the server and removes its directory.
fn stop_with(runner: u32, root: &Path) {
    const WAIT: &str = r#"(while kill -0 "$1" 2>/dev/null; do sleep 1; done
kill -QUIT "$(head -n 1 "$2/pg/data/postmaster.pid")"; sleep 1; rm -rf "$2") &"#;
    Command::new("sh")
        .args(["-c", WAIT, "sh", &runner.to_string()])
        .arg(root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .status()
        .expect("a process that stops the server");
}

/// Where `initdb` and `pg_ctl` are.
fn binaries() -> PathBuf {
    let told = std::env::var_os("TURNPIKE_PG_BIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut installed: Vec<PathBuf> =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let major = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    installed.sort_by_key(major);
    told.into_iter()
        .chain(std::env::split_paths(&path))
        .chain(installed.into_iter().rev().map(|version| version.join("bin")))
        .find(|folder| folder.join("initdb").exists())
        .expect("Postgres is installed: apt-get install postgresql, or set TURNPIKE_PG_BIN to the folder of initdb")
}

/// Postgres refuses to run as root; then it runs as `postgres`, else as `nobody`.
fn other_user() -> Option<(u32, u32)> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let ours = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1))?;
    if ours != "0" {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].into_iter().find_map(|name| {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}
