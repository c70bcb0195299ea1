//! One change in Postgres, as the portal or an operator would make it, and the call by which one sees that it is in force.

use crate::{
    Trouble,
    fill::new_key,
    process::processor_ms,
    world::{World, get_status},
};
use std::time::{Duration, Instant};
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(60);

/// What is changed.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    RevokeKey,
    CreateKey,
    /// A partner goes to a plan that opens more, or back.
    MovePartner,
    /// An operation asks for a feature that no plan opens, or no longer.
    ChangePolicy,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::RevokeKey, Self::CreateKey, Self::MovePartner, Self::ChangePolicy];

    pub const fn describe(self) -> &'static str {
        match self {
            Self::RevokeKey => "a key revoked",
            Self::CreateKey => "a key created",
            Self::MovePartner => "a partner moved to another plan",
            Self::ChangePolicy => "a product's policy changed",
        }
    }
}

/// What a change took.
pub struct Took {
    /// From the commit to the first call that it decided.
    pub in_force: Duration,
    /// CPU of the server until then and a second longer, whatever else it did meanwhile.
    pub cpu_ms: u64,
}

/// Makes changes.
pub struct Changer {
    /// Keys that nobody else uses, each with its code.
    pub spare: Vec<(String, String)>,
    /// A product of the crowd that nobody else calls, and a key that may.
    pub quiet: (u64, String),
    /// How many were made.
    pub made: u64,
    /// Restarts the server where it should have read the change.
    pub control: bool,
}

/// A change before it is made.
struct Planned {
    sql: String,
    path: String,
    key: String,
    /// Before it and after it.
    statuses: (u16, u16),
}

impl Changer {
    /// Makes one and waits until it is in force.
    pub async fn make(&mut self, world: &mut World, kind: Kind) -> Result<Took, Trouble> {
        let Planned { sql, path, key, statuses: (before, after) } = self.plan(world, kind)?;
        self.made += 1;
        let header = format!("X-API-Key: {key}\r\nX-Request-Id: changed\r\n");
        let status = get_status(world.gateway_port(), &path, &header).await;
        if status != Some(before) {
            return Err(format!("before {}: {status:?}, not {before}", kind.describe()).into());
        }
        let cpu = processor_ms(world.pid());
        world.psql(&sql)?;
        let began = Instant::now();
        if self.control {
            world.kill()?;
            world.start_again().await?;
        }
        while get_status(world.gateway_port(), &path, &header).await != Some(after) {
            if began.elapsed() > PATIENCE {
                return Err(format!("{} was not in force after a minute", kind.describe()).into());
            }
            sleep(Duration::from_millis(10)).await;
        }
        let in_force = began.elapsed();
        // Until the last directory has been written to disk.
        sleep(Duration::from_secs(1)).await;
        Ok(Took { in_force, cpu_ms: processor_ms(world.pid()).saturating_sub(cpu) })
    }

    fn plan(&mut self, world: &World, kind: Kind) -> Result<Planned, Trouble> {
        let turn = self.made / Kind::ALL.len() as u64 % 2;
        let path = "/crowd-1/payments".to_owned();
        Ok(match kind {
            Kind::RevokeKey => {
                let (key, code) = self.spare.pop().ok_or("there are too few keys for so many changes")?;
                let sql = format!("update keys set revoked_at = now() where code = '{code}'");
                Planned { sql, path, key, statuses: (200, 401) }
            }
            Kind::CreateKey => {
                let (key, hash) = new_key(&world.data_dir(), u64::MAX - self.made)?;
                let sql = format!(
                    "insert into keys select new.* from keys there cross join lateral jsonb_populate_record(there, \
                     jsonb_build_object('id', gen_random_uuid(), 'code', 'made-{}', 'hash', '\\x{hash}')) new \
                     where there.code = 'crowd-1'",
                    self.made
                );
                Planned { sql, path, key, statuses: (401, 200) }
            }
            Kind::MovePartner => {
                let (order, statuses) = if turn == 0 { ("desc", (403, 200)) } else { ("asc", (200, 403)) };
                let sql = format!(
                    "update subscriptions set plan_version_id = (select id from plan_versions order by version {order} limit 1) \
                     where partner_id = (select id from partners where code = 'load')"
                );
                Planned { sql, path, key: world.key().to_owned(), statuses }
            }
            Kind::ChangePolicy => {
                let gate = r#"{"operations": {"listPayments": {"gates": [{"feature": "gold"}]}}}"#;
                let (policy, statuses) = if turn == 0 { (gate, (200, 403)) } else { ("{}", (403, 200)) };
                let (product, key) = &self.quiet;
                let sql = format!("update products set policy = '{policy}' where code = 'crowd-{product}'");
                Planned { sql, path: format!("/crowd-{product}/payments"), key: key.clone(), statuses }
            }
        })
    }
}
