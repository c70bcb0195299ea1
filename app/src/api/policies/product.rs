//! The policy form of a product: texts become a policy.

use super::typed::Typed;
use crate::form::Failure;
use domain::policy::{
    AllowanceOutage, Authentication, Breaker, Cache, CachePrice, Counted, CountedRefusals, Counting, HealthCheck,
    Idempotency, Issuer, MOST_METERS, Meter, MeterValue, OnlyWhere, Policy, Proof, Retry, StatusClass, Target,
    Timeouts, Told, Upstream,
};
use std::collections::{BTreeMap, HashMap};

/// Rows that the form has for ways in, issuers and targets at most.
const MOST_ROWS: usize = 50;
/// Rows of meters: two empty ones come after those that are there.
const MOST_METER_ROWS: usize = MOST_METERS + 2;

/// Reads the form; `there` gives what the form does not hold.
pub(super) fn read(texts: &HashMap<String, String>, there: Policy) -> Result<Policy, Failure> {
    let mut typed = Typed::new(texts);
    let (meters, rows) = meters(&mut typed);
    let policy = Policy {
        authentication: authentication(&mut typed),
        upstream: upstream(&mut typed),
        cache: typed.is_ticked("cache.on").then(|| cache(&mut typed)),
        counting: counting(&mut typed),
        idempotency: idempotency(&mut typed),
        meters,
        allowance_outage: match typed.text("allowance_outage") {
            "open" => AllowanceOutage::Open { overdraft_units: typed.number("allowance_outage.units").unwrap_or(0) },
            _ => AllowanceOutage::Closed,
        },
        max_body_bytes: typed.number("max_body_bytes"),
        operations: there.operations,
    };
    let mut problems = policy.problems();
    problems.iter_mut().for_each(|problem| problem.field = beside_its_row(&problem.field, &rows));
    typed.check(problems)?;
    Ok(policy)
}

fn authentication(typed: &mut Typed<'_>) -> Authentication {
    let mut accept = Vec::new();
    for row in 0..MOST_ROWS {
        let field = format!("authentication.accept.{row}");
        let proofs: Vec<Proof> = typed.text(&field).split('+').filter_map(|name| typed.variant(&field, name)).collect();
        if !proofs.is_empty() {
            accept.push(proofs);
        }
    }
    let mut issuers = Vec::new();
    for row in 0..MOST_ROWS {
        let field = |name: &str| format!("authentication.issuers.{row}.{name}");
        let Some(issuer) = typed.some_text(&field("issuer")) else { continue };
        let algorithms = typed.list(&field("algorithms"));
        issuers.push(Issuer {
            issuer,
            jwks_url: typed.text(&field("jwks_url")).to_owned(),
            audiences: typed.list(&field("audiences")),
            algorithms: algorithms.iter().filter_map(|name| typed.variant(&field("algorithms"), name)).collect(),
            claim: typed.some_text(&field("claim")).unwrap_or_else(|| "sub".to_owned()),
            only_access_tokens: typed.is_ticked(&field("only_access_tokens")),
            allow_private_addresses: typed.is_ticked(&field("allow_private_addresses")),
        });
    }
    Authentication {
        accept,
        issuers,
        client_authorities: typed.some_text("authentication.client_authorities"),
        revocation_lists: typed.some_text("authentication.revocation_lists"),
        identity_headers: typed.is_ticked("authentication.identity_headers"),
    }
}

fn upstream(typed: &mut Typed<'_>) -> Upstream {
    let mut targets = Vec::new();
    for row in 0..MOST_ROWS {
        let Some(url) = typed.some_text(&format!("upstream.targets.{row}.url")) else { continue };
        let url = url.trim_end_matches('/').to_owned();
        targets.push(Target { url, weight: typed.number(&format!("upstream.targets.{row}.weight")).unwrap_or(1) });
    }
    let (breaker, retry) = (Breaker::default(), Retry::default());
    let health_check = typed.some_text("upstream.health_check.path").map(|path| HealthCheck {
        path,
        interval_seconds: typed.number("upstream.health_check.interval_seconds").unwrap_or(5),
        timeout_ms: typed.number("upstream.health_check.timeout_ms").unwrap_or(2_000),
        threshold: typed.number("upstream.health_check.threshold").unwrap_or(2),
    });
    Upstream {
        targets,
        own_weight: typed.number("upstream.own_weight"),
        protocol: typed.named("upstream.protocol"),
        timeouts: Timeouts {
            connect_ms: typed.number("upstream.timeouts.connect_ms"),
            idle_ms: typed.number("upstream.timeouts.idle_ms"),
            total_ms: typed.number("upstream.timeouts.total_ms"),
        },
        health_check,
        breaker: Breaker {
            failures: typed.number("upstream.breaker.failures").unwrap_or(breaker.failures),
            open_ms: typed.number("upstream.breaker.open_ms").unwrap_or(breaker.open_ms),
        },
        retry: Retry {
            attempts: typed.number("upstream.retry.attempts").unwrap_or(retry.attempts),
            budget_percent: typed.number("upstream.retry.budget_percent").unwrap_or(retry.budget_percent),
        },
        max_in_flight: typed.number("upstream.max_in_flight"),
        allow_private_addresses: match typed.text("upstream.allow_private_addresses") {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        },
        client_certificate: typed.some_text("upstream.client_certificate"),
    }
}

fn cache(typed: &mut Typed<'_>) -> Cache {
    let usual = Cache::default();
    Cache {
        public: typed.is_ticked("cache.public"),
        max_bytes: typed.number("cache.max_bytes").unwrap_or(usual.max_bytes),
        max_body_bytes: typed.number("cache.max_body_bytes").unwrap_or(usual.max_body_bytes),
        default_fresh_seconds: typed.number("cache.default_fresh_seconds").unwrap_or(0),
        stale_while_revalidate_seconds: typed.number("cache.stale_while_revalidate_seconds").unwrap_or(0),
        price: typed.number("cache.price").map_or(CachePrice::Full, CachePrice::Units),
    }
}

fn counting(typed: &mut Typed<'_>) -> Counting {
    let ticked = |typed: &mut Typed<'_>, class: StatusClass| typed.is_ticked(&format!("counting.{}", class.text()));
    let codes = typed.list("counting.refusals.codes");
    let units = typed.number("counting.refusals.units").unwrap_or(1);
    Counting {
        statuses: StatusClass::ALL.into_iter().filter(|class| ticked(typed, *class)).collect(),
        interrupted: typed.is_ticked("counting.interrupted"),
        replays: match typed.text("counting.replays") {
            "full" => Counted::Full,
            "units" => Counted::Units(typed.number("counting.replays.units").unwrap_or(1)),
            _ => Counted::Free,
        },
        refusals: (!codes.is_empty()).then(|| CountedRefusals { codes: codes.into_iter().collect(), units }),
    }
}

fn idempotency(typed: &mut Typed<'_>) -> Idempotency {
    let usual = Idempotency::default();
    Idempotency {
        keep_seconds: typed.number("idempotency.keep_seconds").unwrap_or(usual.keep_seconds),
        max_body_bytes: typed.number("idempotency.max_body_bytes").unwrap_or(usual.max_body_bytes),
        max_request_bytes: typed.number("idempotency.max_request_bytes").unwrap_or(usual.max_request_bytes),
    }
}

/// The meters that are written, and the row of each by its code.
fn meters(typed: &mut Typed<'_>) -> (BTreeMap<String, Meter>, HashMap<String, usize>) {
    let (mut meters, mut rows) = (BTreeMap::new(), HashMap::new());
    for row in 0..MOST_METER_ROWS {
        let field = |name: &str| format!("meters.{row}.{name}");
        let Some(code) = typed.some_text(&field("code")) else { continue };
        let place = typed.text(&field("place")).to_owned();
        let meter = Meter {
            name: typed.text(&field("name")).to_owned(),
            unit: typed.text(&field("unit")).to_owned(),
            kind: typed.named(&field("kind")),
            value: match typed.text(&field("value")) {
                "weight" => MeterValue::Weight,
                "bytes_in" => MeterValue::BytesIn,
                "bytes_out" => MeterValue::BytesOut,
                "milliseconds" => MeterValue::Milliseconds,
                "header" => MeterValue::Header { name: place },
                "json_field" => MeterValue::JsonField { pointer: place },
                _ => MeterValue::Calls,
            },
            at_least: typed.number(&field("at_least")),
            at_most: typed.number(&field("at_most")),
            resource: typed.some_text(&field("resource")).map(told),
            operations: typed.list(&field("operations")).into_iter().collect(),
            only_where: only_where(typed, &field),
        };
        if meters.insert(code.clone(), meter).is_some() {
            typed.tell(&field("code"), "There are two meters with this code; give each its own");
        }
        rows.insert(code, row);
    }
    (meters, rows)
}

fn only_where(typed: &Typed<'_>, field: &impl Fn(&str) -> String) -> Option<OnlyWhere> {
    let values = |name: &str| typed.phrases(&field(name)).into_iter().collect();
    let says = typed.text(&field("only_where.says")).to_owned();
    let only =
        OnlyWhere { one_of: values("only_where.one_of"), none_of: values("only_where.none_of"), says: told(says) };
    let is_said =
        !typed.text(&field("only_where.says")).is_empty() || !only.one_of.is_empty() || !only.none_of.is_empty();
    is_said.then_some(only)
}

/// A field of JSON begins with a slash, a header does not.
fn told(text: String) -> Told {
    if text.starts_with('/') { Told::JsonField { pointer: text } } else { Told::Header { name: text } }
}

/// A meter's place in the policy is its code, in the form its row.
fn beside_its_row(field: &str, rows: &HashMap<String, usize>) -> String {
    let Some(rest) = field.strip_prefix("meters.") else { return field.to_owned() };
    let (code, part) = rest.split_once('.').unwrap_or((rest, "code"));
    let part = if part == "value" && rows.contains_key(code) { "place" } else { part };
    rows.get(code).map_or_else(|| field.to_owned(), |row| format!("meters.{row}.{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::usage::MeterKind;

    fn texts(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(field, text)| ((*field).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn an_untouched_form_is_the_default_and_keeps_the_operations() {
        let mut there = Policy::default();
        there.operations.insert("pay".to_owned(), Default::default());
        let untouched = [
            ("authentication.accept.0", "key"),
            ("counting.2xx", "true"),
            ("counting.3xx", "true"),
            ("counting.4xx", "true"),
            ("counting.interrupted", "true"),
            ("counting.replays", "free"),
        ];
        let read = read(&texts(&untouched), there.clone()).expect("a policy");
        assert_eq!(read, there);
    }

    #[test]
    fn what_counts_is_read_whole() {
        let typed = [
            ("authentication.accept.0", "key"),
            ("counting.2xx", "true"),
            ("counting.5xx", "true"),
            ("counting.replays", "units"),
            ("counting.replays.units", "2"),
            ("counting.refusals.codes", "limit-exceeded, missing-scope"),
            ("counting.refusals.units", "3"),
        ];
        let read = read(&texts(&typed), Policy::default()).expect("a policy");
        let codes = ["limit-exceeded".to_owned(), "missing-scope".to_owned()].into();
        let expected = Counting {
            statuses: [StatusClass::Success, StatusClass::ServerError].into(),
            interrupted: false,
            replays: Counted::Units(2),
            refusals: Some(CountedRefusals { codes, units: 3 }),
        };
        assert_eq!(read.counting, expected);
    }

    #[test]
    fn meters_are_read_whole_and_their_mistakes_are_told_in_their_rows() {
        let typed = [
            ("authentication.accept.0", "key"),
            ("meters.0.code", "tokens"),
            ("meters.0.name", "Tokens"),
            ("meters.0.unit", "token"),
            ("meters.0.kind", "sum"),
            ("meters.0.value", "json_field"),
            ("meters.0.place", "/usage/tokens"),
            ("meters.0.operations", "ask, draw"),
            ("meters.0.at_most", "62,500"),
            ("meters.0.only_where.says", "/card/brand"),
            ("meters.0.only_where.none_of", "American Express, amex"),
            ("meters.2.code", "machines"),
            ("meters.2.name", "Machines"),
            ("meters.2.kind", "gauge"),
            ("meters.2.value", "header"),
            ("meters.2.place", "X-Level"),
            ("meters.2.resource", "X-Machine"),
        ];
        let meters = read(&texts(&typed), Policy::default()).expect("a policy").meters;
        let tokens = Meter {
            unit: "token".to_owned(),
            at_most: Some(62_500),
            operations: ["ask".to_owned(), "draw".to_owned()].into(),
            only_where: Some(OnlyWhere {
                says: Told::JsonField { pointer: "/card/brand".to_owned() },
                one_of: Default::default(),
                none_of: ["American Express".to_owned(), "amex".to_owned()].into(),
            }),
            ..Meter::new("Tokens", MeterKind::Sum, MeterValue::JsonField { pointer: "/usage/tokens".to_owned() })
        };
        let machines = Meter {
            resource: Some(Told::Header { name: "X-Machine".to_owned() }),
            ..Meter::new("Machines", MeterKind::Gauge, MeterValue::Header { name: "X-Level".to_owned() })
        };
        assert_eq!(meters, [("tokens".to_owned(), tokens), ("machines".to_owned(), machines)].into());

        let typed = [
            ("authentication.accept.0", "key"),
            ("meters.1.code", "Tokens"),
            ("meters.1.name", "Tokens"),
            ("meters.3.code", "users"),
            ("meters.3.kind", "unique"),
            ("meters.3.value", "header"),
            ("meters.4.code", "users"),
            ("meters.4.name", "Users"),
            ("meters.4.kind", "unique"),
            ("meters.4.at_most", "many"),
            ("meters.5.code", "cents"),
            ("meters.5.name", "Cents"),
            ("meters.5.only_where.one_of", "amex"),
        ];
        let Err(Failure(problems)) = read(&texts(&typed), Policy::default()) else { panic!("it has mistakes") };
        let fields: Vec<&str> = problems.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(
            fields,
            ["meters.4.at_most", "meters.4.code", "meters.1.code", "meters.5.only_where.says", "meters.4.place"]
        );
    }

    #[test]
    fn every_mistake_is_told_beside_its_field() {
        let texts = texts(&[
            ("authentication.accept.0", "key+token"),
            ("authentication.issuers.0.issuer", "https://id.example"),
            ("authentication.issuers.0.algorithms", "HS256"),
            ("upstream.targets.1.url", "nowhere"),
            ("upstream.timeouts.connect_ms", "soon"),
            ("cache.on", "true"),
            ("cache.max_body_bytes", "0"),
            ("counting.refusals.codes", "overloaded"),
        ]);
        let Err(Failure(problems)) = read(&texts, Policy::default()) else { panic!("it has mistakes") };
        let fields: Vec<&str> = problems.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "authentication.issuers.0.algorithms",
                "upstream.timeouts.connect_ms",
                "authentication.issuers.0.jwks_url",
                "authentication.issuers.0.audiences",
                "authentication.issuers.0.algorithms",
                "upstream.targets.0.url",
                "cache.max_body_bytes",
                "counting.refusals.codes",
            ]
        );
    }
}
