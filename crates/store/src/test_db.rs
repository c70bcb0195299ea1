//! A real Postgres for tests: one private server for a whole test run, one database for each test.
//!
//! With `TURNPIKE_TEST_DATABASE_URL` set that server is used. Otherwise the first test starts
//! one in a temporary directory, the other tests of the same runner find it there, and it stops when the runner does.

pub mod revenue;
mod server;
pub mod world;

use crate::{Store, pool::MIGRATIONS};
use domain::idempotency::Slot;
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, Postgres, Transaction, postgres::PgConnectOptions,
};
use std::{ops::Deref, str::FromStr as _};
use uuid::Uuid;

/// A store with a database of its own, dropped at the end.
pub struct TestStore {
    store: Store,
    server: PgConnectOptions,
    database: String,
}

/// A migrated, empty database.
pub async fn store() -> TestStore {
    let server = server().await;
    let template = template(&server).await;
    let database = format!("t_{}", Uuid::new_v4().simple());
    let mut connection = PgConnection::connect_with(&server).await.expect("the test server answers");
    let create = format!("create database {database} template {template}");
    connection.execute(AssertSqlSafe(create)).await.expect("the test database is created");
    connection.close().await.expect("the connection closes");
    let options = server.clone().database(&database);
    // As the server works: what lacks a right fails then.
    let store = match std::env::var_os("TURNPIKE_TEST_RUNTIME_ROLE") {
        Some(_) => Store::connect_with(options, 8).await,
        None => Store::connect_as_owner(options, 8).await,
    }
    .expect("the test database answers");
    TestStore { store, server, database }
}

/// Keys that somebody else is about to take.
pub struct Held(Transaction<'static, Postgres>);

impl Held {
    /// They did not take them.
    pub async fn give_back(self) {
        self.0.rollback().await.expect("rolled back");
    }
}

impl Deref for TestStore {
    type Target = Store;
    fn deref(&self) -> &Store {
        &self.store
    }
}

impl TestStore {
    /// A handle that outlives this borrow, for what wants to own its store.
    pub fn handle(&self) -> Store {
        self.store.clone()
    }

    /// Opens a few connections, so that what a test starts at once also runs at once.
    pub async fn warm(&self) {
        let pool = self.store.pool();
        drop(tokio::join!(pool.acquire(), pool.acquire(), pool.acquire(), pool.acquire()));
        while pool.num_idle() < 4 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    /// Takes these Idempotency-Keys in a transaction that is not committed: questions about them wait for its end.
    pub async fn hold_keys(&self, slots: &[Slot]) -> Held {
        let mut tx = self.store.begin().await.expect("a transaction");
        for Slot { partner, environment, product, operation, key } in slots {
            sqlx::query(
                "insert into idempotency_keys (partner_id, environment, product_id, operation_id, key, attempt,
                     fingerprint, request_id, node, life, state, began_at, until)
                 values ($1, $2, $3, $4, $5, gen_random_uuid(), $6, '', '', $1, 'in_flight', now(), now())",
            )
            .bind(partner.0)
            .bind(environment.code())
            .bind(product.0)
            .bind(operation.0)
            .bind(key.as_str())
            .bind([0_u8; 32])
            .execute(&mut *tx)
            .await
            .expect("the key is taken");
        }
        Held(tx)
    }

    /// Moves the directory's version, as a change does, or a Postgres that is put back.
    pub async fn move_directory_version(&self, by: i64) {
        let moved = sqlx::query("update directory_version set version = version + $1").bind(by);
        moved.execute(self.pool()).await.expect("moved");
    }

    /// Loses the list of what changed in the directory.
    pub async fn forget_directory_changes(&self) {
        self.store.pool().execute("delete from directory_changes").await.expect("deleted");
    }

    /// Does what a server does that dies before it keeps the answers of API calls: their keys are in flight again since then.
    pub async fn forget_api_answers(&self) {
        let forgotten = "update api_requests set status = null, body = null, until = began_at + interval '60 seconds'";
        sqlx::query(forgotten).execute(self.store.pool()).await.expect("forgotten");
    }

    /// Says that all events there are, and more, are gone, as retention does once they are.
    pub async fn let_go_of_all_events(&self) {
        let later =
            "update usage_upkeep set live_from = now() + interval '10 days', test_from = now() + interval '10 days'";
        self.store.pool().execute(later).await.expect("moved");
    }

    /// Makes usage events unreadable, or readable again.
    pub async fn hide_usage_events(&self, hidden: bool) {
        let renamed = if hidden {
            "alter table usage_events rename to usage_events_hidden"
        } else {
            "alter table usage_events_hidden rename to usage_events"
        };
        self.store.pool().execute(renamed).await.expect("renamed");
    }

    /// Moves a sum of units that credit paid, as a lost write would.
    pub async fn move_prepaid_sum(&self, by: i64) {
        let moved =
            "update usage_credit_hourly set units = units + $1 where ctid in (select ctid from usage_credit_hourly
             order by partner_id, hour, product_id, operation_id limit 1)";
        sqlx::query(moved).bind(by).execute(self.store.pool()).await.expect("moved");
    }

    /// Moves what lines of invoices say of credit, behind the back of the database's own guard.
    pub async fn move_prepaid_lines(&self, by: i64) {
        let mut tx = self.store.begin().await.expect("a transaction");
        tx.execute("alter table invoice_lines disable trigger all").await.expect("disabled");
        let moved = "update invoice_lines set prepaid = prepaid + $1 where kind = 'usage'";
        sqlx::query(moved).bind(by).execute(&mut *tx).await.expect("moved");
        tx.execute("alter table invoice_lines enable trigger all").await.expect("enabled");
        tx.commit().await.expect("committed");
    }

    /// Moves what invoices say of teams, behind the back of the database's own guard: `set` is what an update sets.
    pub async fn move_parts_of_teams(&self, set: &'static str) {
        let mut tx = self.store.begin().await.expect("a transaction");
        tx.execute("alter table invoice_line_teams disable trigger all").await.expect("disabled");
        let moved = format!(
            "update invoice_line_teams set {set} where ctid in (select ctid from invoice_line_teams
             order by partner_id, invoice_id, position, team_id desc limit 1)"
        );
        tx.execute(AssertSqlSafe(moved)).await.expect("moved");
        tx.execute("alter table invoice_line_teams enable trigger all").await.expect("enabled");
        tx.commit().await.expect("committed");
    }

    /// Whether the database lets somebody change or delete what invoices say of teams.
    pub async fn changes_parts_of_teams(&self) -> bool {
        let changed = self.store.pool().execute("update invoice_line_teams set quantity = quantity").await.is_ok();
        changed || self.store.pool().execute("delete from invoice_line_teams").await.is_ok()
    }

    /// Says that an invoice is the threshold invoice of that number.
    pub async fn make_threshold_invoice(&self, invoice: domain::id::InvoiceId, number: i32) {
        let said = "update invoices set threshold_number = $2 where id = $1";
        sqlx::query(said).bind(invoice.0).bind(number).execute(self.store.pool()).await.expect("said");
    }

    /// Closes the first period of a partner as a server of the version before would, which knows of no threshold invoices; what the database
    /// says to that.
    pub async fn close_as_the_version_before(
        &self,
        partner: domain::id::PartnerId,
        end: jiff::Timestamp,
    ) -> Result<(), String> {
        let closed = "insert into billing_periods (partner_id, subscription_id, period_start, period_end, closed_at)
             select partner_id, id, started_at, $2, $2 from subscriptions where partner_id = $1";
        let closed = sqlx::query(closed).bind(partner.0).bind(crate::Ts(end)).execute(self.store.pool()).await;
        closed.map(drop).map_err(|error| error.to_string())
    }

    /// Forgets what Stripe calls the refunds of pages, as a server of the version before notes none.
    pub async fn forget_names_of_refunds(&self) {
        self.store.pool().execute("update checkouts set refund_id = null").await.expect("forgotten");
    }

    /// Makes so many pages like this one, each opened a minute before the one before it.
    pub async fn copy_checkout(&self, page: domain::id::CheckoutId, copies: i32) {
        let mut tx = self.store.begin().await.expect("a transaction");
        for copied in [
            "insert into checkouts (partner_id, id, state, opened_at, ended_at, payment_id, pay_back, paid_back_at, refund_id, refund_failed)
             select partner_id, md5(id::text || place)::uuid, state, opened_at - place * interval '1 minute', ended_at, payment_id, pay_back,
                 paid_back_at, refund_id, refund_failed
             from checkouts cross join generate_series(1, $2) as place where id = $1",
            "insert into plan_checkouts (partner_id, checkout_id, plan_version_id, description, lines, cost_micros, currency)
             select partner_id, md5(checkout_id::text || place)::uuid, plan_version_id, description, lines, cost_micros, currency
             from plan_checkouts cross join generate_series(1, $2) as place where checkout_id = $1",
        ] {
            sqlx::query(copied).bind(page.0).bind(copies).execute(&mut *tx).await.expect("copied");
        }
        tx.commit().await.expect("committed");
    }

    /// Forgets what came late, as if a transaction had lost it.
    pub async fn lose_adjustments(&self) {
        self.store.pool().execute("delete from usage_adjustments").await.expect("deleted");
    }

    /// Leaves what coupons took off late usage on no more than its lines, as servers did before it was noted.
    pub async fn forget_coupons_of_late_usage(&self) {
        let forgotten = "alter table late_coupon_applications disable trigger user;
             delete from late_coupon_applications;
             alter table late_coupon_applications enable trigger user";
        self.store.pool().execute(forgotten).await.expect("forgotten");
    }

    /// Notes it from the lines, as the migration does.
    pub async fn note_coupons_of_late_usage_before(&self) {
        let migration = include_str!("../../../migrations/0079_coupons_of_late_usage_before.sql");
        self.store.pool().execute(migration).await.expect("noted");
    }

    /// Takes from Postgres what tells for how long late usage has waited.
    pub async fn hide_when_late_usage_came(&self) {
        self.store.pool().execute("alter table usage_adjustments rename received_at to hidden").await.expect("renamed");
    }

    /// Deletes the first seal of each lane; whether the database lets that happen.
    pub async fn delete_first_seals(&self) -> bool {
        self.store.pool().execute("delete from spool_seals where first_sequence = 0").await.is_ok()
    }

    /// Suspends every partner with the triggers switched off, which tell of changes in the directory.
    pub async fn suspend_all_unheard(&self) {
        let unheard = "alter table partners disable trigger user;
             update partners set suspended_at = now();
             alter table partners enable trigger user";
        self.store.pool().execute(unheard).await.expect("suspended");
    }

    /// How another process, or another pool, reaches the same database.
    pub fn options(&self) -> PgConnectOptions {
        self.server.clone().database(&self.database)
    }
}

impl Drop for TestStore {
    fn drop(&mut self) {
        let (server, drop) = (self.server.clone(), format!("drop database if exists {} with (force)", self.database));
        // A thread of its own, because the test's runtime may be the one that drops us. A failure costs only memory.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                if let Ok(mut connection) = PgConnection::connect_with(&server).await {
                    let _ = connection.execute(AssertSqlSafe(drop)).await;
                }
            });
        });
        let _ = thread.join();
    }
}

async fn server() -> PgConnectOptions {
    match std::env::var("TURNPIKE_TEST_DATABASE_URL") {
        Ok(url) => PgConnectOptions::from_str(&url).expect("TURNPIKE_TEST_DATABASE_URL is a Postgres URL"),
        Err(_) => tokio::task::spawn_blocking(server::find_or_start).await.expect("a test server starts"),
    }
}

/// The migrated database that each test's own is copied from, made by whoever comes first.
async fn template(server: &PgConnectOptions) -> String {
    let checksums: Vec<u8> = MIGRATIONS.iter().flat_map(|migration| migration.checksum.iter().copied()).collect();
    let template = format!("template_{}", Uuid::from_bytes(fold(&checksums)).simple());
    let mut connection = PgConnection::connect_with(server).await.expect("the test server answers");
    sqlx::query("select pg_advisory_lock(8086)").execute(&mut connection).await.expect("the lock is had");
    let made: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1 and datistemplate)")
        .bind(&template)
        .fetch_one(&mut connection)
        .await
        .expect("the catalogue answers");
    if !made {
        let drop = format!("drop database if exists {template} with (force)");
        connection.execute(AssertSqlSafe(drop)).await.expect("a broken template goes");
        connection
            .execute(AssertSqlSafe(format!("create database {template}")))
            .await
            .expect("the template is created");
        let store = Store::connect_with(server.clone().database(&template), 1).await.expect("the template answers");
        store.migrate().await.expect("the migrations run");
        store.close().await;
        let mark = format!("alter database {template} is_template true");
        connection.execute(AssertSqlSafe(mark)).await.expect("the template is marked as whole");
    }
    connection.close().await.expect("the connection closes");
    template
}

fn fold(bytes: &[u8]) -> [u8; 16] {
    let mut folded = [0_u8; 16];
    for (index, byte) in bytes.iter().enumerate() {
        let place = &mut folded[index % 16];
        *place = place.rotate_left(3) ^ byte;
    }
    folded
}
