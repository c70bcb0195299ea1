// A price by what the API says of each call: how it was paid, and how much. From the answer to the bill, to the cent.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import { acceptInvitation, becomeOperator, openBrowser, startWorld } from "../harness.mjs";
import { until } from "../harness/programs.mjs";
import { answer, linkOn, says, send } from "../harness/steps.mjs";

let api;
let browser;
let world;
let member;
let key;

before(async () => {
  // It answers what it is asked.
  api = createServer((request, answer) => {
    answer.writeHead(201, { "content-type": "application/json" });
    request.pipe(answer);
  });
  await new Promise((resolve) => api.listen(0, "127.0.0.1", resolve));
  browser = await openBrowser();
  world = await startWorld({ example: false });
  const applied = await world.apply(await setUp(api.address().port));
  world.applied = applied;
  key = applied.keys[0].text;
  member = await browser.visitor(world);
  await acceptInvitation(member, "owner@shop.example");
});
after(async () => {
  await member?.close();
  await browser?.close();
  await world?.stop();
  api?.close();
});

async function setUp(port) {
  const file = path.join(world.folder, "turnpike.yaml");
  await writeFile(path.join(world.folder, "charges.yaml"), `openapi: 3.1.0
info: { title: Charges, version: '1' }
paths:
  /charges:
    post: { operationId: createCharge, summary: Take a payment, responses: { '201': { description: Taken } } }
`);
  const amount = "value: { json_field: { pointer: /amount } }";
  const method = "says: { json_field: { pointer: /paid/by } }";
  await writeFile(file, `products:
  charges:
    name: Charges
    document: charges.yaml
    route: /charges
    upstream_url: http://127.0.0.1:${port}
    visibility: public
    policy:
      meters:
        debits: { name: Bank debits, unit: cent, ${amount}, at_most: 62500, only_where: { ${method}, one_of: [ach, SEPA debit] } }
        amex: { name: American Express, unit: cent, ${amount}, only_where: { ${method}, one_of: [amex] } }
        cards: { name: Other cards, unit: cent, ${amount}, only_where: { ${method}, none_of: [ach, SEPA debit, amex] } }
plans:
  charges:
    name: Charges
    currency: USD
    products: [{ product: charges }]
    price: { model: free }
    meters:
      - { product: charges, meter: debits, price: { model: percentage, unit_value: "0.01", percent: "0.8" } }
      - { product: charges, meter: amex, price: { model: percentage, unit_value: "0.01", percent: "3.5", fixed: "0.30" } }
      - { product: charges, meter: cards, price: { model: percentage, unit_value: "0.01", percent: "2.9", fixed: "0.30" } }
partners:
  shop:
    name: Shop Ltd
    plan: charges
    members: [{ email: owner@shop.example, role: owner }]
    apps: { shop: { name: Shop, keys: { live: { name: Live, environment: live } } } }
`);
  return file;
}

async function charge(...payments) {
  for (const payment of payments) {
    const options = { method: "POST", body: JSON.stringify(payment), headers: { "content-type": "application/json" } };
    const answer = await world.call("/charges/charges", key, options);
    assert.equal(answer.status, 201);
    assert.deepEqual(await answer.json(), payment);
  }
}

/** Where the product's policy is edited. */
async function policyOf(operator) {
  await operator.go("/console/products");
  await operator.go(await linkOn(operator, /^\/console\/products\/(?!new)[^/?]+$/));
  return linkOn(operator, /\/policy$/);
}

/** Waits for a bill so far of that total, and gives its lines. */
async function billOf(total) {
  const read = async () => {
    await member.go("/plan");
    const text = await member.page.locator("main").innerText();
    return text.includes(total) && text;
  };
  return until(`a bill of ${total}`, read, { limit: 60_000 });
}

test("each payment is on the line of how it was paid, and no debit costs more than 5.00", async () => {
  await until("the gateway knows the key", async () => (await world.call("/charges/nothing", key)).status === 404);
  await charge(
    { amount: 10_000, paid: { by: "ach" } }, // 0.80
    { amount: 1_000_000, paid: { by: "SEPA debit" } }, // 5.00, and not 80.00
    { amount: 10_000, paid: { by: "amex" } }, // 3.50 and 0.30
    { amount: 10_000, paid: { by: "visa" } }, // 2.90 and 0.30
    { amount: 2_000 }, // 0.58 and 0.30
    { amount: 2_000, paid: { by: ["ach"] } }, // nobody can tell
  );
  const bill = await billOf("$13.68");
  for (const part of ["Charges, Bank debits", "72,500", "$5.80", "Charges, American Express", "$3.80", "Charges, Other cards", "12,000", "$4.08"]) {
    assert.ok(bill.includes(part), `the bill says ${part}, among:\n${bill}`);
  }
  const metrics = await (await fetch(`${world.admin}/metrics`)).text();
  assert.match(metrics, /turnpike_gateway_meter_unreadable_total\{product="charges"\} 3\n/);
});

test("the partner reads what is measured, and the price list works it out", async () => {
  await member.go("/products/charges");
  await says(member, "Each call counts for at most 62,500. Only where the API says SEPA debit or ach in /paid/by.");
  await says(member, "Not where the API says SEPA debit, ach or amex in /paid/by.");
  await member.photograph("meters-product");
  await member.go("/pricing");
  await says(member, "Only where the API says amex in /paid/by. In cent.");
  await says(member, "Charges, American Express: 3.5 % of the value and $0.30 a call");
});

test("a condition that says two things is told in its meter's group, which is open", async () => {
  const operator = await browser.visitor(world);
  await becomeOperator(operator);
  await operator.go(await policyOf(operator));
  const group = operator.page.getByRole("group", { name: "American Express" });
  assert.equal(await group.getAttribute("open"), null);
  await group.locator("summary").click();
  await answer(operator, "/do/console/policies/product", { "policy[meters.0.only_where.none_of]": "ach" });
  assert.equal(await group.getAttribute("open"), "");
  await says(operator, "Say the values that it measures, or those that it does not, and not both");
  await operator.photograph("meters-policy-wrong");
  await operator.close();
});

test("the form of the policy keeps all of it", async () => {
  const operator = await browser.visitor(world);
  await becomeOperator(operator);
  const policy = await policyOf(operator);
  const written = async () => {
    await operator.go(policy);
    const fields = operator.page.locator('main [name^="policy[meters."]');
    const read = (all) => all.map((one) => [one.name.slice("policy[".length, -1), one.value]).filter(([, value]) => value);
    return fields.evaluateAll(read);
  };
  const kept = await written();
  const expected = [
    ["meters.2.code", "debits"],
    ["meters.2.at_most", "62500"],
    ["meters.2.only_where.says", "/paid/by"],
    ["meters.2.only_where.one_of", "SEPA debit, ach"],
    ["meters.1.only_where.none_of", "SEPA debit, ach, amex"],
  ];
  for (const [name, value] of expected) assert.equal(Object.fromEntries(kept)[name], value, name);
  await operator.photograph("meters-policy");
  await send(operator, "/do/console/policies/product");
  assert.deepEqual(await written(), kept);
  await operator.close();
  // As before it was saved, to the cent.
  await charge({ amount: 1_000_000, paid: { by: "ach" } }, { amount: 10_000, paid: { by: "amex" } });
  await billOf("$22.48");
  await member.photograph("meters-plan");
});
