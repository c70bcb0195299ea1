//! One spelling for each path: what is matched is what is forwarded, byte for byte.
//!
//! A path is decoded once. Escapes of unreserved characters are undone, other escapes get capital digits, and whatever
//! two parsers could read in two ways is refused: dot segments, empty segments, escaped slashes, backslashes, control
//! characters, semicolons (path parameters), escapes of escapes, and escapes that are not UTF-8 when decoded.

use std::borrow::Cow;

/// The canonical spelling, or what is wrong with the path.
pub(crate) fn canonical(path: &str) -> Result<Cow<'_, str>, &'static str> {
    if !path.starts_with('/') {
        return Err("The path does not start with a slash");
    }
    let spelled = if path.as_bytes().contains(&b'%') { Cow::Owned(decode(path)?) } else { Cow::Borrowed(path) };
    let bytes = spelled.as_bytes();
    let (mut before, mut dots) = (0, false);
    for &byte in bytes {
        if !ALLOWED[usize::from(byte)] {
            return Err("The path holds a character that has to be escaped, or a semicolon");
        }
        if before == b'/' {
            if byte == b'/' {
                return Err("The path holds an empty segment");
            }
            // Only a segment that begins with a dot can be a dot segment.
            dots |= byte == b'.';
        }
        before = byte;
    }
    if dots && spelled.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("The path holds a dot segment");
    }
    Ok(spelled)
}

const ALLOWED: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        allowed[byte] = is_allowed(byte as u8);
        byte += 1;
    }
    allowed
};

/// A template's literal text in the same spelling, so that the two can be compared.
pub(crate) fn canonical_literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_allowed(byte) { out.push(char::from(byte)) } else { push_escape(byte, &mut out) }
    }
    out
}

fn decode(path: &str) -> Result<String, &'static str> {
    let bytes = path.as_bytes();
    let mut out = String::with_capacity(path.len());
    let mut decoded = Vec::with_capacity(path.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if byte != b'%' {
            out.push(char::from(byte));
            decoded.push(byte);
            continue;
        }
        let value = escape_at(bytes, at).ok_or("The path holds a percent sign without two hexadecimal digits")?;
        at += 2;
        decoded.push(value);
        match value {
            b'/' | b'\\' | b';' => return Err("The path holds an escaped slash, backslash or semicolon"),
            0..=0x1f | 0x7f => return Err("The path holds an escaped control character"),
            b'%' if escape_at(bytes, at).is_some() => return Err("The path is escaped twice"),
            _ if is_unreserved(value) => out.push(char::from(value)),
            _ => push_escape(value, &mut out),
        }
    }
    if std::str::from_utf8(&decoded).is_err() {
        return Err("The path's escapes are not UTF-8");
    }
    Ok(out)
}

fn escape_at(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    u8::try_from(digit(at)? * 16 + digit(at + 1)?).ok()
}

fn push_escape(byte: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 `pchar` and the slash, without the semicolon.
const fn is_allowed(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'/' | b'%' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')')
        || matches!(byte, b'*' | b'+' | b',' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_paths_get_one_spelling() {
        for (sent, spelled) in [
            ("/payments/pay_1", "/payments/pay_1"),
            ("/%70ayments/a%2Db%7e", "/payments/a-b~"),
            ("/caf%c3%a9/a%20b", "/caf%C3%A9/a%20B".replace('B', "b").as_str()),
            ("/a/...", "/a/..."),
            ("/a/.hidden/", "/a/.hidden/"),
            ("/100%25", "/100%25"),
        ] {
            assert_eq!(canonical(sent).as_deref(), Ok(spelled), "{sent}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for sent in [
            "",
            "*",
            "a",
            "//",
            "/a//b",
            "/./a",
            "/a/..",
            "/a/../b",
            "/%2e%2E/b",
            "/.%2e/b",
            "/a%2fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0a",
            "/a%7f",
            "/a;x=1",
            "/a%3bx",
            "/..;/a",
            "/a%",
            "/a%2",
            "/a%zz",
            "/%252e%252e/",
            "/%c0%ae/",
            "/%ff",
            "/a b",
            "/a\"b",
            "/<a>",
            "/a|b",
            "/é",
        ] {
            assert!(canonical(sent).is_err(), "{sent}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_canonical_path_is_its_own_canonical_form(path in "/[a-z%0-9./;A-F]{0,30}") {
            if let Ok(spelled) = canonical(&path) {
                proptest::prop_assert_eq!(canonical(&spelled), Ok(Cow::Borrowed(&*spelled)));
            }
        }
    }
}
