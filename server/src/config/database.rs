//! Where Postgres is.

use super::{Reader, Secret};

/// The database, ours or somebody's.
#[derive(Debug, Clone)]
pub struct Database {
    /// `None`: a private Postgres in the data directory. The URL may hold a password.
    pub url: Option<Secret>,
    pub connections: u32,
}

impl Database {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let url = reader.secret("DATABASE_URL");
        let known =
            |url: &Secret| ["postgres://", "postgresql://"].iter().any(|scheme| url.expose().starts_with(scheme));
        if url.as_ref().is_some_and(|url| !known(url)) {
            reader.problem("DATABASE_URL", "must start with postgres:// or postgresql://");
        }
        Self { url, connections: reader.number("TURNPIKE_DATABASE_CONNECTIONS", 4, 200).unwrap_or(16) }
    }
}
