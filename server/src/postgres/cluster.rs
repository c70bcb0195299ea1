//! Preparing, starting and stopping the cluster in a [`Place`].

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::binaries::Binaries;
use super::owner::Owner;
use super::place::Place;
use super::{NAME, PrivateError, START};

/// The log begins anew at a start when it is larger than this, in bytes.
const LARGEST_LOG: u64 = 8 << 20;

/// Makes the cluster and the database, beside its final place: what is half made never looks finished.
pub(super) fn create(place: &Place, binaries: &Binaries, owner: &Owner) -> Result<(), PrivateError> {
    let unfinished = place.root.join("data.unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(|why| place.problem(why))?;
    }
    let mut initdb = owner.command(&binaries.program("initdb"));
    initdb.arg("-D").arg(&unfinished).args(["-U", NAME, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]);
    run(initdb, "initdb", "", place)?;
    let mut single = owner.command(&binaries.program("postgres"));
    single.arg("--single").arg("-D").arg(&unfinished).args(["-c", "exit_on_error=true", "postgres"]);
    run(single, "postgres", &format!("CREATE DATABASE {NAME}\n"), place)?;
    OpenOptions::new()
        .append(true)
        .open(unfinished.join("postgresql.conf"))
        .and_then(|mut file| file.write_all(b"\ninclude 'turnpike.conf'\n"))
        .and_then(|()| fs::rename(&unfinished, &place.data))
        .map_err(|why| place.problem(why))
}

/// Writes what differs from PostgreSQL's defaults; at every start, because the folder may have moved.
pub(super) fn configure(place: &Place, owner: &Owner) -> Result<(), PrivateError> {
    let file = place.data.join("turnpike.conf");
    let text = format!(
        "# Written by turnpike at every start; put settings of your own into postgresql.conf.\n\
         listen_addresses = ''\n\
         port = 5432\n\
         unix_socket_directories = '\"{}\"'\n\
         unix_socket_permissions = 0700\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n\
         lc_messages = 'C'\n\
         idle_in_transaction_session_timeout = '60s'\n",
        place.socket.display()
    );
    fs::write(&file, text).and_then(|()| owner.give(&file)).map_err(|why| place.problem(why))
}

/// Starts the cluster and waits until it takes connections; `None` where it is already running.
pub(super) fn start(place: &Place, binaries: &Binaries, owner: &Owner) -> Result<Option<Child>, PrivateError> {
    let deadline = Instant::now() + START;
    let mut child: Option<Child> = None;
    while Instant::now() < deadline {
        if is_ready(place) {
            return Ok(child);
        }
        match &mut child {
            Some(running) => {
                if running.try_wait().map_err(|why| place.problem(why))?.is_some() {
                    let said = last_words(&place.log);
                    return Err(PrivateError::Failed { program: "postgres", said, log: place.log.clone() });
                }
            }
            // One that starts or stops on its own, or the last backends of a killed one: wait for how it turns out.
            None if is_in_use(place) => {}
            None => child = Some(spawn(place, binaries, owner)?),
        }
        sleep(Duration::from_millis(20));
    }
    Err(PrivateError::TooSlow { log: place.log.clone() })
}

/// Ends all sessions, writes everything to disk, and waits for the end.
pub(super) fn stop(place: &Place, binaries: &Binaries, owner: &Owner) -> Result<(), PrivateError> {
    if postmaster(place).is_none() {
        return Ok(());
    }
    let mut stop = owner.command(&binaries.program("pg_ctl"));
    stop.arg("stop").arg("-D").arg(&place.data).args(["-m", "fast", "-w", "-t", "60"]);
    run(stop, "pg_ctl", "", place).map(drop)
}

/// Whether it takes connections.
pub(super) fn is_ready(place: &Place) -> bool {
    let says_so = fs::read_to_string(place.data.join("postmaster.pid"))
        .is_ok_and(|text| text.lines().nth(7).is_some_and(|status| status.trim() == "ready"));
    says_so && postmaster(place).is_some() && UnixStream::connect(place.socket.join(".s.PGSQL.5432")).is_ok()
}

/// The process that runs this very cluster. A number left over from before a reboot may belong to anybody, so the process
/// must also work in our data folder, which is where postgres goes first.
fn postmaster(place: &Place) -> Option<u32> {
    let text = fs::read_to_string(place.data.join("postmaster.pid")).ok()?;
    let pid: u32 = text.lines().next()?.trim().parse().ok()?;
    let is_ours = if Path::new("/proc/self").exists() {
        fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == place.data)
    } else {
        UnixStream::connect(place.socket.join(".s.PGSQL.5432")).is_ok()
    };
    is_ours.then_some(pid)
}

fn spawn(place: &Place, binaries: &Binaries, owner: &Owner) -> Result<Child, PrivateError> {
    discard_stale_locks(place)?;
    let log = open_log(place, owner)?;
    let errors = log.try_clone().map_err(|why| place.problem(why))?;
    owner
        .command(&binaries.program("postgres"))
        .arg("-D")
        .arg(&place.data)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        // A Ctrl-C in the terminal is for the server, which then stops Postgres last.
        .process_group(0)
        .spawn()
        .map_err(|why| PrivateError::Folder { path: binaries.program("postgres"), why })
}

/// Whether any process works in the data folder.
fn is_in_use(place: &Place) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    postmaster(place).is_some()
        || processes.filter_map(|process| fs::read_link(process.path().join("cwd")).ok()).any(|cwd| cwd == place.data)
}

/// Removes the lock files of a server that is gone where their number now belongs to some other living process: PostgreSQL
/// would take that one for a running server. A number that nobody has is left to PostgreSQL.
fn discard_stale_locks(place: &Place) -> Result<(), PrivateError> {
    for file in [place.data.join("postmaster.pid"), place.socket.join(".s.PGSQL.5432.lock")] {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let pid = text.lines().next().unwrap_or_default().trim();
        if pid.is_empty() || Path::new("/proc").join(pid).exists() {
            tracing::info!(file = %file.display(), "removing a lock left by a process that is gone");
            fs::remove_file(&file).map_err(|why| place.problem(why))?;
        }
    }
    Ok(())
}

fn open_log(place: &Place, owner: &Owner) -> Result<File, PrivateError> {
    let begin_anew = fs::metadata(&place.log).is_ok_and(|log| log.len() > LARGEST_LOG);
    let mut options = OpenOptions::new();
    let options = if begin_anew { options.write(true).truncate(true) } else { options.append(true).create(true) };
    let log = options.open(&place.log).map_err(|why| place.problem(why))?;
    owner.give(&place.log).map_err(|why| place.problem(why))?;
    Ok(log)
}

fn run(mut command: Command, program: &'static str, input: &str, place: &Place) -> Result<Output, PrivateError> {
    let failed = |said: String| PrivateError::Failed { program, said, log: place.log.clone() };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|why| failed(why.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it has read its input says why on its own.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|why| failed(why.to_string()))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(last_line(&said)))
}

fn last_words(log: &Path) -> String {
    last_line(&fs::read_to_string(log).unwrap_or_default())
}

/// The last line that says something went wrong, else the last line.
fn last_line(said: &str) -> String {
    let lines = || said.lines().rev().take(20).map(str::trim).filter(|line| !line.is_empty());
    let telling = lines().find(|line| ["FATAL", "error:", "PANIC"].iter().any(|word| line.contains(word)));
    telling.or_else(|| lines().next()).unwrap_or("no reason given").trim_end_matches('.').to_owned()
}
