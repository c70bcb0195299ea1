//! The binary `turnpike`: configuration, wiring, listeners, background tasks, command line, REST API.
//!
//! Owns: what runs in one process and in which order it starts and stops. Does not own: any rule about partners, plans,
//! calls or money; those are in `domain`, `store`, `billing` and `gateway`, and every handler here is a few lines.
//! Always true: the whole configuration is checked before a port is opened, and only this crate reads a clock.

pub mod api;
pub mod apply;
pub mod cli;
pub mod config;
pub mod data_dir;
pub mod database;
mod documents;
pub mod hooks;
pub mod idempotency;
mod leases;
pub mod logs;
mod new_key;
pub mod portal;
pub mod postgres;
mod priority;
mod product;
pub mod serve;
pub mod tasks;
mod watch;
pub mod webhooks;

#[cfg(test)]
mod test_app;
