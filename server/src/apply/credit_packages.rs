//! Packages of prepaid units, in the order in which they are offered.

use super::{ACTOR, ApplyError, Desired, Walk, at};

impl Walk<'_> {
    pub(super) async fn credit_packages(&mut self, desired: &Desired) -> Result<(), ApplyError> {
        let held = self.store.credit_packages().await.map_err(at("credit_packages"))?;
        let of_file = &desired.setup.credit_packages;
        let wanted: Vec<&str> = of_file.iter().map(|(code, _)| code).collect();
        let order: Vec<&str> =
            held.iter().map(|(code, _)| code.as_str()).filter(|code| wanted.contains(code)).collect();
        // What comes after those that are there needs no place of its own.
        let is_in_order = wanted.starts_with(&order);
        for (place, (code, package)) in (0_i32..).zip(of_file) {
            let before = held.iter().find(|(known, _)| known == code).map(|(_, package)| package);
            let mut details = Vec::new();
            match before {
                None => self.report.created("credit package", code),
                Some(before) if before != package => details.push("its terms, for purchases to come".to_owned()),
                Some(_) => {}
            }
            if before.is_some() && !is_in_order {
                details.push("its place in the offer".to_owned());
            }
            if self.applies() && (before.is_none() || !details.is_empty()) {
                let position = (!is_in_order).then_some(place);
                let put = self.store.put_credit_package((code, position), package, ACTOR, self.now).await;
                put.map_err(at(format!("credit_packages.{code}")))?;
            }
            if before.is_some() {
                self.report.compared("credit package", code, details);
            }
        }
        Ok(())
    }
}
