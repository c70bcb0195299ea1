//! What an operator sees of invoices on their way to a receiver.

use crate::portal::Portal;
use axum::http::StatusCode;
use domain::role::OperatorRole;

const LIST: &str = "/console/deliveries";

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_told_where_invoices_go_and_only_an_administrator_sends_again() {
    let portal = Portal::open().await;
    let mut admin = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    assert!(admin.get("/console").await.text.contains(&format!("href=\"{LIST}\"")), "a link leads there");
    let page = admin.get(LIST).await.text;
    assert!(page.contains("Invoices are files") && page.contains("TURNPIKE_INVOICE_SINK"), "{page}");
    assert!(admin.get(&format!("{LIST}?state=dead")).await.text.contains("Nothing matches"));
    for nonsense in ["?state=x", "?after=x"] {
        assert_eq!(admin.get(&format!("{LIST}{nonsense}")).await.status, StatusCode::NOT_FOUND, "{nonsense}");
    }
    let unknown = format!("invoice_{}", "0".repeat(32));
    let answer = admin.post("/do/console/deliveries/replay", &[("document", unknown.as_str())]).await;
    assert!(answer.flash.notice.is_none(), "there is no such document");
}
