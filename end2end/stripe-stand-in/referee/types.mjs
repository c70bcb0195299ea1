// Checks the requests that billing really sent against the parameter types of Stripe's own library, so that the stand-in
// cannot accept what Stripe would not. The billing tests leave the requests behind.
//
//   node types.mjs <folder of stripe-requests/*.json>

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = process.argv[2];
if (!folder) {
  console.error("Say where the requests are: node types.mjs <folder>");
  process.exit(2);
}

const types = [
  ["POST", /^\/v1\/customers$/, "Stripe.CustomerCreateParams"],
  ["POST", /^\/v1\/customers\/[^/]+$/, "Stripe.CustomerUpdateParams"],
  ["GET", /^\/v1\/customers$/, "Stripe.CustomerListParams"],
  ["GET", /^\/v1\/customers\/search$/, "Stripe.CustomerSearchParams"],
  ["POST", /^\/v1\/invoices$/, "Stripe.InvoiceCreateParams"],
  ["GET", /^\/v1\/invoices$/, "Stripe.InvoiceListParams"],
  ["GET", /^\/v1\/invoices\/[^/]+$/, "Stripe.InvoiceRetrieveParams"],
  ["POST", /^\/v1\/invoices\/[^/]+\/finalize$/, "Stripe.InvoiceFinalizeInvoiceParams"],
  ["POST", /^\/v1\/invoices\/[^/]+\/void$/, "Stripe.InvoiceVoidInvoiceParams"],
  ["POST", /^\/v1\/credit_notes$/, "Stripe.CreditNoteCreateParams"],
  ["GET", /^\/v1\/credit_notes$/, "Stripe.CreditNoteListParams"],
  ["POST", /^\/v1\/invoiceitems$/, "Stripe.InvoiceItemCreateParams"],
  ["GET", /^\/v1\/invoiceitems$/, "Stripe.InvoiceItemListParams"],
  ["DELETE", /^\/v1\/invoiceitems\/[^/]+$/, "Stripe.InvoiceItemDeleteParams"],
  ["POST", /^\/v1\/billing\/meters$/, "Stripe.Billing.MeterCreateParams"],
  ["GET", /^\/v1\/billing\/meters$/, "Stripe.Billing.MeterListParams"],
  ["GET", /^\/v1\/billing\/meters\/[^/]+\/event_summaries$/, "Stripe.Billing.MeterListEventSummariesParams"],
  ["POST", /^\/v1\/billing\/meter_events$/, "Stripe.Billing.MeterEventCreateParams"],
];
// A form has only texts; these are what the library takes as numbers and booleans.
const numbers = new Set(["amount", "refund_amount", "out_of_band_amount", "days_until_due", "start", "end", "timestamp", "limit", "start_time", "end_time", "gte"]);
const booleans = new Set(["auto_advance"]);

function nested(params) {
  const object = {};
  for (const [name, text] of Object.entries(params)) {
    const path = name.split(/[[\]]+/).filter((part) => part !== "");
    const last = path.pop();
    const value = numbers.has(last) ? Number(text) : booleans.has(last) ? text === "true" : text;
    path.reduce((at, part) => (at[part] ??= {}), object)[last] = value;
  }
  return object;
}

const seen = new Map();
const covered = new Set();
const unknown = new Set();
for (const file of readdirSync(folder).filter((name) => name.endsWith(".json"))) {
  for (const { method, path, params } of JSON.parse(readFileSync(join(folder, file), "utf8"))) {
    const type = types.find(([verb, pattern]) => verb === method && pattern.test(path))?.[2];
    if (!type) unknown.add(`${method} ${path}`);
    else {
      covered.add(type);
      seen.set(`${type} ${Object.keys(params).sort()}`, `({ ${JSON.stringify(nested(params)).slice(1, -1)} }) satisfies ${type};`);
    }
  }
}
if (unknown.size > 0 || seen.size === 0) {
  console.error(seen.size === 0 ? "There are no requests." : `No type is known for: ${[...unknown].join(", ")}`);
  process.exit(1);
}

const scratch = mkdtempSync(join(dirname(fileURLToPath(import.meta.url)), "types-"));
const source = join(scratch, "requests.ts");
writeFileSync(source, `import Stripe from "stripe";\n${[...seen.values()].map((line) => `;${line}`).join("\n")}\n`);
const compiler = join(import.meta.dirname, "node_modules", "typescript", "bin", "tsc");
const options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext"];
const run = spawnSync(process.execPath, [compiler, ...options, source], { encoding: "utf8" });
rmSync(scratch, { recursive: true });
process.stdout.write(run.stdout);
console.log(`${seen.size} forms of request of ${covered.size} kinds checked: ${run.status === 0 ? "all fit" : "not all fit"}`);
process.exit(run.status === 0 ? 0 : 1);
