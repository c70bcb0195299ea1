//! The table of variables: the only list of what can be configured. The reader, the help text and the file's keys all
//! come from it, so none of them can drift.

/// One thing that can be set.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// In the environment.
    pub name: &'static str,
    /// In the TOML file, as `section.key`; empty where only the environment can say it.
    pub key: &'static str,
    /// What holds when it is not set, in words.
    pub default: &'static str,
    pub meaning: &'static str,
    /// A secret may also be given as `file:/path` or `env:NAME`.
    pub secret: bool,
}

const fn plain(name: &'static str, key: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, key, default, meaning, secret: false }
}

const fn secret(name: &'static str, key: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, key, default, meaning, secret: true }
}

/// All of them, in the order in which the help lists them.
pub const VARIABLES: &[Variable] = &[
    plain(
        "TURNPIKE_ROLE",
        "node.role",
        "all",
        "What this process does. all: everything. gateway: serves calls only. portal: pages, REST API, webhooks and what is done once, without the gateway. Processes that share an installation have one DATABASE_URL and one TURNPIKE_SECRET, and exactly one of them is all or portal",
    ),
    plain(
        "TURNPIKE_PORTAL_LISTEN",
        "listen.portal",
        "127.0.0.1:3000",
        "Address of the portal, the console and the REST API. 0.0.0.0:3000 opens it to the network",
    ),
    plain(
        "TURNPIKE_GATEWAY_LISTEN",
        "listen.gateway",
        "127.0.0.1:8080",
        "Address of the gateway. 0.0.0.0:8080 opens it to the network",
    ),
    plain(
        "TURNPIKE_GATEWAY_ADDRESS",
        "listen.gateway_address",
        "TURNPIKE_GATEWAY_LISTEN",
        "With the role portal: host:port at which this process reaches a gateway, in plain HTTP, for calls that are tried from a page",
    ),
    plain(
        "TURNPIKE_ADMIN_LISTEN",
        "listen.admin",
        "127.0.0.1:9090",
        "Address of /metrics, /live, /ready and /status. It asks for no credential: keep it on loopback or a private network",
    ),
    plain(
        "TURNPIKE_PROVIDER_NAME",
        "listen.provider_name",
        "Turnpike",
        "Your company's name, shown beside the logo, in mails and on invoices",
    ),
    plain(
        "TURNPIKE_PROVIDER_ADDRESS",
        "listen.provider_address",
        "none",
        "Your postal address and tax number as they stand on invoices: lines parted by semicolons or line breaks, as 1 Example Street; 1010 Auckland; GST 12-345-678",
    ),
    plain(
        "TURNPIKE_PORTAL_URL",
        "listen.portal_url",
        "http://localhost and the portal's port",
        "What people type to reach the portal; links in mails start with it",
    ),
    plain(
        "TURNPIKE_GATEWAY_URL",
        "listen.gateway_url",
        "http://localhost and the gateway's port",
        "What partners' programs call; code samples show it",
    ),
    secret(
        "DATABASE_URL",
        "database.url",
        "a private Postgres in the data directory",
        "postgres://user:password@host/database",
    ),
    plain("TURNPIKE_DATABASE_CONNECTIONS", "database.connections", "16", "Connections to Postgres at most, 4 to 200"),
    plain("TURNPIKE_PG_BIN", "", "found on this machine", "Folder with initdb and postgres, for the private Postgres"),
    plain(
        "TURNPIKE_DATA_DIR",
        "data.dir",
        "$XDG_DATA_HOME/turnpike or ~/.local/share/turnpike",
        "Where this node keeps its usage spool, its last directory and its private Postgres",
    ),
    secret(
        "TURNPIKE_SECRET",
        "data.secret",
        "none; in development made once in the data directory",
        "The installation's master secret: 32 bytes as base64 or hex (openssl rand -base64 32). Keep a copy: without it no key works and no stored header can be read",
    ),
    plain(
        "TURNPIKE_DEVELOPMENT",
        "data.development",
        "false",
        "true turns on the test clock and the dev inbox. Not for real partners",
    ),
    plain(
        "TURNPIKE_FOUR_EYES",
        "data.four_eyes",
        "false",
        "true asks for two operators where usage is corrected: whoever makes a correction neither approves nor reverts it, and tokens do neither",
    ),
    plain(
        "TURNPIKE_SITE_DIR",
        "data.site_dir",
        "inside the binary or beside it",
        "Folder with the portal's style sheets and scripts",
    ),
    plain(
        "TURNPIKE_KEEP_LIVE_EVENTS",
        "usage.keep_live_events",
        "400",
        "Days, or forever: how long single calls of live keys are kept. What a billing period that is not closed needs is always kept",
    ),
    plain(
        "TURNPIKE_KEEP_TEST_EVENTS",
        "usage.keep_test_events",
        "30",
        "Days, or forever: how long single calls of test keys are kept",
    ),
    plain(
        "TURNPIKE_KEEP_HOURLY_USAGE",
        "usage.keep_hourly_usage",
        "1100",
        "Days, or forever: how long usage is kept by the hour with every dimension; months go as a whole",
    ),
    plain(
        "TURNPIKE_KEEP_DAILY_USAGE",
        "usage.keep_daily_usage",
        "forever",
        "Days, or forever: how long usage is kept by the day with every dimension, and by the hour with few",
    ),
    plain(
        "TURNPIKE_CREDIT_EXPIRY_NOTICE",
        "usage.credit_expiry_notice",
        "14",
        "Days before prepaid credit expires at which its partner is told by mail; 0 tells nobody",
    ),
    plain(
        "TURNPIKE_CLOSING_GRACE",
        "usage.closing_grace",
        "11; in development a second",
        "Minutes, 11 to 10080, after the end of a billing period for which its invoice waits for usage that comes late, as what is told from outside; what comes later is on the next invoice. 11 is longer than the longest call. With Stripe and more than 11, TURNPIKE_STRIPE_METERS_OPEN has to be a quarter of an hour longer",
    ),
    plain(
        "TURNPIKE_HOOK_ALLOW_PRIVATE",
        "usage.hook_allow_private",
        "false",
        "Whether usage events may be sent to receivers at private and loopback addresses, over http://, and to ports below 1024 other than 443. Addresses at which clouds hand credentials to their machines are never reached",
    ),
    plain("TURNPIKE_SMTP_HOST", "mail.host", "none: mails stay in the dev inbox", "SMTP server that sends mails"),
    plain("TURNPIKE_SMTP_PORT", "mail.port", "587, 465 with tls, 25 with none", "Its port"),
    plain("TURNPIKE_SMTP_TLS", "mail.tls", "starttls", "starttls, tls or none"),
    plain("TURNPIKE_SMTP_USER", "mail.user", "none", "User name, where the server asks for one"),
    secret("TURNPIKE_SMTP_PASSWORD", "mail.password", "none", "Its password"),
    plain("TURNPIKE_MAIL_FROM", "mail.from", "Turnpike <turnpike@localhost>", "Sender of mails, as Name <address>"),
    plain(
        "TURNPIKE_INVOICE_SINK",
        "billing.invoice_sink",
        "stripe where a Stripe key is set, else none",
        "Where invoices, credit notes and voids go: stripe, webhook (to TURNPIKE_INVOICE_WEBHOOK_URL), or none (files to be fetched)",
    ),
    plain(
        "TURNPIKE_INVOICE_WEBHOOK_URL",
        "billing.invoice_webhook_url",
        "none",
        "Receiver of invoices, credit notes and voids, as https://books.example/turnpike; in private networks and by http:// only where TURNPIKE_HOOK_ALLOW_PRIVATE says so",
    ),
    secret(
        "TURNPIKE_INVOICE_WEBHOOK_SECRET",
        "billing.invoice_webhook_secret",
        "none",
        "What those messages are signed with, as Standard Webhooks has it: whsec_ and 24 to 64 bytes in base64; while it is rotated, the new and the old one with a comma between them",
    ),
    secret(
        "TURNPIKE_STRIPE_KEY",
        "stripe.key",
        "none: billing stops at the invoice",
        "Secret or restricted key of the Stripe account",
    ),
    secret(
        "TURNPIKE_STRIPE_WEBHOOK_SECRET",
        "stripe.webhook_secret",
        "none: webhooks are refused",
        "Signing secret of the webhook endpoint <portal>/webhooks/stripe; while it is rotated, the old and the new one with a comma between them",
    ),
    plain(
        "TURNPIKE_STRIPE_URL",
        "stripe.url",
        "https://api.stripe.com",
        "Where Stripe's API is; a test stand-in can be put here",
    ),
    plain(
        "TURNPIKE_STRIPE_TIMEOUT_MS",
        "stripe.timeout_ms",
        "30000",
        "Milliseconds that an answer of Stripe's is waited for",
    ),
    plain(
        "TURNPIKE_STRIPE_METERS_OPEN",
        "stripe.meters_open",
        "45",
        "Minutes after the end of a period in which its usage is still told to Stripe's meters; later it becomes items of the next invoice. Stripe finalises an invoice about an hour after its period, or later where you have set a grace period there; stay a quarter of an hour below that",
    ),
    plain(
        "TURNPIKE_STRIPE_STREAM_FROM",
        "stripe.stream_from",
        "none: one call for each meter event",
        "From so many meter events in one run on they go to Stripe's meter event stream, a hundred in a request",
    ),
    plain(
        "TURNPIKE_STRIPE_SUBSCRIPTIONS",
        "stripe.subscriptions",
        "by_hand",
        "Whether the subscriptions and prices of plans that Stripe rates (meter_events) are made at Stripe: made, or by_hand where you set them up there yourself",
    ),
    plain(
        "TURNPIKE_STRIPE_PAGES",
        "stripe.pages",
        "https://billing.stripe.com,https://checkout.stripe.com",
        "Where members may be sent to leave or change a payment method: scheme and host of Stripe's own pages, and of domains that you have set up there for them; several with commas between them",
    ),
    plain(
        "TURNPIKE_STRIPE_TAX",
        "stripe.tax",
        "false",
        "Have Stripe Tax compute the taxes on invoices that Stripe collects and on pages on which something is paid: true or false. Set up Stripe Tax first, see Stripe",
    ),
    plain(
        "TURNPIKE_STRIPE_COMPARE_HOURS",
        "stripe.compare_hours",
        "6",
        "Hours between two comparisons of the customers, products, prices, meters and subscriptions at Stripe with ours; see the console's list of Stripe drift",
    ),
    plain(
        "TURNPIKE_GATEWAY_TLS_LISTEN",
        "gateway.tls_listen",
        "none: the gateway speaks plain HTTP",
        "Address of the gateway's TLS listener, besides the plain one. 0.0.0.0:8443 opens it to the network",
    ),
    plain(
        "TURNPIKE_GATEWAY_TLS_CERTIFICATE",
        "gateway.tls_certificate",
        "none",
        "PEM file with the certificate chain of the TLS listener, the server's own first; several with commas between them, of which clients choose by name. Read again when it changes and at SIGHUP",
    ),
    plain(
        "TURNPIKE_GATEWAY_TLS_KEY",
        "gateway.tls_key",
        "none",
        "PEM file with the private key of that certificate; several in the same order",
    ),
    plain("TURNPIKE_GATEWAY_CORES", "gateway.cores", "one for each core", "Threads that serve the gateway, 1 to 256"),
    plain("TURNPIKE_GATEWAY_MAX_BODY", "gateway.max_body", "10485760", "Largest request body in bytes"),
    plain(
        "TURNPIKE_GATEWAY_MAX_CONNECTIONS",
        "gateway.max_connections",
        "10000",
        "Connections that each of those threads holds open at most",
    ),
    plain(
        "TURNPIKE_GATEWAY_MAX_CALLS",
        "gateway.max_calls",
        "10000",
        "Calls that each of those threads has in flight at most; one more is answered with 503 at once",
    ),
    plain(
        "TURNPIKE_GATEWAY_LATE_MS",
        "gateway.late_ms",
        "100",
        "Milliseconds by which such a thread may come round to its calls late, time and again, before it refuses a part with 503",
    ),
    plain(
        "TURNPIKE_MEMORY_LIMIT",
        "gateway.memory_limit",
        "that of the control group, else of the machine",
        "Memory of this process in bytes; connections and calls are bounded so that together they take half of it at most",
    ),
    plain(
        "TURNPIKE_GATEWAY_MAX_IN_FLIGHT",
        "gateway.max_in_flight",
        "none: only connections are bounded",
        "Calls of one product that each of those threads has with its upstream at most, where the product's policy does not say",
    ),
    plain(
        "TURNPIKE_GATEWAY_NODES",
        "gateway.nodes",
        "1",
        "Gateways that serve the same partners. Each lets its part of every limit through, so that together they never pass it",
    ),
    plain(
        "TURNPIKE_GATEWAY_NODE_INDEX",
        "gateway.node_index",
        "0",
        "Which of them this is, from 0. No two may have the same number",
    ),
    plain(
        "TURNPIKE_GATEWAY_HEADER_TIMEOUT",
        "gateway.header_timeout",
        "10",
        "Seconds within which a request's head must have arrived, 1 to 300",
    ),
    plain(
        "TURNPIKE_GATEWAY_IDLE_TIMEOUT",
        "gateway.idle_timeout",
        "75",
        "Seconds after which a connection without a request is closed, 1 to 3600",
    ),
    plain(
        "TURNPIKE_GATEWAY_DRAIN_NOTICE",
        "gateway.drain_notice",
        "0",
        "Seconds for which a server that was told to stop goes on taking connections, says so at /ready with 503, and tells clients to go elsewhere, 0 to 300. Behind a load balancer: longer than it takes to notice",
    ),
    plain(
        "TURNPIKE_GATEWAY_DRAIN",
        "gateway.drain",
        "20",
        "Seconds that calls in flight have after that, 0 to 3600; what is left then is cut off",
    ),
    plain(
        "TURNPIKE_UPSTREAM_ALLOW_PRIVATE",
        "gateway.upstream_allow_private",
        "true",
        "Whether upstreams may be at private and loopback addresses, where a product's policy does not say. metadata opens the addresses too at which clouds hand credentials to their machines (169.254.0.0/16 and their like)",
    ),
    plain(
        "TURNPIKE_UPSTREAM_AUTHORITIES",
        "gateway.upstream_authorities",
        "the web's authorities alone",
        "PEM file with certificates that https upstreams may be signed by, besides",
    ),
    plain(
        "TURNPIKE_UPSTREAM_DNS_FRESH",
        "gateway.upstream_dns_fresh",
        "30",
        "Seconds for which the addresses of an upstream's name count before they are asked for again",
    ),
    plain(
        "TURNPIKE_UPSTREAM_DNS_STALE",
        "gateway.upstream_dns_stale",
        "3600",
        "Seconds for which the last addresses serve while the DNS does not answer",
    ),
    plain(
        "TURNPIKE_DURABILITY",
        "gateway.durability",
        "process",
        "process: usage survives kill -9. host: it also survives a power cut (a disk flush before each answer). off, in development only: no usage is recorded at all, which is what the crash test is compared with",
    ),
    plain(
        "TURNPIKE_LEASES",
        "gateway.leases",
        "exact",
        "exact: units of quotas and credit are taken from Postgres only while some are left. off, in development only: always, which is what the credit test is compared with",
    ),
    plain(
        "TURNPIKE_SPOOL_FULL",
        "gateway.spool_full",
        "refuse",
        "When the disk of the spool is full: refuse answers billable calls with 503, serve serves them unbilled and counts them",
    ),
    plain(
        "TURNPIKE_SPOOL_MAX_BYTES",
        "gateway.spool_max_bytes",
        "4294967296",
        "Disk space that usage waiting for Postgres may take, in bytes",
    ),
    plain(
        "TURNPIKE_SPOOL_KEEP_HOURS",
        "gateway.spool_keep_hours",
        "24",
        "Hours for which usage stays in the spool after it was stored, so that a Postgres which is restored to an earlier instant gets it again, 0 to 8760",
    ),
    plain(
        "TURNPIKE_SPOOL_KEEP_BYTES",
        "gateway.spool_keep_bytes",
        "a quarter of TURNPIKE_SPOOL_MAX_BYTES",
        "Disk space that such usage takes at most, in bytes, within TURNPIKE_SPOOL_MAX_BYTES; it makes way for usage that waits",
    ),
    plain(
        "TURNPIKE_DIRECTORY_MAX_AGE",
        "gateway.directory_max_age",
        "604800",
        "Seconds for which a gateway that starts while Postgres is down believes the directory that it kept on disk; keys that were revoked meanwhile are let in. 1 or more",
    ),
    plain(
        "TURNPIKE_IDEMPOTENCY_MAX_BYTES",
        "gateway.idempotency_max_bytes",
        "268435456",
        "Room in Postgres for each partner's kept answers to requests with an Idempotency-Key, in bytes",
    ),
    plain(
        "TURNPIKE_TRUSTED_PROXIES",
        "gateway.trusted_proxies",
        "none",
        "Networks of your own proxies in front of the gateway, as 10.0.0.0/8,2001:db8::/32. Only they are believed where a call comes from",
    ),
    plain(
        "TURNPIKE_TRUSTED_PROXY_HEADER",
        "gateway.trusted_proxy_header",
        "x-forwarded-for",
        "The header in which those proxies write the client's address, x-forwarded-for or forwarded; the other one is ignored",
    ),
    plain(
        "TURNPIKE_REGION",
        "gateway.region",
        "",
        "Where this gateway stands, in a word of yours, as eu-central: its usage events say so. At most 64 letters, digits, dots and dashes",
    ),
    plain(
        "TURNPIKE_GUESSES_PER_MINUTE",
        "gateway.guesses_per_minute",
        "60",
        "Credentials that nobody has, from one address within a minute on each core; more are answered with 429",
    ),
    plain(
        "TURNPIKE_METRICS_PARTNERS",
        "gateway.metrics_partners",
        "none",
        "Partners whose calls and refusals are counted by themselves in /metrics: their ids, with commas between them, at most 100",
    ),
    plain(
        "TURNPIKE_LOG",
        "logs.filter",
        "info,sqlx=error",
        "What to log: error, warn, info, debug, trace, or per module as gateway=debug,info",
    ),
    plain(
        "TURNPIKE_CALL_LOG",
        "logs.calls",
        "off",
        "Which calls get a log line with decision, reason and cost: off, trouble (refused or failed) or all",
    ),
    plain(
        "TURNPIKE_OTLP_ENDPOINT",
        "logs.otlp_endpoint",
        "none: no traces",
        "Collector that gets a span for each call (OpenTelemetry, OTLP over HTTP with JSON), as http://127.0.0.1:4318",
    ),
    plain("TURNPIKE_LOG_FORMAT", "logs.format", "pretty on a terminal, else json", "pretty or json"),
];

/// The row of a variable.
pub fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

/// The table as the help prints it.
pub fn help() -> String {
    let mut text = String::from(
        "Configuration, by environment or in the TOML file named by --config (the environment wins).\n\
         Secrets, marked *, can also be given as file:/path or env:NAME.\n",
    );
    let mut section = "";
    for variable in VARIABLES {
        let this = variable.key.split('.').next().unwrap_or_default();
        if !this.is_empty() && this != section {
            text.push_str(&format!("\n[{this}]\n"));
            section = this;
        }
        let star = if variable.secret { " *" } else { "" };
        let Variable { name, key, default, meaning, .. } = variable;
        let place = if key.is_empty() { "environment only".to_owned() } else { format!("file: {key}") };
        text.push_str(&format!("  {name}{star}  ({place})\n      {meaning}.\n      Default: {default}\n"));
    }
    text
}
