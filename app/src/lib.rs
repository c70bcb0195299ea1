//! The portal and the console: pages, components and the server functions behind their forms.
//!
//! Owns: what people see and send. Does not own: rules (domain), rows (store), money (billing), sockets (server).
//! Always true: a page is rendered on the server and works without JavaScript; only what stands under `islands` and
//! `components` with `#[island]` reaches the browser; every page and server function is in [`access`]'s list, and what is
//! not in the list is refused.
#![recursion_limit = "512"]

pub mod api;
pub mod components;
pub mod islands;

#[cfg(feature = "ssr")]
pub mod access;
#[cfg(feature = "ssr")]
pub mod bill;
#[cfg(feature = "ssr")]
pub mod client;
#[cfg(feature = "ssr")]
pub mod dispute_letters;
#[cfg(feature = "ssr")]
pub mod docs;
#[cfg(feature = "ssr")]
pub mod drafts;
#[cfg(feature = "ssr")]
pub mod flash;
#[cfg(feature = "ssr")]
pub mod form;
#[cfg(feature = "ssr")]
pub mod frames;
#[cfg(feature = "ssr")]
pub mod hooks;
#[cfg(feature = "ssr")]
pub mod mail;
#[cfg(feature = "ssr")]
pub mod page;
#[cfg(feature = "ssr")]
pub mod pages;
#[cfg(feature = "ssr")]
pub mod passwords;
#[cfg(feature = "ssr")]
pub mod payment;
#[cfg(feature = "ssr")]
pub mod payment_letters;
#[cfg(feature = "ssr")]
pub mod plan_letters;
#[cfg(feature = "ssr")]
pub mod quotes;
#[cfg(feature = "ssr")]
pub mod reconciliation;
#[cfg(feature = "ssr")]
pub mod routes;
#[cfg(feature = "ssr")]
pub mod same_time;
#[cfg(feature = "ssr")]
pub mod secrets;
#[cfg(feature = "ssr")]
pub mod session;
#[cfg(feature = "ssr")]
pub mod shell;
#[cfg(feature = "ssr")]
pub mod state;
#[cfg(feature = "ssr")]
pub mod throttle;
#[cfg(feature = "ssr")]
pub mod try_it;
#[cfg(feature = "ssr")]
pub mod unpaid_letters;
#[cfg(feature = "ssr")]
pub mod viewer;
