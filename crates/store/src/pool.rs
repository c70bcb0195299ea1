//! The connection pool, and how each connection is set up.

use crate::error::StoreError;
use jiff::SignedDuration;
use sqlx::{
    Connection as _, Executor as _, PgPool, Postgres, Row as _, Transaction,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgConnection, PgPoolOptions, PgRow},
};
use std::{collections::HashMap, io, str::FromStr as _, sync::LazyLock, time::Duration};
use tokio::time::timeout;
use uuid::Uuid;

/// Every migration, compiled in. Those that only a newer binary knows are nothing to stop for: while nodes are brought up to date
/// one by one, the others go on and may restart.
pub(crate) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("../../migrations");
    migrations.set_ignore_missing(true);
    migrations
});

/// Takes on the role of migration 0036 where it is there, has its rights in this database, and is ours to take.
const TAKE_ROLE: &str = "select set_config('role', r.rolname, false) from pg_roles r
     where r.rolname = 'turnpike_runtime'
         -- From 16 on a member may be one that cannot take the role on.
         and case when current_setting('server_version_num')::int >= 160000 then pg_has_role(r.oid, 'set')
             else pg_has_role(r.oid, 'member') end
         and has_table_privilege(r.oid, to_regclass('ledger_unit_entries'), 'insert')";

/// How long Postgres may take for what is quick where it is well: to take a connection, to answer a ping, to end a transaction.
const ANSWERING: Duration = Duration::from_secs(5);
/// A connection that was given back within this time answered then, and is not asked once more before it is used again.
const ANSWERED_JUST_NOW: Duration = Duration::from_millis(100);
/// How long the end waits for queries that are under way.
const CLOSING: Duration = Duration::from_secs(1);

/// How the installation stands, as far as a start has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How far the development clock is ahead, in whole seconds; zero in production.
    pub clock_ahead: SignedDuration,
    /// The version of the directory and its edition.
    pub directory: (i64, Uuid),
}

/// Postgres, as the rest of Turnpike sees it. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// Connects to `url`, failing at once where Postgres does not answer.
    pub async fn connect(url: &str, max_connections: u32) -> Result<Self, StoreError> {
        Self::connect_with(PgConnectOptions::from_str(url)?, max_connections).await
    }

    /// As [`Self::connect`], for a socket directory or other options that a URL says badly.
    pub async fn connect_with(options: PgConnectOptions, max_connections: u32) -> Result<Self, StoreError> {
        Ok(Self { pool: pool_options(max_connections).connect_with(connection(options)).await? })
    }

    /// As [`Self::connect_with`], with all the rights of the database's user: tests break things by hand.
    #[cfg(any(test, feature = "test-db"))]
    pub async fn connect_as_owner(options: PgConnectOptions, max_connections: u32) -> Result<Self, StoreError> {
        Ok(Self { pool: owner_options(max_connections).connect_with(connection(options)).await? })
    }

    /// Connects when it is first used, so that a gateway can start while Postgres is down.
    pub fn lazy(options: PgConnectOptions, max_connections: u32) -> Self {
        Self { pool: pool_options(max_connections).connect_lazy_with(connection(options)) }
    }

    /// Brings the schema up to date. Several servers may do so at once: an advisory lock lets one through.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.connect_alone().await?;
        if is_up_to_date(&mut connection).await? {
            connection.close().await?;
        } else {
            MIGRATIONS.run(&mut connection).await?;
            connection.close().await?;
            // Those that were open before the role was there go on without it.
            while let Some(idle) = self.pool.try_acquire() {
                idle.close().await?;
            }
        }
        self.warn_of_rights().await
    }

    /// What a start asks first, in one question: mostly the answer is that nothing has changed since the last one. `None` where
    /// the schema is not that of this program, and [`Self::migrate`] has to be called.
    pub async fn standing(&self) -> Result<Option<Standing>, StoreError> {
        let mut connection = self.connect_alone().await?;
        let asked = sqlx::query(
            "select version, checksum, success, (select ahead_seconds from clock) as ahead_seconds,
                 (select version from directory_version) as directory, (select edition from directory_version) as edition
             from _sqlx_migrations",
        );
        let rows = match in_time(asked.fetch_all(&mut connection)).await {
            Ok(rows) => rows,
            // A table or a column is not there yet.
            Err(sqlx::Error::Database(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        connection.close().await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let standing = Standing {
            clock_ahead: SignedDuration::from_secs(row.try_get("ahead_seconds")?),
            directory: (row.try_get("directory")?, row.try_get("edition")?),
        };
        Ok(are_ours_there(&rows)?.then_some(standing))
    }

    /// A migration may take longer than a query may, so it gets a connection without our time limits. The pool would also wait
    /// for a Postgres that refuses connections.
    async fn connect_alone(&self) -> Result<PgConnection, StoreError> {
        let options =
            self.pool.connect_options().as_ref().clone().options([("statement_timeout", "0"), ("lock_timeout", "0")]);
        Ok(in_time(PgConnection::connect_with(&options)).await?)
    }

    /// Logs a warning where the database's user could change the ledger.
    pub async fn warn_of_rights(&self) -> Result<(), StoreError> {
        if !self.may_not_change_the_ledger().await? {
            tracing::warn!(
                "the database user works with all of its rights: it could not make or take on the role turnpike_runtime, which has none \
                 to change the ledger. Triggers refuse changes all the same; see the operator guide, \"Credit\""
            );
        }
        Ok(())
    }

    /// Whether a connection of the pool has no right to change or delete what is in the ledger.
    pub async fn may_not_change_the_ledger(&self) -> Result<bool, StoreError> {
        let may = sqlx::query_scalar::<_, bool>(
            "select has_table_privilege('ledger_entries', 'update, delete, truncate')
                 or has_table_privilege('ledger_unit_entries', 'update, delete, truncate')",
        );
        Ok(!may.fetch_one(&self.pool).await?)
    }

    /// Whether Postgres answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        in_time(sqlx::query("select 1").execute(&self.pool)).await?;
        Ok(())
    }

    /// Waits a moment for what is running, then closes every connection.
    pub async fn close(&self) {
        // A Postgres that hangs would keep us here for ever; it finds out when the process ends.
        let _ = timeout(CLOSING, self.pool.close()).await;
    }

    #[cfg(any(test, feature = "test-db"))]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    #[cfg(not(any(test, feature = "test-db")))]
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.pool.begin().await?)
    }

    /// A transaction that reads what was there at one instant.
    pub(crate) async fn one_instant(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.pool.begin_with("begin isolation level repeatable read read only").await?)
    }

    /// As [`Self::one_instant`], with statements that are planned for the values that they are given ([`plan_for_values`]).
    pub(crate) async fn one_planned_instant(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        let begin = "begin isolation level repeatable read read only; set local plan_cache_mode = force_custom_plan";
        Ok(self.pool.begin_with(begin).await?)
    }

    /// As [`Self::one_planned_instant`], for statements of which each takes as long as there are events.
    pub(crate) async fn one_long_instant(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        let begin = "begin isolation level repeatable read read only; set local plan_cache_mode = force_custom_plan;
             set local statement_timeout = '10min'";
        Ok(self.pool.begin_with(begin).await?)
    }
}

/// Statements that follow in the transaction are planned for the values that they are given. A plan for any values has all partitions in
/// it, and is made again, for each connection, whenever one of them comes or goes.
pub(crate) async fn plan_for_values(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute("set local plan_cache_mode = force_custom_plan").await?;
    Ok(())
}

/// Ends that, within the same transaction.
pub(crate) async fn plan_as_usual(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute("set local plan_cache_mode = auto").await?;
    Ok(())
}

/// Whether every migration is there as it is compiled in. Most starts find that: one question then does for the dozen that a run of
/// migrations asks.
async fn is_up_to_date(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let listed = sqlx::query("select version, checksum, success from _sqlx_migrations").fetch_all(connection);
    let rows = match in_time(listed).await {
        Ok(rows) => rows,
        // There is no such list yet.
        Err(sqlx::Error::Database(_)) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    Ok(are_ours_there(&rows)?)
}

/// Whether these rows of the list of migrations have all of ours as they are compiled in.
fn are_ours_there(rows: &[PgRow]) -> Result<bool, sqlx::Error> {
    let mut there = HashMap::with_capacity(rows.len());
    for row in rows {
        if !row.try_get::<bool, _>("success")? {
            return Ok(false);
        }
        there.insert(row.try_get::<i64, _>("version")?, row.try_get::<Vec<u8>, _>("checksum")?);
    }
    Ok(MIGRATIONS.iter().all(|ours| there.get(&ours.version).is_some_and(|checksum| *checksum == *ours.checksum)))
}

fn connection(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("turnpike").options([
        ("TimeZone", "UTC"),
        ("statement_timeout", "30s"),
        ("lock_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "30s"),
        // Postgres guesses the longer queries for usage to be far dearer than they are, and would compile them for seconds.
        ("jit", "off"),
        // Else each ROLLBACK below is answered by a warning that there is nothing to roll back.
        ("client_min_messages", "error"),
    ])
}

fn pool_options(max_connections: u32) -> PgPoolOptions {
    owner_options(max_connections).after_connect(|connection, _| {
        Box::pin(async move {
            connection.execute(TAKE_ROLE).await?;
            Ok(())
        })
    })
}

/// With all the rights of the database's user.
fn owner_options(max_connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ANSWERING)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move { Ok(meta.idle_for < ANSWERED_JUST_NOW || connection.ping().await.is_ok()) })
        })
        // A request that is given up while BEGIN is on its way leaves the connection inside a transaction that
        // sqlx 0.9.0 does not know of; what the next user writes would then never be committed.
        .after_release(|connection, _| {
            Box::pin(async move {
                // Behind a query that was given up because Postgres hangs this waits for its answer. The connection is
                // then closed, or a few such queries would take all that there are.
                in_time(connection.execute("rollback")).await?;
                Ok(true)
            })
        })
}

/// Gives up on a Postgres that does not answer: one that hangs gives no error by itself.
pub(crate) async fn in_time<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(ANSWERING, answer).await.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))
}

#[cfg(test)]
mod tests {
    use super::Store;
    use crate::test_db;
    use sqlx::Executor as _;

    #[tokio::test]
    async fn the_servers_own_role_is_refused_what_would_change_the_ledger_and_makes_partitions_all_the_same() {
        let test = test_db::store().await;
        let store = Store::connect_with(test.options(), 2).await.expect("connected");
        let role: String =
            sqlx::query_scalar("select current_user::text").fetch_one(store.pool()).await.expect("a role");
        assert_eq!(role, "turnpike_runtime");
        assert!(store.may_not_change_the_ledger().await.expect("asked"));
        for table in ["ledger_transactions", "ledger_entries", "ledger_unit_entries"] {
            for statement in [
                format!("update {table} set partner_id = partner_id"),
                format!("delete from {table}"),
                format!("truncate {table} cascade"),
                format!("drop table {table} cascade"),
                format!("alter table {table} disable trigger all"),
                format!("select drop_usage_part('{table}')"),
            ] {
                let refused = store.pool().execute(sqlx::AssertSqlSafe(statement.clone())).await.expect_err("refused");
                let code = refused.as_database_error().and_then(|error| error.code().map(String::from));
                assert_eq!(code.as_deref(), Some("42501"), "{statement}: {refused}");
            }
        }
        let now = test_db::world::now();
        store.make_partitions(now, 1).await.expect("made");
        // The control: the owner is refused by the triggers alone.
        assert!(!test.may_not_change_the_ledger().await.expect("asked"));
        let refused = test.pool().execute("update ledger_entries set account = account").await.expect_err("refused");
        let code = refused.as_database_error().and_then(|error| error.code().map(String::from));
        assert_ne!(code.as_deref(), Some("42501"), "{refused}");
    }

    #[tokio::test]
    async fn a_schema_that_is_not_just_ours_is_no_standing() {
        let test = test_db::store().await;
        let newest = test.directory_edition().await.expect("asked");
        let standing = test.standing().await.expect("asked").expect("it is ours");
        assert_eq!((standing.directory, standing.clock_ahead.as_secs()), (newest, 0));
        for other in [
            "update _sqlx_migrations set success = false where version = 1",
            "update _sqlx_migrations set checksum = '\\x00' where version = 2",
            "delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)",
            "drop table _sqlx_migrations",
        ] {
            let test = test_db::store().await;
            test.pool().execute(sqlx::AssertSqlSafe(other)).await.expect("changed");
            assert_eq!(test.standing().await.expect("asked"), None, "{other}");
        }
        // A newer program's migrations are nothing to stop for.
        let test = test_db::store().await;
        let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (999999, 'newer', true, '\\x00', 0)";
        test.pool().execute(newer).await.expect("changed");
        assert!(test.standing().await.expect("asked").is_some());
    }

    #[tokio::test]
    async fn a_connection_that_comes_back_inside_a_transaction_is_taken_out_of_it() {
        let test = test_db::store().await;
        let store = Store::connect_with(test.options(), 1).await.expect("connected");
        store.pool().acquire().await.expect("the only connection").execute("begin").await.expect("begun");
        sqlx::query("update clock set ahead_seconds = 5").execute(store.pool()).await.expect("updated");
        // Seen by another connection, so it was committed.
        let ahead: i64 =
            sqlx::query_scalar("select ahead_seconds from clock").fetch_one(test.pool()).await.expect("a row");
        assert_eq!(ahead, 5);
    }

    #[tokio::test]
    async fn a_connection_that_postgres_has_ended_meanwhile_is_replaced() {
        let test = test_db::store().await;
        let store = Store::connect_with(test.options(), 1).await.expect("connected");
        let backend: i32 =
            sqlx::query_scalar("select pg_backend_pid()").fetch_one(store.pool()).await.expect("a backend");
        sqlx::query("select pg_terminate_backend($1)").bind(backend).execute(test.pool()).await.expect("ended");
        tokio::time::sleep(super::ANSWERED_JUST_NOW * 2).await;
        store.ping().await.expect("answers");
    }

    #[tokio::test]
    async fn every_connection_has_time_limits_and_utc() {
        let store = test_db::store().await;
        for (setting, expected) in
            [("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "30s"), ("TimeZone", "UTC")]
        {
            let value: String = sqlx::query_scalar("select current_setting($1)")
                .bind(setting)
                .fetch_one(store.pool())
                .await
                .expect("a setting");
            assert_eq!(value, expected, "{setting}");
        }
    }

    #[tokio::test]
    async fn servers_that_start_together_migrate_once() {
        let store = test_db::store().await;
        let (one, two) = tokio::join!(store.migrate(), store.migrate());
        one.expect("migrated");
        two.expect("migrated");
        store.ping().await.expect("answers");
    }

    #[tokio::test]
    async fn a_lazy_store_is_made_while_postgres_is_down_and_says_that_it_is() {
        let test = test_db::store().await;
        let nowhere = test.options().socket("/nonexistent");
        let store = Store::lazy(nowhere, 1);
        assert!(matches!(store.ping().await, Err(crate::StoreError::Unavailable(_))));
    }
}
