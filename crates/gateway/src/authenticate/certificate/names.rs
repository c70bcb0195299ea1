//! The names in a certificate, out of its DER form (X.690, RFC 5280).
//!
//! Only for certificates whose chain a library has checked or will check; what cannot be read here has no names.

/// Object identifiers: subjectAltName (2.5.29.17) and commonName (2.5.4.3).
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// The longest name that counts, in bytes.
const MAX_NAME: usize = 256;

/// Its alternative names: addresses (URI), DNS names, mail addresses, in that order. Where it has no such extension at
/// all, its one common name (CN).
pub(super) fn of(certificate: &[u8]) -> Vec<String> {
    read(certificate).unwrap_or_default()
}

fn read(certificate: &[u8]) -> Option<Vec<String>> {
    let (whole, rest) = expect(certificate, SEQUENCE)?;
    if !rest.is_empty() {
        return None;
    }
    let (mut fields, _) = expect(whole, SEQUENCE)?;
    let mut subject = None;
    let mut extensions = None;
    let mut sequences = 0;
    while !fields.is_empty() {
        let (tag, content, rest) = next(fields)?;
        fields = rest;
        match tag {
            // Algorithm, issuer, validity, subject, public key.
            SEQUENCE => {
                sequences += 1;
                if sequences == 4 {
                    subject = Some(content);
                }
            }
            0xa3 => extensions = Some(content),
            _ => {}
        }
    }
    match extensions.map(alternative_names) {
        Some(Some(Some(names))) => Some(names),
        Some(None) => None,
        None | Some(Some(None)) => common_name(subject?),
    }
}

/// Outer `None`: unreadable. Inner: there is no such extension.
fn alternative_names(extensions: &[u8]) -> Option<Option<Vec<String>>> {
    let (mut list, _) = expect(extensions, SEQUENCE)?;
    while !list.is_empty() {
        let (extension, rest) = expect(list, SEQUENCE)?;
        list = rest;
        let (id, mut value) = expect(extension, OBJECT_IDENTIFIER)?;
        if id != SUBJECT_ALT_NAME {
            continue;
        }
        if value.first() == Some(&BOOLEAN) {
            value = next(value)?.2;
        }
        let (value, _) = expect(value, OCTET_STRING)?;
        let (mut names, _) = expect(value, SEQUENCE)?;
        let mut found: [Vec<String>; 3] = Default::default();
        while !names.is_empty() {
            let (tag, content, rest) = next(names)?;
            names = rest;
            let kind = match tag {
                0x86 => 0,
                0x82 => 1,
                0x81 => 2,
                _ => continue,
            };
            found[kind].extend(text(content));
        }
        return Some(Some(found.concat()));
    }
    Some(None)
}

/// The common name, if there is exactly one.
fn common_name(mut subject: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    while !subject.is_empty() {
        let (mut set, rest) = expect(subject, SET)?;
        subject = rest;
        while !set.is_empty() {
            let (attribute, rest) = expect(set, SEQUENCE)?;
            set = rest;
            let (id, value) = expect(attribute, OBJECT_IDENTIFIER)?;
            // UTF8String, PrintableString, IA5String.
            if id == COMMON_NAME
                && let (0x0c | 0x13 | 0x16, content, _) = next(value)?
            {
                names.extend(text(content));
            }
        }
    }
    (names.len() == 1).then_some(names)
}

fn text(content: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(content).ok()?;
    let plain = !text.is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control);
    plain.then(|| text.to_owned())
}

fn expect(from: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = next(from)?;
    (tag == wanted).then_some((content, rest))
}

/// Tag, content and what follows. Only definite lengths in their shortest form, and only tags of one byte.
fn next(from: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, from) = from.split_first()?;
    let (&first, from) = from.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, from) = match first {
        0..=0x7f => (usize::from(first), from),
        0x81..=0x83 => {
            let (digits, from) = from.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit));
            let shortest = digits.first() != Some(&0) && length > 0x7f;
            (shortest.then_some(length)?, from)
        }
        _ => return None,
    };
    let (content, rest) = from.split_at_checked(length)?;
    Some((tag, content, rest))
}
