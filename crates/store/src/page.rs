//! A page of a list, continued from a cursor so that rows which come or go in between move nothing.

use crate::StoreError;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// At most this many rows a page.
const LARGEST: u32 = 200;

/// Where a page of a list by time begins: behind the row of that instant and identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub at: Timestamp,
    pub id: Uuid,
}

impl Place {
    pub fn read(text: &str) -> Result<Self, StoreError> {
        let read = || {
            let (at, id) = text.split_once('.')?;
            Some(Self { at: Timestamp::from_microsecond(at.parse().ok()?).ok()?, id: Uuid::try_parse(id).ok()? })
        };
        read().ok_or_else(|| StoreError::invalid("after", "This is not a page of this list"))
    }

    /// As [`Self::read`] takes it.
    pub fn text(self) -> String {
        format!("{}.{}", self.at.as_microsecond(), self.id.simple())
    }
}

/// Some rows, and how to ask for those after them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// To be given back as `after`; `None` where this is the last page.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// How many rows to ask the database for: one more than the page shows, to know whether another follows.
    pub(crate) fn rows(size: u32) -> i64 {
        i64::from(size.clamp(1, LARGEST)) + 1
    }

    pub(crate) fn cut(mut items: Vec<T>, size: u32, cursor: impl Fn(&T) -> String) -> Self {
        let size = size.clamp(1, LARGEST) as usize;
        let more = items.len() > size;
        items.truncate(size);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}
