//! Places for connections to upstreams: one core opens no more of them than its part of the process's descriptors, whatever
//! its clients ask for. One connection of HTTP/2 alone may carry a hundred calls, each with an upstream's connection.

use std::{cell::Cell, rc::Rc};

/// All places of a core.
#[derive(Debug)]
pub(super) struct Places {
    taken: Rc<Cell<usize>>,
    most: usize,
}

/// One open connection's place, given back by its drop.
#[derive(Debug)]
pub(super) struct Place(Rc<Cell<usize>>);

/// Every place is taken, and no unused connection is left that could make room.
#[derive(Debug, thiserror::Error)]
#[error("as many connections to upstreams are open as this thread may have")]
pub(super) struct NoPlace;

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self { taken: Rc::default(), most }
    }

    /// A place, if there is one.
    pub(super) fn take(&self) -> Result<Place, NoPlace> {
        if self.taken.get() >= self.most {
            return Err(NoPlace);
        }
        self.taken.set(self.taken.get() + 1);
        Ok(Place(self.taken.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
