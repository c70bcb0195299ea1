//! The connection pool, and how each connection is set up.

use crate::error::StoreError;
use sqlx::{
    Connection as _, Executor as _, PgPool, Postgres, Transaction,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgConnection, PgPoolOptions},
};
use std::{str::FromStr as _, time::Duration};

/// Every migration, compiled in.
pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

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

    /// Connects when it is first used, so that a gateway can start while Postgres is down.
    pub fn lazy(options: PgConnectOptions, max_connections: u32) -> Self {
        Self { pool: pool_options(max_connections).connect_lazy_with(connection(options)) }
    }

    /// Brings the schema up to date. Several servers may do so at once: an advisory lock lets one through.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // A migration may take longer than a query may, so it gets a connection without our time limits.
        let options = self.pool.connect_options().as_ref().clone().options([("statement_timeout", "0")]);
        let mut connection = PgConnection::connect_with(&options).await?;
        MIGRATIONS.run(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }

    /// Whether Postgres answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("select 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Waits for what is running, then closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
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
}

fn connection(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("turnpike").options([
        ("TimeZone", "UTC"),
        ("statement_timeout", "30s"),
        ("lock_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "30s"),
        // Else each ROLLBACK below is answered by a warning that there is nothing to roll back.
        ("client_min_messages", "error"),
    ])
}

fn pool_options(max_connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(Duration::from_secs(5))
        // A request that is given up while BEGIN is on its way leaves the connection inside a transaction that sqlx 0.9.0
        // does not know of; the next user would then commit into the void.
        .after_release(|connection, _| {
            Box::pin(async move {
                connection.execute("rollback").await?;
                Ok(true)
            })
        })
}
