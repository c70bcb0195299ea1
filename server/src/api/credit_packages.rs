//! Packages of prepaid units: what is sold, and purchases of them.

use super::{
    extract::{Body, Named, Params},
    guard::{PartnerCall, PartnerOrProvider, ProviderCall},
    invoices::AmountOut,
    keys::Whose,
    list::List,
    problem::Problem,
};
use axum::{Json, http::StatusCode};
use domain::{
    credit::package::{CreditPackage, VolumeDiscount},
    id::{InvoiceId, PartnerId},
    money::Money,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use store::{CreditPurchase, InvoiceStatus, NewCreditPurchase, Store, StoreError};
use utoipa::ToSchema;

/// A package of prepaid units.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditPackageOut {
    #[schema(example = "million")]
    code: String,
    name: String,
    units: u64,
    /// Of one.
    price: AmountOut,
    /// Off the whole purchase: the last one that it reaches counts.
    discounts: Vec<VolumeDiscountBody>,
    /// How many days after they are paid the units expire.
    valid_days: Option<u32>,
    /// Codes of the plans that it is sold to; none is all in its currency. A partner is told of none.
    plans: Vec<String>,
    /// No longer sold.
    withdrawn: bool,
}

/// A package as it is to be sold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreditPackageIn {
    name: String,
    units: u64,
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: String,
    /// Of one: decimal text in the currency's unit.
    #[schema(example = "1000.00")]
    price: String,
    /// In rising order.
    #[serde(default)]
    discounts: Vec<VolumeDiscountBody>,
    #[serde(default)]
    valid_days: Option<u32>,
    #[serde(default)]
    plans: Vec<String>,
    #[serde(default)]
    withdrawn: bool,
}

/// Off the whole purchase.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeDiscountBody {
    /// From so many packages on.
    from: u32,
    /// Decimal text: more than 0 and less than 100.
    #[schema(example = "15")]
    percent: String,
}

/// What to buy.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BuyCreditIn {
    /// The package's code.
    #[schema(example = "million")]
    package: String,
    quantity: u32,
    /// Your own number for it, 1 to 200 characters: the same one again is the same purchase, whenever it comes.
    #[schema(example = "order-2026-11-07")]
    reference: String,
    /// What it should cost, as decimal text in the package's currency: 409 where it costs something else by now.
    #[schema(example = "8500.00")]
    #[serde(default)]
    cost: Option<String>,
}

impl BuyCreditIn {
    /// As it is bought.
    pub(super) async fn read(self, store: &Store) -> Result<NewCreditPurchase, Problem> {
        let cost = match &self.cost {
            None => None,
            Some(cost) => {
                let amount = decimal("cost", cost)?;
                let held = store.credit_packages().await?.into_iter().find(|(code, _)| *code == self.package);
                let in_currency = held.map(|(_, package)| Money::from_decimal_exact(package.currency, amount));
                let exact = in_currency.transpose();
                exact.map_err(|_| Problem::invalid("cost", "This is no amount of the package's currency"))?
            }
        };
        Ok(NewCreditPurchase { code: self.package, quantity: self.quantity, reference: self.reference, cost })
    }
}

/// A purchase, and how its invoice stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditPurchaseOut {
    invoice: String,
    /// `open`, `sent`, `uncollectible`, `void` or `paid`: the units can be used from when it is paid.
    status: String,
    package: String,
    quantity: u32,
    units: u64,
    cost: AmountOut,
    reference: String,
    #[schema(value_type = String, format = DateTime)]
    bought_at: Timestamp,
}

/// The packages that are sold; for the provider's tokens those that are withdrawn, too.
#[utoipa::path(get, path = "/api/credit-packages", operation_id = "listCreditPackages", tag = "Plans", params(Whose),
    responses((status = 200, description = "In the order of the offer", body = List<CreditPackageOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(call: PartnerOrProvider, _: Params<Whose>) -> Result<Json<List<CreditPackageOut>>, Problem> {
    let store = &call.state.store;
    let mut packages = store.credit_packages().await?;
    if let Some(partner) = call.partner {
        let own = store.subscription(partner).await?;
        packages = app::pages::credit_offer::sold_to(packages, own.as_ref());
        // Plans that others have are not its business.
        packages.iter_mut().for_each(|(_, package)| package.plans.clear());
    }
    let out: Result<Vec<_>, Problem> = packages.into_iter().map(package_out).collect();
    Ok(Json(List::whole(out?)))
}

/// Sells a package from now on, or changes it for purchases to come. The same again changes nothing.
#[utoipa::path(put, path = "/api/credit-packages/{package}", operation_id = "putCreditPackage", tag = "Plans",
    params(("package" = String, Path, description = "The package's code")), request_body = CreditPackageIn,
    responses((status = 200, description = "The package", body = CreditPackageOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn put(
    call: ProviderCall,
    Named(code): Named<String>,
    Body(body): Body<CreditPackageIn>,
) -> Result<Json<CreditPackageOut>, Problem> {
    let package = read_package(body)?;
    let problems = package.problems();
    if !problems.is_empty() {
        return Err(Problem::invalid_fields(problems.into_iter().map(|one| (one.field, one.message)).collect()));
    }
    let store = &call.state.store;
    let held = store.credit_packages().await?.into_iter().find(|(known, _)| *known == code);
    if held.is_none_or(|(_, held)| held != package) {
        store.put_credit_package((&code, None), &package, call.token.actor(), call.now).await?;
    }
    Ok(Json(package_out((code, package))?))
}

/// Buys packages: an invoice of its own. The units can be used once it is paid. The same reference again is the same purchase; 409 where
/// it stands for another one.
#[utoipa::path(post, path = "/api/credit/purchases", operation_id = "buyCredit", tag = "Plans", params(Whose),
    request_body = BuyCreditIn,
    responses((status = 200, description = "The purchase", body = CreditPurchaseOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn buy(call: PartnerCall, Body(body): Body<BuyCreditIn>) -> Result<Json<CreditPurchaseOut>, Problem> {
    let store = &call.state.store;
    let new = body.read(store).await?;
    let purchase = store.buy_credit(call.partner, &new, call.token.actor(), call.now).await?;
    Ok(Json(purchase.into()))
}

/// The partner's purchases of prepaid units, the newest 200 first.
#[utoipa::path(get, path = "/api/credit/purchases", operation_id = "listCreditPurchases", tag = "Plans", params(Whose),
    responses((status = 200, description = "Newest first", body = List<CreditPurchaseOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn purchases(call: PartnerCall, _: Params<Whose>) -> Result<Json<List<CreditPurchaseOut>>, Problem> {
    let purchases = call.state.store.credit_purchases(call.partner).await?;
    Ok(Json(List::whole(purchases.into_iter().map(CreditPurchaseOut::from).collect())))
}

/// Whose invoice was paid.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaidIn {
    #[schema(value_type = String, pattern = "^partner_[0-9a-f]{32}$")]
    partner: PartnerId,
}

/// Says that an invoice was paid outside of Turnpike, where Stripe does not collect it. A second time changes nothing.
#[utoipa::path(post, path = "/api/invoices/{invoice}/paid", operation_id = "markInvoicePaid", tag = "Invoices",
    params(("invoice" = String, Path, description = "The invoice's identifier", pattern = "^invoice_[0-9a-f]{32}$")), request_body = PaidIn,
    responses((status = 204, description = "It is paid"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn paid(
    call: ProviderCall,
    Named(invoice): Named<InvoiceId>,
    Body(body): Body<PaidIn>,
) -> Result<StatusCode, Problem> {
    let store = &call.state.store;
    let (held, _) = store.invoice(body.partner, invoice).await?;
    if app::payment::stripe_collects(&call.state.settings, &held) {
        return Err(Problem::invalid("", "Stripe collects this invoice and says when it is paid"));
    }
    let moved = store.mark_invoice_paid(body.partner, invoice, call.token.actor(), call.now).await?;
    if !moved && store.invoice(body.partner, invoice).await?.0.status != InvoiceStatus::Paid {
        return Err(StoreError::conflict("invoice", "The invoice is void: nothing is owed for it").into());
    }
    Ok(StatusCode::NO_CONTENT)
}

fn read_package(body: CreditPackageIn) -> Result<CreditPackage, Problem> {
    let CreditPackageIn { name, units, currency, price, discounts, valid_days, plans, withdrawn } = body;
    let currency = currency.parse().map_err(|_| Problem::invalid("currency", "This currency is not known"))?;
    let price = decimal("price", &price)?;
    let discount = |one: VolumeDiscountBody| {
        Ok::<_, Problem>(VolumeDiscount { from: one.from, percent: decimal("discounts", &one.percent)? })
    };
    let discounts = discounts.into_iter().map(discount).collect::<Result<_, _>>()?;
    Ok(CreditPackage { name, units, currency, price, discounts, valid_days, plans, withdrawn })
}

fn decimal<T: FromStr>(field: &'static str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::invalid(field, "Write decimal text, as 1000.00"))
}

fn package_out((code, package): (String, CreditPackage)) -> Result<CreditPackageOut, Problem> {
    let price = package.cost(1).map_err(|_| Problem::invalid("price", "This is too large"))?.into();
    let CreditPackage { name, units, discounts, valid_days, plans, withdrawn, .. } = package;
    let discount =
        |one: VolumeDiscount| VolumeDiscountBody { from: one.from, percent: one.percent.normalize().to_string() };
    let discounts = discounts.into_iter().map(discount).collect();
    Ok(CreditPackageOut { code, name, units, price, discounts, valid_days, plans, withdrawn })
}

impl From<CreditPurchase> for CreditPurchaseOut {
    fn from(purchase: CreditPurchase) -> Self {
        Self {
            invoice: purchase.invoice.to_string(),
            status: purchase.status.code().to_owned(),
            package: purchase.code,
            quantity: purchase.quantity,
            units: purchase.units,
            cost: purchase.cost.into(),
            reference: purchase.reference,
            bought_at: purchase.bought_at,
        }
    }
}
