// Small steps that journeys are made of: read a page, fill in its form, send it.
import assert from "node:assert/strict";

/** Where a visitor is, without the query. */
export const placeOf = (visitor) => new URL(visitor.page.url()).pathname;

/** Fails unless the page shows these words. */
export async function says(visitor, words) {
  const text = await visitor.page.locator("body").innerText();
  const found = words instanceof RegExp ? words.test(text) : text.includes(words);
  assert.ok(found, `${visitor.page.url()} says "${words}", among:\n${text}`);
}

/** The form that goes to `action`, the last of them on the page: one may stand in a closed dialog as well. */
const formOf = (visitor, action) => visitor.page.locator(`main form[action="${action}"]`).last();

/** Fills in fields of the form that goes to `action`: text by value, a choice by its value, a box by true or false. */
export async function fill(visitor, action, fields) {
  for (const [name, value] of Object.entries(fields)) {
    const field = formOf(visitor, action).locator(`[name="${name}"]:not([type=hidden])`);
    const kind = await field.first().evaluate((one) => (one.tagName === "SELECT" ? "select" : one.type));
    if (kind === "select") await field.first().selectOption(value);
    else if (kind === "checkbox") await field.first().setChecked(value);
    else if (kind === "radio") await field.and(visitor.page.locator(`[value="${value}"]`)).first().check({ force: true });
    else if (kind === "file") await field.first().setInputFiles(value);
    // Typing a large document takes a browser long; pasting does not.
    else if (value.length > 20_000) await field.first().evaluate((one, text) => (one.value = text), value);
    else await field.first().fill(value);
  }
}

/** Presses the button of the form that goes to `action`, and waits for the next page. */
export async function send(visitor, action) {
  const button = formOf(visitor, action).locator("button[type=submit], button:not([type])").first();
  await Promise.all([visitor.page.waitForNavigation({ waitUntil: "networkidle" }), button.click()]);
}

/** Fills in a form and sends it. */
export async function answer(visitor, action, fields = {}) {
  await fill(visitor, action, fields);
  await send(visitor, action);
}

/** The address of the first link of the page that matches. */
export async function linkOn(visitor, pattern) {
  const places = await visitor.page.locator("a[href]").evaluateAll((links) => links.map((one) => one.getAttribute("href")));
  const found = places.find((place) => pattern.test(place));
  assert.ok(found, `${visitor.page.url()} links to ${pattern}, among ${places.join(" ")}`);
  return found;
}

/** The key or token that the page shows this once. */
export async function secretOn(visitor) {
  const text = await visitor.page.locator("main").innerText();
  const found = text.match(/\btp_(?:test|live)_[A-Za-z0-9]+/)?.[0];
  assert.ok(found, `${visitor.page.url()} shows a key, among:\n${text}`);
  return found;
}

/**
 * Asks again and again until `ask` gives something true, and says how many milliseconds that took and how many are
 * promised. Being late is printed and fails nothing, as that depends on what else the machine does; never coming fails.
 */
export async function within(promised, what, ask) {
  const begin = performance.now();
  for (;;) {
    const answer = await ask();
    const took = performance.now() - begin;
    if (answer) {
      const late = took > promised ? ", late" : "";
      console.log(`  time ${what}: ${Math.round(took)} ms of ${promised} ms${late}`);
      return { answer, took };
    }
    assert.ok(took <= promised + 30_000, `${what}: promised within ${promised} ms, and not there thirty seconds later`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
