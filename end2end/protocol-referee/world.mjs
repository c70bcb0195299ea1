// An installation whose products are those upstreams, reachable in plain and with TLS.
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { freePorts, until } from "../harness/programs.mjs";
import { startWorld } from "../harness/world.mjs";
import { startUpstreams } from "./upstreams.mjs";

/** Upstreams, installation, one live key, and how to stop it all. */
export async function startReferee() {
  const folder = await mkdtemp(path.join(tmpdir(), "turnpike-protocols-"));
  const upstreams = await startUpstreams();
  const [tlsPort] = await freePorts(1);
  const [certificate, secret] = ["certificate.pem", "key.pem"].map((name) => path.join(folder, name));
  const names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", "/CN=localhost", "-addext", names, "-keyout", secret, "-out", certificate], { stdio: "pipe" });
  const settings = {
    TURNPIKE_GATEWAY_TLS_LISTEN: `127.0.0.1:${tlsPort}`,
    TURNPIKE_GATEWAY_TLS_CERTIFICATE: certificate,
    TURNPIKE_GATEWAY_TLS_KEY: secret,
  };
  let world;
  try {
    world = await startWorld({ example: false, settings });
    await writeFile(path.join(folder, "streams.yaml"), document("Streams", { "/events": "get", "/hang": "get", "/socket": "get", "/echo": "post" }));
    await writeFile(path.join(folder, "echo.yaml"), document("Echo", { "/Unary": "post", "/Collect": "post", "/Watch": "post", "/Chat": "post" }));
    await writeFile(path.join(folder, "setup.yaml"), setUp(upstreams));
    const applied = await world.apply(path.join(folder, "setup.yaml"));
    const key = applied.keys[0].text;
    const inForce = async () => (await world.call("/streams/events", key, { method: "HEAD" })).status !== 401;
    await until("the key is in force", inForce);
    return {
      world,
      upstreams,
      key,
      plain: world.gateway.replace("localhost", "127.0.0.1"),
      secure: `https://localhost:${tlsPort}`,
      authority: await readFile(certificate),
      certificate,
      async stop() {
        await world.stop();
        upstreams.stop();
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await world?.stop().catch(() => {});
    upstreams.stop();
    throw error;
  }
}

function document(title, paths) {
  const lines = Object.entries(paths).map(([place, method]) =>
    `  ${place}:\n    ${method}:\n      operationId: ${title.toLowerCase()}${place.slice(1)}\n      responses: {'200': {description: Done}}\n`);
  return `openapi: 3.1.0\ninfo: {title: ${title}, version: '1'}\npaths:\n${lines.join("")}`;
}

const setUp = (upstreams) => `
products:
  streams:
    name: Streams
    document: streams.yaml
    route: /streams
    upstream_url: ${upstreams.http}
    visibility: public
  echo:
    name: Echo
    document: echo.yaml
    route: /echo.Echo
    upstream_url: ${upstreams.grpc}/echo.Echo
    visibility: public
    policy:
      upstream: { protocol: http2 }
plans:
  all:
    name: All
    currency: USD
    products: [{ product: streams }, { product: echo }]
    price: { model: free }
partners:
  referee:
    name: Referee
    plan: all
    apps:
      referee:
        name: Referee
        keys:
          referee: { name: Referee, environment: live }
`;
