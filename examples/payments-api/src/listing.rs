//! Lists in pages: the newest first, the next page by a cursor.

use crate::{problem::Problem, state::Shelf};
use serde::{Deserialize, Serialize};

const MOST: usize = 100;
const USUAL: usize = 20;

/// What a caller may ask of a list.
#[derive(Debug, Deserialize)]
pub struct PageQuery {
    limit: Option<String>,
    cursor: Option<String>,
    pub status: Option<String>,
    pub customer: Option<String>,
}

/// One page.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    data: Vec<T>,
    has_more: bool,
    next_cursor: Option<String>,
}

impl PageQuery {
    /// The page of those that are `wanted`.
    pub fn page<T: Clone>(&self, shelf: &Shelf<T>, wanted: impl Fn(&T) -> bool) -> Result<Page<T>, Problem> {
        let limit = match &self.limit {
            None => USUAL,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MOST).contains(limit))
                .ok_or_else(|| Problem::bad_request(format!("limit is a whole number from 1 to {MOST}.")))?,
        };
        let cursor = self.cursor.as_deref();
        if cursor.is_some_and(|cursor| cursor.len() > 40) {
            return Err(Problem::bad_request("cursor is the next_cursor of an earlier page."));
        }
        let mut found: Vec<(&String, &T)> =
            shelf.newest_before(cursor).filter(|(_, thing)| wanted(thing)).take(limit + 1).collect();
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next_cursor = if has_more { found.last().map(|(id, _)| (*id).clone()) } else { None };
        Ok(Page { data: found.into_iter().map(|(_, thing)| thing.clone()).collect(), has_more, next_cursor })
    }
}
