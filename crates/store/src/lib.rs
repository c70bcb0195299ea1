//! The only room with SQL.
//!
//! Owns: the pool, the migrations, every query, and the transactions that keep the tables true to each other.
//! Does not own: HTTP, secrets (it is given hashes), the clock (`now` is an argument), or what usage costs.
//! Always true: a partner's rows are reached through the partner's id, which is the first argument; one public function
//! is one whole transaction; what crosses partners says so in its name.
//! When it fails: [`StoreError::Unavailable`] is Postgres; everything else is an answer for the person who asked.

mod error;
mod pool;
mod row;
mod time;

#[cfg(any(test, feature = "test-db"))]
pub mod test_db;

pub use error::StoreError;
pub use pool::Store;
pub use time::Ts;
