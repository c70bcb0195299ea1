//! The directory: who may call what, read as one picture, and told apart by its version.

use crate::{Store, StoreError};
use domain::directory::{Changes, Directory};
use sqlx::{Postgres, Transaction, postgres::PgListener};
use uuid::Uuid;

mod changes;
mod read;

use changes::Changed;
use read::Which;

/// Tells when the directory changed. It holds a connection of its own and comes back by itself when that breaks.
pub struct DirectoryListener {
    listener: PgListener,
}

impl Store {
    /// The whole directory at one instant.
    ///
    /// Archived products are left out, removed operations are marked; a key of an archived app counts as revoked when the app was archived.
    pub async fn load_directory(&self) -> Result<Directory, StoreError> {
        let mut tx = self.one_instant().await?;
        let newest = newest(&mut tx).await?;
        let directory = read::directory(&mut tx, newest, &Which::ALL).await?;
        tx.commit().await?;
        Ok(directory)
    }

    /// What has changed since that version, at one instant: applied to the directory of that version it gives what
    /// [`Self::load_directory`] would.
    ///
    /// `None` where only the whole tells: too much has changed, or the list of changes does not reach back that far or has a gap.
    pub async fn directory_changes(&self, since: i64) -> Result<Option<Changes>, StoreError> {
        let mut tx = self.one_instant().await?;
        let newest = newest(&mut tx).await?;
        let Some(changed) = Changed::list(&mut tx, since, newest.0).await? else { return Ok(None) };
        let found = read::directory(&mut tx, newest, &changed.which()).await?;
        tx.commit().await?;
        Ok(Some(changed.into_changes(since, found)))
    }

    /// The version alone, to see whether [`Self::load_directory`] would bring anything new.
    pub async fn directory_version(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar("select version from directory_version").fetch_one(self.pool()).await?)
    }

    /// The version and its edition ([`Directory::edition`]).
    pub async fn directory_edition(&self) -> Result<(i64, Uuid), StoreError> {
        Ok(sqlx::query_as(NEWEST).fetch_one(self.pool()).await?)
    }

    /// Listens for changes. A notice can be lost while the connection is down, so poll the version as well.
    pub async fn listen_directory(&self) -> Result<DirectoryListener, StoreError> {
        let mut listener = PgListener::connect_with(self.pool()).await?;
        listener.listen("directory").await?;
        Ok(DirectoryListener { listener })
    }
}

impl DirectoryListener {
    /// Returns when the directory has changed, or when the connection was lost and a change may have been missed.
    pub async fn changed(&mut self) -> Result<(), StoreError> {
        self.listener.try_recv().await?;
        Ok(())
    }
}

const NEWEST: &str = "select version, edition from directory_version";

async fn newest(tx: &mut Transaction<'static, Postgres>) -> Result<(i64, Uuid), StoreError> {
    Ok(sqlx::query_as(NEWEST).fetch_one(&mut **tx).await?)
}

#[cfg(test)]
mod incremental_tests;
#[cfg(test)]
mod tests;
