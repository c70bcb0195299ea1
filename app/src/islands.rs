//! What runs in the browser: one file per island. Everything else is rendered on the server.

pub mod calculator;
mod early;
pub mod try_it;
