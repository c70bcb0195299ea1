//! What serves calls: the gateway, and what it needs of this process. A portal by itself has none of it.

use super::{Ready, data_plane, descriptors::Shares, directory_file::Place, memory::Room, prepare, signals::HangUp};
use crate::{
    cli::CommandError,
    config::{self, Config},
    data_dir::DataDir,
    idempotency::Keys,
    leases::PostgresExchange,
    priority,
    serve::certificates,
    tasks::{
        Nudge, Stop, Tasks,
        board::Board,
        follow_directory::{self, Follower},
        keep_keys, purge_caches,
        ship_spool::{self, Shipper},
        tell_tallies,
        tend_leases::{self, Tender},
        watch_spool::{self, Watch},
    },
    watch,
};
use app::{secrets::Secrets, state::Clock};
use gateway::{Directory, Gateway, GatewayConfig, Leases, Running, Tallies};
use spool::Home;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use store::Store;
use tokio::time::sleep;

/// How long the last look at the spool may take, and giving units back.
pub const LAST_SHIPMENT: Duration = Duration::from_secs(1);

/// Between two tries of what a quick start left for later.
const MAKE_UP_AGAIN: Duration = Duration::from_secs(60);

/// A gateway that serves, and what is to be looked after beside it.
pub struct Calls {
    pub gateway: Running,
    /// The node's name.
    pub node: String,
    pub directory: Directory,
    /// Where the directory is kept on disk.
    pub place: Place,
    tender: Tender,
    watch: Watch,
    keys: Keys,
    certificates: Option<certificates::Files>,
    exporter: Option<watch::Exporter>,
    ready: Ready,
    tallies: Tallies,
}

/// What the tasks of a gateway are made of.
pub struct House<'a> {
    pub config: &'a Config,
    pub store: &'a Store,
    pub data: &'a DataDir,
    pub secrets: &'a Arc<Secrets>,
    pub clock: &'a Clock,
    pub board: &'a Board,
}

impl Calls {
    /// Brings the directory up to date, opens the gateway's port, and begins to ship the spool, as one of `last_tasks`.
    pub async fn start(
        house: &House<'_>,
        (shares, room): (&Shares, &Room),
        last_tasks: &mut Tasks,
        last: Stop,
    ) -> Result<Self, CommandError> {
        let House { config, store, data, secrets, clock, board } = *house;
        // Before anything is done in this node's name: another process may be alive under it.
        let home = Arc::new(Home::open(data.spool())?);
        let node = home.node().to_owned();
        let place = Place::new(data.clone(), secrets.clone(), config.gateway.directory_max_age);
        let begun = Instant::now();
        let ready = prepare(store, &place, clock).await?;
        let prepared = Instant::now();
        let keep = data_plane::keep(&config.gateway);
        let shipper = Shipper::new(store.clone(), clock.clone(), data.spool(), node.clone(), keep);
        let progress = shipper.progress();
        let watch = Watch::new(data.spool(), clock.clone(), progress.clone(), keep);

        let exchange = PostgresExchange::new(store.clone(), node.as_str(), config.gateway.leases);
        let leases = Leases::new(Arc::new(exchange));
        let tender = Tender {
            store: store.clone(),
            clock: clock.clone(),
            leases: leases.clone(),
            node: node.as_str().into(),
            started_at: clock.now(),
            progress: progress.clone(),
        };
        let directory = gateway::directory(data_plane::compile(&ready.directory.directory, secrets));
        let certificates = config.gateway.tls.clone().map(certificates::Files::open).transpose()?;
        let (watcher, exporter) = watch::start(&config.watch);
        let keys = Keys::new(store.clone(), secrets.clone(), node.clone(), config.database.connections);
        let tallies = Tallies::default();
        if ready.with_database {
            leases.expect();
        }
        let gateway = Gateway::start(
            GatewayConfig {
                tallies: tallies.clone(),
                watcher,
                idempotency: Some(Arc::new(keys.clone())),
                tls: certificates.as_ref().map(certificates::Files::listener),
                upstream_authorities: data_plane::authorities(config)?,
                connections_per_core: shares.clients,
                upstream_connections_per_core: shares.upstreams,
                max_calls: config.gateway.max_calls.min(room.calls),
                home: Some(home),
                ..data_plane::configure(config, data, secrets)
            },
            directory.clone(),
            leases,
            Arc::new(data_plane::clock(clock.clone())),
        )?;
        tracing::info!(
            directory_ms = (prepared - begun).as_millis(),
            from_disk = !ready.read_whole,
            port_ms = prepared.elapsed().as_millis(),
            "the gateway's port is open"
        );
        last_tasks.spawn(ship_spool::run(shipper, board.clone(), last, LAST_SHIPMENT));
        Ok(Self { gateway, node, directory, place, tender, watch, keys, certificates, exporter, ready, tallies })
    }

    /// Starts what runs beside the gateway. Those of `last_tasks` end later than the others, when the gateway has recorded
    /// its last call. Says what SIGHUP means from here on.
    pub fn look_after(
        self,
        house: &House<'_>,
        tasks: &mut Tasks,
        stop: &Stop,
        last_tasks: &mut Tasks,
        last: Stop,
    ) -> Result<(Ending, HangUp), CommandError> {
        let House { config, store, secrets, clock, board, .. } = *house;
        let Self { gateway, node, directory, place, tender, watch, keys, certificates, exporter, ready, tallies } =
            self;
        let whole_period = follow_directory::WHOLE_PERIOD;
        // What comes from disk is not trusted for longer than has to be.
        let whole_in = if ready.read_whole { whole_period } else { Duration::ZERO };
        let follower = Follower {
            store: store.clone(),
            place,
            secrets: secrets.clone(),
            gateway: directory,
            in_force: Some(ready.directory),
            migrated: ready.with_database,
            whole_period,
            whole_due: Instant::now() + whole_in,
        };
        tasks.spawn(follow_directory::run(follower, board.clone(), stop.clone()));
        if let Some(exporter) = exporter {
            last_tasks.spawn(exporter.run(last.clone()));
        }
        tasks.every(watch_spool::NAME, watch_spool::PERIOD, Nudge::default(), move || watch.clone().run());

        let tend = tender.clone();
        tasks.every(tend_leases::NAME, tend_leases::PERIOD, Nudge::default(), move || {
            let tend = tend.clone();
            async move {
                let tended = tend.tend().await;
                // From here on no call waits for what a start does.
                priority::stand_behind();
                tended
            }
        });
        if ready.with_database && !ready.read_whole {
            tasks.spawn(make_up_for_a_quick_start(store.clone(), clock.clone(), stop.clone()));
        }
        let (most, swept) = (config.gateway.idempotency_max_bytes, keys.clone());
        let sweep = move || keep_keys::sweep(swept.clone(), most);
        tasks.every(keep_keys::SWEEP, keep_keys::SWEEP_PERIOD, Nudge::default(), sweep);
        let told = keys.clone();
        tasks.every(keep_keys::TELL, keep_keys::TELL_PERIOD, Nudge::default(), move || keep_keys::tell(told.clone()));
        let (of, at, telling, name) = (store.clone(), clock.clone(), tallies.clone(), node.clone());
        tasks.every(tell_tallies::NAME, tell_tallies::PERIOD, Nudge::default(), move || {
            tell_tallies::run(of.clone(), at.clone(), telling.clone(), name.clone())
        });
        let (of, at, mut end) = (store.clone(), clock.clone(), last.clone());
        last_tasks.spawn(async move {
            end.requested().await;
            tell_tallies::finish(of, at, tallies, node, LAST_SHIPMENT).await;
        });
        let purges = purge_caches::Purges::new(store.clone(), gateway.purger());
        tasks.every(purge_caches::NAME, purge_caches::PERIOD, Nudge::default(), move || purges.clone().run());

        let hang_up = match certificates {
            Some(files) => certificates::watch(files, tasks)?,
            None => HangUp::Ends,
        };
        Ok((Ending { gateway, tender, keys }, hang_up))
    }
}

/// What a start leaves out that finds nothing changed. Usage of a day without a partition has a place all the same.
/// What is under way at the end is given up: the next start does it.
pub(super) async fn make_up_for_a_quick_start(store: Store, clock: Clock, mut stop: Stop) {
    let make_up = async {
        loop {
            let done = async {
                store.make_partitions(clock.now(), 1).await?;
                store.warn_of_rights().await
            };
            let Err(error) = done.await else { return };
            tracing::warn!(%error, "partitions and rights are looked at again");
            sleep(MAKE_UP_AGAIN).await;
        }
    };
    tokio::select! {
        () = make_up => {}
        () = stop.requested() => {}
    }
}

/// What has to be ended in its order.
pub struct Ending {
    gateway: Running,
    tender: Tender,
    keys: Keys,
}

impl Ending {
    /// Tells clients to go elsewhere, lets calls in flight end, and hands over what gives units back and ends keys, after the
    /// last call.
    pub async fn drain(self, config: &config::Gateway) -> (Tender, Keys) {
        self.gateway.leave();
        sleep(Duration::from_secs(config.drain_notice)).await;
        let cut_off = self.gateway.shutdown(Duration::from_secs(config.drain)).await;
        if cut_off > 0 {
            tracing::warn!(connections = cut_off, "calls took too long and were cut off");
        }
        (self.tender, self.keys)
    }
}
