//! What a core has in hand for calls that are read whole and go on without their clients.

use crate::accept::Core;
use std::{cell::Cell, rc::Rc};

/// Bytes of bodies that each core holds at most.
const MOST_BYTES: usize = 256 << 20;

/// Counts of one core.
#[derive(Debug, Default)]
pub(crate) struct InHand {
    calls: Cell<usize>,
    bytes: Cell<usize>,
}

impl InHand {
    /// Whether a call would be cut off if the core stopped now.
    pub(crate) const fn has_calls(&self) -> bool {
        self.calls.get() > 0
    }
}

/// A call that its core carries out by itself.
pub(super) struct Running(pub Rc<Core>);

impl Running {
    pub(super) fn new(core: Rc<Core>) -> Self {
        core.in_hand.calls.set(core.in_hand.calls.get() + 1);
        Self(core)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let calls = &self.0.in_hand.calls;
        calls.set(calls.get().saturating_sub(1));
    }
}

/// Room that is taken, until this is dropped.
pub(super) struct Held {
    core: Rc<Core>,
    bytes: usize,
}

impl Held {
    pub(super) const fn new(core: Rc<Core>) -> Self {
        Self { core, bytes: 0 }
    }

    /// Takes more room, if there is any.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let taken = &self.core.in_hand.bytes;
        let after = taken.get().saturating_add(bytes);
        if after > MOST_BYTES {
            return false;
        }
        taken.set(after);
        self.bytes += bytes;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let taken = &self.core.in_hand.bytes;
        taken.set(taken.get().saturating_sub(self.bytes));
    }
}
