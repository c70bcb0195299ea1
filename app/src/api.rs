//! Server functions: one file per noun, one function per form. Each is short: who, what was typed, one call, the answer.
//!
//! Forms post to `/do/<noun>/<verb>`. The answer is a redirect with a flash (see `form`), so no function here ever
//! sends an error's text to the browser through an address.

pub mod accounts;
pub mod apps;
pub mod console;
pub mod corrections;
pub mod coupons;
pub mod credit;
pub mod credit_allocations;
pub mod credit_notes;
pub mod credit_packages;
pub mod credit_top_up;
pub mod deliveries;
pub mod disputes;
pub mod dunning;
pub mod hooks;
pub mod identities;
pub mod invoice_thresholds;
pub mod keys;
pub mod members;
pub mod operators;
pub mod payment;
pub mod plan;
pub mod plan_moves;
pub mod plans;
pub mod policies;
pub mod products;
pub mod reconciliation;
pub mod settings;
pub mod stripe_drift;
pub mod stripe_events;
pub mod theme;
pub mod tokens;
pub mod try_it;
pub mod unknown_requests;
