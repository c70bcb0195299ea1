//! A Postgres of its own beside the servers, which can be stopped, made to hang, and brought back.

use crate::{Trouble, world::free_port};
use std::{
    fs,
    os::unix::{
        fs::{DirBuilderExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Longest wait for a start, recovery included.
const PATIENCE: Duration = Duration::from_secs(60);

/// It listens on loopback, as a Postgres on another machine would, and on no socket of its own.
pub struct Postgres {
    folder: TempDir,
    binaries: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
}

impl Postgres {
    pub fn start() -> Result<Self, Trouble> {
        let folder = tempfile::Builder::new().prefix("turnpike-chaos-pg-").tempdir()?;
        let user = other_user();
        let home = folder.path().join("pg");
        fs::DirBuilder::new().mode(0o700).create(&home)?;
        if let Some((uid, gid)) = user {
            // The folder around it belongs to us, so others have to be let through.
            fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
            chown(&home, Some(uid), Some(gid))?;
        }
        let postgres = Self { folder, binaries: binaries()?, user, port: free_port()? };
        postgres.run("initdb", &["-U", "turnpike", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"])?;
        postgres.begin()?;
        postgres.psql_in("postgres", "create database turnpike")?;
        Ok(postgres)
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("postgres://turnpike@127.0.0.1:{}/turnpike", self.port)
    }

    /// Starts it, on the data that are there.
    pub fn begin(&self) -> Result<(), Trouble> {
        let settings = format!("-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories=''", self.port);
        let log = self.home().join("log").display().to_string();
        self.run("pg_ctl", &["-w", "-t", "60", "-l", &log, "-o", &settings, "start"])
    }

    /// Ends it at once, with whatever is under way (`pg_ctl stop -m immediate`): connections are refused from here on.
    pub fn stop(&self) -> Result<(), Trouble> {
        self.run("pg_ctl", &["-w", "-m", "immediate", "stop"])
    }

    /// SIGSTOP to all of its processes: connections stay open, new ones are taken by the kernel, and nothing is answered.
    pub fn freeze(&self) -> Result<(), Trouble> {
        let server = self.server()?;
        signal("STOP", &[server])?;
        // It can make no more children now.
        signal("STOP", &children(server))
    }

    /// All go on where they were.
    pub fn thaw(&self) -> Result<(), Trouble> {
        let server = self.server()?;
        signal("CONT", &children(server))?;
        signal("CONT", &[server])
    }

    /// Takes a base backup beside the data, as an operator does while it runs.
    pub fn back_up(&self) -> Result<(), Trouble> {
        let _ = fs::remove_dir_all(self.backup());
        let mut command = self.command("pg_basebackup");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "turnpike", "-X", "stream", "-c", "fast"]);
        command.arg("-D").arg(self.backup());
        self.finish(command, "pg_basebackup")?;
        self.backup().join("PG_VERSION").exists().then_some(()).ok_or_else(|| "pg_basebackup left nothing".into())
    }

    /// Throws the data away and puts the backup in their place. It must not run.
    pub fn restore(&self) -> Result<(), Trouble> {
        let lost = self.home().join("lost");
        fs::rename(self.data(), &lost)?;
        fs::rename(self.backup(), self.data()).map_err(|error| format!("no backup: {error}"))?;
        // A process that has not ended yet may still write there.
        let _ = fs::remove_dir_all(lost);
        Ok(())
    }

    /// Puts all tables into that folder, which is empty; nobody may be connected.
    pub fn move_to(&self, folder: &Path) -> Result<(), Trouble> {
        if let Some((uid, gid)) = self.user {
            chown(folder, Some(uid), Some(gid))?;
        }
        self.psql_in("postgres", &format!("create tablespace small location '{}'", folder.display()))?;
        self.psql_in("postgres", "alter database turnpike set tablespace small")?;
        Ok(())
    }

    /// What a statement gives, one line for each row.
    pub fn psql(&self, statement: &str) -> Result<String, Trouble> {
        self.psql_in("turnpike", statement)
    }

    /// The numbers that a query gives in its one row.
    pub fn numbers(&self, query: &str) -> Result<Vec<i64>, Trouble> {
        Ok(self.psql(query)?.trim().split('|').map(str::parse).collect::<Result<_, _>>()?)
    }

    /// For a look from another thread.
    pub fn address(&self) -> String {
        format!("host=127.0.0.1 port={} user=turnpike dbname=turnpike", self.port)
    }

    fn psql_in(&self, database: &str, statement: &str) -> Result<String, Trouble> {
        ask(&format!("host=127.0.0.1 port={} user=turnpike dbname={database}", self.port), statement)
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("pg")
    }

    fn data(&self) -> PathBuf {
        self.home().join("data")
    }

    /// The process that all others come from.
    fn server(&self) -> Result<u32, Trouble> {
        let pid = fs::read_to_string(self.data().join("postmaster.pid"))?;
        Ok(pid.lines().next().ok_or("no process id")?.trim().parse()?)
    }

    fn backup(&self) -> PathBuf {
        self.home().join("backup")
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), Trouble> {
        let mut command = self.command(program);
        command.arg("-D").arg(self.data()).args(arguments);
        self.finish(command, program)
    }

    fn command(&self, program: &str) -> Command {
        // Clients of Postgres may be elsewhere than its server.
        let beside = self.binaries.join(program);
        let mut command = if beside.exists() { Command::new(beside) } else { Command::new(program) };
        command.current_dir(self.home());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn finish(&self, mut command: Command, program: &str) -> Result<(), Trouble> {
        // Not into a pipe, which the server would keep open.
        let said = fs::File::options().create(true).append(true).open(self.folder.path().join("said"))?;
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said).process_group(0);
        if command.status()?.success() {
            return Ok(());
        }
        let said = fs::read_to_string(self.folder.path().join("said")).unwrap_or_default();
        Err(format!("{program} failed: {said}").into())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Ok(server) = self.server() else { return };
        // Stopped processes take no signal but SIGCONT and SIGKILL.
        let _ = self.thaw();
        let _ = signal("QUIT", &[server]);
        let begin = Instant::now();
        while Path::new(&format!("/proc/{server}")).exists() && begin.elapsed() < PATIENCE / 6 {
            sleep(Duration::from_millis(20));
        }
    }
}

/// What a statement gives at that address, one line for each row.
pub fn ask(address: &str, statement: &str) -> Result<String, Trouble> {
    let output = Command::new("psql").args(["--no-psqlrc", "-qAt", "-d", address, "-c", statement]).output()?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        Err(format!("psql: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

fn signal(name: &str, processes: &[u32]) -> Result<(), Trouble> {
    if processes.is_empty() {
        return Ok(());
    }
    // One that has just ended is no trouble.
    Command::new("kill")
        .arg(format!("-{name}"))
        .args(processes.iter().map(u32::to_string))
        .stderr(Stdio::null())
        .status()?;
    Ok(())
}

/// Processes whose parent that is.
fn children(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // After the name, which may hold anything: state, then the parent.
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        fields.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_child).collect()
}

/// Where `initdb` and `pg_ctl` are.
fn binaries() -> Result<PathBuf, Trouble> {
    let told = std::env::var_os("TURNPIKE_PG_BIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut installed: Vec<PathBuf> =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    installed.sort_by_key(|path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
    told.into_iter()
        .chain(std::env::split_paths(&path))
        .chain(installed.into_iter().rev().map(|version| version.join("bin")))
        .find(|folder| folder.join("initdb").exists())
        .ok_or_else(|| "Postgres is not installed".into())
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
