//! Prepaid units that one app or team has for itself: a partner's tokens allocate its own, the provider's those of the partner that they name.

use super::{
    extract::{Body, Named, Params},
    guard::PartnerCall,
    keys::Whose,
    list::List,
    once::Once,
    problem::Problem,
};
use axum::Json;
use domain::{
    credit::allocation::{Holder, Spend},
    id::{AllocationId, AppId, TeamId},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{CreditAllocation, GiveBackCredit, NewCreditAllocation};
use utoipa::ToSchema;

/// Units of one app or team, and how they stand.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditAllocationOut {
    #[schema(pattern = "^allocation_[0-9a-f]{32}$")]
    id: String,
    /// Whose it is: the app's, or else the team's, of whose apps those spend it that have none of their own.
    app: Option<String>,
    team: Option<String>,
    name: String,
    /// What calls do when it is used up. `only`: they are refused with 402. `first`: they spend what is common to the partner.
    #[schema(value_type = String)]
    spend: Spend,
    #[schema(value_type = String, format = DateTime)]
    made_at: Timestamp,
    /// When it ended; what gateways hold of it then comes back within seconds.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// Units that were ever allocated, less what was given back or expired.
    units: u64,
    /// Used by calls that are stored.
    used: u64,
    left: u64,
    /// Of what is left, what was asked back and gateways still hold.
    returning: u64,
}

/// Units for an app or a team.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AllocateCreditIn {
    /// Name an app or a team.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^app_[0-9a-f]{32}$")]
    app: Option<AppId>,
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^team_[0-9a-f]{32}$")]
    team: Option<TeamId>,
    /// Taken from what is common, and added to what the app or team has. 0 changes `spend` only.
    #[schema(example = 1000)]
    units: u64,
    /// `only` (where it is left out) or `first`, from now on.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    spend: Spend,
    /// Your own number for it, 1 to 200 characters: allocating the same again changes nothing.
    #[serde(default)]
    reference: Option<String>,
}

/// What to give back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GiveBackCreditIn {
    /// Left out: all of it, and the allocation ends, so that its calls spend what is common.
    #[serde(default)]
    units: Option<u64>,
    /// Your own number for it, 1 to 200 characters: giving the same back again changes nothing.
    #[serde(default)]
    reference: Option<String>,
}

/// What apps and teams have for themselves, by name.
#[utoipa::path(get, path = "/api/credit/allocations", operation_id = "listCreditAllocations", tag = "Plans", params(Whose),
    responses((status = 200, description = "By name", body = List<CreditAllocationOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(call: PartnerCall, _: Params<Whose>) -> Result<Json<List<CreditAllocationOut>>, Problem> {
    let all = call.state.store.credit_allocations(call.partner).await?;
    Ok(Json(List::whole(all.into_iter().map(CreditAllocationOut::from).collect())))
}

/// Gives an app or a team units of its own, which no other call spends. 409 where fewer are left and common, or gateways hold some of
/// them: they give back what they do not use within seconds.
#[utoipa::path(post, path = "/api/credit/allocations", operation_id = "allocateCredit", tag = "Plans", params(Whose),
    request_body = AllocateCreditIn,
    responses((status = 200, description = "How it stands then", body = CreditAllocationOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn allocate(
    call: PartnerCall,
    once: Once,
    Body(body): Body<AllocateCreditIn>,
) -> Result<Json<CreditAllocationOut>, Problem> {
    let AllocateCreditIn { app, team, units, spend, reference } = body;
    let of = match (app, team) {
        (Some(app), None) => Holder::App(app),
        (None, Some(team)) => Holder::Team(team),
        _ => return Err(Problem::invalid("app", "Name an app or a team")),
    };
    let new = NewCreditAllocation { of, units, spend, reference: once.reference(reference) };
    let done = call.state.store.allocate_credit(call.partner, &new, call.token.actor(), call.now).await?;
    Ok(Json(done.into()))
}

/// Gives units back, which all may use at once; what gateways hold of them follows within seconds, as far as no call takes it.
#[utoipa::path(post, path = "/api/credit/allocations/{allocation}/give-back", operation_id = "giveBackCredit", tag = "Plans",
    params(Whose, ("allocation" = String, Path, description = "The allocation's identifier", pattern = "^allocation_[0-9a-f]{32}$")),
    request_body = GiveBackCreditIn,
    responses((status = 200, description = "How it stands then", body = CreditAllocationOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn give_back(
    call: PartnerCall,
    Named(allocation): Named<AllocationId>,
    once: Once,
    Body(body): Body<GiveBackCreditIn>,
) -> Result<Json<CreditAllocationOut>, Problem> {
    let asked = GiveBackCredit { units: body.units, reference: once.reference(body.reference) };
    let store = &call.state.store;
    let done = store.give_back_credit(call.partner, allocation, &asked, call.token.actor(), call.now).await?;
    Ok(Json(done.into()))
}

impl From<CreditAllocation> for CreditAllocationOut {
    fn from(own: CreditAllocation) -> Self {
        let (app, team) = match own.of {
            Holder::App(app) => (Some(app.to_string()), None),
            Holder::Team(team) => (None, Some(team.to_string())),
        };
        Self {
            id: own.id.to_string(),
            app,
            team,
            name: own.name,
            spend: own.spend,
            made_at: own.made_at,
            ended_at: own.ended_at,
            units: own.units,
            used: own.used,
            left: own.left,
            returning: own.returning,
        }
    }
}
