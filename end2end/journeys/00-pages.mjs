// Every page as a picture, light and dark, on a phone and on a desktop, with data and without; accessible, and quiet.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { acceptInvitation, becomeOperator, openBrowser, signUp, startWorld } from "../harness.mjs";
import { password } from "../harness/people.mjs";
import { root, until } from "../harness/programs.mjs";
import { answer, linkOn, placeOf, says, send } from "../harness/steps.mjs";
import { pages } from "../pages.mjs";

let browser;
let world;
before(async () => {
  browser = await openBrowser();
  world = await startWorld();
  await makeCalls(world);
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

describe("nobody is signed in", () => album("anyone", pages.anyone, async () => {}));
describe("a member sees the example's data", () =>
  album("member", pages.member, async (visitor) => {
    const colleague = await browser.visitor(world);
    await acceptInvitation(colleague, "dev@acme.example", "Dev Eloper");
    await colleague.close();
    await acceptInvitation(visitor, "owner@acme.example");
    await untilCallsAreShown(visitor);
  }));
describe("a member of a new company sees what to do next", () =>
  album("newcomer", pages.member.filter((page) => !page.withData), (visitor) =>
    signUp(visitor, { company: "Newcomer Ltd", email: "nora@newcomer.example" })));
describe("an operator sees the example's data", () => album("operator", pages.operator, becomeOperator));
describe("an operator of an empty installation sees what to do next", () => {
  let empty;
  before(async () => (empty = await startWorld({ example: false })));
  after(() => empty?.stop());
  album("operator-empty", pages.operator.filter((page) => !page.withData), becomeOperator, () => empty);
});
describe("a plan takes prepaid credit", () => {
  before(async () => {
    const file = path.join(world.folder, "turnpike.yaml");
    const plan = `  prepaid:
    name: Prepaid
    currency: USD
    products: [{ product: payments }]
    quota: { units: 2, beyond: block }
    price: { model: free }
    admission: { credit: { required: true } }
  flexible:
    name: Flexible
    currency: EUR
    products: [{ product: payments }]
    price: { model: per_unit, unit_price: "0.004" }
    trial: { days: 14 }
    admission: { credit: { required: true, units_per_minute: 600, allotment: { units: 100, rollover: { percent: 50, periods: 2 } } } }
credit_packages:
  thousand: { name: "1,000 units", units: 1000, currency: USD, price: "90.00", discounts: [{ from: 5, percent: "10" }], valid_days: 365 }
  million: { name: A million units for a whole year of heavy traffic, units: 1000000, currency: USD, price: "64000.00" }
coupons:
  spring: { name: Spring, percent: "12.5", periods: 3 }
  partner-day: { name: Partner day in Hamburg, amount: "250", currency: USD, max_redemptions: 20, plans: [prepaid] }
`;
    const partner = `  prepaid:
    name: Prepaid Ltd
    plan: prepaid
    members: [{ email: paula@prepaid.example, role: owner }]
    apps: { shop: { name: Shop, keys: { live: { name: Live, environment: live } } }, batch: { name: Nightly batch of settlements } }
`;
    const setup = (await readFile(file, "utf8")).replace("\npartners:\n", `\n${plan}\npartners:\n${partner}`);
    await writeFile(file, setup);
    const { invitations, keys } = await world.apply(file);
    world.applied.invitations.push(...invitations);
    await world.turnpike("grant-credit", "--partner", "prepaid", "--units", "1240", "--reason", "Bought");
    const call = async () => (await world.call("/payments/payments", keys[0].text)).status;
    await until("the gateway knows the key", async () => (await call()) === 200);
    for (let number = 0; number < 300; number += 1) await call();
    const launch = ["--units", "750", "--product", "payments", "--expires", "2099-01-01T00:00:00Z", "--reason", "For the launch"];
    await world.turnpike("grant-credit", "--partner", "prepaid", ...launch);
    const later = ["--units", "40", "--product", "payments", "--reason", "For an outage", "--kind", "compensation"];
    await world.turnpike("grant-credit", "--partner", "prepaid", ...later);
  });
  album("prepaid", pages.memberPrepaid, async (visitor) => {
    await acceptInvitation(visitor, "paula@prepaid.example");
    await until("the usage is stored", async () => {
      await visitor.go("/home");
      return (await visitor.page.getByText(/ of 1,240 units/).count()) > 0 && (await visitor.page.getByText("0 of 1,240").count()) === 0;
    });
    await visitor.go("/credit");
    await answer(visitor, "/do/credit/allocate", { holder: "App: Nightly batch of settlements", units: "250", spend: "first" });
    await answer(visitor, "/do/credit/allocate", { holder: "App: Shop", units: "120", spend: "only" });
  });
  describe("an operator sees it", () => album("operator-prepaid", pages.operatorPrepaid, becomeOperator));
});
describe("an API broke off in the middle of requests", () => {
  let broken;
  before(async () => {
    broken = createServer((request) => request.on("data", () => {}).on("end", () => request.socket.destroy()));
    await new Promise((resolve) => broken.listen(0, "127.0.0.1", resolve));
    const key = await sellTransfers(broken.address().port);
    const transfer = (name) => world.call("/transfers/transfers", key, {
      method: "POST", body: "{}", headers: { "content-type": "application/json", "idempotency-key": name },
    });
    await until("the gateway knows the key", async () => (await transfer(`order-${randomUUID()}`)).status === 502);
    for (let number = 1; number <= 60; number += 1) await (await transfer(`order-${number}`)).arrayBuffer();
  });
  after(() => broken?.close());
  album("operator-unknown", pages.operatorUnknown, becomeOperator);
  test("an operator says what became of one, and it is gone from the list", async () => {
    const visitor = await browser.visitor(world, { javaScript: false });
    visitor.expect(/\/pkg\//);
    await becomeOperator(visitor);
    await visitor.go("/console/unknown-requests?q=order-7");
    await visitor.go(await linkOn(visitor, /^\/console\/unknown-requests\/[^/?]+$/));
    await says(visitor, "Transfer live");
    await visitor.page.getByLabel("It did not, and will not").check();
    await answer(visitor, "/do/console/unknown-requests/resolve", { note: "Not in the bank's list" });
    assert.equal(placeOf(visitor), "/console/unknown-requests");
    await says(visitor, "The key is forgotten");
    await visitor.go("/console/unknown-requests?q=order-7");
    await says(visitor, "Nothing matches");
    await visitor.go("/console/audit");
    await says(visitor, "idempotency_key.not_carried_out");
    await visitor.close();
  });
});
describe("a billing period has ended", () => {
  const email = "billie@billed.example";
  before(async () => {
    const [member, operator] = [await browser.visitor(world), await browser.visitor(world)];
    await signUp(member, { company: "Billed Ltd", email });
    await member.go("/plan/change?to=pro");
    await send(member, "/do/plan/choose");
    await becomeOperator(operator);
    await operator.go("/console/clock");
    await answer(operator, "/do/console/clock/advance", { seconds: "2678400" });
    await until("there is an invoice", async () => {
      await operator.go("/console/invoices");
      return (await operator.page.getByText("Billed Ltd").count()) > 0;
    });
    // Which of those who are billed at once comes first is chance, and others owe nothing that could be credited.
    const own = operator.page.locator("tr", { hasText: "Billed Ltd" }).locator('a[href*="/invoices/"]');
    const invoice = await own.getAttribute("href");
    await operator.go(`${invoice}/credit`);
    const credit = operator.page.locator('form[action="/do/console/credit-notes/draft"]').first();
    await credit.getByLabel("Amount").fill("5.00");
    await credit.getByLabel("Why").fill("An outage on the third day");
    await credit.getByRole("button").first().click();
    await operator.page.waitForURL(/\/console\/credit-notes\/[^/]+$/);
    await operator.go(invoice.replace(/\/invoices\/.*/, "/correct?kind=back_fill"));
    const inTheClosedPeriod = new Date(Date.now() + 3_600_000).toISOString().slice(0, 16);
    const reason = "Calls of the first hour came by another way";
    await answer(operator, "/do/console/corrections/draft", { at: inTheClosedPeriod, calls: "12", units: "12", reason });
    await dispute(member, "12.50", "Two of the days were an outage on your side, as your status page says");
    // A day of the journal is written once it is over.
    await operator.go("/console/clock");
    await answer(operator, "/do/console/clock/advance", { seconds: "86400" });
    await until("the journal is written", async () => {
      await operator.go("/console/revenue");
      return (await operator.page.getByText("Nothing is booked").count()) === 0;
    });
    await member.close();
    await operator.close();
  });
  describe("a member reads the invoice", () => album("billed", pages.memberBilled, async (visitor) => {
    await visitor.go("/sign-in");
    await answer(visitor, "/do/sign-in", { email, password });
  }));
  describe("an operator reads it, too", () => album("operator-billed", pages.operatorBilled, becomeOperator));
});

test("every page of the portal is in the list", async () => {
  const routes = await readFile(path.join(root, "app", "src", "routes.rs"), "utf8");
  const paths = [...routes.matchAll(/path!\("([^"]+)"\)/g)].map(([, path]) => path);
  const listed = Object.values(pages).flat();
  for (const route of paths) {
    const shape = new RegExp(`^${route.replace(/:\w+/g, "[^/]+")}$`);
    const example = route.replace(/:(\w+)/g, (_, name) => ({ id: "1", product: "payments" })[name] ?? "x1");
    const seen = listed.some(({ place, link, then = "" }) => {
      const behind = then.split("?")[0];
      return place ? shape.test(place.split("?")[0]) : example.endsWith(behind) && link.test(example.slice(0, example.length - behind.length));
    });
    assert.ok(seen, `${route} is photographed`);
  }
});

/** One test for each page, all seen by the same person. */
function album(name, list, enter, where = () => world) {
  let visitor;
  before(async () => {
    visitor = await browser.visitor(where());
    await enter(visitor);
    visitor.calm();
  });
  after(() => visitor?.context.close());
  for (const page of list) {
    test(`${name}: ${page.name}`, async () => {
      const place = page.place ?? (await findLink(visitor, page));
      if (page.refused) visitor.expect(new RegExp(`${page.refused}`));
      const response = await visitor.go(place);
      assert.equal(response.status(), page.refused ?? 200, `${place} answers`);
      await visitor.photograph(`${name}-${page.name}`);
      visitor.calm();
    });
  }
}

/** The visitor says that a line of its only invoice is wrong. */
async function dispute(visitor, amount, reason) {
  await visitor.go("/invoices");
  await visitor.go(await linkOn(visitor, /^\/invoices\/[^/]+$/));
  await visitor.go(await linkOn(visitor, /^\/invoices\/[^/]+\/lines\/[^/?]+$/));
  await answer(visitor, "/do/disputes/open", { amount, reason });
}

/** A product whose calls take an Idempotency-Key, its partner, and the text of the partner's key. */
async function sellTransfers(port) {
  const file = path.join(world.folder, "transfers.yaml");
  await writeFile(path.join(world.folder, "transfers-api.yaml"), `openapi: 3.1.0
info: { title: Transfers, version: '1' }
paths:
  /transfers:
    post: { operationId: createTransfer, summary: Send money, responses: { '201': { description: Sent } } }
`);
  await writeFile(file, `products:
  transfers:
    name: Transfers
    document: transfers-api.yaml
    route: /transfers
    upstream_url: http://127.0.0.1:${port}
    visibility: plan
    policy: { upstream: { breaker: { failures: 0 } }, operations: { createTransfer: { idempotency_key: required } } }
plans:
  transfers: { name: Transfers, currency: USD, products: [{ product: transfers }], price: { model: free }, private: true }
partners:
  transfers:
    name: Transfer Ltd
    plan: transfers
    apps: { shop: { name: Shop, keys: { live: { name: Transfer live, environment: live } } } }
`);
  return (await world.apply(file)).keys[0].text;
}

/** The address of a link that is found by going from page to page; on the first of them in the row that says `row`. */
async function findLink(visitor, { from, row, through = [], link, then = "" }) {
  let place = from;
  for (const wanted of [...through, link]) {
    await visitor.go(place);
    const links = row && place === from ? visitor.page.locator("tr", { hasText: row }).locator("a[href]") : visitor.page.locator("a[href]");
    const found = await links.evaluateAll((links) => links.map((one) => one.getAttribute("href")));
    const next = found.find((href) => wanted.test(href));
    assert.ok(next, `${place} links to ${wanted}`);
    place = next;
  }
  return place + then;
}

async function untilCallsAreShown(visitor) {
  for (let look = 0; look < 100; look += 1) {
    await visitor.go("/requests");
    if ((await visitor.page.locator('a[href^="/requests/"]').count()) > 0) return;
  }
  assert.fail("the calls are not in the request log");
}

/** Some calls that go well and some that do not, so that usage and the request log have something to show. */
async function makeCalls(world) {
  for (const environment of ["test", "live"]) {
    const key = world.key(environment);
    // A new key is known to the gateway within a second, not at once.
    await until("the gateway knows the key", async () => (await world.call("/payments/payments", key)).status !== 401);
    for (const place of ["/payments/payments", "/payments/payments?limit=2", "/payments/customers", "/payments/payments/none"]) {
      await (await world.call(place, key)).arrayBuffer();
    }
  }
}
