//! Whether terms can be sold: by themselves, and with the products that there are.

use crate::{Store, StoreError};
use domain::{
    id::PlanVersionId,
    plan::{PlanTerms, Problem},
    policy::Policy,
    rating::price::Price,
    usage::MeterKind,
};
use sqlx::{PgConnection, Row as _, types::Json};
use std::collections::HashMap;

impl Store {
    /// All that is wrong with terms, for a form that shows it beside its fields; empty where they can be sold.
    pub async fn plan_terms_problems(&self, terms: &PlanTerms) -> Result<Vec<Problem>, StoreError> {
        let mut connection = self.pool().acquire().await?;
        problems(&mut connection, terms).await
    }
}

/// Refuses terms with their first problem.
pub(super) async fn check(tx: &mut PgConnection, terms: &PlanTerms) -> Result<(), StoreError> {
    match problems(tx, terms).await?.into_iter().next() {
        Some(problem) => Err(problem.into()),
        None => Ok(()),
    }
}

async fn problems(tx: &mut PgConnection, terms: &PlanTerms) -> Result<Vec<Problem>, StoreError> {
    let too_many = terms.size_problems();
    if !too_many.is_empty() {
        return Ok(too_many);
    }
    let codes: Vec<&str> = terms.products.iter().map(|grant| grant.product.as_str()).collect();
    let rows = sqlx::query(
        "select p.code, p.policy, array(select o.code from operations o where o.product_id = p.id and o.removed_at is null) as operations
         from products p where p.code = any($1) and p.archived_at is null",
    )
    .bind(codes)
    .fetch_all(tx)
    .await?;
    let mut there: HashMap<String, Vec<String>> = HashMap::new();
    let mut policies: HashMap<String, Policy> = HashMap::new();
    for row in &rows {
        there.insert(row.try_get("code")?, row.try_get("operations")?);
        policies.insert(row.try_get("code")?, row.try_get::<Json<Policy>, _>("policy")?.0);
    }
    let mut problems = terms.problems();
    for (index, grant) in terms.products.iter().enumerate() {
        let Some(operations) = there.get(&grant.product) else {
            let message = format!("There is no product {}; create it first", grant.product);
            problems.push(Problem::new(format!("products[{index}].product"), message));
            continue;
        };
        for (place, operation) in grant.operations.iter().flatten().enumerate() {
            if !operations.contains(operation) {
                let message = format!("{} has no operation {operation}", grant.product);
                problems.push(Problem::new(format!("products[{index}].operations[{place}]"), message));
            }
        }
    }
    let of_offers = terms.offers().filter_map(|(field, instead)| Some((format!("{field}."), instead.price.as_ref()?)));
    for (place, price) in std::iter::once((String::new(), &terms.price)).chain(of_offers) {
        let Price::Matrix { cells, .. } = price else { continue };
        for (index, cell) in cells.iter().enumerate() {
            let operations = there.get(&cell.product);
            let Some(operation) =
                cell.operation.as_ref().filter(|code| operations.is_some_and(|all| !all.contains(code)))
            else {
                continue;
            };
            let message = format!("{} has no operation {operation}", cell.product);
            problems.push(Problem::new(format!("{place}price.cells[{index}].operation"), message));
        }
    }
    problems.extend(meter_problems(&policies, terms));
    Ok(problems)
}

/// Refuses a version that was sold before where a meter that it has a price for is gone since, or counts otherwise: nothing would be
/// billed for it, or something else.
pub(crate) async fn check_meters(tx: &mut PgConnection, version: PlanVersionId) -> Result<(), StoreError> {
    let Json(terms): Json<PlanTerms> =
        sqlx::query_scalar("select terms from plan_versions where id = $1").bind(version.0).fetch_one(&mut *tx).await?;
    if terms.meters.is_empty() {
        return Ok(());
    }
    let codes: Vec<&str> = terms.meters.iter().map(|price| price.product.as_str()).collect();
    // Whoever takes a meter away waits until we are done, and looks at us then.
    let rows = sqlx::query("select code, policy from products where code = any($1) order by id for share")
        .bind(codes)
        .fetch_all(tx)
        .await?;
    let mut policies: HashMap<String, Policy> = HashMap::new();
    for row in &rows {
        policies.insert(row.try_get("code")?, row.try_get::<Json<Policy>, _>("policy")?.0);
    }
    match meter_problems(&policies, &terms).into_iter().next() {
        None => Ok(()),
        Some(Problem { message, .. }) => {
            let message = format!(
                "{message}, and this version of the plan has a price for it. Make a new version without that price"
            );
            Err(StoreError::conflict("plan", message))
        }
    }
}

fn meter_problems(policies: &HashMap<String, Policy>, terms: &PlanTerms) -> Vec<Problem> {
    let mut problems = Vec::new();
    let of_offers = terms.offers().flat_map(|(field, instead)| {
        instead.meters.iter().enumerate().map(move |(index, price)| (format!("{field}.meters[{index}]"), price))
    });
    let of_plan = terms.meters.iter().enumerate().map(|(index, price)| (format!("meters[{index}]"), price));
    for (place, price) in of_plan.chain(of_offers) {
        let Some(policy) = policies.get(&price.product) else { continue };
        let message = match policy.meters.get(&price.meter).map(|meter| meter.kind) {
            None => format!("{} has no meter {}", price.product, price.meter),
            Some(kind) if kind != MeterKind::Sum && matches!(price.price, Price::Percentage(_)) => {
                format!("{} adds no amounts up; a percentage needs a meter of kind sum", price.meter)
            }
            Some(_) => continue,
        };
        problems.push(Problem::new(format!("{place}.meter"), message));
    }
    problems
}
