//! Coupons: what can be redeemed from now on. Who redeemed one keeps it as it was.

use super::{ACTOR, ApplyError, Desired, Walk, at};

impl Walk<'_> {
    pub(super) async fn coupons(&mut self, desired: &Desired) -> Result<(), ApplyError> {
        let held = self.store.coupons().await.map_err(at("coupons"))?;
        for (code, coupon) in &desired.setup.coupons {
            let before = held.iter().find(|line| line.code == code).map(|line| &line.coupon);
            if before == Some(coupon) {
                self.report.compared("coupon", code, Vec::new());
                continue;
            }
            match before {
                None => self.report.created("coupon", code),
                Some(_) => self.report.compared("coupon", code, vec!["its terms, for redemptions to come".to_owned()]),
            }
            if self.applies() {
                let put = self.store.put_coupon(code, coupon, ACTOR, self.now).await;
                put.map_err(at(format!("coupons.{code}")))?;
            }
        }
        Ok(())
    }
}
