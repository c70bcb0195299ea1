//! Everything that the stand-in holds, and its clock.

use crate::{
    cycles, cycles::Cycle, faults::Faults, idempotency::Saved, limits::Limits, rating::Rounding, subscriptions,
    tax::Tax, webhooks::Delivery,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{SystemTime, UNIX_EPOCH},
};

/// Stripe's search shows an object only after about a minute, and meter summaries lag as well.
pub const SEARCH_DELAY_SECONDS: i64 = 60;

/// One account's objects, each kind in the order of creation.
#[derive(Default)]
pub struct Account {
    /// How far the clock is ahead of the machine's, in seconds.
    pub ahead_seconds: i64,
    pub customers: Objects,
    pub invoice_items: Objects,
    pub invoices: Objects,
    /// Whether Stripe Tax is set up.
    pub tax: Option<Tax>,
    /// What was computed with for the invoices that ask for tax, of ten thousand.
    pub tax_rates: BTreeMap<String, i64>,
    pub credit_notes: Objects,
    pub meters: Objects,
    pub products: Objects,
    pub checkout_sessions: Objects,
    /// Sessions of which what is paid with is kept for later.
    pub pages_that_keep: BTreeSet<String>,
    pub payment_methods: Objects,
    pub payment_intents: Objects,
    pub charges: Objects,
    /// Which payments paid which invoices.
    pub invoice_payments: Objects,
    pub refunds: Objects,
    pub disputes: Objects,
    pub prices: Objects,
    pub meter_events: Vec<MeterEvent>,
    /// Tokens of meter event sessions, and until when each holds.
    pub meter_tokens: BTreeMap<String, i64>,
    pub events: Objects,
    pub saved: BTreeMap<String, Saved>,
    pub faults: Faults,
    pub limits: Limits,
    pub subscriptions: Objects,
    /// Lines that prices and usage have made; those of a draft are rated anew until it is final.
    pub rated_lines: Objects,
    /// Of each invoice of a subscription: when the period after it ends, and the items as they were.
    pub billed_items: BTreeMap<String, (i64, Value)>,
    /// How the amount of such a line becomes whole coins.
    pub rounding: Rounding,
    /// Periods of what was set up by hand.
    pub cycles: Vec<Cycle>,
    /// Events that Stripe tells by a reference only; what they say is asked for.
    pub thin_events: Objects,
    pub deliveries: Vec<Delivery>,
    /// Each request that was authenticated: method, path, parameters, status.
    pub log: Vec<Value>,
    pub counter: u64,
    pub invoice_numbers: u64,
}

/// A meter event that was accepted.
#[derive(Debug, Clone)]
pub struct MeterEvent {
    pub event_name: String,
    pub identifier: String,
    pub customer: String,
    pub value: i64,
    pub timestamp: i64,
    pub received: i64,
}

/// Objects of one kind, oldest first.
#[derive(Default)]
pub struct Objects {
    all: Vec<Value>,
    places: HashMap<String, usize>,
}

impl Objects {
    pub fn add(&mut self, object: Value) -> Value {
        self.places.insert(id_of(&object), self.all.len());
        self.all.push(object.clone());
        object
    }

    pub fn get(&self, id: &str) -> Option<&Value> {
        self.all.get(*self.places.get(id)?)
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut Value> {
        self.all.get_mut(*self.places.get(id)?)
    }

    pub fn remove(&mut self, id: &str) {
        if self.places.contains_key(id) {
            self.retain(|object| object["id"] != id);
        }
    }

    pub fn retain(&mut self, keeps: impl Fn(&Value) -> bool) {
        self.all.retain(keeps);
        self.places = self.all.iter().enumerate().map(|(place, object)| (id_of(object), place)).collect();
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.all.iter()
    }

    pub fn all(&self) -> &[Value] {
        &self.all
    }
}

fn id_of(object: &Value) -> String {
    object["id"].as_str().unwrap_or_default().to_owned()
}

impl Account {
    /// Seconds since 1970 by the account's own clock.
    pub fn now(&self) -> i64 {
        let machine = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        i64::try_from(machine).unwrap_or(0) + self.ahead_seconds
    }

    /// A new identifier, as `cus_Nx0…`: unlike any other, and unlike its neighbour.
    pub fn new_id(&mut self, prefix: &str) -> String {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        self.counter += 1;
        let mut id = String::from(prefix);
        let mut mixed = self.counter;
        for _ in 0..14 {
            mixed = mixed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            id.push(char::from(DIGITS[(mixed >> 33) as usize % 62]));
        }
        format!("{id}{:04}", self.counter)
    }

    /// Moves the clock and does what falls due.
    pub fn advance(&mut self, seconds: i64) {
        self.ahead_seconds += seconds;
        self.do_what_is_due();
    }

    /// Drafts that advance by themselves are finalised an hour after their creation, and periods of subscriptions end.
    pub fn do_what_is_due(&mut self) {
        cycles::advance(self);
        subscriptions::advance(self);
        let due_before = self.now() - cycles::DRAFT_SECONDS;
        let due: Vec<String> = self
            .invoices
            .iter()
            .filter(|invoice| invoice["status"] == "draft" && invoice["auto_advance"] == true)
            .filter(|invoice| invoice["created"].as_i64().is_some_and(|created| created <= due_before))
            .filter_map(|invoice| invoice["id"].as_str().map(str::to_owned))
            .collect();
        for id in due {
            let _ = crate::invoices::finalize(self, &id, &crate::params::Params::default());
        }
    }

    /// Everything that a test compares.
    pub fn dump(&self) -> Value {
        let meter_events: Vec<Value> = self
            .meter_events
            .iter()
            .map(|event| {
                json!({ "event_name": event.event_name, "identifier": event.identifier, "customer": event.customer,
                    "value": event.value, "timestamp": event.timestamp, "received": event.received })
            })
            .collect();
        let invoices = crate::invoices::all_shown(self, self.invoices.iter());
        json!({
            "now": self.now(), "customers": self.customers.all(), "invoices": invoices, "credit_notes": self.credit_notes.all(),
            "invoice_items": self.invoice_items.all(), "meters": self.meters.all(),
            "subscriptions": self.subscriptions.all(), "rated_lines": self.rated_lines.all(),
            "checkout_sessions": self.checkout_sessions.all(), "payment_methods": self.payment_methods.all(),
            "payment_intents": self.payment_intents.all(), "charges": self.charges.all(), "refunds": self.refunds.all(),
            "disputes": self.disputes.all(), "invoice_payments": self.invoice_payments.all(),
            "products": self.products.all(), "prices": self.prices.all(), "meter_events": meter_events,
            "events": self.events.all(), "thin_events": self.thin_events.all(),
            "limits": { "most_in_a_second": self.limits.most_begun, "most_at_once": self.limits.most_at_once,
                "overlapping_meter_events": self.limits.overlapping },
        })
    }
}
