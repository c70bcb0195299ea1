//! A plan's phases and promotions in words, wherever its terms are.

use super::{names::Names, tier};
use domain::{
    plan::{MeterPrice, PlanTerms},
    rating::offers::{Instead, long_day},
};
use jiff::civil::Date;

/// A line for each phase, and for each promotion that is not over on that day: `Launch offer until 31 March 2027: $29.00 a month`.
pub fn lines(terms: &PlanTerms, today: Date, names: &Names) -> Vec<String> {
    let every = tier::interval(terms.interval);
    let mut first = 1_u64;
    let mut lines = Vec::new();
    for phase in &terms.phases {
        let last = first + u64::from(phase.periods).max(1) - 1;
        let when = match (first, last) {
            (1, 1) => format!("the first {every}"),
            (1, last) => format!("the first {last} {every}s"),
            (first, last) if first == last => format!("{every} {first}"),
            (first, last) => format!("{every}s {first} to {last}"),
        };
        // Nothing is left of what is about products that the reader may not know.
        if !phase.instead.is_nothing() {
            lines.push(format!("{}, {when}: {}", phase.name.trim(), instead(terms, &phase.instead, names)));
        }
        first = last + 1;
    }
    let promotions = terms.promotions.iter().filter(|promotion| promotion.until >= today);
    for promotion in promotions.filter(|promotion| !promotion.instead.is_nothing()) {
        let from = promotion.from.filter(|from| *from > today);
        let when = match from {
            Some(from) => format!("from {} until {}", long_day(from), long_day(promotion.until)),
            None => format!("until {}", long_day(promotion.until)),
        };
        lines.push(format!("{} {when}: {}", promotion.name.trim(), instead(terms, &promotion.instead, names)));
    }
    lines
}

/// All of them, those that are over as well: for whoever looks at terms and not at a price.
pub fn all(terms: &PlanTerms, names: &Names) -> Vec<String> {
    lines(terms, Date::MIN, names)
}

/// What it costs instead: `$29.00 a month; $0.002 a unit`.
fn instead(terms: &PlanTerms, own: &Instead, names: &Names) -> String {
    let every = tier::interval(terms.interval);
    let laid = own.laid_over(terms.clone());
    let mut words = Vec::new();
    if let Some(micros) = own.base_fee_micros {
        words.push(if micros == 0 { "no base fee".to_owned() } else { format!("{} a {every}", laid.base_fee()) });
    }
    if own.price.is_some() {
        words.extend(tier::unit_price(&laid, names).iter().map(|line| tier::lower_first(line)));
    }
    let named =
        |price: &&MeterPrice| terms.meters.iter().any(|one| one.meter == price.meter && one.product == price.product);
    let meters = PlanTerms { meters: own.meters.iter().filter(named).cloned().collect(), ..laid.clone() };
    words.extend(tier::meter_prices(&meters, names));
    if let Some(micros) = own.minimum_micros {
        let least = format!("at least {} of usage a {every}", laid.minimum());
        words.push(if micros == 0 { "no minimum".to_owned() } else { least });
    }
    if let Some(micros) = own.included_credit_micros {
        let credit = format!("{} of usage included each {every}", laid.included_credit());
        words.push(if micros == 0 { "no usage included".to_owned() } else { credit });
    }
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn each_phase_says_which_periods_and_each_promotion_until_when() {
        let terms: PlanTerms = serde_json::from_str(
            r#"{"currency":"USD","products":[{"product":"payments"}],"base_fee_micros":99000000,
                "meters":[{"product":"payments","meter":"tokens","price":{"model":"per_unit","unit_price":"0.02"}}],
                "phases":[{"name":"Ramp","periods":3,"instead":{"base_fee_micros":49000000}},
                    {"name":"Growth","periods":1,"instead":{"base_fee_micros":79000000,"minimum_micros":0}}],
                "promotions":[
                    {"name":"Launch offer","from":"2027-01-15","until":"2027-03-31","instead":{"base_fee_micros":0,
                        "price":{"model":"per_unit","included":1000,"unit_price":"0.002"}}},
                    {"name":"Spring","until":"2026-12-31","instead":{"included_credit_micros":5000000,"meters":[
                        {"product":"payments","meter":"tokens","price":{"model":"per_unit","unit_price":"0.01"}}]}}]}"#,
        )
        .expect("terms");
        let codes = Names::codes();
        let phases = ["Ramp, the first 3 months: $49.00 a month", "Growth, month 4: $79.00 a month; no minimum"];
        let launch = "no base fee; first 1,000 units free; then $0.002 a unit";
        let spring = "Spring until 31 December 2026: payments, tokens: $0.01 each; $5.00 of usage included each month";
        let early = format!("Launch offer from 15 January 2027 until 31 March 2027: {launch}");
        assert_eq!(lines(&terms, date(2026, 12, 31), &codes), [phases[0], phases[1], early.as_str(), spring]);
        let running = format!("Launch offer until 31 March 2027: {launch}");
        assert_eq!(lines(&terms, date(2027, 3, 31), &codes), [phases[0], phases[1], running.as_str()]);
        assert_eq!(lines(&terms, date(2027, 4, 1), &codes), phases);
        assert_eq!(all(&terms, &codes).len(), 4);
    }
}
