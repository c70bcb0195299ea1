// Stripe's own client library drives the stand-in through every endpoint that Turnpike uses, and has to understand it.
//
//   node referee.mjs <path of the stripe-stand-in program>
//
// Ends with 0 when everything holds, else with 1 and what did not.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import Stripe from "stripe";

const program = process.argv[2];
if (!program) {
  console.error("Say which program to test: node referee.mjs <path of stripe-stand-in>");
  process.exit(2);
}

const HOUR = 3600;
const received = [];
const webhook = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    received.push({ body: Buffer.concat(chunks), signature: request.headers["stripe-signature"] });
    response.end("{}");
  });
});
webhook.listen(0, "127.0.0.1");
await once(webhook, "listening");

const standIn = spawn(program, [
  "--port", "0",
  "--webhook", `http://127.0.0.1:${webhook.address().port}/`,
  "--webhook-secret", "whsec_referee",
]);
standIn.stderr.pipe(process.stderr);
const [line] = await once(createInterface(standIn.stdout), "line");
const base = new URL(line.split(" ").at(-1));

const client = (options = {}) =>
  new Stripe("sk_test_referee", {
    host: base.hostname, port: base.port, protocol: "http", maxNetworkRetries: 0, telemetry: false, timeout: 2000, ...options,
  });
const stripe = client();

async function control(path, body) {
  const answer = await fetch(new URL(`/_control/${path}`, base), {
    method: body === undefined ? "GET" : "POST",
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  assert.equal(answer.status, 200, `control ${path}`);
  return answer.json();
}

async function refused(promise, expected) {
  const error = await promise.then(() => assert.fail("it was accepted"), (error) => error);
  for (const [name, value] of Object.entries(expected)) {
    assert.equal(error[name], value, `${name} of ${error.message}`);
  }
  return error;
}

async function all(list) {
  const found = [];
  for await (const item of list) found.push(item);
  return found;
}

const isThin = ({ body }) => JSON.parse(body).object === "v2.core.event";

let customer, invoice, meter;

const steps = {
  "a key is asked for": async () => {
    await refused(client({}).customers.retrieve("cus_1"), { statusCode: 404, code: "resource_missing", type: "StripeInvalidRequestError" });
    const other = new Stripe("pk_wrong", { host: base.hostname, port: base.port, protocol: "http", maxNetworkRetries: 0 });
    await refused(other.customers.list(), { type: "StripeAuthenticationError", statusCode: 401 });
  },

  "customers are created, changed, listed and found": async () => {
    customer = await stripe.customers.create({ name: "Acme & Söhne", email: "a@acme.example", metadata: { turnpike_partner: "partner_1" } });
    assert.match(customer.id, /^cus_/);
    assert.equal(customer.object, "customer");
    assert.equal(customer.name, "Acme & Söhne");
    const changed = await stripe.customers.update(customer.id, { name: "Acme", metadata: { more: "1" } });
    assert.deepEqual(changed.metadata, { turnpike_partner: "partner_1", more: "1" });
    assert.equal((await stripe.customers.retrieve(customer.id)).name, "Acme");
    assert.deepEqual((await all(stripe.customers.list({ email: "a@acme.example" }))).map((found) => found.id), [customer.id]);
    const query = "metadata['turnpike_partner']:'partner_1'";
    assert.equal((await stripe.customers.search({ query })).data.length, 0, "search lags");
    await control("clock", { advance_seconds: 90 });
    assert.deepEqual((await stripe.customers.search({ query })).data.map((found) => found.id), [customer.id]);
  },

  "lists are cut into pages, newest first": async () => {
    for (let number = 0; number < 25; number++) await stripe.customers.create({ name: `Page ${number}` });
    const first = await stripe.customers.list({ limit: 10 });
    assert.equal(first.has_more, true);
    assert.equal(first.data[0].name, "Page 24");
    assert.equal((await all(stripe.customers.list({ limit: 10 }))).length, 26);
    await refused(stripe.customers.list({ limit: 101 }), { param: "limit" });
  },

  "unknown, missing and malformed parameters are errors": async () => {
    await refused(stripe.customers.create({ nmae: "Acme" }), { code: "parameter_unknown", param: "nmae", statusCode: 400 });
    await refused(stripe.invoiceItems.create({ amount: 1, currency: "usd" }), { code: "parameter_missing", param: "customer" });
    await refused(stripe.invoiceItems.create({ customer: customer.id, amount: "1.5", currency: "usd" }), { code: "parameter_invalid_integer" });
    await refused(stripe.invoices.create({ customer: "cus_none" }), { code: "resource_missing", statusCode: 404 });
  },

  "an invoice is drafted, filled, compared and finalised": async () => {
    invoice = await stripe.invoices.create({
      customer: customer.id, currency: "usd", collection_method: "send_invoice", days_until_due: 14, auto_advance: false,
      pending_invoice_items_behavior: "exclude", description: "Starter", metadata: { turnpike_invoice: "invoice_1" },
    });
    assert.equal(invoice.status, "draft");
    assert.equal(invoice.total, 0);
    const item = await stripe.invoiceItems.create({
      customer: customer.id, invoice: invoice.id, amount: 5501, currency: "usd", description: "Usage",
      period: { start: 1700000000, end: 1702592000 }, metadata: { turnpike_invoice: "invoice_1", turnpike_line: "0" },
    });
    assert.equal(item.period.end, 1702592000);
    const credit = await stripe.invoiceItems.create({ customer: customer.id, invoice: invoice.id, amount: -500, currency: "usd" });
    assert.equal((await stripe.invoices.retrieve(invoice.id)).total, 5001);
    await stripe.invoiceItems.del(credit.id);
    assert.deepEqual((await all(stripe.invoiceItems.list({ invoice: invoice.id }))).map((found) => found.id), [item.id]);
    assert.equal((await all(stripe.invoiceItems.list({ customer: customer.id }))).length, 1);
    const lines = await all(stripe.invoices.listLineItems(invoice.id));
    assert.equal(lines[0].parent.invoice_item_details.invoice_item, item.id);
    const open = await stripe.invoices.finalizeInvoice(invoice.id, { auto_advance: true });
    assert.deepEqual([open.status, open.total, open.amount_due, open.amount_remaining], ["open", 5501, 5501, 5501]);
    assert.ok(open.number && open.status_transitions.finalized_at);
    assert.deepEqual((await all(stripe.invoices.list({ customer: customer.id, status: "open" }))).map((found) => found.id), [invoice.id]);
  },

  "a final invoice does not change": async () => {
    await refused(stripe.invoices.finalizeInvoice(invoice.id), { statusCode: 400, code: "invoice_not_editable" });
    await refused(stripe.invoiceItems.create({ customer: customer.id, invoice: invoice.id, amount: 1, currency: "usd" }), { code: "invoice_not_editable" });
    await refused(stripe.invoices.del(invoice.id), { code: "invoice_not_editable" });
    await refused(stripe.invoices.update(invoice.id, { description: "other" }), { code: "invoice_not_editable" });
    assert.equal((await stripe.invoices.update(invoice.id, { metadata: { note: "fine" } })).metadata.note, "fine");
  },

  "an invoice is paid, voided or given up": async () => {
    const finalised = async () => {
      const draft = await stripe.invoices.create({ customer: customer.id, currency: "usd" });
      await stripe.invoiceItems.create({ customer: customer.id, invoice: draft.id, amount: 100, currency: "usd" });
      return stripe.invoices.finalizeInvoice(draft.id);
    };
    assert.equal((await stripe.invoices.pay(invoice.id)).status, "paid");
    await refused(stripe.invoices.pay(invoice.id), { code: "invoice_already_paid" });
    await refused(stripe.invoices.voidInvoice(invoice.id), { statusCode: 400 });
    assert.equal((await stripe.invoices.voidInvoice((await finalised()).id)).status, "void");
    const lost = await finalised();
    assert.equal((await stripe.invoices.markUncollectible(lost.id)).status, "uncollectible");
    assert.equal((await stripe.invoices.pay(lost.id)).status, "paid");
    const empty = await stripe.invoices.create({ customer: customer.id, currency: "usd" });
    assert.equal((await stripe.invoices.finalizeInvoice(empty.id)).status, "paid", "nothing to pay");
  },

  "an open invoice is reduced and a paid one is refunded, never by more than it came to": async () => {
    const finalised = async () => {
      const draft = await stripe.invoices.create({ customer: customer.id, currency: "usd" });
      await stripe.invoiceItems.create({ customer: customer.id, invoice: draft.id, amount: 1000, currency: "usd" });
      await refused(stripe.creditNotes.create({ invoice: draft.id, amount: 1 }), { statusCode: 400, param: "invoice" });
      return stripe.invoices.finalizeInvoice(draft.id);
    };
    const open = await finalised();
    const note = await stripe.creditNotes.create({ invoice: open.id, amount: 400, memo: "CN-000001", metadata: { turnpike_credit_note: "1" } });
    assert.deepEqual([note.object, note.type, note.amount, note.status], ["credit_note", "pre_payment", 400, "issued"]);
    assert.equal((await stripe.creditNotes.retrieve(note.id)).metadata.turnpike_credit_note, "1");
    const reduced = await stripe.invoices.retrieve(open.id);
    assert.deepEqual([reduced.amount_remaining, reduced.pre_payment_credit_notes_amount, reduced.total], [600, 400, 1000]);
    await refused(stripe.creditNotes.create({ invoice: open.id, amount: 601 }), { param: "amount" });
    await refused(stripe.creditNotes.create({ invoice: open.id, amount: 10, refund_amount: 10 }), { statusCode: 400 });
    const undone = await stripe.creditNotes.create({ invoice: open.id, amount: 100 });
    const taken = await stripe.creditNotes.voidCreditNote(undone.id);
    assert.deepEqual([taken.status, taken.amount, taken.pre_payment_amount, taken.voided_at > 0], ["void", 100, 100, true]);
    await refused(stripe.creditNotes.voidCreditNote(undone.id), { statusCode: 400 });
    const back = await stripe.invoices.retrieve(open.id);
    assert.deepEqual([back.amount_remaining, back.pre_payment_credit_notes_amount], [600, 400], "it is to be paid again");
    await stripe.creditNotes.create({ invoice: open.id, amount: 600 });
    assert.equal((await stripe.invoices.retrieve(open.id)).status, "paid");
    assert.deepEqual((await all(stripe.creditNotes.list({ invoice: open.id }))).map((found) => found.amount), [600, 100, 400]);
    await refused(stripe.creditNotes.voidCreditNote(note.id), { statusCode: 400 });
    const paid = await stripe.invoices.pay((await finalised()).id);
    await refused(stripe.creditNotes.create({ invoice: paid.id, amount: 100 }), { statusCode: 400 });
    const refund = await stripe.creditNotes.create({ invoice: paid.id, amount: 700, refund_amount: 700 });
    assert.deepEqual([refund.type, refund.post_payment_amount, refund.refunds[0].amount_refunded], ["post_payment", 700, 700]);
    await stripe.creditNotes.create({ invoice: paid.id, amount: 300, out_of_band_amount: 300 });
    await refused(stripe.creditNotes.create({ invoice: paid.id, amount: 1, out_of_band_amount: 1 }), { param: "amount" });
  },

  "tax is computed for a known place, on top of the items, and credit notes by lines take their part of it off": async () => {
    const buyer = await stripe.customers.create({ name: "Taxed", email: "tax@acme.example" });
    const taxed = { customer: buyer.id, currency: "usd", automatic_tax: { enabled: true } };
    await refused(stripe.invoices.create(taxed), { statusCode: 400, param: "automatic_tax[enabled]" });
    await control("tax", { basis_points: 1500 });
    const draft = await stripe.invoices.create(taxed);
    assert.deepEqual([draft.automatic_tax.enabled, draft.automatic_tax.status], [true, "requires_location_inputs"]);
    const item = { customer: buyer.id, invoice: draft.id, currency: "usd" };
    await refused(stripe.invoiceItems.create({ ...item, amount: 1000 }), { param: "tax_behavior" });
    await refused(stripe.invoiceItems.create({ ...item, amount: -1, tax_behavior: "exclusive" }), { param: "amount" });
    await stripe.invoiceItems.create({ ...item, amount: 1001, tax_behavior: "exclusive" });
    assert.equal((await stripe.invoices.retrieve(draft.id)).total, 1001);
    await refused(stripe.invoices.finalizeInvoice(draft.id), { code: "customer_tax_location_invalid" });
    await control("change", { kind: "customers", id: buyer.id, set: { address: { country: "NZ" } } });
    const again = await stripe.invoices.update(draft.id, { automatic_tax: { enabled: true } });
    assert.deepEqual([again.automatic_tax.status, again.total, again.total_excluding_tax], ["complete", 1151, 1001]);
    assert.equal(again.total_taxes[0].amount, 150);
    await stripe.invoices.finalizeInvoice(draft.id);
    await stripe.invoices.pay(draft.id);
    const [line] = await all(stripe.invoices.listLineItems(draft.id));
    const lines = [{ type: "invoice_line_item", invoice_line_item: line.id, amount: 500 }];
    const preview = await stripe.creditNotes.preview({ invoice: draft.id, lines });
    assert.deepEqual([preview.total, preview.total_excluding_tax], [575, 500]);
    await refused(stripe.creditNotes.create({ invoice: draft.id, lines, refund_amount: 500 }), { statusCode: 400 });
    const note = await stripe.creditNotes.create({ invoice: draft.id, lines, refund_amount: 575 });
    assert.equal((await all(stripe.creditNotes.listLineItems(note.id)))[0].invoice_line_item, line.id);
    const rest = [{ ...lines[0], amount: 501 }];
    await refused(stripe.creditNotes.create({ invoice: draft.id, lines: [{ ...lines[0], amount: 502 }], refund_amount: 577 }), { statusCode: 400 });
    await stripe.creditNotes.create({ invoice: draft.id, lines: rest, refund_amount: (await stripe.creditNotes.preview({ invoice: draft.id, lines: rest })).total });
    assert.equal((await stripe.invoices.retrieve(draft.id)).post_payment_credit_notes_amount, 1151);
    const page = await stripe.checkout.sessions.create({
      mode: "payment", customer: buyer.id, success_url: "https://a.example", cancel_url: "https://a.example",
      automatic_tax: { enabled: true }, customer_update: { address: "auto" }, billing_address_collection: "required",
      line_items: [{ quantity: 1, price_data: { currency: "usd", unit_amount: 2000, tax_behavior: "exclusive", product_data: { name: "Units" } } }],
    });
    assert.equal(page.amount_total, 2000);
    await control("checkout", { session: page.id, step: "complete" });
    const paid = await stripe.checkout.sessions.retrieve(page.id);
    assert.deepEqual([paid.amount_total, paid.amount_subtotal, paid.total_details.amount_tax, paid.automatic_tax.status], [2300, 2000, 300, "complete"]);
  },

  "a deleted customer says only that it was there": async () => {
    const gone = await stripe.customers.create({ name: "Gone" });
    assert.equal((await stripe.customers.del(gone.id)).deleted, true);
    assert.equal((await stripe.customers.retrieve(gone.id)).deleted, true);
    await refused(stripe.customers.update(gone.id, { name: "Back" }), { statusCode: 404 });
    assert.ok((await all(stripe.customers.list({ limit: 100 }))).every((found) => found.id !== gone.id));
  },

  "products and prices are kept, an amount never changes, and a lookup key belongs to one price": async () => {
    const id = "turnpike_catalogue";
    const product = await stripe.products.create({ id, name: "Catalogue", metadata: { turnpike_product: "catalogue" } });
    assert.deepEqual([product.id, product.active], [id, true]);
    await refused(stripe.products.create({ id, name: "Again" }), { code: "resource_already_exists" });
    assert.equal((await stripe.products.update(id, { active: false, name: "Other" })).active, false);
    const own = await stripe.billing.meters.create({
      display_name: "Units of catalogue", event_name: "turnpike_units_catalogue", default_aggregation: { formula: "sum" },
    });
    const recurring = { interval: "month", usage_type: "metered", meter: own.id };
    const tiers = [
      { up_to: 1000, unit_amount_decimal: Stripe.Decimal.from("0") }, { up_to: "inf", unit_amount_decimal: Stripe.Decimal.from("0.5") },
    ];
    const tiered = { currency: "usd", product: id, recurring, billing_scheme: "tiered", tiers_mode: "graduated", tiers, lookup_key: "key" };
    const first = await stripe.prices.create(tiered);
    assert.equal(first.tiers, undefined, "tiers come only where they are asked for");
    await refused(stripe.prices.create(tiered), { code: "resource_already_exists" });
    await refused(stripe.prices.create({ ...tiered, tiers: tiers.slice(0, 1) }), { param: "tiers" });
    const second = await stripe.prices.create({ ...tiered, transfer_lookup_key: true, expand: ["tiers"] });
    assert.deepEqual(second.tiers.map((tier) => String(tier.unit_amount_decimal)), ["0", "0.5"]);
    assert.equal((await stripe.prices.retrieve(first.id)).lookup_key, null);
    const listed = await all(stripe.prices.list({ lookup_keys: ["key"], expand: ["data.tiers"] }));
    assert.deepEqual(listed.map((found) => [found.id, found.tiers.length]), [[second.id, 2]]);
    assert.equal((await stripe.prices.update(second.id, { active: false, nickname: "old" })).active, false);
    await refused(stripe.prices.update(second.id, { currency: "eur" }), { code: "parameter_unknown" });
    await refused(stripe.products.del(id), { statusCode: 400 });
    const packages = await stripe.prices.create({
      currency: "usd", product: id, recurring, unit_amount_decimal: Stripe.Decimal.from("250.5"), transform_quantity: { divide_by: 100, round: "up" },
    });
    assert.deepEqual([String(packages.unit_amount_decimal), packages.unit_amount], ["250.5", null]);
    assert.equal((await stripe.billing.meters.update(own.id, { display_name: "Calls" })).display_name, "Calls");
    await refused(stripe.billing.meters.reactivate(own.id), { statusCode: 400 });
    assert.equal((await stripe.billing.meters.deactivate(own.id)).status, "inactive");
    assert.equal((await stripe.billing.meters.reactivate(own.id)).status, "active");
    await stripe.billing.meters.deactivate(own.id);
  },

  "a page of Checkout leaves a payment method, and the portal lets a customer in": async () => {
    const own = await stripe.customers.create({ name: "Pays" });
    const portal = await stripe.billingPortal.sessions.create({ customer: own.id, return_url: "https://portal.example/plan" });
    assert.match(portal.url, /^https:\/\/billing\.stripe\.com\//);
    await refused(stripe.billingPortal.sessions.create({ customer: "cus_none", return_url: "https://portal.example/" }), { code: "resource_missing" });
    const page = { mode: "setup", customer: own.id, currency: "usd", success_url: "https://portal.example/plan?checkout=1", cancel_url: "https://portal.example/plan", metadata: { turnpike_checkout: "1" } };
    const session = await stripe.checkout.sessions.create(page);
    assert.deepEqual([session.status, session.mode, new URL(session.url).host], ["open", "setup", "checkout.stripe.com"]);
    assert.equal((await all(stripe.customers.listPaymentMethods(own.id))).length, 0);
    await control("checkout", { session: session.id, step: "complete" });
    assert.deepEqual([(await stripe.checkout.sessions.retrieve(session.id)).status, (await stripe.checkout.sessions.retrieve(session.id)).url], ["complete", null]);
    const [method] = await all(stripe.customers.listPaymentMethods(own.id));
    assert.equal(method.card.last4, "4242");
    assert.equal((await stripe.customers.retrieve(own.id)).invoice_settings.default_payment_method, null, "Checkout chooses none");
    const chosen = await stripe.customers.update(own.id, { invoice_settings: { default_payment_method: method.id } });
    assert.equal(chosen.invoice_settings.default_payment_method, method.id);
    await refused(stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: method.id } }), { code: "resource_missing" });
    assert.equal((await stripe.paymentMethods.detach(method.id)).customer, null);
    assert.equal((await stripe.customers.retrieve(own.id)).invoice_settings.default_payment_method, null);
  },

  "a page of Checkout takes a payment, at once or days later, and makes an invoice of its own": async () => {
    const own = await stripe.customers.create({ name: "Buys", email: "buys@acme.example" });
    const page = {
      mode: "payment", customer: own.id, success_url: "https://portal.example/credit?checkout=2", cancel_url: "https://portal.example/credit",
      line_items: [{ quantity: 1, price_data: { currency: "usd", unit_amount: 850000, product_data: { name: "10 × One million" } } }],
      invoice_creation: { enabled: true, invoice_data: { metadata: { turnpike_checkout: "2" } } }, metadata: { turnpike_checkout: "2" },
    };
    await refused(stripe.checkout.sessions.create({ ...page, line_items: [{ ...page.line_items[0], quantity: 0 }] }), { statusCode: 400 });
    const session = await stripe.checkout.sessions.create(page);
    assert.deepEqual([session.status, session.payment_status, session.amount_total, session.invoice], ["open", "unpaid", 850000, null]);
    await control("checkout", { session: session.id, step: "complete" });
    const paid = await stripe.checkout.sessions.retrieve(session.id, { expand: ["payment_intent"] });
    assert.deepEqual([paid.status, paid.payment_status, paid.payment_intent.status], ["complete", "paid", "succeeded"]);
    const receipt = await stripe.invoices.retrieve(paid.invoice);
    assert.deepEqual([receipt.status, receipt.total, receipt.metadata.turnpike_checkout], ["paid", 850000, "2"]);
    for (const [step, status, after] of [["succeed", "paid", "succeeded"], ["fail", "unpaid", "requires_payment_method"]]) {
      const slow = await stripe.checkout.sessions.create(page);
      await control("checkout", { session: slow.id, step: "complete_unpaid" });
      const waits = await stripe.checkout.sessions.retrieve(slow.id, { expand: ["payment_intent"] });
      assert.deepEqual([waits.status, waits.payment_status, waits.payment_intent.status, waits.invoice], ["complete", "unpaid", "processing", null]);
      await control("checkout", { session: slow.id, step });
      const ended = await stripe.checkout.sessions.retrieve(slow.id, { expand: ["payment_intent"] });
      assert.deepEqual([ended.payment_status, ended.payment_intent.status, ended.invoice !== null], [status, after, status === "paid"]);
    }
  },

  "a page of Checkout is ended once, keeps what was paid with where it is told to, and its payment goes back once": async () => {
    const own = await stripe.customers.create({ name: "Begins", email: "begins@acme.example" });
    const page = {
      mode: "payment", customer: own.id, success_url: "https://portal.example/plan?checkout=3", cancel_url: "https://portal.example/plan",
      line_items: [{ quantity: 1, price_data: { currency: "usd", unit_amount: 3000, product_data: { name: "Growth, first month" } } }],
      invoice_creation: { enabled: true }, payment_intent_data: { setup_future_usage: "off_session" }, metadata: { turnpike_checkout: "3" },
    };
    const left = await stripe.checkout.sessions.create(page);
    assert.deepEqual([(await stripe.checkout.sessions.expire(left.id)).status, (await stripe.checkout.sessions.retrieve(left.id)).url], ["expired", null]);
    await refused(stripe.checkout.sessions.expire(left.id), { statusCode: 400 });
    assert.equal((await all(stripe.customers.listPaymentMethods(own.id))).length, 0);
    const session = await stripe.checkout.sessions.create(page);
    await control("checkout", { session: session.id, step: "complete" });
    await refused(stripe.checkout.sessions.expire(session.id), { statusCode: 400 });
    assert.equal((await all(stripe.customers.listPaymentMethods(own.id))).length, 1);
    const paid = await stripe.checkout.sessions.retrieve(session.id);
    const [pays] = await all(stripe.invoicePayments.list({ payment: { type: "payment_intent", payment_intent: paid.payment_intent } }));
    assert.deepEqual([pays.invoice, pays.status], [paid.invoice, "paid"]);
    const back = { payment_intent: paid.payment_intent, reason: "duplicate", metadata: { turnpike_checkout: "3" } };
    const part = await stripe.refunds.create({ payment_intent: paid.payment_intent, amount: 1000 });
    const rest = await stripe.refunds.create(back);
    assert.deepEqual([part.amount, rest.amount, rest.status, rest.payment_intent], [1000, 2000, "succeeded", paid.payment_intent]);
    await refused(stripe.refunds.create(back), { statusCode: 400, code: "charge_already_refunded" });
    assert.deepEqual((await all(stripe.refunds.list({ payment_intent: paid.payment_intent }))).map((found) => found.id), [rest.id, part.id]);
  },

  "a draft that advances by itself is final after an hour": async () => {
    const draft = await stripe.invoices.create({ customer: customer.id, currency: "usd", auto_advance: true });
    await control("clock", { advance_seconds: HOUR + 1 });
    assert.notEqual((await stripe.invoices.retrieve(draft.id)).status, "draft");
  },

  "the stream of meter events takes a hundred at once, under a token that holds for a quarter of an hour": async () => {
    const own = await stripe.customers.create({ name: "Streams" });
    const kept = await stripe.billing.meters.create({
      display_name: "Units streamed", event_name: "turnpike_units_streamed", default_aggregation: { formula: "sum" },
      customer_mapping: { type: "by_id", event_payload_key: "stripe_customer_id" }, value_settings: { event_payload_key: "value" },
    });
    const { now } = await control("state");
    const minute = Math.floor(now / 60) * 60 - 120;
    const event = (number) => ({ event_name: kept.event_name, identifier: `streamed-${number}`, payload: { stripe_customer_id: own.id, value: "2" }, timestamp: new Date(minute * 1000).toISOString() });
    const session = await stripe.v2.billing.meterEventSession.create();
    const streaming = new Stripe(session.authentication_token, { host: base.hostname, port: base.port, protocol: "http", maxNetworkRetries: 0, telemetry: false });
    const send = (events, client = streaming) => client.rawRequest("POST", "/v2/billing/meter_event_stream", { events });
    const hundred = Array.from({ length: 100 }, (_, number) => event(number));
    await send(hundred);
    await send(hundred);
    await refused(send([...hundred, event(100)]), { statusCode: 400 });
    await refused(send(hundred, stripe), { statusCode: 401 });
    const counted = async () => (await stripe.billing.meters.listEventSummaries(kept.id, { customer: own.id, start_time: minute, end_time: minute + 60 })).data[0]?.aggregated_value;
    await control("clock", { advance_seconds: 90 });
    assert.equal(await counted(), 200, "each identifier once");
    await control("clock", { advance_seconds: 900 });
    await refused(send(hundred), { statusCode: 401 });
    await stripe.billing.meters.deactivate(kept.id);
  },

  "meters count each identifier once, for 24 hours": async () => {
    meter = await stripe.billing.meters.create({
      display_name: "Units of payments", event_name: "turnpike_units_payments", default_aggregation: { formula: "sum" },
      customer_mapping: { type: "by_id", event_payload_key: "stripe_customer_id" }, value_settings: { event_payload_key: "value" },
    });
    assert.equal(meter.status, "active");
    await refused(
      stripe.billing.meters.create({ display_name: "x", event_name: "turnpike_units_payments", default_aggregation: { formula: "sum" } }),
      { code: "resource_already_exists" },
    );
    assert.deepEqual((await all(stripe.billing.meters.list({ status: "active" }))).map((found) => found.id), [meter.id]);
    const { now } = await control("state");
    const timestamp = Math.floor(now / 60) * 60 - 600;
    const event = (changes = {}) =>
      stripe.billing.meterEvents.create({
        event_name: "turnpike_units_payments", identifier: "one", timestamp,
        payload: { stripe_customer_id: customer.id, value: "25" }, ...changes,
      });
    assert.equal((await event()).identifier, "one");
    await refused(event(), { statusCode: 400, code: "duplicate_meter_event" });
    const counted = async () => {
      const summaries = await stripe.billing.meters.listEventSummaries(meter.id, { customer: customer.id, start_time: timestamp, end_time: timestamp + 60 });
      return summaries.data.reduce((sum, summary) => sum + summary.aggregated_value, 0);
    };
    assert.equal(await counted(), 0, "summaries lag");
    await control("clock", { advance_seconds: 120 });
    assert.equal(await counted(), 25);
    await refused(
      stripe.billing.meters.listEventSummaries(meter.id, { customer: customer.id, start_time: timestamp + 1, end_time: timestamp + 60 }),
      { param: "start_time" },
    );
    await refused(event({ identifier: "old", timestamp: now - 36 * 24 * HOUR }), { code: "timestamp_too_far_in_past" });
    await refused(event({ identifier: "new", timestamp: now + HOUR }), { code: "timestamp_in_future" });
    await control("clock", { advance_seconds: 24 * HOUR });
    await event();
    await control("clock", { advance_seconds: 120 });
    assert.equal(await counted(), 50, "after a day the identifier is forgotten and counted again");
  },

  "what is wrong with a meter event's content is told by an event": async () => {
    await stripe.billing.meterEvents.create({ event_name: "turnpike_units_none", payload: { stripe_customer_id: customer.id, value: "1" } });
    await stripe.billing.meterEvents.create({ event_name: "turnpike_units_payments", payload: { stripe_customer_id: "cus_none", value: "1" } });
    // Such events are thin: the webhook has a reference, and what it says is asked for.
    const told = () => received.filter(isThin).map(({ body, signature }) =>
      stripe.parseEventNotification(body, signature, "whsec_referee", 400 * 24 * HOUR));
    for (let waited = 0; told().length < 2 && waited < 100; waited++) await new Promise((done) => setTimeout(done, 100));
    for (const [kind, code] of [["no_meter_found", "no_meter"], ["error_report_triggered", "meter_event_customer_not_found"]]) {
      const notification = told().find((told) => told.type === `v1.billing.meter.${kind}`);
      assert.ok(notification, kind);
      const event = await stripe.v2.core.events.retrieve(notification.id);
      assert.equal(event.type, notification.type);
      assert.equal(event.data.reason.error_types[0].code, code);
    }
  },

  "a subscription is billed by its prices at the end of each period, with what the meter had an hour later": async () => {
    const buyer = await stripe.customers.create({ name: "Metered", email: "metered@acme.example" });
    const own = await stripe.billing.meters.create({ display_name: "Units of rated", event_name: "turnpike_units_rated", default_aggregation: { formula: "sum" } });
    await stripe.products.create({ id: "turnpike_rated", name: "Rated" });
    const recurring = { interval: "month", usage_type: "metered", meter: own.id };
    const decimal = Stripe.Decimal.from;
    const graduated = await stripe.prices.create({
      currency: "usd", product: "turnpike_rated", nickname: "graduated", recurring, billing_scheme: "tiered", tiers_mode: "graduated",
      tiers: [{ up_to: 1000, unit_amount_decimal: decimal("0") }, { up_to: 2000, unit_amount_decimal: decimal("0.5"), flat_amount_decimal: decimal("30") }, { up_to: "inf", unit_amount_decimal: decimal("0.25") }],
    });
    const fee = await stripe.prices.create({ currency: "usd", product: "turnpike_rated", recurring: { interval: "month" }, unit_amount_decimal: decimal("4900") });
    const weekly = await stripe.prices.create({ currency: "usd", product: "turnpike_rated", recurring: { interval: "week" }, unit_amount_decimal: decimal("1") });
    const { now } = await control("state");
    const anchor = now + 20 * 24 * HOUR;
    const create = (changes = {}) => stripe.subscriptions.create({
      customer: buyer.id, items: [{ price: graduated.id }, { price: fee.id }], billing_cycle_anchor: anchor, proration_behavior: "none",
      collection_method: "send_invoice", days_until_due: 14, metadata: { turnpike_subscription: "1" }, ...changes,
    });
    await refused(create({ billing_cycle_anchor: now + 40 * 24 * HOUR }), { param: "billing_cycle_anchor" });
    await refused(create({ billing_cycle_anchor: now - 1 }), { param: "billing_cycle_anchor" });
    await refused(create({ items: [{ price: graduated.id }, { price: weekly.id }] }), { param: "items" });
    await refused(create({ items: [{ price: graduated.id, quantity: 2 }] }), { param: "items" });
    await refused(create({ items: [{ price: "price_none" }] }), { code: "resource_missing" });
    await refused(create({ days_until_due: undefined }), { statusCode: 400 });
    const made = await create();
    assert.deepEqual([made.status, made.items.data[0].current_period_end, made.latest_invoice], ["active", anchor, null]);
    assert.deepEqual((await all(stripe.subscriptions.list({ customer: buyer.id }))).map((found) => found.id), [made.id]);
    await stripe.invoiceItems.create({ customer: buyer.id, amount: -100, currency: "usd", description: "Included" });
    const tell = (identifier, value, timestamp) => stripe.billing.meterEvents.create({
      event_name: "turnpike_units_rated", identifier, timestamp, payload: { stripe_customer_id: buyer.id, value },
    });
    await control("clock", { advance_seconds: 20 * 24 * HOUR + 60 });
    const [draft] = await all(stripe.invoices.list({ subscription: made.id, status: "draft" }));
    assert.deepEqual([draft.billing_reason, draft.period_end, draft.parent.subscription_details.subscription], ["subscription_cycle", anchor, made.id]);
    await tell("in time", "2101", anchor - 60);
    await tell("next period", "5", anchor);
    await control("clock", { advance_seconds: HOUR });
    const bill = await stripe.invoices.retrieve(draft.id);
    const lines = await all(stripe.invoices.listLineItems(draft.id));
    // 1,000 free, 1,000 at half a cent and 30 cents, 101 at a quarter of a cent: 25.25 are 25. The fee is of the period that begins.
    assert.deepEqual(lines.map((line) => [line.quantity, line.amount]), [[1000, 0], [1000, 500], [1, 30], [101, 25], [1, 4900], [1, -100]]);
    assert.equal(lines[0].parent.subscription_item_details.subscription, made.id);
    assert.deepEqual([bill.status, bill.total], ["open", 5355]);
    await tell("too late", "7", anchor - 60);
    await refused(stripe.invoices.finalizeInvoice(draft.id), { code: "invoice_not_editable" });
    assert.equal((await stripe.invoices.retrieve(draft.id)).total, 5355);
    const period = (await stripe.subscriptions.retrieve(made.id)).items.data[0];
    assert.equal(period.current_period_start, anchor);
    const [item] = made.items.data;
    const switched = await stripe.subscriptions.update(made.id, { items: [{ id: item.id, price: (await stripe.prices.create({
      currency: "usd", product: "turnpike_rated", recurring, unit_amount_decimal: decimal("100") })).id }], proration_behavior: "none" });
    assert.equal(switched.items.data[0].id, item.id);
    await control("clock", { advance_seconds: period.current_period_end - anchor });
    const next = (await all(stripe.invoices.list({ subscription: made.id })))[0];
    const ofUsage = (await all(stripe.invoices.listLineItems(next.id)))[0];
    assert.deepEqual([ofUsage.quantity, ofUsage.amount], [0, 0], "what came before the price was changed is lost");
    const cancelled = await stripe.subscriptions.cancel(made.id);
    assert.equal(cancelled.status, "canceled");
    await refused(stripe.subscriptions.cancel(made.id), { statusCode: 404 });
    assert.deepEqual(await all(stripe.subscriptions.list({ customer: buyer.id })), []);
    assert.equal((await all(stripe.subscriptions.list({ customer: buyer.id, status: "all" }))).length, 1);
    await stripe.billing.meters.deactivate(own.id);
  },

  "the same idempotency key gives the same answer, for 24 hours": async () => {
    const options = { idempotencyKey: "key-1" };
    const first = await stripe.customers.create({ name: "Once" }, options);
    const again = await stripe.customers.create({ name: "Once" }, options);
    assert.equal(again.id, first.id);
    assert.equal(again.lastResponse.headers["idempotent-replayed"], "true");
    await refused(stripe.customers.create({ name: "Other" }, options), { type: "StripeIdempotencyError", statusCode: 400 });
    await refused(stripe.customers.create({ nmae: "x" }, { idempotencyKey: "key-2" }), { code: "parameter_unknown" });
    await stripe.customers.create({ name: "Right" }, { idempotencyKey: "key-2" });
    await control("clock", { advance_seconds: 24 * HOUR });
    assert.notEqual((await stripe.customers.create({ name: "Once" }, options)).id, first.id);
  },

  "faults strike before and after the work is done": async () => {
    const named = async (name) => (await control("state")).customers.filter((held) => held.name === name).length;
    await control("faults", { error_before: 100 });
    await refused(stripe.customers.create({ name: "Before" }, { idempotencyKey: "before" }), { statusCode: 500, type: "StripeAPIError" });
    assert.equal(await named("Before"), 0);
    await control("faults", { error_after: 100 });
    await refused(stripe.customers.create({ name: "After" }, { idempotencyKey: "after" }), { statusCode: 500 });
    assert.equal(await named("After"), 1);
    await control("faults", { conflict: 100 });
    await refused(stripe.customers.create({ name: "Conflict" }), { statusCode: 409 });
    await control("faults", { rate_limited: 100 });
    await refused(stripe.customers.create({ name: "Limited" }), { statusCode: 429, type: "StripeRateLimitError" });
    await control("faults", { timeout: 100, timeout_ms: 3000 });
    await refused(stripe.customers.create({ name: "Timeout" }), { type: "StripeConnectionError" });
    assert.equal(await named("Timeout"), 1);
    await control("faults", { reset: 100 });
    await refused(stripe.customers.create({ name: "Reset" }), {});
    assert.equal(await named("Reset"), 1);
    await control("faults", { down: true });
    await refused(stripe.customers.list(), { statusCode: 503 });
    await control("faults", {});
    await refused(stripe.customers.create({ name: "After" }, { idempotencyKey: "after" }), { statusCode: 500 });
  },

  "webhooks are signed as the library expects": async () => {
    for (let waited = 0; received.length < 20 && waited < 100; waited++) await new Promise((done) => setTimeout(done, 100));
    assert.ok(received.length >= 20, `${received.length} webhooks`);
    const { now } = await control("state");
    for (const { body, signature } of received.filter((one) => !isThin(one))) {
      const event = stripe.webhooks.constructEvent(body, signature, "whsec_referee", 400 * 24 * HOUR);
      assert.match(event.id, /^evt_/);
      assert.equal((await stripe.events.retrieve(event.id)).type, event.type);
      assert.throws(() => stripe.webhooks.constructEvent(body, signature, "whsec_other", 400 * 24 * HOUR));
    }
    assert.ok(now > 0);
    assert.ok(received.some(({ body }) => JSON.parse(body).type === "invoice.paid"));
  },
};

let failed = 0;
for (const [name, step] of Object.entries(steps)) {
  try {
    await step();
    console.log(`ok   ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}\n${error.stack}`);
  }
}
standIn.kill();
webhook.close();
console.log(`${Object.keys(steps).length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
