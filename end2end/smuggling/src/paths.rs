//! Spellings of paths. The product has `/items` and `/items/{id}` and nothing else; each spelling tries to leave it.

/// Targets below the product's route, without the route itself.
pub fn targets() -> Vec<String> {
    let mut targets: Vec<String> = [
        "/items/../secret",
        "/items/./../secret",
        "/items/x/../../secret",
        "/items/%2e%2e/secret",
        "/items/%2E%2E/secret",
        "/items/.%2e/secret",
        "/items/%2e./secret",
        "/items/..%2fsecret",
        "/items/..%2Fsecret",
        "/items/%2e%2e%2fsecret",
        "/items/..%5csecret",
        "/items/..\\secret",
        "/items\\..\\secret",
        "/items/..;/secret",
        "/items/..;x=1/secret",
        "/items/.;/../secret",
        "/items;/../secret",
        "/items/%252e%252e/secret",
        "/items/%252e%252e%252fsecret",
        "/items/..%252fsecret",
        "/items/%c0%ae%c0%ae/secret",
        "/items/..%c0%afsecret",
        "/items/%e0%80%ae%e0%80%ae/secret",
        "/items/%u002e%u002e/secret",
        "/items/..%00/secret",
        "/items/%00/../secret",
        "/items/x%00/../../secret",
        "/items/..%0d/secret",
        "/items/..%0a/secret",
        "/items/..%09/secret",
        "/items/..%20/secret",
        "/items/.. /secret",
        "/items/...//secret",
        "/items//../secret",
        "/items/x//../../secret",
        "//items/../secret",
        "//secret",
        "///secret",
        "/./secret",
        "/../secret",
        "/%2e%2e/secret",
        "/secret",
        "/secret/",
        "/SECRET",
        "/%73ecret",
        "/items/../../secret",
        "/items/../../../../secret",
        "/items?/../secret",
        "/items/x?/../../secret",
        "/items%3f/../secret",
        "/items/x%23/../../secret",
        "/items#/../secret",
        "/items/\u{ff0e}\u{ff0e}/secret",
        "/items/%ef%bc%8e%ef%bc%8e/secret",
        "/items/\u{2215}../secret",
        "/items/%e2%88%95..%e2%88%95secret",
        "/items/..\u{a0}/secret",
        "/items/..%c2%a0/secret",
        "/items/~/../secret",
        "/items/.%2f..%2fsecret",
        "/items/x/..%2f..%2fsecret",
        "/items/%2f/secret",
        "/items/%2fsecret",
        "/items%2f..%2fsecret",
        "/items%2F..%2Fsecret",
        "/%69tems/..%2fsecret",
        "/items/..%",
        "/items/..%2",
        "/items/%",
        "/items/%zz/../secret",
        "/items/..;a=b;c=d/secret",
        "/items/.%00./secret",
        "/items/..././secret",
        "/items/....//secret",
        "/items/..//..//secret",
    ]
    .map(str::to_owned)
    .to_vec();
    // Each byte, escaped, between the two that would make a way up.
    targets.extend((0..=255_u8).map(|byte| format!("/items/..%{byte:02x}secret")));
    targets.extend((0..=255_u8).map(|byte| format!("/items/%{byte:02x}../secret")));
    targets
}

/// Whether the path that the upstream saw is the product's, however often and by whomever it is read again.
pub fn is_inside(target: &str) -> bool {
    let mut path = target.split('?').next().unwrap_or_default().as_bytes().to_vec();
    loop {
        if !begins_inside(&path) {
            return false;
        }
        let decoded = decode(&path);
        if decoded == path {
            return true;
        }
        path = decoded;
    }
}

/// After dots, backslashes and path parameters are resolved.
fn begins_inside(path: &[u8]) -> bool {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| matches!(byte, b'/' | b'\\')) {
        match segment.split(|byte| *byte == b';').next().unwrap_or_default() {
            b"" | b"." => {}
            b".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    kept.first() == Some(&&b"items"[..])
}

fn decode(path: &[u8]) -> Vec<u8> {
    let digit = |at: usize| path.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(path.len()), 0);
    while let Some(&byte) = path.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_out_are_seen_however_deep() {
        for inside in ["/items", "/items/a%20b", "/items/a?x=/../secret", "/items/a..b", "/items/%E2%88%95..%ff"] {
            assert!(is_inside(inside), "{inside}");
        }
        for outside in
            ["/secret", "/items/../secret", "/items/%252e%252e/secret", "/items/..;/secret", "/items/..%5csecret"]
        {
            assert!(!is_inside(outside), "{outside}");
        }
    }
}
