//! The only room with SQL.
//!
//! Owns: the pool, the migrations, every query, and the transactions that keep the tables true to each other.
//! Does not own: HTTP, secrets (it is given hashes), the clock (`now` is an argument), or what usage costs.
//! Always true: a partner's rows are reached through the partner's id, which is the first argument; one public function
//! is one whole transaction; what crosses partners says so in its name.
//! When it fails: [`StoreError::Unavailable`] is Postgres; everything else is an answer for the person who asked.

pub mod directory;
pub mod ingest;
mod partitions;
pub mod usage;
mod apps;
mod audit;
mod error;
mod keys;
mod mails;
mod members;
mod page;
mod partners;
mod passwords;
mod pool;
mod row;
mod sessions;
mod sign_in;
mod time;
mod tokens;

#[cfg(any(test, feature = "test-db"))]
pub mod test_db;

pub use apps::{App, AppWithKeys, NewApp};
pub use audit::{Actor, AuditEntry};
pub use error::StoreError;
pub use keys::{Key, KeyState, LONGEST_OVERLAP, NewKey, NewSecret};
pub use mails::{Mail, NewMail};
pub use members::{Invitation, Member, MemberOfPartner, MemberSignIn, NewInvitation, NewMember};
pub use page::Page;
pub use partners::{NewPartner, NewSignUp, Partner, PartnerLine, SignedUp};
pub use pool::Store;
pub use sessions::{OwnSession, SessionRow};
pub use time::Ts;
pub use tokens::{Account, NewToken};
