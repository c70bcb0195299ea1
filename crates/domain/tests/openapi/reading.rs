//! What several tests look at in a document.

use domain::openapi::{Document, display::SchemaDoc};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Calls `look` with a schema and all schemas inside of it.
pub fn each_schema(schema: &SchemaDoc, look: &mut dyn FnMut(&SchemaDoc)) {
    look(schema);
    for property in &schema.properties {
        each_schema(&property.schema, look);
    }
    if let Some(items) = &schema.items {
        each_schema(items, look);
    }
    for variant in &schema.variants {
        each_schema(variant, look);
    }
}

/// Fails where `text` holds the identifier or the path of an operation that is not in `open`, other than as a part of
/// one that is.
pub fn assert_names_nothing_hidden(document: &Document, open: &[&str], text: &str) {
    let (shown, hidden): (Vec<_>, Vec<_>) =
        document.operations().iter().partition(|operation| open.contains(&operation.code.as_str()));
    let mut rest = text.to_owned();
    // The longest first, so that what is left holds no part of a visible name.
    let mut names: Vec<&str> = shown.iter().flat_map(|it| [it.code.as_str(), it.path.as_str()]).collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    for name in names {
        rest = rest.replace(name, "\u{1}");
    }
    for operation in hidden {
        for name in [&operation.code, &operation.path] {
            let is_visible = shown.iter().any(|it| it.code == *name || it.path == *name);
            let named = mention(&rest, name).filter(|_| !is_visible);
            assert!(named.is_none(), "{name} is named: {}", named.unwrap_or_default());
        }
    }
}

/// The words around `name` where it stands as a whole word or path.
fn mention<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let goes_on =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || "_-/".contains(letter));
    text.match_indices(name).find_map(|(at, _)| {
        let end = at + name.len();
        let before = text[..at].chars().next_back().filter(|_| !name.starts_with('/'));
        let whole = !goes_on(before) && !goes_on(text[end..].chars().next());
        let from = text[..at].char_indices().rev().nth(40).map_or(0, |(place, _)| place);
        let to = text[end..].char_indices().nth(40).map_or(text.len(), |(place, _)| end + place);
        if whole { Some(&text[from..to]) } else { None }
    })
}

/// Writes the document for the public validator, where the environment names a folder.
pub fn keep_for_referee(source: &Path, number: usize, document: &Value) {
    let Some(folder) = std::env::var_os("TURNPIKE_OPENAPI_OUT").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).expect("can be made");
    let stem = source.file_stem().unwrap_or_default().display();
    std::fs::write(folder.join(format!("{stem}-{number}.json")), domain::openapi::to_json_pretty(document))
        .expect("written");
    std::fs::write(folder.join(format!("{stem}-{number}.yaml")), domain::openapi::to_yaml(document)).expect("written");
}
