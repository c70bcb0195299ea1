//! The Date of our answers, written out once for all that leave within the same fifth of a second.

use std::{cell::Cell, time::SystemTime};

/// The form of RFC 9110, 5.6.7.
pub(super) const LENGTH: usize = 29;

/// What the time was at the core's last tick.
#[derive(Debug)]
pub(crate) struct Date(Cell<[u8; LENGTH]>);

impl Date {
    pub(in super::super) fn now() -> Self {
        Self(Cell::new(text()))
    }

    pub(in super::super) fn tick(&self) {
        self.0.set(text());
    }

    pub(super) const fn text(&self) -> [u8; LENGTH] {
        self.0.get()
    }
}

fn text() -> [u8; LENGTH] {
    let text = httpdate::fmt_http_date(SystemTime::now());
    text.as_bytes().try_into().unwrap_or(*b"Thu, 01 Jan 1970 00:00:00 GMT")
}
