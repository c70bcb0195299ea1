//! What the API keeps while it runs.

use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Of each kind, the newest this many are kept.
const KEPT: usize = 20_000;

/// A payment. Amounts are in the smallest coin of the currency.
#[derive(Debug, Clone, Serialize)]
pub struct Payment {
    pub id: String,
    pub status: PaymentStatus,
    pub amount: i64,
    pub amount_refunded: i64,
    pub currency: String,
    pub customer: Option<String>,
    pub reference: Option<String>,
    pub description: Option<String>,
    pub created_at: String,
    pub captured_at: Option<String>,
    pub canceled_at: Option<String>,
}

/// How far a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    RequiresCapture,
    Succeeded,
    Refunded,
    Canceled,
}

impl PaymentStatus {
    pub const ALL: [Self; 4] = [Self::RequiresCapture, Self::Succeeded, Self::Refunded, Self::Canceled];

    pub const fn code(self) -> &'static str {
        match self {
            Self::RequiresCapture => "requires_capture",
            Self::Succeeded => "succeeded",
            Self::Refunded => "refunded",
            Self::Canceled => "canceled",
        }
    }
}

/// Money on its way back.
#[derive(Debug, Clone, Serialize)]
pub struct Refund {
    pub id: String,
    pub payment: String,
    pub amount: i64,
    pub currency: String,
    pub reason: Option<String>,
    pub status: &'static str,
    pub created_at: String,
}

/// Who pays.
#[derive(Debug, Clone, Serialize)]
pub struct Customer {
    pub id: String,
    pub name: String,
    pub email: String,
    pub country: String,
    pub created_at: String,
}

/// Things of one kind by their ids, which rise with time: `pay_000001`.
#[derive(Debug)]
pub struct Shelf<T> {
    prefix: &'static str,
    made: u64,
    things: BTreeMap<String, T>,
}

impl<T: Clone> Shelf<T> {
    pub const fn new(prefix: &'static str) -> Self {
        Self { prefix, made: 0, things: BTreeMap::new() }
    }

    /// Keeps what `make` makes of its id.
    pub fn add(&mut self, make: impl FnOnce(String) -> T) -> T {
        self.made += 1;
        let id = format!("{}_{:06}", self.prefix, self.made);
        let thing = make(id.clone());
        self.things.insert(id, thing.clone());
        if self.things.len() > KEPT {
            self.things.pop_first();
        }
        thing
    }

    pub fn get(&self, id: &str) -> Option<&T> {
        self.things.get(id)
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.things.get_mut(id)
    }

    /// The newest first, those made before `cursor` where there is one.
    pub fn newest_before(&self, cursor: Option<&str>) -> impl Iterator<Item = (&String, &T)> {
        let cursor = cursor.map(str::to_owned);
        self.things.iter().rev().filter(move |(id, _)| cursor.as_ref().is_none_or(|cursor| *id < cursor))
    }
}

/// Everything.
#[derive(Debug)]
pub struct State {
    pub payments: Shelf<Payment>,
    pub refunds: Shelf<Refund>,
    pub customers: Shelf<Customer>,
}

/// The state, shared by all requests.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// RFC 3339 in UTC, whole seconds.
pub fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}
