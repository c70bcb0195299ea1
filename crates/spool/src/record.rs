//! A record as bytes: a header of twenty bytes, then the payload. All numbers are little-endian.
//!
//! `length u32 | sequence u64 | CRC-32 of those twelve u32 | CRC-32 of sequence and payload u32 | payload`
//!
//! The header has a checksum of its own so that a damaged length is never mistaken for a record that is still being
//! written. Zeros are not a record: the checksum of twelve zeros is not zero.

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 20;

/// The longest payload.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// A whole record, and how many bytes it takes.
    Whole { sequence: u64, payload: &'a [u8], bytes: usize },
    /// The beginning of a record, or nothing.
    Partial,
    /// Something else.
    Damaged(&'static str),
}

/// Appends the record to `out`. The payload is at most [`MAX_PAYLOAD_BYTES`] long.
pub(crate) fn put(sequence: u64, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut header = [0_u8; HEADER_BYTES];
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4..12].copy_from_slice(&sequence.to_le_bytes());
    let of_header = crc32fast::hash(&header[..12]);
    header[12..16].copy_from_slice(&of_header.to_le_bytes());
    header[16..].copy_from_slice(&payload_checksum(sequence, payload).to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(payload);
}

/// Reads what stands at the beginning of `bytes`.
pub(crate) fn find(bytes: &[u8]) -> Found<'_> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else { return Found::Partial };
    let Some((length, sequence)) = header_of(header) else { return Found::Damaged("the header's checksum is wrong") };
    let Some(payload) = rest.get(..length) else { return Found::Partial };
    if payload_checksum(sequence, payload) != u32_at(header, 16) {
        return Found::Damaged("the payload's checksum is wrong");
    }
    Found::Whole { sequence, payload, bytes: HEADER_BYTES + length }
}

/// Where the next header with a right checksum and at least this sequence number stands, searching byte by byte.
pub(crate) fn next_header(bytes: &[u8], at_least: u64) -> Option<(usize, u64)> {
    bytes.windows(HEADER_BYTES).enumerate().find_map(|(offset, window)| {
        let header: &[u8; HEADER_BYTES] = window.try_into().ok()?;
        let (_, sequence) = header_of(header)?;
        (sequence >= at_least).then_some((offset, sequence))
    })
}

/// The length of the payload and the sequence number, where the bytes begin with a right header.
pub(crate) fn header(bytes: &[u8]) -> Option<(usize, u64)> {
    bytes.first_chunk::<HEADER_BYTES>().and_then(header_of)
}

fn header_of(header: &[u8; HEADER_BYTES]) -> Option<(usize, u64)> {
    let length = u32_at(header, 0) as usize;
    let right = crc32fast::hash(&header[..12]) == u32_at(header, 12) && length <= MAX_PAYLOAD_BYTES;
    let sequence = u64::from(u32_at(header, 4)) | u64::from(u32_at(header, 8)) << 32;
    right.then_some((length, sequence))
}

fn payload_checksum(sequence: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&sequence.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

fn u32_at(header: &[u8; HEADER_BYTES], at: usize) -> u32 {
    let mut bytes = [0_u8; 4];
    bytes.copy_from_slice(&header[at..at + 4]);
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_single_flipped_bit_is_seen() {
        let mut bytes = Vec::new();
        put(41, b"a payload", &mut bytes);
        assert_eq!(find(&bytes), Found::Whole { sequence: 41, payload: b"a payload", bytes: bytes.len() });
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(find(&bytes), Found::Damaged(_)), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn zeros_are_not_a_record() {
        assert!(matches!(find(&[0; 64]), Found::Damaged(_)));
    }
}
