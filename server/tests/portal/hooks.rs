//! Hooks in the operators' console.

use crate::{
    browser::Browser,
    company::{Company, open_catalogue},
    portal::Portal,
};
use axum::http::StatusCode;
use domain::role::OperatorRole;

const LIST: &str = "/console/hooks";

async fn console(portal: &Portal, role: OperatorRole) -> Browser {
    portal.as_operator(portal.operator(role).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_adds_a_hook_sees_its_secret_once_and_changes_it() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let mut admin = console(&portal, OperatorRole::Admin).await;
    assert!(admin.get(LIST).await.text.contains("No hook yet"));
    let answer = admin.post("/do/console/hooks/create", &[("url", "receiver.example")]).await;
    assert!(answer.problems().starts_with("url: "), "{}", answer.problems());
    let partner = acme.id.to_string();
    let fields = [("url", "https://receiver.example/in?token=letmein"), ("partner", partner.as_str())];
    let answer = admin.post("/do/console/hooks/create", &fields).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, LIST), "{}", answer.problems());
    let first = admin.get(LIST).await.text;
    assert!(first.contains("whsec_") && first.contains("receiver.example/in") && first.contains("acme"), "{first}");
    assert!(first.contains("receiver.example/in?…") && !first.contains("letmein"), "{first}");
    assert!(!admin.get(LIST).await.text.contains("whsec_"), "shown once");

    let hook = first.split("name=\"hook\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a form");
    let change = async |admin: &mut Browser, change: &str| {
        let answer = admin.post("/do/console/hooks/change", &[("hook", hook), ("change", change)]).await;
        assert!(answer.flash.notice.is_some(), "{change}: {}", answer.problems());
        admin.get(LIST).await.text
    };
    assert!(change(&mut admin, "pause").await.contains("Paused"));
    assert!(change(&mut admin, "resume").await.contains("Active"));
    assert!(change(&mut admin, "test").await.contains("On its way"));
    assert!(change(&mut admin, "rotate").await.contains("whsec_"));
    let shown = console(&portal, OperatorRole::Viewer).await.get(LIST).await.text;
    assert!(shown.contains("receiver.example/in") && !shown.contains("/do/console/hooks"), "{shown}");
    assert!(change(&mut admin, "delete").await.contains("No hook yet"));
    let gone = admin.post("/do/console/hooks/change", &[("hook", hook), ("change", "pause")]).await;
    assert!(gone.problems().contains("no longer exists"), "{}", gone.problems());
}
