//! The two partners of the same prices: what they are set up with, and what is kept of each.

use super::{
    calendar::{Calendar, ZONE},
    ledger::{Ledger, Prices, Stretch},
    telling::Told,
};
use crate::{portal::Browser, world::Random};

/// What both partners begin on; its calls take prepaid credit.
pub(super) const SMALL: Prices = Prices { fee: 4_900, unit: 2 };
/// What they change to.
pub(super) const LARGE: Prices = Prices { fee: 49_900, unit: 1 };

/// A partner, its member at the portal, and what it has used.
pub(super) struct Partner {
    pub code: &'static str,
    /// As `partner_0192…`.
    pub id: String,
    pub is_metered: bool,
    /// The provider subscribes it at Stripe, which rates each part of the month then, on invoices that ours do not follow. Where
    /// the server does that, Stripe rates the month without a change of plan.
    pub is_set_up_by_hand: bool,
    pub key: String,
    pub browser: Browser,
    pub ledger: Ledger,
    pub random: Random,
    /// Events that were told so far; the next one's name.
    pub told: u64,
    /// An event that has more units than it should have.
    pub too_many: Option<Told>,
    /// When its first plan began, and its second.
    pub start: i64,
    pub change: i64,
    /// Invoices that it has: what comes late is on the next one.
    pub bills: usize,
    /// What was credited of its invoice, in cents.
    pub credited: i64,
}

impl Partner {
    /// The part before the change of plan, the one after it, the month, and the month that follows.
    pub const fn stretches(&self, calendar: &Calendar) -> [Stretch; 4] {
        let end = calendar.end_of_month(self.start);
        [
            Stretch { from: self.start, to: self.change },
            Stretch { from: self.change, to: end },
            Stretch { from: self.start, to: end },
            Stretch { from: end, to: calendar.end_of_next(self.start) },
        ]
    }
}

/// The same prices for either way to Stripe.
pub(super) fn plans() -> String {
    let plan = |collect: &str, name: &str, prices: Prices, rest: &str| {
        let Prices { fee, unit } = prices;
        format!(
            "  {name}-{}:\n    name: {name}\n    currency: USD\n    interval: month\n    collect: {collect}\n    \
             products: [{{ product: payments }}]\n    base_fee: \"{}.{:02}\"\n    price: {{ model: per_unit, unit_price: \"0.{unit:02}\" }}\n{rest}",
            collect.replace('_', "-"),
            fee / 100,
            fee % 100,
        )
    };
    let prepaid = "    admission: { credit: { required: true } }\n";
    let both = ["invoice_items", "meter_events"]
        .map(|collect| plan(collect, "small", SMALL, prepaid) + &plan(collect, "large", LARGE, ""));
    format!("plans:\n{}", both.concat())
}

pub(super) fn partners() -> String {
    let partner = |code: &str, plan: &str| {
        format!(
            "  {code}:\n    name: Partner {code}\n    time_zone: {ZONE}\n    plan: small-{plan}\n    \
             members: [{{ email: {code}@example.com, name: Chaos, role: owner }}]\n    \
             apps: {{ {code}: {{ name: App, keys: {{ {code}: {{ name: Live, environment: live }} }} }} }}\n"
        )
    };
    format!("partners:\n{}{}", partner("items", "invoice-items"), partner("metered", "meter-events"))
}
