// A fresh Chromium, and people in it: each with a window, cookies and a watch over everything that goes wrong.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";
import { photograph } from "./photograph.mjs";

const flags = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
  "--no-sandbox",
];

export async function openBrowser() {
  const home = await mkdtemp(path.join(tmpdir(), "turnpike-chromium-"));
  const chrome = await chromium.launch({
    executablePath: process.env.TURNPIKE_CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: flags,
    // Its own home, so that nothing of this machine's user leaks in.
    env: { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home },
  });
  return {
    chrome,
    async visitor(world, { javaScript = true, width = 1280, height = 800 } = {}) {
      const context = await chrome.newContext({
        baseURL: world.portal,
        javaScriptEnabled: javaScript,
        viewport: { width, height },
        reducedMotion: "reduce",
        locale: "en-GB",
        timezoneId: "UTC",
      });
      // Longer than any pause of a busy machine; it only ends what never comes.
      context.setDefaultTimeout(60_000);
      return new Visitor(world, context, await context.newPage());
    },
    async close() {
      await chrome.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

class Visitor {
  problems = [];
  expected = [];

  constructor(world, context, page) {
    Object.assign(this, { world, context, page });
    context.on("page", (opened) => this.watch(opened));
    this.watch(page);
  }

  watch(page) {
    if (page.watched) return;
    page.watched = true;
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.note(`console ${message.type()}: ${message.text()}`);
    });
    page.on("pageerror", (error) => this.note(`page error: ${error.message}`));
    page.on("requestfailed", (request) => {
      const why = request.failure()?.errorText ?? "";
      // A navigation that is overtaken by the next one is no fault of the page.
      if (why !== "net::ERR_ABORTED") this.note(`request failed: ${request.method()} ${request.url()} ${why}`);
    });
    page.on("response", (response) => {
      if (response.status() >= 400) this.note(`answer ${response.status()}: ${response.url()}`);
    });
  }

  note(problem) {
    this.problems.push(`${problem} (on ${this.page.url()})`);
  }

  /** Lets problems that match pass: for pages that are meant to refuse. */
  expect(...patterns) {
    this.expected.push(...patterns);
  }

  /** Opens a place of the portal, or a whole address, and waits until it is quiet. */
  async go(place) {
    const response = await this.page.goto(place, { waitUntil: "networkidle" });
    return response;
  }

  /** Fails if anything went wrong that was not expected. */
  calm() {
    const left = this.problems.filter((problem) => !this.expected.some((pattern) => pattern.test(problem)));
    this.problems = [];
    assert.deepEqual(left, [], "the browser saw no problem");
  }

  photograph(name) {
    return photograph(this.page, name);
  }

  async close() {
    await this.context.close();
    this.calm();
  }
}
