//! Each invoice, credit note and void arrives under its own identifier, to the letter, whatever happens to the answers.

use super::*;
use crate::{
    api::tests::invoices::{billed, some_lines},
    hooks::{
        PATIENCE,
        tests::{Answer, Got, Receiver},
    },
    test_app::TestApp,
};
use domain::id::{CreditNoteId, InvoiceId, OperatorId, PartnerId};
use gateway::Reach;
use std::collections::BTreeMap;
use store::{
    Actor, Collector, InvoiceStatus,
    credit_notes::{CreditKind, Issue, NewCreditLine, NewCreditNote, Payback},
    document_deliveries::{DeliveryState, ListedDelivery},
    test_db::world::World,
};
use uuid::Uuid;

struct Office {
    app: TestApp,
    partner: PartnerId,
    invoices: Vec<InvoiceId>,
    receiver: Receiver,
    courier: Courier,
}

impl Office {
    /// A partner with two invoices, and somebody who takes them.
    async fn open() -> Self {
        let app = TestApp::start().await;
        let partner = World::new(&app.store).await.partner;
        let invoices = billed(&app, partner, "growth", vec![some_lines(), some_lines()]).await;
        let receiver = Receiver::start().await;
        let courier = Courier {
            store: app.store.handle(),
            clock: app.state.clock.clone(),
            client: Client::new(Reach::Private, PATIENCE).expect("TLS"),
            receiver: InvoiceWebhook { url: receiver.url.clone(), keys: vec![vec![1; 32], vec![2; 32]] },
        };
        Self { app, partner, invoices, receiver, courier }
    }

    async fn run(&self) -> u32 {
        self.courier.run().await.expect("ran")
    }

    /// Later: what failed is due again.
    async fn later(&self, hours: i64) -> u32 {
        let clock = &self.app.state.clock;
        clock.set_ahead_seconds(clock.ahead_seconds() + hours * 3_600);
        self.run().await
    }

    async fn credited(&self, invoice: InvoiceId, kind: CreditKind) -> CreditNoteId {
        let lines = match kind {
            CreditKind::Credit => {
                let (_, lines) = self.app.store.invoice(self.partner, invoice).await.expect("an invoice");
                let amount = domain::money::Money { micros: 1_000_000, ..lines[0].amount };
                vec![NewCreditLine { invoice_position: Some(0), amount }]
            }
            CreditKind::Void => Vec::new(),
        };
        let new = NewCreditNote { invoice, kind, lines, payback: Payback::default(), reason: "Our mistake".to_owned() };
        let (store, now) = (&self.app.store, self.app.state.clock.now());
        let id = store.draft_credit_note(self.partner, &new, false, Actor::System, now).await.expect("a draft");
        let issue = Issue { seen_paid: false, four_eyes: false };
        assert!(store.issue_credit_note(self.partner, id, issue, Actor::System, now).await.expect("issued"));
        id
    }

    /// Credits part of an invoice that was paid elsewhere.
    async fn credited_paid(&self, invoice: InvoiceId) -> CreditNoteId {
        let (store, now) = (&self.app.store, self.app.state.clock.now());
        assert!(store.mark_invoice_paid(self.partner, invoice, Actor::System, now).await.expect("paid"));
        let (_, lines) = store.invoice(self.partner, invoice).await.expect("an invoice");
        let amount = domain::money::Money { micros: 1_000_000, ..lines[0].amount };
        let lines = vec![NewCreditLine { invoice_position: Some(0), amount }];
        let (payback, reason) = (Payback::Outside, "Our mistake".to_owned());
        let new = NewCreditNote { invoice, kind: CreditKind::Credit, lines, payback, reason };
        let id = store.draft_credit_note(self.partner, &new, false, Actor::System, now).await.expect("a draft");
        let issue = Issue { seen_paid: true, four_eyes: false };
        assert!(store.issue_credit_note(self.partner, id, issue, Actor::System, now).await.expect("issued"));
        id
    }

    async fn goes_to(&self, collector: Option<Collector>) {
        let now = self.app.state.clock.now();
        self.app.store.note_invoice_sink(collector, now).await.expect("noted");
    }

    async fn listed(&self, state: Option<DeliveryState>) -> Vec<ListedDelivery> {
        self.app.store.all_partners_deliveries(state, None, 50).await.expect("a list").items
    }

    async fn status(&self, invoice: InvoiceId) -> InvoiceStatus {
        self.app.store.invoice(self.partner, invoice).await.expect("an invoice").0.status
    }

    /// What arrived, each identifier once; a message that came again has to be the same to the letter.
    fn once(&self) -> BTreeMap<String, Value> {
        let mut bodies: BTreeMap<String, String> = BTreeMap::new();
        for got in self.receiver.taken() {
            let id = got.header("webhook-id").to_owned();
            let before = bodies.insert(id.clone(), got.body.clone());
            assert!(before.is_none_or(|before| before == got.body), "{id} came with other content");
        }
        bodies.into_iter().map(|(id, body)| (id, serde_json::from_str(&body).expect("JSON"))).collect()
    }
}

#[tokio::test]
async fn each_document_arrives_once_by_its_identifier_though_answers_are_lost() {
    let office = Office::open().await;
    office.receiver.will(&[Answer::TakesAndDies, Answer::Says(503), Answer::Takes, Answer::Dies]);
    office.run().await;
    let [first, second] = office.invoices[..] else { panic!("not two") };
    let note = office.credited(first, CreditKind::Credit).await;
    let void = office.credited(second, CreditKind::Void).await;
    for _ in 0..4 {
        office.later(2).await;
    }
    let got = office.once();
    let ids: Vec<&str> = got.keys().map(String::as_str).collect();
    let mut expected = [first.to_string(), second.to_string(), note.to_string(), void.to_string()];
    expected.sort();
    assert_eq!(ids, expected);
    assert!(office.receiver.taken().len() > 4, "one of them came twice, with the same identifier");
    let kind = |id: &str| got[id]["type"].as_str().expect("a type").to_owned();
    assert_eq!(kind(&first.to_string()), "invoice.finished");
    assert_eq!(kind(&note.to_string()), "credit_note.issued");
    assert_eq!(kind(&void.to_string()), "invoice.voided");
    let invoice = &got[&first.to_string()]["data"]["invoice"];
    assert_eq!(
        (invoice["total"]["amount"].as_str(), invoice["lines"].as_array().map(Vec::len)),
        (Some("1187.70"), Some(4))
    );
    assert_eq!(got[&note.to_string()]["data"]["credit_note"]["invoice"], first.to_string());
    assert_eq!(office.status(first).await, InvoiceStatus::Sent);
    assert_eq!(office.status(second).await, InvoiceStatus::Void, "a void is not undone by its delivery");
    assert_eq!(office.listed(Some(DeliveryState::Delivered)).await.len(), 4);
    let taken = office.receiver.taken().len();
    assert_eq!(office.later(48).await, 0);
    assert_eq!(office.receiver.taken().len(), taken, "nothing is sent again by itself");
}

#[tokio::test]
async fn what_is_of_an_invoice_comes_after_it() {
    let office = Office::open().await;
    let [first, _] = office.invoices[..] else { panic!("not two") };
    let note = office.credited(first, CreditKind::Credit).await.to_string();
    office.receiver.will(&[Answer::Says(500), Answer::Says(500)]);
    office.run().await;
    let waiting = office.listed(Some(DeliveryState::Waiting)).await;
    let of_note = waiting.iter().find(|one| one.document.to_string() == note).expect("it waits");
    assert!(of_note.waits_for_invoice && of_note.failures == 0, "{of_note:?}");
    office.later(1).await;
    office.run().await;
    let order: Vec<String> = office.receiver.taken().iter().map(|got| got.header("webhook-id").to_owned()).collect();
    let place = |id: &str| order.iter().position(|other| other == id).expect("it arrived");
    assert!(place(&first.to_string()) < place(&note), "{order:?}");
}

#[tokio::test]
async fn what_fails_for_five_days_is_given_up_and_goes_again_where_somebody_says_so() {
    let office = Office::open().await;
    office.receiver.will(&[Answer::Says(500); 4]);
    office.run().await;
    let first = office.listed(None).await.remove(0);
    assert_eq!((first.state, first.failures), (DeliveryState::Waiting, 1));
    assert!(first.next_try_at > office.app.state.clock.now(), "later, not at once");
    assert_eq!(office.run().await, 0, "and not before it is due");
    assert!(first.message.contains("500"), "{}", first.message);
    office.later(24 * 5 + 1).await;
    let standing = office.app.store.deliveries_standing().await.expect("a standing");
    assert_eq!((standing.waiting, standing.dead), (0, 2));
    assert_eq!(office.later(48).await, 0);
    assert_eq!(office.status(office.invoices[0]).await, InvoiceStatus::Open);

    let (store, now) = (&office.app.store, office.app.state.clock.now());
    let operator = Actor::Operator(OperatorId(Uuid::from_u128(9)));
    let dead = office.listed(Some(DeliveryState::Dead)).await;
    store.replay_delivery(dead[0].document, operator, now).await.expect("again");
    assert_eq!(office.run().await, 1);
    let after = office.listed(Some(DeliveryState::Delivered)).await;
    assert_eq!((after.len(), after[0].replays, after[0].document), (1, 1, dead[0].document));
    // What was taken can be sent again, too: the same message.
    store.replay_delivery(dead[0].document, operator, now).await.expect("again");
    assert_eq!((office.run().await, office.once().len()), (1, 1));
    let log = store.audit_page(office.partner, None, 50).await.expect("a page").items;
    assert_eq!(log.iter().filter(|entry| entry.action == "delivery.replay").count(), 2);
}

#[tokio::test]
async fn a_receiver_that_is_gone_gets_nothing_more_and_several_couriers_send_each_once() {
    let office = Office::open().await;
    office.receiver.will(&[Answer::Says(410)]);
    assert_eq!(office.run().await, 1);
    assert_eq!(office.listed(Some(DeliveryState::Dead)).await.len(), 1, "gone is gone at once");

    let office = Office::open().await;
    let (one, two) = tokio::join!(office.courier.run(), office.courier.run());
    assert_eq!(one.expect("ran") + two.expect("ran"), 2);
    assert_eq!(office.receiver.taken().len(), 2);
}

#[tokio::test]
async fn messages_are_signed_with_each_secret_as_standard_webhooks_has_it() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let office = Office::open().await;
    office.run().await;
    let got: Vec<Got> = office.receiver.taken();
    assert_eq!(got.len(), 2);
    let secrets = [1_u8, 2].map(|byte| format!("whsec_{}", STANDARD.encode([byte; 32])));
    let mut lines = String::new();
    for message in &got {
        assert_eq!(message.header("content-type"), "application/json");
        let signatures: Vec<&str> = message.header("webhook-signature").split(' ').collect();
        let signed =
            format!("{}.{}.{}", message.header("webhook-id"), message.header("webhook-timestamp"), message.body);
        for (signature, byte) in signatures.iter().zip([1_u8, 2]) {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[byte; 32]);
            let own = STANDARD.decode(signature.strip_prefix("v1,").expect("a version")).expect("base64");
            ring::hmac::verify(&key, signed.as_bytes(), &own).expect("its own");
        }
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let headers: BTreeMap<_, _> = names.iter().map(|name| (*name, message.header(name))).collect();
        lines.push_str(&json!({ "secrets": secrets, "headers": headers, "body": message.body }).to_string());
        lines.push('\n');
    }
    // For the library of Standard Webhooks (end2end/hook-referee).
    if let Some(folder) = std::env::var_os("TURNPIKE_HOOKS_OUT").map(std::path::PathBuf::from) {
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("documents.jsonl"), lines).expect("written");
    }
}

#[tokio::test]
async fn what_was_paid_before_there_was_a_receiver_is_not_sent_though_it_has_a_credit_note() {
    let office = Office::open().await;
    office.goes_to(None).await;
    let [paid, open] = office.invoices[..] else { panic!("not two") };
    office.credited_paid(paid).await;
    office.app.state.clock.set_ahead_seconds(3_600);
    office.goes_to(Some(Collector::Webhook)).await;
    office.run().await;
    let sent = office.once();
    assert_eq!(sent.keys().collect::<Vec<_>>(), [&open.to_string()], "only what is still to be collected");
    // What is credited from now on of what it has got it is told.
    let note = office.credited(open, CreditKind::Credit).await.to_string();
    office.later(1).await;
    assert!(office.once().contains_key(&note));
}

#[tokio::test]
async fn an_invoice_that_is_paid_or_void_before_it_was_enlisted_is_sent_all_the_same() {
    let office = Office::open().await;
    office.goes_to(None).await;
    let clock = &office.app.state.clock;
    clock.set_ahead_seconds(-86_400 * 365 * 20);
    office.goes_to(Some(Collector::Webhook)).await;
    clock.set_ahead_seconds(0);
    let [paid, void] = office.invoices[..] else { panic!("not two") };
    let note = office.credited_paid(paid).await;
    let voided = office.credited(void, CreditKind::Void).await;
    office.run().await;
    office.run().await;
    let sent = office.once();
    let mut expected = [paid.to_string(), void.to_string(), note.to_string(), voided.to_string()];
    expected.sort();
    assert_eq!(sent.keys().cloned().collect::<Vec<_>>(), expected);
    assert_eq!(sent[&paid.to_string()]["data"]["invoice"]["status"], "paid");
    assert_eq!((office.status(paid).await, office.status(void).await), (InvoiceStatus::Paid, InvoiceStatus::Void));
}
