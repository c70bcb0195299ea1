//! Partners of the file with their plans, members, apps and keys.

use super::{
    ACTOR, ApplyError, Desired, Walk, at,
    report::{MadeInvitation, MadeKey, differ},
};
use crate::new_key::{NewKeyText, new_key_text};
use app::{mail, secrets::new_link_token};
use domain::{
    directory,
    id::{AppId, PartnerId},
    key_text::KeyKind,
    money::Money,
    rating::OwnThreshold,
    setup::{AppSetup, KeySetup, MemberSetup, OwnAmount, PartnerSetup},
};
use jiff::{SignedDuration, Timestamp};
use store::{NewApp, NewInvitation, NewKey, NewPartner, NewSecret, NewToken, Plan, StoreError};

/// As the mail says.
const INVITATION: SignedDuration = SignedDuration::from_hours(24);

impl Walk<'_> {
    pub(super) async fn partners(&mut self, desired: &Desired) -> Result<(), ApplyError> {
        for (code, setup) in &desired.setup.partners {
            let place = format!("partners.{code}");
            let partner = self.partner(code, setup).await.map_err(at(&place))?;
            self.partner_plan(code, partner, setup).await.map_err(at(format!("{place}.plan")))?;
            let own = self.own_threshold(desired, code, partner, setup).await;
            own.map_err(at(format!("{place}.invoice_threshold")))?;
            for member in &setup.members {
                let place = format!("{place}.members.{}", member.email);
                self.member(code, partner, setup, member).await.map_err(at(place))?;
            }
            for (app_code, app) in &setup.apps {
                let place = format!("{place}.apps.{app_code}");
                self.app(code, partner, app_code, app).await.map_err(at(place))?;
            }
        }
        Ok(())
    }

    /// `None` where it is not there and only looked for.
    async fn partner(&mut self, code: &str, setup: &PartnerSetup) -> Result<Option<PartnerId>, StoreError> {
        let Some(there) = self.store.find_partner_by_code(code).await? else {
            self.report.created("partner", code);
            if !self.applies() {
                return Ok(None);
            }
            let new = NewPartner {
                code: Some(code.to_owned()),
                name: setup.name.clone(),
                time_zone: setup.time_zone.clone(),
            };
            return self.store.create_partner(&new, ACTOR, self.now).await.map(Some);
        };
        let mut details = Vec::new();
        differ(&mut details, "name", &there.name, &setup.name);
        differ(&mut details, "time_zone", &there.time_zone, &setup.time_zone);
        if self.applies() {
            if there.name != setup.name {
                self.store.rename_partner(there.id, &setup.name, ACTOR, self.now).await?;
            }
            if there.time_zone != setup.time_zone {
                self.store.set_partner_time_zone(there.id, &setup.time_zone, ACTOR, self.now).await?;
            }
        }
        self.report.compared("partner", code, details);
        Ok(Some(there.id))
    }

    /// Puts the partner on the plan; one that is on an older version of it stays there, as after any edit of a plan.
    async fn partner_plan(
        &mut self,
        code: &str,
        partner: Option<PartnerId>,
        setup: &PartnerSetup,
    ) -> Result<(), StoreError> {
        let Some(wanted) = &setup.plan else { return Ok(()) };
        let there = match partner {
            Some(partner) => self.store.subscription(partner).await?,
            None => None,
        };
        let old = there.map(|subscription| subscription.plan_code).unwrap_or_default();
        let mut details = Vec::new();
        differ(&mut details, "plan", &old, wanted);
        if let (true, Some(partner), false) = (self.applies(), partner, details.is_empty()) {
            let plan = self.store.find_plan_by_code(wanted).await?;
            let newest = plan.as_ref().and_then(Plan::newest).ok_or(StoreError::NotFound)?;
            self.store.assign_plan_version(partner, newest.id, ACTOR, self.now).await?;
        }
        self.report.compared("partner's plan", code, details);
        Ok(())
    }

    /// Gives the partner the threshold that the file says, if it says one.
    async fn own_threshold(
        &mut self,
        desired: &Desired,
        code: &str,
        partner: Option<PartnerId>,
        setup: &PartnerSetup,
    ) -> Result<(), StoreError> {
        let Some(OwnAmount(wanted)) = setup.invoice_threshold else { return Ok(()) };
        let plan = setup.plan.as_ref().and_then(|plan| desired.setup.plans.get(plan));
        let wanted = match wanted.zip(plan) {
            Some((amount, plan)) => {
                let amount = Money::from_decimal_exact(plan.currency, amount);
                OwnThreshold::At(amount.map_err(|error| StoreError::invalid("invoice_threshold", error.to_string()))?)
            }
            None => OwnThreshold::Never,
        };
        let there = match partner {
            Some(partner) => self.store.own_invoice_threshold(partner).await?,
            None => None,
        };
        let text = |own: Option<OwnThreshold>| match own {
            None => "the plan's".to_owned(),
            Some(OwnThreshold::Never) => "none".to_owned(),
            Some(OwnThreshold::At(amount)) => amount.to_string(),
        };
        let mut details = Vec::new();
        differ(&mut details, "invoice_threshold", text(there), text(Some(wanted)));
        if let (true, Some(partner), false) = (self.applies(), partner, details.is_empty()) {
            self.store.set_invoice_threshold(partner, Some(wanted), ACTOR, self.now).await?;
        }
        self.report.compared("partner's threshold", code, details);
        Ok(())
    }

    /// Invites who is not there. Roles and names of members are theirs to change, so they are not compared.
    async fn member(
        &mut self,
        code: &str,
        partner: Option<PartnerId>,
        setup: &PartnerSetup,
        member: &MemberSetup,
    ) -> Result<(), StoreError> {
        let subject = format!("{code}/{}", member.email);
        if let Some(known) = self.store.find_member_of_any_partner_by_email(&member.email).await? {
            if Some(known.member.partner) != partner {
                return Err(StoreError::conflict("email", "This address belongs to another partner"));
            }
            self.report.compared("member", subject, Vec::new());
            return Ok(());
        }
        self.report.created("member", subject);
        if let (true, Some(partner)) = (self.applies(), partner) {
            let (token, hash) = new_link_token();
            let new = NewInvitation {
                email: member.email.clone(),
                role: member.role,
                token: NewToken { hash, expires_at: self.now + INVITATION },
                mail: mail::invitation(
                    self.settings,
                    &member.email,
                    &setup.name,
                    &self.settings.provider_name,
                    member.role,
                    &token,
                ),
            };
            self.store.invite_member(partner, &new, ACTOR, self.now).await?;
            self.report.invitations.push(MadeInvitation {
                partner: code.to_owned(),
                email: member.email.clone(),
                link: mail::link(self.settings, "/invitation", &token),
            });
        }
        Ok(())
    }

    async fn app(
        &mut self,
        partner_code: &str,
        partner: Option<PartnerId>,
        code: &str,
        setup: &AppSetup,
    ) -> Result<(), StoreError> {
        let subject = format!("{partner_code}/{code}");
        let there = match partner {
            Some(partner) => self.store.find_app_by_code(partner, code).await?,
            None => None,
        };
        let app = match (there, partner) {
            (Some(there), Some(partner)) => {
                let mut details = Vec::new();
                differ(&mut details, "name", &there.name, &setup.name);
                if self.applies() && !details.is_empty() {
                    self.store.rename_app(partner, there.id, &setup.name, ACTOR, self.now).await?;
                }
                self.report.compared("app", subject, details);
                Some(there.id)
            }
            (None, Some(partner)) if self.applies() => {
                self.report.created("app", subject);
                let new = NewApp { code: Some(code.to_owned()), name: setup.name.clone() };
                Some(self.store.create_app(partner, &new, ACTOR, self.now).await?)
            }
            _ => {
                self.report.created("app", subject);
                None
            }
        };
        for (key_code, key) in &setup.keys {
            self.key(partner_code, partner, code, app, key_code, key).await?;
        }
        Ok(())
    }

    /// Makes a key that is not there. One that was revoked or rotated by hand keeps its code's place if a successor has it.
    async fn key(
        &mut self,
        partner_code: &str,
        partner: Option<PartnerId>,
        app_code: &str,
        app: Option<AppId>,
        code: &str,
        setup: &KeySetup,
    ) -> Result<(), StoreError> {
        let subject = format!("{partner_code}/{app_code}/{code}");
        let identity = setup.kind.identity(&setup.issuer, &setup.identity)?;
        let bounds = setup.bounds().tidy()?;
        let there = match partner {
            Some(partner) => self.store.find_key_by_code(partner, code).await?.map(|key| (partner, key)),
            None => None,
        };
        if let Some((partner, there)) = there {
            let same = (there.kind, there.identity.as_str()) == (setup.kind, identity.as_str());
            if there.environment != setup.environment || Some(there.app) != app || !same {
                let message = "A key keeps its app, environment, kind and identity; give a new key a new code";
                return Err(StoreError::conflict(format!("keys.{code}"), message));
            }
            let mut details = Vec::new();
            differ(&mut details, "name", &there.name, &setup.name);
            if self.applies() && !details.is_empty() {
                self.store.rename_key(partner, there.id, &setup.name, ACTOR, self.now).await?;
            }
            let named = details.len();
            let (old, new) = (&there.bounds, &bounds);
            differ(
                &mut details,
                "allowed_addresses",
                old.allowed_addresses.join(", "),
                new.allowed_addresses.join(", "),
            );
            differ(&mut details, "scopes", old.scopes.join(", "), new.scopes.join(", "));
            let time = |time: Option<Timestamp>| time.map_or_else(String::new, |time| time.to_string());
            differ(&mut details, "expires_at", time(old.expires_at), time(new.expires_at));
            if self.applies() && details.len() > named {
                self.store.bound_key(partner, there.id, bounds, ACTOR, self.now).await?;
            }
            self.report.compared("key", subject, details);
            return Ok(());
        }
        self.report.created("key", subject);
        if let (true, Some(partner), Some(app)) = (self.applies(), partner, app) {
            let made = (setup.kind == directory::KeyKind::Key)
                .then(|| new_key_text(self.secrets, KeyKind::Gateway(setup.environment)));
            let (text, secret) = match made {
                Some(NewKeyText { text, secret }) => (Some(text), secret),
                None => {
                    let hash = self.secrets.hash_key(&setup.kind.hashed_text(&identity));
                    (None, NewSecret { hash, last_four: String::new() })
                }
            };
            let new = NewKey {
                app,
                code: Some(code.to_owned()),
                name: setup.name.clone(),
                environment: setup.environment,
                kind: setup.kind,
                identity,
                bounds,
                secret,
            };
            self.store.create_key(partner, &new, ACTOR, self.now).await?;
            let Some(text) = text else { return Ok(()) };
            self.report.keys.push(MadeKey {
                partner: partner_code.to_owned(),
                app: app_code.to_owned(),
                key: code.to_owned(),
                environment: setup.environment.to_string(),
                text: text.expose().to_owned(),
            });
        }
        Ok(())
    }
}
