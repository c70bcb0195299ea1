//! What the plan form means: texts become terms, and every mistake is told beside its field.

use super::{PlanForm, admission, bargain, by_operation, meter_prices, offers, unpaid};
use crate::form::Failure;
use domain::{
    id::PlanId,
    limit::{Limit, Window},
    money::{Currency, Money},
    period::{Alignment, Interval},
    plan::{Approval, Grant, PlanTerms},
    plan_change::{ChangeRules, Downgrade, QuotaOnChange},
    quota::{Beyond, Quota},
    rating::{
        FeeDue, Trial,
        discount::DiscountOn,
        price::{Price, Step},
    },
};
use jiff::Timestamp;
use rust_decimal::Decimal;
use std::collections::HashMap;
use store::{Actor, PlanMeta, Store, StoreError};

/// Reads the whole form; all mistakes are told at once.
pub fn read(form: &PlanForm) -> Result<(PlanMeta, PlanTerms), Failure> {
    let mut reader = Reader::default();
    let currency = reader.parsed("currency", &form.currency, Currency::Usd);
    let meta = PlanMeta {
        name: reader.required("name", &form.name, "Enter a name"),
        summary: form.summary.trim().to_owned(),
        position: reader.number("position", &form.position).unwrap_or(0),
        private: form.private == "true",
        approval: reader.parsed("approval", &form.approval, Approval::Automatic),
    };
    let (minimum_micros, commitment, discounts) = bargain::read(&form.bargain, currency, &mut reader);
    let (phases, promotions) = offers::read(&form.offers, currency, &mut reader);
    let terms = PlanTerms {
        currency,
        interval: reader.parsed("interval", &form.interval, Interval::Month),
        periods: reader.parsed("periods", &form.periods, Alignment::Anchored),
        products: grants(form),
        limits: reader.limits("limits", &form.limits),
        quota: reader.quota(form),
        base_fee_micros: reader.money("base_fee", &form.base_fee, currency),
        fee_due: reader.parsed("fee_due", &form.fee_due, FeeDue::Arrears),
        price: reader.price(form),
        meters: meter_prices::read(&form.meters, &mut reader),
        minimum_micros,
        discounts,
        phases,
        promotions,
        offered: Default::default(),
        commitment,
        trial: reader.trial(form),
        invoice_threshold_micros: reader.money_if_any("invoice_threshold", &form.invoice_threshold, currency),
        included_credit_micros: reader.money("included_credit", &form.included_credit, currency),
        features: lines(&form.features),
        opens_features: lines(&form.opens_features),
        admission: admission::read(&form.admission, &mut reader),
        collect: reader.parsed("collect", &form.collect, domain::plan::Collect::InvoiceItems),
        changes: ChangeRules {
            downgrade: reader.parsed("downgrade", &form.downgrade, Downgrade::PeriodEnd),
            quota: reader.parsed("quota_on_change", &form.quota_on_change, QuotaOnChange::Whole),
            grace_days: reader.number("grace_days", &form.grace_days).unwrap_or(0),
        },
        unpaid: unpaid::read(&form.unpaid, currency, &mut reader),
    };
    if is_new(form) && forgets_matrix(form) {
        reader.told("price.otherwise", NOT_BY_OPERATION);
    }
    if reader.problems.is_empty() { Ok((meta, terms)) } else { Err(Failure(reader.problems)) }
}

/// The form's single fields, to be typed back where it failed.
pub fn typed(form: &PlanForm) -> Vec<(String, String)> {
    let mut typed: Vec<(String, String)> = [
        ("code", &form.code),
        ("name", &form.name),
        ("summary", &form.summary),
        ("position", &form.position),
        ("private", &form.private),
        ("approval", &form.approval),
        ("currency", &form.currency),
        ("interval", &form.interval),
        ("periods", &form.periods),
        ("base_fee", &form.base_fee),
        ("included_credit", &form.included_credit),
        ("invoice_threshold", &form.invoice_threshold),
        ("fee_due", &form.fee_due),
        ("model", &form.model),
        ("included_units", &form.included_units),
        ("unit_price", &form.unit_price),
        ("package_size", &form.package_size),
        ("quota_units", &form.quota_units),
        ("trial_days", &form.trial_days),
        ("trial_free", &form.trial_free),
        ("trial_units", &form.trial_units),
        ("trial_beyond", &form.trial_beyond),
        ("beyond", &form.beyond),
        ("features", &form.features),
        ("collect", &form.collect),
        ("downgrade", &form.downgrade),
        ("quota_on_change", &form.quota_on_change),
        ("grace_days", &form.grace_days),
        ("opens_features", &form.opens_features),
    ]
    .map(|(name, value)| (name.to_owned(), value.clone()))
    .to_vec();
    typed.extend(form.limits.iter().map(|(window, calls)| (format!("limits[{window}]"), calls.clone())));
    typed.extend(form.opens.iter().map(|(product, what)| (format!("opens[{product}]"), what.clone())));
    typed.extend(admission::typed(&form.admission));
    typed.extend(bargain::typed(&form.bargain));
    typed.extend(by_operation::typed(&form.matrix));
    typed.extend(meter_prices::typed(&form.meters));
    typed.extend(offers::typed(&form.offers));
    typed.extend(unpaid::typed(&form.unpaid));
    typed.push(("operations".to_owned(), form.operations.join(" ")));
    typed.push(("step_up_to".to_owned(), form.step_up_to.join(";")));
    typed.push(("step_price".to_owned(), form.step_price.join(";")));
    typed
}

/// What the form does not ask for stays as the version before has it. Amounts among it are in the currency of then, so that
/// stays, too.
pub fn keep_unasked(form: &PlanForm, terms: &mut PlanTerms, before: PlanTerms) -> Result<(), Failure> {
    let is_matrix = keeps_matrix(form) && matches!(before.price, Price::Matrix { .. });
    let keeps_meters = form.meters.asked.is_empty();
    let keeps_offers = form.offers.asked.is_empty();
    let keeps_bargain = form.bargain.asked.is_empty();
    let is_bargain = before.minimum_micros != 0 || before.commitment.is_some();
    let has_offers = if keeps_offers { before.offers().next().is_some() } else { offers::has_more(&before) };
    let kept = [
        (keeps_meters && !before.meters.is_empty(), "prices of meters"),
        (is_matrix, "prices by operation"),
        (has_offers, "phases or promotions"),
        (keeps_bargain && is_bargain, "a minimum or a commitment"),
    ];
    let kept: Vec<&str> = kept.into_iter().filter_map(|(is_there, name)| is_there.then_some(name)).collect();
    if terms.currency != before.currency && !kept.is_empty() {
        let message = format!(
            "The plan has {} in {}, which this form does not ask for: change the currency in the set-up file or by \
             POST /api/plans/{{plan}}/versions, with new amounts for them",
            kept.join(", "),
            before.currency.code()
        );
        return Err(Failure::field("currency", message));
    }
    if keeps_offers {
        (terms.phases, terms.promotions) = (before.phases, before.promotions);
    } else {
        offers::keep(&before, terms);
    }
    if keeps_meters {
        terms.meters = before.meters;
    }
    if keeps_bargain {
        terms.minimum_micros = before.minimum_micros;
        (terms.commitment, terms.discounts) = (before.commitment, before.discounts);
    }
    if !matches!(before.price, Price::Matrix { .. }) && forgets_matrix(form) {
        return Err(Failure::field("price.otherwise", NOT_BY_OPERATION));
    }
    if is_matrix {
        terms.price = before.price;
    } else if keeps_matrix(form) {
        let message =
            "Enter what a unit of everything else costs, as 0.005, or 0, and prices of operations or products";
        return Err(Failure::field("price.otherwise", message));
    }
    Ok(())
}

const NOT_BY_OPERATION: &str = "Choose By operation as what usage costs, or empty the prices by operation";

/// Whether prices by operation were typed for usage that costs something else. Who leaves them behind for another model types none.
fn forgets_matrix(form: &PlanForm) -> bool {
    form.model != "matrix" && !by_operation::is_empty(&form.matrix)
}

/// Whether the prices by operation are those that there were: a form without a row says nothing of them.
fn keeps_matrix(form: &PlanForm) -> bool {
    form.model == "matrix" && by_operation::is_empty(&form.matrix)
}

/// Whether there is no version before.
fn is_new(form: &PlanForm) -> bool {
    form.id.is_empty() && form.from.is_empty()
}

/// Moves every partner of the plan that is on an older version; gives how many.
pub async fn move_all(store: &Store, plan: PlanId, actor: Actor, now: Timestamp) -> Result<u64, StoreError> {
    let mut moved = 0;
    let mut after: Option<String> = None;
    loop {
        let found = store.all_partners_page("", after.as_deref(), 200, now).await?;
        for line in found.items.iter().filter(|line| line.plan.is_some()) {
            let on = store.subscription(line.partner.id).await?;
            if on.is_some_and(|own| own.plan == plan && own.version < own.newest_version) {
                store.move_to_newest_version(line.partner.id, actor, now).await?;
                moved += 1;
            }
        }
        after = found.next;
        if after.is_none() {
            return Ok(moved);
        }
    }
}

fn grants(form: &PlanForm) -> Vec<Grant> {
    let mut products: Vec<&String> = form.opens.keys().collect();
    products.sort();
    let grant = |product: &String| match form.opens.get(product).map(String::as_str) {
        Some("all") => Some(Grant { product: product.clone(), operations: None }),
        Some("some") => {
            let prefix = format!("{product}/");
            let own = form.operations.iter().filter_map(|code| code.strip_prefix(&prefix)).map(str::to_owned).collect();
            Some(Grant { product: product.clone(), operations: Some(own) })
        }
        _ => None,
    };
    products.into_iter().filter_map(grant).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The number without what groups its thousands. Nothing where a comma stands elsewhere: it may be meant as a decimal point, and 0,005 is
/// not 5.
fn ungrouped(text: &str) -> Option<String> {
    let plain: String = text.chars().filter(|letter| !matches!(letter, ' ' | '_')).collect();
    let (whole, rest) = plain.split_once('.').unwrap_or((&plain, ""));
    let mut groups = whole.trim_start_matches(['-', '+']).split(',');
    let first = groups.next().unwrap_or_default();
    let is_grouped = whole.contains(',');
    let begins_well = (1..=3).contains(&first.len()) && !first.starts_with('0');
    let fits = !is_grouped || (begins_well && groups.all(|group| group.len() == 3));
    (fits && !rest.contains(',')).then(|| plain.replace(',', ""))
}

/// Reads texts and keeps what is wrong with them.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) problems: Vec<(String, String)>,
}

impl Reader {
    pub(super) fn told(&mut self, field: &str, message: impl Into<String>) {
        self.problems.push((field.to_owned(), message.into()));
    }

    fn required(&mut self, field: &str, text: &str, message: &str) -> String {
        if text.trim().is_empty() {
            self.told(field, message);
        }
        text.trim().to_owned()
    }

    pub(super) fn parsed<T>(&mut self, field: &str, text: &str, otherwise: T) -> T
    where
        T: std::str::FromStr<Err: ToString>,
    {
        if text.trim().is_empty() {
            return otherwise;
        }
        text.trim().parse().unwrap_or_else(|error: T::Err| {
            self.told(field, error.to_string());
            otherwise
        })
    }

    /// A whole number; thousands may be grouped by commas or spaces. Nothing where the text is empty or wrong.
    pub(super) fn number<T: std::str::FromStr>(&mut self, field: &str, text: &str) -> Option<T> {
        if text.trim().is_empty() {
            return None;
        }
        let read = ungrouped(text).and_then(|plain| plain.parse().ok());
        if read.is_none() {
            self.told(field, "Enter a whole number, as 10,000");
        }
        read
    }

    pub(super) fn decimal(&mut self, field: &str, text: &str) -> Option<Decimal> {
        if text.trim().is_empty() {
            return None;
        }
        let read = ungrouped(text).and_then(|plain| plain.parse().ok());
        if read.is_none() {
            self.told(field, "Enter digits with a point, as 0.005 or 1,234.50");
        }
        read
    }

    pub(super) fn money(&mut self, field: &str, text: &str, currency: Currency) -> i64 {
        let Some(amount) = self.decimal(field, text) else { return 0 };
        match Money::from_decimal_exact(currency, amount) {
            Ok(money) => money.micros,
            Err(_) => {
                self.told(field, "This amount is too large or too fine");
                0
            }
        }
    }

    /// Nothing where the text is empty or wrong.
    fn money_if_any(&mut self, field: &str, text: &str, currency: Currency) -> Option<i64> {
        (!text.trim().is_empty()).then(|| self.money(field, text, currency))
    }

    /// Calls by window code; `name` is the field's name without the window.
    pub(super) fn limits(&mut self, name: &str, typed: &HashMap<String, String>) -> Vec<Limit> {
        let mut limits = Vec::new();
        for code in typed.keys().filter(|code| Window::ALL.iter().all(|window| window.code() != code.as_str())) {
            self.told(&format!("{name}[{code}]"), format!("There are no limits a {code}; load the page again"));
        }
        for window in Window::ALL {
            let field = format!("{name}[{}]", window.code());
            let text = typed.get(window.code()).map_or("", String::as_str);
            if let Some(calls) = self.number(&field, text) {
                if calls == 0 {
                    self.told(&field, "A limit allows at least one call; leave it empty for no limit");
                }
                limits.push(Limit { calls, window });
            }
        }
        limits
    }

    fn quota(&mut self, form: &PlanForm) -> Option<Quota> {
        let beyond = self.parsed("beyond", &form.beyond, Beyond::Block);
        let units = self.number("quota_units", &form.quota_units)?;
        Some(Quota { units, beyond })
    }

    fn trial(&mut self, form: &PlanForm) -> Option<Trial> {
        let free = self.parsed("trial_free", &form.trial_free, DiscountOn::Everything);
        let beyond = self.parsed("trial_beyond", &form.trial_beyond, Beyond::Block);
        let units = self.number("trial_units", &form.trial_units);
        let days = self.number("trial_days", &form.trial_days)?;
        Some(Trial { days, free, quota: units.map(|units| Quota { units, beyond }) })
    }

    fn price(&mut self, form: &PlanForm) -> Price {
        match form.model.as_str() {
            "per_unit" => Price::PerUnit {
                included: self.number("included_units", &form.included_units).unwrap_or(0),
                unit_price: self.unit_price(form, "Enter what a unit costs, as 0.005"),
            },
            "package" => Price::Package {
                included: self.number("included_units", &form.included_units).unwrap_or(0),
                size: self.number("package_size", &form.package_size).unwrap_or_else(|| {
                    self.told("package_size", "Enter how many units a package holds, as 10,000");
                    1
                }),
                package_price: self.unit_price(form, "Enter what a package costs, as 20.00"),
            },
            model @ ("graduated" | "volume") => {
                let mut steps = Vec::new();
                for (position, price) in form.step_price.iter().enumerate() {
                    let Some(unit_price) = self.decimal("steps", price) else { continue };
                    let up_to = form.step_up_to.get(position).map_or("", String::as_str);
                    steps.push(Step { up_to: self.number("steps", up_to), unit_price });
                }
                if model == "volume" { Price::Volume { steps } } else { Price::Graduated { steps } }
            }
            // Without a row that of the version before is kept.
            "matrix" if !keeps_matrix(form) || is_new(form) => {
                let included = self.number("included_units", &form.included_units).unwrap_or(0);
                by_operation::read(&form.matrix, included, self)
            }
            _ => Price::Free,
        }
    }

    fn unit_price(&mut self, form: &PlanForm, missing: &str) -> Decimal {
        self.decimal("unit_price", &form.unit_price).unwrap_or_else(|| {
            self.told("unit_price", missing);
            Decimal::ZERO
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_form_becomes_terms() {
        let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let form = PlanForm {
            name: "Pro".to_owned(),
            currency: "USD".to_owned(),
            base_fee: "49.00".to_owned(),
            model: "graduated".to_owned(),
            step_up_to: vec!["100,000".to_owned(), String::new(), String::new()],
            step_price: vec!["0.01".to_owned(), "0.008".to_owned(), String::new()],
            quota_units: "10 000".to_owned(),
            beyond: "bill".to_owned(),
            limits: pairs(&[("minute", "1,000"), ("hour", "")]),
            opens: pairs(&[("payments", "some"), ("refunds", "all"), ("secret", "none")]),
            operations: vec!["payments/list".to_owned(), "other/list".to_owned()],
            features: "Search\n\n Reports ".to_owned(),
            ..PlanForm::default()
        };
        let (_, terms) = read(&form).expect("it is whole");
        assert_eq!(terms.base_fee().to_string(), "$49.00");
        assert_eq!(terms.limits, [Limit { calls: 1_000, window: Window::Minute }]);
        assert_eq!(terms.quota, Some(Quota { units: 10_000, beyond: Beyond::Bill }));
        assert_eq!(terms.features, ["Search", "Reports"]);
        assert!(terms.opens("refunds", "anything") && terms.opens("payments", "list"));
        assert!(!terms.opens("payments", "create") && !terms.opens("secret", "list"));
        assert_eq!(terms.problems(), []);
    }

    #[test]
    fn what_the_form_does_not_ask_for_is_kept() {
        let before: PlanTerms = serde_json::from_str(
            r#"{"currency":"USD","products":[{"product":"payments"}],
                "price":{"model":"matrix","cells":[{"product":"payments","unit_price":"1"}],"otherwise":"0"},
                "meters":[{"product":"payments","meter":"paid","price":{"model":"free"}}],
                "phases":[{"name":"Ramp","periods":3,"instead":{"base_fee_micros":1000000}}],
                "promotions":[{"name":"Launch","until":"2027-03-31","instead":{"base_fee_micros":0}}],
                "minimum_micros":5000000,"commitment":{"micros":9000000},"discounts":[{"name":"Launch","percent":"20"}]}"#,
        )
        .expect("terms");
        let opens = [("payments".to_owned(), "all".to_owned())].into();
        let (name, id, model) = ("Pro".to_owned(), "its".to_owned(), "matrix".to_owned());
        let form = PlanForm { name, id, model, opens, ..PlanForm::default() };
        let (_, mut terms) = read(&form).expect("it is whole");
        keep_unasked(&form, &mut terms, before.clone()).expect("kept");
        assert_eq!(terms, before);
        let package = PlanForm {
            model: "package".to_owned(),
            unit_price: "20.00".to_owned(),
            package_size: "10,000".to_owned(),
            ..form
        };
        let (_, mut terms) = read(&package).expect("it is whole");
        keep_unasked(&package, &mut terms, before).expect("kept");
        let package_price = "20.00".parse().expect("a decimal");
        assert_eq!(terms.price, Price::Package { included: 0, size: 10_000, package_price });
    }

    #[test]
    fn prices_of_meters_that_the_form_asked_for_are_as_it_says_and_a_matrix_is_not_free_by_mistake() {
        let before =
            r#"{"currency":"USD","products":[],"meters":[{"product":"a","meter":"paid","price":{"model":"free"}}]}"#;
        let before: PlanTerms = serde_json::from_str(before).expect("terms");
        let mut form = PlanForm { name: "Pro".to_owned(), id: "its".to_owned(), ..PlanForm::default() };
        form.meters.asked = "true".to_owned();
        let (_, mut terms) = read(&form).expect("it is whole");
        keep_unasked(&form, &mut terms, before.clone()).expect("kept");
        assert_eq!(terms.meters, []);
        // There is no matrix to keep, and none was typed.
        let matrix = PlanForm { model: "matrix".to_owned(), ..form };
        let (_, mut terms) = read(&matrix).expect("it is whole");
        let Err(Failure(problems)) = keep_unasked(&matrix, &mut terms, before) else { panic!("it would be free") };
        assert_eq!(problems[0].0, "price.otherwise");
        let Err(Failure(problems)) = read(&PlanForm { id: String::new(), ..matrix }) else {
            panic!("it would be free")
        };
        assert_eq!(problems[0].0, "price.otherwise");
    }

    #[test]
    fn the_currency_stays_where_amounts_are_kept_that_the_form_does_not_ask_for() {
        let form = PlanForm { name: "Pro".to_owned(), currency: "EUR".to_owned(), ..PlanForm::default() };
        let kept = |model: &str, rest: &str| {
            let text = format!(r#"{{"currency":"USD","products":[]{rest}}}"#);
            let before: PlanTerms = serde_json::from_str(&text).expect("terms");
            let form = PlanForm { model: model.to_owned(), id: "its".to_owned(), ..form.clone() };
            let (_, mut terms) = read(&form).expect("it is whole");
            keep_unasked(&form, &mut terms, before).map_err(|Failure(mut problems)| problems.remove(0))
        };
        assert_eq!(kept("free", ""), Ok(()));
        let matrix = r#","price":{"model":"matrix","cells":[{"product":"a","unit_price":"1"}],"otherwise":"0"}"#;
        assert_eq!(kept("free", matrix), Ok(()), "the new price is the form's");
        for (model, rest, name) in [
            ("free", r#","minimum_micros":5000000"#, "a minimum or a commitment"),
            ("free", r#","meters":[{"product":"a","meter":"paid","price":{"model":"free"}}]"#, "prices of meters"),
            ("matrix", matrix, "prices by operation"),
            (
                "free",
                r#","phases":[{"name":"Ramp","periods":3,"instead":{"base_fee_micros":0}}]"#,
                "phases or promotions",
            ),
        ] {
            let (field, message) = kept(model, rest).expect_err(name);
            assert_eq!(field, "currency");
            assert!(message.starts_with(&format!("The plan has {name} in USD")), "{message}");
            assert!(message.contains("set-up file") && message.contains("/api/plans/{plan}/versions"), "{message}");
        }
    }

    #[test]
    fn a_comma_groups_thousands_and_is_no_decimal_point() {
        for (text, number) in
            [("1,234", "1234"), (" 12,345,678.5 ", "12345678.5"), ("10 000.50", "10000.50"), ("-5,000", "-5000")]
        {
            assert_eq!(ungrouped(text).as_deref(), Some(number), "{text}");
        }
        for text in ["0,005", "2,9", "1,23", "1234,567", "1.234,50", "1,,234", ",5", "1,234,56"] {
            assert_eq!(ungrouped(text), None, "{text}");
        }
        let form = PlanForm {
            name: "Pro".to_owned(),
            base_fee: "0,50".to_owned(),
            quota_units: "1,5".to_owned(),
            ..PlanForm::default()
        };
        let Err(Failure(problems)) = read(&form) else { panic!("it has mistakes") };
        assert_eq!(problems.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["quota_units", "base_fee"]);
    }

    #[test]
    fn prices_by_operation_are_not_thrown_away_because_another_model_is_chosen() {
        let matrix = crate::api::plans::MatrixForm {
            what: vec!["payments/createPayment".to_owned()],
            price: vec!["0.02".to_owned()],
            otherwise: String::new(),
        };
        let form = PlanForm { name: "Pro".to_owned(), model: "free".to_owned(), matrix, ..PlanForm::default() };
        let Err(Failure(problems)) = read(&form) else { panic!("they would be gone") };
        assert_eq!(problems[0].0, "price.otherwise");
        let changed = PlanForm { id: "its".to_owned(), ..form };
        let (_, terms) = read(&changed).expect("it is whole");
        let kept = |price: &str| {
            let before = format!(r#"{{"currency":"USD","products":[],"price":{price}}}"#);
            keep_unasked(&changed, &mut terms.clone(), serde_json::from_str(&before).expect("terms"))
        };
        let Err(Failure(problems)) = kept(r#"{"model":"free"}"#) else { panic!("they would be gone") };
        assert_eq!(problems[0].0, "price.otherwise");
        assert!(kept(r#"{"model":"matrix","cells":[{"product":"a","unit_price":"1"}],"otherwise":"0"}"#).is_ok());
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let form = PlanForm {
            base_fee: "a lot".to_owned(),
            model: "per_unit".to_owned(),
            quota_units: "many".to_owned(),
            limits: [("day".to_owned(), "0".to_owned()), ("weird".to_owned(), "10".to_owned())].into(),
            ..PlanForm::default()
        };
        let Err(Failure(problems)) = read(&form) else { panic!("it has mistakes") };
        let fields: Vec<&str> = problems.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["name", "limits[weird]", "limits[day]", "quota_units", "base_fee", "unit_price"]);
    }
}
