// Tokens that npm's `jose` signs, as an identity provider of a partner would, at a running gateway; and the forgeries that it
// can be brought to make.
import { SignJWT, UnsecuredJWT, exportJWK, exportSPKI, generateKeyPair } from "jose";
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { until } from "../harness/programs.mjs";
import { audience, startIssuer, startReferee, subject } from "./world.mjs";

const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

describe("tokens by another library", { timeout: 120_000, concurrency: true }, () => {
  let all;
  let issuer;
  let rolling;
  const keys = {};

  before(async () => {
    for (const algorithm of algorithms) keys[algorithm] = await generateKeyPair(algorithm);
    issuer = await startIssuer(await Promise.all(algorithms.map((algorithm) => jwk(keys[algorithm].publicKey, algorithm))));
    keys.old = await generateKeyPair("ES256");
    keys.new = await generateKeyPair("ES256");
    rolling = await startIssuer([await jwk(keys.old.publicKey, "old")]);
    all = await startReferee({ issuer, rolling, algorithms });
    await until("the identity is in force", async () => (await call(await signed("ES256"))).status === 200, { limit: 10_000 });
  });
  after(async () => {
    await all?.stop();
    issuer?.stop();
    rolling?.stop();
  });

  const jwk = async (key, kid) => ({ ...(await exportJWK(key)), kid, use: "sig" });

  /** A token as the issuer makes them; `change` gets the maker and may change any of it. */
  const signed = (algorithm, { kid = algorithm, key = keys[algorithm].privateKey, claims = {}, header = {}, from = issuer, change = (token) => token } = {}) =>
    change(
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg: algorithm, kid, typ: "at+jwt", ...header })
        .setIssuer(from.url)
        .setAudience(audience)
        .setSubject(subject)
        .setIssuedAt()
        .setExpirationTime("5m"),
    ).sign(key);

  const call = async (token, place = "/payments/payments") => {
    const answer = await all.world.call(place, token);
    const text = await answer.text();
    return { status: answer.status, code: answer.ok ? undefined : JSON.parse(text).code, text };
  };

  const refused = async (token, code = "invalid-token") => {
    const answer = await call(await token);
    assert.deepEqual([answer.status, answer.code], [401, code], answer.text);
    assert.ok(!answer.text.includes(await token), "the answer does not repeat it");
  };

  for (const algorithm of algorithms) {
    test(`a token by ${algorithm} is taken`, async () => {
      const answer = await call(await signed(algorithm));
      assert.equal(answer.status, 200, answer.text);
    });

    test(`one by ${algorithm} under another key of that kind is not, whatever kid it names`, async () => {
      const { privateKey, publicKey } = await generateKeyPair(algorithm);
      await refused(signed(algorithm, { key: privateKey }));
      await refused(signed(algorithm, { key: privateKey, header: { jwk: await exportJWK(publicKey) } }));
      await refused(signed(algorithm, { key: privateKey, kid: "nobody" }));
    });
  }

  test("a token by `none` is not taken", async () => {
    const claims = { iss: issuer.url, aud: audience, sub: subject };
    await refused(new UnsecuredJWT(claims).setIssuedAt().setExpirationTime("5m").encode());
    // With a header that names a key, too.
    const [, payload] = (await signed("ES256")).split(".");
    for (const alg of ["none", "None", "NONE"]) {
      const header = Buffer.from(JSON.stringify({ alg, kid: "ES256", typ: "at+jwt" })).toString("base64url");
      await refused(`${header}.${payload}.`);
    }
  });

  test("HS256 with a public key as its secret is not taken, in any form that the key is published in", async () => {
    for (const algorithm of ["RS256", "ES256", "EdDSA"]) {
      const { publicKey } = keys[algorithm];
      const form = await exportJWK(publicKey);
      const secrets = [await exportSPKI(publicKey), JSON.stringify(form), JSON.stringify(await jwk(publicKey, algorithm))];
      secrets.push(Buffer.from(form.n ?? form.x, "base64url"));
      for (const secret of secrets) {
        for (const alg of ["HS256", "HS384", "HS512"]) {
          // jose wants secrets that are long enough, and does not mind zeros at their end.
          const bytes = Buffer.concat([Buffer.from(secret), Buffer.alloc(Math.max(0, 64 - secret.length))]);
          await refused(signed(alg, { kid: algorithm, key: bytes }));
        }
      }
    }
  });

  test("a token of one algorithm does not count under another key's kid", async () => {
    await refused(signed("RS256", { kid: "ES256" }));
    await refused(signed("ES256", { kid: "EdDSA" }));
    await refused(signed("ES256", { kid: "RS256" }));
  });

  test("times count, with a minute of leeway", async () => {
    const at = (seconds) => Math.floor(Date.now() / 1000) + seconds;
    assert.equal((await call(await signed("ES256", { change: (token) => token.setExpirationTime(at(-30)) }))).status, 200);
    await refused(signed("ES256", { change: (token) => token.setExpirationTime(at(-90)) }), "expired-token");
    await refused(signed("EdDSA", { change: (token) => token.setNotBefore(at(120)) }), "expired-token");
    await refused(signed("RS256", { change: (token) => token.setIssuedAt(at(86_400)) }));
  });

  test("another audience, issuer or subject is not taken, and one audience among several is", async () => {
    await refused(signed("ES256", { change: (token) => token.setAudience("https://other.example") }));
    await refused(signed("ES256", { change: (token) => token.setAudience(["https://other.example", `${audience}/`]) }));
    await refused(signed("ES256", { change: (token) => token.setIssuer("https://evil.example") }));
    await refused(signed("ES256", { change: (token) => token.setSubject("somebody else") }));
    const several = await signed("ES256", { change: (token) => token.setAudience(["https://other.example", audience]) });
    assert.equal((await call(several)).status, 200);
  });

  test("headers that would change how it is read are not taken", async () => {
    const crit = { crit: ["urgent"], urgent: true };
    const token = new SignJWT({}).setProtectedHeader({ alg: "ES256", kid: "ES256", ...crit });
    await refused(token.setIssuer(issuer.url).setAudience(audience).setSubject(subject).setIssuedAt().setExpirationTime("5m")
      .sign(keys.ES256.privateKey, { crit: { urgent: true } }));
    await refused(signed("ES256", { header: { cty: "JWT" } }));
    await refused(signed("ES256", { header: { jku: `${issuer.url}/keys` } }));
  });

  test("a changed token is not taken: no letter of it may differ", async () => {
    const whole = await signed("ES256");
    const [header, payload, signature] = whole.split(".");
    const claims = { ...JSON.parse(Buffer.from(payload, "base64url")), exp: 4_000_000_000 };
    await refused(`${header}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.${signature}`);
    for (const place of [0, 20, 60]) {
      const letter = signature[place] === "A" ? "B" : "A";
      await refused(`${header}.${payload}.${signature.slice(0, place)}${letter}${signature.slice(place + 1)}`);
    }
    assert.equal((await call(whole)).status, 200, "the control");
  });

  test("keys roll over: the new one counts once the set is fetched again, beside the old one for as long as both are published", async () => {
    const place = "/rolling/payments";
    const make = (name) => signed("ES256", { kid: name, key: keys[name].privateKey, from: rolling });
    assert.equal((await call(await make("old"), place)).status, 200);
    rolling.publish([await jwk(keys.old.publicKey, "old"), await jwk(keys.new.publicKey, "new")]);
    // A set is fetched again for a token at most every thirty seconds.
    const taken = async (name) => (await call(await make(name), place)).status === 200;
    await until("the new key counts", () => taken("new"), { limit: 45_000, pause: 500 });
    assert.ok(await taken("old"), "while both are published both count");
    assert.ok(rolling.asked <= 3, `fetched ${rolling.asked} times`);
    // The new key under the old one's name is neither.
    await refusedAt(place, signed("ES256", { kid: "old", key: keys.new.privateKey, from: rolling }));
  });

  const refusedAt = async (place, token) => {
    const answer = await call(await token, place);
    assert.deepEqual([answer.status, answer.code], [401, "invalid-token"], answer.text);
  };
});
