//! `turnpike serve`: everything in one process, started in this order and stopped in the reverse.
//!
//! 1. the data directory and its secrets; 2. the ports, so that a taken one is told before anything is started;
//! 3. Postgres and the schema; 4. the directory, from Postgres or else from disk, and what the spool still held;
//! 5. the gateway; 6. the background tasks; 7. the portal and the REST API.
//!
//! At the end nothing new is taken, calls in flight end, the spool is shipped, and Postgres stops last.

mod admin;
mod background;
mod certificates;
pub mod data_plane;
mod descriptors;
pub mod directory_file;
mod front;
mod listener;
mod memory;
mod signals;

use crate::{
    cli::CommandError,
    config::{Config, Role},
    data_dir::DataDir,
    database::Database,
    idempotency::Keys,
    leases::PostgresExchange,
    logs,
    portal::site::Site,
    tasks::{
        Nudge, StopSwitch, Tasks, board::Board, follow_clock, keep_keys, purge_caches, ship_spool::Shipper, tend_leases,
    },
    watch, webhooks,
};
use admin::Admin;
use app::{
    secrets::Secrets,
    state::{AppState, Clock, Settings},
};
use domain::directory::Directory;
use gateway::{Gateway, GatewayConfig, Leases, try_credential};
use metrics_exporter_prometheus::PrometheusHandle;
use std::{
    future::ready,
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};
use store::Store;
use tokio::net::TcpListener;

/// How long calls and requests in flight may take at the end.
const DRAIN: Duration = Duration::from_millis(2_500);
/// How often measured durations are put into their buckets.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);
/// How long the last look at the spool may take.
const LAST_SHIPMENT: Duration = Duration::from_secs(1);

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
        Role::All => Some((Site::open(&site_dir(&config)?)?, listener::bind("portal", config.listen.portal).await?)),
        Role::Gateway => None,
    };
    let admin = listener::bind("admin listener", config.listen.admin).await?;
    // The gateway opens its port once for each core, in a way that would share it with another program; so ask first.
    drop(listener::bind("gateway", config.listen.gateway).await?);
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
    let node = spool::node(&data.spool())?;
    let shipper = Shipper::new(store.clone(), clock.clone(), data.spool(), node.clone());
    let prepared = prepare(&store, &data, &clock, shipper).await?;

    let exchange = PostgresExchange::new(store.clone(), node.as_str(), config.gateway.leases);
    let leases = Leases::new(Arc::new(exchange));
    let tender = tend_leases::Tender {
        store: store.clone(),
        clock: clock.clone(),
        leases: leases.clone(),
        node: node.as_str().into(),
        started_at: clock.now(),
        caught_up: prepared.shipper.caught_up(),
    };
    if prepared.with_database {
        tender.tend().await?;
    }
    let directory = gateway::directory(data_plane::compile(&prepared.directory, &secrets));
    let certificates = config.gateway.tls.clone().map(certificates::Files::open).transpose()?;
    let (watcher, exporter) = watch::start(&config.watch);
    let keys = Keys::new(store.clone(), secrets.clone(), node.clone(), config.database.connections);
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
    let gateway = Gateway::start(
        GatewayConfig {
            watcher,
            idempotency: Some(Arc::new(keys.clone())),
            tls: certificates.as_ref().map(certificates::Files::listener),
            upstream_authorities: data_plane::authorities(&config)?,
            connections_per_core: shares.clients,
            upstream_connections_per_core: shares.upstreams,
            max_calls: config.gateway.max_calls.min(room.calls),
            ..data_plane::configure(&config, &data, &secrets)
        },
        directory.clone(),
        leases.clone(),
        Arc::new(data_plane::clock(clock.clone())),
    )?;

    let state = app_state(&config, store.clone(), secrets.clone(), clock.clone(), gateway.address());
    let (switch, stop) = StopSwitch::new();
    let (last_switch, last) = StopSwitch::new();
    let board = Board::default();
    let mut tasks = Tasks::new(stop.clone(), board.clone());
    let mut last_tasks = Tasks::new(last.clone(), board.clone());
    if let Some(exporter) = exporter {
        last_tasks.spawn(exporter.run(last.clone()));
    }
    let background = background::Background {
        config: &config,
        state: &state,
        data: &data,
        directory: &directory,
        tender: &tender,
        board: &board,
    };
    let (most, swept, told) = (config.gateway.idempotency_max_bytes, keys.clone(), keys.clone());
    let sweep = move || keep_keys::sweep(swept.clone(), most);
    tasks.every(keep_keys::SWEEP, keep_keys::SWEEP_PERIOD, Nudge::default(), sweep);
    tasks.every(keep_keys::TELL, keep_keys::TELL_PERIOD, Nudge::default(), move || keep_keys::tell(told.clone()));
    let nudges = background.start(&mut tasks, &stop, &mut last_tasks, last, prepared)?;

    let hang_up = match certificates {
        Some(files) => certificates::watch(files, &mut tasks)?,
        None => signals::HangUp::Ends,
    };
    let purges = purge_caches::Purges::new(state.store.clone(), gateway.purger());
    tasks.every(purge_caches::NAME, purge_caches::PERIOD, Nudge::default(), move || purges.clone().run());
    let upkeep = metrics.clone();
    tasks.every("tend_metrics", METRICS_UPKEEP, Nudge::default(), move || {
        upkeep.run_upkeep();
        ready(Ok(()))
    });
    let shown = directory.clone();
    let admin_router = admin::router(Admin {
        metrics,
        board,
        store: store.clone(),
        clock,
        node: node.into(),
        directory_version: Arc::new(move || shown.load().version()),
    });
    if let Some((site, portal)) = front {
        let webhook_secret = config.stripe.as_ref().and_then(|stripe| stripe.webhook_secret.as_ref());
        let webhooks = webhooks::Receiver {
            store,
            clock: state.clock.clone(),
            secrets: webhook_secret.into_iter().map(|secret| secret.expose().to_owned()).collect(),
            development: config.development,
            apply: nudges.apply_webhooks,
        };
        let router = front::router(state, site, webhooks);
        tasks.spawn(listener::serve(portal, router, shares.portal, stop.clone()));
    }
    tasks.spawn(listener::serve(admin, admin_router, shares.admin, stop));

    let settings = &config.listen;
    tracing::info!(
        portal = settings.portal_url,
        gateway = settings.gateway_url,
        admin = %settings.admin,
        took_ms = started.elapsed().as_millis(),
        "ready"
    );
    signals::end(hang_up).await?;
    tracing::info!("stopping: calls in flight end, usage is stored");
    let deadline = tokio::time::Instant::now() + DRAIN;
    switch.stop();
    tokio::join!(tasks.finish(deadline), gateway.shutdown(DRAIN));
    last_switch.stop();
    let shipped = last_tasks.finish(tokio::time::Instant::now() + LAST_SHIPMENT + Duration::from_millis(200));
    tokio::join!(shipped, tender.finish(LAST_SHIPMENT), keys.finish(LAST_SHIPMENT));
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// What the gateway starts from.
pub struct Ready {
    pub directory: Directory,
    pub shipper: Shipper,
    /// Whether Postgres was there, so that quotas know what was used.
    pub with_database: bool,
}

/// Brings schema, clock, spool and directory up to date; without Postgres the directory on disk has to do.
async fn prepare(store: &Store, data: &DataDir, clock: &Clock, mut shipper: Shipper) -> Result<Ready, CommandError> {
    let with_postgres = async {
        store.migrate().await?;
        follow_clock::run(store.clone(), clock.clone()).await?;
        store.make_partitions(clock.now(), 1).await?;
        shipper.ship().await?;
        Ok::<_, CommandError>(store.load_directory().await?)
    };
    let failure = match with_postgres.await {
        Ok(directory) => {
            if let Err(error) = directory_file::keep(data, &directory) {
                tracing::warn!(%error, "the directory cannot be kept on disk");
            }
            return Ok(Ready { directory, shipper, with_database: true });
        }
        Err(failure) => failure,
    };
    match directory_file::read(data) {
        Some(directory) => {
            let error = logs::chain(failure.as_ref());
            tracing::warn!(
                error,
                version = directory.version,
                "starting without Postgres, from the last directory on disk"
            );
            Ok(Ready { directory, shipper, with_database: false })
        }
        None => Err(failure),
    }
}

fn app_state(
    config: &Config,
    store: Store,
    secrets: Arc<Secrets>,
    clock: Clock,
    gateway_address: SocketAddr,
) -> AppState {
    let signing_key = secrets.try_signing_key();
    AppState {
        store,
        secrets,
        settings: Arc::new(settings(config, gateway_address)),
        clock,
        mint_try_credential: Arc::new(move |key, member, expires_at| {
            try_credential::mint(&signing_key, &try_credential::Claims { key, member, expires_at })
        }),
    }
}

/// What pages and mails say about the installation.
pub fn settings(config: &Config, gateway_address: SocketAddr) -> Settings {
    Settings {
        provider_name: config.listen.provider_name.clone(),
        portal_url: config.listen.portal_url.clone(),
        gateway_url: config.listen.gateway_url.clone(),
        gateway_address,
        development: config.development,
        mail_is_sent: config.mail.smtp.is_some(),
        stripe_is_on: config.stripe.is_some(),
    }
}
