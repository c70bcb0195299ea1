//! `turnpike unknown-requests` and `resolve-request`: requests with an Idempotency-Key whose outcome nobody knows.

use super::{CommandError, reach::with_installation};
use crate::config::Config;
use domain::id::AttemptId;
use std::process::ExitCode;
use store::{
    Actor,
    idempotency::{Resolution, UnknownFilter, UnknownRequest},
};

/// Rows that are fetched at once.
const PAGE: u32 = 200;

/// A few lines for each of them.
pub async fn list(config: Config, partner: Option<String>) -> Result<ExitCode, CommandError> {
    with_installation(&config, async |store, _, _| {
        let partner = match partner {
            None => None,
            Some(code) => {
                let found = store.find_partner_by_code(&code).await?;
                Some(found.ok_or_else(|| format!("no partner has the code {code}"))?.id)
            }
        };
        let filter = UnknownFilter { partner, ..UnknownFilter::default() };
        let (mut after, mut count) = (None, 0_usize);
        loop {
            let page = store.all_unknown_requests(&filter, after.as_deref(), PAGE).await?;
            count += page.items.len();
            page.items.iter().for_each(show);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if count == 0 {
            println!("The outcome of every request is known.");
        }
        Ok(ExitCode::SUCCESS)
    })
    .await
}

fn show(request: &UnknownRequest) {
    let UnknownRequest { attempt, began_at, partner_name, environment, product, method, path, .. } = request;
    println!("{attempt}  {began_at:.0}  {}", request.reason.code());
    println!("  {partner_name}, {environment}: {method} {path} of {product}");
    println!("  Idempotency-Key {}, X-Request-Id {}, node {}", request.key, request.request_id, request.node);
}

/// Writes down what the API said of one.
pub async fn resolve(
    config: Config,
    attempt: AttemptId,
    carried_out: bool,
    note: String,
) -> Result<ExitCode, CommandError> {
    let (resolution, told) = if carried_out {
        (Resolution::CarriedOut, "The key goes on to be refused, and says that the request was carried out.")
    } else {
        (Resolution::NotCarriedOut, "The key is forgotten: the same request may be sent again.")
    };
    with_installation(&config, async |store, _, now| {
        match store.resolve_unknown_request(attempt, resolution, &note, Actor::System, now).await {
            Ok(()) => println!("{told}"),
            Err(store::StoreError::NotFound) => {
                return Err(format!("{attempt} is not unknown; turnpike unknown-requests lists those that are").into());
            }
            Err(error) => return Err(error.into()),
        }
        Ok(ExitCode::SUCCESS)
    })
    .await
}
