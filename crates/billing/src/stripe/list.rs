//! Lists, followed to their end.

use super::{StripeError, transport::Stripe};
use serde::{Deserialize, de::DeserializeOwned};

/// No list of ours is longer than this many pages of a hundred.
const MOST_PAGES: u32 = 200;

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    #[serde(default)]
    has_more: bool,
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
            let mut query = filter.to_vec();
            query.push(("limit", "100"));
            let after = all.last().map(|last| last.id().to_owned());
            if let Some(after) = &after {
                query.push(("starting_after", after));
            }
            let page: Page<T> = self.get(path, &query).await?;
            let more = page.has_more && !page.data.is_empty();
            all.extend(page.data);
            if !more {
                return Ok(all);
            }
        }
        Err(StripeError::Unreadable("a list does not end".to_owned()))
    }

    /// The first page of a search.
    pub(super) async fn search<T: DeserializeOwned>(&self, path: &str, query: &str) -> Result<Vec<T>, StripeError> {
        let page: Page<T> = self.get(path, &[("query", query), ("limit", "100")]).await?;
        Ok(page.data)
    }
}
