//! A stand-in for Stripe: the part of its API that Turnpike uses, stateful, with a clock that can be moved.
//!
//! Owns: customers, invoice items, invoices, billing meters and their events, API events and signed webhooks, idempotency
//! keys and identifiers that are forgotten after 24 hours of its own clock, limits, and faults on demand. Subscriptions are billed at the
//! ends of their periods by their prices (`rating`), in exact arithmetic of its own. Taxes are one rate ([`Tax`]). Does not own: cards. Always true: it answers as Stripe documents, refuses parameters that it does not know, and
//! is checked by Stripe's own client library (see `referee/`). It is test code: nothing is kept when it stops.

mod account;
mod answers;
mod calendar;
mod charges;
mod control;
mod credit_notes;
mod customers;
mod cycles;
mod events;
mod failure;
mod faults;
mod idempotency;
mod invoice_items;
mod invoices;
mod limits;
mod list;
mod meter_events;
mod meter_stream;
mod meters;
mod params;
mod payments;
mod prices;
mod products;
mod rating;
mod serve;
mod sessions;
mod subscriptions;
mod tax;
mod webhooks;

pub use events::instant;
pub use faults::Faults;
pub use rating::Rounding;
pub use serve::{Options, StandIn};
pub use tax::Tax;
pub use webhooks::signature;
