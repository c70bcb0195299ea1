//! tower-sessions' store in Postgres. Only SHA-256 of a session's id is kept, so that a copy of the table signs nobody in.

use app::session::{MEMBER, OPERATOR};
use jiff::Timestamp;
use store::{Account, SessionRow, Store, StoreError};
use tower_sessions::{
    SessionStore,
    cookie::time::OffsetDateTime,
    session::{Id, Record},
    session_store::{Error, Result},
};

/// How often a fresh id is drawn where one is taken, before something else must be wrong.
const DRAWS: usize = 3;

/// Sessions of members and operators. They end in real time: a test clock that is moved ahead signs nobody out.
#[derive(Clone)]
pub struct Sessions {
    store: Store,
}

impl Sessions {
    pub const fn new(store: Store) -> Self {
        Self { store }
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

// === impl SessionStore ===

#[async_trait::async_trait]
impl SessionStore for Sessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        for _ in 0..DRAWS {
            if self.store.create_session(&to_row(record)?, Timestamp::now()).await.map_err(failed)? {
                return Ok(());
            }
            record.id = Id::default();
        }
        Err(Error::Backend("no free session id".to_owned()))
    }

    async fn save(&self, record: &Record) -> Result<()> {
        self.store.save_session(&to_row(record)?).await.map_err(failed)
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let Some(row) = self.store.load_session(hash(*id), Timestamp::now()).await.map_err(failed)? else {
            return Ok(None);
        };
        let data = serde_json::from_value(row.data).map_err(|error| Error::Decode(error.to_string()))?;
        let expiry_date = OffsetDateTime::from_unix_timestamp(row.expires_at.as_second())
            .map_err(|error| Error::Decode(error.to_string()))?;
        Ok(Some(Record { id: *id, data, expiry_date }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.store.delete_session(hash(*id)).await.map_err(failed)
    }
}

fn to_row(record: &Record) -> Result<SessionRow> {
    let data = serde_json::to_value(&record.data).map_err(|error| Error::Encode(error.to_string()))?;
    let text = |name: &str| record.data.get(name).and_then(|value| value.as_str());
    let member = text(MEMBER).and_then(|id| id.parse().ok()).map(Account::Member);
    let operator = text(OPERATOR).and_then(|id| id.parse().ok()).map(Account::Operator);
    let expires_at = Timestamp::from_second(record.expiry_date.unix_timestamp())
        .map_err(|error| Error::Encode(error.to_string()))?;
    Ok(SessionRow { id_hash: hash(record.id), data, account: member.or(operator), expires_at })
}

fn hash(id: Id) -> [u8; 32] {
    app::session::id_hash(id)
}

fn failed(error: StoreError) -> Error {
    Error::Backend(error.to_string())
}
