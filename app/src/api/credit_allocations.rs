//! Forms about prepaid units that one app or team has for itself: partners allocate their own, operators those of any partner.

use leptos::prelude::*;

/// Gives an app or a team units of its own.
#[server(prefix = "/do", endpoint = "credit/allocate")]
pub async fn allocate_credit(
    #[server(default)] holder: String,
    #[server(default)] units: String,
    #[server(default)] spend: String,
    #[server(default)] once: String,
) -> Result<(), ServerFnError> {
    use crate::{form, viewer};
    const BACK: &str = "/credit";
    let typed = [("holder", holder.as_str()), ("units", &units), ("spend", &spend)];
    let outcome = async {
        let cx = viewer::member()?;
        let new = read_allocation(&holder, &units, &spend, once)?;
        let actor = store::Actor::Member(cx.viewer.id);
        let done = cx.state.store.allocate_credit(cx.viewer.partner, &new, actor, cx.now).await?;
        Ok(form::Done::go(BACK).saying(said_of(&done)))
    };
    form::answer("credit/allocate", BACK, &typed, outcome.await)
}

/// Gives units back, or all of them where no number is typed.
#[server(prefix = "/do", endpoint = "credit/give-back")]
pub async fn give_back_credit(
    #[server(default)] allocation: String,
    #[server(default)] units: String,
    #[server(default)] once: String,
) -> Result<(), ServerFnError> {
    use crate::{form, viewer};
    const BACK: &str = "/credit";
    let typed = [("allocation", allocation.as_str()), ("back_units", &units)];
    let outcome = async {
        let cx = viewer::member()?;
        let (id, asked) = read_give_back(&allocation, &units, once)?;
        let actor = store::Actor::Member(cx.viewer.id);
        let done = cx.state.store.give_back_credit(cx.viewer.partner, id, &asked, actor, cx.now).await;
        Ok(form::Done::go(BACK).saying(said_of_back(&done.map_err(of_field)?)))
    };
    form::answer("credit/give-back", BACK, &typed, outcome.await)
}

/// As [`allocate_credit`], for a partner.
#[server(prefix = "/do", endpoint = "console/credit/allocate")]
pub async fn allocate_credit_for(
    #[server(default)] partner: String,
    #[server(default)] holder: String,
    #[server(default)] units: String,
    #[server(default)] spend: String,
    #[server(default)] once: String,
) -> Result<(), ServerFnError> {
    use crate::{form, viewer};
    let back = format!("/console/partners/{partner}/credit");
    let typed = [("holder", holder.as_str()), ("units", &units), ("spend", &spend)];
    let outcome = async {
        let cx = viewer::operator()?;
        let new = read_allocation(&holder, &units, &spend, once)?;
        let actor = store::Actor::Operator(cx.viewer.id);
        let done = cx.state.store.allocate_credit(form::id(&partner)?, &new, actor, cx.now).await?;
        Ok(form::Done::go(&back).saying(said_of(&done)))
    };
    form::answer("credit/allocate", &back, &typed, outcome.await)
}

/// As [`give_back_credit`], for a partner.
#[server(prefix = "/do", endpoint = "console/credit/give-back")]
pub async fn give_back_credit_for(
    #[server(default)] partner: String,
    #[server(default)] allocation: String,
    #[server(default)] units: String,
    #[server(default)] once: String,
) -> Result<(), ServerFnError> {
    use crate::{form, viewer};
    let back = format!("/console/partners/{partner}/credit");
    let typed = [("allocation", allocation.as_str()), ("back_units", &units)];
    let outcome = async {
        let cx = viewer::operator()?;
        let (id, asked) = read_give_back(&allocation, &units, once)?;
        let actor = store::Actor::Operator(cx.viewer.id);
        let done = cx.state.store.give_back_credit(form::id(&partner)?, id, &asked, actor, cx.now).await;
        Ok(form::Done::go(&back).saying(said_of_back(&done.map_err(of_field)?)))
    };
    form::answer("credit/give-back", &back, &typed, outcome.await)
}

#[cfg(feature = "ssr")]
fn read_allocation(
    holder: &str,
    units: &str,
    spend: &str,
    once: String,
) -> Result<store::NewCreditAllocation, crate::form::Failure> {
    use crate::form::Failure;
    use domain::credit::allocation::Holder;
    let of = holder.parse().map(Holder::App).or_else(|_| holder.parse().map(Holder::Team));
    let of = of.map_err(|_| Failure::field("holder", "Choose an app or a team"))?;
    let units = read_units("units", units)?;
    let spend = spend.parse().map_err(|_| Failure::field("spend", "Choose what its calls do then"))?;
    Ok(store::NewCreditAllocation { of, units, spend, reference: (!once.is_empty()).then_some(once) })
}

#[cfg(feature = "ssr")]
fn read_give_back(
    allocation: &str,
    units: &str,
    once: String,
) -> Result<(domain::id::AllocationId, store::GiveBackCredit), crate::form::Failure> {
    use crate::form::Failure;
    let id = allocation.parse().map_err(|_| Failure::field("allocation", "Choose whose units"))?;
    let units = match units.trim() {
        "" => None,
        text => Some(read_units("back_units", text)?),
    };
    Ok((id, store::GiveBackCredit { units, reference: (!once.is_empty()).then_some(once) }))
}

#[cfg(feature = "ssr")]
fn read_units(field: &'static str, text: &str) -> Result<u64, crate::form::Failure> {
    let number = text.trim().replace([',', ' ', '_'], "");
    number.parse().map_err(|_| crate::form::Failure::field(field, "Enter a whole number of units"))
}

/// The page has two forms with a number of units.
#[cfg(feature = "ssr")]
fn of_field(error: store::StoreError) -> store::StoreError {
    use store::StoreError;
    match error {
        StoreError::Conflict { field, message } if field == "units" => StoreError::conflict("back_units", message),
        StoreError::Invalid { field, message } if field == "units" => StoreError::invalid("back_units", message),
        other => other,
    }
}

#[cfg(feature = "ssr")]
fn said_of(done: &store::CreditAllocation) -> String {
    use domain::money::group_thousands;
    format!(
        "{} has {} units for itself now. Its calls spend them within a second.",
        done.name,
        group_thousands(done.left)
    )
}

#[cfg(feature = "ssr")]
fn said_of_back(done: &store::CreditAllocation) -> String {
    use domain::money::group_thousands;
    match (done.ended_at, done.returning) {
        (_, more @ 1..) => format!(
            "Given back. {} units are still held by gateways and follow within seconds, as far as no call takes them.",
            group_thousands(more)
        ),
        (Some(_), 0) => format!("Given back. {} spends the shared units from now on.", done.name),
        (None, 0) => format!("Given back. {} has {} units left for itself.", done.name, group_thousands(done.left)),
    }
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;
    use domain::{
        credit::allocation::{Holder, Spend},
        id::{AppId, TeamId},
    };
    use uuid::Uuid;

    #[test]
    fn what_is_typed_is_an_allocation_or_says_which_field_is_wrong() {
        let (app, team) = (AppId(Uuid::from_u128(1)), TeamId(Uuid::from_u128(2)));
        let read = |holder: &str, units: &str, spend: &str| read_allocation(holder, units, spend, "form-1".to_owned());
        let new = read(&app.to_string(), "1,000", "only").expect("an allocation");
        assert_eq!((new.of, new.units, new.spend), (Holder::App(app), 1_000, Spend::Only));
        assert_eq!(new.reference.as_deref(), Some("form-1"));
        assert_eq!(read(&team.to_string(), "0", "first").expect("an allocation").of, Holder::Team(team));
        for (holder, units, spend, field) in [
            ("", "1", "only", "holder"),
            ("key_00000000000000000000000000000001", "1", "only", "holder"),
            (app.to_string().as_str(), "-1", "only", "units"),
            (app.to_string().as_str(), "1", "all", "spend"),
        ] {
            assert_eq!(read(holder, units, spend).expect_err("refused").0[0].0, field);
        }
        let id = "allocation_00000000000000000000000000000003";
        assert_eq!(
            read_give_back(id, " ", String::new()).expect("read").1,
            store::GiveBackCredit { units: None, reference: None }
        );
        assert_eq!(read_give_back(id, "some", String::new()).expect_err("refused").0[0].0, "back_units");
        assert_eq!(read_give_back("", "1", String::new()).expect_err("refused").0[0].0, "allocation");
    }
}
