//! Forms about coupons: what there is, who redeems one, and taking one back.

use leptos::prelude::*;

/// What the form about a coupon sends.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct CouponFields {
    pub code: String,
    pub name: String,
    /// Decimal text, of a hundred.
    pub percent: String,
    /// Decimal text.
    pub amount: String,
    pub currency: String,
    pub periods: String,
    /// A date; the coupon can be redeemed on it.
    pub redeem_until: String,
    pub max_redemptions: String,
    /// Codes, with commas between them.
    pub plans: String,
    pub withdrawn: String,
}

/// Adds a coupon, or changes it for redemptions to come.
#[server(prefix = "/do", endpoint = "console/coupons/save")]
pub async fn save_coupon(#[server(default)] coupon: CouponFields) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    const LIST: &str = "/console/coupons";
    let outcome = async {
        let cx = viewer::operator()?;
        let read = read_coupon(&coupon)?;
        let problems = read.problems();
        if !problems.is_empty() {
            return Err(problems.into());
        }
        let code = domain::rating::coupon::typed_code(&coupon.code);
        cx.state.store.put_coupon(&code, &read, store::Actor::Operator(cx.viewer.id), cx.now).await?;
        Ok(Done::go(LIST).saying(if read.withdrawn {
            "Saved: nobody redeems it any more."
        } else {
            "Saved: it can be redeemed like that from now on."
        }))
    };
    let typed = [
        ("code", coupon.code.as_str()),
        ("name", &coupon.name),
        ("percent", &coupon.percent),
        ("amount", &coupon.amount),
        ("currency", &coupon.currency),
        ("periods", &coupon.periods),
        ("redeem_until", &coupon.redeem_until),
        ("max_redemptions", &coupon.max_redemptions),
        ("plans", &coupon.plans),
        ("withdrawn", &coupon.withdrawn),
    ];
    form::answer("coupons/save", LIST, &typed, outcome.await)
}

/// Redeems a coupon by the code that the partner typed.
#[server(prefix = "/do", endpoint = "plan/coupon")]
pub async fn redeem_coupon(#[server(default)] code: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        throttle::Throttle,
        viewer,
    };
    let outcome = async {
        let cx = viewer::member()?;
        if code.trim().is_empty() {
            return Err(Failure::field("code", "Enter the coupon's code"));
        }
        if !Throttle::coupons(cx.viewer.partner).take(&cx.state, cx.now).await? {
            return Err(Failure::field("code", "These were many codes. Try the next one in an hour."));
        }
        let actor = store::Actor::Member(cx.viewer.id);
        let by = store::OrderedBy::Partner;
        let redeemed = cx.state.store.redeem_coupon(cx.viewer.partner, &code, by, actor, cx.now).await?;
        Ok(Done::go("/plan").saying(format!("{}: {}.", redeemed.coupon.name, redeemed.coupon.words())))
    };
    form::answer("plan/coupon", "/plan", &[("code", &code)], outcome.await)
}

/// Gives a coupon to a partner.
#[server(prefix = "/do", endpoint = "console/coupons/give")]
pub async fn give_coupon(
    #[server(default)] partner: String,
    #[server(default)] coupon: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    let back = format!("/console/partners/{partner}");
    let outcome = async {
        let cx = viewer::operator()?;
        if coupon.is_empty() {
            return Err(Failure::field("code", "Choose a coupon"));
        }
        let actor = store::Actor::Operator(cx.viewer.id);
        let by = store::OrderedBy::Operator;
        let given = cx.state.store.redeem_coupon(form::id(&partner)?, &coupon, by, actor, cx.now).await?;
        Ok(Done::go(&back).saying(format!("{} is given: {}.", given.coupon.name, given.coupon.words())))
    };
    form::answer("coupons/give", &back, &[("coupon", &coupon)], outcome.await)
}

/// Takes a coupon back from a partner.
#[server(prefix = "/do", endpoint = "console/coupons/take-back")]
pub async fn take_coupon_back(
    #[server(default)] partner: String,
    #[server(default)] coupon: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/console/partners/{partner}");
    let outcome = async {
        let cx = viewer::operator()?;
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.take_coupon_back(form::id(&partner)?, &coupon, actor, cx.now).await?;
        Ok(Done::go(&back).saying("Taken back: bills that are not made yet do not have it."))
    };
    form::answer("coupons/take-back", &back, &[], outcome.await)
}

#[cfg(feature = "ssr")]
fn read_coupon(fields: &CouponFields) -> Result<domain::rating::coupon::Coupon, crate::form::Failure> {
    use crate::form::Failure;
    use domain::rating::coupon::Coupon;
    let if_any = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let number = |field: &str, text: &str, what: &str| {
        let number = if_any(&text.replace([',', ' ', '_'], ""));
        number.map(|text| text.parse().map_err(|_| Failure::field(field, what))).transpose()
    };
    let percent = if_any(fields.percent.trim_end().trim_end_matches('%'));
    let percent = percent.map(|text| text.parse().map_err(|_| Failure::field("percent", "Enter a percentage, as 25")));
    let amount = if_any(&fields.amount);
    let amount = amount.map(|text| text.parse().map_err(|_| Failure::field("amount", "Enter an amount, as 20.00")));
    let amount = amount.transpose()?;
    let currency = if_any(&fields.currency).filter(|_| amount.is_some());
    let currency = currency.map(|code| code.parse().map_err(|_| Failure::field("currency", "Choose a currency")));
    let parts = fields.plans.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty());
    Ok(Coupon {
        name: fields.name.trim().to_owned(),
        percent: percent.transpose()?,
        amount,
        currency: currency.transpose()?,
        periods: number("periods", &fields.periods, "Enter a number of billing periods")?,
        redeem_until: if_any(&fields.redeem_until).map(|text| past_day(&text)).transpose()?,
        max_redemptions: number("max_redemptions", &fields.max_redemptions, "Enter a number of partners")?,
        plans: parts.collect(),
        withdrawn: !fields.withdrawn.is_empty(),
    })
}

/// The end of that day, in UTC.
#[cfg(feature = "ssr")]
fn past_day(text: &str) -> Result<jiff::Timestamp, crate::form::Failure> {
    let wrong = || crate::form::Failure::field("redeem_until", "Enter a date, as 2027-01-31");
    let day: jiff::civil::Date = text.parse().map_err(|_| wrong())?;
    let past = day.tomorrow().and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC));
    past.map(|at| at.timestamp()).map_err(|_| wrong())
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn a_coupon_is_read_and_the_field_that_is_wrong_is_named() {
        let typed = CouponFields {
            code: "spring".to_owned(),
            name: " Spring ".to_owned(),
            percent: "25 %".to_owned(),
            currency: "USD".to_owned(),
            periods: "3".to_owned(),
            redeem_until: "2027-05-31".to_owned(),
            max_redemptions: "1,000".to_owned(),
            plans: "starter, pro".to_owned(),
            ..CouponFields::default()
        };
        let coupon = read_coupon(&typed).expect("a coupon");
        assert_eq!(coupon.problems(), []);
        assert_eq!((coupon.name.as_str(), coupon.max_redemptions, coupon.plans.len()), ("Spring", Some(1_000), 2));
        assert_eq!(coupon.redeem_until.map(|at| at.to_string()), Some("2027-06-01T00:00:00Z".to_owned()));
        for (wrong, field) in [
            (CouponFields { percent: "some".to_owned(), ..typed.clone() }, "percent"),
            (CouponFields { amount: "a lot".to_owned(), ..typed.clone() }, "amount"),
            (CouponFields { amount: "5".to_owned(), currency: "XXQ".to_owned(), ..typed.clone() }, "currency"),
            (CouponFields { periods: "many".to_owned(), ..typed.clone() }, "periods"),
            (CouponFields { redeem_until: "soon".to_owned(), ..typed.clone() }, "redeem_until"),
            (CouponFields { max_redemptions: "-1".to_owned(), ..typed }, "max_redemptions"),
        ] {
            assert_eq!(read_coupon(&wrong).expect_err("refused").0[0].0, field);
        }
    }
}
