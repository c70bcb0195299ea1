//! Members: a partner's people and what they may do. A partner never loses its last owner.

mod invitations;

pub use invitations::{Invitation, NewInvitation};

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    partners::{self, Partner},
    row::ReadRow as _,
    sessions,
    tokens::Account,
};
use domain::{
    id::{MemberId, PartnerId},
    role::MemberRole,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

/// A person of a partner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub partner: PartnerId,
    pub id: MemberId,
    pub email: String,
    pub name: String,
    pub role: MemberRole,
    /// False while an invitation waits.
    pub has_password: bool,
    pub email_verified_at: Option<Timestamp>,
    pub disabled_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

/// A member and whose they are: what a session turns into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberOfPartner {
    pub member: Member,
    pub partner: Partner,
}

/// A member with the hash that a password is checked against; it is neither printed nor serialised.
pub struct MemberSignIn {
    pub member: Member,
    /// Argon2id in PHC form; `None` while an invitation waits.
    pub password_hash: Option<String>,
}

/// A member that `apply` or an operator adds without an invitation.
#[derive(Clone)]
pub struct NewMember {
    pub email: String,
    pub name: String,
    pub role: MemberRole,
    /// Argon2id in PHC form.
    pub password_hash: Option<String>,
    /// Whether the address is known to be theirs.
    pub verified: bool,
}

impl Store {
    /// The partner's people, owners first.
    pub async fn members(&self, partner: PartnerId) -> Result<Vec<Member>, StoreError> {
        let rows = sqlx::query(
            "select * from members where partner_id = $1
             order by array_position(array['owner', 'admin', 'developer', 'billing', 'viewer'], role), lower(email)",
        )
        .bind(partner.0)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// One of the partner's people.
    pub async fn member(&self, partner: PartnerId, member: MemberId) -> Result<Member, StoreError> {
        let row = sqlx::query("select * from members where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(member.0)
            .fetch_one(self.pool())
            .await?;
        Ok(read(&row)?)
    }

    /// For signing in, where the partner is not yet known.
    pub async fn find_member_of_any_partner_by_email(&self, email: &str) -> Result<Option<MemberSignIn>, StoreError> {
        let row = sqlx::query("select * from members where lower(email) = lower($1)")
            .bind(email.trim())
            .fetch_optional(self.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(MemberSignIn { member: read(&row)?, password_hash: row.try_get("password_hash")? }))
    }

    /// For a session, which knows the member and from there the partner. Disabled members are not found.
    pub async fn find_member_of_any_partner(&self, member: MemberId) -> Result<Option<MemberOfPartner>, StoreError> {
        let row = sqlx::query("select * from members where id = $1 and disabled_at is null")
            .bind(member.0)
            .fetch_optional(self.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let member = read(&row)?;
        let partner = self.partner(member.partner).await?;
        Ok(Some(MemberOfPartner { member, partner }))
    }

    /// Adds a member without an invitation.
    pub async fn create_member(
        &self,
        partner: PartnerId,
        new: &NewMember,
        actor: Actor,
        now: Timestamp,
    ) -> Result<MemberId, StoreError> {
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        check_may_grant(&mut tx, partner, actor, new.role).await?;
        let id = insert(&mut tx, partner, new, now).await?;
        let entry = Entry::new(actor, partner, "member.create", &new.email).after(json!({"role": new.role}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Sets the person's own name, which may be empty.
    pub async fn rename_member(&self, partner: PartnerId, member: MemberId, name: &str) -> Result<(), StoreError> {
        if name.chars().count() > 200 {
            return Err(StoreError::invalid("name", "Enter a name of at most 200 characters"));
        }
        let done = sqlx::query("update members set name = $3 where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(member.0)
            .bind(name.trim())
            .execute(self.pool())
            .await?;
        if done.rows_affected() == 0 { Err(StoreError::NotFound) } else { Ok(()) }
    }

    /// Gives a member another role. An actor who is a member must be able to grant both the old and the new one.
    pub async fn change_role(
        &self,
        partner: PartnerId,
        member: MemberId,
        role: MemberRole,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let old = guard(&mut tx, partner, member, actor).await?;
        check_may_grant(&mut tx, partner, actor, role).await?;
        if old.role == MemberRole::Owner && role != MemberRole::Owner {
            keep_an_owner(&mut tx, &old).await?;
        }
        sqlx::query("update members set role = $3 where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(member.0)
            .bind(role.code())
            .execute(&mut *tx)
            .await?;
        let entry = Entry::new(actor, partner, "member.change_role", &old.email)
            .before(json!({"role": old.role}))
            .after(json!({"role": role}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes a member out of the partner, with their sessions and links; the address is free again.
    pub async fn remove_member(
        &self,
        partner: PartnerId,
        member: MemberId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let old = guard(&mut tx, partner, member, actor).await?;
        keep_an_owner(&mut tx, &old).await?;
        sqlx::query("delete from members where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(member.0)
            .execute(&mut *tx)
            .await?;
        let entry = Entry::new(actor, partner, "member.remove", &old.email).before(json!({"role": old.role}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Keeps a member from signing in and ends their sessions.
    pub async fn disable_member(
        &self,
        partner: PartnerId,
        member: MemberId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let old = guard(&mut tx, partner, member, actor).await?;
        keep_an_owner(&mut tx, &old).await?;
        set_disabled(&mut tx, &old, Some(now)).await?;
        sessions::end_all(&mut tx, Account::Member(member), None).await?;
        audit::append(&mut tx, Entry::new(actor, partner, "member.disable", &old.email), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Lets a disabled member sign in again.
    pub async fn enable_member(
        &self,
        partner: PartnerId,
        member: MemberId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let old = guard(&mut tx, partner, member, actor).await?;
        set_disabled(&mut tx, &old, None).await?;
        audit::append(&mut tx, Entry::new(actor, partner, "member.enable", &old.email), now).await?;
        tx.commit().await?;
        Ok(())
    }
}

pub(crate) async fn insert(
    tx: &mut PgConnection,
    partner: PartnerId,
    new: &NewMember,
    now: Timestamp,
) -> Result<MemberId, StoreError> {
    let id = MemberId(Uuid::now_v7());
    sqlx::query(
        "insert into members (partner_id, id, email, name, password_hash, role, email_verified_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(new.email.trim())
    .bind(new.name.trim())
    .bind(&new.password_hash)
    .bind(new.role.code())
    .bind(new.verified.then_some(Ts(now)))
    .bind(Ts(now))
    .execute(tx)
    .await?;
    Ok(id)
}

/// The member, with the partner held, where the actor may decide about somebody of that role.
async fn guard(
    tx: &mut PgConnection,
    partner: PartnerId,
    member: MemberId,
    actor: Actor,
) -> Result<Member, StoreError> {
    partners::lock(tx, partner).await?;
    let row = sqlx::query("select * from members where partner_id = $1 and id = $2")
        .bind(partner.0)
        .bind(member.0)
        .fetch_one(&mut *tx)
        .await?;
    let found = read(&row)?;
    // Whoever it is may leave or step down.
    if actor != Actor::Member(member) {
        check_may_grant(tx, partner, actor, found.role).await?;
    }
    Ok(found)
}

/// Refuses a member who may not give or take that role; operators and the system may.
async fn check_may_grant(
    tx: &mut PgConnection,
    partner: PartnerId,
    actor: Actor,
    role: MemberRole,
) -> Result<(), StoreError> {
    let Actor::Member(actor) = actor else { return Ok(()) };
    let row = sqlx::query("select role from members where partner_id = $1 and id = $2 and disabled_at is null")
        .bind(partner.0)
        .bind(actor.0)
        .fetch_one(tx)
        .await?;
    if row.parsed::<MemberRole>("role")?.may_grant(role) {
        return Ok(());
    }
    Err(StoreError::invalid("role", format!("Your role does not let you decide about the role {role}")))
}

async fn keep_an_owner(tx: &mut PgConnection, leaving: &Member) -> Result<(), StoreError> {
    if leaving.role != MemberRole::Owner || leaving.disabled_at.is_some() {
        return Ok(());
    }
    let others: bool = sqlx::query_scalar(
        "select exists (select from members where partner_id = $1 and id <> $2 and role = 'owner'
             and disabled_at is null and password_hash is not null)",
    )
    .bind(leaving.partner.0)
    .bind(leaving.id.0)
    .fetch_one(tx)
    .await?;
    if others {
        Ok(())
    } else {
        Err(StoreError::conflict("role", "This is the last owner; make somebody else an owner first"))
    }
}

async fn set_disabled(tx: &mut PgConnection, member: &Member, at: Option<Timestamp>) -> Result<(), StoreError> {
    sqlx::query("update members set disabled_at = $3 where partner_id = $1 and id = $2")
        .bind(member.partner.0)
        .bind(member.id.0)
        .bind(at.map(Ts))
        .execute(tx)
        .await?;
    Ok(())
}

pub(crate) fn read(row: &PgRow) -> Result<Member, sqlx::Error> {
    Ok(Member {
        partner: PartnerId(row.try_get("partner_id")?),
        id: MemberId(row.try_get("id")?),
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        role: row.parsed("role")?,
        has_password: row.try_get::<Option<&str>, _>("password_hash")?.is_some(),
        email_verified_at: row.at_if_any("email_verified_at")?,
        disabled_at: row.at_if_any("disabled_at")?,
        created_at: row.at("created_at")?,
    })
}

#[cfg(test)]
mod tests;
