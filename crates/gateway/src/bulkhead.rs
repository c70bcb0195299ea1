//! Bulkheads: how many calls of one product may be with its upstream at once, on each core. A product whose upstream hangs
//! keeps its own calls waiting and nobody else's.

use crate::{quick_hash::QuickMap, respond::Refusal, snapshot::Product};
use domain::{id::ProductId, refusal::Code};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

/// The bulkheads of one core.
#[derive(Debug, Default)]
pub(crate) struct Bulkheads {
    in_flight: RefCell<QuickMap<ProductId, Rc<Cell<u32>>>>,
}

/// A call's place, given back by its drop.
#[derive(Debug)]
pub(crate) struct Berth(Rc<Cell<u32>>);

impl Drop for Berth {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl Bulkheads {
    /// A place for one more call of the product; `None` where nothing bounds them. `default` is the installation's bound.
    pub(crate) fn enter(&self, product: &Product, default: Option<u32>) -> Result<Option<Berth>, Refusal> {
        let Some(places) = product.max_in_flight.or(default) else { return Ok(None) };
        let in_flight = self.in_flight.borrow_mut().entry(product.id).or_default().clone();
        if in_flight.get() >= places {
            return Err(Refusal::of(Code::UpstreamBusy).retry_after(1));
        }
        in_flight.set(in_flight.get() + 1);
        Ok(Some(Berth(in_flight)))
    }
}
