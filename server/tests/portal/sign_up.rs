//! Whose address it is and who chose the password: an account opens only where the two are the same person.

use crate::portal::Portal;
use axum::http::StatusCode;

const EMAIL: &str = "victim@acme.example";
const PASSWORD: &str = "a violet toll gate";

/// Somebody signs up with the address; gives the token of the mailed link.
async fn sign_up(portal: &Portal) -> String {
    let fields = [("company", "Acme"), ("name", "Ada"), ("email", EMAIL), ("password", PASSWORD)];
    portal.browser().post("/do/sign-up", &fields).await;
    last_token(portal).await
}

async fn last_token(portal: &Portal) -> String {
    let mails = portal.store.all_mails(1).await.expect("mails");
    let token = mails[0].body_text.split("token=").nth(1).expect("a link");
    token.split(|letter: char| letter.is_whitespace() || letter == '&').next().expect("a token").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mailed_link_opens_nothing_without_the_password_of_whoever_signed_up() {
    let portal = Portal::open().await;
    let token = sign_up(&portal).await;
    let mut victim = portal.browser();
    for password in ["", "what the victim uses elsewhere"] {
        let answer = victim.post("/do/verify", &[("token", &token), ("password", password)]).await;
        assert_eq!(answer.location(), "/verify");
        assert!(answer.problems().contains("not the password that was chosen at sign-up"), "{:?}", answer.flash);
        let page = victim.get("/verify").await;
        assert!(page.text.contains(&token), "the form is there for another try");
        assert!(page.text.contains("href=\"/reset\""), "and the way for whoever chose no password");
    }
    assert_eq!(victim.get("/home").await.status, StatusCode::SEE_OTHER, "not signed in");

    // The way out: a new password by the reset link. The stranger's is worth nothing then.
    victim.post("/do/reset", &[("email", EMAIL)]).await;
    let reset = last_token(&portal).await;
    let answer = victim.post("/do/reset/choose", &[("token", &reset), ("password", "a crimson bridge")]).await;
    assert_eq!(answer.location(), "/home");
    let answer = portal.browser().post("/do/sign-in", &[("email", EMAIL), ("password", PASSWORD)]).await;
    assert!(!answer.problems().is_empty(), "the stranger is out");
    let answer = portal.browser().post("/do/verify", &[("token", &token), ("password", PASSWORD)]).await;
    assert!(!answer.problems().is_empty(), "by the old link too");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signed_up_confirms_by_link_and_password_once() {
    let portal = Portal::open().await;
    let token = sign_up(&portal).await;
    let mut owner = portal.browser();
    let fields = [("token", token.as_str()), ("password", PASSWORD)];
    assert_eq!(owner.post("/do/verify", &fields).await.location(), "/home");
    assert_eq!(owner.get("/home").await.status, StatusCode::OK);
    let again = portal.browser().post("/do/verify", &fields).await;
    assert!(again.problems().contains("already used"), "{:?}", again.flash);
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_not_guessed_by_a_link() {
    let portal = Portal::open().await;
    let token = sign_up(&portal).await;
    let mut browser = portal.browser();
    for guess in 0..10 {
        browser.post("/do/verify", &[("token", &token), ("password", &format!("guess number {guess}"))]).await;
    }
    let answer = browser.post("/do/verify", &[("token", &token), ("password", PASSWORD)]).await;
    assert!(answer.problems().contains("too many attempts"), "{:?}", answer.flash);
}
