//! Changes of plan: a preview, a commit that equals it, and the changes that wait for the end of a period.
//!
//! A preview's figures depend on the two plans and an instant alone (`domain::plan_change`). The commit carries that instant and a
//! digest of all that was shown; it is made anew and has to be the same, to the digest, and the store holds what it was made of still
//! while it writes. So a partner gets what it saw, or nothing and a new preview.

use crate::{BillingError, moves::resume_move, project, shown};
use domain::{
    id::{PartnerId, PlanChangeId},
    money::Money,
    plan::Approval,
    plan_change::{ChangeError, Direction, Preview, When},
    role::MemberRole,
};
use jiff::Timestamp;
use store::{
    Actor, ChangeGround, ChangeTarget, Member, NewMail, Ordered, OrderedBy, PlanOrder, PutInForce, ScheduledChange,
    Store, StoreError, Subscription, Wish,
};

/// What somebody wants, and on whose behalf.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub wish: Wish,
    /// Only operators may want another time than the usual one.
    pub when: When,
    pub by: OrderedBy,
}

/// A change as it is shown before it is made.
#[derive(Debug, Clone)]
pub struct Proposal {
    pub preview: Preview,
    pub from: Option<Subscription>,
    pub to: Option<ChangeTarget>,
    /// A change that waits, and that this one takes the place of.
    pub replaces: Option<ScheduledChange>,
    /// Whether an operator has to say yes first; the figures are those of now.
    pub needs_approval: bool,
    /// The partner's time zone.
    pub time_zone: String,
    /// What the part that ends has cost until now, usage included; it grows with usage.
    pub so_far: Option<Money>,
    /// What the commit carries.
    pub token: String,
}

/// Why a change was not previewed or not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeRefused {
    /// What was shown no longer holds, in words; look again.
    #[error("{0}")]
    Moved(&'static str),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Billing(#[from] BillingError),
}

impl From<ChangeError> for ChangeRefused {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Money(error) => Self::Billing(error.into()),
            ChangeError::Period(error) => Self::Billing(error.into()),
            ChangeError::Nothing => Self::Store(StoreError::conflict("plan", "There is no plan to end")),
        }
    }
}

/// What partners hear of a change.
#[derive(Debug, Clone)]
pub enum News {
    /// It is in force.
    Changed { from: Option<String>, to: Option<String>, at: Timestamp },
    /// It waits for the end of the period.
    Scheduled { from: String, to: Option<String>, at: Timestamp, by: OrderedBy },
    /// It was taken back.
    Kept { plan: String },
    /// A trial ends; `then` says what the plan costs from then on, and `is_left` that it ends or changes by itself.
    TrialEnds { plan: String, at: Timestamp, then: String, is_left: bool },
    /// The provider moves everybody off the plan; `why` may be empty.
    Moved { from: String, to: String, at: Timestamp, why: String },
    /// It could not be made.
    Failed { from: String, to: Option<String>, problem: String },
}

/// Who hears it.
#[derive(Debug, Clone)]
pub struct Recipient {
    pub email: String,
    pub name: String,
    /// IANA name.
    pub time_zone: String,
}

/// Writes a letter to somebody.
pub type Letters<'a> = &'a (dyn Fn(&Recipient, &News) -> NewMail + Sync);

/// What a change of the partner's plan at `now` means. Nothing is changed.
pub async fn preview_change(
    store: &Store,
    partner: PartnerId,
    wanted: Wanted,
    now: Timestamp,
) -> Result<Proposal, ChangeRefused> {
    let mut proposal = propose(store, partner, wanted, now).await?;
    if proposal.from.is_some() {
        let bill = project(store, partner, now).await?;
        proposal.so_far = bill.map(|bill| if proposal.preview.at_once { bill.ended_now } else { bill.so_far }.total);
    }
    Ok(proposal)
}

/// Makes the change that `token` was shown for, from the instant on at which it was shown. An end at once counts from `now`: calls that
/// were served since it was shown are on the last invoice.
pub async fn order_change(
    store: &Store,
    partner: PartnerId,
    wanted: Wanted,
    token: &str,
    letters: Letters<'_>,
    actor: Actor,
    now: Timestamp,
) -> Result<(Ordered, Proposal), ChangeRefused> {
    let mut proposal = as_shown(store, partner, wanted, token, now).await?;
    if proposal.preview.at_once && proposal.to.is_none() {
        proposal.preview.effective_at = shown::exact(now);
    }
    let preview = &proposal.preview;
    // A period that ended since was not the one that was shown.
    if !preview.at_once && preview.effective_at <= now {
        return Err(ChangeRefused::Moved(
            "The period ended meanwhile. Look at what the change means now, and confirm again",
        ));
    }
    let (from, to) = (
        proposal.from.as_ref().map(|own| own.plan_name.clone()),
        proposal.to.as_ref().map(|target| target.name.clone()),
    );
    let news = match preview.at_once {
        true => News::Changed { from, to, at: preview.effective_at },
        false => News::Scheduled { from: from.unwrap_or_default(), to, at: preview.effective_at, by: wanted.by },
    };
    let mails = if proposal.needs_approval { Vec::new() } else { mails(store, partner, &news, letters).await? };
    let order = PlanOrder {
        by: wanted.by,
        from: proposal.from.as_ref().map(|own| own.id),
        replaces: proposal.replaces.as_ref().map(|change| change.id),
        to: proposal.to.as_ref().map(|target| target.version_id),
        at_once: preview.at_once,
        effective_at: preview.effective_at,
        cycle: preview.cycle.clone(),
        counts_from: preview.counts_from,
        quota: preview.quota_first,
        kept_until: preview.kept_until,
        mails,
    };
    let ordered = store.order_plan(partner, order, actor, now).await?;
    Ok((ordered, proposal))
}

/// What the change means, where that is still what `token` was shown for.
pub(crate) async fn as_shown(
    store: &Store,
    partner: PartnerId,
    wanted: Wanted,
    token: &str,
    now: Timestamp,
) -> Result<Proposal, ChangeRefused> {
    let proposal = propose(store, partner, wanted, shown::instant(token, now)?).await?;
    if proposal.token != token {
        return Err(ChangeRefused::Moved(
            "The plan, its terms or a change that was planned are not as they were when this was shown, so nothing was changed. \
             Look at what it means now, and confirm again",
        ));
    }
    Ok(proposal)
}

/// Takes back a change that waits. Partners take back what is theirs.
pub async fn take_change_back(
    store: &Store,
    partner: PartnerId,
    change: PlanChangeId,
    by: OrderedBy,
    letters: Letters<'_>,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let plan = store.subscription(partner).await?.map_or_else(String::new, |own| own.plan_name);
    let mails = mails(store, partner, &News::Kept { plan }, letters).await?;
    store.withdraw_scheduled_change(partner, change, by, &mails, actor, now).await?;
    if by == OrderedBy::Partner
        && let Err(error) = resume_move(store, partner, letters, now).await
    {
        tracing::warn!(%partner, %error, "a partner's part of a move does not wait again yet; the task plans it");
    }
    Ok(())
}

/// Puts every change in force whose time has come; gives how many were made, and how many could not be.
pub async fn put_changes_in_force(
    store: &Store,
    letters: Letters<'_>,
    now: Timestamp,
) -> Result<(u32, u32), StoreError> {
    let (mut done, mut failed) = (0, 0);
    for change in store.all_partners_due_changes(now).await? {
        match put_in_force(store, &change, letters, now).await {
            Ok(PutInForce::Done) => done += 1,
            Ok(PutInForce::Gone) => {}
            Ok(PutInForce::Later(problem)) => {
                tracing::error!(partner = %change.partner, change = %change.id, problem, "a planned change of plan could not be made yet");
                failed += 1;
            }
            Ok(PutInForce::Failed(problem)) => {
                tracing::error!(partner = %change.partner, change = %change.id, problem, "a planned change of plan could not be made; the old plan goes on");
                failed += 1;
            }
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            // The others' are made all the same; the next run tries this one again.
            Err(error) => {
                tracing::error!(partner = %change.partner, change = %change.id, %error, "a planned change of plan could not be made yet");
                failed += 1;
            }
        }
    }
    Ok((done, failed))
}

async fn put_in_force(
    store: &Store,
    change: &ScheduledChange,
    letters: Letters<'_>,
    now: Timestamp,
) -> Result<PutInForce, StoreError> {
    let (from, to) = (change.from_name.clone(), change.to.as_ref().map(|to| to.name.clone()));
    let news = News::Changed { from: Some(from.clone()), to: to.clone(), at: change.effective_at };
    let hear = recipients(store, change.partner).await?;
    let mails: Vec<NewMail> = hear.iter().map(|to| letters(to, &news)).collect();
    let sorry = |problem: &str| -> Vec<NewMail> {
        let news = News::Failed { from: from.clone(), to: to.clone(), problem: problem.to_owned() };
        hear.iter().map(|recipient| letters(recipient, &news)).collect()
    };
    store.put_change_in_force(change, &mails, &sorry, now).await
}

async fn propose(store: &Store, partner: PartnerId, wanted: Wanted, at: Timestamp) -> Result<Proposal, ChangeRefused> {
    let at = shown::exact(at);
    let ground = store.change_ground(partner, wanted.wish, wanted.by).await?;
    if wanted.by == OrderedBy::Partner {
        ground.check_partner()?;
    }
    let is_same =
        ground.current.as_ref().zip(ground.target.as_ref()).is_some_and(|(own, to)| own.version_id == to.version_id);
    if is_same {
        return Err(StoreError::conflict("plan", "This is already the plan").into());
    }
    let preview = ground.preview(wanted.when, at)?;
    debug_assert!(preview.direction != Direction::Start || preview.at_once);
    let needs_approval = wanted.by == OrderedBy::Partner
        && ground.target.as_ref().is_some_and(|target| target.approval == Approval::Queue);
    let token = token(&ground, &preview, needs_approval, at);
    let ChangeGround { time_zone, current, target, scheduled, .. } = ground;
    Ok(Proposal {
        preview,
        from: current,
        to: target,
        replaces: scheduled,
        needs_approval,
        time_zone,
        so_far: None,
        token,
    })
}

/// The instant, and a digest of the two versions, of what waits, and of all that is shown.
fn token(ground: &ChangeGround, preview: &Preview, needs_approval: bool, at: Timestamp) -> String {
    let from = ground.current.as_ref().map_or_else(String::new, |own| format!("{} {}", own.id, own.version_id));
    let to = ground.target.as_ref().map_or_else(String::new, |target| target.version_id.to_string());
    let waits = ground.scheduled.as_ref().map_or_else(String::new, |change| change.id.to_string());
    shown::token(at, &preview.digest_of(&format!("{from} {waits} {needs_approval}"), &to))
}

/// Letters to those who decide about the plan.
async fn mails(
    store: &Store,
    partner: PartnerId,
    news: &News,
    letters: Letters<'_>,
) -> Result<Vec<NewMail>, StoreError> {
    Ok(recipients(store, partner).await?.iter().map(|to| letters(to, news)).collect())
}

pub(crate) async fn recipients(store: &Store, partner: PartnerId) -> Result<Vec<Recipient>, StoreError> {
    let time_zone = store.partner(partner).await?.time_zone;
    let decides = |member: &Member| {
        let role = matches!(member.role, MemberRole::Owner | MemberRole::Admin | MemberRole::Billing);
        role && member.disabled_at.is_none() && member.email_verified_at.is_some()
    };
    let members = store.members(partner).await?;
    let recipient = |member: Member| Recipient { email: member.email, name: member.name, time_zone: time_zone.clone() };
    Ok(members.into_iter().filter(decides).map(recipient).collect())
}
