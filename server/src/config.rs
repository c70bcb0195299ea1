//! What an installation can decide: one struct per concern, from the environment and one optional TOML file.
//!
//! All of it is read and checked before anything is started, and all problems are told at once. What can be set is one
//! table ([`variable::VARIABLES`]); `turnpike serve --help` prints that table.

pub mod billing;
pub mod database;
pub mod gateway;
pub mod listen;
pub mod logs;
pub mod mail;
pub mod read;
pub mod secret;
pub mod usage;
pub mod variable;
pub mod watch;

pub use billing::{InvoiceWebhook, Stripe};
pub use database::Database;
pub use gateway::{Durability, Gateway, LeaseCheck, SpoolFull};
pub use listen::Listen;
pub use logs::{LogFormat, Logs};
pub use mail::{Mail, Smtp, SmtpTls};
pub use read::{Problem, Reader};
pub use secret::Secret;
pub use watch::{CallLog, Watch};

use app::state::InvoiceSink;
use jiff::SignedDuration;
use std::path::{Path, PathBuf};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Portal, gateway and background tasks.
    All,
    /// The gateway, and what it needs: its usage is shipped, its directory followed, its leases tended.
    Gateway,
    /// Pages, the REST API and webhooks, and what is done once for the installation; no call is served.
    Portal,
}

impl Role {
    const NAMES: [(&str, Self); 3] = [("all", Self::All), ("gateway", Self::Gateway), ("portal", Self::Portal)];

    /// As it is configured.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Gateway => "gateway",
            Self::Portal => "portal",
        }
    }
}

/// Everything, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub role: Role,
    pub listen: Listen,
    pub database: Database,
    /// Where this node keeps its spool, its last directory and, where it owns one, its Postgres.
    pub data_dir: PathBuf,
    /// The installation's master secret; `None` in development, where one is made in the data directory.
    pub master: Option<[u8; 32]>,
    pub mail: Mail,
    /// Where invoices go.
    pub invoice_sink: InvoiceSink,
    /// Where a key is set. Where invoices go elsewhere, what Stripe has taken is still seen to its end.
    pub stripe: Option<Stripe>,
    /// Only where they go there.
    pub invoice_webhook: Option<InvoiceWebhook>,
    pub gateway: Gateway,
    pub logs: Logs,
    pub watch: Watch,
    /// How long stored usage is kept.
    pub kept: store::Kept,
    /// How many days before prepaid credit expires its partner is told; zero tells nobody.
    pub credit_notice_days: u32,
    /// How far from the public internet receivers of usage events may be.
    pub hook_reach: ::gateway::Reach,
    /// Whether it takes two operators to correct usage.
    pub four_eyes: bool,
    /// How long after its end a period's invoice waits for usage that comes late.
    pub closing_grace: SignedDuration,
    /// The test clock, the dev inbox and a self-made secret. Never on a machine with real partners.
    pub development: bool,
    /// The folder with the portal's style sheets and scripts; `None` takes those beside the binary.
    pub site_dir: Option<PathBuf>,
}

impl Config {
    /// Reads the process's environment and, where one is named, the file.
    ///
    /// # Errors
    /// All problems, each naming its variable and what to do.
    pub fn load(file: Option<&Path>) -> Result<Self, Vec<Problem>> {
        Self::read(Reader::new(file, |name| std::env::var(name).ok())?)
    }

    /// Takes every variable out of the reader.
    ///
    /// # Errors
    /// All problems, each naming its variable and what to do.
    pub fn read(mut reader: Reader) -> Result<Self, Vec<Problem>> {
        let development = reader.flag("TURNPIKE_DEVELOPMENT");
        let role = reader.choice("TURNPIKE_ROLE", &Role::NAMES, Role::All);
        let billing::Billing { sink: invoice_sink, stripe, webhook: invoice_webhook } =
            billing::Billing::read(&mut reader);
        let closing_grace = usage::read_closing_grace(&mut reader, development, (invoice_sink, stripe.as_ref()));
        let config = Self {
            role,
            listen: Listen::read(&mut reader),
            database: Database::read(&mut reader),
            data_dir: reader.path("TURNPIKE_DATA_DIR").unwrap_or_else(|| default_data_dir(&reader)),
            master: secret::read_master(&mut reader, development),
            mail: Mail::read(&mut reader),
            invoice_sink,
            stripe,
            invoice_webhook,
            gateway: Gateway::read(&mut reader, development),
            logs: Logs::read(&mut reader),
            watch: Watch::read(&mut reader),
            kept: usage::read(&mut reader),
            credit_notice_days: usage::read_credit_notice(&mut reader),
            hook_reach: usage::read_hook_reach(&mut reader),
            four_eyes: reader.flag("TURNPIKE_FOUR_EYES"),
            closing_grace,
            development,
            site_dir: reader.path("TURNPIKE_SITE_DIR"),
        };
        if role != Role::All && config.database.url.is_none() {
            reader.problem("DATABASE_URL", "a process that is a part of several needs the Postgres that they share");
        }
        reader.finish().map(|()| config)
    }
}

fn default_data_dir(reader: &Reader) -> PathBuf {
    let from = |name: &str| reader.environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    from("XDG_DATA_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".local/share")))
        .unwrap_or_else(|| PathBuf::from("/var/lib"))
        .join("turnpike")
}

#[cfg(test)]
mod tests;
