// What an operator does: comes in by the link, sells a product by pasting its document, writes a plan that takes approval,
// approves a partner, and takes a partner off the road and puts it back.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { openBrowser, signUp, startWorld } from "../harness.mjs";
import { password } from "../harness/people.mjs";
import { root } from "../harness/programs.mjs";
import { answer, linkOn, placeOf, says, secretOn, send, within } from "../harness/steps.mjs";

let browser;
let world;
let operator;
let partner;
let key;

before(async () => {
  browser = await openBrowser();
  // Nothing is set up: all of it is done by hand.
  world = await startWorld({ example: false });
  operator = await browser.visitor(world);
  partner = await browser.visitor(world);
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

test("the one-time link opens the console, and a password is set", async () => {
  await operator.go(await world.operatorLink());
  await answer(operator, "/do/console/welcome", { name: "Olga Operator", password });
  assert.equal(placeOf(operator), "/console");
  await says(operator, "Get started");
  operator.calm();
});

test("a bad document gets its errors, and nothing that was typed is lost", async () => {
  await operator.go("/console/products/new");
  const typed = { name: "Payments & more", code: "payments", summary: "Take payments", route: "/payments", upstream_url: world.payments };
  const bad = 'openapi: 3.1.0\ninfo:\n  title: "Broken\npaths: {}\n';
  await answer(operator, "/do/console/products/create", { ...typed, timeout_ms: "4000", visibility: "public", document: bad });
  assert.equal(placeOf(operator), "/console/products/new");
  await says(operator, /line \d+/i);
  for (const [name, value] of Object.entries({ ...typed, timeout_ms: "4000", document: bad })) {
    assert.equal(await operator.page.inputValue(`main [name="${name}"]`), value, `${name} is still there`);
  }
  assert.ok(await operator.page.locator('[name="visibility"][value="public"]').isChecked(), "so is the choice");
  const nowhere = "openapi: 3.1.0\ninfo: { title: T, version: '1' }\npaths:\n  /a:\n    get:\n      operationId: a\n      responses:\n        '200': { $ref: '#/components/responses/None' }\n";
  await answer(operator, "/do/console/products/create", { document: nowhere });
  await says(operator, "/components/responses/None");
  await operator.photograph("operator-bad-document");
  operator.calm();
});

test("the example's document, pasted, becomes a product", async () => {
  const document = await readFile(path.join(root, "examples", "payments-api", "openapi.yaml"), "utf8");
  await answer(operator, "/do/console/products/create", { document });
  assert.match(placeOf(operator), /^\/console\/products\/(?!new)/);
  await says(operator, "Product added with 13 operations");
  await says(operator, "/payments/{payment_id}/capture");
  await operator.page.locator('[name="weights[searchPayments]"]').fill("5");
  await send(operator, "/do/console/products/weights");
  await says(operator, "Weights saved");
  assert.equal(await operator.page.inputValue('[name="weights[searchPayments]"]'), "5");
  operator.calm();
});

test("a plan with approval opens it", async () => {
  await operator.go("/console/plans/new");
  await answer(operator, "/do/console/plans/save", {
    "plan[name]": "Partner",
    "plan[code]": "partner",
    "plan[summary]": "By agreement.",
    "plan[approval]": "queue",
    "plan[opens][payments]": "all",
    "plan[limits][minute]": "none",
  });
  assert.equal(placeOf(operator), "/console/plans/new");
  assert.ok((await operator.page.locator(".field-error").count()) > 0, "says what is wrong with the limit");
  assert.equal(await operator.page.inputValue('[name="plan[name]"]'), "Partner");
  assert.equal(await operator.page.inputValue('[name="plan[opens][payments]"]'), "all");
  await answer(operator, "/do/console/plans/save", { "plan[limits][minute]": "600" });
  await says(operator, "Plan added.");
  operator.calm();
});

test("a partner asks for it and waits", async () => {
  await signUp(partner, { company: "Umbrella", name: "Uma Umbrella", email: "uma@umbrella.example" });
  await partner.go("/plan/change?to=partner");
  await send(partner, "/do/plan/choose");
  await says(partner, "waiting for the provider's approval");
  await partner.go("/home");
  await says(partner, "Wait for approval");
  await partner.go("/apps");
  if ((await partner.page.locator('main table a[href^="/apps/"]').count()) === 0) {
    await answer(partner, "/do/apps/create", { name: "Checkout" });
  }
  if (placeOf(partner) === "/apps") await partner.go(await linkOn(partner, /^\/apps\/[^/?]+$/));
  await answer(partner, "/do/keys/create", { environment: "test", name: "Laptop" });
  key = await secretOn(partner);
  await within(2_000, "the key is known", async () => (await code()) !== "unknown-key");
  assert.notEqual(await code(), undefined, "calls are refused until somebody says yes");
  partner.calm();
});

test("the operator approves, and calls pass", async () => {
  await operator.go("/console");
  await says(operator, "Plans wait for approval");
  await operator.page.getByRole("link", { name: "Look at them" }).click();
  await operator.page.waitForURL("**/console/requests");
  await says(operator, "Umbrella");
  await operator.photograph("operator-approval");
  await send(operator, "/do/console/requests/approve");
  await within(1_000, "calls pass", async () => (await code()) === undefined);
  await partner.go("/plan");
  await says(partner, "Partner, since");
});

test("suspended, calls are refused and its people read why", async () => {
  await operator.go("/console/partners?q=umbrella");
  await operator.go(await operator.page.getByRole("link", { name: "Umbrella" }).getAttribute("href"));
  await answer(operator, "/do/console/partners/suspend", { reason: "The invoice of March is not paid." });
  await within(1_000, "calls are refused", async () => (await code()) === "partner-suspended");
  await says(operator, "The invoice of March is not paid.");
  await partner.go("/home");
  await says(partner, "Your account is suspended");
  await partner.photograph("operator-suspended-partner");
  await send(operator, "/do/console/partners/reactivate");
  await within(1_000, "calls pass again", async () => (await code()) === undefined);
});

test("all of it is in the audit log", async () => {
  await operator.go("/console/audit");
  for (const what of ["product.create", "plan.create", "partner.suspend", "partner.reactivate"]) await says(operator, what);
  await operator.close();
  await partner.close();
});

/** The code of the refusal of one call; nothing where it was served. */
async function code() {
  const answered = await world.call("/payments/payments", key);
  if (answered.ok) return void (await answered.arrayBuffer());
  return (await answered.json()).code;
}
