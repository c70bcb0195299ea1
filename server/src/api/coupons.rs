//! Coupons: what partners may redeem, and what one has redeemed.

use super::{
    extract::{Body, Named, Params},
    guard::{PartnerCall, ProviderCall},
    keys::Whose,
    list::List,
    problem::Problem,
};
use app::throttle::Throttle;
use axum::{Json, extract::Path, http::StatusCode};
use domain::{id::PartnerId, rating::coupon::Coupon};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{CouponLine, OrderedBy, RedeemedCoupon};
use utoipa::ToSchema;

/// A coupon. It has `percent`, or `amount` and `currency`.
#[derive(Debug, Serialize, ToSchema)]
pub struct CouponOut {
    /// What partners type.
    #[schema(example = "spring25")]
    code: String,
    name: String,
    percent: Option<String>,
    amount: Option<String>,
    currency: Option<String>,
    /// For so many billing periods; `null` for good.
    periods: Option<u32>,
    #[schema(value_type = Option<String>, format = DateTime)]
    redeem_until: Option<Timestamp>,
    max_redemptions: Option<u32>,
    /// Codes of the plans whose bills it lowers; none is all.
    plans: Vec<String>,
    withdrawn: bool,
    /// Partners who redeemed it.
    redemptions: u64,
}

/// What a coupon takes off, for how long, and who may redeem it. Give `percent`, or `amount` and `currency`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CouponIn {
    /// On the invoice.
    #[schema(example = "Spring")]
    name: String,
    /// Off each bill: decimal text, more than 0 and at most 100.
    #[schema(example = "25")]
    #[serde(default)]
    percent: Option<String>,
    /// Off each billing period: decimal text in the currency's unit.
    #[serde(default)]
    amount: Option<String>,
    /// Of the amount: ISO 4217.
    #[serde(default)]
    currency: Option<String>,
    /// For so many billing periods; `null` for good.
    #[serde(default)]
    periods: Option<u32>,
    /// Nobody redeems it from then on.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    redeem_until: Option<Timestamp>,
    /// So many partners may redeem it.
    #[serde(default)]
    max_redemptions: Option<u32>,
    /// Codes of the plans whose bills it lowers; none is all.
    #[serde(default)]
    plans: Vec<String>,
    /// Nobody redeems it any more.
    #[serde(default)]
    withdrawn: bool,
}

/// Which coupon.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedeemIn {
    /// In capitals or not.
    #[schema(example = "SPRING25")]
    coupon: String,
}

/// A coupon that a partner has or had.
#[derive(Debug, Serialize, ToSchema)]
pub struct RedeemedCouponOut {
    code: String,
    name: String,
    percent: Option<String>,
    amount: Option<String>,
    currency: Option<String>,
    /// How many billing periods it is for; `null` for good.
    periods: Option<u32>,
    /// Billing periods whose bills had it.
    periods_used: u64,
    /// `counts`; `waits`: the partner has no plan whose bills it lowers, and no period of it is lost meanwhile; `used_up`; or `taken_back`.
    state: &'static str,
    /// From when on it counts.
    #[schema(value_type = String, format = DateTime)]
    starts_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    redeemed_at: Timestamp,
    /// When the provider took it back.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
}

/// All coupons, those that are withdrawn too.
#[utoipa::path(get, path = "/api/coupons", operation_id = "listCoupons", tag = "Plans",
    responses((status = 200, description = "By code", body = List<CouponOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(call: ProviderCall) -> Result<Json<List<CouponOut>>, Problem> {
    let coupons = call.state.store.coupons().await?;
    Ok(Json(List::whole(coupons.into_iter().map(CouponOut::from).collect())))
}

/// Adds a coupon, or changes it for redemptions to come: who redeemed it keeps it as it was. The same again changes nothing.
#[utoipa::path(put, path = "/api/coupons/{coupon}", operation_id = "putCoupon", tag = "Plans",
    params(("coupon" = String, Path, description = "The coupon's code")), request_body = CouponIn,
    responses((status = 200, description = "The coupon", body = CouponOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn put(
    call: ProviderCall,
    Named(code): Named<String>,
    Body(body): Body<CouponIn>,
) -> Result<Json<CouponOut>, Problem> {
    let coupon = read(body)?;
    let problems = coupon.problems();
    if !problems.is_empty() {
        return Err(Problem::invalid_fields(problems.into_iter().map(|one| (one.field, one.message)).collect()));
    }
    let store = &call.state.store;
    let held = store.coupons().await?.into_iter().find(|line| line.code == code);
    if held.is_none_or(|held| held.coupon != coupon) {
        store.put_coupon(&code, &coupon, call.token.actor(), call.now).await?;
    }
    let line = store.coupons().await?.into_iter().find(|line| line.code == code);
    Ok(Json(line.ok_or_else(Problem::not_found)?.into()))
}

/// The partner's coupons, in the order in which they are taken off its bills.
#[utoipa::path(get, path = "/api/plan/coupons", operation_id = "listOwnCoupons", tag = "Plans", params(Whose),
    responses((status = 200, description = "In their order", body = List<RedeemedCouponOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn own(call: PartnerCall, _: Params<Whose>) -> Result<Json<List<RedeemedCouponOut>>, Problem> {
    let coupons = call.state.store.redeemed_coupons(call.partner, call.now).await?;
    Ok(Json(List::whole(coupons.into_iter().map(RedeemedCouponOut::from).collect())))
}

/// Redeems a coupon: once for each partner. By the provider's tokens it is given, whatever plan the partner has.
#[utoipa::path(post, path = "/api/plan/coupons", operation_id = "redeemCoupon", tag = "Plans", params(Whose), request_body = RedeemIn,
    responses((status = 201, description = "Redeemed", body = RedeemedCouponOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn redeem(
    call: PartnerCall,
    Body(body): Body<RedeemIn>,
) -> Result<(StatusCode, Json<RedeemedCouponOut>), Problem> {
    let is_partner = call.token.partner.is_some();
    if is_partner && !Throttle::coupons(call.partner).take(&call.state, call.now).await? {
        return Err(Problem::invalid("coupon", "These were many codes. Try the next one in an hour"));
    }
    let by = if is_partner { OrderedBy::Partner } else { OrderedBy::Operator };
    let redeemed = call.state.store.redeem_coupon(call.partner, &body.coupon, by, call.token.actor(), call.now).await?;
    Ok((StatusCode::CREATED, Json(redeemed.into())))
}

/// Takes a coupon back: bills that are not made yet do not have it.
#[utoipa::path(delete, path = "/api/partners/{partner}/coupons/{coupon}", operation_id = "takeCouponBack", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$"),
        ("coupon" = String, Path, description = "The coupon's code")),
    responses((status = 204, description = "Taken back"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn take_back(
    call: ProviderCall,
    Path((partner, coupon)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let partner: PartnerId = partner.parse().map_err(|_| Problem::not_found())?;
    call.state.store.take_coupon_back(partner, &coupon, call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn read(body: CouponIn) -> Result<Coupon, Problem> {
    let CouponIn { name, percent, amount, currency, periods, redeem_until, max_redemptions, plans, withdrawn } = body;
    let decimal = |field: &str, text: Option<String>| {
        let read =
            text.map(|text| text.parse().map_err(|_| Problem::invalid(field, "Write digits with a point, as 20.00")));
        read.transpose()
    };
    let currency =
        currency.map(|code| code.parse().map_err(|_| Problem::invalid("currency", "This currency is not known")));
    let (percent, amount) = (decimal("percent", percent)?, decimal("amount", amount)?);
    let currency = currency.transpose()?;
    Ok(Coupon { name, percent, amount, currency, periods, redeem_until, max_redemptions, plans, withdrawn })
}

impl From<CouponLine> for CouponOut {
    fn from(line: CouponLine) -> Self {
        let Coupon { name, percent, amount, currency, periods, redeem_until, max_redemptions, plans, withdrawn } =
            line.coupon;
        let (percent, amount) = (percent.map(|own| own.to_string()), amount.map(|own| own.to_string()));
        let currency = currency.map(|own| own.code().to_owned());
        Self {
            code: line.code,
            name,
            percent,
            amount,
            currency,
            periods,
            redeem_until,
            max_redemptions,
            plans,
            withdrawn,
            redemptions: line.redemptions,
        }
    }
}

impl From<RedeemedCoupon> for RedeemedCouponOut {
    fn from(own: RedeemedCoupon) -> Self {
        Self {
            code: own.code,
            percent: own.coupon.percent.map(|percent| percent.to_string()),
            amount: own.coupon.amount.map(|amount| amount.to_string()),
            currency: own.coupon.currency.map(|currency| currency.code().to_owned()),
            name: own.coupon.name,
            periods: own.coupon.periods,
            periods_used: own.periods_used,
            state: own.standing.code(),
            starts_at: own.starts_at,
            redeemed_at: own.redeemed_at,
            ended_at: own.ended_at,
        }
    }
}
