//! Several gateways on one Postgres that belongs to none of them: the first has the portal too, the others are gateways only.

use crate::{
    Trouble,
    postgres::Postgres,
    world::{BACKLOG, METERED, free_port, get_status, has_backlog, read_metered, serve, write_document},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::time::sleep;

/// Longest wait for a start.
const PATIENCE: Duration = Duration::from_secs(60);
/// 32 bytes, the same for all: keys are hashed under it.
const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What a cluster is made of.
pub struct Plan {
    pub binary: PathBuf,
    pub site: PathBuf,
    pub nodes: usize,
    /// Besides ports, folders, role and Postgres; for every node.
    pub environment: Vec<(String, String)>,
    /// The set-up file; its products are described by `api.yaml`.
    pub setup: String,
    /// A path that is answered 401 without a key.
    pub probe: String,
}

/// The processes, and what they share.
pub struct Cluster {
    plan: Plan,
    postgres: Postgres,
    folder: TempDir,
    nodes: Vec<Node>,
    /// By the partner's code.
    keys: BTreeMap<String, String>,
}

struct Node {
    environment: Vec<(String, String)>,
    portal: u16,
    gateway: u16,
    admin: u16,
    process: Child,
}

impl Cluster {
    pub async fn start(plan: Plan) -> Result<Self, Trouble> {
        Self::start_on(plan, Postgres::start()?).await
    }

    pub async fn start_on(plan: Plan, postgres: Postgres) -> Result<Self, Trouble> {
        let folder = tempfile::Builder::new().prefix("turnpike-chaos-").tempdir()?;
        write_document(folder.path())?;
        fs::write(folder.path().join("setup.yaml"), &plan.setup)?;
        let mut cluster = Self { plan, postgres, folder, nodes: Vec::new(), keys: BTreeMap::new() };
        cluster.add_node()?;
        cluster.wait_until_open(0).await?;
        let setup = cluster.folder.path().join("setup.yaml").display().to_string();
        let report: Value = serde_json::from_str(&cluster.command(&["apply", &setup])?)?;
        for key in report["keys"].as_array().into_iter().flatten() {
            let part = |name: &str| key[name].as_str().map(ToOwned::to_owned).ok_or("a key without a name");
            cluster.keys.insert(part("partner")?, part("text")?);
        }
        for number in 1..cluster.plan.nodes {
            cluster.add_node()?;
            cluster.wait_until_open(number).await?;
        }
        // Every node has the keys, and knows of the others.
        sleep(Duration::from_millis(2_500)).await;
        Ok(cluster)
    }

    pub const fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// The partner's key.
    pub fn key(&self, partner: &str) -> Result<&str, Trouble> {
        self.keys.get(partner).map(String::as_str).ok_or_else(|| format!("{partner} has no key").into())
    }

    /// The gateways' ports, by node.
    pub fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(|node| node.gateway).collect()
    }

    /// The ports of metrics and health, by node.
    pub fn admin_ports(&self) -> Vec<u16> {
        self.nodes.iter().map(|node| node.admin).collect()
    }

    /// Where the one portal is.
    pub fn portal_port(&self) -> u16 {
        self.nodes[0].portal
    }

    /// Of that node's process.
    pub fn pid(&self, number: usize) -> u32 {
        self.nodes[number].process.id()
    }

    /// Where that node keeps its data.
    pub fn data_dir(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("data-{number}"))
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub fn kill(&mut self, number: usize) -> Result<(), Trouble> {
        let node = &mut self.nodes[number];
        node.process.kill()?;
        node.process.wait()?;
        Ok(())
    }

    /// Ends a node as an operator would; how long that took.
    pub async fn end(&mut self, number: usize) -> Result<Duration, Trouble> {
        let begin = Instant::now();
        end(&mut self.nodes[number].process).await?;
        Ok(begin.elapsed())
    }

    /// Starts a node that has ended, on the data it had, and does not wait for it.
    pub fn begin(&mut self, number: usize) -> Result<(), Trouble> {
        let command = [self.plan.binary.display().to_string()];
        self.nodes[number].process = serve(&command, &self.nodes[number].environment, self.folder.path())?;
        Ok(())
    }

    /// Sets a variable of that node's environment, from its next start on.
    pub fn set(&mut self, number: usize, name: &str, value: &str) {
        self.unset(number, name);
        self.nodes[number].environment.push((name.to_owned(), value.to_owned()));
    }

    /// Takes a variable out of that node's environment, from its next start on.
    pub fn unset(&mut self, number: usize, name: &str) {
        self.nodes[number].environment.retain(|(variable, _)| variable != name);
    }

    /// Ends all nodes as an operator would; Postgres stays.
    pub async fn end_all(&mut self) -> Result<(), Trouble> {
        for number in (0..self.nodes.len()).rev() {
            self.end(number).await?;
        }
        Ok(())
    }

    pub fn psql(&self, statement: &str) -> Result<String, Trouble> {
        self.postgres.psql(statement)
    }

    /// A command of the program under test, as an operator types it beside a running server.
    pub fn command(&self, arguments: &[&str]) -> Result<String, Trouble> {
        let mut command = Command::new(&self.plan.binary);
        let output = command.args(arguments).envs(self.nodes[0].environment.iter().cloned()).output()?;
        if !output.status.success() {
            return Err(format!("{}: {}", arguments[0], String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The same where it may fail: whether it did not, and what it printed.
    pub fn said(&self, arguments: &[&str]) -> Result<(bool, String), Trouble> {
        let mut command = Command::new(&self.plan.binary);
        let output = command.args(arguments).envs(self.nodes[0].environment.iter().cloned()).output()?;
        Ok((output.status.success(), String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?))
    }

    /// Waits until the count of events stands still for two seconds, and no gateway says that some wait.
    pub async fn wait_until_ingested(&self) -> Result<(), Trouble> {
        let begin = Instant::now();
        let (mut last, mut since) = (String::new(), Instant::now());
        while begin.elapsed() < PATIENCE {
            sleep(Duration::from_millis(250)).await;
            let count = self.psql("select count(*) from usage_events")?;
            if count != last {
                (last, since) = (count, Instant::now());
            } else if since.elapsed() > Duration::from_secs(2) {
                let mut waits = false;
                for node in &self.nodes {
                    waits |= has_backlog(node.admin).await;
                }
                if !waits || begin.elapsed() > BACKLOG {
                    return Ok(());
                }
            }
        }
        Err("events were still arriving after a minute".into())
    }

    /// How often each request id of the load is in Postgres, with calls that were served.
    pub fn metered_ids(&self) -> Result<HashMap<String, u32>, Trouble> {
        read_metered(&self.psql(METERED)?)
    }

    /// What all nodes have logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    fn add_node(&mut self) -> Result<(), Trouble> {
        let number = self.nodes.len();
        let (portal, gateway, admin) = (free_port()?, free_port()?, free_port()?);
        let own = [
            ("TURNPIKE_PORTAL_LISTEN", format!("127.0.0.1:{portal}")),
            ("TURNPIKE_GATEWAY_LISTEN", format!("127.0.0.1:{gateway}")),
            ("TURNPIKE_ADMIN_LISTEN", format!("127.0.0.1:{admin}")),
            ("TURNPIKE_DATA_DIR", self.data_dir(number).display().to_string()),
            ("TURNPIKE_SITE_DIR", self.plan.site.display().to_string()),
            ("TURNPIKE_DEVELOPMENT", "true".to_owned()),
            ("TURNPIKE_SECRET", SECRET.to_owned()),
            ("TURNPIKE_ROLE", if number == 0 { "all" } else { "gateway" }.to_owned()),
            ("DATABASE_URL", self.postgres.url()),
        ];
        let mut environment: Vec<_> = own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        environment.extend(self.plan.environment.iter().cloned());
        let process = serve(&[self.plan.binary.display().to_string()], &environment, self.folder.path())?;
        self.nodes.push(Node { environment, portal, gateway, admin, process });
        Ok(())
    }

    /// Whether its gateway answers.
    pub async fn is_open(&self, number: usize) -> bool {
        get_status(self.nodes[number].gateway, &self.plan.probe, "").await == Some(401)
    }

    /// How its process ended, if it has.
    pub fn ended(&mut self, number: usize) -> Result<Option<ExitStatus>, Trouble> {
        Ok(self.nodes[number].process.try_wait()?)
    }

    pub async fn wait_until_open(&mut self, number: usize) -> Result<(), Trouble> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let node = &mut self.nodes[number];
            if let Some(status) = node.process.try_wait()? {
                return Err(format!("node {number} ended at its start: {status}; {}", self.log()).into());
            }
            if self.is_open(number).await {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(format!("node {number} did not answer within a minute; {}", self.log()).into())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let _ = node.process.kill();
            let _ = node.process.wait();
        }
    }
}

/// SIGTERM, and a while for it.
async fn end(process: &mut Child) -> Result<(), Trouble> {
    Command::new("kill").args(["-TERM", &process.id().to_string()]).status()?;
    for _ in 0..3_000 {
        if process.try_wait()?.is_some() {
            return Ok(());
        }
        sleep(Duration::from_millis(20)).await;
    }
    process.kill()?;
    process.wait()?;
    Err("a server did not stop within a minute of SIGTERM".into())
}
