//! What the address of `/usage` asks for, and the addresses that the page leads to.

use super::dimensions::DIMENSIONS;
use domain::{key_text::Environment, period::Period};
use jiff::Timestamp;
use leptos_router::params::ParamsMap;
use store::usage::{Dimension, UsageFilter, Window};

/// A year and a month.
const LONGEST: jiff::SignedDuration = jiff::SignedDuration::from_hours(400 * 24);

pub(super) const VIEWS: [(&str, &str, Window); 3] = [
    ("day", "Days of a period", Window::Day),
    ("hour", "Hours of a day", Window::Hour),
    ("month", "Months of a year", Window::Month),
];

/// What the address asks for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// An instant in the period or day that is wanted; the current one where it is absent.
    pub(super) at: Option<Timestamp>,
    /// Exactly that time, as an invoice's lines ask for it.
    pub(super) exact: Option<Period>,
    pub(super) environment: Environment,
    pub(super) by: &'static str,
    pub(super) dimension: Dimension,
    pub(super) view: &'static str,
    pub(super) window: Window,
    /// What the page is narrowed to, beside the environment.
    pub(super) filter: UsageFilter,
}

impl Asked {
    pub(super) fn read(query: &ParamsMap) -> Self {
        let (by, view) = (query.get("by").unwrap_or_default(), query.get("view").unwrap_or_default());
        let (code, _, dimension) = DIMENSIONS.into_iter().find(|(code, ..)| *code == by).unwrap_or(DIMENSIONS[1]);
        let (view, _, window) = VIEWS.into_iter().find(|(code, ..)| *code == view).unwrap_or(VIEWS[0]);
        let environment = query.get("environment").and_then(|code| code.parse().ok()).unwrap_or(Environment::Live);
        let instant = |name: &str| query.get(name).and_then(|at| at.parse::<Timestamp>().ok());
        let exact = instant("from").zip(instant("to")).map(|(start, end)| Period { start, end });
        Self {
            exact: exact.filter(|range| range.start < range.end && range.end.duration_since(range.start) <= LONGEST),
            at: query.get("period").and_then(|at| at.parse().ok()),
            environment,
            by: code,
            dimension,
            view,
            window,
            filter: UsageFilter {
                environment: Some(environment),
                product: query.get("product").and_then(|id| id.parse().ok()),
                operation: query.get("operation").and_then(|id| id.parse().ok()),
                app: query.get("app").and_then(|id| id.parse().ok()),
                key: query.get("key").and_then(|id| id.parse().ok()),
                team: query.get("team").and_then(|id| id.parse().ok()),
                member: query.get("member").and_then(|id| id.parse().ok()),
                ..UsageFilter::EVERYTHING
            },
        }
    }

    /// What the page is narrowed to, as dimension and identifier.
    pub(super) fn narrowed(&self) -> Vec<(&'static str, String)> {
        let filter = &self.filter;
        let ids = [
            filter.product.map(|id| id.to_string()),
            filter.operation.map(|id| id.to_string()),
            filter.app.map(|id| id.to_string()),
            filter.key.map(|id| id.to_string()),
            filter.team.map(|id| id.to_string()),
            filter.member.map(|id| id.to_string()),
        ];
        DIMENSIONS.iter().zip(ids).filter_map(|((code, ..), id)| Some((*code, id?))).collect()
    }

    pub(super) fn address(&self, at: Option<Timestamp>, by: &str, narrowed: &[(&'static str, String)]) -> String {
        let mut map = ParamsMap::new();
        map.insert("view", self.view.to_owned());
        map.insert("environment", self.environment.to_string());
        map.insert("by", by.to_owned());
        if let Some(at) = at {
            map.insert("period", at.to_string());
        }
        if let Some(range) = self.exact {
            map.insert("from", range.start.to_string());
            map.insert("to", range.end.to_string());
        }
        for (name, id) in narrowed {
            map.insert(*name, id.clone());
        }
        format!("/usage{}", map.to_query_string())
    }

    /// What the page shows, by operation, as a file.
    pub(super) fn file(&self, range: Period) -> String {
        let mut map = ParamsMap::new();
        map.insert("from", range.start.to_string());
        map.insert("to", range.end.to_string());
        map.insert("environment", self.environment.to_string());
        for (name, id) in self.narrowed() {
            map.insert(name, id);
        }
        format!("/usage.csv{}", map.to_query_string())
    }

    /// The page narrowed to one row more, broken down by the first dimension that is left.
    pub(super) fn narrower(&self, id: String) -> String {
        let mut narrowed = self.narrowed();
        narrowed.retain(|(code, _)| *code != self.by);
        narrowed.push((self.by, id));
        let left = DIMENSIONS.iter().find(|(code, ..)| narrowed.iter().all(|(taken, _)| taken != code));
        self.address(self.at, left.map_or(self.by, |(code, ..)| code), &narrowed)
    }

    /// The calls that a row, or the whole page, is made of. The request log knows neither teams nor members.
    pub(super) fn calls(&self, range: Period, row: Option<(&'static str, String)>) -> Option<String> {
        let mut narrowed = self.narrowed();
        if let Some(row) = row {
            narrowed.retain(|(code, _)| *code != row.0);
            narrowed.push(row);
        }
        if narrowed.iter().any(|(code, _)| matches!(*code, "team" | "member")) {
            return None;
        }
        let mut map = ParamsMap::new();
        map.insert("from", range.start.to_string());
        map.insert("to", range.end.to_string());
        map.insert("environment", self.environment.to_string());
        for (name, id) in narrowed {
            map.insert(name, id);
        }
        Some(format!("/requests{}", map.to_query_string()))
    }
}
