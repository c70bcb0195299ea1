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
  ["GET", /^\/v1\/customers\/[^/]+$/, "Stripe.CustomerRetrieveParams"],
  ["GET", /^\/v1\/customers\/[^/]+\/payment_methods$/, "Stripe.CustomerListPaymentMethodsParams"],
  ["POST", /^\/v1\/billing_portal\/sessions$/, "Stripe.BillingPortal.SessionCreateParams"],
  ["POST", /^\/v1\/checkout\/sessions$/, "Stripe.Checkout.SessionCreateParams"],
  ["GET", /^\/v1\/checkout\/sessions\/[^/]+$/, "Stripe.Checkout.SessionRetrieveParams"],
  ["POST", /^\/v1\/checkout\/sessions\/[^/]+\/expire$/, "Stripe.Checkout.SessionExpireParams"],
  ["POST", /^\/v1\/refunds$/, "Stripe.RefundCreateParams"],
  ["GET", /^\/v1\/refunds$/, "Stripe.RefundListParams"],
  ["GET", /^\/v1\/disputes$/, "Stripe.DisputeListParams"],
  ["GET", /^\/v1\/invoice_payments$/, "Stripe.InvoicePaymentListParams"],
  ["POST", /^\/v1\/invoices\/[^/]+\/pay$/, "Stripe.InvoicePayParams"],
  ["POST", /^\/v1\/products$/, "Stripe.ProductCreateParams"],
  ["GET", /^\/v1\/products\/[^/]+$/, "Stripe.ProductRetrieveParams"],
  ["POST", /^\/v1\/products\/[^/]+$/, "Stripe.ProductUpdateParams"],
  ["POST", /^\/v1\/prices$/, "Stripe.PriceCreateParams"],
  ["GET", /^\/v1\/prices$/, "Stripe.PriceListParams"],
  ["POST", /^\/v1\/prices\/[^/]+$/, "Stripe.PriceUpdateParams"],
  ["POST", /^\/v1\/subscriptions$/, "Stripe.SubscriptionCreateParams"],
  ["GET", /^\/v1\/subscriptions$/, "Stripe.SubscriptionListParams"],
  ["GET", /^\/v1\/subscriptions\/[^/]+$/, "Stripe.SubscriptionRetrieveParams"],
  ["DELETE", /^\/v1\/subscriptions\/[^/]+$/, "Stripe.SubscriptionCancelParams"],
  ["POST", /^\/v1\/invoices$/, "Stripe.InvoiceCreateParams"],
  ["GET", /^\/v1\/invoices$/, "Stripe.InvoiceListParams"],
  ["GET", /^\/v1\/invoices\/[^/]+$/, "Stripe.InvoiceRetrieveParams"],
  ["POST", /^\/v1\/invoices\/[^/]+$/, "Stripe.InvoiceUpdateParams"],
  ["GET", /^\/v1\/invoices\/[^/]+\/lines$/, "Stripe.InvoiceListLineItemsParams"],
  ["DELETE", /^\/v1\/invoices\/[^/]+$/, "Stripe.InvoiceDeleteParams"],
  ["POST", /^\/v1\/invoices\/[^/]+\/finalize$/, "Stripe.InvoiceFinalizeInvoiceParams"],
  ["POST", /^\/v1\/invoices\/[^/]+\/void$/, "Stripe.InvoiceVoidInvoiceParams"],
  ["POST", /^\/v1\/credit_notes$/, "Stripe.CreditNoteCreateParams"],
  ["GET", /^\/v1\/credit_notes\/preview$/, "Stripe.CreditNotePreviewParams"],
  ["GET", /^\/v1\/credit_notes\/[^/]+\/lines$/, "Stripe.CreditNoteListLineItemsParams"],
  ["GET", /^\/v1\/credit_notes$/, "Stripe.CreditNoteListParams"],
  ["POST", /^\/v1\/invoiceitems$/, "Stripe.InvoiceItemCreateParams"],
  ["GET", /^\/v1\/invoiceitems$/, "Stripe.InvoiceItemListParams"],
  ["DELETE", /^\/v1\/invoiceitems\/[^/]+$/, "Stripe.InvoiceItemDeleteParams"],
  ["POST", /^\/v1\/billing\/meters$/, "Stripe.Billing.MeterCreateParams"],
  ["GET", /^\/v1\/billing\/meters$/, "Stripe.Billing.MeterListParams"],
  ["POST", /^\/v1\/billing\/meters\/[^/]+$/, "Stripe.Billing.MeterUpdateParams"],
  ["POST", /^\/v1\/billing\/meters\/[^/]+\/reactivate$/, "Stripe.Billing.MeterReactivateParams"],
  ["GET", /^\/v1\/billing\/meters\/[^/]+\/event_summaries$/, "Stripe.Billing.MeterListEventSummariesParams"],
  ["POST", /^\/v1\/billing\/meter_events$/, "Stripe.Billing.MeterEventCreateParams"],
  ["POST", /^\/v2\/billing\/meter_event_session$/, "Stripe.V2.Billing.MeterEventSessionCreateParams"],
  // The library exports no name for this one.
  ["POST", /^\/v2\/billing\/meter_event_stream$/, 'Parameters<Stripe["v2"]["billing"]["meterEventStream"]["create"]>[0]'],
];
// A form has only texts; these are what the library takes as numbers and booleans.
const numbers = new Set(["amount", "refund_amount", "out_of_band_amount", "days_until_due", "start", "end", "timestamp", "limit", "start_time", "end_time", "gte", "lt", "interval_count", "up_to", "divide_by", "quantity", "unit_amount", "billing_cycle_anchor"]);
const booleans = new Set(["auto_advance", "active", "transfer_lookup_key", "enabled", "paid_out_of_band"]);

function typed(name, text) {
  if (name.endsWith("_decimal")) return { decimal: text };
  if (numbers.has(name) && text !== "inf") return Number(text);
  return booleans.has(name) ? text === "true" : text;
}

// `tiers[0][up_to]` and `expand[]` are lists.
function nested(params) {
  const object = {};
  for (const [name, text] of Object.entries(params)) {
    const path = name.replaceAll("]", "").split("[");
    let at = object;
    path.forEach((part, place) => {
      const next = path[place + 1];
      const key = part === "" ? at.length : part;
      if (next === undefined) at[key] = typed(part === "" ? path[place - 1] : part, text);
      else at = at[key] ??= next === "" || /^\d+$/.test(next) ? [] : {};
    });
  }
  return object;
}

// The library takes an amount with decimals as a value of its own.
// Version 2 of the API takes JSON as it is.
const written = (path, params) => path.startsWith("/v2/") ? JSON.stringify(params) : JSON.stringify(nested(params)).replaceAll(/\{"decimal":("[^"]*")\}/g, "decimal($1)");

const seen = new Map();
const covered = new Set();
const unknown = new Set();
for (const file of readdirSync(folder).filter((name) => name.endsWith(".json"))) {
  for (const { method, path, params } of JSON.parse(readFileSync(join(folder, file), "utf8"))) {
    const type = types.find(([verb, pattern]) => verb === method && pattern.test(path))?.[2];
    if (!type) unknown.add(`${method} ${path}`);
    else {
      covered.add(type);
      seen.set(`${type} ${Object.keys(params).sort()}`, `({ ${written(path, params).slice(1, -1)} }) satisfies ${type};`);
    }
  }
}
if (unknown.size > 0 || seen.size === 0) {
  console.error(seen.size === 0 ? "There are no requests." : `No type is known for: ${[...unknown].join(", ")}`);
  process.exit(1);
}

const scratch = mkdtempSync(join(dirname(fileURLToPath(import.meta.url)), "types-"));
const source = join(scratch, "requests.ts");
writeFileSync(source, `import Stripe from "stripe";\ndeclare function decimal(text: string): Stripe.Decimal;\n${[...seen.values()].map((line) => `;${line}`).join("\n")}\n`);
const compiler = join(import.meta.dirname, "node_modules", "typescript", "bin", "tsc");
const options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext"];
const run = spawnSync(process.execPath, [compiler, ...options, source], { encoding: "utf8" });
rmSync(scratch, { recursive: true });
process.stdout.write(run.stdout);
console.log(`${seen.size} forms of request of ${covered.size} kinds checked: ${run.status === 0 ? "all fit" : "not all fit"}`);
process.exit(run.status === 0 ? 0 : 1);
