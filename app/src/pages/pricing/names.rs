//! Names for the codes that terms and charges hold.

use domain::{id::PartnerId, plan::PlanTerms, rating::price::Price};
use store::{Store, StoreError, VisibleProduct};

/// What somebody may know of. Of all else the code is shown.
#[derive(Debug, Clone, Default)]
pub struct Names(Vec<VisibleProduct>);

/// Whether prices of these terms are of meters or operations.
pub fn is_needed(terms: &PlanTerms) -> bool {
    let is_matrix = |price: &Price| matches!(price, Price::Matrix { .. });
    let mut offered = terms.offers().filter_map(|(_, instead)| instead.price.as_ref());
    !terms.meters.is_empty() || is_matrix(&terms.price) || offered.any(is_matrix)
}

impl Names {
    /// For a partner, or for everybody.
    pub async fn known_to(store: &Store, partner: Option<PartnerId>) -> Result<Self, StoreError> {
        let mut known = match partner {
            Some(partner) => store.visible_products(partner).await?,
            None => Vec::new(),
        };
        // A partner's own plan may open a part of what everybody may know of.
        known.extend(store.public_products().await?);
        Ok(Self(known))
    }

    /// For operators, who write codes and look for them.
    pub const fn codes() -> Self {
        Self(Vec::new())
    }

    /// Code and name of each product.
    pub fn products(&self) -> Vec<(String, String)> {
        let mut products: Vec<(String, String)> = Vec::new();
        for known in &self.0 {
            if products.iter().all(|(code, _)| *code != known.line.code) {
                products.push((known.line.code.clone(), known.line.name.clone()));
            }
        }
        products
    }

    /// Whether there is a name for the product of this code.
    pub fn knows(&self, product: &str) -> bool {
        self.of(product).next().is_some()
    }

    /// As on invoices: `Charges, American Express`, `Machines, running, hours`.
    pub fn meter(&self, product: &str, meter: &str) -> String {
        let mut meters = self.of(product).flat_map(|known| &known.meters);
        match meters.find(|one| one.code == meter) {
            Some(one) => self.part(product, &format!("{}{}", one.name, one.kind.priced())),
            None => self.part(product, meter),
        }
    }

    /// As on invoices: `Charges, POST /charges`.
    pub fn operation(&self, product: &str, operation: &str) -> String {
        let mut operations = self.of(product).flat_map(|known| &known.operations);
        let named = operations.find(|one| one.code == operation);
        let name = named.map_or_else(|| operation.to_owned(), |one| format!("{} {}", one.method, one.path));
        self.part(product, &name)
    }

    /// `Charges`.
    pub fn product<'a>(&'a self, product: &'a str) -> &'a str {
        self.of(product).next().map_or(product, |known| &known.line.name)
    }

    /// What has no price of its own: `Charges, all else`.
    pub fn rest(&self, product: &str) -> String {
        self.part(product, "all else")
    }

    fn part(&self, product: &str, part: &str) -> String {
        format!("{}, {part}", self.product(product))
    }

    fn of<'a>(&'a self, product: &'a str) -> impl Iterator<Item = &'a VisibleProduct> {
        self.0.iter().filter(move |known| known.line.code == product)
    }
}
