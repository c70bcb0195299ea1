//! Any bytes in the place of a usage event: they are one, in their only form, or refused. `cargo xtask check fuzz` runs this for
//! as long as one likes.

use domain::{
    id::{AppId, KeyId, PartnerId, ProductId},
    usage::{UsageEvent, wire},
};
use jiff::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

fn encoded(event: &UsageEvent<String>) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::encode(event, &mut bytes);
    bytes
}

/// What is decoded has one form in bytes, which is the one it came from; versions before are read, and written as the newest.
fn check(bytes: &[u8]) {
    if let Ok(event) = wire::decode(bytes) {
        let again = encoded(&event);
        assert_eq!(wire::decode(&again).as_ref(), Ok(&event));
        if bytes.first() == again.first() {
            assert_eq!(again, bytes, "the only form");
        }
    }
}

fn event() -> UsageEvent<String> {
    let ids = |number| Uuid::from_u128(number);
    let mut event = UsageEvent::new(Timestamp::UNIX_EPOCH, PartnerId(ids(1)), AppId(ids(2)), KeyId(ids(3)));
    event.product = Some(ProductId(ids(4)));
    event.path = "/payments/{id}".to_owned();
    event.request_id = "a request".to_owned();
    event.units = 300;
    event.credits = 7;
    event
}

proptest! {
    #[test]
    fn fuzz_any_bytes_are_an_event_or_refused(version in 0_u8..4, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes);
        // Further than the version, which chance seldom guesses.
        check(&[&[version], bytes.as_slice()].concat());
    }

    #[test]
    fn fuzz_a_harmed_event_is_another_one_or_refused(
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<usize>()), more in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = encoded(&event());
        for (place, change) in changes {
            let length = bytes.len();
            bytes[place % length] ^= change;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut % (bytes.len() + 1));
        }
        check(&bytes);
        bytes.extend_from_slice(&more);
        check(&bytes);
    }
}
