//! The streams of one HTTP/2 connection, and the balance that tells a flood from calls.
//!
//! h2 bounds what a connection may hold in memory; what it does not bound is work that leads to no call: PING, SETTINGS,
//! WINDOW_UPDATE and empty frames, and calls that are taken back at once. A client pays for such frames and bytes with calls,
//! bodies and answers; one that owes too much is closed.

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

/// Frames without a use that a client may send on top of what it has paid for: each is work for us and next to none for it.
const MAX_FRAMES_OWED: i64 = 256;
/// What the time of one tick pays for, in frames.
const TICK_PAYS_FRAMES: i64 = 16;
/// What a call pays for: windows that it opens, for itself and for the connection.
const CALL_PAYS_FRAMES: i64 = 4;
/// What we write pays for: a client may open its window again for each piece that it reads.
const WRITE_PAYS_FRAMES: i64 = 2;
const BYTES_PAY_A_FRAME: usize = 1 << 10;
/// What may be paid ahead.
const MOST_PAID_AHEAD: i64 = -4_096;

/// Kinds of frames and a flag of theirs (RFC 9113, 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;

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
    frames_owed: Cell<i64>,
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

    /// A frame has come whose payload is that long.
    pub(super) fn note_frame(&self, kind: u8, flags: u8, payload: usize) {
        match kind {
            HEADERS => self.pay_frames(CALL_PAYS_FRAMES),
            // What a body is made of, or how it ends.
            DATA if payload > 0 || flags & END_STREAM != 0 => {}
            _ => self.frames_owed.set(self.frames_owed.get().saturating_add(1)),
        }
    }

    /// Whether so many frames came that led to nothing that the connection has to end at once.
    pub(super) fn owes_frames(&self) -> bool {
        self.frames_owed.get() > MAX_FRAMES_OWED
    }

    #[cfg(test)]
    pub(super) fn frames_owed(&self) -> i64 {
        self.frames_owed.get()
    }

    fn pay_frames(&self, frames: i64) {
        self.frames_owed.set((self.frames_owed.get() - frames).max(MOST_PAID_AHEAD));
    }

    pub(super) fn note_written(&self, bytes: usize) {
        let pieces = i64::try_from(bytes / BYTES_PAY_A_FRAME).unwrap_or(i64::MAX - WRITE_PAYS_FRAMES);
        self.pay_frames(WRITE_PAYS_FRAMES + pieces);
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
        if self.frames_owed.get() > 0 {
            self.frames_owed.set((self.frames_owed.get() - TICK_PAYS_FRAMES).max(0));
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
