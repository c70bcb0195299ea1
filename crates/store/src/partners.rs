//! Partners: signing up, being looked at, renamed, suspended.

use crate::{
    Store, StoreError, Ts, apps,
    audit::{self, Actor, Entry},
    mails::{self, NewMail},
    members,
    page::Page,
    row::ReadRow as _,
    tokens::{self, Account, NewToken, Purpose},
};
use domain::{
    id::{MemberId, PartnerId},
    period::zone,
    role::MemberRole,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

/// A customer company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partner {
    pub id: PartnerId,
    /// The stable name that `apply` gave it.
    pub code: Option<String>,
    pub name: String,
    /// IANA name.
    pub time_zone: String,
    pub suspended_at: Option<Timestamp>,
    pub suspended_reason: Option<String>,
    pub created_at: Timestamp,
}

/// A partner as the operators' list shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PartnerLine {
    pub partner: Partner,
    /// The active plan's name and version.
    pub plan: Option<(String, i32)>,
    /// Whether a plan waits for approval.
    pub requested: bool,
    pub members: u64,
    /// Keys that are not revoked and have not expired.
    pub keys: u64,
}

/// A company and its first owner, as the sign-up form has them.
#[derive(Clone)]
pub struct NewSignUp {
    pub company: String,
    pub email: String,
    /// The person's name, which may be empty.
    pub name: String,
    /// Argon2id in PHC form.
    pub password_hash: String,
    /// IANA name.
    pub time_zone: String,
    /// Opens the link in `verify`.
    pub token: NewToken,
    /// Sent to a new address: the link that verifies it.
    pub verify: NewMail,
    /// Sent instead where the address has an account, so that the form's answer need not say so.
    pub already: NewMail,
}

/// What became of a sign-up. The form answers both alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedUp {
    Created {
        partner: PartnerId,
        member: MemberId,
    },
    /// The address has an account; its owner was told by mail.
    AlreadyKnown,
}

/// A partner that an operator or `apply` adds; its members are added separately.
#[derive(Debug, Clone)]
pub struct NewPartner {
    pub code: Option<String>,
    pub name: String,
    pub time_zone: String,
}

impl Store {
    /// Adds a company, its owner, a first app and the mail that verifies the address.
    pub async fn sign_up(&self, new: &NewSignUp, now: Timestamp) -> Result<SignedUp, StoreError> {
        match self.add_company(new, now).await {
            // Also where the address was taken while we wrote: the index decides, not a look beforehand.
            Err(StoreError::Conflict { field, .. }) if field == "email" => {
                self.queue_mail(&new.already, now).await?;
                Ok(SignedUp::AlreadyKnown)
            }
            answer => answer,
        }
    }

    async fn add_company(&self, new: &NewSignUp, now: Timestamp) -> Result<SignedUp, StoreError> {
        let mut tx = self.begin().await?;
        let fresh = NewPartner { code: None, name: new.company.clone(), time_zone: new.time_zone.clone() };
        let partner = insert(&mut tx, &fresh, now).await?;
        let owner = members::NewMember {
            email: new.email.clone(),
            name: new.name.clone(),
            role: MemberRole::Owner,
            password_hash: Some(new.password_hash.clone()),
            verified: false,
        };
        let member = members::insert(&mut tx, partner, &owner, now).await?;
        tokens::add(&mut tx, Purpose::VerifyEmail, Account::Member(member), new.token, now).await?;
        mails::queue(&mut tx, &new.verify, now).await?;
        apps::insert(&mut tx, partner, &apps::NewApp::named("Default app"), now).await?;
        let entry = Entry::new(Actor::Member(member), partner, "partner.sign_up", &new.company);
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(SignedUp::Created { partner, member })
    }

    /// Adds a partner without members.
    pub async fn create_partner(
        &self,
        new: &NewPartner,
        actor: Actor,
        now: Timestamp,
    ) -> Result<PartnerId, StoreError> {
        let mut tx = self.begin().await?;
        let id = insert(&mut tx, new, now).await?;
        audit::append(&mut tx, Entry::new(actor, id, "partner.create", &new.name), now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// The partner itself.
    pub async fn partner(&self, partner: PartnerId) -> Result<Partner, StoreError> {
        let row = sqlx::query("select * from partners where id = $1").bind(partner.0).fetch_one(self.pool()).await?;
        Ok(read(&row)?)
    }

    /// The partner that `apply` named so.
    pub async fn find_partner_by_code(&self, code: &str) -> Result<Option<Partner>, StoreError> {
        let row = sqlx::query("select * from partners where code = $1").bind(code).fetch_optional(self.pool()).await?;
        Ok(row.as_ref().map(read).transpose()?)
    }

    /// Every partner by name, or those with `search` in the name, the code or a member's address.
    pub async fn all_partners_page(
        &self,
        search: &str,
        after: Option<&str>,
        size: u32,
        now: Timestamp,
    ) -> Result<Page<PartnerLine>, StoreError> {
        let after: Option<PartnerId> = match after {
            None => None,
            Some(text) => {
                Some(text.parse().map_err(|_| StoreError::invalid("after", "This is not a page of this list"))?)
            }
        };
        let rows = sqlx::query(
            "select p.*, plan.name as plan_name, plan.version as plan_version,
                 exists (select from subscriptions s where s.partner_id = p.id and s.status = 'requested') as requested,
                 (select count(*) from members m where m.partner_id = p.id) as members,
                 (select count(*) from keys k where k.partner_id = p.id and k.revoked_at is null
                     and (k.expires_at is null or k.expires_at > $4)) as keys
             from partners p
             left join lateral (
                 select pl.name, v.version from subscriptions s
                 join plan_versions v on v.id = s.plan_version_id join plans pl on pl.id = v.plan_id
                 where s.partner_id = p.id and s.status = 'active') plan on true
             where ($1 = '' or strpos(lower(p.name), lower($1)) > 0 or p.code = $1 or exists (
                     select from members m where m.partner_id = p.id and strpos(lower(m.email), lower($1)) > 0))
                 and ($2::uuid is null or (lower(p.name), p.id) > (select lower(c.name), c.id from partners c where c.id = $2))
             order by lower(p.name), p.id limit $3",
        )
        .bind(search.trim())
        .bind(after.map(|partner| partner.0))
        .bind(Page::<()>::rows(size))
        .bind(Ts(now))
        .fetch_all(self.pool())
        .await?;
        let lines = rows.iter().map(read_line).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(lines, size, |line| line.partner.id.to_string()))
    }

    /// Gives the company another name.
    pub async fn rename_partner(
        &self,
        partner: PartnerId,
        name: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let old = lock(&mut tx, partner).await?;
        sqlx::query("update partners set name = $2 where id = $1")
            .bind(partner.0)
            .bind(name.trim())
            .execute(&mut *tx)
            .await?;
        let entry = Entry::new(actor, partner, "partner.rename", name).before(json!({"name": old.name}));
        audit::append(&mut tx, entry.after(json!({"name": name.trim()})), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Sets the zone of charts and of subscriptions that begin later; billing periods that run keep theirs.
    pub async fn set_partner_time_zone(
        &self,
        partner: PartnerId,
        time_zone: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        check_zone(time_zone)?;
        let mut tx = self.begin().await?;
        let old = lock(&mut tx, partner).await?;
        sqlx::query("update partners set time_zone = $2 where id = $1")
            .bind(partner.0)
            .bind(time_zone)
            .execute(&mut *tx)
            .await?;
        let entry = Entry::new(actor, partner, "partner.set_time_zone", time_zone)
            .before(json!({"time_zone": old.time_zone}))
            .after(json!({"time_zone": time_zone}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Refuses the partner's calls from now on; its people can still sign in and read why.
    pub async fn suspend_partner(
        &self,
        partner: PartnerId,
        reason: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        if lock(&mut tx, partner).await?.suspended_at.is_some() {
            return Err(StoreError::conflict("", "This partner is already suspended"));
        }
        sqlx::query("update partners set suspended_at = $2, suspended_reason = $3 where id = $1")
            .bind(partner.0)
            .bind(Ts(now))
            .bind(reason.trim())
            .execute(&mut *tx)
            .await?;
        let entry = Entry::new(actor, partner, "partner.suspend", "").after(json!({"reason": reason.trim()}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Lifts a suspension.
    pub async fn reactivate_partner(&self, partner: PartnerId, actor: Actor, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let old = lock(&mut tx, partner).await?;
        if old.suspended_at.is_none() {
            return Err(StoreError::conflict("", "This partner is not suspended"));
        }
        sqlx::query("update partners set suspended_at = null, suspended_reason = null where id = $1")
            .bind(partner.0)
            .execute(&mut *tx)
            .await?;
        let entry =
            Entry::new(actor, partner, "partner.reactivate", "").before(json!({"reason": old.suspended_reason}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }
}

pub(crate) fn check_zone(name: &str) -> Result<(), StoreError> {
    zone(name).map(drop).map_err(|error| StoreError::invalid("time_zone", format!("{error}")))
}

/// The partner, held until the transaction ends: what guards something about all of its rows takes this first. It keeps nobody from
/// writing rows that are the partner's: whoever takes usage in has some locked already, which we may need next.
pub(crate) async fn lock(tx: &mut PgConnection, partner: PartnerId) -> Result<Partner, StoreError> {
    let row =
        sqlx::query("select * from partners where id = $1 for no key update").bind(partner.0).fetch_one(tx).await?;
    Ok(read(&row)?)
}

async fn insert(tx: &mut PgConnection, new: &NewPartner, now: Timestamp) -> Result<PartnerId, StoreError> {
    check_zone(&new.time_zone)?;
    let id = PartnerId(Uuid::now_v7());
    sqlx::query("insert into partners (id, code, name, time_zone, created_at) values ($1, $2, $3, $4, $5)")
        .bind(id.0)
        .bind(&new.code)
        .bind(new.name.trim())
        .bind(&new.time_zone)
        .bind(Ts(now))
        .execute(tx)
        .await?;
    Ok(id)
}

pub(crate) fn read(row: &PgRow) -> Result<Partner, sqlx::Error> {
    Ok(Partner {
        id: PartnerId(row.try_get("id")?),
        code: row.try_get("code")?,
        name: row.try_get("name")?,
        time_zone: row.try_get("time_zone")?,
        suspended_at: row.at_if_any("suspended_at")?,
        suspended_reason: row.try_get("suspended_reason")?,
        created_at: row.at("created_at")?,
    })
}

fn read_line(row: &PgRow) -> Result<PartnerLine, sqlx::Error> {
    let name: Option<String> = row.try_get("plan_name")?;
    let version: Option<i32> = row.try_get("plan_version")?;
    Ok(PartnerLine {
        partner: read(row)?,
        plan: name.zip(version),
        requested: row.try_get("requested")?,
        members: row.count("members")?,
        keys: row.count("keys")?,
    })
}

#[cfg(test)]
mod tests;
