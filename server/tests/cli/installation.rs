//! An installation of the binary's own: a data directory with a private Postgres, ports, a server that can be killed.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
};

pub struct Installation {
    data: PathBuf,
    site: PathBuf,
    /// Portal, gateway, admin.
    ports: [u16; 3],
    settings: Vec<(String, String)>,
}

/// A running `turnpike serve`; its drop kills it.
pub struct Server(Child);

pub fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    turnpike(arguments, settings).output().expect("the binary runs")
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("a text")
}

fn turnpike(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_turnpike"));
    command.args(arguments).env_clear().envs(settings.iter().copied());
    // What finding Postgres takes.
    for name in ["PATH", "TURNPIKE_PG_BIN", "TMPDIR"] {
        if let Ok(value) = std::env::var(name) {
            command.env(name, value);
        }
    }
    command
}

/// A port that nobody uses. Not one that the system gives out: a connection of another test could take such a one
/// before the server opens it.
fn free_port() -> u16 {
    loop {
        let [one, other, ..] = *uuid::Uuid::new_v4().as_bytes();
        let port = 12_000 + u16::from_le_bytes([one, other]) % 19_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Installation {
    /// One in that folder, with as much of a site as a start asks for.
    pub fn new(folder: &Path) -> Self {
        let ports = [(); 3].map(|()| free_port());
        let (data, site) = (folder.join("data"), folder.join("site"));
        fs::create_dir_all(site.join("pkg")).expect("made");
        fs::write(site.join("pkg/manifest.json"), r#"{"js":"a.js","css":"a.css"}"#).expect("written");
        Self { data, site, ports, settings: Vec::new() }
    }

    /// The same with these variables set.
    pub fn with(mut self, settings: &[(&str, &str)]) -> Self {
        self.settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self
    }

    pub const fn portal(&self) -> u16 {
        self.ports[0]
    }

    pub const fn gateway(&self) -> u16 {
        self.ports[1]
    }

    pub const fn admin(&self) -> u16 {
        self.ports[2]
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = turnpike(arguments, &[("TURNPIKE_DEVELOPMENT", "true"), ("TURNPIKE_LOG_FORMAT", "json")]);
        // A machine that runs many tests at once is late, and no test is about that.
        command.env("TURNPIKE_GATEWAY_LATE_MS", "600000");
        command.env("TURNPIKE_DATA_DIR", &self.data).env("TURNPIKE_SITE_DIR", &self.site);
        let names = ["TURNPIKE_PORTAL_LISTEN", "TURNPIKE_GATEWAY_LISTEN", "TURNPIKE_ADMIN_LISTEN"];
        for (name, port) in names.into_iter().zip(self.ports) {
            command.env(name, format!("127.0.0.1:{port}"));
        }
        command.envs(self.settings.iter().cloned());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// Applies the set-up; gives the text of its one key.
    pub fn apply(&self, file: &str) -> String {
        let applied = self.run(&["apply", file]);
        assert!(applied.status.success(), "{}", text(&applied.stderr));
        let report: serde_json::Value = serde_json::from_slice(&applied.stdout).expect("JSON");
        report["keys"][0]["text"].as_str().expect("a key").to_owned()
    }

    /// Starts the server and waits until it says that it is ready.
    pub fn serve(&self) -> Server {
        let mut child = self.command(&["serve"]).stderr(Stdio::piped()).spawn().expect("the server starts");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
        let server = Server(child);
        let mut line = String::new();
        let mut told = String::new();
        while !line.contains("\"message\":\"ready\"") {
            line.clear();
            assert!(log.read_line(&mut line).expect("a line") > 0, "the server ended:\n{told}");
            told.push_str(&line);
        }
        // Read on, so that the pipe never fills.
        thread::spawn(move || log.read_to_end(&mut Vec::new()));
        server
    }
}

impl Drop for Installation {
    /// A test that fails leaves no Postgres behind.
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.data.join("postgres/data/postmaster.pid")).unwrap_or_default();
        if let Some(pid) = pid.lines().next() {
            let _ = Command::new("kill").args(["-QUIT", pid]).status();
        }
    }
}

impl Server {
    /// Sends SIGTERM and waits for a clean end.
    pub fn stop(mut self) {
        let asked = Command::new("kill").arg(self.0.id().to_string()).status().expect("kill runs");
        assert!(asked.success());
        let ended = self.0.wait().expect("the server ends");
        assert!(ended.success(), "{ended}");
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub fn kill(mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("ended");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Status and whole answer of a GET.
pub fn get(port: u16, path: &str, headers: &str) -> (u16, String) {
    exchange(port, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"))
        .expect("an answer")
}

/// Status and whole answer of a request as it is written; `None` where the connection breaks before one.
pub fn exchange(port: u16, request: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    write!(stream, "{request}").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok())?;
    Some((status, answer))
}
