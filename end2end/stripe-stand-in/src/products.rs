//! `/v1/products`.

use crate::{account::Account, failure::Failure, list, params::Params};
use serde_json::{Value, json};

const KNOWN: [&str; 6] = ["id", "name", "active", "description", "unit_label", "metadata[]"];

pub fn create(account: &mut Account, params: &Params) -> Result<Value, Failure> {
    params.only(&KNOWN)?;
    let id = match params.get("id") {
        // The name of one that was deleted is not given again.
        Some(id) if account.products.get(id).is_some() => {
            let failure = Failure::invalid(format!("Product already exists: {id}"));
            return Err(failure.code("resource_already_exists").param("id"));
        }
        Some(id) => id.to_owned(),
        None => account.new_id("prod_"),
    };
    let now = account.now();
    let product = json!({
        "id": id, "object": "product", "active": params.boolean("active")?.unwrap_or(true), "created": now, "updated": now,
        "default_price": null, "description": params.text("description"), "images": [], "livemode": false,
        "marketing_features": [], "metadata": params.merge_metadata(&Value::Null)?, "name": params.need("name")?,
        "package_dimensions": null, "shippable": null, "statement_descriptor": null, "tax_code": null, "tax_details": null,
        "type": "service", "unit_label": params.text("unit_label"), "url": null,
    });
    Ok(account.products.add(product))
}

pub fn update(account: &mut Account, id: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&KNOWN[1..])?;
    let now = account.now();
    let product = account.products.get_mut(id).filter(|held| held["deleted"] != true);
    let product = product.ok_or_else(|| Failure::no_such("product", id))?;
    let metadata = params.merge_metadata(&product["metadata"])?;
    for name in ["name", "description", "unit_label"] {
        if params.get(name).is_some() {
            product[name] = params.text(name);
        }
    }
    if let Some(active) = params.boolean("active")? {
        product["active"] = json!(active);
    }
    product["metadata"] = metadata;
    product["updated"] = json!(now);
    Ok(product.clone())
}

pub fn retrieve(account: &Account, id: &str) -> Result<Value, Failure> {
    let found = account.products.get(id).filter(|held| held["deleted"] != true);
    found.cloned().ok_or_else(|| Failure::no_such("product", id))
}

pub fn list(account: &Account, params: &Params) -> Result<Value, Failure> {
    params.only(&[list::LIST.as_slice(), &["active"]].concat())?;
    let active = params.boolean("active")?;
    list::page(&account.products, "/v1/products", params, |product| {
        product["deleted"] != true && active.is_none_or(|active| product["active"] == active)
    })
}

/// One with prices is archived and not deleted.
pub fn delete(account: &mut Account, id: &str) -> Result<Value, Failure> {
    retrieve(account, id)?;
    if account.prices.iter().any(|price| price["product"] == id) {
        let message = "This product cannot be deleted because it has one or more user-created prices.";
        return Err(Failure::invalid(message));
    }
    let gone = json!({ "id": id, "object": "product", "deleted": true });
    if let Some(product) = account.products.get_mut(id) {
        *product = gone.clone();
    }
    Ok(gone)
}
