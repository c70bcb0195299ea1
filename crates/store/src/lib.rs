//! The only room with SQL.
//!
//! Owns: the pool, the migrations, every query, and the transactions that keep the tables true to each other.
//! Does not own: HTTP, secrets (it is given hashes), the clock (`now` is an argument), or what usage costs.
//! Always true: a partner's rows are reached through the partner's id, which is the first argument; one public function
//! is one whole transaction; what crosses partners says so in its name.
//! When it fails: [`StoreError::Unavailable`] is Postgres; everything else is an answer for the person who asked.

pub mod directory;
pub mod ingest;
mod billing_periods;
pub mod invoices;
mod ledger;
mod partitions;
mod stripe_events;
mod stripe_objects;
pub mod usage;
mod api_tokens;
mod apps;
mod audit;
mod clock;
mod error;
mod keys;
mod mails;
mod members;
mod operators;
mod page;
mod partners;
mod passwords;
mod plans;
mod pool;
mod products;
mod row;
mod sessions;
mod sign_in;
mod subscriptions;
mod time;
mod tokens;

#[cfg(any(test, feature = "test-db"))]
pub mod test_db;

pub use api_tokens::{ApiToken, NewApiToken, SCOPES};
pub use apps::{App, AppWithKeys, NewApp};
pub use audit::{Actor, AuditEntry};
pub use billing_periods::{Closed, OpenSubscription};
pub use error::StoreError;
pub use invoices::{Invoice, InvoiceLine, InvoiceStatus, NewInvoice, NewInvoiceLine};
pub use ledger::LedgerAccount;
pub use stripe_events::StripeEvent;
pub use stripe_objects::{BillingContact, Parameters, StripeObject};
pub use keys::{Key, KeyState, LONGEST_OVERLAP, NewKey, NewSecret};
pub use mails::{Mail, NewMail};
pub use members::{Invitation, Member, MemberOfPartner, MemberSignIn, NewInvitation, NewMember};
pub use operators::{NewOperator, Operator, OperatorSignIn};
pub use page::Page;
pub use partners::{NewPartner, NewSignUp, Partner, PartnerLine, SignedUp};
pub use plans::{AddedVersion, NewPlan, OfferedPlan, Plan, PlanMeta, PlanVersion};
pub use pool::Store;
pub use products::{NewOperation, NewProduct, Product, ProductLine, VisibleProduct};
pub use sessions::{OwnSession, SessionRow};
pub use subscriptions::{Chosen, PlanRequest, Subscription, SubscriptionStatus};
pub use time::Ts;
pub use tokens::{Account, NewToken};
pub use sqlx::postgres::PgConnectOptions;
