//! The installation that is tried: one server with the stand-in for Stripe, the test clock, and two partners of the same prices, one of
//! whose bills reaches Stripe as invoice items and the other's as meter events.

use super::{
    Month,
    calendar::{self, Calendar, SECOND},
    ledger::Ledger,
    partner::{Partner, partners, plans},
};
use crate::{
    Trouble,
    cluster::{Cluster, Plan},
    console::make_token,
    portal::{Browser, Rest},
    upstream::Upstream,
    world::{Random, get_text, write_document},
};
use serde_json::{Value, json};
use std::{
    fs,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use stripe_stand_in::{Options, StandIn};
use tempfile::TempDir;
use tokio::time::sleep;

const SECRET: &str = "whsec_chaos";
/// What the token of the experiment may do.
const SCOPES: &str = "usage:read,usage:write,invoices:read,plans:read,plan:write,partners:read,partners:write";
/// The longest wait for what has to happen; a million events are compared before a period is closed.
const PATIENCE: Duration = Duration::from_secs(900);
/// How often the server is started to have days summed up, and how long that is waited for each time.
const STARTS: u32 = 4;
const AT_START: Duration = Duration::from_secs(4);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

pub(super) struct Installation {
    pub cluster: Cluster,
    pub stand_in: StandIn,
    pub rest: Rest,
    pub calendar: Calendar,
    /// Whether it makes the subscriptions at Stripe.
    pub makes_subscriptions: bool,
    /// How far the clocks are ahead, in seconds.
    ahead: i64,
    began: Instant,
    _upstream: Upstream,
    _folder: TempDir,
}

impl Installation {
    /// Starts all of it, and puts the partners on their plans at the begin of the month that is tried.
    pub async fn open(month: &Month, seed: u64) -> Result<(Self, [Partner; 2]), Trouble> {
        let (calendar, upstream) = (Calendar::next()?, Upstream::start().await?);
        let stand_in = StandIn::start(Options { webhook_secret: SECRET.to_owned(), ..Options::default() }).await?;
        let environment = [
            ("TURNPIKE_STRIPE_KEY", "sk_test_chaos".to_owned()),
            ("TURNPIKE_STRIPE_URL", stand_in.url()),
            ("TURNPIKE_STRIPE_WEBHOOK_SECRET", SECRET.to_owned()),
            ("TURNPIKE_STRIPE_SUBSCRIPTIONS", if month.made { "made" } else { "by_hand" }.to_owned()),
            ("TURNPIKE_GATEWAY_CORES", "1".to_owned()),
        ];
        let product =
            include_str!("setup.yaml").replace("{upstream}", &format!("http://127.0.0.1:{}", upstream.port()));
        let plan = Plan {
            binary: month.binary.clone(),
            site: month.site.clone(),
            nodes: 1,
            environment: environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            setup: product.clone(),
            probe: "/payments/payments".to_owned(),
        };
        let cluster = Cluster::start(plan).await?;
        let port = cluster.portal_port();
        let token = make_token(port, &cluster.command(&["operator-link"])?, SCOPES).await?;
        let folder = tempfile::Builder::new().prefix("turnpike-chaos-").tempdir()?;
        write_document(folder.path())?;
        let file = folder.path().join("setup.yaml");
        fs::write(&file, product + &plans() + &partners())?;
        let mut own = Self {
            cluster,
            stand_in,
            rest: Rest { port, token },
            calendar,
            makes_subscriptions: month.made,
            ahead: 0,
            began: Instant::now(),
            _upstream: upstream,
            _folder: folder,
        };
        let webhooks = json!({ "url": format!("http://127.0.0.1:{port}/webhooks/stripe"), "secret": SECRET });
        own.control("webhooks", webhooks).await?;
        own.move_to(calendar.opening()).await?;

        let report: Value = serde_json::from_str(&own.cluster.command(&["apply", &file.display().to_string()])?)?;
        let items = own.partner(&report, "items", seed).await?;
        let metered = own.partner(&report, "metered", seed.rotate_left(17)).await?;
        // Whoever Stripe rates is made a customer there by the run at the start.
        own.restart().await?;
        own.wait_for("the customer at Stripe", async |own| Ok(own.customer(&metered).await?.is_some())).await?;
        Ok((own, [items, metered]))
    }

    async fn partner(&self, report: &Value, code: &'static str, seed: u64) -> Result<Partner, Trouble> {
        let of = |list: &str, what: &str| {
            let mine = report[list].as_array().into_iter().flatten().find(|made| made["partner"] == code);
            mine.and_then(|made| made[what].as_str())
                .map(str::to_owned)
                .ok_or(format!("apply made no {what} of {code}"))
        };
        let link = of("invitations", "link")?;
        let token = link.split_once("token=").ok_or("an invitation without a token")?.1;
        let mut browser = Browser::new(self.rest.port);
        let password = "correct-horse-battery-staple";
        let to = browser.send("/do/invitation", &[("token", token), ("name", "Chaos"), ("password", password)]).await?;
        if to != "/home" {
            return Err(format!("the invitation was not accepted: {to}").into());
        }
        let uuid = self.cluster.psql(&format!("select id from partners where code = '{code}'"))?;
        let mut partner = Partner {
            code,
            id: format!("partner_{}", uuid.trim().replace('-', "")),
            is_metered: code == "metered",
            is_set_up_by_hand: code == "metered" && !self.makes_subscriptions,
            key: of("keys", "text")?,
            browser,
            ledger: Ledger::default(),
            random: Random::new(seed),
            told: 0,
            too_many: None,
            start: 0,
            change: 0,
            bills: 0,
            credited: 0,
        };
        partner.start = self.plan_since(&partner).await?;
        Ok(partner)
    }

    /// When the partner's plan began.
    pub async fn plan_since(&self, partner: &Partner) -> Result<i64, Trouble> {
        let plan = self.rest.json(&format!("/api/plan?partner={}", partner.id)).await?;
        Ok(plan["started_at"].as_str().and_then(calendar::read).ok_or("a plan without a begin")?)
    }

    /// The partner's id at Stripe.
    pub async fn customer(&self, partner: &Partner) -> Result<Option<String>, Trouble> {
        let state = self.state().await?;
        let is_mine = |customer: &&Value| customer["metadata"]["turnpike_partner"] == partner.id.as_str();
        let mine = state["customers"].as_array().into_iter().flatten().find(is_mine);
        Ok(mine.and_then(|customer| customer["id"].as_str()).map(str::to_owned))
    }

    pub async fn control(&self, path: &str, body: Value) -> Result<Value, Trouble> {
        self.stand_in.control("POST", path, body).await.map_err(|failure| failure.to_string().into())
    }

    /// Everything that the stand-in holds.
    pub async fn state(&self) -> Result<Value, Trouble> {
        self.stand_in.control("GET", "state", Value::Null).await.map_err(|failure| failure.to_string().into())
    }

    /// What the provider does in Stripe's own dashboard.
    pub async fn form_at_stripe(&self, path: &str, form: &str) -> Result<(), Trouble> {
        let port = self.stand_in.url().rsplit_once(':').ok_or("no port")?.1.parse()?;
        Rest { port, token: "sk_test_chaos".to_owned() }.form(path, form).await?;
        Ok(())
    }

    /// What the clocks show.
    pub fn now(&self) -> Result<i64, Trouble> {
        let machine = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?;
        Ok(machine + self.ahead * SECOND)
    }

    /// Moves the clocks of server and stand-in to that instant or a second later, never back. The server's first: it knows before Stripe
    /// does that a period is over.
    pub async fn move_to(&mut self, at: i64) -> Result<(), Trouble> {
        let machine = self.now()? - self.ahead * SECOND;
        let ahead = (at - machine).div_euclid(SECOND) + 1;
        if ahead > self.ahead {
            self.ahead = ahead;
            self.cluster.psql(&format!("update clock set ahead_seconds = {ahead}"))?;
            self.wait_for("the server's clock", async |own| Ok(own.has_reached(at).await)).await?;
            self.control("clock", json!({ "ahead_seconds": ahead })).await?;
        }
        Ok(())
    }

    /// Whether the server's clock shows that instant or a later one: usage from then on until now is refused before.
    async fn has_reached(&self, at: i64) -> bool {
        self.rest.text(&format!("/api/export/usage?from={}", calendar::text(at))).await.is_ok()
    }

    /// Kills the server and starts it again: what is done each minute is done at a start.
    pub async fn restart(&mut self) -> Result<(), Trouble> {
        self.cluster.kill(0)?;
        self.cluster.begin(0)?;
        self.cluster.wait_until_open(0).await
    }

    /// Says how far the story is.
    pub fn say(&self, what: &str) {
        println!("  {:>4} s {what}", self.began.elapsed().as_secs());
    }

    /// Whether the gateway decides by the newest plans, keys and partners; `/ready` ends with their version.
    pub async fn gateway_knows_all(&self) -> Result<bool, Trouble> {
        let ready = get_text(self.cluster.admin_ports()[0], "/ready").await.unwrap_or_default();
        let known = ready.trim().rsplit(' ').next().and_then(|version| version.parse::<u64>().ok());
        let newest: u64 = self.cluster.psql("select version from directory_version")?.trim().parse()?;
        Ok(known.is_some_and(|known| known >= newest))
    }

    /// Has all days that are over summed up. The server does so at its start, or a minute later where it is dropping old usage just then.
    pub async fn sum_up_days(&mut self) -> Result<(), Trouble> {
        for _ in 0..STARTS {
            self.restart().await?;
            let begin = Instant::now();
            while begin.elapsed() < AT_START {
                if self.has_days().await? {
                    return Ok(());
                }
                sleep(BETWEEN_LOOKS).await;
            }
        }
        self.wait_for("sums of all days", Self::has_days).await
    }

    async fn has_days(&self) -> Result<bool, Trouble> {
        let said = self.cluster.psql(
            "select made_before + interval '26 hours' > now() + ahead_seconds * interval '1 second'
                 and not exists (select from usage_days_changed) from usage_upkeep, clock",
        )?;
        Ok(said.trim() == "t")
    }

    /// Looks again and again until it is so.
    pub async fn wait_for(
        &self,
        what: &str,
        is_so: impl AsyncFn(&Self) -> Result<bool, Trouble>,
    ) -> Result<(), Trouble> {
        let begin = Instant::now();
        while !is_so(self).await? {
            if begin.elapsed() > PATIENCE {
                return Err(format!("{what} did not come: {}", self.cluster.log()).into());
            }
            sleep(BETWEEN_LOOKS).await;
        }
        Ok(())
    }

    /// The partner's invoices, the oldest first.
    pub async fn invoices(&self, partner: &Partner) -> Result<Vec<Value>, Trouble> {
        let list = self.rest.json(&format!("/api/invoices?partner={}", partner.id)).await?;
        let mut invoices = list["items"].as_array().cloned().unwrap_or_default();
        invoices.reverse();
        Ok(invoices)
    }

    /// Waits until each partner has so many invoices, and Stripe was told of all.
    pub async fn wait_until_billed(&self, partners: &mut [Partner; 2], invoices: usize) -> Result<(), Trouble> {
        for partner in partners {
            self.wait_for("an invoice at Stripe", async |own| {
                let all = own.invoices(partner).await?;
                Ok(all.len() >= invoices && all.iter().all(|invoice| invoice["status"] != "open"))
            })
            .await?;
            partner.bills = invoices;
        }
        Ok(())
    }
}
