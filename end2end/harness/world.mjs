// One installation: the server with fresh data, the payments API behind it, and where wanted the stand-in for Stripe.
import { execFile } from "node:child_process";
import { chmod, mkdtemp, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { Service, freePorts, program, root, siteDir, until } from "./programs.mjs";

const run = promisify(execFile);
const webhookSecret = "whsec_turnpike";
/** Where `examples/turnpike.yaml` says that the payments API is. */
const usualUpstream = "127.0.0.1:4010";

export async function startWorld({ example = true, stripe = false, settings = {} } = {}) {
  const world = new World(await mkdtemp(path.join(tmpdir(), "turnpike-world-")));
  try {
    await world.start({ example, stripe, settings });
  } catch (error) {
    await world.stop().catch(() => {});
    throw error;
  }
  return world;
}

class World {
  services = [];
  applied = { keys: [], invitations: [] };

  constructor(folder) {
    this.folder = folder;
  }

  async start({ example, stripe, settings }) {
    // Postgres runs as another user where we are root, and has to get through.
    await chmod(this.folder, 0o711);
    const [portal, gateway, admin, payments, stripePort] = await freePorts(5);
    const at = (port) => `http://localhost:${port}`;
    Object.assign(this, { portal: at(portal), gateway: at(gateway), admin: at(admin), payments: at(payments) });
    this.settings = {
      TURNPIKE_DEVELOPMENT: "true",
      TURNPIKE_DATA_DIR: path.join(this.folder, "data"),
      TURNPIKE_SITE_DIR: siteDir,
      TURNPIKE_PORTAL_LISTEN: `127.0.0.1:${portal}`,
      TURNPIKE_GATEWAY_LISTEN: `127.0.0.1:${gateway}`,
      TURNPIKE_ADMIN_LISTEN: `127.0.0.1:${admin}`,
      TURNPIKE_LOG_FORMAT: "pretty",
      // A busy machine is late, and no journey is about that.
      TURNPIKE_GATEWAY_LATE_MS: "600000",
      ...settings,
    };
    this.add("payments-api", program("PAYMENTS_API_BIN", "payments-api"), ["--port", `${payments}`]);
    if (stripe) {
      this.stripe = at(stripePort);
      const webhook = `${this.portal}/webhooks/stripe`;
      const options = ["--port", `${stripePort}`, "--webhook", webhook, "--webhook-secret", webhookSecret];
      this.add("stripe-stand-in", program("STRIPE_STAND_IN_BIN", "stripe-stand-in"), options);
      this.settings.TURNPIKE_STRIPE_URL ??= this.stripe;
      this.settings.TURNPIKE_STRIPE_KEY ??= "sk_test_turnpike";
      this.settings.TURNPIKE_STRIPE_WEBHOOK_SECRET ??= webhookSecret;
    }
    await this.serve();
    if (example) this.applied = await this.apply(await this.example(payments));
  }

  /** Starts the server, on the data that is there. */
  async serve() {
    this.server = this.add("turnpike", program("TURNPIKE_BIN", "turnpike"), ["serve"]);
    const ready = async () => (await fetch(`${this.admin}/ready`)).ok;
    await until("the server is ready", ready, { service: this.server });
  }

  add(name, file, options) {
    const service = new Service(name, file, { arguments: options, settings: this.settings });
    this.services.push(service);
    return service;
  }

  /** Runs a command of `turnpike` on this installation and gives what it printed. */
  async turnpike(...options) {
    const env = { ...process.env, ...this.settings };
    delete env.DATABASE_URL;
    const { stdout } = await run(program("TURNPIKE_BIN", "turnpike"), options, { env, cwd: root, maxBuffer: 1 << 26 });
    return stdout;
  }

  async apply(file) {
    return JSON.parse(await this.turnpike("apply", file));
  }

  async operatorLink() {
    return (await this.turnpike("operator-link")).match(/https?:\S+/)[0];
  }

  /** The text of a key that the example made: "test" or "live". */
  key(environment) {
    return this.applied.keys.find((key) => key.environment === environment)?.text;
  }

  /** The link by which a member of the example gets in, once. */
  invitation(email) {
    return this.applied.invitations.find((invitation) => invitation.email === email)?.link;
  }

  /** A call through the gateway. */
  call(place, key, options = {}) {
    return fetch(this.gateway + place, { ...options, headers: { authorization: `Bearer ${key}`, ...options.headers } });
  }

  /** The dev inbox, newest first: where each mail is, to whom, and its subject. */
  async mails() {
    const html = await (await fetch(`${this.portal}/dev/inbox`)).text();
    const rows = html.split("<tr").slice(1).map((row) => row.split("</tr>")[0]).map((row) => ({
      place: row.match(/href="(\/dev\/inbox\/\d+)"/)?.[1],
      text: plain(row.slice(row.indexOf(">") + 1)),
    }));
    return rows.filter((row) => row.place);
  }

  /** The newest mail to an address, as text; waits for it. */
  async mailTo(address) {
    const find = async () => (await this.mails()).find((mail) => mail.text.includes(address));
    const { place } = await until(`a mail to ${address}`, find, { limit: 60_000 });
    const html = await (await fetch(this.portal + place)).text();
    return { place, html, text: plain(html) };
  }

  /** The first link with a token in the newest mail to an address. */
  async linkTo(address) {
    const { html, place } = await this.mailTo(address);
    const link = html.match(/href="([^"]+[?&]token=[^"]+)"/)?.[1];
    if (!link) throw new Error(`the mail at ${place} holds no link`);
    return new URL(unescape(link), this.portal).href;
  }

  log() {
    return this.server.written;
  }

  /** Stops everything and removes the data. */
  async stop() {
    const problems = [];
    for (const service of this.services.reverse()) {
      await service.stop().catch((problem) => problems.push(problem));
    }
    await this.removePostgres();
    await rm(this.folder, { recursive: true, force: true });
    if (problems.length > 0) throw problems[0];
  }

  /** Where the data directory cannot be reached by the user of Postgres, its data is behind a link. */
  async removePostgres() {
    const link = path.join(this.folder, "data", "postgres");
    const elsewhere = await readlink(link).catch(() => undefined);
    if (elsewhere?.startsWith("/var/lib/turnpike/")) await rm(elsewhere, { recursive: true, force: true });
  }

  async example(payments) {
    const folder = path.join(root, "examples");
    const text = (await readFile(path.join(folder, "turnpike.yaml"), "utf8"))
      .replaceAll(usualUpstream, `127.0.0.1:${payments}`)
      .replaceAll("document: payments-api", `document: ${folder}/payments-api`);
    const file = path.join(this.folder, "turnpike.yaml");
    await writeFile(file, text);
    return file;
  }
}

function plain(html) {
  return unescape(html.replace(/<(script|style)[\s\S]*?<\/\1>|<[^>]*>/g, " ")).replace(/\s+/g, " ").trim();
}

function unescape(text) {
  const names = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'", "#x27": "'", "#x2F": "/" };
  return text.replace(/&(amp|lt|gt|quot|#39|#x27|#x2F);/g, (_, name) => names[name]);
}
