// The calculator of the price list: what the browser works out by itself, the server works out to the same cent.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser, startWorld } from "../harness.mjs";
import { says } from "../harness/steps.mjs";

const plans = ["starter", "pro", "enterprise"];
const operations = ["createPayment", "listPayments", "searchPayments", "getSettlementReport"];
let browser;
let world;
let visitor;

before(async () => {
  browser = await openBrowser();
  world = await startWorld();
  visitor = await browser.visitor(world);
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

const nameOf = (operation) => `calls[payments/${operation}]`;
const totalsOn = (page) => Promise.all(plans.map((plan) => page.locator(`[data-total="${plan}"]`).innerText()));

/** What the server says of these calls, without a script. */
async function told(calls) {
  const query = new URLSearchParams(Object.entries(calls).map(([operation, count]) => [nameOf(operation), `${count}`]));
  const answer = await visitor.page.request.get(`/pricing?${query}`);
  assert.equal(answer.status(), 200);
  const text = await answer.text();
  return plans.map((plan) => text.match(new RegExp(`data-total="${plan}"[^>]*>([^<]*)<`))?.[1]);
}

async function type(calls) {
  for (const [operation, count] of Object.entries(calls)) {
    await visitor.page.locator(`[name="${nameOf(operation)}"]`).fill(`${count}`);
  }
}

test("the browser works a bill out by itself, without asking the server", async () => {
  await visitor.go("/pricing");
  await visitor.context.setOffline(true);
  await type({ createPayment: "250,000", listPayments: 400_000 });
  const [starter, pro, enterprise] = await totalsOn(visitor.page);
  // 49 and 550,000 units beyond the included ones at 0.005; the first million units of Enterprise are free.
  assert.deepEqual([starter, pro, enterprise], ["$0.00", "$2,799.00", "$499.00"]);
  await says(visitor, "640,000 units more than its quota");
  await type({ getSettlementReport: 1 });
  await says(visitor, "Not opened by this plan");
  await visitor.context.setOffline(false);
  visitor.calm();
});

test("the server says the same to the cent, whatever is asked", async () => {
  let seed = 20_261_122;
  const random = (below) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  for (let round = 0; round < 25; round += 1) {
    const calls = Object.fromEntries(operations.map((operation) => [operation, random(10 ** (1 + random(7)))]));
    await type(calls);
    assert.deepEqual(await totalsOn(visitor.page), await told(calls), JSON.stringify(calls));
  }
  visitor.calm();
});

test("the button puts the numbers into the address, and the page that it leads to says the same", async () => {
  const before = await totalsOn(visitor.page);
  await Promise.all([
    visitor.page.waitForNavigation({ waitUntil: "networkidle" }),
    visitor.page.getByRole("button", { name: "Calculate" }).click(),
  ]);
  assert.deepEqual(await totalsOn(visitor.page), before);
  const plain = await browser.visitor(world, { javaScript: false });
  // With scripts off Chromium refuses what the page announces for them, and says so.
  plain.expect(/\/pkg\//);
  await plain.go(visitor.page.url());
  assert.deepEqual(await totalsOn(plain.page), before);
  await plain.close();
});

test("what is no number is said beside its field, and no bill is shown", async () => {
  await type({ createPayment: "many" });
  await says(visitor, "A whole number, at most");
  assert.equal(await visitor.page.locator("[data-total]").count(), 0);
  await type({ createPayment: "" });
  assert.equal(await visitor.page.locator("[data-total]").count(), plans.length);
  visitor.calm();
});

test("nothing went wrong on the way", async () => {
  await visitor.close();
});
