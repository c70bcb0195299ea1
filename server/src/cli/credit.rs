//! Prepaid credit: `turnpike grant-credit`, `turnpike check-credit`.

use super::{CommandError, reach::with_installation};
use crate::config::Config;
use domain::money::Money;
use std::process::ExitCode;
use store::{Actor, NewCreditGrant};

/// Adds units to a partner's credit, or takes some back.
pub async fn grant(
    config: Config,
    partner: String,
    new: NewCreditGrant,
    cost: Option<String>,
) -> Result<ExitCode, CommandError> {
    let new = NewCreditGrant { cost: cost.as_deref().map(read_cost).transpose()?, ..new };
    with_installation(&config, async |store, _, now| {
        let Some(found) = store.find_partner_by_code(&partner).await? else {
            return Err(format!("no partner has the code {partner}").into());
        };
        let grant = store.grant_credit(found.id, &new, Actor::System, now).await?;
        let left = store.credit(found.id).await?;
        match left.bound {
            0 => println!("{}: {} units of credit are left.", grant.id, left.balance),
            bound => println!(
                "{}: {} units of credit are left, and {bound} that only calls of some products spend.",
                grant.id, left.balance
            ),
        }
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// Compares what is kept with the entries, and says what differs.
pub async fn check(config: Config, rebuild: bool) -> Result<ExitCode, CommandError> {
    with_installation(&config, async |store, _, _| {
        if rebuild {
            println!("{} rows were not what the entries come to, and are now.", store.rebuild_all_credit().await?);
        }
        let differences = store.check_all_credit().await?;
        for one in &differences {
            println!("{} {}: {} by the entries, {} kept", one.partner, one.what, one.expected, one.actual);
        }
        match differences.len() {
            0 => {
                println!("All credit is what the ledger's entries come to.");
                Ok(ExitCode::SUCCESS)
            }
            count => {
                println!("{count} differences.");
                Ok(ExitCode::FAILURE)
            }
        }
    })
    .await
}

fn read_cost(text: &str) -> Result<Money, CommandError> {
    let wrong = || format!("{text:?} is no cost: an amount and a currency, as \"8500.00 USD\"");
    let (amount, currency) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let (amount, currency) = (amount.parse().map_err(|_| wrong())?, currency.trim().parse().map_err(|_| wrong())?);
    Ok(Money::from_decimal_exact(currency, amount).map_err(|_| wrong())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_an_amount_and_a_currency() {
        assert_eq!(read_cost("8500.00 USD").expect("a cost").to_string(), "$8,500.00");
        for wrong in ["8500", "8500 XXQ", "a USD", "0.0000001 USD", ""] {
            assert!(read_cost(wrong).is_err(), "{wrong}");
        }
    }
}
