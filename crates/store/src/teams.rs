//! Teams: what a partner charges its own usage to. An app is in one team or in none.

use crate::{
    Store, StoreError, Ts, apps,
    audit::{self, Actor, Entry},
    row::ReadRow as _,
};
use domain::id::{AppId, PartnerId, TeamId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row as _;
use uuid::Uuid;

/// A part of a partner's company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    pub id: TeamId,
    pub name: String,
    pub created_at: Timestamp,
}

impl Store {
    /// The partner's teams by name.
    pub async fn teams(&self, partner: PartnerId) -> Result<Vec<Team>, StoreError> {
        let rows = sqlx::query("select * from teams where partner_id = $1 order by lower(name)")
            .bind(partner.0)
            .fetch_all(self.pool())
            .await?;
        let team = |row: &sqlx::postgres::PgRow| {
            Ok(Team { id: TeamId(row.try_get("id")?), name: row.try_get("name")?, created_at: row.at("created_at")? })
        };
        Ok(rows.iter().map(team).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Adds a team without apps.
    ///
    /// # Errors
    /// The partner has one of that name.
    pub async fn create_team(
        &self,
        partner: PartnerId,
        name: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<TeamId, StoreError> {
        let (id, name) = (TeamId(Uuid::now_v7()), name.trim());
        let mut tx = self.begin().await?;
        let made = sqlx::query(
            "insert into teams (partner_id, id, name, created_at) values ($1, $2, $3, $4)
             on conflict (partner_id, lower(name)) do nothing",
        )
        .bind(partner.0)
        .bind(id.0)
        .bind(name)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        if made.rows_affected() == 0 {
            return Err(StoreError::conflict("name", "There is a team of this name"));
        }
        audit::append(&mut tx, Entry::new(actor, partner, "team.create", name), now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Puts an app into a team, or into none. Its calls count for that team from then on; those before stay where they are.
    pub async fn set_app_team(
        &self,
        partner: PartnerId,
        app: AppId,
        team: Option<TeamId>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let old = apps::lock(&mut tx, partner, app).await?;
        if let Some(team) = team {
            // Another partner's does not exist.
            sqlx::query("select from teams where partner_id = $1 and id = $2")
                .bind(partner.0)
                .bind(team.0)
                .fetch_one(&mut *tx)
                .await?;
        }
        sqlx::query("update apps set team_id = $3 where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(app.0)
            .bind(team.map(|id| id.0))
            .execute(&mut *tx)
            .await?;
        let subject = app.to_string();
        let entry = Entry::new(actor, partner, "app.set_team", &subject);
        let entry = entry.before(json!({ "team": old.team })).after(json!({ "team": team }));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{StoreError, test_db, test_db::world::World};

    #[tokio::test]
    async fn an_app_is_in_one_team_of_its_own_partner_and_the_directory_hears_of_it() {
        let store = test_db::store().await;
        let (world, other) = (World::new(&store).await, World::named(&store, "other").await);
        let (partner, actor, now) = (world.partner, world.actor(), world.now);
        let app = store.apps(partner).await.expect("apps")[0].app.id;
        let team = store.create_team(partner, " Payments ", actor, now).await.expect("made");
        assert!(matches!(store.create_team(partner, "payments", actor, now).await, Err(StoreError::Conflict { .. })));
        assert!(matches!(store.create_team(partner, "  ", actor, now).await, Err(StoreError::Invalid { .. })));
        let theirs = store.create_team(other.partner, "Payments", other.actor(), now).await.expect("made");
        assert!(matches!(store.set_app_team(partner, app, Some(theirs), actor, now).await, Err(StoreError::NotFound)));
        let version = || async {
            sqlx::query_scalar::<_, i64>("select version from directory_version")
                .fetch_one(store.pool())
                .await
                .expect("one")
        };
        let before = version().await;
        store.set_app_team(partner, app, Some(team), actor, now).await.expect("set");
        assert!(version().await > before, "gateways are told");
        assert_eq!(store.app(partner, app).await.expect("the app").team, Some(team));
        store.set_app_team(partner, app, None, actor, now).await.expect("set");
        assert_eq!(store.app(partner, app).await.expect("the app").team, None);
    }
}
