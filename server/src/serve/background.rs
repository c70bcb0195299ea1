//! Which tasks run beside the portal, and what each is given.

use super::invoice_sink::{self, Noted};
use crate::{
    cli::CommandError,
    config::{self, Config},
    hooks::{Client, PATIENCE, Sender, documents::Courier},
    tasks::{
        Nudge, Tasks, allot_credit, apply_webhooks, board::Board, change_plans, close_journal, close_periods,
        compare_with_stripe, drop_old_usage, dun_partners, follow_clock, make_partitions, make_usage_days, move_plans,
        push_to_stripe, reconcile_usage, send_documents, send_hooks, send_mail, settle_credit, sweep_sessions,
        top_up_credit,
    },
};
use app::state::{AppState, Clock, InvoiceSink};
use billing::{
    PushSettings,
    stripe::{SecretKey, Stripe, StripeSettings},
};
use std::time::Duration;
use store::Store;

/// What can be asked to run sooner.
#[derive(Default)]
pub struct Nudges {
    pub push_to_stripe: Nudge,
    pub apply_webhooks: Nudge,
}

/// What the tasks are made of.
pub struct Background<'a> {
    pub config: &'a Config,
    pub state: &'a AppState,
    pub board: &'a Board,
}

impl Background<'_> {
    /// The test clock, which every process of a development install follows.
    pub fn follow_clock(&self, tasks: &mut Tasks) {
        if self.state.settings.development {
            let follow = with(self.state, follow_clock::run);
            tasks.every(follow_clock::NAME, follow_clock::PERIOD, Nudge::default(), follow);
        }
    }

    /// What is done once for the whole installation, by whoever has the portal.
    pub fn start(&self, tasks: &mut Tasks) -> Result<Nudges, CommandError> {
        let Self { config, state, board } = *self;
        let partitions = with(state, make_partitions::run);
        tasks.every(make_partitions::NAME, make_partitions::PERIOD, Nudge::default(), partitions);
        let days = with(state, make_usage_days::run);
        tasks.every(make_usage_days::NAME, make_usage_days::PERIOD, Nudge::default(), days);
        let kept = config.kept;
        let drop = with(state, move |store, clock| drop_old_usage::run(store, clock, kept));
        tasks.every(drop_old_usage::NAME, drop_old_usage::PERIOD, Nudge::default(), drop);
        let sweep = with(state, sweep_sessions::run);
        tasks.every(sweep_sessions::NAME, sweep_sessions::PERIOD, Nudge::default(), sweep);
        if let Some(smtp) = &config.mail.smtp {
            let sender = send_mail::Sender::new(&config.mail.from, smtp)?;
            let send = with(state, move |store, clock| send_mail::run(store, clock, sender.clone()));
            tasks.every(send_mail::NAME, send_mail::PERIOD, Nudge::default(), send);
        }

        let sender = Sender {
            store: state.store.clone(),
            secrets: state.secrets.clone(),
            clock: state.clock.clone(),
            client: Client::new(config.hook_reach, PATIENCE)?,
        };
        let forgetting = sender.clone();
        let measured = send_hooks::Measured::default();
        tasks.every(send_hooks::NAME, send_hooks::PERIOD, Nudge::default(), move || {
            send_hooks::run(sender.clone(), measured.clone())
        });
        tasks.every(send_hooks::FORGET, send_hooks::FORGET_PERIOD, Nudge::default(), move || {
            send_hooks::forget(forgetting.clone())
        });

        let days = reconcile_usage::Days::default();
        let compare = with(state, move |store, clock| reconcile_usage::run(store, clock, days.clone()));
        tasks.every(reconcile_usage::NAME, reconcile_usage::PERIOD, Nudge::default(), compare);

        let settings = state.settings.clone();
        let change = with(state, move |store, clock| change_plans::run(store, clock, settings.clone()));
        tasks.every(change_plans::NAME, change_plans::PERIOD, Nudge::default(), change);
        let settings = state.settings.clone();
        let move_plans = with(state, move |store, clock| move_plans::run(store, clock, settings.clone()));
        let period = if state.settings.development { Duration::from_millis(500) } else { move_plans::PERIOD };
        tasks.every(move_plans::NAME, period, Nudge::default(), move_plans);
        let (settings, notice) = (state.settings.clone(), config.credit_notice_days);
        let settle = with(state, move |store, clock| settle_credit::run(store, clock, settings.clone(), notice));
        tasks.every(settle_credit::NAME, settle_credit::PERIOD, Nudge::default(), settle);
        let patience = close_periods::Patience::new(config.closing_grace, config.gateway.directory_max_age);
        let allot = with(state, move |store, clock| allot_credit::run(store, clock, patience));
        tasks.every(allot_credit::NAME, allot_credit::PERIOD, Nudge::default(), allot);
        let settings = state.settings.clone();
        let top_up = with(state, move |store, clock| top_up_credit::run(store, clock, settings.clone()));
        tasks.every(top_up_credit::NAME, top_up_credit::PERIOD, Nudge::default(), top_up);

        let settings = state.settings.clone();
        let dun = with(state, move |store, clock| dun_partners::run(store, clock, settings.clone()));
        let period = if state.settings.development { Duration::from_secs(1) } else { dun_partners::PERIOD };
        tasks.every(dun_partners::NAME, period, Nudge::default(), dun);

        let journal = with(state, close_journal::run);
        let period = if state.settings.development { Duration::from_secs(1) } else { close_journal::PERIOD };
        tasks.every(close_journal::NAME, period, Nudge::default(), journal);

        let nudges = Nudges::default();
        let push = nudges.push_to_stripe.clone();
        let told = board.clone();
        let close =
            with(state, move |store, clock| close_periods::run(store, clock, patience, push.clone(), told.clone()));
        let period = if state.settings.development { Duration::from_millis(500) } else { close_periods::PERIOD };
        tasks.every_at_leisure(close_periods::NAME, period, close_periods::LONGEST, Nudge::default(), close);
        let sink = Noted::new(config, state.store.clone(), state.clock.clone());
        let note = {
            let sink = sink.clone();
            move || {
                let sink = sink.clone();
                async move { sink.ensure().await }
            }
        };
        tasks.every(invoice_sink::NAME, invoice_sink::PERIOD, Nudge::default(), note);
        if let Some(receiver) = &config.invoice_webhook {
            let courier = Courier {
                store: state.store.clone(),
                clock: state.clock.clone(),
                client: Client::new(config.hook_reach, PATIENCE)?,
                receiver: receiver.clone(),
            };
            let noted = sink.clone();
            let send = move || {
                let (noted, courier) = (noted.clone(), courier.clone());
                async move {
                    noted.ensure().await?;
                    send_documents::run(courier).await
                }
            };
            tasks.every(send_documents::NAME, send_documents::PERIOD, nudges.push_to_stripe.clone(), send);
        }
        if let Some(account) = &config.stripe {
            let stripe = stripe(account)?;
            let takes_new = config.invoice_sink == InvoiceSink::Stripe;
            let how = PushSettings {
                meters_open: account.meters_open,
                takes_new,
                stream_from: account.stream_from,
                makes_subscriptions: account.makes_subscriptions,
                ..PushSettings::default()
            };
            let push = with(state, {
                let (stripe, settings) = (stripe.clone(), state.settings.clone());
                move |store, clock| {
                    let (noted, stripe, settings) = (sink.clone(), stripe.clone(), settings.clone());
                    async move {
                        noted.ensure().await?;
                        push_to_stripe::run(store, clock, stripe, (how, settings)).await
                    }
                }
            });
            let sooner = if takes_new { nudges.push_to_stripe.clone() } else { Nudge::default() };
            tasks.every(push_to_stripe::NAME, push_to_stripe::PERIOD, sooner, push);
            let comparing = compare_with_stripe::Comparing { every: account.compare_every, takes_new };
            let compare = with(state, {
                let (stripe, failed) = (stripe.clone(), compare_with_stripe::Failed::default());
                move |store, clock| compare_with_stripe::run(store, clock, stripe.clone(), comparing, failed.clone())
            });
            tasks.every(compare_with_stripe::NAME, compare_with_stripe::PERIOD, Nudge::default(), compare);
            let settings = state.settings.clone();
            let apply =
                with(state, move |store, clock| apply_webhooks::run(store, clock, stripe.clone(), settings.clone()));
            tasks.every(apply_webhooks::NAME, apply_webhooks::PERIOD, nudges.apply_webhooks.clone(), apply);
        }
        Ok(nudges)
    }
}

/// A handle on the account.
pub fn stripe(account: &config::Stripe) -> Result<Stripe, CommandError> {
    let key = SecretKey::new(account.key.expose());
    let settings =
        StripeSettings { base_url: account.url.clone(), timeout: account.timeout, ..StripeSettings::new(key) };
    Ok(Stripe::new(settings)?.with_tax(account.tax))
}

/// Gives each run its own handles.
fn with<Running, Run>(state: &AppState, run: Run) -> impl Fn() -> Running + use<Running, Run>
where
    Run: Fn(Store, Clock) -> Running,
{
    let (store, clock) = (state.store.clone(), state.clock.clone());
    move || run(store.clone(), clock.clone())
}

#[cfg(test)]
mod tests;
