//! The installation, the stand-in, the partners, and what they have used: told by the REST API, and kept here to compare with.

use super::{Billed, Stripe};
use crate::{
    Trouble,
    cluster::{Cluster, Plan},
    console::make_token,
    world::Random,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use stripe_stand_in::{Options, StandIn, instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

pub(super) const SECRET: &str = "whsec_chaos";
pub(super) const DAY: i64 = 86_400;
/// The server looks at the clock twice a second.
const FOLLOWED: Duration = Duration::from_millis(1_200);
/// The longest wait for something that has to happen.
const PATIENCE: Duration = Duration::from_secs(120);
/// Events in one request.
const BATCH: usize = 500;

/// A partner, and what it has used.
#[derive(Debug, Clone)]
pub(super) struct Partner {
    /// As `partner_0192…`.
    pub id: String,
    /// As Postgres writes it.
    pub uuid: String,
    pub is_metered: bool,
    pub is_daily: bool,
    /// What the server took of what it was told.
    pub units: u64,
}

pub(super) struct Shop {
    pub cluster: Cluster,
    pub stand_in: StandIn,
    pub partners: Vec<Partner>,
    pub random: Random,
    /// When the first period began, in seconds since 1970.
    pub began: i64,
    token: String,
    told: u64,
    ahead: i64,
}

impl Shop {
    /// Starts all of it, every partner a customer of a plan at a cent a unit.
    pub async fn open(
        stripe: &Stripe,
        seed: u64,
        partners: usize,
        (monthly, billed): (bool, Billed),
        secrets: &str,
    ) -> Result<Self, Trouble> {
        let options = Options { webhook_secret: SECRET.to_owned(), ..Options::default() };
        let stand_in = StandIn::start(options).await?;
        let streams = (billed == Billed::Streamed).then(|| ("TURNPIKE_STRIPE_STREAM_FROM", "1".to_owned()));
        let environment = [
            ("TURNPIKE_STRIPE_KEY", "sk_test_chaos".to_owned()),
            ("TURNPIKE_STRIPE_URL", stand_in.url()),
            ("TURNPIKE_STRIPE_WEBHOOK_SECRET", secrets.to_owned()),
            ("TURNPIKE_STRIPE_TIMEOUT_MS", "300".to_owned()),
            ("TURNPIKE_STRIPE_SUBSCRIPTIONS", if stripe.made { "made" } else { "by_hand" }.to_owned()),
            ("TURNPIKE_GATEWAY_CORES", "1".to_owned()),
        ];
        let plan = Plan {
            binary: stripe.binary.clone(),
            site: stripe.site.clone(),
            nodes: 1,
            environment: environment.into_iter().chain(streams).map(|(name, value)| (name.to_owned(), value)).collect(),
            setup: setup(partners, monthly, billed),
            probe: "/payments/payments".to_owned(),
        };
        let cluster = Cluster::start(plan).await?;
        let token = make_token(cluster.portal_port(), &cluster.command(&["operator-link"])?, "usage:write").await?;
        // An invoice that Stripe sends needs an address; an invitation that nobody accepted is none.
        cluster.psql(
            "insert into members (partner_id, id, email, role, created_at)
             select id, gen_random_uuid(), code || '@example.com', 'billing', now() from partners",
        )?;
        let began =
            cluster.psql("select extract(epoch from max(anchor))::bigint from subscriptions")?.trim().parse()?;
        let mut shop = Self {
            partners: read_partners(&cluster)?,
            cluster,
            stand_in,
            random: Random::new(seed),
            began,
            token,
            told: 0,
            ahead: 0,
        };
        let portal = shop.cluster.portal_port();
        shop.control(
            "webhooks",
            json!({ "url": format!("http://127.0.0.1:{portal}/webhooks/stripe"), "secret": SECRET }),
        )
        .await?;
        // Customers, and subscriptions where it makes them, are made by the run at the start.
        shop.restart().await?;
        if stripe.made {
            shop.all_metered_have("subscriptions").await?;
        } else {
            shop.subscribe().await?;
        }
        Ok(shop)
    }

    /// Waits until the stand-in holds one such thing for each partner whose usage Stripe rates.
    async fn all_metered_have(&self, kind: &str) -> Result<Value, Trouble> {
        let expected = self.partners.iter().filter(|partner| partner.is_metered).count();
        let begin = Instant::now();
        loop {
            let made = self.state().await?[kind].clone();
            if made.as_array().map_or(0, Vec::len) >= expected {
                return Ok(made);
            }
            if begin.elapsed() > PATIENCE {
                return Err(format!("not all {kind} were made: {}", self.cluster.log()).into());
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// What the provider does at Stripe: a subscription with the meter's price for each customer whose usage Stripe rates.
    async fn subscribe(&mut self) -> Result<(), Trouble> {
        let customers = self.all_metered_have("customers").await?;
        for customer in customers.as_array().into_iter().flatten() {
            let id = customer["metadata"]["turnpike_partner"].as_str().unwrap_or_default();
            let partner =
                self.partners.iter().find(|partner| partner.id == id).ok_or("a customer that is no partner")?;
            let (count, step) = if partner.is_daily { (70, "1 day") } else { (3, "1 month") };
            let said = self.cluster.psql(&format!(
                "select floor(extract(epoch from (anchor at time zone 'UTC' + n * interval '{step}') at time zone 'UTC'))::bigint
                 from subscriptions, generate_series(0, {count}) n where partner_id = '{}' order by n",
                partner.uuid
            ))?;
            let boundaries: Vec<i64> = said.lines().map(str::parse).collect::<Result<_, _>>()?;
            let subscription = json!({ "customer": customer["id"], "event_name": "turnpike_units_payments", "unit_amount": 1,
                "currency": "usd", "boundaries": boundaries });
            self.control("subscriptions", subscription).await?;
        }
        Ok(())
    }

    pub async fn control(&self, path: &str, body: Value) -> Result<Value, Trouble> {
        self.stand_in.control("POST", path, body).await.map_err(|failure| failure.to_string().into())
    }

    /// Everything that the stand-in holds.
    pub async fn state(&self) -> Result<Value, Trouble> {
        self.look("state").await
    }

    pub async fn look(&self, path: &str) -> Result<Value, Trouble> {
        self.stand_in.control("GET", path, Value::Null).await.map_err(|failure| failure.to_string().into())
    }

    /// How many requests the stand-in was asked.
    pub async fn requests(&self) -> Result<u64, Trouble> {
        Ok(self.look("count").await?["requests"].as_u64().unwrap_or(0))
    }

    /// Moves both clocks to that instant, in seconds since 1970; never back. The server knows first that usage is late.
    pub async fn move_to(&mut self, at: i64) -> Result<(), Trouble> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().cast_signed();
        if at - now > self.ahead {
            self.ahead = at - now;
            self.cluster.psql(&format!("update clock set ahead_seconds = {}", self.ahead))?;
            sleep(FOLLOWED).await;
            self.control("clock", json!({ "ahead_seconds": self.ahead })).await?;
        }
        Ok(())
    }

    /// Kills the server and starts it again.
    pub async fn restart(&mut self) -> Result<(), Trouble> {
        self.cluster.kill(0)?;
        self.cluster.begin(0)?;
        self.cluster.wait_until_open(0).await
    }

    /// Tells the server of usage between two instants, spread over all partners, about so many units.
    pub async fn use_between(&mut self, from: i64, to: i64, units: u64) -> Result<(), Trouble> {
        let each = (units / self.partners.len() as u64).max(4);
        let mut events = Vec::new();
        for index in 0..self.partners.len() {
            for part in 0..4_u64 {
                let units = 1 + self.random.below(each / 2);
                let at = from + self.random.below((to - from).unsigned_abs()).cast_signed();
                self.told += 1;
                let operation = if part % 2 == 0 { "createPayment" } else { "listPayments" };
                let event = json!({ "specversion": "1.0", "type": "io.turnpike.usage.v2", "source": "chaos", "id": format!("u{}", self.told),
                    "time": instant(at), "subject": self.partners[index].id,
                    "data": { "units": units, "product": "payments", "operation": operation } });
                events.push((index, units, event));
            }
        }
        for batch in events.chunks(BATCH) {
            let body: Vec<&Value> = batch.iter().map(|(_, _, event)| event).collect();
            let answer = self.post("/api/events", &json!(body)).await?;
            for (place, (index, units, _)) in batch.iter().enumerate() {
                match answer["results"][place]["result"].as_str() {
                    // A repeat of a batch whose answer was lost.
                    Some("accepted" | "late" | "duplicate") => self.partners[*index].units += units,
                    _ => return Err(format!("usage was not taken: {}", answer["results"][place]).into()),
                }
            }
        }
        Ok(())
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, Trouble> {
        let (port, body, token) = (self.cluster.portal_port(), body.to_string(), &self.token);
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost:{port}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await??;
        let answer = String::from_utf8(answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no whole answer")?;
        if !head.starts_with("HTTP/1.1 200") {
            return Err(format!("{path}: {answer}").into());
        }
        let (start, end) = (body.find('{').unwrap_or(0), body.rfind('}').map_or(body.len(), |end| end + 1));
        Ok(serde_json::from_str(&body[start..end])?)
    }

    /// Waits until the periods that have ended by that instant are closed.
    pub async fn wait_until_closed(&self, by: i64) -> Result<(), Trouble> {
        let due = format!(
            "select count(*) from subscriptions s join plan_versions v on v.id = s.plan_version_id
             where (s.anchor at time zone 'UTC' + ('1 ' || (v.terms ->> 'interval'))::interval) at time zone 'UTC' <= to_timestamp({by})
                 and not exists (select from billing_periods b where b.subscription_id = s.id
                     and b.period_end > to_timestamp({by}) - ('1 ' || (v.terms ->> 'interval'))::interval)"
        );
        let begin = Instant::now();
        while self.count(&due)? > 0 {
            if begin.elapsed() > PATIENCE {
                return Err(format!("periods were not closed: {}", self.cluster.log()).into());
            }
            sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Waits until Stripe was told of all invoices, or for so long. Whether it was.
    pub async fn wait_until_told(&self, patience: Duration) -> Result<bool, Trouble> {
        let begin = Instant::now();
        while begin.elapsed() < patience {
            if self.count("select count(*) from invoices where status = 'open'")? == 0 {
                return Ok(true);
            }
            sleep(Duration::from_millis(200)).await;
        }
        Ok(false)
    }

    /// The one number that a query gives.
    pub fn count(&self, query: &str) -> Result<u64, Trouble> {
        Ok(self.cluster.psql(query)?.trim().parse()?)
    }
}

fn setup(partners: usize, monthly: bool, billed: Billed) -> String {
    let product = include_str!("../setup.yaml").split("plans:").next().unwrap_or_default();
    let mut setup = product.replace("{upstream}", "http://127.0.0.1:9") + "plans:\n";
    for collect in ["invoice_items", "meter_events"] {
        for interval in ["day", "month"] {
            setup += &format!(
                "  {}-{interval}:\n    name: {collect} by {interval}\n    currency: USD\n    interval: {interval}\n    collect: {collect}\n    \
                 products: [{{ product: payments }}]\n    price: {{ model: per_unit, unit_price: \"0.01\" }}\n",
                collect.replace('_', "-")
            );
        }
    }
    setup += "partners:\n";
    for number in 0..partners {
        let by_items = billed == Billed::Both && number % 2 == 0;
        let collect = if by_items { "invoice-items" } else { "meter-events" };
        let interval = if monthly && number % 20 > 1 { "month" } else { "day" };
        setup += &format!("  p{number:04}:\n    name: Partner {number}\n    plan: {collect}-{interval}\n");
    }
    setup
}

fn read_partners(cluster: &Cluster) -> Result<Vec<Partner>, Trouble> {
    let said = cluster.psql(
        "select p.id, v.terms ->> 'collect', v.terms ->> 'interval' from partners p
         join subscriptions s on s.partner_id = p.id join plan_versions v on v.id = s.plan_version_id order by p.code",
    )?;
    let read = |line: &str| {
        let [uuid, collect, interval] = line.split('|').collect::<Vec<_>>()[..] else { return Err("a partner") };
        let (is_metered, is_daily) = (collect == "meter_events", interval == "day");
        let id = format!("partner_{}", uuid.replace('-', ""));
        Ok(Partner { id, uuid: uuid.to_owned(), is_metered, is_daily, units: 0 })
    };
    Ok(said.lines().map(read).collect::<Result<_, _>>()?)
}
