//! Lists, followed to their end.

use super::{StripeError, transport::Stripe};
use serde::{Deserialize, de::DeserializeOwned};

/// No list that is taken whole is longer than this many pages of a hundred.
const MOST_PAGES: u32 = 200;

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    #[serde(default)]
    has_more: bool,
}

fn endless() -> StripeError {
    StripeError::Unreadable("a list does not end".to_owned())
}

/// What has an id to continue from.
pub(super) trait Listed {
    fn id(&self) -> &str;
}

impl Stripe {
    /// Every object of the list, newest first.
    pub(super) async fn list<T: DeserializeOwned + Listed>(
        &self,
        path: &str,
        filter: &[(&str, &str)],
    ) -> Result<Vec<T>, StripeError> {
        let mut all: Vec<T> = Vec::new();
        for _ in 0..MOST_PAGES {
            let after = all.last().map(|last| last.id().to_owned());
            let (page, more) = self.page(path, filter, after.as_deref()).await?;
            all.extend(page);
            if !more {
                return Ok(all);
            }
        }
        Err(endless())
    }

    /// Up to a hundred objects of the list that come after one of it, newest first, and whether there are more.
    pub(super) async fn page<T: DeserializeOwned + Listed>(
        &self,
        path: &str,
        filter: &[(&str, &str)],
        after: Option<&str>,
    ) -> Result<(Vec<T>, bool), StripeError> {
        let mut query = filter.to_vec();
        query.push(("limit", "100"));
        if let Some(after) = after {
            query.push(("starting_after", after));
        }
        let page: Page<T> = self.get(path, &query).await?;
        let more = page.has_more && !page.data.is_empty();
        // What comes after it cannot begin or end with it.
        if more && page.data.iter().any(|one| Some(one.id()) == after) {
            return Err(endless());
        }
        Ok((page.data, more))
    }

    /// The first page of a search.
    pub(super) async fn search<T: DeserializeOwned>(&self, path: &str, query: &str) -> Result<Vec<T>, StripeError> {
        let page: Page<T> = self.get(path, &[("query", query), ("limit", "100")]).await?;
        Ok(page.data)
    }
}
