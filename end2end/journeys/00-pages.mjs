// Every page as a picture, light and dark, on a phone and on a desktop, with data and without; accessible, and quiet.
import { after, before, describe, test } from "node:test";
import assert from "node:assert/strict";
import { acceptInvitation, becomeOperator, openBrowser, signUp, startWorld } from "../harness.mjs";
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
  album("member", pages.member, (visitor) => acceptInvitation(visitor, "owner@acme.example")));
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

async function findLink(visitor, { from, link }) {
  await visitor.go(from);
  const found = await visitor.page.locator("a[href]").evaluateAll((links) => links.map((one) => one.getAttribute("href")));
  const place = found.find((href) => link.test(href));
  assert.ok(place, `${from} links to ${link}`);
  return place;
}

/** Some calls that go well and some that do not, so that usage and the request log have something to show. */
async function makeCalls(world) {
  for (const environment of ["test", "live"]) {
    const key = world.key(environment);
    for (const place of ["/payments/payments", "/payments/payments?limit=2", "/payments/customers", "/payments/payments/none"]) {
      await (await world.call(place, key)).arrayBuffer();
    }
  }
}
