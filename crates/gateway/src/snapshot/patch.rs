//! A snapshot from the one before and what has changed since.

use super::{
    Snapshot,
    compile::{Unseal, compile_plans},
};
use domain::directory::{Directory, Touched};

/// `None` where the changes follow another version, or are of a kind that is too rare to be worth more than compiling anew.
pub(super) fn patch(old: &Snapshot, directory: &Directory, touched: &Touched, unseal: Unseal) -> Option<Snapshot> {
    if touched.since != old.version {
        return None;
    }
    let mut new = old.clone();
    new.version = directory.version;
    if !touched.products.is_empty() {
        new.take_products(directory, &touched.products, unseal);
    }
    // What a plan opens is kept by the products' places.
    if touched.plans || !touched.products.is_empty() {
        new.plans = compile_plans(directory);
    }
    if touched.plans || (!touched.products.is_empty() && old.partners.any_keeps()) {
        new.partners = old.partners.recompile(directory, &touched.partners)?;
    } else if !touched.partners.is_empty() {
        new.partners = old.partners.patch(directory, &touched.partners)?;
    }
    // A key that nobody owned may have an owner now.
    if new.partners.len() > old.partners.len() && old.keys.problems().next().is_some() {
        return None;
    }
    if !touched.keys.is_empty() {
        new.keys = old.keys.patch(directory, &touched.keys, &new.partners);
    }
    Some(new)
}
