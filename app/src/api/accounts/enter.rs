//! The work behind the sign-in forms.

use super::check::{clean_company, clean_email, clean_name, password_problem};
use crate::{
    client::client_program,
    form::{Done, Failure, is_local_path},
    mail, passwords,
    same_time::{same_time, same_time_unless},
    secrets::{hash_link_token, new_link_token},
    session,
    state::AppState,
    throttle::Throttle,
    viewer::{self, Cx, MemberViewer},
};
use domain::{
    id::{MemberId, OperatorId},
    product::is_code,
};
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use leptos::prelude::use_context;
use store::{Account, NewSignUp, NewToken, StoreError};

/// One sentence for every reason, so that it tells nothing about the account.
const NO_ENTRY: &str = "The address and the password do not belong together, or there were too many attempts. \
                        Check both, or wait a quarter of an hour.";

/// The request that a form came with.
pub fn request() -> Result<Parts, Failure> {
    use_context::<Parts>().ok_or_else(server_trouble)
}

/// Something of ours did not work; nothing was changed.
pub fn server_trouble() -> Failure {
    Failure::whole("Something did not work on our side, and nothing was changed. Try again in a moment.")
}

/// A token that ends in 24 hours, and its text for the mail.
pub fn in_a_day(now: Timestamp) -> (String, NewToken) {
    token_for(SignedDuration::from_hours(24), now)
}

/// A token that ends after that time, and its text for the mail.
pub fn token_for(life: SignedDuration, now: Timestamp) -> (String, NewToken) {
    let (text, hash) = new_link_token();
    (text, NewToken { hash, expires_at: now.saturating_add(life).unwrap_or(Timestamp::MAX) })
}

/// Makes this browser the member's, under a fresh session.
pub async fn enter_as_member(member: MemberId) -> Result<(), Failure> {
    session::sign_in_member(member).await.map_err(|_| server_trouble())?;
    note_program().await
}

/// Makes this browser the operator's, under a fresh session.
pub async fn enter_as_operator(operator: OperatorId) -> Result<(), Failure> {
    session::sign_in_operator(operator).await.map_err(|_| server_trouble())?;
    note_program().await
}

/// Keeps the browser's name in the session, for the list in the settings.
async fn note_program() -> Result<(), Failure> {
    session::note_program(&client_program(&request()?)).await.map_err(|_| server_trouble())
}

/// Opens an account, or tells the owner of the one that exists; takes as long either way.
pub async fn sign_up(company: &str, name: &str, email: &str, password: &str, plan: &str) -> Result<(), Failure> {
    let cx = viewer::anyone()?;
    let parts = request()?;
    let mut problems = Vec::new();
    let mut need = |value: Option<String>, field: &str, message: &str| {
        value.unwrap_or_else(|| {
            problems.push((field.to_owned(), message.to_owned()));
            String::new()
        })
    };
    let company = need(clean_company(company), "company", "Enter the company's name, at most 200 characters");
    let name = need(clean_name(name), "name", "Enter your name, at most 100 characters");
    let email = need(clean_email(email), "email", "Enter an address like name@company.com");
    if let Some(Failure(more)) = password_problem(password, &[&company, &name, &email]) {
        problems.extend(more);
    }
    if !problems.is_empty() {
        return Err(Failure(problems));
    }
    let settings = &cx.state.settings;
    let plan = Some(plan).filter(|plan| is_code(plan));
    let (text, token) = in_a_day(cx.now);
    same_time(async {
        let hash = passwords::hash(password.to_owned()).await.ok_or_else(server_trouble)?;
        if !Throttle::mail(&cx.state, &email, &parts).take(&cx.state, cx.now).await? {
            return Ok(());
        }
        let new = NewSignUp {
            verify: mail::verify_address(settings, &email, &name, &text, plan),
            already: mail::already_registered(settings, &email),
            company,
            email,
            name,
            password_hash: hash,
            time_zone: "UTC".to_owned(),
            token,
        };
        cx.state.store.sign_up(&new, cx.now).await?;
        Ok(())
    })
    .await
}

/// Signs a member in, or sends the verification link again where the password is right and the address not confirmed.
pub async fn sign_in(email: &str, password: &str, next: &str) -> Result<Done, Failure> {
    let cx = viewer::anyone()?;
    let parts = request()?;
    let throttle = Throttle::sign_in(&cx.state, "member", email, &parts);
    let found = try_sign_in(&cx.state, &throttle, cx.now, password, async {
        let known = cx.state.store.find_member_of_any_partner_by_email(email).await?;
        let known = known.filter(|known| known.member.disabled_at.is_none());
        Ok(known.map_or((None, None), |known| (Some(known.member), known.password_hash)))
    });
    let member = found.await?;
    if member.email_verified_at.is_some() {
        enter_as_member(member.id).await?;
        return Ok(Done::go(if is_local_path(next) { next } else { "/home" }));
    }
    if Throttle::mail(&cx.state, &member.email, &parts).take(&cx.state, cx.now).await? {
        let (text, token) = in_a_day(cx.now);
        let mail = mail::verify_address(&cx.state.settings, &member.email, &member.name, &text, None);
        cx.state.store.send_verification_again(member.partner, member.id, token, &mail, cx.now).await?;
    }
    Ok(Done::go("/check-your-mail").saying(format!("Confirm {} first: we have sent a new link.", member.email)))
}

/// Why an address was not confirmed.
pub enum NotVerified {
    /// The link can be tried again.
    Password(Failure),
    Link(Failure),
}

/// Confirms an address by its link and the password of whoever signed up with it, and signs in.
pub async fn verify(token: &str, password: &str, plan: &str) -> Result<Done, NotVerified> {
    let link = |failure: Failure| NotVerified::Link(failure);
    let gone = || {
        link(Failure::whole(
            "This link was already used or is older than 24 hours. Sign in with your password; \
             if the address is not confirmed yet, we send a new link.",
        ))
    };
    let cx = viewer::anyone().map_err(|error| link(error.into()))?;
    let hash = hash_link_token(token);
    let found = match cx.state.store.find_member_by_verification(hash, cx.now).await {
        Err(StoreError::NotFound) => return Err(gone()),
        other => other.map_err(|error| NotVerified::Password(error.into()))?,
    };
    let parts = request().map_err(NotVerified::Password)?;
    let throttle = Throttle::sign_in(&cx.state, "member", &found.member.email, &parts);
    let account = async { Ok((Some(()), found.password_hash)) };
    try_sign_in(&cx.state, &throttle, cx.now, password, account).await.map_err(|_| {
        NotVerified::Password(Failure::field(
            "password",
            "This is not the password that was chosen at sign-up, or there were too many attempts. \
             Wait a quarter of an hour then.",
        ))
    })?;
    let member = match cx.state.store.verify_email(hash, cx.now).await {
        Err(StoreError::NotFound) => return Err(gone()),
        other => other.map_err(|error| NotVerified::Password(error.into()))?,
    };
    enter_as_member(member.id).await.map_err(link)?;
    let offered = cx.state.store.offered_plans(Some(member.partner)).await.map_err(|error| link(error.into()))?;
    if offered.iter().any(|offered| offered.code == plan) {
        let to = format!("/plan/change?to={plan}");
        return Ok(Done::go(to).saying("Welcome. Your address is confirmed; choose the plan that you came for."));
    }
    Ok(Done::go("/home").saying("Welcome. Your address is confirmed; the steps below lead to the first call."))
}

/// Checks a password: throttled, with the same work and the same words whatever is wrong. `find` gives the account, if it
/// exists and may sign in, and its hash.
pub async fn try_sign_in<A>(
    state: &AppState,
    throttle: &Throttle,
    now: Timestamp,
    password: &str,
    find: impl Future<Output = Result<(Option<A>, Option<String>), StoreError>>,
) -> Result<A, Failure> {
    // Only failures wait: who has the right password learns nothing from the time.
    let tried = same_time_unless(Result::is_ok, async {
        if !throttle.take(state, now).await? {
            return Err(Failure::whole(NO_ENTRY));
        }
        let (account, hash) = find.await?;
        // Too long to be anybody's; hashing it would be work for nothing.
        let text = if password.len() > 1_000 { String::new() } else { password.to_owned() };
        let right = passwords::verify(text, hash).await;
        account.filter(|_| right).ok_or_else(|| Failure::whole(NO_ENTRY))
    });
    let account = tried.await?;
    throttle.forgive(state).await?;
    Ok(account)
}

/// Lets a signed-in member show their password once more, before what cannot be undone.
pub async fn confirm_password(cx: &Cx<MemberViewer>, password: &str) -> Result<(), Failure> {
    let throttle = Throttle::sign_in(&cx.state, "member", &cx.viewer.email, &request()?);
    let found = async {
        let known = cx.state.store.find_member_of_any_partner_by_email(&cx.viewer.email).await?;
        Ok((Some(()), known.and_then(|known| known.password_hash)))
    };
    let confirmed = try_sign_in(&cx.state, &throttle, cx.now, password, found).await;
    confirmed.map_err(|_| {
        Failure::field(
            "password",
            "This is not your password, or there were too many attempts. Wait a quarter of an hour then.",
        )
    })
}

/// Queues a reset link where the address has an account; takes as long either way.
pub async fn ask_for_reset(email: &str) -> Result<(), Failure> {
    let cx = viewer::anyone()?;
    let parts = request()?;
    let email = clean_email(email).ok_or_else(|| Failure::field("email", "Enter an address like name@company.com"))?;
    same_time(async {
        if !Throttle::mail(&cx.state, &email, &parts).take(&cx.state, cx.now).await? {
            return Ok(());
        }
        let (text, token) = token_for(SignedDuration::from_hours(1), cx.now);
        let mail = mail::reset_password(&cx.state.settings, &email, &text);
        cx.state.store.request_password_reset(&email, token, &mail, cx.now).await?;
        Ok(())
    })
    .await
}

/// Why no password was chosen.
pub enum NotChosen {
    /// The link can be tried again.
    Password(Failure),
    Link(Failure),
}

/// Sets a new password by a link and signs in, as whoever the link is of.
pub async fn choose_password(token: &str, password: &str) -> Result<Done, NotChosen> {
    let cx = viewer::anyone().map_err(|error| NotChosen::Link(error.into()))?;
    let link = |failure: Failure| NotChosen::Link(failure);
    let gone =
        || NotChosen::Link(Failure::whole("This link was already used or is older than one hour. Ask for a new one."));
    let hash = hash_link_token(token);
    if !cx.state.store.password_reset_is_open(hash, cx.now).await.map_err(|error| link(error.into()))? {
        return Err(gone());
    }
    if let Some(problem) = password_problem(password, &[&cx.state.settings.provider_name]) {
        return Err(NotChosen::Password(problem));
    }
    let password = passwords::hash(password.to_owned()).await.ok_or_else(|| NotChosen::Password(server_trouble()))?;
    let account = match cx.state.store.reset_password(hash, &password, cx.now).await {
        Err(StoreError::NotFound) => return Err(gone()),
        other => other.map_err(|error| link(error.into()))?,
    };
    let (to, whose) = match account {
        Account::Member(id) => {
            enter_as_member(id).await.map_err(link)?;
            let found = cx.state.store.find_member_of_any_partner(id).await.ok().flatten();
            ("/home", found.map(|found| (found.member.email, found.member.name)))
        }
        Account::Operator(id) => {
            enter_as_operator(id).await.map_err(link)?;
            let found = cx.state.store.find_operator(id).await.ok().flatten();
            ("/console", found.map(|found| (found.email, found.name)))
        }
    };
    if let Some((email, name)) = whose {
        let mail = mail::password_changed(&cx.state.settings, &email, &name);
        if let Err(cause) = cx.state.store.queue_mail(&mail, cx.now).await {
            tracing::error!(%cause, "cannot queue the mail about a new password");
        }
    }
    Ok(Done::go(to).saying("Your new password is saved, and all other sessions are signed out."))
}
