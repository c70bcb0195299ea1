//! Which tasks run, and what each is given.

use crate::{
    cli::CommandError,
    config::Config,
    data_dir::DataDir,
    tasks::{
        Nudge, Stop, Tasks,
        board::Board,
        follow_clock,
        follow_directory::{self, Follower},
        make_partitions, send_mail, ship_spool, sweep_sessions,
    },
};
use app::state::AppState;
use gateway::{Directory, InProcess};
use std::sync::Arc;

use super::{LAST_SHIPMENT, Ready};

/// What the tasks are made of.
pub struct Background<'a> {
    pub config: &'a Config,
    pub state: &'a AppState,
    pub data: &'a DataDir,
    pub directory: &'a Directory,
    pub allowance: &'a Arc<InProcess>,
    pub board: &'a Board,
}

impl Background<'_> {
    /// Starts them. The shipper ends later than the others, when the gateway has recorded its last call.
    pub fn start(
        self,
        tasks: &mut Tasks,
        stop: &Stop,
        last_tasks: &mut Tasks,
        last: Stop,
        ready: Ready,
    ) -> Result<(), CommandError> {
        let Self { config, state, data, directory, allowance, board } = self;
        let (store, clock) = (state.store.clone(), state.clock.clone());

        let follower = Follower {
            store: store.clone(),
            data: data.clone(),
            clock: clock.clone(),
            secrets: state.secrets.clone(),
            gateway: directory.clone(),
            allowance: allowance.clone(),
            in_force: Arc::new(ready.directory),
            seeded: ready.with_database,
        };
        tasks.spawn(follow_directory::run(follower, board.clone(), stop.clone()));
        last_tasks.spawn(ship_spool::run(ready.shipper, board.clone(), last, LAST_SHIPMENT));

        let run = {
            let (store, clock) = (store.clone(), clock.clone());
            move || follow_clock::run(store.clone(), clock.clone())
        };
        if state.settings.development {
            tasks.every(follow_clock::NAME, follow_clock::PERIOD, Nudge::default(), run);
        }
        let run = {
            let (store, clock) = (store.clone(), clock.clone());
            move || make_partitions::run(store.clone(), clock.clone())
        };
        tasks.every(make_partitions::NAME, make_partitions::PERIOD, Nudge::default(), run);
        let run = {
            let (store, clock) = (store.clone(), clock.clone());
            move || sweep_sessions::run(store.clone(), clock.clone())
        };
        tasks.every(sweep_sessions::NAME, sweep_sessions::PERIOD, Nudge::default(), run);
        if let Some(smtp) = &config.mail.smtp {
            let sender = send_mail::Sender::new(&config.mail.from, smtp)?;
            let run = move || send_mail::run(store.clone(), clock.clone(), sender.clone());
            tasks.every(send_mail::NAME, send_mail::PERIOD, Nudge::default(), run);
        }
        Ok(())
    }
}
