//! OpenAPI documents from the outside: what is read, refused, filtered, shown and sampled.

mod display;
mod filter;
mod idempotency;
mod mutations;
mod problems;
mod public;
mod reading;
mod samples;
mod setup_example;
