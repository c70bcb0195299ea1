//! The fields of an answer that go to the client as lines, without a header map between.
//!
//! Only for answers that are here as a whole, in the plainest form: their length is said once, nothing of the connection but that it
//! stays, and no trailers. What is taken out of them is what [`crate::headers::to_client`] takes out.

use crate::{
    fields::{self, Fields},
    headers,
    http1::digits,
};

/// Room for what the gateway adds, in bytes.
const ADDED_BYTES: usize = 512;

/// The lines, and the body's length in bytes. `None` where the answer is no such one, or not all of its body is among the bytes that
/// are here. `limited` says that the gateway will say how limits stand.
pub(super) fn of(read: &[httparse::Header<'_>], limited: bool, here: usize) -> Option<(Fields, u64)> {
    let bytes: usize = read.iter().map(|field| field.name.len() + field.value.len() + 4).sum();
    let mut fields = Fields::with_capacity(bytes + ADDED_BYTES);
    let (mut length, mut is_plain) = (None, true);
    for field in read {
        fields.add_read(field.name, field.value, |name| match name {
            "content-length" => {
                let said = digits(field.value).ok();
                is_plain &= said.is_some() && length.is_none();
                length = said;
                false
            }
            "connection" => {
                is_plain &= field.value.eq_ignore_ascii_case(b"keep-alive");
                false
            }
            "transfer-encoding" | "trailer" | "upgrade" => {
                is_plain = false;
                false
            }
            "set-cookie" => !headers::sets_portals(field.value),
            name => !(headers::is_hop_by_hop(name) || fields::is_ours(name, limited)),
        });
        if !is_plain {
            return None;
        }
    }
    let length = length.filter(|length| *length <= here as u64)?;
    Some((fields, length))
}
