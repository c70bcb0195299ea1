//! `/v1/customers`.

use crate::{
    account::Account,
    failure::Failure,
    list::{self, LIST},
    params::Params,
};
use serde_json::{Value, json};

const KNOWN: [&str; 7] =
    ["name", "email", "description", "phone", "metadata[]", "preferred_locales[]", "invoice_settings[]"];

pub fn create(account: &mut Account, params: &Params) -> Result<Value, Failure> {
    params.only(&KNOWN)?;
    let customer = json!({
        "id": account.new_id("cus_"), "object": "customer", "address": null, "balance": 0, "created": account.now(),
        "currency": null, "default_source": null, "delinquent": false, "description": params.text("description"),
        "discount": null, "email": params.text("email"), "invoice_prefix": "STANDIN",
        "invoice_settings": { "custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null },
        "livemode": false, "metadata": params.merge_metadata(&Value::Null)?, "name": params.text("name"),
        "next_invoice_sequence": 1, "phone": params.text("phone"), "preferred_locales": [], "shipping": null,
        "tax_exempt": "none", "test_clock": null,
    });
    let customer = account.customers.add(customer);
    crate::events::happened(account, "customer.created", &customer);
    Ok(customer)
}

pub fn update(account: &mut Account, id: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&KNOWN)?;
    let customer = account
        .customers
        .get_mut(id)
        .filter(|held| held["deleted"] != true)
        .ok_or_else(|| Failure::no_such("customer", id))?;
    let metadata = params.merge_metadata(&customer["metadata"])?;
    if params.get("invoice_settings[default_payment_method]").is_some() {
        let method = params.need("invoice_settings[default_payment_method]")?.to_owned();
        let is_own = account.payment_methods.get(&method).is_some_and(|held| held["customer"] == id);
        if !is_own {
            let message = "The customer does not have a payment method with that ID.";
            return Err(Failure::invalid(message)
                .code("resource_missing")
                .param("invoice_settings[default_payment_method]"));
        }
    }
    let customer = account.customers.get_mut(id).ok_or_else(|| Failure::no_such("customer", id))?;
    if params.get("invoice_settings[default_payment_method]").is_some() {
        customer["invoice_settings"]["default_payment_method"] =
            params.text("invoice_settings[default_payment_method]");
    }
    for name in ["name", "email", "description", "phone"] {
        if params.get(name).is_some() {
            customer[name] = params.text(name);
        }
    }
    customer["metadata"] = metadata;
    let customer = customer.clone();
    crate::events::happened(account, "customer.updated", &customer);
    Ok(customer)
}

pub fn retrieve(account: &Account, id: &str) -> Result<Value, Failure> {
    account.customers.get(id).cloned().ok_or_else(|| Failure::no_such("customer", id))
}

/// What is left of it says only that it was there.
pub fn delete(account: &mut Account, id: &str) -> Result<Value, Failure> {
    let customer = account.customers.get_mut(id).filter(|held| held["deleted"] != true);
    let customer = customer.ok_or_else(|| Failure::no_such("customer", id))?;
    *customer = json!({ "id": id, "object": "customer", "deleted": true });
    let gone = customer.clone();
    crate::events::happened(account, "customer.deleted", &gone);
    Ok(gone)
}

pub fn list(account: &Account, params: &Params) -> Result<Value, Failure> {
    params.only(&[LIST.as_slice(), &["email"]].concat())?;
    let email = params.get("email");
    list::page(&account.customers, "/v1/customers", params, |customer| {
        customer["deleted"] != true && email.is_none_or(|email| customer["email"] == email)
    })
}

pub fn search(account: &Account, params: &Params) -> Result<Value, Failure> {
    list::search(&account.customers, account.now(), "/v1/customers/search", params)
}
