// Issuers that publish their keys, and an installation whose products take their tokens.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { root } from "../harness/programs.mjs";
import { startWorld } from "../harness/world.mjs";

export const audience = "https://api.example";
export const subject = "partner-service";

/** Publishes these keys (RFC 7517), and counts how often it is asked. */
export async function startIssuer(first) {
  let keys = first;
  const server = createServer((_, response) => {
    issuer.asked += 1;
    response.writeHead(200, { "content-type": "application/jwk-set+json" }).end(JSON.stringify({ keys }));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = {
    url: `http://127.0.0.1:${server.address().port}`,
    asked: 0,
    publish: (others) => (keys = others),
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
  return issuer;
}

/** An installation with one product for each issuer, and how to stop it. */
export async function startReferee({ issuer, rolling, algorithms }) {
  const folder = await mkdtemp(path.join(tmpdir(), "turnpike-tokens-"));
  let world;
  try {
    // Forgeries come by the hundred, all from here.
    world = await startWorld({ example: false, settings: { TURNPIKE_GUESSES_PER_MINUTE: "1000000" } });
    const product = (code, { url }) => `
  ${code}:
    name: ${code}
    document: ${root}/examples/payments-api/openapi.yaml
    route: /${code}
    upstream_url: ${world.payments}
    visibility: public
    policy:
      authentication:
        accept: [[token]]
        issuers:
          - issuer: ${url}
            jwks_url: ${url}/keys
            audiences: [${audience}]
            algorithms: [${algorithms.join(", ")}]
            allow_private_addresses: true`;
    const identity = (code, { url }) =>
      `          ${code}: { name: ${code}, environment: live, kind: token, issuer: "${url}", identity: ${subject} }`;
    const file = path.join(folder, "setup.yaml");
    await writeFile(file, `products:${product("payments", issuer)}${product("rolling", rolling)}
plans:
  all:
    name: All
    currency: USD
    products: [{ product: payments }, { product: rolling }]
    price: { model: free }
partners:
  referee:
    name: Referee
    plan: all
    apps:
      referee:
        name: Referee
        keys:
${identity("payments", issuer)}
${identity("rolling", rolling)}
`);
    await world.apply(file);
    return {
      world,
      async stop() {
        await world.stop();
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await world?.stop().catch(() => {});
    throw error;
  }
}
