//! Billing against a real Postgres and the Stripe stand-in over real TCP.

mod advance;
mod changes;
mod closing;
mod corrections;
mod credit_notes;
mod credit_packages;
mod drift;
mod drift_written;
mod faults;
mod forgotten;
mod guarded_changes;
mod late;
mod late_at_stripe;
mod meters;
mod opening;
mod payment;
mod prepaid;
mod prices;
mod pushing;
mod reconciling;
mod rejected_usage;
mod shop;
mod stranded;
mod tracing;
mod unpaid;
mod webhooks;
