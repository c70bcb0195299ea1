//! JSON pointers (RFC 6901) and the references of a document that are written with them.

use serde_json::Value;

/// A pointer one token longer.
pub fn join(base: &str, token: &str) -> String {
    let mut pointer = String::with_capacity(base.len() + token.len() + 1);
    pointer.push_str(base);
    pointer.push('/');
    for letter in token.chars() {
        match letter {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
    pointer
}

/// What `#/components/schemas/Payment` names in this document.
pub fn lookup<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let fragment = reference.strip_prefix('#')?;
    if fragment.is_empty() {
        return Some(root);
    }
    root.pointer(&percent_decoded(fragment)?)
}

/// `("schemas", "Payment")` for `#/components/schemas/Payment`, or for a place inside of it.
pub fn component(reference: &str) -> Option<(String, String)> {
    let decoded = percent_decoded(reference.strip_prefix("#/components/")?)?;
    let mut tokens = decoded.split('/');
    let section = unescaped(tokens.next()?);
    let name = unescaped(tokens.next()?);
    Some((section, name))
}

/// The last token of a reference: a name for what it points at.
pub fn last_token(reference: &str) -> String {
    let decoded = percent_decoded(reference).unwrap_or_else(|| reference.to_owned());
    unescaped(decoded.rsplit('/').next().unwrap_or_default())
}

fn unescaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// The text with `%7B` and the like resolved; `None` where that is not UTF-8.
pub fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let ahead = rest.clone();
        let digits = (ahead.clone().next().and_then(hex), ahead.clone().nth(1).and_then(hex));
        match (byte, digits) {
            (b'%', (Some(high), Some(low))) => {
                bytes.push(high * 16 + low);
                rest.nth(1);
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_found_through_both_escapes() {
        let root = json!({ "paths": { "/a/{id}": { "get": 1 } }, "x~y": 2 });
        assert_eq!(lookup(&root, "#/paths/~1a~1%7Bid%7D/get"), Some(&json!(1)));
        assert_eq!(lookup(&root, "#/x~0y"), Some(&json!(2)));
        assert_eq!(lookup(&root, "other.yaml#/x"), None);
        assert_eq!(join("/paths", "/a/{id}"), "/paths/~1a~1{id}");
        assert_eq!(component("#/components/schemas/A~1B/properties/c"), Some(("schemas".into(), "A/B".into())));
        assert_eq!(percent_decoded("100%"), Some("100%".to_owned()));
    }
}
