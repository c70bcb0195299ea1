//! The partner as Stripe's customer.

use super::{Push, look::Look, once::Wanted};
use crate::{BillingError, drift::observed};
use domain::id::PartnerId;
use store::Parameters;

pub(crate) const SUBJECT: &str = "customer";

/// Customers made in one run before they have an invoice.
const MOST_AT_ONCE: u32 = 100;

impl Push<'_> {
    /// Makes customers of partners whose plan Stripe rates, so that a subscription can be set up there before their first period ends.
    pub(super) async fn customers_with_meters(&self) -> Result<(), BillingError> {
        for partner in self.store.all_partners_with_meters_and_no_customer(MOST_AT_ONCE, self.now()).await? {
            match self.customer(partner).await {
                Ok(_) => {}
                Err(BillingError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(%partner, %error, "a partner is not yet a customer at Stripe");
                    // What Stripe refuses of one partner keeps no other from becoming a customer.
                    if matches!(&error, BillingError::Stripe(error) if error.is_passing() || error.is_unauthorized()) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// The customer's id. What changed here since it was told is told; what somebody changed over there is left to the drift report.
    pub(crate) async fn customer(&self, partner: PartnerId) -> Result<String, BillingError> {
        let contact = self.store.billing_contact(partner).await?;
        let parameters = parameters(partner, &contact.name, contact.email.as_deref());
        let held = self.store.stripe_object(partner, SUBJECT).await?;
        if let Some((id, known)) = held.and_then(|object| object.stripe_id.map(|id| (id, object.parameters))) {
            if known != parameters {
                self.tell_customer(partner, &id, known, &parameters).await?;
            }
            return Ok(id);
        }
        let since = self.now().as_second() - 2 * 86_400;
        let look = Look::Customer { email: contact.email.as_deref(), since, partner: partner.to_string() };
        self.once(Wanted { partner, subject: SUBJECT.to_owned(), path: "/v1/customers", parameters, look }).await
    }

    /// Tells Stripe what changed here, field by field, and leaves what somebody changed over there meanwhile.
    async fn tell_customer(
        &self,
        partner: PartnerId,
        id: &str,
        mut told: Parameters,
        ours: &Parameters,
    ) -> Result<(), BillingError> {
        let observed::Observed::There { fields, .. } = observed::customer(&self.stripe.customer(id).await?) else {
            let message =
                format!("Stripe's customer {id} was deleted there. Have another one made under \"Stripe drift\".");
            return Err(BillingError::Differs(message));
        };
        let (mut changed, mut is_told) = (Parameters::new(), false);
        for (name, value) in ours {
            let before = told.iter_mut().find(|(known, _)| known == name);
            let was = before.as_ref().map(|(_, was)| was.as_str()).unwrap_or_default();
            let theirs = fields.get(name.as_str()).map(String::as_str).unwrap_or_default();
            if was == value || (theirs != was && theirs != value) {
                continue;
            }
            if theirs != value {
                changed.push((name.clone(), value.clone()));
            }
            is_told = true;
            match before {
                Some((_, was)) => was.clone_from(value),
                None => told.push((name.clone(), value.clone())),
            }
        }
        if !changed.is_empty() {
            self.stripe.update_customer(id, &changed).await?;
        }
        if is_told {
            self.store.change_stripe_object(partner, SUBJECT, &told, self.now()).await?;
        }
        Ok(())
    }
}

/// What Stripe's customer says of a partner.
pub(crate) fn parameters(partner: PartnerId, name: &str, email: Option<&str>) -> Parameters {
    let mut parameters =
        vec![("name".to_owned(), name.to_owned()), ("metadata[turnpike_partner]".to_owned(), partner.to_string())];
    if let Some(email) = email {
        parameters.push(("email".to_owned(), email.to_owned()));
    }
    parameters
}
