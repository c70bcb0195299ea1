//! Apps: what a partner's keys belong to.

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    credits,
    keys::Key,
    row::ReadRow as _,
};
use domain::id::{AppId, PartnerId, TeamId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

/// One program of a partner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    pub id: AppId,
    /// The stable name that `apply` gave it.
    pub code: Option<String>,
    pub name: String,
    pub team: Option<TeamId>,
    pub created_at: Timestamp,
    pub archived_at: Option<Timestamp>,
}

/// An app and its keys, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppWithKeys {
    pub app: App,
    pub keys: Vec<Key>,
}

#[derive(Debug, Clone)]
pub struct NewApp {
    pub code: Option<String>,
    pub name: String,
}

impl NewApp {
    /// An app without a code.
    pub fn named(name: impl Into<String>) -> Self {
        Self { code: None, name: name.into() }
    }
}

impl Store {
    /// Adds an app without keys.
    pub async fn create_app(
        &self,
        partner: PartnerId,
        new: &NewApp,
        actor: Actor,
        now: Timestamp,
    ) -> Result<AppId, StoreError> {
        let mut tx = self.begin().await?;
        let id = insert(&mut tx, partner, new, now).await?;
        audit::append(&mut tx, Entry::new(actor, partner, "app.create", &new.name), now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// The partner's apps that are not archived, with all their keys.
    pub async fn apps(&self, partner: PartnerId) -> Result<Vec<AppWithKeys>, StoreError> {
        let rows =
            sqlx::query("select * from apps where partner_id = $1 and archived_at is null order by created_at, id")
                .bind(partner.0)
                .fetch_all(self.pool())
                .await?;
        let mut keys = self.keys(partner).await?;
        let mut apps = Vec::with_capacity(rows.len());
        for row in &rows {
            let app = read(row)?;
            let own = keys.extract_if(.., |key| key.app == app.id).collect();
            apps.push(AppWithKeys { app, keys: own });
        }
        Ok(apps)
    }

    /// One app, archived or not.
    pub async fn app(&self, partner: PartnerId, app: AppId) -> Result<App, StoreError> {
        let row = sqlx::query("select * from apps where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(app.0)
            .fetch_one(self.pool())
            .await?;
        Ok(read(&row)?)
    }

    /// The app that `apply` named so, archived or not.
    pub async fn find_app_by_code(&self, partner: PartnerId, code: &str) -> Result<Option<App>, StoreError> {
        let row = sqlx::query("select * from apps where partner_id = $1 and code = $2")
            .bind(partner.0)
            .bind(code)
            .fetch_optional(self.pool())
            .await?;
        Ok(row.as_ref().map(read).transpose()?)
    }

    /// Gives the app another name; its keys go on working.
    pub async fn rename_app(
        &self,
        partner: PartnerId,
        app: AppId,
        name: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let old = lock(&mut tx, partner, app).await?;
        sqlx::query("update apps set name = $3 where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(app.0)
            .bind(name.trim())
            .execute(&mut *tx)
            .await?;
        let subject = app.to_string();
        let entry = Entry::new(actor, partner, "app.rename", &subject).before(json!({"name": old.name}));
        audit::append(&mut tx, entry.after(json!({"name": name.trim()})), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes an app out of the lists, revokes its keys and gives back the credit that it had for itself; what it used stays on record.
    pub async fn archive_app(
        &self,
        partner: PartnerId,
        app: AppId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        // Before the app's, as whoever moves credit locks them.
        sqlx::query("select from partners where id = $1 for no key update").bind(partner.0).fetch_one(&mut *tx).await?;
        let old = lock(&mut tx, partner, app).await?;
        if old.archived_at.is_some() {
            return Err(StoreError::conflict("", "This app is already archived"));
        }
        // Before all that changes the directory: what is to be booked first can be much, and others who change it wait.
        credits::end_allocation_of_app(&mut tx, partner, app, actor, now).await?;
        sqlx::query("update apps set archived_at = $3 where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(app.0)
            .bind(Ts(now))
            .execute(&mut *tx)
            .await?;
        sqlx::query("update keys set revoked_at = $3 where partner_id = $1 and app_id = $2 and revoked_at is null")
            .bind(partner.0)
            .bind(app.0)
            .bind(Ts(now))
            .execute(&mut *tx)
            .await?;
        audit::append(&mut tx, Entry::new(actor, partner, "app.archive", &old.name), now).await?;
        tx.commit().await?;
        Ok(())
    }
}

pub(crate) async fn insert(
    tx: &mut PgConnection,
    partner: PartnerId,
    new: &NewApp,
    now: Timestamp,
) -> Result<AppId, StoreError> {
    let id = AppId(Uuid::now_v7());
    sqlx::query("insert into apps (partner_id, id, code, name, created_at) values ($1, $2, $3, $4, $5)")
        .bind(partner.0)
        .bind(id.0)
        .bind(&new.code)
        .bind(new.name.trim())
        .bind(Ts(now))
        .execute(tx)
        .await?;
    Ok(id)
}

/// The app, held until the transaction ends.
pub(crate) async fn lock(tx: &mut PgConnection, partner: PartnerId, app: AppId) -> Result<App, StoreError> {
    let row = sqlx::query("select * from apps where partner_id = $1 and id = $2 for update")
        .bind(partner.0)
        .bind(app.0)
        .fetch_one(tx)
        .await?;
    Ok(read(&row)?)
}

fn read(row: &PgRow) -> Result<App, sqlx::Error> {
    Ok(App {
        id: AppId(row.try_get("id")?),
        code: row.try_get("code")?,
        name: row.try_get("name")?,
        team: row.try_get::<Option<_>, _>("team_id")?.map(TeamId),
        created_at: row.at("created_at")?,
        archived_at: row.at_if_any("archived_at")?,
    })
}

#[cfg(test)]
mod tests {
    use crate::{NewApp, StoreError, keys::tests::new_key, test_db, test_db::world::World};
    use domain::key_text::Environment;

    #[tokio::test]
    async fn archiving_an_app_revokes_its_keys_and_no_others() {
        let store = test_db::store().await;
        let world = World::new(&store).await;
        let (partner, actor, now) = (world.partner, world.actor(), world.now);
        let first = store.apps(partner).await.expect("apps")[0].app.id;
        let second = store.create_app(partner, &NewApp::named("Shop"), actor, now).await.expect("created");
        let gone = store.create_key(partner, &new_key(first, Environment::Live, 1), actor, now).await.expect("created");
        let kept =
            store.create_key(partner, &new_key(second, Environment::Live, 2), actor, now).await.expect("created");
        store.archive_app(partner, first, actor, now).await.expect("archived");
        assert_eq!(store.key(partner, gone).await.expect("a key").revoked_at, Some(now));
        assert_eq!(store.key(partner, kept).await.expect("a key").revoked_at, None);
        let left = store.apps(partner).await.expect("apps");
        assert_eq!(left.iter().map(|app| (app.app.id, app.keys.len())).collect::<Vec<_>>(), [(second, 1)]);
        assert!(matches!(store.archive_app(partner, first, actor, now).await, Err(StoreError::Conflict { .. })));
        let refused = store.create_key(partner, &new_key(first, Environment::Test, 3), actor, now).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })));
    }

    #[tokio::test]
    async fn another_partners_app_cannot_be_reached() {
        let store = test_db::store().await;
        let (world, other) = (World::new(&store).await, World::named(&store, "other").await);
        let theirs = store.apps(other.partner).await.expect("apps")[0].app.id;
        let (actor, now) = (world.actor(), world.now);
        assert!(matches!(store.app(world.partner, theirs).await, Err(StoreError::NotFound)));
        assert!(matches!(store.rename_app(world.partner, theirs, "x", actor, now).await, Err(StoreError::NotFound)));
        assert!(matches!(store.archive_app(world.partner, theirs, actor, now).await, Err(StoreError::NotFound)));
        let key = store.create_key(world.partner, &new_key(theirs, Environment::Live, 1), actor, now).await;
        assert!(matches!(key, Err(StoreError::NotFound)));
    }
}
