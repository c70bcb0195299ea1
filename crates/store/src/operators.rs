//! Operators: the provider's people. There is always one who may do everything.

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    row::ReadRow as _,
    sessions,
    tokens::{self, Account, NewToken, Purpose},
};
use domain::{id::OperatorId, role::OperatorRole};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

/// A person of the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    pub id: OperatorId,
    pub email: String,
    pub name: String,
    pub role: OperatorRole,
    /// False until the first sign-in's link was used and a password was set.
    pub has_password: bool,
    pub disabled_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

/// An operator with the hash that a password is checked against; it is neither printed nor serialised.
pub struct OperatorSignIn {
    pub operator: Operator,
    /// Argon2id in PHC form.
    pub password_hash: Option<String>,
}

#[derive(Debug, Clone)]
pub struct NewOperator {
    pub email: String,
    pub name: String,
    pub role: OperatorRole,
}

impl Store {
    /// Adds an operator without a password; a sign-in link lets them in.
    pub async fn create_operator(
        &self,
        new: &NewOperator,
        actor: Actor,
        now: Timestamp,
    ) -> Result<OperatorId, StoreError> {
        let email = new.email.trim();
        if !(3..=254).contains(&email.len()) || !email.contains('@') {
            return Err(StoreError::invalid("email", "Enter an e-mail address of 3 to 254 characters"));
        }
        let mut tx = self.begin().await?;
        let id = OperatorId(Uuid::now_v7());
        sqlx::query("insert into operators (id, email, name, role, created_at) values ($1, $2, $3, $4, $5)")
            .bind(id.0)
            .bind(email)
            .bind(new.name.trim())
            .bind(new.role.code())
            .bind(Ts(now))
            .execute(&mut *tx)
            .await?;
        let entry = Entry::new(actor, None, "operator.create", email).after(json!({"role": new.role}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Makes a link that signs the operator in once; an unused one ends.
    pub async fn create_operator_sign_in_link(
        &self,
        operator: OperatorId,
        token: NewToken,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let found = lock(&mut tx, operator).await?;
        tokens::add(&mut tx, Purpose::OperatorSignIn, Account::Operator(operator), token, now).await?;
        audit::append(&mut tx, Entry::new(actor, None, "operator.sign_in_link", &found.email), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Uses a sign-in link up.
    pub async fn use_operator_sign_in_link(
        &self,
        token_hash: [u8; 32],
        now: Timestamp,
    ) -> Result<Operator, StoreError> {
        let mut tx = self.begin().await?;
        let account = tokens::consume(&mut tx, Purpose::OperatorSignIn, token_hash, now).await?;
        let row = sqlx::query("select * from operators where id = $1 and disabled_at is null")
            .bind(account.operator())
            .fetch_one(&mut *tx)
            .await?;
        let operator = read(&row)?;
        let entry = Entry::new(Actor::Operator(operator.id), None, "operator.use_sign_in_link", &operator.email);
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(operator)
    }

    /// Uses the link up and sets name and password in one go; every older session ends.
    pub async fn welcome_operator(
        &self,
        token_hash: [u8; 32],
        name: &str,
        password_hash: &str,
        now: Timestamp,
    ) -> Result<Operator, StoreError> {
        let mut tx = self.begin().await?;
        let account = tokens::consume(&mut tx, Purpose::OperatorSignIn, token_hash, now).await?;
        let row = sqlx::query(
            "update operators set name = $2, password_hash = $3 where id = $1 and disabled_at is null returning *",
        )
        .bind(account.operator())
        .bind(name.trim())
        .bind(password_hash)
        .fetch_one(&mut *tx)
        .await?;
        let operator = read(&row)?;
        sessions::end_all(&mut tx, account, None).await?;
        let entry = Entry::new(Actor::Operator(operator.id), None, "operator.welcome", &operator.email);
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(operator)
    }

    /// Every operator by address; none on the first start.
    pub async fn operators(&self) -> Result<Vec<Operator>, StoreError> {
        let rows = sqlx::query("select * from operators order by lower(email)").fetch_all(self.pool()).await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// For a session. Disabled operators are not found.
    pub async fn find_operator(&self, operator: OperatorId) -> Result<Option<Operator>, StoreError> {
        let row = sqlx::query("select * from operators where id = $1 and disabled_at is null")
            .bind(operator.0)
            .fetch_optional(self.pool())
            .await?;
        Ok(row.as_ref().map(read).transpose()?)
    }

    /// For signing in.
    pub async fn find_operator_by_email(&self, email: &str) -> Result<Option<OperatorSignIn>, StoreError> {
        let row = sqlx::query("select * from operators where lower(email) = lower($1)")
            .bind(email.trim())
            .fetch_optional(self.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(OperatorSignIn { operator: read(&row)?, password_hash: row.try_get("password_hash")? }))
    }

    /// Gives an operator another role; the last admin keeps theirs.
    pub async fn change_operator_role(
        &self,
        operator: OperatorId,
        role: OperatorRole,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let old = lock(&mut tx, operator).await?;
        if role != OperatorRole::Admin {
            keep_an_admin(&mut tx, &old).await?;
        }
        sqlx::query("update operators set role = $2 where id = $1")
            .bind(operator.0)
            .bind(role.code())
            .execute(&mut *tx)
            .await?;
        let entry = Entry::new(actor, None, "operator.change_role", &old.email)
            .before(json!({"role": old.role}))
            .after(json!({"role": role}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Keeps an operator from signing in and ends their sessions.
    pub async fn disable_operator(&self, operator: OperatorId, actor: Actor, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let old = lock(&mut tx, operator).await?;
        keep_an_admin(&mut tx, &old).await?;
        set_disabled(&mut tx, operator, Some(now)).await?;
        sessions::end_all(&mut tx, Account::Operator(operator), None).await?;
        audit::append(&mut tx, Entry::new(actor, None, "operator.disable", &old.email), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Lets a disabled operator sign in again.
    pub async fn enable_operator(&self, operator: OperatorId, actor: Actor, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let old = lock(&mut tx, operator).await?;
        set_disabled(&mut tx, operator, None).await?;
        audit::append(&mut tx, Entry::new(actor, None, "operator.enable", &old.email), now).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// The operator, with every operator held, so that two cannot step down at once and leave none.
async fn lock(tx: &mut PgConnection, operator: OperatorId) -> Result<Operator, StoreError> {
    let rows = sqlx::query("select * from operators order by id for update").fetch_all(tx).await?;
    for row in &rows {
        let found = read(row)?;
        if found.id == operator {
            return Ok(found);
        }
    }
    Err(StoreError::NotFound)
}

async fn keep_an_admin(tx: &mut PgConnection, leaving: &Operator) -> Result<(), StoreError> {
    if leaving.role != OperatorRole::Admin || leaving.disabled_at.is_some() {
        return Ok(());
    }
    let others: bool = sqlx::query_scalar(
        "select exists (select from operators where id <> $1 and role = 'admin' and disabled_at is null
             and password_hash is not null)",
    )
    .bind(leaving.id.0)
    .fetch_one(tx)
    .await?;
    if others {
        return Ok(());
    }
    Err(StoreError::conflict("role", "This is the last admin who can sign in; make somebody else an admin first"))
}

async fn set_disabled(tx: &mut PgConnection, operator: OperatorId, at: Option<Timestamp>) -> Result<(), StoreError> {
    sqlx::query("update operators set disabled_at = $2 where id = $1")
        .bind(operator.0)
        .bind(at.map(Ts))
        .execute(tx)
        .await?;
    Ok(())
}

fn read(row: &PgRow) -> Result<Operator, sqlx::Error> {
    Ok(Operator {
        id: OperatorId(row.try_get("id")?),
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        role: row.parsed("role")?,
        has_password: row.try_get::<Option<&str>, _>("password_hash")?.is_some(),
        disabled_at: row.at_if_any("disabled_at")?,
        created_at: row.at("created_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::NewOperator;
    use crate::{
        Actor, Store, StoreError, test_db,
        test_db::world::{now, token},
    };
    use domain::{id::OperatorId, role::OperatorRole};

    async fn operator(store: &Store, email: &str) -> OperatorId {
        let new = NewOperator { email: email.to_owned(), name: String::new(), role: OperatorRole::Admin };
        store.create_operator(&new, Actor::System, now()).await.expect("created")
    }

    #[tokio::test]
    async fn the_first_link_signs_in_once_and_then_a_password_does() {
        let store = test_db::store().await;
        assert!(store.operators().await.expect("operators").is_empty());
        let id = operator(&store, "ops@provider.example").await;
        store.create_operator_sign_in_link(id, token(1), Actor::System, now()).await.expect("made");
        store.create_operator_sign_in_link(id, token(2), Actor::System, now()).await.expect("made");
        assert!(matches!(store.use_operator_sign_in_link([1; 32], now()).await, Err(StoreError::NotFound)));
        assert_eq!(store.use_operator_sign_in_link([2; 32], now()).await.expect("signed in").id, id);
        assert!(matches!(store.use_operator_sign_in_link([2; 32], now()).await, Err(StoreError::NotFound)));
        store.set_operator_password(id, "$hash", None, now()).await.expect("set");
        let found = store.find_operator_by_email("OPS@provider.example").await.expect("answered").expect("found");
        assert_eq!(found.password_hash.as_deref(), Some("$hash"));
    }

    #[tokio::test]
    async fn the_last_admin_stays() {
        let store = test_db::store().await;
        let (one, two) = (operator(&store, "a@p.example").await, operator(&store, "b@p.example").await);
        store.set_operator_password(one, "$hash", None, now()).await.expect("set");
        let disabled = store.disable_operator(one, Actor::System, now()).await;
        assert!(matches!(disabled, Err(StoreError::Conflict { .. })), "the other has no password yet");
        store.set_operator_password(two, "$hash", None, now()).await.expect("set");
        store.warm().await;
        let down = |id| store.change_operator_role(id, OperatorRole::Viewer, Actor::System, now());
        let (first, second) = tokio::join!(down(one), down(two));
        assert!(first.is_ok() != second.is_ok());
    }

    #[tokio::test]
    async fn a_disabled_operator_is_not_found_by_a_session_or_a_link() {
        let store = test_db::store().await;
        let (one, two) = (operator(&store, "a@p.example").await, operator(&store, "b@p.example").await);
        store.set_operator_password(one, "$hash", None, now()).await.expect("set");
        store.create_operator_sign_in_link(two, token(1), Actor::System, now()).await.expect("made");
        store.disable_operator(two, Actor::Operator(one), now()).await.expect("disabled");
        assert!(store.find_operator(two).await.expect("answered").is_none());
        assert!(matches!(store.use_operator_sign_in_link([1; 32], now()).await, Err(StoreError::NotFound)));
    }
}
