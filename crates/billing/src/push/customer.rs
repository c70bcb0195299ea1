//! The partner as Stripe's customer.

use super::{Push, look::Look, once::Wanted};
use crate::BillingError;
use domain::id::PartnerId;
use store::{BillingContact, Parameters};

const SUBJECT: &str = "customer";

/// Customers made in one run before they have an invoice.
const MOST_AT_ONCE: u32 = 100;

impl Push<'_> {
    /// Makes customers of partners whose plan Stripe rates, so that a subscription can be set up there before their first period ends.
    pub(super) async fn customers_with_meters(&self) -> Result<(), BillingError> {
        for partner in self.store.all_partners_with_meters_and_no_customer(MOST_AT_ONCE).await? {
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

    /// The customer's id; name and address follow ours.
    pub(super) async fn customer(&self, partner: PartnerId) -> Result<String, BillingError> {
        let contact = self.store.billing_contact(partner).await?;
        let parameters = parameters(partner, &contact);
        let held = self.store.stripe_object(partner, SUBJECT).await?;
        if let Some((id, known)) = held.and_then(|object| object.stripe_id.map(|id| (id, object.parameters))) {
            if known != parameters {
                self.stripe.update_customer(&id, &parameters).await?;
                self.store.change_stripe_object(partner, SUBJECT, &parameters, self.now()).await?;
            }
            return Ok(id);
        }
        let since = self.now().as_second() - 2 * 86_400;
        let look = Look::Customer { email: contact.email.as_deref(), since, partner: partner.to_string() };
        self.once(Wanted { partner, subject: SUBJECT.to_owned(), path: "/v1/customers", parameters, look }).await
    }
}

fn parameters(partner: PartnerId, contact: &BillingContact) -> Parameters {
    let mut parameters =
        vec![("name".to_owned(), contact.name.clone()), ("metadata[turnpike_partner]".to_owned(), partner.to_string())];
    if let Some(email) = &contact.email {
        parameters.push(("email".to_owned(), email.clone()));
    }
    parameters
}
