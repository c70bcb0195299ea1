//! What a tier is. A plan has immutable versions; the terms below are one version's whole content.

mod periods;

use crate::{
    dunning::UnpaidRules,
    limit::Limit,
    money::{Currency, MICROS, Money},
    period::{Alignment, Interval},
    plan_change::ChangeRules,
    policy::{Admission, is_name},
    product::is_code,
    quota::Quota,
    rating::{
        FeeDue, Trial,
        commitment::Commitment,
        discount::{self, Discount},
        matrix::Cell,
        offers::{Offered, Phase, Promotion},
        price::Price,
    },
};
use serde::{Deserialize, Serialize};

/// Far beyond any fee, and small enough that invoices, ledgers and their sums can hold it.
pub(crate) const LARGEST_AMOUNT_MICROS: i64 = 1_000_000_000 * MICROS;
const MOST_METER_PRICES: usize = 100;

/// Everything that a plan version promises, as operators write it and as the database keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanTerms {
    pub currency: Currency,
    #[serde(default)]
    pub interval: Interval,
    /// Whether periods lie from the subscription's begin on, or with the calendar.
    #[serde(default, skip_serializing_if = "Alignment::is_anchored")]
    pub periods: Alignment,
    /// What the plan opens; a product that is not here is closed.
    pub products: Vec<Grant>,
    /// Calls per window, for each partner and environment.
    #[serde(default)]
    pub limits: Vec<Limit>,
    #[serde(default)]
    pub quota: Option<Quota>,
    /// Billed for each period, in micro-units of the currency.
    #[serde(default)]
    pub base_fee_micros: i64,
    /// Whether the base fee is billed when its period begins or when it ends.
    #[serde(default, skip_serializing_if = "FeeDue::is_arrears")]
    pub fee_due: FeeDue,
    /// What a unit costs.
    #[serde(default)]
    pub price: Price,
    /// What meters besides units cost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meters: Vec<MeterPrice>,
    /// What a period's usage costs at the least, in micro-units of the currency.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub minimum_micros: i64,
    /// Promotions, in the order in which they are taken off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<Discount>,
    /// What it costs instead in a partner's first periods, one phase after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,
    /// What it costs instead between two days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promotions: Vec<Promotion>,
    /// Which of these made the terms of one period what they are; none before [`Self::in_force`].
    #[serde(skip)]
    pub offered: Offered,
    /// What whoever is on the plan promises to use in each period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commitment: Option<Commitment>,
    /// The first days, for whoever comes to the plan for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// As soon as so much was used that no invoice of the period has, one is made at once, in micro-units of the currency; `None` waits
    /// for the end of the period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_threshold_micros: Option<i64>,
    /// Taken off each period's usage charges, in micro-units of the currency; what is left of it expires with the period.
    #[serde(default)]
    pub included_credit_micros: i64,
    /// Named features that the plan opens, in the order in which the pricing page lists them.
    #[serde(default)]
    pub features: Vec<String>,
    /// Features that gates of operations ask for, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opens_features: Vec<String>,
    /// Limits for each app and key, concurrency, pace and credit.
    #[serde(default)]
    pub admission: Admission,
    /// How an invoice reaches Stripe.
    #[serde(default)]
    pub collect: Collect,
    /// How partners come to the plan within a period, and leave it for a smaller one.
    #[serde(default, skip_serializing_if = "ChangeRules::is_default")]
    pub changes: ChangeRules,
    /// What follows when an invoice stays unpaid; nothing where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpaid: Option<UnpaidRules>,
}

/// A product, and which of its operations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The product's code.
    pub product: String,
    /// Operation codes; `None` opens all of them, and those that the document gains later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<Vec<String>>,
}

/// What a meter of a product costs: of a sum each unit of it, of different values each of them, of a level each hour of each unit, and of
/// the largest and the latest value each unit of it, once a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeterPrice {
    /// The product's code.
    pub product: String,
    /// The meter's code.
    pub meter: String,
    pub price: Price,
}

/// How an invoice reaches Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Collect {
    /// We rate; Stripe gets invoice items, and the totals are compared before it finalises.
    #[default]
    InvoiceItems,
    /// Stripe rates the units, of which it gets meter events, and all else is items of ours.
    MeterEvents,
}

/// Whether a partner has a plan at once or after an operator said yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    #[default]
    Automatic,
    Queue,
}

impl Approval {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Queue => "queue",
        }
    }
}

impl std::str::FromStr for Approval {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "automatic" => Ok(Self::Automatic),
            "queue" => Ok(Self::Queue),
            _ => Err(format!("{text:?} is not known: automatic or queue")),
        }
    }
}

impl Collect {
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvoiceItems => "invoice_items",
            Self::MeterEvents => "meter_events",
        }
    }
}

impl std::str::FromStr for Collect {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "invoice_items" => Ok(Self::InvoiceItems),
            "meter_events" => Ok(Self::MeterEvents),
            _ => Err(format!("{text:?} is not known: invoice_items or meter_events")),
        }
    }
}

/// One thing wrong with terms: which field, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The field's name as the form and the YAML have it, as `limits[1].calls`.
    pub field: String,
    /// A sentence for the person who wrote it.
    pub message: String,
}

impl Problem {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl PlanTerms {
    /// What happens to calls beyond the quota, as a sentence; where credit is required it pays, whatever the quota says.
    pub fn beyond_quota(&self) -> Option<&'static str> {
        match (self.quota, self.admission.credit.required) {
            (Some(_), true) => Some("Calls beyond it take prepaid credit"),
            (quota, _) => quota.map(|quota| quota.beyond.describe()),
        }
    }

    /// Whether the plan opens this operation of this product.
    pub fn opens(&self, product: &str, operation: &str) -> bool {
        self.grant(product).is_some_and(|grant| grant.opens(operation))
    }

    /// What the plan opens of this product.
    pub fn grant(&self, product: &str) -> Option<&Grant> {
        self.products.iter().find(|grant| grant.product == product)
    }

    pub const fn base_fee(&self) -> Money {
        Money::new(self.currency, self.base_fee_micros)
    }

    pub const fn included_credit(&self) -> Money {
        Money::new(self.currency, self.included_credit_micros)
    }

    /// What a period's usage costs at the least.
    pub const fn minimum(&self) -> Money {
        Money::new(self.currency, self.minimum_micros)
    }

    /// The terms of what is billed when a period ends: without a fee that is billed when it begins.
    #[must_use]
    pub fn in_arrears(mut self) -> Self {
        if self.fee_due == FeeDue::Advance {
            self.base_fee_micros = 0;
        }
        self
    }

    /// Leaves out all that names a product that somebody may not know of.
    pub fn conceal(&mut self, is_hidden: impl Fn(&str) -> bool) {
        self.products.retain(|grant| !is_hidden(&grant.product));
        self.meters.retain(|meter| !is_hidden(&meter.product));
        self.retain_cells(|cell| !is_hidden(&cell.product));
        for instead in self.offers_mut() {
            instead.meters.retain(|meter| !is_hidden(&meter.product));
        }
    }

    /// Keeps only such prices of operations and products, those of offers too.
    pub(crate) fn retain_cells(&mut self, keeps: impl Fn(&Cell) -> bool) {
        let retain = |price: &mut Price| {
            if let Price::Matrix { cells, .. } = price {
                cells.retain(&keeps);
            }
        };
        retain(&mut self.price);
        self.offers_mut().filter_map(|instead| instead.price.as_mut()).for_each(retain);
    }

    /// Whether there is more in a list than a plan may have. Such terms are looked at no further.
    pub fn size_problems(&self) -> Vec<Problem> {
        if self.meters.len() > MOST_METER_PRICES {
            return vec![Problem::new("meters", "A plan has prices for at most 100 meters")];
        }
        let of_meters = self.meters.iter().enumerate().filter_map(|(index, meter)| {
            let Problem { field, message } = meter.price.size_problem()?;
            Some(Problem::new(format!("meters[{index}].{field}"), message))
        });
        let of_commitment = self.commitment.iter().filter_map(Commitment::size_problem);
        let problems: Vec<Problem> =
            self.price.size_problem().into_iter().chain(of_meters).chain(of_commitment).collect();
        if problems.is_empty() { self.offers_size_problems() } else { problems }
    }

    /// All that is wrong with the terms by themselves; that products exist is checked where they are kept.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.size_problems();
        if !problems.is_empty() {
            return problems;
        }
        let coin = self.currency.micros_per_minor();
        if self.base_fee_micros < 0 || self.base_fee_micros % coin != 0 {
            problems.push(Problem::new("base_fee", "The base fee is zero or more, in whole coins of the currency"));
        }
        if self.included_credit_micros < 0 || self.included_credit_micros % coin != 0 {
            problems.push(Problem::new("included_credit", "Included credit is zero or more, in whole coins"));
        }
        if self.minimum_micros < 0 || self.minimum_micros % coin != 0 {
            problems.push(Problem::new("minimum", "The minimum is zero or more, in whole coins of the currency"));
        }
        for (field, micros) in [
            ("base_fee", self.base_fee_micros),
            ("included_credit", self.included_credit_micros),
            ("minimum", self.minimum_micros),
        ] {
            if micros > LARGEST_AMOUNT_MICROS {
                problems.push(Problem::new(field, "An amount is at most 1,000,000,000"));
            }
        }
        for (index, limit) in self.limits.iter().enumerate() {
            if limit.calls == 0 {
                problems.push(Problem::new(format!("limits[{index}].calls"), "A limit allows at least one call"));
            }
            if self.limits[..index].iter().any(|earlier| earlier.window == limit.window) {
                let message = format!("There are two limits a {}; keep one", limit.window.code());
                problems.push(Problem::new(format!("limits[{index}].window"), message));
            }
        }
        for (index, grant) in self.products.iter().enumerate() {
            if !is_code(&grant.product) {
                problems.push(Problem::new(format!("products[{index}].product"), "This is not a product code"));
            }
            if self.products[..index].iter().any(|earlier| earlier.product == grant.product) {
                let message = format!("{} is listed twice; list it once", grant.product);
                problems.push(Problem::new(format!("products[{index}].product"), message));
            }
        }
        self.admission.problems(&mut problems);
        for (index, feature) in self.opens_features.iter().enumerate().filter(|(_, feature)| !is_name(feature)) {
            let message = format!("{feature:?} is not a name: 1 to 64 letters, digits, and : . - _");
            problems.push(Problem::new(format!("opens_features[{index}]"), message));
        }
        problems.extend(self.unpaid_problems());
        problems.extend(self.fee_bonus_problem());
        problems.extend(self.threshold_problem());
        problems.extend(self.calendar_problems());
        problems.extend(self.changes.problems());
        problems.extend(self.price_problems());
        problems.extend(self.offer_problems());
        problems
    }

    /// Only what is paid in advance is waited for.
    fn fee_bonus_problem(&self) -> Option<Problem> {
        self.admission.credit.fee_bonus?;
        let is_ahead = self.fee_due == FeeDue::Advance && self.base_fee_micros > 0;
        let message = "A bonus is for a base fee that is billed when its period begins; have one (fee_due: advance), or leave the bonus out";
        (!is_ahead).then(|| Problem::new("admission.credit.fee_bonus.units", message))
    }

    fn unpaid_problems(&self) -> Vec<Problem> {
        let Some(rules) = &self.unpaid else { return Vec::new() };
        let own = &self.admission;
        let has_limits = !(self.limits.is_empty() && own.app_limits.is_empty() && own.key_limits.is_empty());
        rules.problems(self.currency, LARGEST_AMOUNT_MICROS, has_limits)
    }

    /// What is wrong with the price of units.
    pub(crate) fn unit_price_problems(&self) -> Vec<Problem> {
        let mut problems = self.price.problems(self.currency);
        match &self.price {
            Price::Percentage(_) => {
                let message = "Units have no value to take a share of; give this price to a meter that adds up amounts";
                problems.push(Problem::new("price.model", message));
            }
            Price::Matrix { cells, .. } => {
                for (index, cell) in cells.iter().enumerate() {
                    let grant = self.grant(&cell.product);
                    let closed = cell.operation.as_ref().filter(|code| grant.is_some_and(|grant| !grant.opens(code)));
                    let (field, message) = match (grant, closed) {
                        (None, _) => ("product", format!("The plan does not open {}", cell.product)),
                        (_, Some(code)) => ("operation", format!("The plan does not open {code} of {}", cell.product)),
                        _ => continue,
                    };
                    problems.push(Problem::new(format!("price.cells[{index}].{field}"), message));
                }
            }
            _ => {}
        }
        if self.collect == Collect::MeterEvents {
            problems.extend(self.stripe_price_problem());
        }
        problems
    }

    /// What is wrong with the prices of meters.
    pub(crate) fn meter_price_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (index, price) in self.meters.iter().enumerate() {
            let mut add = |field: &str, message: String| {
                problems.push(Problem::new(format!("meters[{index}]{field}"), message));
            };
            if self.grant(&price.product).is_none() {
                add(".product", format!("The plan does not open {}", price.product));
            }
            let same = |other: &MeterPrice| (&other.product, &other.meter) == (&price.product, &price.meter);
            if self.meters[..index].iter().any(same) {
                add("", format!("{} of {} is priced twice; keep one", price.meter, price.product));
            }
            if matches!(price.price, Price::Matrix { .. }) {
                add(".price.model", "Meters are not told by operation; only units have such a price".to_owned());
            }
            for Problem { field, message } in price.price.problems(self.currency) {
                add(&format!(".{field}"), message);
            }
        }
        problems
    }

    fn price_problems(&self) -> Vec<Problem> {
        let mut problems = self.unit_price_problems();
        problems.extend(self.meter_price_problems());
        problems.extend(discount::problems(&self.discounts));
        problems.extend(self.trial.iter().flat_map(Trial::problems));
        problems.extend(self.commitment.iter().flat_map(|own| own.problems(self.currency, LARGEST_AMOUNT_MICROS)));
        problems
    }

    /// A price of units that Stripe would rate otherwise than we: it rates the units of each product by themselves.
    fn stripe_price_problem(&self) -> Option<Problem> {
        let by_product = "Stripe rates the units of each product by themselves; open one product, or choose invoice_items for how \
                          invoices reach Stripe";
        let several = self.products.len() > 1;
        match &self.price {
            Price::Matrix { .. } => {
                let message = "Stripe does not know operations: choose invoice_items for how invoices reach Stripe";
                Some(Problem::new("price.model", message))
            }
            Price::Package { included: 1.., .. } => {
                let message = "Stripe has no packages with included units: include none, or choose invoice_items for how \
                               invoices reach Stripe";
                Some(Problem::new("price.included", message))
            }
            Price::Volume { .. } | Price::Graduated { .. } | Price::Package { .. } if several => {
                Some(Problem::new("price.model", by_product))
            }
            Price::PerUnit { included: 1.., .. } if several => Some(Problem::new("price.included", by_product)),
            _ => None,
        }
    }
}

/// What most plans have is not written down.
fn is_zero(micros: &i64) -> bool {
    *micros == 0
}

impl Grant {
    pub fn opens(&self, operation: &str) -> bool {
        self.operations.as_ref().is_none_or(|only| only.iter().any(|code| code == operation))
    }
}
