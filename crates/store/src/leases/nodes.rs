//! Which gateways there are, and what each holds.

use crate::{Store, StoreError, row::ReadRow as _, time::Ts};
use jiff::Timestamp;
use sqlx::Row as _;

use super::ALIVE;

/// A gateway, and what it holds of units that it has not spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayNode {
    pub node: String,
    /// When it last said that it runs, in real time; `None` where it never did or was forgotten.
    pub seen_at: Option<Timestamp>,
    pub quota: HeldByNode,
    pub credit: HeldByNode,
}

/// Of one kind of allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeldByNode {
    pub partners: u64,
    pub units: u64,
}

impl Store {
    /// Says that the node runs, and how many nodes do. `now` is real time.
    pub async fn heartbeat(&self, node: &str, now: Timestamp) -> Result<u64, StoreError> {
        let row = sqlx::query(
            "with mine as (
                 insert into gateway_nodes as held (node, started_at, seen_at) values ($1, $2, $2)
                 on conflict (node) do update set seen_at = excluded.seen_at
             )
             select 1 + count(*) as nodes from gateway_nodes where node <> $1 and seen_at > $3",
        )
        .bind(node)
        .bind(Ts(now))
        .bind(Ts(now - ALIVE))
        .fetch_one(self.pool())
        .await?;
        Ok(row.count("nodes")?)
    }

    /// Says that the node has ended as it should: the others no longer share with it.
    pub async fn sign_off(&self, node: &str) -> Result<(), StoreError> {
        sqlx::query("delete from gateway_nodes where node = $1").bind(node).execute(self.pool()).await?;
        Ok(())
    }

    /// All nodes that run or hold units, by name.
    pub async fn gateway_nodes(&self) -> Result<Vec<GatewayNode>, StoreError> {
        let rows = sqlx::query(
            "select node, n.seen_at,
                 count(*) filter (where kind = 'quota' and granted > spent) as quota_partners,
                 coalesce(sum(granted - spent) filter (where kind = 'quota'), 0)::bigint as quota_units,
                 count(*) filter (where kind = 'credit' and granted > spent) as credit_partners,
                 coalesce(sum(granted - spent) filter (where kind = 'credit'), 0)::bigint as credit_units
             from gateway_nodes n full join (select * from allowance_leases where granted > spent) as l using (node)
             group by node, n.seen_at order by node",
        )
        .fetch_all(self.pool())
        .await?;
        let node = |row: &sqlx::postgres::PgRow| {
            Ok(GatewayNode {
                node: row.try_get("node")?,
                seen_at: row.at_if_any("seen_at")?,
                quota: HeldByNode { partners: row.count("quota_partners")?, units: row.count("quota_units")? },
                credit: HeldByNode { partners: row.count("credit_partners")?, units: row.count("credit_units")? },
            })
        };
        Ok(rows.iter().map(node).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Gives back what the node was granted and, by its stored events, did not spend; how many units. The node must have
    /// ended: one that runs would go on to spend them.
    pub async fn release_node(&self, node: &str) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query("select release_leases($1) as units").bind(node).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        Ok(row.count("units")?)
    }
}
