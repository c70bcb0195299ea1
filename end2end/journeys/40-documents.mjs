// Large documents of other companies: imported through the console, every operation readable, the download valid.
// Their files are not part of this repository; without them this says so and passes.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { becomeOperator, openBrowser, signUp, startWorld } from "../harness.mjs";
import { root } from "../harness/programs.mjs";
import { answer, fill, placeOf, says, send } from "../harness/steps.mjs";

const folder = process.env.TURNPIKE_DOCUMENTS ?? path.resolve(root, "..", "shared", "openapi");
const documents = [
  { code: "orders", file: "paypal-orders-v2.json" },
  { code: "captures", file: "paypal-payments-v2.json" },
  { code: "transfers", file: "adyen-transfers-v4.yaml" },
].map((document) => ({ ...document, file: path.join(folder, document.file) }));
const absent = documents.filter(({ file }) => !existsSync(file));

if (absent.length > 0) {
  console.log(`skipped: ${absent.map(({ file }) => path.basename(file)).join(", ")} not found; set TURNPIKE_DOCUMENTS`);
} else {
  describe("documents of other companies", () => {
    let browser;
    let world;
    let operator;
    let partner;
    before(async () => {
      browser = await openBrowser();
      world = await startWorld({ example: false });
      operator = await browser.visitor(world);
      partner = await browser.visitor(world);
      await becomeOperator(operator);
      await signUp(partner, { company: "Reader", name: "Rita Reader", email: "rita@reader.example" });
    });
    after(async () => {
      await browser?.close();
      await world?.stop();
    });

    for (const { code, file } of documents) {
      test(`${path.basename(file)} is imported`, async () => {
        await operator.go("/console/products/new");
        await answer(operator, "/do/console/products/create", {
          name: code, code, route: `/${code}`, upstream_url: world.payments, visibility: "plan", document: await readFile(file, "utf8"),
        });
        assert.match(placeOf(operator), /^\/console\/products\/(?!new)/, await operator.page.locator("main").innerText());
        await says(operator, "Product added");
        operator.calm();
      });
    }

    test("a plan opens all of them, but one operation of each", async () => {
      await operator.go("/console/plans/new");
      const opens = Object.fromEntries(documents.map(({ code }) => [`plan[opens][${code}]`, "some"]));
      await answerOpening(operator, { "plan[name]": "All", "plan[code]": "all", ...opens });
      await says(operator, "Plan added.");
      await partner.go("/plan/change?to=all");
      await send(partner, "/do/plan/choose");
      operator.calm();
    });

    for (const { code, file } of documents) {
      test(`every operation page of ${path.basename(file)} reads well`, async () => {
        await partner.go(`/products/${code}`);
        const places = await operationsOf(partner, code);
        assert.ok(places.length > 0, "has operations");
        for (const place of places) {
          const response = await partner.page.goto(place);
          assert.equal(response.status(), 200, place);
          const text = await partner.page.locator("main").innerText();
          for (const broken of ["$ref", "#/components", "unresolved", "Unresolved", "undefined", "[object Object]"]) {
            assert.ok(!text.includes(broken), `${place} shows ${broken}`);
          }
          assert.ok((await partner.page.locator("h1").count()) === 1, `${place} has one heading`);
        }
        await partner.go(places[0]);
        await partner.photograph(`documents-${code}`);
        partner.calm();
      });

      for (const kind of ["json", "yaml"]) {
        test(`what a partner downloads of ${path.basename(file)} as ${kind} is valid and holds nothing that is hidden`, async () => {
          const response = await partner.page.request.get(`/products/${code}/openapi.${kind}`);
          assert.equal(response.status(), 200);
          const text = await response.text();
          const named = new RegExp(`operationId"?: *"?${RegExp.escape?.(hidden[code]) ?? hidden[code].replaceAll(".", "\\.")}"?,?$`, "m");
          assert.match(await readFile(file, "utf8"), named, `${hidden[code]} is in the provider's document`);
          assert.doesNotMatch(text, named, `${hidden[code]} is hidden`);
          const copy = path.join(world.folder, `${code}.${kind}`);
          await writeFile(copy, text);
          await validate(copy);
        });
      }
    }

    test("nothing went wrong on the way", async () => {
      await operator.close();
      await partner.close();
    });
  });
}

/** The operation of each product that the plan leaves closed. */
const hidden = {};

/** Ticks every operation but the last of each product, and saves. */
async function answerOpening(operator, fields) {
  await fill(operator, "/do/console/plans/save", fields);
  for (const details of await operator.page.locator("details.chosen-operations").all()) {
    await details.evaluate((one) => (one.open = true));
    const boxes = await details.locator('[name="plan[operations][]"]').all();
    for (const [position, box] of boxes.entries()) {
      if (position + 1 < boxes.length || boxes.length === 1) await box.check();
      else {
        const [code, operation] = (await box.getAttribute("value")).split("/");
        hidden[code] = operation;
      }
    }
  }
  await send(operator, "/do/console/plans/save");
}

async function operationsOf(partner, code) {
  const links = partner.page.locator(`.docs-contents a[href^="/products/${code}/"]`);
  return links.evaluateAll((all) => all.map((one) => one.getAttribute("href")));
}

/** The referee is a program of others: it says which rule of OpenAPI a file breaks. */
async function validate(file) {
  const referee = path.join(root, "end2end", "openapi-referee");
  await promisify(execFile)("node", ["validate.mjs", file], { cwd: referee, maxBuffer: 1 << 26 }).catch(({ stdout, stderr }) => {
    assert.fail(`${file} is not valid OpenAPI:\n${stdout}${stderr}`.slice(0, 4_000));
  });
}
