// The forms of the main job with JavaScript off: everything that can be sent works as a plain page.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import path from "node:path";
import { becomeOperator, openBrowser, signUp, startWorld } from "../harness.mjs";
import { password } from "../harness/people.mjs";
import { root } from "../harness/programs.mjs";
import { answer, linkOn, placeOf, says, secretOn, send } from "../harness/steps.mjs";

const email = "paul@plain.example";
let browser;
let world;
let partner;

before(async () => {
  browser = await openBrowser();
  world = await startWorld();
  partner = await plain();
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

async function plain() {
  const visitor = await browser.visitor(world, { javaScript: false });
  // With scripts off Chromium refuses what the page announces for them, and says so.
  visitor.expect(/\/pkg\//);
  return visitor;
}

test("sign-up and sign-in", async () => {
  await signUp(partner, { company: "Plain & Co", name: "Paul Plain", email });
  assert.equal(placeOf(partner), "/home");
  await partner.context.clearCookies();
  await partner.go("/sign-in");
  await answer(partner, "/do/sign-in", { email, password });
  assert.equal(placeOf(partner), "/home");
});

test("choosing a plan and changing it", async () => {
  await partner.go("/plan/change?to=starter");
  await send(partner, "/do/plan/choose");
  await says(partner, "Starter, since");
  await partner.go("/plan/change?to=pro");
  await says(partner, "Change to Pro");
  await send(partner, "/do/plan/choose");
  assert.equal(placeOf(partner), "/plan");
  await says(partner, "Pro, since");
});

test("creating an app and a key, which then calls", async () => {
  await partner.go("/apps");
  await answer(partner, "/do/apps/create", { name: "Back office" });
  if (placeOf(partner) === "/apps") {
    await partner.go(await partner.page.getByRole("link", { name: "Back office" }).getAttribute("href"));
  }
  await answer(partner, "/do/keys/create", { environment: "test", name: "Script" });
  const key = await secretOn(partner);
  const answered = await eventually(() => world.call("/payments/payments", key), (one) => one.status === 200);
  assert.equal(answered.status, 200);
  await partner.go("/requests");
  await partner.go("/usage?environment=test");
});

test("the reference can be read, searched and downloaded; trying says that it needs a script", async () => {
  await partner.go("/products/payments?q=refund");
  await says(partner, "Create a refund");
  await partner.go("/products/payments/createRefund");
  await says(partner, "curl");
  await says(partner, "needs JavaScript");
  const document = await partner.page.request.get("/products/payments/openapi.json");
  assert.equal(document.status(), 200);
});

test("a mistake in a form comes back beside its field, with what was typed", async () => {
  await partner.go("/apps");
  await partner.page.locator('form[action="/do/apps/create"] [name="name"]').fill(" ");
  await send(partner, "/do/apps/create");
  assert.equal(placeOf(partner), "/apps");
  assert.ok((await partner.page.locator(".field-error, .error-summary").count()) > 0, "says what is wrong");
});

test("an operator adds a product by uploading its document", async () => {
  const operator = await plain();
  await becomeOperator(operator);
  await operator.go("/console/products/new");
  await answer(operator, "/do/console/products/create", {
    name: "Payouts",
    code: "payouts",
    route: "/payouts",
    upstream_url: world.payments,
    visibility: "public",
    file: path.join(root, "examples", "payments-api", "openapi.yaml"),
  });
  assert.match(placeOf(operator), /^\/console\/products\/prod/);
  await says(operator, "Product added with 13 operations");
  await operator.go("/console/products");
  await operator.go(await linkOn(operator, /^\/console\/products\/(?!new)/));
  await operator.close();
});

test("nothing went wrong on the way", async () => {
  await partner.close();
});

async function eventually(ask, holds) {
  const end = Date.now() + 60_000;
  for (;;) {
    const answered = await ask();
    if (holds(answered) || Date.now() > end) return answered;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
