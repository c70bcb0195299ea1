//! One Turnpike under test: its configuration, its process, and what its Postgres says.

use crate::Trouble;
use serde_json::Value;
use std::{
    collections::HashMap,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

/// Longest wait for a start, and for Postgres to catch up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for what a server says is still to come.
pub const BACKLOG: Duration = Duration::from_secs(30);

/// A server that is killed and started again on the same data.
pub struct World {
    folder: TempDir,
    binary: PathBuf,
    /// The binary, after whatever it runs under.
    command: Vec<String>,
    environment: Vec<(String, String)>,
    portal: u16,
    gateway: u16,
    admin: u16,
    /// A path that is answered 200 once all is there.
    probe: String,
    key: String,
    server: Child,
}

/// How a server is started, and what it sells.
pub struct Launch {
    pub binary: PathBuf,
    pub site: PathBuf,
    /// Besides ports and folders.
    pub environment: Vec<(String, String)>,
    /// A program and its arguments that run the binary; empty runs it as it is.
    pub wrapper: Vec<String>,
    /// The set-up file; its products are described by `api.yaml`.
    pub setup: String,
}

impl World {
    /// Starts a server, sets it up, and waits until a call of `probe` is answered 200.
    pub async fn launch(launch: Launch, probe: &str) -> Result<Self, Trouble> {
        let folder = tempfile::Builder::new().prefix("turnpike-chaos-").tempdir()?;
        let (portal, gateway, admin) = (free_port()?, free_port()?, free_port()?);
        let mut environment: Vec<(String, String)> = [
            ("TURNPIKE_PORTAL_LISTEN", format!("127.0.0.1:{portal}")),
            ("TURNPIKE_GATEWAY_LISTEN", format!("127.0.0.1:{gateway}")),
            ("TURNPIKE_ADMIN_LISTEN", format!("127.0.0.1:{admin}")),
            ("TURNPIKE_DATA_DIR", folder.path().join("data").display().to_string()),
            ("TURNPIKE_SITE_DIR", launch.site.display().to_string()),
            ("TURNPIKE_DEVELOPMENT", "true".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        environment.extend(launch.environment);
        write_setup(folder.path(), &launch.setup)?;
        let command = [launch.wrapper, vec![launch.binary.display().to_string()]].concat();
        let server = serve(&command, &environment, folder.path())?;
        let (binary, probe, key) = (launch.binary, probe.to_owned(), String::new());
        let mut world = Self { folder, binary, command, environment, portal, gateway, admin, probe, key, server };
        world.wait_until_ready().await?;
        world.key = world.apply()?;
        world.wait_for_first_answer().await?;
        Ok(world)
    }

    pub const fn gateway_port(&self) -> u16 {
        self.gateway
    }

    pub const fn portal_port(&self) -> u16 {
        self.portal
    }

    pub const fn admin_port(&self) -> u16 {
        self.admin
    }

    pub fn pid(&self) -> u32 {
        self.server.id()
    }

    /// Whether the server is the process that was started, and still there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.server.try_wait(), Ok(None))
    }

    /// What a command of the binary prints.
    pub fn command(&self, arguments: &[&str]) -> Result<String, Trouble> {
        let output = Command::new(&self.binary).args(arguments).envs(self.environment.iter().cloned()).output()?;
        if !output.status.success() {
            return Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    /// Of the directory that the gateway decides by, from the body of /ready.
    pub async fn directory_version(&self) -> Option<u64> {
        get_text(self.admin, "/ready").await?.trim().rsplit(' ').next()?.parse().ok()
    }

    /// Where the server keeps its data.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub fn kill(&mut self) -> Result<(), Trouble> {
        self.server.kill()?;
        self.server.wait()?;
        Ok(())
    }

    /// Starts it again; gives the time from the start to the first call answered 200.
    pub async fn start_again(&mut self) -> Result<Duration, Trouble> {
        let begin = Instant::now();
        self.server = serve(&self.command, &self.environment, self.folder.path())?;
        self.wait_for_first_answer().await?;
        Ok(begin.elapsed())
    }

    /// Ends it as an operator would.
    pub async fn stop(mut self) -> Result<(), Trouble> {
        let pid = self.server.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        for _ in 0..600 {
            if self.server.try_wait()?.is_some() {
                return Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
        self.server.kill()?;
        Err("the server did not stop within a minute of SIGTERM".into())
    }

    /// Waits until the count of events stands still for two seconds, and the server says that none waits.
    pub async fn wait_until_ingested(&self) -> Result<(), Trouble> {
        let begin = Instant::now();
        let (mut last, mut since) = (self.count_events()?, Instant::now());
        while begin.elapsed() < PATIENCE {
            sleep(Duration::from_millis(250)).await;
            let count = self.count_events()?;
            if count != last {
                (last, since) = (count, Instant::now());
            } else if since.elapsed() > Duration::from_secs(2)
                && !(has_backlog(self.admin).await && begin.elapsed() < BACKLOG)
            {
                return Ok(());
            }
        }
        Err("events were still arriving after a minute".into())
    }

    /// How often each request id of the load is in Postgres, with calls that were served.
    pub fn metered_ids(&self) -> Result<HashMap<String, u32>, Trouble> {
        read_metered(&self.psql(METERED)?)
    }

    pub fn count_events(&self) -> Result<u64, Trouble> {
        self.count("select count(*) from usage_events")
    }

    /// The one number that a query gives.
    pub fn count(&self, query: &str) -> Result<u64, Trouble> {
        Ok(self.psql(query)?.trim().parse()?)
    }

    pub fn psql(&self, statement: &str) -> Result<String, Trouble> {
        let (socket, port) = postgres(self.folder.path())?;
        psql(&socket, &port, statement)
    }

    fn apply(&self) -> Result<String, Trouble> {
        let setup = self.folder.path().join("setup.yaml").display().to_string();
        let answer: Value = serde_json::from_str(&self.command(&["apply", &setup])?)?;
        find_key(&answer).ok_or_else(|| format!("apply printed no key: {answer}").into())
    }

    async fn wait_until_ready(&mut self) -> Result<(), Trouble> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.server.try_wait()? {
                return Err(format!("the server ended at its start: {status}; its log is {}", self.log()).into());
            }
            if get_status(self.admin, "/ready", "").await == Some(200) {
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Err(format!("the server was not ready after a minute; its log is {}", self.log()).into())
    }

    async fn wait_for_first_answer(&mut self) -> Result<(), Trouble> {
        let begin = Instant::now();
        let authorization = format!("Authorization: Bearer {}\r\nX-Request-Id: warm-up\r\n", self.key);
        while begin.elapsed() < PATIENCE {
            if get_status(self.gateway, &self.probe, &authorization).await == Some(200) {
                return Ok(());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Err(format!("the gateway did not answer 200 within a minute; its log is {}", self.log()).into())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let Ok(pid) = fs::read_to_string(self.folder.path().join("data/postgres/data/postmaster.pid")) else { return };
        if let Some(pid) = pid.lines().next() {
            let _ = Command::new("kill").args(["-QUIT", pid]).status();
        }
    }
}

/// Asks how often each request id of the load is in Postgres, with calls that were served.
pub const METERED: &str = "copy (select request_id, count(*) from usage_events where request_id like 'chaos-%' and outcome = 'served' \
                           group by 1) to stdout";

/// Reads the answer to [`METERED`].
pub fn read_metered(text: &str) -> Result<HashMap<String, u32>, Trouble> {
    let mut ids = HashMap::new();
    for line in text.lines() {
        let (id, count) = line.split_once('\t').ok_or("psql answered with something else")?;
        ids.insert(id.to_owned(), count.parse()?);
    }
    Ok(ids)
}

/// Where the private Postgres of a world in that folder listens.
pub fn postgres(folder: &Path) -> Result<(String, String), Trouble> {
    postgres_in(&folder.join("data"))
}

/// Where the private Postgres of that data directory listens, from the lines that it wrote about itself (postmaster.pid):
/// the folder of its socket, and its port.
pub fn postgres_in(data: &Path) -> Result<(String, String), Trouble> {
    let pid = fs::read_to_string(data.join("postgres/data/postmaster.pid"))?;
    let mut lines = pid.lines().skip(3);
    let (port, socket) = (lines.next().ok_or("no port")?, lines.next().ok_or("no socket folder")?);
    Ok((socket.to_owned(), port.to_owned()))
}

/// What a statement gives, one line for each row.
pub fn psql(socket: &str, port: &str, statement: &str) -> Result<String, Trouble> {
    let address = format!("host={socket} port={port} user=turnpike dbname=turnpike");
    let output = Command::new("psql").args(["--no-psqlrc", "-qAt", "-d", &address, "-c", statement]).output()?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        Err(format!("psql: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

/// Starts a server whose log is in that folder.
pub fn serve(command: &[String], environment: &[(String, String)], folder: &Path) -> Result<Child, Trouble> {
    let (program, arguments) = command.split_first().ok_or("nothing to run")?;
    let log = File::options().create(true).append(true).open(folder.join("server.log"))?;
    let child = Command::new(program)
        .args(arguments)
        .arg("serve")
        .envs(environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    Ok(child)
}

/// Writes the product's document.
pub fn write_document(folder: &Path) -> Result<(), Trouble> {
    fs::write(
        folder.join("api.yaml"),
        "openapi: 3.1.0\ninfo: {title: Payments, version: '1'}\npaths:\n  /payments:\n    get:\n      operationId: listPayments\n      \
         responses: {'200': {description: All payments}}\n    post:\n      operationId: createPayment\n      \
         responses: {'200': {description: A payment}}\n",
    )?;
    Ok(())
}

fn write_setup(folder: &Path, setup: &str) -> Result<(), Trouble> {
    write_document(folder)?;
    Ok(fs::write(folder.join("setup.yaml"), setup)?)
}

/// The first text in the answer that looks like a live key.
fn find_key(answer: &Value) -> Option<String> {
    match answer {
        Value::String(text) => text.starts_with("tp_live_").then(|| text.clone()),
        Value::Array(items) => items.iter().find_map(find_key),
        Value::Object(members) => members.values().find_map(find_key),
        _ => None,
    }
}

/// The status of a plain GET; nothing where the server is not there or breaks off.
pub async fn get_status(port: u16, path: &str, headers: &str) -> Option<u16> {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
    };
    tokio::time::timeout(Duration::from_secs(10), ask).await.ok().flatten()
}

/// The body of a plain GET that is answered 200.
pub async fn get_text(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.starts_with("HTTP/1.1 200").then(|| answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()))?
}

/// Whether a server says on its admin port that usage waits for Postgres; one that says nothing has none that could come.
pub async fn has_backlog(admin: u16) -> bool {
    let text = tokio::time::timeout(Duration::from_secs(10), get_text(admin, "/metrics")).await.ok().flatten();
    text.is_some_and(|text| {
        let any = |name: &str, is: fn(&str) -> bool| text.lines().any(|line| line.starts_with(name) && is(line));
        // Behind damage nothing comes until somebody skips it.
        any("turnpike_spool_backlog_records", |line| !line.ends_with(" 0"))
            && !any("turnpike_spool_damaged", |line| line.ends_with(" 1"))
    })
}

/// A port that nobody listens on. Not one that the system gives out: another program's connection could take such a
/// one before the server opens it, or while it is killed and starts again.
pub fn free_port() -> Result<u16, Trouble> {
    let mut random = Random::new(seed_of_now() ^ u64::from(std::process::id()) << 32);
    for _ in 0..1_000 {
        let port = 12_000 + u16::try_from(random.below(19_000))?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no port is free".into())
}

/// A seed that differs from run to run.
pub fn seed_of_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64)
}

/// SplitMix64: repeatable random numbers, good enough for instants.
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}
