// Programs that partners use, unchanged, through the gateway: Node's http2, undici, curl, ws, eventsource, grpc-js and h2load.
import grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { connect } from "node:http2";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { EventSource } from "eventsource";
import { Agent, fetch as undici } from "undici";
import WebSocket from "ws";
import { startReferee } from "./world.mjs";
import { service } from "./upstreams.mjs";

const run = promisify(execFile);

describe("other people's clients", { timeout: 120_000 }, () => {
  let all;
  before(async () => (all = await startReferee()));
  after(async () => await all?.stop());

  /** One call on a session of Node's http2. */
  const call = (session, place, body, headers = {}) => new Promise((resolve, reject) => {
    const stream = session.request({ ":path": place, ":method": body === undefined ? "GET" : "POST", "x-api-key": all.key, ...headers });
    const chunks = [];
    let head;
    stream.on("response", (headers) => (head = headers));
    stream.on("data", (chunk) => chunks.push(chunk));
    stream.on("end", () => resolve({ status: head[":status"], head, body: Buffer.concat(chunks) }));
    stream.on("error", reject);
    stream.end(body);
  });

  test("Node's http2 makes many calls at once on one connection, in plain and with TLS", async () => {
    for (const [origin, proto] of [[all.plain, "http"], [all.secure, "https"]]) {
      const session = connect(origin, { ca: all.authority });
      const large = Buffer.alloc(1 << 20, 7);
      const answers = await Promise.all([
        call(session, "/streams/echo", large),
        ...Array.from({ length: 30 }, (_, number) => call(session, "/streams/echo", `number ${number}`)),
      ]);
      assert.deepEqual(answers.map(({ status, body }) => (status === 200 ? 200 : `${body}`)), answers.map(() => 200));
      assert.ok(answers[0].body.equals(large));
      assert.equal(`${answers[30].body}`, "number 29");
      assert.equal(answers[1].head["x-seen-version"], "1.1");
      assert.equal(answers[1].head["x-seen-proto"], proto);
      const refused = await call(session, "/streams/echo", "x", { "x-api-key": "nonsense" });
      assert.equal(refused.status, 401);
      assert.equal(JSON.parse(refused.body).code, "malformed-key");
      await new Promise((resolve) => session.close(resolve));
    }
  });

  test("undici chooses HTTP/2 by ALPN, and Node's fetch stays with HTTP/1.1", async () => {
    const dispatcher = new Agent({ allowH2: true, connect: { ca: all.authority } });
    const headers = { "x-api-key": all.key };
    for (let round = 0; round < 3; round++) {
      const answer = await undici(`${all.secure}/streams/echo`, { method: "POST", body: "hello", headers, dispatcher });
      assert.deepEqual([answer.status, await answer.text()], [200, "hello"]);
    }
    await dispatcher.close();
    const answer = await fetch(`${all.plain}/streams/echo`, { method: "POST", body: "hello", headers });
    assert.deepEqual([answer.status, await answer.text()], [200, "hello"]);
  });

  test("curl speaks every protocol that it knows", async () => {
    const curl = async (...options) => {
      const form = ["-sS", "-w", "\n%{http_code} %{http_version}", "-H", `x-api-key: ${all.key}`, "-d", "hello"];
      return (await run("curl", [...form, ...options])).stdout;
    };
    const [plain, secure] = [`${all.plain}/streams/echo`, `${all.secure}/streams/echo`];
    assert.equal(await curl("--http1.1", plain), "hello\n200 1.1");
    assert.equal(await curl("--http1.0", plain), "hello\n200 1");
    assert.equal(await curl("--http2-prior-knowledge", plain), "hello\n200 2");
    assert.equal(await curl("--cacert", all.certificate, "--http2", secure), "hello\n200 2");
    assert.equal(await curl("--cacert", all.certificate, "--http1.1", "--tls-max", "1.2", secure), "hello\n200 1.1");
  });

  test("a WebSocket of ws carries text, large messages, pings and the upstream's closing word", async () => {
    for (const origin of [all.plain, all.secure]) {
      const socket = new WebSocket(`${origin.replace("http", "ws")}/streams/socket`, { headers: { "x-api-key": all.key }, ca: all.authority });
      const next = (event) => new Promise((resolve, reject) => {
        socket.once(event, (...values) => resolve(values));
        socket.once("error", reject);
      });
      await next("open");
      const large = Buffer.alloc(1 << 20, 7);
      for (const message of ["hello", large]) {
        const [[back]] = await Promise.all([next("message"), socket.send(message)]);
        assert.ok(Buffer.from(message).equals(back));
      }
      const pong = next("pong");
      socket.ping();
      await pong;
      const closed = next("close");
      socket.send("leave");
      const [code, reason] = await closed;
      assert.deepEqual([code, `${reason}`], [4001, "as asked"]);
    }
  });

  test("a WebSocket without a key is refused before the upstream hears of it", async () => {
    const socket = new WebSocket(`${all.plain.replace("http", "ws")}/streams/socket`);
    const [, answer] = await new Promise((resolve) => socket.once("unexpected-response", (...values) => resolve(values)));
    socket.on("error", () => {});
    assert.equal(answer.statusCode, 401);
    socket.terminate();
  });

  test("events of an EventSource come one by one", async () => {
    const source = new EventSource(`${all.plain}/streams/events`, {
      fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, "x-api-key": all.key } }),
    });
    const delays = await new Promise((resolve, reject) => {
      const seen = [];
      source.addEventListener("tick", (event) => {
        seen.push(Date.now() - Number(event.data));
        if (event.lastEventId === "5") resolve(seen);
      });
      source.onerror = (event) => reject(new Error(event.message));
    });
    source.close();
    assert.equal(delays.length, 5);
    assert.ok(delays.every((delay) => delay < 140), `held back: ${delays} ms`);
  });

  test("a client that leaves ends the call at the upstream", async () => {
    const before = all.upstreams.noticed.cancelled;
    const session = connect(all.plain);
    const stream = session.request({ ":path": "/streams/hang", "x-api-key": all.key });
    await new Promise((resolve) => stream.once("response", resolve));
    stream.close(8);
    const controller = new AbortController();
    await fetch(`${all.plain}/streams/hang`, { headers: { "x-api-key": all.key }, signal: controller.signal });
    controller.abort();
    for (let waited = 0; all.upstreams.noticed.cancelled < before + 2 && waited < 3_000; waited += 20) await pause(20);
    assert.equal(all.upstreams.noticed.cancelled, before + 2);
    session.close();
  });

  const Client = grpc.makeGenericClientConstructor(service, "echo.Echo");
  const metadata = (entries) => {
    const made = new grpc.Metadata();
    Object.entries(entries).forEach(([name, value]) => made.set(name, value));
    return made;
  };
  const unary = (client, text, headers) => new Promise((resolve) => {
    let trailers;
    const call = client.unary(text, metadata(headers), (error, answer) => setImmediate(() => resolve({ error, answer, trailers })));
    call.on("status", (status) => (trailers = status.metadata));
  });

  test("all four kinds of gRPC calls pass between grpc-js and grpc-js, in plain and with TLS", async () => {
    const secure = grpc.credentials.createSsl(all.authority);
    for (const client of [
      new Client(all.plain.replace("http://", ""), grpc.credentials.createInsecure()),
      new Client(all.secure.replace("https://", ""), secure),
    ]) {
      const key = { "x-api-key": all.key };
      const { answer, trailers } = await unary(client, "hello", { ...key, "x-name": "ada" });
      assert.equal(answer, "hello, ada");
      assert.deepEqual(trailers.get("x-trailer"), ["at the end"]);

      const failed = (await unary(client, "nobody", key)).error;
      assert.deepEqual([failed.code, failed.details], [grpc.status.NOT_FOUND, "nobody is there: 100 %"]);
      assert.deepEqual(failed.metadata.get("x-detail"), ["of the upstream"]);

      const collected = new Promise((resolve, reject) => {
        const call = client.collect(metadata(key), (error, answer) => (error ? reject(error) : resolve(answer)));
        ["a", "b", "c"].forEach((one) => call.write(one));
        call.end();
      });
      assert.equal(await collected, "a+b+c");

      const times = [];
      for await (const _ of client.watch("5", metadata(key))) times.push(Date.now());
      assert.equal(times.length, 5);
      assert.ok(times[4] - times[0] > 120, "messages come one by one");

      const chat = client.chat(metadata(key));
      const replies = [];
      for (const word of ["one", "two"]) {
        const reply = new Promise((resolve) => chat.once("data", resolve));
        chat.write(word);
        replies.push(await reply);
      }
      chat.end();
      assert.deepEqual(replies, ["re: one", "re: two"]);
      client.close();
    }
  });

  test("grpc-js understands refusals, and a cancelled call is cancelled at the upstream", async () => {
    const client = new Client(all.plain.replace("http://", ""), grpc.credentials.createInsecure());
    const missing = (await unary(client, "hello", {})).error;
    assert.equal(missing.code, grpc.status.UNAUTHENTICATED);
    assert.match(missing.details, /missing-key/);
    const before = all.upstreams.noticed.cancelled;
    const watching = client.watch("1000", metadata({ "x-api-key": all.key }));
    watching.on("error", () => {});
    await new Promise((resolve) => watching.once("data", resolve));
    watching.cancel();
    for (let waited = 0; all.upstreams.noticed.cancelled === before && waited < 3_000; waited += 20) await pause(20);
    assert.equal(all.upstreams.noticed.cancelled, before + 1);
    client.close();
  });

  test("h2load's calls are all answered and all counted", async () => {
    const counted = async () => {
      const metrics = await (await fetch(`${all.world.admin}/metrics`)).text();
      const lines = metrics.split("\n").filter((line) => line.startsWith("turnpike_gateway_requests_total") && /product="streams"/.test(line) && /outcome="served"/.test(line));
      return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
    };
    const before = await counted();
    const headers = ["-H", `x-api-key: ${all.key}`, "-H", ":method: POST"];
    const { stdout } = await run("h2load", ["-n", "3000", "-c", "8", "-m", "20", ...headers, `${all.plain}/streams/echo`]);
    assert.match(stdout, /3000 succeeded, 0 failed, 0 errored/);
    assert.match(stdout, /3000 2xx/);
    assert.equal((await counted()) - before, 3000);
  });
});
