//! `turnpike operator-link`: the first operator's way in, and the way back for one who lost the password.

use super::{CommandError, reach::with_installation};
use crate::{config::Config, serve::settings};
use app::{mail, secrets::new_link_token};
use domain::{id::OperatorId, role::OperatorRole};
use jiff::{SignedDuration, Timestamp};
use std::process::ExitCode;
use store::{Actor, NewOperator, NewToken, Store};

const LIFETIME: SignedDuration = SignedDuration::from_hours(1);
const FIRST: &str = "operator@localhost";

/// Prints the link and nothing else.
pub async fn print(config: Config, email: Option<String>) -> Result<ExitCode, CommandError> {
    with_installation(&config, async |store, _, now| {
        let operator = find_or_create(store, email.as_deref(), now).await?;
        let (token, hash) = new_link_token();
        let token_row = NewToken { hash, expires_at: now + LIFETIME };
        store.create_operator_sign_in_link(operator, token_row, Actor::System, now).await?;
        println!(
            "{}",
            mail::link(&settings(&config, config.listen.gateway_address.clone()), "/console/welcome", &token)
        );
        Ok(ExitCode::SUCCESS)
    })
    .await
}

async fn find_or_create(store: &Store, email: Option<&str>, now: Timestamp) -> Result<OperatorId, CommandError> {
    let operators: Vec<_> = store.operators().await?.into_iter().filter(|one| one.disabled_at.is_none()).collect();
    if operators.is_empty() {
        let email = email.unwrap_or(FIRST).to_owned();
        let first = NewOperator { email, name: String::new(), role: OperatorRole::Admin };
        return Ok(store.create_operator(&first, Actor::System, now).await?);
    }
    match (email, operators.as_slice()) {
        (None, [only]) => Ok(only.id),
        (None, _) => Err("there are several operators; name one with --email".into()),
        (Some(email), _) => {
            let named = operators.iter().find(|operator| operator.email.eq_ignore_ascii_case(email));
            named
                .map(|operator| operator.id)
                .ok_or_else(|| format!("there is no operator with the address {email}").into())
        }
    }
}
