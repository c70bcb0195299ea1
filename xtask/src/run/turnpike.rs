//! The calls to the `turnpike` program: what it is given, and what it answers. Nothing else knows its command line.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::Ports;
use crate::{Outcome, process, workspace};

/// The key and the webhook secret that the stand-in for Stripe knows.
pub const STRIPE_KEY: &str = "sk_test_turnpike";
pub const STRIPE_WEBHOOK_SECRET: &str = "whsec_turnpike";

/// The built program, and the settings of one development installation.
pub struct Turnpike {
    program: PathBuf,
    settings: Vec<(&'static str, String)>,
}

impl Turnpike {
    pub fn new(program: PathBuf, data_dir: &Path, site: &Path, ports: Ports) -> Self {
        let settings = vec![
            ("TURNPIKE_DEVELOPMENT", "true".to_owned()),
            ("TURNPIKE_DATA_DIR", data_dir.display().to_string()),
            ("TURNPIKE_SITE_DIR", site.display().to_string()),
            ("TURNPIKE_PORTAL_LISTEN", format!("127.0.0.1:{}", ports.portal)),
            ("TURNPIKE_GATEWAY_LISTEN", format!("127.0.0.1:{}", ports.gateway)),
            ("TURNPIKE_ADMIN_LISTEN", format!("127.0.0.1:{}", ports.admin)),
        ];
        Self { program, settings }
    }

    /// The same, collecting through the stand-in for Stripe.
    pub fn with_stand_in(mut self, ports: Ports) -> Self {
        self.settings.push(("TURNPIKE_STRIPE_URL", format!("http://127.0.0.1:{}", ports.stripe)));
        self.settings.push(("TURNPIKE_STRIPE_KEY", STRIPE_KEY.to_owned()));
        self.settings.push(("TURNPIKE_STRIPE_WEBHOOK_SECRET", STRIPE_WEBHOOK_SECRET.to_owned()));
        self
    }

    /// The server, which starts its private Postgres and migrates by itself.
    pub fn serve(&self) -> Command {
        self.command(&["serve"])
    }

    /// Sets the installation up as the file says; the answer holds the text of each new key.
    pub fn apply(&self, file: &Path) -> Outcome<Value> {
        let said = process::read(self.command(&["apply", &file.to_string_lossy()]))?;
        serde_json::from_str(&said).map_err(|why| format!("turnpike apply did not answer in JSON: {why}."))
    }

    /// A link that signs an operator in once.
    pub fn operator_link(&self) -> Outcome<String> {
        let said = process::read(self.command(&["operator-link"]))?;
        let link = said.split_whitespace().find(|word| word.starts_with("http"));
        link.map(str::to_owned).ok_or_else(|| "turnpike operator-link printed no link.".to_owned())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = process::program(&self.program.to_string_lossy(), arguments, &workspace::root());
        // Whatever database the shell knows of is not this installation's.
        command.env_remove("DATABASE_URL").envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }
}
