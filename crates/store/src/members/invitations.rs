//! Inviting somebody to a partner, and saying yes.

use super::{NewMember, check_may_grant, insert, read};
use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    mails::{self, NewMail},
    partners,
    tokens::{self, Account, NewToken, Purpose},
};
use domain::{
    id::{MemberId, PartnerId},
    role::MemberRole,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row as _;

/// Who is invited as what.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    pub email: String,
    pub role: MemberRole,
    /// Opens the link in the mail.
    pub token: NewToken,
    pub mail: NewMail,
}

/// What the invited person sees before saying yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    pub partner_name: String,
    pub email: String,
    pub role: MemberRole,
}

impl Store {
    /// Adds a member who cannot sign in yet, and queues the mail with the link.
    pub async fn invite_member(
        &self,
        partner: PartnerId,
        new: &NewInvitation,
        actor: Actor,
        now: Timestamp,
    ) -> Result<MemberId, StoreError> {
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        check_may_grant(&mut tx, partner, actor, new.role).await?;
        let invited = NewMember {
            email: new.email.clone(),
            name: String::new(),
            role: new.role,
            password_hash: None,
            verified: false,
        };
        let member = insert(&mut tx, partner, &invited, now).await?;
        tokens::add(&mut tx, Purpose::InviteMember, Account::Member(member), new.token, now).await?;
        mails::queue(&mut tx, &new.mail, now).await?;
        let entry = Entry::new(actor, partner, "member.invite", &new.email).after(json!({"role": new.role}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(member)
    }

    /// Sends a new link to somebody who was invited and has not said yes; the old link ends.
    pub async fn invite_member_again(
        &self,
        partner: PartnerId,
        member: MemberId,
        token: NewToken,
        mail: &NewMail,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let found = super::guard(&mut tx, partner, member, actor).await?;
        if found.has_password {
            return Err(StoreError::conflict("", "This person has already accepted"));
        }
        tokens::add(&mut tx, Purpose::InviteMember, Account::Member(member), token, now).await?;
        mails::queue(&mut tx, mail, now).await?;
        audit::append(&mut tx, Entry::new(actor, partner, "member.invite", &found.email), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What the link invites to, without using it. It is known by its token, whichever partner it is of.
    pub async fn find_invitation_to_any_partner(
        &self,
        token_hash: [u8; 32],
        now: Timestamp,
    ) -> Result<Invitation, StoreError> {
        let mut connection = self.pool().acquire().await?;
        let account = tokens::peek(&mut connection, Purpose::InviteMember, token_hash, now).await?;
        let row = sqlx::query(
            "select m.*, p.name as partner_name from members m join partners p on p.id = m.partner_id
             where m.id = $1 and m.disabled_at is null",
        )
        .bind(account.member())
        .fetch_one(&mut *connection)
        .await?;
        let member = read(&row)?;
        Ok(Invitation { partner_name: row.try_get("partner_name")?, email: member.email, role: member.role })
    }

    /// Says yes: the link is used up, the password is set, and the address counts as verified, since the mail arrived.
    pub async fn accept_invitation(
        &self,
        token_hash: [u8; 32],
        name: &str,
        password_hash: &str,
        now: Timestamp,
    ) -> Result<super::Member, StoreError> {
        let mut tx = self.begin().await?;
        let account = tokens::consume(&mut tx, Purpose::InviteMember, token_hash, now).await?;
        let row = sqlx::query(
            "update members set name = $2, password_hash = $3, email_verified_at = $4
             where id = $1 and password_hash is null and disabled_at is null returning *",
        )
        .bind(account.member())
        .bind(name.trim())
        .bind(password_hash)
        .bind(Ts(now))
        .fetch_one(&mut *tx)
        .await?;
        let member = read(&row)?;
        let entry = Entry::new(Actor::Member(member.id), member.partner, "member.accept_invitation", &member.email);
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(member)
    }
}
