//! Pure meaning: what Turnpike's words are, and what follows from them.
//!
//! Owns: identifiers, money, billing periods, key texts, roles, products, plans, limits, quotas, refusals, price models
//! and rating, the usage event, OpenAPI documents. Does not own: storage, HTTP, time (`now` is always an argument).
//! Always true: nothing here does I/O or panics on input, and everything compiles for the browser.

pub mod allowance;
pub mod correction;
pub mod credit;
pub mod directory;
pub mod dunning;
pub mod id;
pub mod idempotency;
pub mod key_bounds;
pub mod key_text;
pub mod limit;
pub mod money;
pub mod network;
pub mod openapi;
pub mod period;
pub mod plan;
pub mod plan_change;
pub mod plan_move;
pub mod policy;
pub mod product;
pub mod quota;
pub mod rating;
pub mod refusal;
pub mod revenue;
pub mod role;
pub mod scope;
pub mod setup;
pub mod usage;
