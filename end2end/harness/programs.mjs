// Programs that run until they are told to stop, each in a process group of its own.
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));
const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? "target");
export const siteDir = process.env.TURNPIKE_SITE_DIR ?? path.join(target, "site");

/** The built program: from the variable, else the debug build. */
export function program(variable, name) {
  const file = process.env[variable] ?? path.join(target, "debug", name);
  if (!existsSync(file)) throw new Error(`${file} is not built: run cargo xtask test, or cargo build --package ${name}`);
  return file;
}

/**
 * Ports that nobody uses now. Not those that the system gives out: another program's connection could take such a one
 * before the server opens it.
 */
export async function freePorts(count) {
  const ports = new Set();
  for (let attempt = 0; attempt < 1_000 && ports.size < count; attempt += 1) {
    const port = randomInt(12_000, 31_000);
    if (await isFree(port)) ports.add(port);
  }
  if (ports.size < count) throw new Error("no port is free");
  return [...ports];
}

const isFree = (port) => new Promise((resolve) => {
  const server = createServer().once("error", () => resolve(false));
  server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
});

const running = new Set();
// However a journey ends, nothing is left behind. The server is asked, not killed: it stops its Postgres itself.
process.once("exit", () => running.forEach((one) => one.signal("SIGTERM")));
for (const [signal, number] of [["SIGHUP", 1], ["SIGINT", 2], ["SIGTERM", 15]]) process.once(signal, () => process.exit(128 + number));

/** One started program and everything it wrote. */
export class Service {
  constructor(name, file, options = {}) {
    this.name = name;
    this.written = "";
    this.child = spawn(file, options.arguments ?? [], {
      cwd: root,
      env: { ...process.env, DATABASE_URL: undefined, ...options.settings },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const keep = (chunk) => (this.written += chunk);
    this.child.stdout.setEncoding("utf8").on("data", keep);
    this.child.stderr.setEncoding("utf8").on("data", keep);
    this.ended = new Promise((resolve) => {
      this.child.once("error", (error) => resolve(error.message));
      this.child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    running.add(this);
    this.ended.then((how) => {
      this.how = how;
      running.delete(this);
    });
  }

  signal(name) {
    try {
      process.kill(-this.child.pid, name);
    } catch {
      // It is gone already.
    }
  }

  /** Asks it to stop; after `patience` milliseconds it is killed, which is an error. */
  async stop(patience = 60_000) {
    this.signal("SIGTERM");
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, patience, "late")));
    const how = await Promise.race([this.ended, late]);
    clearTimeout(timer);
    if (how === "late") {
      this.signal("SIGKILL");
      await this.ended;
      throw new Error(`${this.name} did not stop within ${patience} ms; it wrote:\n${this.lastLines()}`);
    }
  }

  lastLines(count = 30) {
    return this.written.trimEnd().split("\n").slice(-count).join("\n");
  }
}

/** Waits until `ready` gives something true; fails early where the service ends. */
export async function until(what, ready, { service, limit = 120_000, pause = 50 } = {}) {
  const end = Date.now() + limit;
  while (Date.now() < end) {
    const answer = await ready().catch(() => undefined);
    if (answer) return answer;
    if (service?.how !== undefined) throw new Error(`${service.name} ended (${service.how}):\n${service.lastLines()}`);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  throw new Error(`${what}: not within ${limit} ms${service ? `; ${service.name} wrote:\n${service.lastLines()}` : ""}`);
}
