//! The fields of a head: cut out of the bytes that were read, and what they say about framing and the connection.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{CONNECTION, CONTENT_LENGTH},
};

/// The most fields in a head, or in trailers.
pub(crate) const MAX_FIELDS: usize = 100;

/// Where the names and values of a head's fields begin and end.
pub(crate) struct Places {
    places: [[u16; 4]; MAX_FIELDS],
    count: usize,
}

impl Places {
    /// Of fields that were read from these bytes, none of which is beyond the range of `u16`.
    pub(crate) fn of(read: &[u8], fields: &[httparse::Header<'_>]) -> Self {
        let start = read.as_ptr() as usize;
        let mut places = [[0; 4]; MAX_FIELDS];
        for (place, field) in places.iter_mut().zip(fields) {
            let (name, value) = (field.name.as_ptr() as usize - start, field.value.as_ptr() as usize - start);
            *place = [name, name + field.name.len(), value, value + field.value.len()].map(|at| at as u16);
        }
        Self { places, count: fields.len() }
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Adds the fields to the headers, and shows each name. Values are parts of the head, not copies.
    ///
    /// # Errors
    /// A name or value is malformed.
    pub(crate) fn cut(
        &self,
        head: &Bytes,
        headers: &mut HeaderMap,
        mut see: impl FnMut(&HeaderName),
    ) -> Result<(), Malformed> {
        for place in self.places.iter().take(self.count) {
            let [name, name_end, value, value_end] = place.map(usize::from);
            let name = HeaderName::from_bytes(head.get(name..name_end).unwrap_or_default());
            let value = HeaderValue::from_maybe_shared(head.slice(value..value_end));
            let (Ok(name), Ok(value)) = (name, value) else { return Err(Malformed) };
            see(&name);
            headers.append(name, value);
        }
        Ok(())
    }
}

/// A field that is none.
#[derive(Debug)]
pub(crate) struct Malformed;

/// Whether an empty line is in there.
pub(crate) fn has_end(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

/// The body's announced length in bytes.
///
/// # Errors
/// There are several, or it is not plain digits; in these words.
pub(crate) fn length(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return Ok(None) };
    if lengths.next().is_some() {
        return Err("it has more than one length");
    }
    digits(first.as_bytes()).map(Some)
}

/// A length in bytes that one field says.
///
/// # Errors
/// It is not plain digits; in these words.
pub(crate) fn digits(text: &[u8]) -> Result<u64, &'static str> {
    if text.is_empty() || text.len() > 19 || !text.iter().all(u8::is_ascii_digit) {
        return Err("its length is no number");
    }
    Ok(text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// Whether the connection may carry another message.
pub(crate) fn keeps_alive(headers: &HeaderMap, version: Version) -> bool {
    let says = |option: &str| {
        let values = headers.get_all(CONNECTION).iter();
        values
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .any(|word| word.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
    };
    !says("close") && (version == Version::HTTP_11 || says("keep-alive"))
}
