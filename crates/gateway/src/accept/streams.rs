//! The streams of one HTTP/2 connection, and the balance that tells a flood from calls.
//!
//! h2 bounds what a connection may hold in memory; what it does not bound is work that leads to no call: PING, SETTINGS,
//! WINDOW_UPDATE and empty frames, and calls that are taken back at once. A client pays for such bytes with calls, bodies
//! and answers; one that owes too much is closed.

use super::connection::{Connection, Patience};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

/// Bytes that a client may send without any use, until they count as a flood.
const MAX_DEBT_BYTES: u64 = 1 << 20;
/// What a call pays for: its head, and a body that we did not read because we refused it.
const CALL_PAYS_BYTES: u64 = 32 << 10;
/// What the time of one tick pays for.
const TICK_PAYS_BYTES: u64 = 16 << 10;
/// Calls that a client may take back on top of those that it lets finish and of four for each tick.
const MAX_ABANDONED: u64 = 200;
const TICK_PAYS_ABANDONED: u64 = 4;

/// What one HTTP/2 connection carries.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: RefCell<Vec<Rc<Connection>>>,
    /// The stream whose call was taken from hyper and whose task begins next.
    next: RefCell<Option<Rc<Connection>>>,
    read: Cell<u64>,
    paid: Cell<u64>,
    debt: Cell<u64>,
    abandoned: Cell<u64>,
    ended: Cell<u64>,
    abandoned_debt: Cell<u64>,
}

fn add(cell: &Cell<u64>, amount: u64) {
    cell.set(cell.get().saturating_add(amount));
}

impl Streams {
    /// A stream for the request that has just arrived on the connection.
    pub(super) fn open(&self, trunk: &Rc<Connection>) -> Rc<Connection> {
        let stream = Rc::new(trunk.stream());
        self.open.borrow_mut().push(stream.clone());
        *self.next.borrow_mut() = Some(stream.clone());
        trunk.greet();
        add(&self.paid, CALL_PAYS_BYTES);
        stream
    }

    /// The stream that was opened last, for the task that carries it.
    pub(super) fn take_opened(&self) -> Option<Rc<Connection>> {
        self.next.borrow_mut().take()
    }

    pub(super) fn close(&self, stream: &Rc<Connection>) {
        self.open.borrow_mut().retain(|open| !Rc::ptr_eq(open, stream));
        add(&self.ended, 1);
    }

    pub(super) fn are_open(&self) -> bool {
        !self.open.borrow().is_empty()
    }

    pub(super) fn cut_off(&self) {
        self.open.borrow().iter().for_each(|stream| stream.cut_off());
    }

    pub(super) fn note_read(&self, bytes: usize) {
        add(&self.read, bytes as u64);
    }

    pub(super) fn note_written(&self, bytes: usize) {
        // Window updates for what we send.
        add(&self.paid, bytes as u64 / 4);
    }

    pub(super) fn note_uploaded(&self, bytes: u64) {
        // The bytes, and the heads of their frames.
        add(&self.paid, bytes.saturating_mul(2));
    }

    pub(super) fn note_abandoned(&self) {
        add(&self.abandoned, 1);
    }

    /// Keeps the deadlines of the open streams, and says whether the connection is a flood.
    pub(super) fn keep_deadlines(&self, patience: Patience) -> bool {
        for stream in self.open.borrow().iter() {
            stream.keep_deadlines(patience);
        }
        let owed = |debt: &Cell<u64>, spent: u64, paid: u64| {
            debt.set(debt.get().saturating_add(spent).saturating_sub(paid));
            debt.get()
        };
        let bytes = owed(&self.debt, self.read.take(), self.paid.take().saturating_add(TICK_PAYS_BYTES));
        let (abandoned, ended) = (self.abandoned.take(), self.ended.take());
        let kept = ended.saturating_sub(abandoned);
        let calls = owed(&self.abandoned_debt, abandoned, kept.saturating_add(TICK_PAYS_ABANDONED));
        bytes > MAX_DEBT_BYTES || calls > MAX_ABANDONED
    }
}
