//! Which product a path belongs to.

use crate::quick_hash::QuickMap;

/// Products by their routes.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// Places of products.
    products: QuickMap<Box<str>, usize>,
    /// The most segments that a route has.
    depth: usize,
}

impl Routes {
    /// Whether the route was free.
    pub(super) fn add(&mut self, route: &str, product: usize) -> bool {
        if self.products.contains_key(route) {
            return false;
        }
        self.depth = self.depth.max(route.matches('/').count());
        self.products.insert(Box::from(route), product);
        true
    }

    /// The place of the product with the longest route that the path begins with, whole segments only.
    pub(super) fn product_at(&self, path: &str) -> Option<usize> {
        let slashes = path.bytes().enumerate().skip(1).filter(|(_, byte)| *byte == b'/').map(|(at, _)| at);
        let ends = slashes.chain([path.len()]).take(self.depth);
        ends.filter_map(|end| self.products.get(path.get(..end)?)).last().copied()
    }
}
