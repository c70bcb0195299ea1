//! Products of the file.

use super::{ACTOR, ApplyError, Desired, Walk, at, desired::Fetched, report::differ};
use crate::product::operations;
use domain::{id::ProductId, product::Operation, setup::ProductSetup};
use std::collections::HashMap;
use store::{NewOperation, NewProduct, Product, StoreError};

impl Walk<'_> {
    pub(super) async fn products(&mut self, desired: &Desired) -> Result<(), ApplyError> {
        let sealed = self.sealed_headers().await.map_err(at("products"))?;
        for (code, setup) in &desired.setup.products {
            if let Some(fetched) = desired.products.get(code) {
                self.product(code, setup, fetched, &sealed).await.map_err(at(format!("products.{code}")))?;
            }
        }
        Ok(())
    }

    async fn product(
        &mut self,
        code: &str,
        setup: &ProductSetup,
        fetched: &Fetched,
        sealed: &HashMap<(ProductId, String), Vec<u8>>,
    ) -> Result<(), StoreError> {
        let operations = operations(&fetched.document, &setup.weights);
        let Some(there) = self.store.find_product_by_code(code).await? else {
            self.report.created("product", code);
            if self.applies() {
                self.store.create_product(&self.described(code, setup, fetched, operations), ACTOR, self.now).await?;
            }
            return Ok(());
        };
        let mut details = Vec::new();
        let line = &there.line;
        differ(&mut details, "name", &line.name, &setup.name);
        differ(&mut details, "summary", &line.summary, &setup.summary);
        differ(&mut details, "route", &line.route, &setup.route);
        differ(&mut details, "upstream_url", &line.upstream_url, &setup.upstream_url);
        differ(&mut details, "timeout_ms", line.timeout_ms, setup.timeout_ms);
        differ(&mut details, "visibility", line.visibility.code(), setup.visibility.code());
        let document = self.store.product_document(line.id).await?;
        // As texts, because the order of a document's parts is the order of its pages.
        let (old, new) = (document.to_string(), fetched.document.value().to_string());
        if old != new {
            details.push("document: changed".to_owned());
        }
        if there.policy != setup.policy {
            details.push("policy: changed".to_owned());
        }
        compare_operations(&mut details, &there.operations, &operations);
        self.compare_headers(&mut details, code, &there, fetched, sealed);
        self.compare_secrets(&mut details, code, &there, fetched).await?;
        if line.archived_at.is_some() {
            details.push("archived: yes -> no".to_owned());
        }
        if self.applies() && !details.is_empty() {
            if line.archived_at.is_some() {
                self.store.restore_product(line.id, ACTOR, self.now).await?;
            }
            let new = self.described(code, setup, fetched, operations);
            self.store.update_product(line.id, &new, ACTOR, self.now).await?;
        }
        self.report.compared("product", code, details);
        Ok(())
    }

    fn described(
        &self,
        code: &str,
        setup: &ProductSetup,
        fetched: &Fetched,
        operations: Vec<NewOperation>,
    ) -> NewProduct {
        let seal = |(name, value): &(String, String)| {
            (name.clone(), Some(self.secrets.seal_header(code, name, value.as_bytes())))
        };
        let seal_secret = |(name, value): &(String, String)| {
            (name.clone(), Some(self.secrets.seal_product_secret(code, name, value.as_bytes())))
        };
        NewProduct {
            code: code.to_owned(),
            name: setup.name.clone(),
            summary: setup.summary.clone(),
            route: setup.route.clone(),
            upstream_url: setup.upstream_url.clone(),
            timeout_ms: setup.timeout_ms,
            visibility: setup.visibility,
            document: fetched.document.value().clone(),
            operations,
            headers: fetched.headers.iter().map(seal).collect(),
            policy: Some(setup.policy.clone()),
            secrets: Some(fetched.secrets.iter().map(seal_secret).collect()),
        }
    }

    /// Sealed values differ each time, so they are compared opened; what differs is told by name only.
    fn compare_headers(
        &self,
        details: &mut Vec<String>,
        code: &str,
        there: &Product,
        fetched: &Fetched,
        sealed: &HashMap<(ProductId, String), Vec<u8>>,
    ) {
        for (name, value) in &fetched.headers {
            match sealed.get(&(there.line.id, name.clone())) {
                None => details.push(format!("header {name}: added")),
                Some(sealed) => {
                    let same =
                        self.secrets.unseal_header(code, name, sealed).is_some_and(|plain| plain == value.as_bytes());
                    if !same {
                        details.push(format!("header {name}: another value"));
                    }
                }
            }
        }
        let wanted = |name: &String| fetched.headers.iter().any(|(wanted, _)| wanted == name);
        details.extend(there.headers.iter().filter(|name| !wanted(name)).map(|name| format!("header {name}: removed")));
    }

    async fn compare_secrets(
        &self,
        details: &mut Vec<String>,
        code: &str,
        there: &Product,
        fetched: &Fetched,
    ) -> Result<(), StoreError> {
        let sealed: HashMap<String, Vec<u8>> =
            self.store.sealed_product_secrets(there.line.id).await?.into_iter().collect();
        for (name, value) in &fetched.secrets {
            let opened = sealed.get(name).map(|sealed| self.secrets.unseal_product_secret(code, name, sealed));
            match opened {
                None => details.push(format!("secret {name}: added")),
                Some(opened) if opened.as_deref() != Some(value.as_bytes()) => {
                    details.push(format!("secret {name}: another value"));
                }
                Some(_) => {}
            }
        }
        let wanted = |name: &&String| fetched.secrets.iter().any(|(wanted, _)| wanted == *name);
        details.extend(there.secrets.iter().filter(|name| !wanted(name)).map(|name| format!("secret {name}: removed")));
        Ok(())
    }

    async fn sealed_headers(&self) -> Result<HashMap<(ProductId, String), Vec<u8>>, StoreError> {
        let headers = self.store.load_directory().await?.headers;
        Ok(headers.into_iter().map(|header| ((header.product, header.name), header.sealed_value)).collect())
    }

    /// Who may know of products by invitation; it comes last, when the partners are there.
    pub(super) async fn invitations(&mut self, desired: &Desired) -> Result<(), ApplyError> {
        for (code, setup) in &desired.setup.products {
            for partner in &setup.invited {
                let place = format!("products.{code}.invited");
                self.invitation(code, partner).await.map_err(at(place))?;
            }
        }
        Ok(())
    }

    async fn invitation(&mut self, code: &str, partner: &str) -> Result<(), StoreError> {
        let product = self.store.find_product_by_code(code).await?;
        let there = self.store.find_partner_by_code(partner).await?;
        let subject = format!("{partner} to {code}");
        let (Some(product), Some(there)) = (product, there) else {
            self.report.created("product invitation", subject);
            return Ok(());
        };
        if product.invited.iter().any(|(invited, _)| *invited == there.id) {
            self.report.compared("product invitation", subject, Vec::new());
            return Ok(());
        }
        self.report.created("product invitation", subject);
        if self.applies() {
            self.store.invite_partner_to_product(there.id, product.line.id, ACTOR, self.now).await?;
        }
        Ok(())
    }
}

fn compare_operations(details: &mut Vec<String>, there: &[Operation], wanted: &[NewOperation]) {
    let find = |code: &str| there.iter().find(|operation| operation.code == code);
    for operation in wanted {
        let code = &operation.code;
        match find(code) {
            None => details.push(format!("operation {code}: added")),
            Some(old) => {
                differ(details, &format!("operation {code}, weight"), old.weight, operation.weight);
                let same = (&old.method, &old.path, &old.summary, old.deprecated)
                    == (&operation.method, &operation.path, &operation.summary, operation.deprecated);
                if !same {
                    details.push(format!("operation {code}: described otherwise"));
                }
            }
        }
    }
    let kept = |operation: &&Operation| !wanted.iter().any(|wanted| wanted.code == operation.code);
    details.extend(there.iter().filter(kept).map(|operation| format!("operation {}: removed", operation.code)));
}
