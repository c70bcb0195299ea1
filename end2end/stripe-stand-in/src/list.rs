//! Lists, newest first, page by page; and search by metadata.

use crate::{
    account::{Objects, SEARCH_DELAY_SECONDS},
    failure::Failure,
    params::Params,
};
use serde_json::{Value, json};

/// Parameters that every list takes.
pub const LIST: [&str; 7] = ["limit", "starting_after", "ending_before", "created", "created[]", "customer", "status"];

/// A page of the objects that `wanted` holds for, between the cursors.
pub fn page(objects: &Objects, url: &str, params: &Params, wanted: impl Fn(&Value) -> bool) -> Result<Value, Failure> {
    let limit = limit(params)?;
    let created = created(params)?;
    let all: Vec<&Value> = objects
        .iter()
        .rev()
        .filter(|object| wanted(object) && created.iter().all(|holds| holds(object["created"].as_i64().unwrap_or(0))))
        .collect();
    let place = |id: &str| all.iter().position(|object| object["id"] == id);
    let (from, to) = match (params.get("starting_after"), params.get("ending_before")) {
        (Some(after), _) => (place(after).map_or(all.len(), |place| place + 1), all.len()),
        (None, Some(before)) => {
            let end = place(before).unwrap_or(0);
            (end.saturating_sub(limit), end)
        }
        (None, None) => (0, all.len()),
    };
    let data: Vec<&Value> = all[from..to].iter().take(limit).copied().collect();
    let has_more = from + data.len() < to;
    Ok(json!({ "object": "list", "url": url, "has_more": has_more, "data": data }))
}

fn limit(params: &Params) -> Result<usize, Failure> {
    match params.integer("limit")?.unwrap_or(10) {
        limit @ 1..=100 => Ok(usize::try_from(limit).unwrap_or(10)),
        other => Err(Failure::invalid(format!("Invalid limit: {other}; must be between 1 and 100")).param("limit")),
    }
}

type Holds = Box<dyn Fn(i64) -> bool>;

fn created(params: &Params) -> Result<Vec<Holds>, Failure> {
    let mut conditions: Vec<Holds> = Vec::new();
    let bounds = [("gt", 0), ("gte", 1), ("lt", 2), ("lte", 3)];
    for (name, kind) in bounds {
        let Some(bound) = params.integer(&format!("created[{name}]"))? else { continue };
        conditions.push(match kind {
            0 => Box::new(move |at| at > bound),
            1 => Box::new(move |at| at >= bound),
            2 => Box::new(move |at| at < bound),
            _ => Box::new(move |at| at <= bound),
        });
    }
    Ok(conditions)
}

/// `metadata['key']:'value' AND status:'open'`; objects younger than a minute are not found yet.
pub fn search(objects: &Objects, now: i64, url: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&["query", "limit", "page"])?;
    let query = params.need("query")?;
    let mut clauses = Vec::new();
    for clause in query.split(" AND ") {
        clauses.push(read_clause(clause.trim()).ok_or_else(|| {
            Failure::invalid("We were unable to parse your search query.").code("search_query_invalid").param("query")
        })?);
    }
    let data: Vec<&Value> = objects
        .iter()
        .rev()
        .filter(|object| object["created"].as_i64().is_some_and(|created| created + SEARCH_DELAY_SECONDS <= now))
        .filter(|object| {
            clauses.iter().all(|(path, value)| path.iter().fold(*object, |at, key| &at[key.as_str()]) == value.as_str())
        })
        .take(limit(params)?)
        .collect();
    Ok(json!({ "object": "search_result", "url": url, "has_more": false, "next_page": null, "data": data }))
}

fn read_clause(clause: &str) -> Option<(Vec<String>, String)> {
    let (field, value) = clause.split_once(':')?;
    let quoted = |text: &str| -> Option<String> {
        let mark = text.chars().next().filter(|mark| *mark == '\'' || *mark == '"')?;
        text.strip_prefix(mark)?.strip_suffix(mark).map(str::to_owned)
    };
    let path = match field.strip_prefix("metadata[") {
        Some(key) => vec!["metadata".to_owned(), quoted(key.strip_suffix(']')?)?],
        None => vec![field.to_owned()],
    };
    Some((path, quoted(value)?))
}
