//! Teams, and which app is in which.

use super::{
    extract::{Body, Named, Params},
    guard::PartnerCall,
    keys::Whose,
    list::List,
    problem::Problem,
};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::id::{AppId, TeamId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::Team;
use utoipa::ToSchema;

/// A part of the company, to charge usage to.
#[derive(Debug, Serialize, ToSchema)]
pub struct TeamOut {
    #[schema(example = "team_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    name: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// A new team.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamIn {
    #[schema(min_length = 1, max_length = 100, example = "Payments")]
    name: String,
}

/// Where an app belongs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppTeamIn {
    /// The team; null is none.
    #[schema(value_type = Option<String>, pattern = "^team_[0-9a-f]{32}$")]
    team: Option<TeamId>,
}

/// All teams, by name.
#[utoipa::path(get, path = "/api/teams", operation_id = "listTeams", tag = "Keys", params(Whose),
    responses((status = 200, description = "All of them", body = List<TeamOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(call: PartnerCall, _: Params<Whose>) -> Result<Json<List<TeamOut>>, Problem> {
    let teams = call.state.store.teams(call.partner).await?;
    Ok(Json(List::whole(teams.into_iter().map(TeamOut::from).collect())))
}

/// Makes a team.
#[utoipa::path(post, path = "/api/teams", operation_id = "createTeam", tag = "Keys", params(Whose), request_body = TeamIn,
    responses((status = 201, description = "The team", body = TeamOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn create(call: PartnerCall, _: Params<Whose>, Body(body): Body<TeamIn>) -> Result<Response, Problem> {
    let id = call.state.store.create_team(call.partner, &body.name, call.token.actor(), call.now).await?;
    let team = Team { id, name: body.name.trim().to_owned(), created_at: call.now };
    Ok((StatusCode::CREATED, Json(TeamOut::from(team))).into_response())
}

/// Puts an app into a team, or into none: its calls count for that team within a second. Earlier ones stay where they are.
#[utoipa::path(put, path = "/api/apps/{app}/team", operation_id = "setAppTeam", tag = "Keys",
    params(("app" = String, Path, description = "The app's identifier", pattern = "^app_[0-9a-f]{32}$"), Whose), request_body = AppTeamIn,
    responses((status = 204, description = "Set"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn put_app(
    call: PartnerCall,
    Named(app): Named<AppId>,
    _: Params<Whose>,
    Body(body): Body<AppTeamIn>,
) -> Result<StatusCode, Problem> {
    call.state.store.set_app_team(call.partner, app, body.team, call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<Team> for TeamOut {
    fn from(team: Team) -> Self {
        Self { id: team.id.to_string(), name: team.name, created_at: team.created_at }
    }
}
