//! From method and path to the operation: the OpenAPI document's templates as a tree of segments, without regex.
//!
//! A literal segment beats one with parameters, for each method by itself. A segment may mix the two, as
//! `{name}.{format}`, and two templates may name the parameter at one place differently; both are common in documents.

use crate::{path::canonical_literal, quick_hash::QuickMap};
use http::Method;

/// Operations by path, then by method.
#[derive(Debug)]
pub(crate) struct Router {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literals: QuickMap<Box<str>, usize>,
    /// The more literal text, the earlier.
    patterns: Vec<(Pattern, usize)>,
    /// `None` for an operation that was removed.
    operations: Vec<(Method, Option<usize>)>,
}

/// What stands between a segment's parameters: `{a}-{b}.x` is `["", "-", ".x"]`.
#[derive(Debug, PartialEq, Eq)]
struct Pattern(Vec<Box<str>>);

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Operation(usize),
    /// Operations of the same path with other methods.
    OtherMethods(Vec<usize>),
    Nothing,
}

impl Router {
    /// A router of `(method, template, operation)`; where two are the same the first counts.
    ///
    /// Without an operation it is one that was removed. It is not found, and nor is a broader one in its place: a provider
    /// that takes `/payments/secret` away does not mean to open it as `/payments/{id}`.
    pub(crate) fn new<'a>(operations: impl IntoIterator<Item = (Method, &'a str, Option<usize>)>) -> Self {
        let mut router = Self { nodes: vec![Node::default()] };
        for (method, template, operation) in operations {
            let end = template.trim_start_matches('/').split('/').fold(0, |node, segment| router.child(node, segment));
            let known = &mut router.nodes[end].operations;
            if !known.iter().any(|(other, _)| *other == method) {
                known.push((method, operation));
            }
        }
        router
    }

    /// The operation at a canonical path that begins with a slash.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Found {
        let mut others = Vec::new();
        match self.walk(0, path.strip_prefix('/').unwrap_or(path), method, &mut others) {
            Some(Some(operation)) => Found::Operation(operation),
            _ if others.is_empty() => Found::Nothing,
            _ => Found::OtherMethods(others),
        }
    }

    fn walk(&self, node: usize, path: &str, method: &Method, others: &mut Vec<usize>) -> Option<Option<usize>> {
        let node = &self.nodes[node];
        let (segment, rest) = path.split_once('/').map_or((path, None), |(segment, rest)| (segment, Some(rest)));
        let literal = node.literals.get(segment);
        let patterns = node.patterns.iter().filter(|(pattern, _)| pattern.matches(segment)).map(|(_, child)| child);
        for &child in literal.into_iter().chain(patterns) {
            let found = match rest {
                Some(rest) => self.walk(child, rest, method, others),
                None => self.nodes[child].operation(method, others),
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn child(&mut self, node: usize, segment: &str) -> usize {
        let next = self.nodes.len();
        let parent = &mut self.nodes[node];
        let child = match Pattern::parse(segment) {
            None => *parent.literals.entry(canonical_literal(segment).into()).or_insert(next),
            Some(pattern) => match parent.patterns.iter().find(|(known, _)| *known == pattern) {
                Some((_, child)) => *child,
                None => {
                    parent.patterns.push((pattern, next));
                    parent.patterns.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.literal_bytes()));
                    next
                }
            },
        };
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }
}

impl Node {
    fn operation(&self, method: &Method, others: &mut Vec<usize>) -> Option<Option<usize>> {
        let by = |wanted: &Method| self.operations.iter().find(|(known, _)| known == wanted).map(|(_, found)| *found);
        let own = by(method);
        let of_get = (method == Method::HEAD).then(|| by(&Method::GET)).flatten();
        let found = own.filter(Option::is_some).or(of_get).or(own);
        if found.flatten().is_none() {
            others.extend(self.operations.iter().filter_map(|(_, other)| *other));
        }
        found
    }
}

impl Pattern {
    /// The segment's literal parts, or `None` where it has no parameter.
    fn parse(segment: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = segment;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((_, after)) = after.split_once('}') else { break };
            parts.push(canonical_literal(before).into());
            rest = after;
        }
        if parts.is_empty() {
            return None;
        }
        parts.push(canonical_literal(rest).into());
        Some(Self(parts))
    }

    /// Whether each parameter can be at least one byte long.
    fn matches(&self, segment: &str) -> bool {
        let [first, middle @ .., last] = self.0.as_slice() else { return false };
        let Some(mut rest) = segment.strip_prefix(&**first) else { return false };
        for part in middle {
            // A parameter takes as little as it can, but not nothing.
            let found = rest.char_indices().skip(1).find(|(at, _)| rest[*at..].starts_with(&**part));
            let Some((at, _)) = found else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.len() > last.len() && rest.ends_with(&**last)
    }

    fn literal_bytes(&self) -> usize {
        self.0.iter().map(|part| part.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router {
        let list = [
            (Method::GET, "/payments"),
            (Method::POST, "/payments"),
            (Method::GET, "/payments/{id}"),
            (Method::GET, "/payments/search"),
            (Method::POST, "/payments/{payment_id}/refunds"),
            (Method::GET, "/files/{name}.{format}"),
            (Method::GET, "/files/{name}"),
            (Method::GET, "/"),
            (Method::POST, "/jobs/{id}:cancel"),
            (Method::GET, "/a b/{x}"),
            (Method::GET, "/trailing/"),
        ];
        Router::new(list.into_iter().enumerate().map(|(index, (method, path))| (method, path, Some(index))))
    }

    #[test]
    fn paths_find_their_operations_and_literals_beat_parameters() {
        let router = router();
        for (method, path, operation) in [
            (Method::GET, "/payments", 0),
            (Method::HEAD, "/payments", 0),
            (Method::POST, "/payments", 1),
            (Method::GET, "/payments/pay_1", 2),
            (Method::GET, "/payments/search", 3),
            (Method::POST, "/payments/search/refunds", 4),
            (Method::GET, "/files/a.b.json", 5),
            (Method::GET, "/files/plain", 6),
            (Method::GET, "/files/.json", 6),
            (Method::GET, "/", 7),
            (Method::POST, "/jobs/7:cancel", 8),
            (Method::GET, "/a%20b/1", 9),
            (Method::GET, "/trailing/", 10),
        ] {
            assert_eq!(router.find(&method, path), Found::Operation(operation), "{method} {path}");
        }
        for path in ["/payment", "/payments/", "/payments/a/b", "/trailing", "/jobs/:cancel", "/Payments", "/a b/1"] {
            assert_eq!(router.find(&Method::GET, path), Found::Nothing, "{path}");
        }
    }

    #[test]
    fn another_method_is_told_apart_from_another_path() {
        assert_eq!(router().find(&Method::DELETE, "/payments"), Found::OtherMethods(vec![0, 1]));
        assert_eq!(router().find(&Method::DELETE, "/payments/search"), Found::OtherMethods(vec![3, 2]));
    }
    #[test]
    fn a_removed_operation_is_not_found_and_keeps_broader_ones_from_its_path() {
        let list = [
            (Method::GET, "/payments/{id}", Some(0)),
            (Method::DELETE, "/payments/{id}", Some(1)),
            (Method::POST, "/payments/mixed", Some(2)),
            (Method::GET, "/payments/secret", None),
            (Method::GET, "/payments/mixed", None),
            (Method::HEAD, "/payments/{id}", None),
            (Method::GET, "/payments/{other_name}", None),
        ];
        let router = Router::new(list);
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(router.find(&method, "/payments/secret"), Found::Nothing);
            assert_eq!(router.find(&method, "/payments/mixed"), Found::OtherMethods(vec![2]));
            assert_eq!(router.find(&method, "/payments/1"), Found::Operation(0));
        }
        assert_eq!(router.find(&Method::DELETE, "/payments/secret"), Found::Operation(1), "it never had this method");
    }
}
