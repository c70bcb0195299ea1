//! Several gateways on one Postgres: the first is everything and owns the Postgres, the others are gateways only.

use crate::{
    Trouble,
    credits::{Credits, Limit},
    world::{find_key, free_port, get_status, postgres, psql, serve, write_document},
};
use std::{
    fs,
    process::{Child, Command},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::time::sleep;

/// Longest wait for a start.
const PATIENCE: Duration = Duration::from_secs(60);
/// 32 bytes, the same for all: keys are hashed under it.
const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The processes, and what they share.
pub struct Cluster {
    folder: TempDir,
    nodes: Vec<Node>,
    key: String,
    postgres: (String, String),
}

struct Node {
    environment: Vec<(String, String)>,
    gateway: u16,
    process: Child,
}

impl Cluster {
    pub async fn start(credits: &Credits, upstream_port: u16) -> Result<Self, Trouble> {
        let folder = tempfile::Builder::new().prefix("turnpike-chaos-").tempdir()?;
        write_document(folder.path())?;
        let terms = match credits.limit {
            Limit::Credit => "    admission: { credit: { required: true } }".to_owned(),
            Limit::Quota => format!("    quota: {{ units: {}, beyond: block }}", credits.units),
        };
        let setup = include_str!("credits.yaml")
            .replace("{upstream}", &format!("http://127.0.0.1:{upstream_port}"))
            .replace("{terms}", &terms);
        fs::write(folder.path().join("setup.yaml"), setup)?;
        let first = node(credits, &folder, 0, None)?;
        let mut cluster = Self { folder, nodes: vec![first], key: String::new(), postgres: Default::default() };
        cluster.wait_until_open(0).await?;
        cluster.postgres = postgres(cluster.folder.path())?;
        let setup = cluster.folder.path().join("setup.yaml").display().to_string();
        let applied = cluster.command(credits, &["apply", &setup])?;
        cluster.key = find_key(&serde_json::from_str(&applied)?).ok_or("apply printed no key")?;
        if matches!(credits.limit, Limit::Credit) {
            let units = credits.units.to_string();
            cluster.command(credits, &["grant-credit", "--partner", "load", "--units", &units, "--reason", "Race"])?;
        }
        for number in 1..credits.nodes {
            let node = node(credits, &cluster.folder, number, Some(&cluster.postgres))?;
            cluster.nodes.push(node);
            cluster.wait_until_open(number).await?;
        }
        // Every node has the key, and knows of the others.
        sleep(Duration::from_millis(2_500)).await;
        Ok(cluster)
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(|node| node.gateway).collect()
    }

    /// SIGKILL, then a start on the same data.
    pub async fn kill_and_start_again(&mut self, number: usize, credits: &Credits) -> Result<Duration, Trouble> {
        let node = &mut self.nodes[number];
        node.process.kill()?;
        node.process.wait()?;
        let begin = Instant::now();
        node.process = serve(&[credits.binary.display().to_string()], &node.environment, self.folder.path())?;
        self.wait_until_open(number).await?;
        Ok(begin.elapsed())
    }

    /// Ends the gateways as an operator would, the one with the Postgres last, after `look` at what is then in it.
    pub async fn stop<T>(mut self, look: impl FnOnce(&Self) -> Result<T, Trouble>) -> Result<T, Trouble> {
        for number in (1..self.nodes.len()).rev() {
            let mut node = self.nodes.remove(number);
            end(&mut node.process).await?;
        }
        // The first node keeps its Postgres while it runs; its own units go back when they have been idle.
        let seen = look(&self)?;
        end(&mut self.nodes[0].process).await?;
        Ok(seen)
    }

    pub fn psql(&self, statement: &str) -> Result<String, Trouble> {
        psql(&self.postgres.0, &self.postgres.1, statement)
    }

    /// For a watcher of its own.
    pub fn address(&self) -> (String, String) {
        self.postgres.clone()
    }

    fn command(&self, credits: &Credits, arguments: &[&str]) -> Result<String, Trouble> {
        let output =
            Command::new(&credits.binary).args(arguments).envs(self.nodes[0].environment.iter().cloned()).output()?;
        if !output.status.success() {
            return Err(format!("{}: {}", arguments[0], String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    async fn wait_until_open(&mut self, number: usize) -> Result<(), Trouble> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let node = &mut self.nodes[number];
            if let Some(status) = node.process.try_wait()? {
                return Err(format!("node {number} ended at its start: {status}; {}", self.log()).into());
            }
            if get_status(node.gateway, "/payments/payments", "").await == Some(401) {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(format!("node {number} did not answer within a minute; {}", self.log()).into())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let _ = node.process.kill();
            let _ = node.process.wait();
        }
        let pid = fs::read_to_string(self.folder.path().join("data/postgres/data/postmaster.pid")).unwrap_or_default();
        if let Some(pid) = pid.lines().next() {
            let _ = Command::new("kill").args(["-QUIT", pid]).status();
        }
    }
}

fn node(
    credits: &Credits,
    folder: &TempDir,
    number: usize,
    shared: Option<&(String, String)>,
) -> Result<Node, Trouble> {
    let (portal, gateway, admin) = (free_port()?, free_port()?, free_port()?);
    let data = if number == 0 { "data".to_owned() } else { format!("data-{number}") };
    let mut environment = vec![
        ("TURNPIKE_PORTAL_LISTEN", format!("127.0.0.1:{portal}")),
        ("TURNPIKE_GATEWAY_LISTEN", format!("127.0.0.1:{gateway}")),
        ("TURNPIKE_ADMIN_LISTEN", format!("127.0.0.1:{admin}")),
        ("TURNPIKE_DATA_DIR", folder.path().join(data).display().to_string()),
        ("TURNPIKE_SITE_DIR", credits.site.display().to_string()),
        ("TURNPIKE_DEVELOPMENT", "true".to_owned()),
        ("TURNPIKE_SECRET", SECRET.to_owned()),
    ];
    if let Some((socket, port)) = shared {
        environment.push(("TURNPIKE_ROLE", "gateway".to_owned()));
        environment.push(("DATABASE_URL", format!("postgres://turnpike@localhost:{port}/turnpike?host={socket}")));
    }
    if credits.without_check {
        environment.push(("TURNPIKE_LEASES", "off".to_owned()));
    }
    let environment: Vec<_> = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let process = serve(&[credits.binary.display().to_string()], &environment, folder.path())?;
    Ok(Node { environment, gateway, process })
}

/// SIGTERM, and a while for it.
async fn end(process: &mut Child) -> Result<(), Trouble> {
    Command::new("kill").args(["-TERM", &process.id().to_string()]).status()?;
    for _ in 0..150 {
        if process.try_wait()?.is_some() {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    process.kill()?;
    Err("a server did not stop within 15 s of SIGTERM".into())
}
