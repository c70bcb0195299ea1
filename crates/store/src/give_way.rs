//! Long stretches of work without a wait, on a processor that a gateway may share. The thread has a lower priority, but a
//! scheduler lets it have the rest of its slice, milliseconds, once it has begun one: calls that come meanwhile would wait for
//! that long.

/// So many items are worked on in some ten microseconds.
const STRETCH: usize = 32;

/// Passes the items on, and lets others have the processor after each few of them. Where nobody wants it, that costs one
/// system call.
pub fn give_way<Item>(items: impl Iterator<Item = Item>) -> impl Iterator<Item = Item> {
    items.enumerate().map(|(index, item)| {
        if index % STRETCH == STRETCH - 1 {
            std::thread::yield_now();
        }
        item
    })
}
