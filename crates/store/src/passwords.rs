//! Verified addresses and passwords, of members and operators alike.

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    mails::{self, NewMail},
    members, sessions,
    tokens::{self, Account, NewToken, Purpose},
};
use domain::id::{MemberId, OperatorId, PartnerId};
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _};

impl Store {
    /// Uses a verification link. The address it was sent to is its owner's from now on.
    pub async fn verify_email(&self, token_hash: [u8; 32], now: Timestamp) -> Result<members::Member, StoreError> {
        let mut tx = self.begin().await?;
        let account = tokens::consume(&mut tx, Purpose::VerifyEmail, token_hash, now).await?;
        let row = sqlx::query(
            "update members set email_verified_at = coalesce(email_verified_at, $2)
             where id = $1 and disabled_at is null returning *",
        )
        .bind(account.member())
        .bind(Ts(now))
        .fetch_one(&mut *tx)
        .await?;
        let member = members::read(&row)?;
        let entry = Entry::new(Actor::Member(member.id), member.partner, "member.verify_email", &member.email);
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(member)
    }

    /// The member whose address an unused verification link confirms, without using it.
    pub async fn find_member_by_verification(
        &self,
        token_hash: [u8; 32],
        now: Timestamp,
    ) -> Result<members::MemberSignIn, StoreError> {
        let mut connection = self.pool().acquire().await?;
        let account = tokens::peek(&mut connection, Purpose::VerifyEmail, token_hash, now).await?;
        let row = sqlx::query("select * from members where id = $1 and disabled_at is null")
            .bind(account.member())
            .fetch_one(&mut *connection)
            .await?;
        Ok(members::MemberSignIn { member: members::read(&row)?, password_hash: row.try_get("password_hash")? })
    }

    /// Sends a new verification link; the old one ends.
    pub async fn send_verification_again(
        &self,
        partner: PartnerId,
        member: MemberId,
        token: NewToken,
        mail: &NewMail,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.member(partner, member).await?.email_verified_at.is_some() {
            return Err(StoreError::conflict("email", "This e-mail address is already verified"));
        }
        let mut tx = self.begin().await?;
        tokens::add(&mut tx, Purpose::VerifyEmail, Account::Member(member), token, now).await?;
        mails::queue(&mut tx, mail, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Queues a reset link where the address has an account, and says nothing either way.
    pub async fn request_password_reset(
        &self,
        email: &str,
        token: NewToken,
        mail: &NewMail,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        if let Some(account) = account_of(&mut tx, email).await? {
            tokens::add(&mut tx, Purpose::ResetPassword, account, token, now).await?;
            mails::queue(&mut tx, mail, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Whether a reset link still works, without using it.
    pub async fn password_reset_is_open(&self, token_hash: [u8; 32], now: Timestamp) -> Result<bool, StoreError> {
        let mut connection = self.pool().acquire().await?;
        match tokens::peek(&mut connection, Purpose::ResetPassword, token_hash, now).await {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Uses a reset link: the password is set, every session ends, and a member's address counts as verified.
    pub async fn reset_password(
        &self,
        token_hash: [u8; 32],
        password_hash: &str,
        now: Timestamp,
    ) -> Result<Account, StoreError> {
        let mut tx = self.begin().await?;
        let account = tokens::consume(&mut tx, Purpose::ResetPassword, token_hash, now).await?;
        set(&mut tx, account, password_hash, now).await?;
        sqlx::query("update members set email_verified_at = coalesce(email_verified_at, $2) where id = $1")
            .bind(account.member())
            .bind(Ts(now))
            .execute(&mut *tx)
            .await?;
        sessions::end_all(&mut tx, account, None).await?;
        tx.commit().await?;
        Ok(account)
    }

    /// Sets a member's password and ends their other sessions.
    pub async fn set_member_password(
        &self,
        partner: PartnerId,
        member: MemberId,
        password_hash: &str,
        keep_session: Option<[u8; 32]>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.member(partner, member).await?;
        self.set_password(Account::Member(member), password_hash, keep_session, now).await
    }

    /// Sets an operator's password and ends their other sessions.
    pub async fn set_operator_password(
        &self,
        operator: OperatorId,
        password_hash: &str,
        keep_session: Option<[u8; 32]>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.set_password(Account::Operator(operator), password_hash, keep_session, now).await
    }

    async fn set_password(
        &self,
        account: Account,
        password_hash: &str,
        keep_session: Option<[u8; 32]>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        set(&mut tx, account, password_hash, now).await?;
        tokens::withdraw(&mut tx, Purpose::ResetPassword, account, now).await?;
        sessions::end_all(&mut tx, account, keep_session).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn set(tx: &mut PgConnection, account: Account, hash: &str, now: Timestamp) -> Result<(), StoreError> {
    let (partner, actor) = match account {
        Account::Member(id) => {
            let set =
                "update members set password_hash = $2 where id = $1 and disabled_at is null returning partner_id";
            let row = sqlx::query(set).bind(id.0).bind(hash).fetch_one(&mut *tx).await?;
            (Some(PartnerId(row.try_get("partner_id")?)), Actor::Member(id))
        }
        Account::Operator(id) => {
            let set = "update operators set password_hash = $2 where id = $1 and disabled_at is null returning id";
            sqlx::query(set).bind(id.0).bind(hash).fetch_one(&mut *tx).await?;
            (None, Actor::Operator(id))
        }
    };
    audit::append(tx, Entry::new(actor, partner, "password.set", ""), now).await
}

async fn account_of(tx: &mut PgConnection, email: &str) -> Result<Option<Account>, StoreError> {
    // Somebody who was invited and has no password yet has the invitation's link instead.
    let member: Option<_> = sqlx::query_scalar(
        "select id from members where lower(email) = lower($1) and disabled_at is null and password_hash is not null",
    )
    .bind(email.trim())
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(id) = member {
        return Ok(Some(Account::Member(MemberId(id))));
    }
    let operator: Option<_> =
        sqlx::query_scalar("select id from operators where lower(email) = lower($1) and disabled_at is null")
            .bind(email.trim())
            .fetch_optional(tx)
            .await?;
    Ok(operator.map(|id| Account::Operator(OperatorId(id))))
}

#[cfg(test)]
mod tests {
    use crate::{
        Account, SessionRow, StoreError, test_db,
        test_db::world::{self, World},
    };
    use jiff::SignedDuration;
    use serde_json::json;

    #[tokio::test]
    async fn a_verification_link_works_once_and_only_its_newest() {
        let store = test_db::store().await;
        let world = World::new(&store).await;
        let mail = world::mail("owner@acme.example");
        let again = store.send_verification_again(world.partner, world.owner, world::token(1), &mail, world.now).await;
        again.expect("sent");
        let sign_up = world::sign_up("acme").token.hash;
        assert!(matches!(store.verify_email(sign_up, world.now).await, Err(StoreError::NotFound)));
        let found = store.find_member_by_verification([1; 32], world.now).await.expect("found");
        let member = store.verify_email([1; 32], world.now).await.expect("verified");
        assert_eq!(found.member.id, member.id);
        let used = store.find_member_by_verification([1; 32], world.now).await;
        assert!(matches!(used, Err(StoreError::NotFound)));
        assert_eq!(member.email_verified_at, Some(world.now));
        assert!(matches!(store.verify_email([1; 32], world.now).await, Err(StoreError::NotFound)));
        let again = store.send_verification_again(world.partner, world.owner, world::token(2), &mail, world.now).await;
        assert!(matches!(again, Err(StoreError::Conflict { .. })));
    }

    #[tokio::test]
    async fn a_link_of_one_purpose_opens_no_other() {
        let store = test_db::store().await;
        World::new(&store).await;
        let verification = world::sign_up("acme").token.hash;
        assert!(matches!(store.reset_password(verification, "$new", world::now()).await, Err(StoreError::NotFound)));
        store.verify_email(verification, world::now()).await.expect("still unused");
    }

    #[tokio::test]
    async fn a_reset_ends_every_session_and_an_unknown_address_gets_no_mail() {
        let store = test_db::store().await;
        let world = World::new(&store).await;
        let account = Account::Member(world.owner);
        let expires_at = world.now + SignedDuration::from_hours(1);
        let session = SessionRow { id_hash: [7; 32], data: json!({}), account: Some(account), expires_at };
        store.create_session(&session, world.now).await.expect("created");
        let before = store.all_mails(100).await.expect("mails").len();
        let mail = world::mail("x@x.example");
        store.request_password_reset("nobody@x.example", world::token(3), &mail, world.now).await.expect("quiet");
        assert_eq!(store.all_mails(100).await.expect("mails").len(), before);
        store.request_password_reset("OWNER@acme.example", world::token(4), &mail, world.now).await.expect("quiet");
        assert_eq!(store.all_mails(100).await.expect("mails").len(), before + 1);
        assert!(store.password_reset_is_open([4; 32], world.now).await.expect("answered"));
        assert_eq!(store.reset_password([4; 32], "$new", world.now).await.expect("reset"), account);
        assert!(!store.password_reset_is_open([4; 32], world.now).await.expect("answered"));
        assert!(store.load_session([7; 32], world.now).await.expect("answered").is_none());
        let found = store.find_member_of_any_partner_by_email("owner@acme.example").await.expect("answered");
        assert_eq!(found.expect("a member").password_hash.as_deref(), Some("$new"));
    }

    #[tokio::test]
    async fn of_two_racing_uses_of_a_link_one_wins() {
        let store = test_db::store().await;
        let world = World::new(&store).await;
        let mail = world::mail("x@x.example");
        store.request_password_reset("owner@acme.example", world::token(4), &mail, world.now).await.expect("quiet");
        store.warm().await;
        let (one, two) = tokio::join!(
            store.reset_password([4; 32], "$one", world.now),
            store.reset_password([4; 32], "$two", world.now)
        );
        assert!(one.is_ok() != two.is_ok());
    }

    #[tokio::test]
    async fn a_new_password_keeps_only_the_session_that_set_it() {
        let store = test_db::store().await;
        let world = World::new(&store).await;
        let account = Some(Account::Member(world.owner));
        let expires_at = world.now + SignedDuration::from_hours(1);
        for id in [1, 2] {
            let session = SessionRow { id_hash: [id; 32], data: json!({}), account, expires_at };
            store.create_session(&session, world.now).await.expect("created");
        }
        let set = store.set_member_password(world.partner, world.owner, "$new", Some([1; 32]), world.now).await;
        set.expect("set");
        assert!(store.load_session([1; 32], world.now).await.expect("answered").is_some());
        assert!(store.load_session([2; 32], world.now).await.expect("answered").is_none());
    }
}
