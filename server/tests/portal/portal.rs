//! An installation without a data plane: the portal's router on a database of its own.

use crate::browser::Browser;
use app::{
    secrets::Secrets,
    session::{MEMBER, OPERATOR, id_hash},
    state::{AppState, Clock, Settings, StripeAccess},
};
use axum::Router;
use domain::{
    id::{MemberId, OperatorId},
    role::OperatorRole,
};
use gateway::try_credential;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use server::portal::{router, site::Site};
use std::{fs, net::SocketAddr, sync::Arc};
use store::{
    Account, Actor, NewOperator, SessionRow,
    test_db::{self, TestStore},
};
use tempfile::TempDir;
use tower_sessions::session::Id;

/// Where the portal believes to be.
pub const HOST: &str = "localhost:3000";

pub struct Portal {
    pub store: TestStore,
    pub state: AppState,
    router: Router,
    _site: TempDir,
}

/// How an installation differs from the usual one of the tests.
pub struct Options {
    pub development: bool,
    pub gateway: SocketAddr,
    /// `None` where invoices do not go there.
    pub stripe: Option<StripeAccess>,
}

impl Default for Options {
    fn default() -> Self {
        Self { development: true, gateway: ([127, 0, 0, 1], 1).into(), stripe: None }
    }
}

impl Portal {
    pub async fn open() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        Self::on(test_db::store().await, options)
    }

    /// Another portal on a store that is there.
    pub fn on(store: TestStore, options: Options) -> Self {
        let secrets = Arc::new(Secrets::from_master([7; 32]));
        let signing_key = secrets.try_signing_key();
        let settings = Settings {
            provider_name: "Toll".to_owned(),
            provider_address: String::new(),
            portal_url: format!("http://{HOST}"),
            gateway_url: "http://localhost:8080".to_owned(),
            gateway_address: options.gateway.to_string(),
            development: options.development,
            mail_is_sent: false,
            stripe_is_on: false,
            has_stripe_account: false,
            invoice_sink: app::state::InvoiceSink::default(),
            four_eyes: false,
            closing_grace: jiff::SignedDuration::from_mins(11),
            hooks_may_be_private: false,
        };
        let state = AppState {
            store: store.handle(),
            secrets,
            settings: Arc::new(settings),
            clock: Clock::default(),
            stripe: options.stripe,
            mint_try_credential: Arc::new(move |key, member, expires_at| {
                try_credential::mint(&signing_key, &try_credential::Claims { key, member, expires_at })
            }),
        };
        let site = site();
        let router = router(state.clone(), Site::open(site.path()).expect("a site"));
        Self { store, state, router, _site: site }
    }

    pub fn now(&self) -> Timestamp {
        self.state.clock.now()
    }

    /// A browser that has never been here.
    pub fn browser(&self) -> Browser {
        Browser::new(self.router.clone(), self.state.secrets.clone())
    }

    /// A browser of a member who signed in before.
    pub async fn as_member(&self, member: MemberId) -> Browser {
        self.with_session(Account::Member(member), SignedDuration::from_hours(1)).await
    }

    pub async fn as_operator(&self, operator: OperatorId) -> Browser {
        self.with_session(Account::Operator(operator), SignedDuration::from_hours(1)).await
    }

    /// A browser whose session ends after that time.
    pub async fn with_session(&self, account: Account, life: SignedDuration) -> Browser {
        let id = Id(i128::from_le_bytes(*uuid::Uuid::new_v4().as_bytes()));
        let data = match account {
            Account::Member(id) => json!({ MEMBER: id }),
            Account::Operator(id) => json!({ OPERATOR: id }),
        };
        let now = Timestamp::now();
        let expires_at = now + life;
        let row = SessionRow { id_hash: id_hash(id), data, account: Some(account), expires_at };
        assert!(self.store.create_session(&row, now).await.expect("a session"));
        let mut browser = self.browser();
        browser.set_cookie("__Host-session", &id.to_string());
        browser
    }

    pub async fn operator(&self, role: OperatorRole) -> OperatorId {
        let email = format!("{role:?}@provider.example");
        let new = NewOperator { email, name: "Olga".to_owned(), role };
        self.store.create_operator(&new, Actor::System, self.now()).await.expect("an operator")
    }
}

/// As much of a built site as the router asks for.
fn site() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("pkg")).expect("a folder");
    let manifest = json!({ "js": "turnpike-1.js", "css": "turnpike-2.css" });
    fs::write(dir.path().join("pkg/manifest.json"), manifest.to_string()).expect("a file");
    fs::write(dir.path().join("pkg/turnpike-2.css"), "body { margin: 0 }").expect("a file");
    fs::write(dir.path().join("favicon.svg"), "<svg xmlns='http://www.w3.org/2000/svg'/>").expect("a file");
    dir
}
