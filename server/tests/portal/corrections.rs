//! Usage that was counted wrongly, put right in the console, and read by its partner.

use crate::{
    browser::Browser,
    company::{Company, open_catalogue},
    portal::Portal,
};
use axum::http::StatusCode;
use domain::{id::CorrectionId, role::OperatorRole};

const LIST: &str = "/console/corrections";

async fn console(portal: &Portal, role: OperatorRole) -> Browser {
    portal.as_operator(portal.operator(role).await).await
}

/// The value of a hidden field.
fn hidden(text: &str, name: &str) -> String {
    let field = text.split("<input ").find(|field| field.contains(&format!("name=\"{name}\""))).expect("the field");
    field.split("value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a value").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_tries_approves_applies_and_reverts_and_the_partner_reads_why() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let mut admin = console(&portal, OperatorRole::Admin).await;
    assert!(admin.get(LIST).await.text.contains("Nothing was corrected"));
    let acme = Company::found(&portal, "acme").await;
    let form = format!("/console/partners/{}/correct", acme.id);
    for kind in ["void", "set_units", "back_fill"] {
        let page = admin.get(&format!("{form}?kind={kind}")).await;
        assert_eq!((page.status, hidden(&page.text, "kind").as_str()), (StatusCode::OK, kind));
    }
    let partner = acme.id.to_string();
    let draft = |more: &[(&'static str, &'static str)]| {
        let mut fields = vec![("partner", partner.clone())];
        fields.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        fields
    };
    for (fields, problem) in [
        (draft(&[("kind", "void"), ("reason", "Twice")]), "from: "),
        (draft(&[("kind", "void"), ("from", "yesterday"), ("reason", "Twice")]), "from: "),
        (
            draft(&[("kind", "set_units"), ("request_id", "acme-request"), ("units", "some"), ("reason", "r")]),
            "units: ",
        ),
        (draft(&[("kind", "void"), ("request_id", "no-such-request"), ("reason", "Twice")]), "filter: "),
        (draft(&[("kind", "back_fill"), ("calls", "5"), ("units", "5"), ("reason", "Twice")]), "at: "),
    ] {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = admin.post("/do/console/corrections/draft", &fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert!(answer.location().starts_with(&form), "{}", answer.location());
        assert!(answer.problems().starts_with(problem), "{problem}: {}", answer.problems());
        assert_eq!(admin.get(answer.location()).await.status, StatusCode::OK);
    }
    let fields = [
        ("partner", partner.as_str()),
        ("kind", "set_units"),
        ("request_id", "acme-request"),
        ("units", "4,100"),
        ("reason", "A whole file went through"),
    ];
    let answer = admin.post("/do/console/corrections/draft", &fields).await;
    let place = answer.location().to_owned();
    assert!(place.starts_with(&format!("{LIST}/correction_")), "{place}: {}", answer.problems());
    let page = admin.get(&place).await.text;
    for told in ["What it would do", "+4,099", "1 before, 4,100 after", "A whole file went through"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let mut viewer = console(&portal, OperatorRole::Viewer).await;
    assert!(viewer.get(&place).await.text.contains("Your role reads only"));
    let mut owner = portal.as_member(acme.owner).await;
    assert!(!owner.get("/usage").await.text.contains("A whole file"), "a draft is nobody's");

    let (id, hash) = (hidden(&page, "correction"), hidden(&page, "hash"));
    let step = |name: &str| format!("/do/console/corrections/{name}");
    let early = admin.post(&step("apply"), &[("correction", &id)]).await;
    assert!(early.problems().contains("draft"), "{}", early.problems());
    let wrong = admin.post(&step("approve"), &[("correction", &id), ("hash", &"0".repeat(64))]).await;
    assert!(wrong.problems().contains("has changed"), "{}", wrong.problems());
    for (name, fields) in
        [("approve", vec![("correction", id.as_str()), ("hash", &hash)]), ("apply", vec![("correction", &id)])]
    {
        let answer = admin.post(&step(name), &fields).await;
        assert!(answer.flash.notice.is_some(), "{name}: {}", answer.problems());
    }
    let usage = owner.get("/usage").await.text;
    assert!(usage.contains("+4,099 units. A whole file went through."), "{usage}");
    let call = owner.get(&format!("/requests/{}", acme.place)).await.text;
    assert!(call.contains("+4,099 units"), "{call}");
    let bare = admin.post(&step("revert"), &[("correction", id.as_str()), ("reason", " ")]).await;
    assert!(bare.problems().starts_with("reason: "), "{}", bare.problems());
    let answer = admin.post(&step("revert"), &[("correction", id.as_str()), ("reason", "It was one")]).await;
    assert!(answer.flash.notice.is_some(), "{}", answer.problems());
    let usage = owner.get("/usage").await.text;
    assert!(usage.contains("Taken back on") && usage.contains("It was one"), "{usage}");

    let list = admin.get(LIST).await.text;
    assert!(list.contains("Reverted") && list.contains(&id), "{list}");
    assert!(!admin.get(&format!("{LIST}?state=reverted")).await.text.contains(&acme.correction.to_string()));
    assert!(admin.get(&format!("{LIST}?state=refused")).await.text.contains("Nothing matches"));
    let nobody = CorrectionId(uuid::Uuid::from_u128(7));
    for nonsense in ["?partner=x", "?after=x", "/x", &format!("/{nobody}")] {
        assert_eq!(admin.get(&format!("{LIST}{nonsense}")).await.status, StatusCode::NOT_FOUND, "{nonsense}");
    }
}
