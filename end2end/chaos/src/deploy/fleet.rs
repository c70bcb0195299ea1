//! One server with portal and Postgres, and gateways beside it that are restarted one after the other.

use crate::{
    Trouble,
    world::{BACKLOG, free_port, get_status, get_text, has_backlog, postgres, psql, serve, write_document},
};
use serde_json::Value;
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::time::sleep;

/// Longest wait for a start, an end, and for usage to arrive.
const PATIENCE: Duration = Duration::from_secs(60);
/// 32 bytes, the same for all: keys are hashed under it.
const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The processes. The first has portal and Postgres.
pub struct Fleet {
    folder: TempDir,
    binary: PathBuf,
    nodes: Vec<Node>,
}

struct Node {
    environment: Vec<(String, String)>,
    gateway: u16,
    admin: u16,
    process: Option<Child>,
}

impl Fleet {
    /// Starts the first and that many gateways, each with these settings besides.
    pub async fn start(
        binary: &Path,
        site: &Path,
        gateways: usize,
        settings: &[(&str, String)],
    ) -> Result<Self, Trouble> {
        let folder = tempfile::Builder::new().prefix("turnpike-chaos-").tempdir()?;
        write_document(folder.path())?;
        let mut fleet = Self { folder, binary: binary.to_owned(), nodes: Vec::new() };
        for number in 0..=gateways {
            let (portal, gateway, admin) = (free_port()?, free_port()?, free_port()?);
            let data = if number == 0 { "data".to_owned() } else { format!("data-{number}") };
            let mut environment = vec![
                ("TURNPIKE_PORTAL_LISTEN", format!("127.0.0.1:{portal}")),
                ("TURNPIKE_GATEWAY_LISTEN", format!("127.0.0.1:{gateway}")),
                ("TURNPIKE_ADMIN_LISTEN", format!("127.0.0.1:{admin}")),
                ("TURNPIKE_DATA_DIR", fleet.folder.path().join(data).display().to_string()),
                ("TURNPIKE_SITE_DIR", site.display().to_string()),
                ("TURNPIKE_DEVELOPMENT", "true".to_owned()),
                ("TURNPIKE_SECRET", SECRET.to_owned()),
            ];
            if number > 0 {
                let (socket, port) = postgres(fleet.folder.path())?;
                environment.push(("TURNPIKE_ROLE", "gateway".to_owned()));
                let url = format!("postgres://turnpike@localhost:{port}/turnpike?host={socket}");
                environment.push(("DATABASE_URL", url));
                environment.extend(settings.iter().cloned());
            }
            let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            fleet.nodes.push(Node { environment, gateway, admin, process: None });
            fleet.start_again(number).await?;
        }
        Ok(fleet)
    }

    /// Ports of each gateway and of its admin listener.
    pub fn gateways(&self) -> Vec<(u16, u16)> {
        self.nodes.iter().skip(1).map(|node| (node.gateway, node.admin)).collect()
    }

    /// Brings the installation to that state; gives the texts of new keys by their partner.
    pub async fn apply(&self, setup: &str) -> Result<HashMap<String, String>, Trouble> {
        let path = self.folder.path().join("setup.yaml");
        fs::write(&path, setup)?;
        let first = self.nodes.first().ok_or("no server")?;
        let mut command = tokio::process::Command::new(&self.binary);
        let output = command.arg("apply").arg(path).envs(first.environment.iter().cloned()).output().await?;
        if !output.status.success() {
            return Err(format!("apply: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let answer: Value = serde_json::from_slice(&output.stdout)?;
        let keys = answer.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |key: &Value, name: &str| key.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(keys.iter().filter_map(|key| Some((text(key, "partner")?, text(key, "text")?))).collect())
    }

    /// Waits until every gateway decides by what Postgres has now; gives how long that took.
    pub async fn wait_until_in_force(&self) -> Result<Duration, Trouble> {
        let (version, began) = (self.psql("select version from directory_version")?, Instant::now());
        let wanted = format!("directory {}", version.trim());
        for (_, admin) in self.gateways() {
            while !get_text(admin, "/ready").await.is_some_and(|text| text.trim_end().ends_with(&wanted)) {
                if began.elapsed() > PATIENCE {
                    return Err("a change was not in force after a minute".into());
                }
                sleep(Duration::from_millis(10)).await;
            }
        }
        Ok(began.elapsed())
    }

    /// SIGTERM; gives how long it took to end.
    pub async fn terminate(&mut self, number: usize) -> Result<Duration, Trouble> {
        let node = self.nodes.get_mut(number).ok_or("no such node")?;
        let Some(mut process) = node.process.take() else { return Ok(Duration::ZERO) };
        let began = Instant::now();
        Command::new("kill").args(["-TERM", &process.id().to_string()]).status()?;
        while process.try_wait()?.is_none() {
            if began.elapsed() > PATIENCE {
                process.kill()?;
                process.wait()?;
                return Err("a server did not end within a minute of SIGTERM".into());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(began.elapsed())
    }

    /// SIGKILL.
    pub fn kill(&mut self, number: usize) -> Result<(), Trouble> {
        if let Some(mut process) = self.nodes.get_mut(number).and_then(|node| node.process.take()) {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Starts it on its data and waits until it is ready; gives how long that took.
    pub async fn start_again(&mut self, number: usize) -> Result<Duration, Trouble> {
        let (began, log) = (Instant::now(), self.folder.path().join("server.log"));
        let node = self.nodes.get_mut(number).ok_or("no such node")?;
        node.process = Some(serve(&[self.binary.display().to_string()], &node.environment, self.folder.path())?);
        while get_status(node.admin, "/ready", "").await != Some(200) {
            let ended = node.process.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || began.elapsed() > PATIENCE {
                let log = fs::read_to_string(log).unwrap_or_default();
                return Err(format!("node {number} is not ready: {ended:?}; its log is {log}").into());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(began.elapsed())
    }

    /// What all of them wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    pub fn psql(&self, statement: &str) -> Result<String, Trouble> {
        let (socket, port) = postgres(self.folder.path())?;
        psql(&socket, &port, statement)
    }

    /// Whether a gateway says that usage waits, for so long as that is to be waited for.
    async fn has_backlog(&self, since: Instant) -> bool {
        let mut waits = false;
        for (_, admin) in self.gateways() {
            waits |= has_backlog(admin).await;
        }
        waits && since.elapsed() < BACKLOG
    }

    /// How often each id of the clients is in Postgres, once no more events arrive.
    pub async fn metered(&self) -> Result<HashMap<String, u32>, Trouble> {
        let (mut last, mut since, began) = (String::new(), Instant::now(), Instant::now());
        while since.elapsed() < Duration::from_secs(2) || self.has_backlog(began).await {
            let count = self.psql("select count(*) from usage_events")?;
            if count != last {
                (last, since) = (count, Instant::now());
            }
            if began.elapsed() > PATIENCE {
                return Err("events were still arriving after a minute".into());
            }
            sleep(Duration::from_millis(250)).await;
        }
        let listed = self.psql(
            "copy (select request_id, count(*) from usage_events where request_id like 'chaos-%' and outcome = 'served' \
             group by 1) to stdout",
        )?;
        let read =
            |line: &str| line.split_once('\t').and_then(|(id, count)| Some((id.to_owned(), count.parse().ok()?)));
        listed.lines().map(|line| read(line).ok_or_else(|| "psql answered with something else".into())).collect()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for number in 0..self.nodes.len() {
            let _ = self.kill(number);
        }
        let pid = fs::read_to_string(self.folder.path().join("data/postgres/data/postmaster.pid")).unwrap_or_default();
        if let Some(pid) = pid.lines().next() {
            let _ = Command::new("kill").args(["-QUIT", pid]).status();
        }
    }
}
