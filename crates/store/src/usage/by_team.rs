//! Units by team, for the parts of an invoice's lines.

use super::{UsedUnits, units_of};
use crate::{Store, StoreError, time::Ts};
use domain::{
    id::{OperationId, PartnerId, ProductId, TeamId},
    key_text::Environment,
    period::Period,
    rating::teams::TeamUnits,
};
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

/// What a team used of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamUsed {
    pub product: Option<ProductId>,
    pub operation: Option<OperationId>,
    /// `None` for usage of no team.
    pub team: Option<TeamId>,
    /// As it is called now; empty for usage of no team.
    pub name: String,
    pub used: TeamUnits,
}

/// Migration 0096 has the function. Who has no team at all is not counted once more.
const BY_TEAM: &str = "
    select used.product_id, used.operation_id, used.team_id, coalesce(t.name, '') as name, used.units, used.prepaid
    from units_by_team($1, $2, $3, $4) as used
    left join teams t on t.partner_id = $1 and t.id = used.team_id
    where exists (select from teams of where of.partner_id = $1)
    order by used.product_id, used.operation_id, used.team_id = '00000000-0000-0000-0000-000000000000', used.team_id";

impl Store {
    /// Live units used in the range by product and operation, as [`Store::units_between`] has them, and what teams used of them, both at
    /// one instant. Nothing of teams where none of it is a team's.
    pub async fn units_and_teams_between(
        &self,
        partner: PartnerId,
        range: Period,
    ) -> Result<(Vec<UsedUnits>, Vec<TeamUsed>), StoreError> {
        let mut tx = self.one_instant().await?;
        let units = units_of(&mut tx, &[(partner, range)], Environment::Live).await?.pop().unwrap_or_default();
        let teams = of_teams(&mut tx, (partner, range), &units).await?;
        tx.commit().await?;
        Ok((units, teams))
    }
}

/// What teams used of these live units of the range, as a transaction sees it: by operation, and there by team with what is of none at the
/// end. Empty where nothing is a team's. Where not all of the range is kept in that detail it does not add up.
pub(crate) async fn of_teams(
    connection: &mut PgConnection,
    (partner, range): (PartnerId, Period),
    units: &[UsedUnits],
) -> Result<Vec<TeamUsed>, StoreError> {
    let rows = sqlx::query(BY_TEAM)
        .bind(partner.0)
        .bind(Ts(range.start))
        .bind(Ts(range.end))
        .bind(Environment::Live.code())
        .fetch_all(connection)
        .await?;
    let mut teams = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if teams.iter().all(|one| one.team.is_none()) {
        return Ok(Vec::new());
    }
    // Of credit that paid for no team nothing is read: it is the rest.
    for line in units {
        let is_of = |one: &&mut TeamUsed| (one.product, one.operation) == (line.product, line.operation);
        let mut rest = i64::try_from(line.used.prepaid).unwrap_or(i64::MAX);
        for one in teams.iter_mut().filter(is_of) {
            match one.team {
                Some(_) => rest = rest.saturating_sub(one.used.prepaid),
                None => one.used.prepaid = rest.clamp(0, one.used.units.max(0)),
            }
        }
    }
    Ok(teams)
}

fn read(row: &PgRow) -> Result<TeamUsed, sqlx::Error> {
    let known = |column| Ok::<_, sqlx::Error>(Some(row.try_get::<Uuid, _>(column)?).filter(|id| !id.is_nil()));
    Ok(TeamUsed {
        product: known("product_id")?.map(ProductId),
        operation: known("operation_id")?.map(OperationId),
        team: known("team_id")?.map(TeamId),
        name: row.try_get("name")?,
        used: TeamUnits { units: row.try_get("units")?, prepaid: row.try_get("prepaid")? },
    })
}

#[cfg(test)]
mod tests;
