//! `turnpike serve`: everything in one process, started in this order and stopped in the reverse.
//!
//! 1. the data directory and its secrets; 2. the ports, so that a taken one is told before anything is started;
//! 3. Postgres and the schema; 4. the directory, from disk where Postgres has no newer one or is not there, else from Postgres;
//! 5. the gateway; 6. the shipping of what the spool holds, the units and the other background tasks; 7. the portal and the REST API.
//!
//! The gateway waits neither until the spool is shipped nor for its units of quotas and credit; calls that need some do.
//!
//! A process of the role `gateway` leaves out the last, one of the role `portal` what serves calls.
//!
//! At the end clients and load balancers are told to go elsewhere, calls in flight end while everything still runs, the
//! spool is shipped, and Postgres stops last.

mod admin;
mod background;
mod calls;
mod certificates;
pub mod data_plane;
mod descriptors;
pub mod directory_file;
mod front;
mod invoice_sink;
mod listener;
mod memory;
mod signals;

use crate::{
    cli::CommandError,
    config::{self, Config, Role},
    data_dir::DataDir,
    database::Database,
    logs,
    portal::site::Site,
    priority,
    tasks::{Nudge, StopSwitch, Tasks, board::Board, follow_clock, follow_directory::InForce},
    webhooks,
};
use admin::Admin;
use app::{
    secrets::Secrets,
    state::{AppState, Clock, InvoiceSink, Settings, StripeAccess},
};
use calls::{Calls, House, LAST_SHIPMENT};
use directory_file::{DirectoryFile, Freshness, Kept, Place};
use domain::directory::Directory;
use gateway::try_credential;
use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusHandle;
use signals::{HangUp, Signals};
use std::{
    future::ready,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use store::{Standing, Store};
use tokio::net::TcpListener;

/// How long requests in flight and tasks may take at the end.
const DRAIN: Duration = Duration::from_millis(2_500);
/// How often measured durations are put into their buckets.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// What is ready before Postgres is.
struct Opened {
    config: Config,
    data: DataDir,
    secrets: Arc<Secrets>,
    /// `None` on a node that is a gateway only.
    front: Option<(Site, TcpListener)>,
    admin: TcpListener,
    metrics: PrometheusHandle,
    started: Instant,
}

/// `turnpike serve`: returns after the signal that ends it.
pub async fn run(config: Config) -> Result<ExitCode, CommandError> {
    let opened = open(config).await?;
    let database = Database::start(&opened.config, &opened.data).await?;
    let outcome = serve(opened, database.store.clone()).await;
    database.close().await;
    outcome
}

async fn open(config: Config) -> Result<Opened, CommandError> {
    let started = Instant::now();
    let data = DataDir::open(&config.data_dir)?;
    let secrets = Arc::new(data.secrets(config.master)?);
    let front = match config.role {
        Role::All | Role::Portal => {
            Some((Site::open(&site_dir(&config)?)?, listener::bind("portal", config.listen.portal).await?))
        }
        Role::Gateway => None,
    };
    let admin = listener::bind("admin listener", config.listen.admin).await?;
    // The gateway opens its port once for each core, in a way that would share it with another program; so ask first.
    if config.role != Role::Portal {
        drop(listener::bind("gateway", config.listen.gateway).await?);
    }
    let metrics = admin::metrics()?;
    Ok(Opened { config, data, secrets, front, admin, metrics, started })
}

#[cfg(not(feature = "embed-site"))]
fn site_dir(config: &Config) -> std::io::Result<PathBuf> {
    let beside_binary = || Some(std::env::current_exe().ok()?.parent()?.join("site"));
    Ok(config.site_dir.clone().or_else(beside_binary).unwrap_or_else(|| PathBuf::from("site")))
}

#[cfg(feature = "embed-site")]
fn site_dir(config: &Config) -> std::io::Result<PathBuf> {
    config.site_dir.clone().map_or_else(|| crate::portal::embedded::unpack(&config.data_dir), Ok)
}

async fn serve(opened: Opened, store: Store) -> Result<ExitCode, CommandError> {
    let Opened { config, data, secrets, front, admin, metrics, started } = opened;
    let clock = Clock::default();
    let room = memory::Room::of(memory::limit(config.gateway.memory_limit), config.gateway.cores);
    let shares = descriptors::Shares::of(
        descriptors::raise(),
        config.gateway.cores,
        config.database.connections,
        config.gateway.max_connections.min(room.connections),
    );
    if shares.clients < config.gateway.max_connections {
        tracing::warn!(
            connections = shares.clients,
            configured = config.gateway.max_connections,
            "fewer connections than configured are taken: raise the limit of open files, or give the server more memory"
        );
    }
    let (switch, stop) = StopSwitch::new();
    let (last_switch, last) = StopSwitch::new();
    let board = Board::default();
    let mut tasks = Tasks::new(stop.clone(), board.clone());
    let mut last_tasks = Tasks::new(last.clone(), board.clone());
    let house = House { config: &config, store: &store, data: &data, secrets: &secrets, clock: &clock, board: &board };
    let calls = match config.role {
        Role::All | Role::Gateway => Some(Calls::start(&house, (&shares, &room), &mut last_tasks, last.clone()).await?),
        Role::Portal => {
            bring_up_to_date(&store, &clock).await?;
            priority::stand_behind();
            None
        }
    };
    let gateway_address = match &calls {
        Some(calls) => calls.gateway.address().to_string(),
        None => config.listen.gateway_address.clone(),
    };
    let state = app_state(&config, store.clone(), secrets.clone(), clock.clone(), gateway_address)?;
    let upkeep = metrics.clone();
    tasks.every("tend_metrics", METRICS_UPKEEP, Nudge::default(), move || {
        upkeep.run_upkeep();
        ready(Ok(()))
    });
    let shown = calls.as_ref().map(|calls| calls.directory.clone());
    let freshness: Option<Freshness> = calls.as_ref().map(|calls| calls.place.freshness());
    let leaving = Arc::<AtomicBool>::default();
    let admin_router = admin::router(Admin {
        leaving: leaving.clone(),
        metrics,
        board: board.clone(),
        store: store.clone(),
        clock: clock.clone(),
        node: calls.as_ref().map_or("portal", |calls| calls.node.as_str()).into(),
        directory_age: Arc::new(move || freshness.as_ref().map(|freshness| freshness.age(Timestamp::now()))),
        directory_version: Arc::new(move || shown.as_ref().map(|shown| shown.load().version())),
    });
    let looked_after = calls.map(|calls| calls.look_after(&house, &mut tasks, &stop, &mut last_tasks, last));
    let (ending, hang_up) = looked_after.transpose()?.map_or((None, HangUp::Ends), |(ending, hup)| (Some(ending), hup));

    let background = background::Background { config: &config, state: &state, board: &board };
    background.follow_clock(&mut tasks);
    if let Some((site, portal)) = front {
        let nudges = background.start(&mut tasks)?;
        let webhook_secrets = config.stripe.iter().flat_map(|stripe| &stripe.webhook_secrets);
        let webhooks = webhooks::Receiver {
            store,
            clock: state.clock.clone(),
            secrets: webhook_secrets.map(|secret| secret.expose().to_owned()).collect(),
            development: config.development,
            apply: nudges.apply_webhooks,
        };
        let router = front::router(state, site, webhooks);
        tasks.spawn(listener::serve(portal, router, shares.portal, stop.clone()));
    }
    tasks.spawn(listener::serve(admin, admin_router, shares.admin, stop));

    // Before "ready" is said: who waits for it may send the next signal right away.
    let signals = Signals::catch(hang_up)?;
    let settings = &config.listen;
    tracing::info!(
        role = config.role.name(),
        portal = settings.portal_url,
        gateway = settings.gateway_url,
        admin = %settings.admin,
        took_ms = started.elapsed().as_millis(),
        "ready"
    );
    signals.end().await;
    tracing::info!("stopping: calls in flight end, usage is stored");
    leaving.store(true, Relaxed);
    let drained = match ending {
        Some(ending) => Some(ending.drain(&config.gateway).await),
        None => None,
    };
    switch.stop();
    tasks.finish(tokio::time::Instant::now() + DRAIN).await;
    last_switch.stop();
    let shipped = last_tasks.finish(tokio::time::Instant::now() + LAST_SHIPMENT + Duration::from_millis(200));
    let given_back = async {
        if let Some((tender, keys)) = drained {
            tokio::join!(tender.finish(LAST_SHIPMENT), keys.finish(LAST_SHIPMENT));
        }
    };
    tokio::join!(shipped, given_back);
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// What the gateway starts from.
pub struct Ready {
    pub directory: InForce,
    /// Whether Postgres was there.
    pub with_database: bool,
    /// Whether the directory was read from Postgres, and not from disk.
    pub read_whole: bool,
}

/// Brings schema, clock and directory up to date; without Postgres the directory on disk has to do.
async fn prepare(store: &Store, place: &Place, clock: &Clock) -> Result<Ready, CommandError> {
    let (mut file, now) = (DirectoryFile::new(place.clone()), Timestamp::now());
    let with_postgres = async {
        if let Some(standing) = store.standing().await?
            && let Some(directory) = as_kept(place, &standing, now)
        {
            clock.set_ahead_seconds(standing.clock_ahead.as_secs());
            return Ok((directory, false));
        }
        store.migrate().await?;
        let (ready, directory) = tokio::join!(follow_time(store, clock), store.load_directory());
        ready?;
        Ok::<_, CommandError>((directory?, true))
    };
    let failure = match with_postgres.await {
        Ok((directory, read_whole)) => {
            place.freshness().note(now);
            if read_whole && let Err(error) = file.keep(&directory, now) {
                tracing::warn!(%error, "the directory cannot be kept on disk");
            }
            return Ok(Ready { directory: InForce { directory, file }, with_database: true, read_whole });
        }
        Err(failure) => failure,
    };
    let error = logs::chain(failure.as_ref());
    match directory_file::read(place, now) {
        Ok(Some(Kept { directory, at, .. })) => {
            tracing::warn!(
                error,
                version = directory.version,
                age_seconds = place.freshness().age(now),
                newest_at = %at,
                "starting without Postgres, from the last directory on disk"
            );
            Ok(Ready { directory: InForce { directory, file }, with_database: false, read_whole: false })
        }
        Ok(None) => Err(failure),
        Err(unbelievable) => Err(format!("{unbelievable}; and Postgres does not answer: {error}").into()),
    }
}

/// The directory on disk, where Postgres says that no other is newer, and that it has not come to this version by another way since.
fn as_kept(place: &Place, standing: &Standing, now: Timestamp) -> Option<Directory> {
    let kept = directory_file::read(place, now).ok().flatten()?;
    let is_newest = (kept.directory.version, kept.directory.edition) == standing.directory;
    (kept.by_this_program && is_newest).then_some(kept.directory)
}

/// Schema and clock.
async fn bring_up_to_date(store: &Store, clock: &Clock) -> Result<(), CommandError> {
    store.migrate().await?;
    follow_time(store, clock).await
}

/// The clock, and the partitions of its day.
async fn follow_time(store: &Store, clock: &Clock) -> Result<(), CommandError> {
    follow_clock::run(store.clone(), clock.clone()).await?;
    store.make_partitions(clock.now(), 1).await?;
    Ok(())
}

fn app_state(
    config: &Config,
    store: Store,
    secrets: Arc<Secrets>,
    clock: Clock,
    gateway_address: String,
) -> Result<AppState, CommandError> {
    let signing_key = secrets.try_signing_key();
    let access = |account: &config::Stripe| {
        let stripe = background::stripe(account)?;
        Ok::<_, CommandError>(StripeAccess { stripe, pages: account.pages.clone() })
    };
    Ok(AppState {
        store,
        secrets,
        settings: Arc::new(settings(config, gateway_address)),
        clock,
        // Where invoices go elsewhere, nobody leaves a card.
        stripe: config
            .stripe
            .as_ref()
            .filter(|_| config.invoice_sink == InvoiceSink::Stripe)
            .map(access)
            .transpose()?,
        mint_try_credential: Arc::new(move |key, member, expires_at| {
            try_credential::mint(&signing_key, &try_credential::Claims { key, member, expires_at })
        }),
    })
}

/// What pages and mails say about the installation.
pub fn settings(config: &Config, gateway_address: String) -> Settings {
    Settings {
        provider_name: config.listen.provider_name.clone(),
        provider_address: config.listen.provider_address.clone(),
        portal_url: config.listen.portal_url.clone(),
        gateway_url: config.listen.gateway_url.clone(),
        gateway_address,
        development: config.development,
        mail_is_sent: config.mail.smtp.is_some(),
        stripe_is_on: config.invoice_sink == InvoiceSink::Stripe,
        has_stripe_account: config.stripe.is_some(),
        invoice_sink: config.invoice_sink,
        four_eyes: config.four_eyes,
        closing_grace: config.closing_grace,
        hooks_may_be_private: config.hook_reach >= gateway::Reach::Private,
    }
}

#[cfg(test)]
mod tests;
