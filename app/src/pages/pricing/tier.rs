//! A plan's terms in words: the same on the front page, the price list and wherever tiers are compared.

use super::names::Names;
use domain::{
    money::{Currency, Money, group_thousands},
    period::{Alignment, Interval},
    plan::{MeterPrice, PlanTerms},
    product::Visibility,
    quota::Beyond,
    rating::{
        FeeDue,
        commitment::CommitmentStep,
        discount::DiscountOn,
        percentage::Percentage,
        price::{Price, Step},
    },
};
use rust_decimal::Decimal;
use store::ProductLine;

/// The base fee, as `$49.00`, or `Free`.
pub fn price(terms: &PlanTerms) -> String {
    match (terms.base_fee_micros, free_usage(terms)) {
        (0, true) => "Free".to_owned(),
        (0, false) => "No base fee".to_owned(),
        _ => terms.base_fee().to_string(),
    }
}

/// What stands beside the base fee: `a month, then $0.002 a unit`.
pub fn price_note(terms: &PlanTerms) -> String {
    let every = if terms.base_fee_micros == 0 { String::new() } else { format!("a {}", interval(terms.interval)) };
    let usage = match &terms.price {
        _ if free_usage(terms) => String::new(),
        Price::Free => String::new(),
        Price::PerUnit { included: 0, unit_price } => format!("{} a unit", amount(terms.currency, *unit_price)),
        Price::PerUnit { unit_price, .. } => format!("then {} a unit", amount(terms.currency, *unit_price)),
        Price::Graduated { steps } => {
            let last = steps.last().map_or(Decimal::ZERO, |step| step.unit_price);
            format!("usage from {} a unit", amount(terms.currency, last))
        }
        Price::Volume { steps } => {
            let least = steps.iter().map(|step| step.unit_price).min().unwrap_or_default();
            format!("usage from {} a unit", amount(terms.currency, least))
        }
        Price::Package { included, size, package_price } => {
            let then = if *included > 0 { "then " } else { "" };
            format!("{then}{} for {} units", amount(terms.currency, *package_price), group_thousands(*size))
        }
        Price::Matrix { cells, otherwise, .. } => {
            let least = cells.iter().map(|cell| cell.unit_price).fold(*otherwise, Decimal::min);
            format!("usage from {} a unit", amount(terms.currency, least))
        }
        Price::Percentage(_) => String::new(),
    };
    [every, usage].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// What units cost, a line for each step, and meters, a line for each.
pub fn usage_price(terms: &PlanTerms, names: &Names) -> Vec<String> {
    let mut lines = unit_price(terms, names);
    lines.extend(meter_prices(terms, names));
    lines.extend(rules(terms));
    lines
}

/// What units cost, a line for each step.
pub fn unit_price(terms: &PlanTerms, names: &Names) -> Vec<String> {
    let of = |price: Decimal| {
        if price.is_zero() { "free".to_owned() } else { format!("{} a unit", amount(terms.currency, price)) }
    };
    match &terms.price {
        Price::Free if terms.meters.is_empty() => vec!["Usage costs nothing".to_owned()],
        Price::Free => vec!["Units cost nothing".to_owned()],
        Price::PerUnit { included: 0, unit_price } => vec![of(*unit_price)],
        Price::PerUnit { included, unit_price } => {
            vec![format!("First {} units free", group_thousands(*included)), format!("Then {}", of(*unit_price))]
        }
        Price::Graduated { steps } => {
            let mut from = 1;
            let mut lines = Vec::new();
            for step in steps {
                lines.push(match step.up_to {
                    Some(to) => {
                        format!("Unit {} to {}: {}", group_thousands(from), group_thousands(to), of(step.unit_price))
                    }
                    None => format!("From unit {}: {}", group_thousands(from), of(step.unit_price)),
                });
                from = step.up_to.unwrap_or(from).saturating_add(1);
            }
            lines
        }
        Price::Volume { steps } => steps.iter().map(|step| reach(step, &of(step.unit_price))).collect(),
        Price::Package { included, size, package_price } => {
            let each = format!(
                "{} for each {} units that are begun",
                amount(terms.currency, *package_price),
                group_thousands(*size)
            );
            match included {
                0 => vec![each],
                free => vec![format!("First {} units free", group_thousands(*free)), format!("Then {each}")],
            }
        }
        Price::Matrix { included, cells, otherwise } => {
            let mut lines = Vec::new();
            if *included > 0 {
                lines.push(format!("First {} units free", group_thousands(*included)));
            }
            lines.extend(cells.iter().map(|cell| {
                let has_others = cells.iter().any(|other| other.product == cell.product && other.operation.is_some());
                let what = match &cell.operation {
                    Some(operation) => names.operation(&cell.product, operation),
                    None if has_others => names.rest(&cell.product),
                    None => names.product(&cell.product).to_owned(),
                };
                format!("For {what}: {}", of(cell.unit_price))
            }));
            lines.push(format!("Everything else: {}", of(*otherwise)));
            lines
        }
        // Only meters have one.
        Price::Percentage(_) => Vec::new(),
    }
}

/// A step of a volume price: `Up to 1,000: $0.01 a unit, from the first on`.
fn reach(step: &Step, price: &str) -> String {
    match step.up_to {
        Some(end) => format!("Up to {}: {price}, from the first on", group_thousands(end)),
        None => format!("With more: {price}, from the first on"),
    }
}

/// What is owed at the least, and what is taken off, a line for each.
pub fn rules(terms: &PlanTerms) -> Vec<String> {
    let every = interval(terms.interval);
    let mut lines = Vec::new();
    if terms.minimum_micros > 0 {
        lines.push(format!("At least {} of usage a {every}", terms.minimum()));
    }
    if let Some(threshold) = terms.invoice_threshold(None) {
        lines.push(format!("Usage is invoiced whenever it comes to {threshold}, and the rest when the {every} ends"));
    }
    for discount in &terms.discounts {
        let of = match discount.on {
            DiscountOn::Everything => "everything",
            DiscountOn::BaseFee => "the base fee",
            DiscountOn::Usage => "usage",
        };
        let long = match discount.periods {
            None => String::new(),
            Some(1) => format!(" in the first {every}"),
            Some(periods) => format!(" in the first {periods} {every}s"),
        };
        lines.push(format!("{}: {} % off {of}{long}", discount.name.trim(), discount.percent.normalize()));
    }
    if let Some(commitment) = &terms.commitment {
        let money = |micros| Money::new(terms.currency, micros).to_string();
        let step = |step: &CommitmentStep| match step.up_to_micros {
            Some(end) => format!("{} % off to {}", step.percent.normalize(), money(end)),
            None => format!("{} % off the rest", step.percent.normalize()),
        };
        let promised = format!("You commit to {} of usage a {every}", money(commitment.micros));
        let off: Vec<String> = commitment.discounts.iter().map(step).collect();
        lines.push([vec![promised], off].concat().join(", "));
    }
    lines
}

/// The first days: `14 days free to begin with, with 1,000 units`.
pub fn trial(terms: &PlanTerms) -> Option<String> {
    let trial = terms.trial?;
    let days = if trial.days == 1 { "1 day".to_owned() } else { format!("{} days", trial.days) };
    let free = match trial.free {
        DiscountOn::Everything => "free",
        DiscountOn::BaseFee => "without base fee",
        DiscountOn::Usage => "with free usage",
    };
    let units =
        trial.quota.map(|quota| format!(", {} units a {}", group_thousands(quota.units), interval(terms.interval)));
    Some(format!("{days} {free} to begin with{}", units.unwrap_or_default()))
}

/// What meters besides units cost, a line for each.
pub fn meter_prices(terms: &PlanTerms, names: &Names) -> Vec<String> {
    let of = |price: &MeterPrice| {
        let name = names.meter(&price.product, &price.meter);
        match &price.price {
            Price::Free => format!("{name}: free"),
            Price::PerUnit { included: 0, unit_price } => {
                format!("{name}: {} each", amount(terms.currency, *unit_price))
            }
            Price::PerUnit { included, unit_price } => {
                let each = amount(terms.currency, *unit_price);
                format!("{name}: first {} free, then {each} each", group_thousands(*included))
            }
            Price::Graduated { steps } => {
                let last = steps.last().map_or(Decimal::ZERO, |step| step.unit_price);
                format!("{name}: from {} each", amount(terms.currency, last))
            }
            Price::Volume { steps } => {
                let each = |step: &Step| format!("{} each", amount(terms.currency, step.unit_price));
                let steps: Vec<String> = steps.iter().map(|step| lower_first(&reach(step, &each(step)))).collect();
                format!("{name}: {}", steps.join("; "))
            }
            Price::Package { included, size, package_price } => {
                let free = match included {
                    0 => String::new(),
                    free => format!("first {} free, then ", group_thousands(*free)),
                };
                let price = amount(terms.currency, *package_price);
                format!("{name}: {free}{price} for each {} that are begun", group_thousands(*size))
            }
            Price::Percentage(own) => percentage(terms, &name, own),
            // Only units have one.
            Price::Matrix { .. } => name,
        }
    };
    terms.meters.iter().map(of).collect()
}

/// `Payments, Paid: 2.9 % of the value and $0.30 a call, at most $500.00 a month`.
fn percentage(terms: &PlanTerms, name: &str, own: &Percentage) -> String {
    let mut words = format!("{name}: {} % of the value", own.percent.normalize());
    if own.included > 0 {
        let free = own.unit_value.checked_mul(own.included.into()).unwrap_or_default();
        words.push_str(&format!(" beyond {}", amount(terms.currency, free)));
    }
    if !own.fixed.is_zero() {
        words.push_str(&format!(" and {} a call", amount(terms.currency, own.fixed)));
    }
    if let Some(cap) = own.cap {
        words.push_str(&format!(", at most {} a {}", amount(terms.currency, cap), interval(terms.interval)));
    }
    words
}

/// Units of a period that cost nothing, where the plan has some but not all.
pub fn included(terms: &PlanTerms) -> Option<String> {
    match terms.price.free_units() {
        0 | u64::MAX => None,
        units => Some(format!("{} units a {} included", group_thousands(units), interval(terms.interval))),
    }
}

/// `100 calls a minute`, one for each window.
pub fn limits(terms: &PlanTerms) -> Vec<String> {
    terms.limits.iter().map(ToString::to_string).collect()
}

/// Units of a period, and what happens beyond them.
pub fn quota(terms: &PlanTerms) -> Option<String> {
    let Some(quota) = terms.quota else {
        return terms.admission.credit.required.then(|| "Calls take prepaid credit".to_owned());
    };
    let beyond = lower_first(terms.beyond_quota().unwrap_or_default());
    Some(format!("{} units a {}; {beyond}", group_thousands(quota.units), interval(terms.interval)))
}

/// The products that the plan opens and everybody may know of.
pub fn products(terms: &PlanTerms, known: &[ProductLine]) -> Vec<String> {
    let public = |code: &str| {
        known.iter().find(|product| {
            product.code == code && product.visibility == Visibility::Public && product.archived_at.is_none()
        })
    };
    let opened = terms.products.iter().filter_map(|grant| Some((grant, public(&grant.product)?)));
    let words = opened.map(|(grant, product)| match &grant.operations {
        None => product.name.clone(),
        Some(only) => format!("{}: {} of {} operations", product.name, only.len(), product.operations),
    });
    words.collect()
}

/// Units of credit that each period begins with, and what is carried over.
pub fn allotment(terms: &PlanTerms) -> Option<String> {
    let allotment = terms.admission.credit.allotment?;
    let mut words = format!("{} prepaid units each {}", group_thousands(allotment.units), interval(terms.interval));
    if let Some(rollover) = allotment.rollover {
        words.push_str(&format!("; {} % of what is left is carried over", rollover.percent));
        match rollover.periods {
            1 => words.push_str(" to the next"),
            periods => words.push_str(&format!(" for {periods} more")),
        }
        if let Some(cap) = rollover.cap {
            words.push_str(&format!(", up to {}", group_thousands(cap)));
        }
    }
    Some(words)
}

/// Units of credit that come once a fee in advance is paid.
pub fn fee_bonus(terms: &PlanTerms) -> Option<String> {
    let bonus = terms.admission.credit.fee_bonus?;
    let every = interval(terms.interval);
    let usable = match bonus.valid_days {
        None => format!("to use in that {every}"),
        Some(1) => "to use within a day".to_owned(),
        Some(days) => format!("to use within {} days", group_thousands(days.into())),
    };
    Some(format!(
        "{} prepaid units as a bonus once the fee of a {every} is paid, {usable}",
        group_thousands(bonus.units)
    ))
}

/// What happens when no prepaid unit is left, where the plan goes on.
pub fn overdraft(terms: &PlanTerms) -> Option<String> {
    let overdraft = terms.admission.credit.overdraft.filter(|overdraft| overdraft.units > 0)?;
    let price = format!("{}{}", terms.currency.sign(), overdraft.unit_price.normalize());
    Some(format!("{} units beyond prepaid ones, billed at {price} each", group_thousands(overdraft.units)))
}

/// When periods begin, where they follow the calendar: `Billed on the first of the month; the first month in part`.
pub fn calendar(terms: &PlanTerms) -> Option<String> {
    let every = interval(terms.interval);
    let is_calendar = terms.periods == Alignment::Calendar;
    is_calendar.then(|| format!("Billed {}; the first {every} in part", terms.interval.begins()))
}

/// All that a card lists besides prices of meters.
pub fn lines(terms: &PlanTerms, known: &[ProductLine]) -> Vec<String> {
    let ahead = terms.fee_due == FeeDue::Advance && terms.base_fee_micros > 0;
    let ahead = ahead.then(|| format!("The base fee is billed when each {} begins", interval(terms.interval)));
    let credit = (terms.included_credit_micros > 0)
        .then(|| format!("{} of usage included each {}", terms.included_credit(), interval(terms.interval)));
    let mut lines = products(terms, known);
    lines.extend(trial(terms));
    lines.extend(included(terms));
    lines.extend(calendar(terms));
    lines.extend(ahead);
    lines.extend(credit);
    lines.extend(allotment(terms));
    lines.extend(fee_bonus(terms));
    lines.extend(overdraft(terms));
    lines.extend(rules(terms));
    lines.extend(limits(terms));
    // A quota that ends where the free units do, and is billed from there, is what the price already says.
    let said = !terms.admission.credit.required
        && terms.quota.is_some_and(|quota| quota.beyond == Beyond::Bill && quota.units == terms.price.free_units());
    lines.extend(quota(terms).filter(|_| !said));
    lines.extend(terms.features.iter().cloned());
    lines
}

/// `day`, `month`, `half-year`.
pub const fn interval(interval: Interval) -> &'static str {
    interval.word()
}

fn free_usage(terms: &PlanTerms) -> bool {
    let owes_nothing = terms.minimum_micros == 0 && terms.commitment.is_none();
    owes_nothing
        && terms.price.free_units() == u64::MAX
        && terms.meters.iter().all(|priced| priced.price.free_units() == u64::MAX)
}

/// An exact price with the currency's sign and at least its usual decimals: `$0.50`, `$0.00025`.
fn amount(currency: Currency, price: Decimal) -> String {
    let mut price = price.normalize();
    if price.scale() < currency.decimals() {
        price.rescale(currency.decimals());
    }
    format!("{}{price}", currency.sign())
}

/// With its first letter in lower case.
pub fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        limit::{Limit, Window},
        plan::Grant,
        quota::Quota,
    };

    fn terms(price: Price) -> PlanTerms {
        PlanTerms {
            currency: Currency::Usd,
            interval: Interval::Month,
            periods: Default::default(),
            products: vec![Grant { product: "secret".to_owned(), operations: None }],
            limits: vec![Limit { calls: 10_000, window: Window::Minute }],
            quota: Some(Quota { units: 50_000, beyond: Beyond::Bill }),
            base_fee_micros: 49_000_000,
            fee_due: Default::default(),
            price,
            meters: Vec::new(),
            minimum_micros: 0,
            discounts: Vec::new(),
            phases: Vec::new(),
            promotions: Vec::new(),
            offered: Default::default(),
            commitment: None,
            trial: None,
            invoice_threshold_micros: None,
            included_credit_micros: 0,
            features: vec!["Support by mail".to_owned()],
            opens_features: Vec::new(),
            admission: Default::default(),
            collect: Default::default(),
            changes: Default::default(),
            unpaid: None,
        }
    }

    #[test]
    fn calendar_periods_are_told_with_the_day_on_which_they_begin() {
        let month = terms(Price::Free);
        assert_eq!(calendar(&month), None);
        let month = PlanTerms { periods: Alignment::Calendar, ..month };
        let told = "Billed on the first of the month; the first month in part";
        assert_eq!(calendar(&month).as_deref(), Some(told));
        assert!(lines(&month, &[]).iter().any(|line| line == told));
        let week = PlanTerms { interval: Interval::Week, ..month };
        assert_eq!(calendar(&week).as_deref(), Some("Billed on Monday; the first week in part"));
    }

    #[test]
    fn a_bonus_for_the_fee_is_told() {
        let mut plan = terms(Price::Free);
        plan.admission.credit.fee_bonus = Some(domain::credit::fee_bonus::FeeBonus { units: 50_000, valid_days: None });
        let told = "50,000 prepaid units as a bonus once the fee of a month is paid, to use in that month";
        assert!(lines(&plan, &[]).iter().any(|line| line == told));
    }

    #[test]
    fn prices_are_exact_and_have_their_usual_decimals() {
        let per_unit = terms(Price::PerUnit { included: 10_000, unit_price: "0.00025".parse().expect("a price") });
        assert_eq!(price(&per_unit), "$49.00");
        assert_eq!(price_note(&per_unit), "a month, then $0.00025 a unit");
        let steps = vec![
            Step { up_to: Some(1_000), unit_price: Decimal::ZERO },
            Step { up_to: Some(5_000), unit_price: "0.5".parse().expect("a price") },
            Step { up_to: None, unit_price: "0.1".parse().expect("a price") },
        ];
        let graduated = terms(Price::Graduated { steps });
        assert_eq!(
            usage_price(&graduated, &Names::codes()),
            ["Unit 1 to 1,000: free", "Unit 1,001 to 5,000: $0.50 a unit", "From unit 5,001: $0.10 a unit"]
        );
        assert_eq!(price(&PlanTerms { base_fee_micros: 0, ..terms(Price::Free) }), "Free");
    }

    #[test]
    fn every_model_is_told_in_words() {
        let model = |text: &str| terms(serde_json::from_str(text).expect("a price"));
        let volume = model(r#"{"model":"volume","steps":[{"up_to":1000,"unit_price":"0.01"},{"unit_price":"0.005"}]}"#);
        let expected = ["Up to 1,000: $0.01 a unit, from the first on", "With more: $0.005 a unit, from the first on"];
        assert_eq!(usage_price(&volume, &Names::codes()), expected);
        assert_eq!(price_note(&volume), "a month, usage from $0.005 a unit");
        let package = model(r#"{"model":"package","included":1000,"size":10000,"package_price":"20"}"#);
        assert_eq!(
            usage_price(&package, &Names::codes()),
            ["First 1,000 units free", "Then $20.00 for each 10,000 units that are begun"]
        );
        assert_eq!(price_note(&package), "a month, then $20.00 for 10,000 units");
        let matrix = model(
            r#"{"model":"matrix","cells":[{"product":"payments","operation":"create","unit_price":"0.02"},
                {"product":"payments","unit_price":"0.01"}],"otherwise":"0"}"#,
        );
        let expected =
            ["For payments, create: $0.02 a unit", "For payments, all else: $0.01 a unit", "Everything else: free"];
        assert_eq!(usage_price(&matrix, &Names::codes()), expected);
        let whole = model(
            r#"{"model":"matrix","cells":[{"product":"payouts","unit_price":"0.5"},
                {"product":"payments","operation":"create","unit_price":"0.02"}],"otherwise":"0"}"#,
        );
        assert_eq!(usage_price(&whole, &Names::codes())[0], "For payouts: $0.50 a unit");
    }

    #[test]
    fn what_is_owed_at_the_least_and_what_is_taken_off_is_told() {
        let plan: PlanTerms = serde_json::from_str(
            r#"{"currency":"USD","products":[],"minimum_micros":5000000000,
                "discounts":[{"name":"Launch offer","percent":"50.0","on":"base_fee","periods":3}],
                "commitment":{"micros":10000000000,"discounts":[{"up_to_micros":10000000000,"percent":"5"},{"percent":"15"}]},
                "meters":[{"product":"payments","meter":"paid","price":{"model":"percentage","unit_value":"0.01",
                    "percent":"2.9","fixed":"0.30","cap":"500"}}]}"#,
        )
        .expect("terms");
        assert_eq!(
            usage_price(&plan, &Names::codes()),
            [
                "Units cost nothing",
                "payments, paid: 2.9 % of the value and $0.30 a call, at most $500.00 a month",
                "At least $5,000.00 of usage a month",
                "Launch offer: 50 % off the base fee in the first 3 months",
                "You commit to $10,000.00 of usage a month, 5 % off to $10,000.00, 15 % off the rest",
            ]
        );
    }

    #[test]
    fn a_product_that_is_not_public_is_not_named() {
        let lines = lines(&terms(Price::Free), &[]).join("\n");
        assert!(!lines.contains("secret"), "{lines}");
        assert!(
            lines.contains("10,000 calls a minute") && lines.contains("calls beyond it are served and billed"),
            "{lines}"
        );
    }
}
