//! What a request with an Idempotency-Key is read as: its key, its whole body, its fingerprint.

use super::{Held, IDEMPOTENCY_KEY};
use crate::{
    accept::{Connection, Core},
    respond::Refusal,
};
use bytes::{Bytes, BytesMut};
use domain::{
    idempotency::{Key, Slot},
    refusal::Code,
};
use hmac::{Hmac, Mac};
use http::{HeaderMap, request::Parts};
use http_body::Body;
use sha2::Sha256;
use std::{future::poll_fn, pin::pin, rc::Rc};

/// The one key of the request.
pub(super) fn key(headers: &HeaderMap) -> Result<Key, Refusal> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(Refusal::of(Code::IdempotencyKeyMissing)),
        (Some(value), None) => Key::parse(value.as_bytes()).map_err(|_| Refusal::of(Code::IdempotencyKeyInvalid)),
        (Some(_), Some(_)) => {
            Err(Refusal::new(Code::IdempotencyKeyInvalid, "The request has more than one Idempotency-Key header."))
        }
    }
}

/// The whole body, without trailers, and the room that it takes.
pub(super) async fn read<B>(
    core: &Rc<Core>,
    connection: &Connection,
    body: B,
    limit: u64,
) -> Result<(Bytes, Held), Refusal>
where
    B: Body<Data = Bytes>,
{
    let too_large = || {
        let why = "A request with an Idempotency-Key is read whole before it is sent on";
        Refusal::new(Code::BodyTooLarge, format!("{why}, so its body is at most {limit} bytes long."))
    };
    if body.size_hint().lower() > limit {
        return Err(too_large());
    }
    let mut held = Held::new(core.clone());
    let mut whole = BytesMut::new();
    let mut body = pin!(body);
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|_| Refusal::new(Code::BadRequest, "The request's body broke off."))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() as u64 + data.len() as u64 > limit {
            return Err(too_large());
        }
        if !held.take(data.len()) {
            return Err(Refusal::of(Code::Overloaded));
        }
        connection.note_body(data.len() as u64);
        whole.extend_from_slice(&data);
    }
    Ok((whole.freeze(), held))
}

/// HMAC-SHA-256 of everything that makes it the same request. Each part is preceded by its length, so that no two requests
/// are written alike.
pub(super) fn fingerprint(mac: &Hmac<Sha256>, slot: &Slot, head: &Parts, path_below: &str, body: &[u8]) -> [u8; 32] {
    let mut mac = mac.clone();
    let query = head.uri.query();
    let parts: [&[u8]; 7] = [
        slot.partner.0.as_bytes(),
        slot.environment.code().as_bytes(),
        slot.product.0.as_bytes(),
        head.method.as_str().as_bytes(),
        path_below.as_bytes(),
        // No query and an empty one are two requests to some upstreams.
        &query.map_or_else(Vec::new, |query| [b"?", query.as_bytes()].concat()),
        body,
    ];
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        id::{OperationId, PartnerId, ProductId},
        key_text::Environment,
    };
    use http::Request;
    use std::collections::HashSet;
    use uuid::Uuid;

    #[test]
    fn every_part_of_the_request_changes_its_fingerprint() {
        let id = Uuid::from_u128;
        let slot = Slot {
            partner: PartnerId(id(1)),
            environment: Environment::Live,
            product: ProductId(id(2)),
            operation: OperationId(id(3)),
            key: Key::parse(b"k").expect("a key"),
        };
        let head = |method: &str, uri: &str| {
            Request::builder().method(method).uri(uri).body(()).expect("a request").into_parts().0
        };
        let mac = |key| crate::authenticate::keyed(&[key; 32]);
        let of =
            |slot: &Slot, head: &Parts, path: &str, body: &str| fingerprint(&mac(1), slot, head, path, body.as_bytes());
        let plain = head("POST", "/x?a=1");
        let all = [
            of(&slot, &plain, "/p", "body"),
            of(&Slot { partner: PartnerId(id(9)), ..slot.clone() }, &plain, "/p", "body"),
            of(&Slot { environment: Environment::Test, ..slot.clone() }, &plain, "/p", "body"),
            of(&Slot { product: ProductId(id(9)), ..slot.clone() }, &plain, "/p", "body"),
            of(&slot, &head("PUT", "/x?a=1"), "/p", "body"),
            of(&slot, &head("POST", "/x?a=2"), "/p", "body"),
            of(&slot, &head("POST", "/x?"), "/p", "body"),
            of(&slot, &head("POST", "/x"), "/p", "body"),
            of(&slot, &plain, "/q", "body"),
            of(&slot, &plain, "/p", "Body"),
            // The same bytes, cut elsewhere.
            of(&slot, &plain, "/pb", "ody"),
            fingerprint(&mac(2), &slot, &plain, "/p", b"body"),
        ];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        assert_eq!(of(&slot, &plain, "/p", "body"), all[0]);
    }
}
