//! Which Postgres: the configured one, or a private one in the data directory.

use crate::{
    cli::CommandError,
    config::Config,
    data_dir::DataDir,
    postgres::{Private, PrivateError},
};
use store::{PgConnectOptions, Store};

/// The store, and the private Postgres behind it where there is one.
pub struct Database {
    pub store: Store,
    private: Option<Private>,
}

impl Database {
    /// For the server: starts and owns the private Postgres. Nothing is connected yet, so that a gateway can start while
    /// a configured Postgres is down.
    ///
    /// # Errors
    /// The private Postgres does not start, or the URL cannot be read.
    pub async fn start(config: &Config, data: &DataDir) -> Result<Self, CommandError> {
        Self::open(config, Private::start(data.path())).await
    }

    /// For a command: uses the private Postgres of a running server, or starts it for as long as the command runs.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn attach(config: &Config, data: &DataDir) -> Result<Self, CommandError> {
        Self::open(config, Private::attach(data.path())).await
    }

    async fn open(
        config: &Config,
        private: impl Future<Output = Result<Private, PrivateError>>,
    ) -> Result<Self, CommandError> {
        let (url, private) = match &config.database.url {
            Some(url) => (url.expose().to_owned(), None),
            None => {
                let private = private.await?;
                (private.url(), Some(private))
            }
        };
        // The parser's error may quote the URL, which holds a password.
        let options: PgConnectOptions = url.parse().map_err(|_| "DATABASE_URL is not a Postgres address")?;
        Ok(Self { store: Store::lazy(options, config.database.connections), private })
    }

    /// Closes the connections, then stops a private Postgres that this process started.
    pub async fn close(self) {
        self.store.close().await;
        if let Some(private) = self.private
            && let Err(error) = private.stop().await
        {
            tracing::warn!(%error, "the private Postgres did not stop; the next start takes it over");
        }
    }
}
