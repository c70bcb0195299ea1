//! Lists: pages that go on from a cursor, so that rows which come or go in between move nothing.

use axum::{
    Json,
    http::{HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

const USUAL_LIMIT: u32 = 50;
const LARGEST_LIMIT: u32 = 200;

/// Which part of a list.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Where to go on: `next` of the page before.
    pub cursor: Option<String>,
    pub limit: Option<u32>,
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct List<T> {
    pub items: Vec<T>,
    /// The cursor of the next page; null on the last.
    pub next: Option<String>,
}

impl Part {
    /// An empty cursor is none.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref().filter(|cursor| !cursor.is_empty())
    }

    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(USUAL_LIMIT).clamp(1, LARGEST_LIMIT)
    }
}

impl<T: Serialize> List<T> {
    /// A list that has one page only.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }

    /// The page, with the next one's address in the Link header (RFC 8288).
    pub fn answer(self, uri: &Uri) -> Response {
        let link = self.next.as_deref().and_then(|next| link(uri, next));
        let mut response = Json(self).into_response();
        if let Some(link) = link {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

fn link(uri: &Uri, next: &str) -> Option<HeaderValue> {
    let kept =
        uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let query: String = kept.map(|pair| format!("{pair}&")).collect();
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| if unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let cursor: String = next.bytes().map(encode).collect();
    HeaderValue::from_str(&format!("<{}?{query}cursor={cursor}>; rel=\"next\"", uri.path())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_keeps_the_query_and_replaces_the_cursor() {
        let uri = Uri::from_static("/api/keys?limit=2&cursor=old&partner=p");
        let link = link(&uri, "a b&c").expect("a header");
        assert_eq!(link.to_str().expect("a text"), "</api/keys?limit=2&partner=p&cursor=a%20b%26c>; rel=\"next\"");
    }
}
