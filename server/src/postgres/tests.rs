//! The private Postgres against a real one: first start, restart, takeover, refusals. Skipped nowhere: a machine that runs
//! these tests has PostgreSQL, as `cargo xtask test` sees to.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::*;

/// A data directory that whoever runs Postgres can reach.
fn data_dir() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("turnpike-test-").tempdir_in("/tmp").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// Asks one question over the socket in PostgreSQL's own protocol, and gives back the first column of the first row.
fn ask(private: &Private, question: &str) -> String {
    let mut socket = UnixStream::connect(private.place.socket.join(".s.PGSQL.5432")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let hello = format!("\0\x03\0\0user\0{NAME}\0database\0{NAME}\0\0");
    socket.write_all(&u32::try_from(hello.len() + 4).unwrap().to_be_bytes()).unwrap();
    socket.write_all(hello.as_bytes()).unwrap();
    answer_until_ready(&mut socket);
    socket.write_all(b"Q").unwrap();
    socket.write_all(&u32::try_from(question.len() + 5).unwrap().to_be_bytes()).unwrap();
    socket.write_all(question.as_bytes()).unwrap();
    socket.write_all(b"\0").unwrap();
    answer_until_ready(&mut socket)
}

fn answer_until_ready(socket: &mut UnixStream) -> String {
    let mut first = String::new();
    loop {
        let mut head = [0; 5];
        socket.read_exact(&mut head).unwrap();
        let mut body = vec![0; u32::from_be_bytes(head[1..].try_into().unwrap()) as usize - 4];
        socket.read_exact(&mut body).unwrap();
        match head[0] {
            b'Z' => return first,
            b'E' => panic!("{}", String::from_utf8_lossy(&body)),
            b'D' if first.is_empty() => first = String::from_utf8(body[6..].to_vec()).unwrap(),
            _ => {}
        }
    }
}

/// What a killed server leaves: the process is there, nobody holds it, no lock.
fn forget(mut private: Private) -> u32 {
    let held = private.held.take().unwrap();
    held.child.unwrap().id()
}

#[tokio::test]
async fn the_first_start_gives_a_database_in_utc_and_utf8_on_a_private_socket() {
    let dir = data_dir();
    let private = Private::start(dir.path()).await.unwrap();
    assert_eq!(ask(&private, "select current_setting('timezone')"), "UTC");
    assert_eq!(ask(&private, "select current_setting('listen_addresses')"), "");
    assert_eq!(ask(&private, "select current_setting('server_encoding')"), "UTF8");
    assert_eq!(ask(&private, "select datcollate from pg_database where datname = 'turnpike'"), "C.UTF-8");
    for folder in [&private.place.root, &private.place.data, &private.place.socket] {
        assert_eq!(fs::metadata(folder).unwrap().mode() & 0o777, 0o700, "{}", folder.display());
    }
    assert!(private.url().starts_with("postgres:///turnpike?host=/"));
    private.stop().await.unwrap();
}

#[tokio::test]
async fn postgres_never_runs_as_root() {
    let dir = data_dir();
    let private = Private::start(dir.path()).await.unwrap();
    let pid = private.held.as_ref().unwrap().child.as_ref().unwrap().id();
    assert_ne!(fs::metadata(format!("/proc/{pid}")).unwrap().uid(), 0);
    private.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_and_a_start_keep_the_data() {
    let dir = data_dir();
    let private = Private::start(dir.path()).await.unwrap();
    ask(&private, "create table kept as select 'still here' as word");
    let data = private.place.data.clone();
    private.stop().await.unwrap();
    assert!(!data.join("postmaster.pid").exists(), "a clean stop leaves no pid file");
    let again = Private::start(dir.path()).await.unwrap();
    assert_eq!(ask(&again, "select word from kept"), "still here");
    again.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_killed_server_left_running_is_taken_over_and_stopped() {
    let dir = data_dir();
    let pid = forget(Private::start(dir.path()).await.unwrap());
    let next = Private::start(dir.path()).await.unwrap();
    assert_eq!(cluster_pid(&next), pid, "the running one is taken over, without recovery");
    assert_eq!(ask(&next, "select 1"), "1");
    next.stop().await.unwrap();
    let after = Private::start(dir.path()).await.unwrap();
    assert_ne!(cluster_pid(&after), pid, "the taken over one was really stopped");
    after.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_postgres_starts_again_with_what_was_committed() {
    let dir = data_dir();
    let private = Private::start(dir.path()).await.unwrap();
    ask(&private, "create table kept as select 'committed' as word");
    kill(forget(private));
    let again = Private::start(dir.path()).await.unwrap();
    assert_eq!(ask(&again, "select word from kept"), "committed");
    again.stop().await.unwrap();
}

#[tokio::test]
async fn a_pid_file_whose_number_is_somebody_elses_does_not_block_the_start() {
    let dir = data_dir();
    let private = Private::start(dir.path()).await.unwrap();
    let file = private.place.data.join("postmaster.pid");
    let text = fs::read_to_string(&file).unwrap();
    let pid = cluster_pid(&private).to_string();
    private.stop().await.unwrap();
    // Our own number: alive, and not a postgres.
    fs::write(&file, text.replacen(&pid, &std::process::id().to_string(), 1)).unwrap();
    let again = Private::start(dir.path()).await.unwrap();
    assert_eq!(ask(&again, "select 1"), "1");
    again.stop().await.unwrap();
}

#[tokio::test]
async fn two_servers_cannot_hold_one_folder_but_a_command_may_join() {
    let dir = data_dir();
    let holder = Private::start(dir.path()).await.unwrap();
    assert!(matches!(Private::start(dir.path()).await, Err(PrivateError::InUse(_))));
    let guest = Private::attach(dir.path()).await.unwrap();
    assert_eq!(guest.url(), holder.url());
    guest.stop().await.unwrap();
    assert_eq!(ask(&holder, "select 1"), "1", "a guest that leaves does not take Postgres with it");
    holder.stop().await.unwrap();
    let alone = Private::attach(dir.path()).await.unwrap();
    assert_eq!(ask(&alone, "select 1"), "1", "with no server running, a command starts Postgres itself");
    alone.stop().await.unwrap();
}

#[tokio::test]
async fn data_of_another_major_version_is_refused_and_left_alone() {
    let dir = data_dir();
    let private = Private::start(dir.path()).await.unwrap();
    let version = private.place.data.join("PG_VERSION");
    private.stop().await.unwrap();
    fs::write(&version, "9\n").unwrap();
    let refused = Private::start(dir.path()).await.unwrap_err();
    assert!(matches!(refused, PrivateError::OtherVersion { written: 9, .. }), "{refused}");
    assert!(refused.to_string().contains("pg_upgrade"));
    assert_eq!(fs::read_to_string(version).unwrap(), "9\n");
}

#[tokio::test]
async fn a_preparation_that_was_cut_short_begins_again() {
    let dir = data_dir();
    let unfinished = dir.path().join("postgres/data.unfinished");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("PG_VERSION"), "15").unwrap();
    let private = Private::start(dir.path()).await.unwrap();
    assert_eq!(ask(&private, "select 1"), "1");
    private.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_that_its_user_cannot_reach_is_replaced_by_a_link() {
    let dir = data_dir();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let private = Private::start(dir.path()).await.unwrap();
    assert_eq!(ask(&private, "select 1"), "1");
    let root = private.place.root.clone();
    private.stop().await.unwrap();
    let again = Private::start(dir.path()).await.unwrap();
    assert_eq!(again.place.root, root, "the next start finds the same data");
    again.stop().await.unwrap();
    if !root.starts_with(dir.path()) {
        fs::remove_dir_all(root).unwrap();
    }
}

fn cluster_pid(private: &Private) -> u32 {
    let text = fs::read_to_string(private.place.data.join("postmaster.pid")).unwrap();
    text.lines().next().unwrap().parse().unwrap()
}

/// Kills a process the hard way and waits until it is gone.
fn kill(pid: u32) {
    let ended = std::process::Command::new("sh").arg("-c").arg(format!("kill -9 {pid}")).status().unwrap();
    assert!(ended.success());
    while fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        std::thread::sleep(Duration::from_millis(10));
    }
}
