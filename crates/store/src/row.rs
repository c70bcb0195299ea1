//! Reading columns as the domain's types.

use crate::time::Ts;
use jiff::Timestamp;
use sqlx::{Row, postgres::PgRow};
use std::{error::Error, str::FromStr};

/// What [`PgRow`] does not do by itself.
pub(crate) trait ReadRow {
    fn at(&self, column: &str) -> Result<Timestamp, sqlx::Error>;
    fn at_if_any(&self, column: &str) -> Result<Option<Timestamp>, sqlx::Error>;
    /// A text column that holds one of an enum's codes.
    fn parsed<T>(&self, column: &str) -> Result<T, sqlx::Error>
    where
        T: FromStr,
        T::Err: Into<Box<dyn Error + Send + Sync>>;
    /// A 32-byte hash.
    fn hash(&self, column: &str) -> Result<[u8; 32], sqlx::Error>;
    /// A count or size that is never negative.
    fn count(&self, column: &str) -> Result<u64, sqlx::Error>;
    /// Which of the things that were asked about the row is about, from zero on. The column counts from one, as `with ordinality` does.
    fn place(&self, column: &str) -> Result<usize, sqlx::Error>;
}

impl ReadRow for PgRow {
    fn at(&self, column: &str) -> Result<Timestamp, sqlx::Error> {
        self.try_get::<Ts, _>(column).map(|at| at.0)
    }

    fn at_if_any(&self, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
        self.try_get::<Option<Ts>, _>(column).map(|at| at.map(|at| at.0))
    }

    fn parsed<T>(&self, column: &str) -> Result<T, sqlx::Error>
    where
        T: FromStr,
        T::Err: Into<Box<dyn Error + Send + Sync>>,
    {
        let text: &str = self.try_get(column)?;
        text.parse().map_err(|error: T::Err| unreadable(column, error))
    }

    fn hash(&self, column: &str) -> Result<[u8; 32], sqlx::Error> {
        let bytes: &[u8] = self.try_get(column)?;
        bytes.try_into().map_err(|error| unreadable(column, error))
    }

    fn count(&self, column: &str) -> Result<u64, sqlx::Error> {
        let count: i64 = self.try_get(column)?;
        u64::try_from(count).map_err(|error| unreadable(column, error))
    }

    fn place(&self, column: &str) -> Result<usize, sqlx::Error> {
        let ordinal: i64 = self.try_get(column)?;
        usize::try_from(ordinal.saturating_sub(1)).map_err(|error| unreadable(column, error))
    }
}

/// The database holds what the domain cannot read.
pub(crate) fn unreadable(column: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: source.into() }
}
