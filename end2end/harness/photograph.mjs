// A page as pictures: light and dark, a phone and a desktop. On each, axe-core finds nothing and nothing sticks out. What colours
// have no part in is asked of the light ones alone. With TURNPIKE_PICTURES=none the pictures are not kept, for where nobody looks
// at them.
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { root } from "./programs.mjs";

const artifacts = path.join(root, "end2end", "artifacts");
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const widths = [360, 1440];
const schemes = ["light", "dark"];
/** The rules of axe-core by which a page that is good in light can fail in dark. */
const ofColours = ["color-contrast", "link-in-text-block"];
const keep = process.env.TURNPIKE_PICTURES !== "none";

export async function photograph(page, name) {
  if (keep) await mkdir(artifacts, { recursive: true });
  const before = page.viewportSize();
  const faults = new Map();
  for (const colorScheme of schemes) {
    for (const width of widths) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      const picture = `${name}-${colorScheme}-${width}`;
      const file = path.join(artifacts, `${picture}.png`);
      // Colours that go over into others have got there afterwards, also where nothing of it is kept.
      const much = keep ? { path: file, fullPage: true } : { clip: { x: 0, y: 0, width: 1, height: 1 } };
      await page.screenshot({ ...much, animations: "disabled", timeout: 120_000 });
      for (const fault of await look(page, colorScheme === "dark" ? ofColours : undefined)) faults.set(fault, [...(faults.get(fault) ?? []), `${colorScheme} ${width}`]);
    }
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: "reduce" });
  if (before) await page.setViewportSize(before);
  const found = [...faults].map(([fault, pictures]) => `${fault} [${pictures.join(", ")}]`);
  assert.deepEqual(found, [], `${name} is accessible and fits`);
}

async function look(page, rules) {
  if (!(await page.evaluate("typeof axe === 'object'"))) await page.evaluate(axe);
  const { violations, overflow } = await page.evaluate(async (rules) => ({
    violations: (await axe.run(document, { resultTypes: ["violations"], ...(rules && { runOnly: rules }) })).violations,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  }), rules);
  const faults = violations.map(({ id, help, nodes }) => {
    const places = nodes.slice(0, 3).map(({ target, any }) => `${target.join(" ")}${any[0] ? ` (${any[0].message})` : ""}`);
    return `${id}: ${help}: ${places.join("; ")}`;
  });
  if (overflow > 0) faults.push(`the page is ${overflow} px wider than the window`);
  return faults;
}
