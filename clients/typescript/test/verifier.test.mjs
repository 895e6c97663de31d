// The key set, and what may be configured.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createVerifier, UnavailableError } from "@realmgate/verifier";
import { API, newKey, startIssuer } from "./issuer.mjs";

const key = newKey("ec-1");
const refused = (code) => (error) => error.code === code || assert.fail(`${error} instead of ${code}`);

/** Return a verifier whose key set has a clock that the test sets. */
function withClock(issuer) {
  const verifier = createVerifier({ issuer: issuer.url, audience: API });
  const clock = { now: 0 };
  verifier.keys.clock = () => clock.now;
  return { verifier, clock };
}

test("a good token says who calls", async (context) => {
  const issuer = await startIssuer(context, key);
  const verifier = createVerifier({ issuer: issuer.url, audience: API });
  for (let count = 0; count < 3; count++) {
    const identity = await verifier.verify(key.sign(issuer.claims()));
    assert.deepEqual([identity.subject, identity.clientId, identity.claims.jti], ["1f0e", "ci-bot", "j"]);
    assert.ok(identity.hasRole("viewer") && identity.hasRole("researcher", "vision"));
    assert.ok(!identity.hasRole("researcher") && !identity.hasRole("viewer", "vision") && !identity.hasRole("researcher", "speech"));
  }
  assert.deepEqual(issuer.requests.map((path) => path.split("/").at(-1)), ["openid-configuration", "certs"]);
});

test("what is no text is no token", async (context) => {
  const issuer = await startIssuer(context, key);
  const verifier = createVerifier({ issuer: issuer.url, audience: API });
  for (const token of [undefined, null, 1, {}, ["a.b.c"]]) await assert.rejects(verifier.verify(token), refused("malformed"));
});

test("an unsafe set-up is refused", () => {
  const good = { issuer: "https://id.example", audience: API };
  for (const [name, options] of [
    ["issuer", { issuer: "file:///etc/passwd" }],
    ["issuer", { issuer: "" }],
    ["audience", { audience: "" }],
    ["audience", { audience: [] }],
    ["audience", { audience: [API, ""] }],
    ["leewaySeconds", { leewaySeconds: 61 }],
    ["leewaySeconds", { leewaySeconds: -1 }],
    ["leewaySeconds", { leewaySeconds: NaN }],
    ["algorithms", { algorithms: ["none"] }],
    ["algorithms", { algorithms: [] }],
    ["jwksUri", { jwksUri: "ftp://x/" }],
    ["cooldownSeconds", { cooldownSeconds: 0 }],
    ["timeoutSeconds", { timeoutSeconds: -1 }],
    ["recall.url", { recall: { url: "x" } }],
    ["recall.failOpenSeconds", { recall: { failOpenSeconds: 1 } }],
  ]) {
    assert.throws(() => createVerifier({ ...good, ...options }), (error) => error instanceof TypeError && error.message.startsWith(name), name);
  }
});

test("a new key is found, and made-up keys flood nobody", async (context) => {
  const issuer = await startIssuer(context, key);
  const { verifier, clock } = withClock(issuer);
  await verifier.verify(key.sign(issuer.claims()));
  const next = newKey("ec-2");
  issuer.keys.push(next.jwk);
  await assert.rejects(verifier.verify(next.sign(issuer.claims())), refused("signature"));
  clock.now = 10;
  await verifier.verify(next.sign(issuer.claims()));
  for (let second = 0; second < 30; second++) {
    clock.now = 10 + second;
    await assert.rejects(verifier.verify(next.sign(issuer.claims(), "at+jwt", `made-up-${second}`)), refused("signature"));
  }
  assert.equal(issuer.count("/certs"), 4);
});

test("a key that left the set is refused after max-age", async (context) => {
  const issuer = await startIssuer(context, key, newKey("ec-2"));
  const { verifier, clock } = withClock(issuer);
  const token = key.sign(issuer.claims());
  await verifier.verify(token);
  issuer.keys.shift();
  clock.now = 299;
  await verifier.verify(token);
  clock.now = 300;
  await assert.rejects(verifier.verify(token), refused("signature"));
});

test("known keys outlive a short outage and not a long one", async (context) => {
  const issuer = await startIssuer(context, key);
  const { verifier, clock } = withClock(issuer);
  const token = key.sign(issuer.claims());
  await verifier.verify(token);
  issuer.status = 503;
  clock.now = 300 + 599;
  await verifier.verify(token);
  clock.now = 300 + 600;
  await assert.rejects(verifier.verify(token), UnavailableError);
  issuer.status = 200;
  clock.now = 300 + 620;
  await verifier.verify(token);
});

test("who holds the key does not wait for a hanging issuer", async (context) => {
  const issuer = await startIssuer(context, key);
  const { verifier, clock } = withClock(issuer);
  const token = key.sign(issuer.claims());
  await verifier.verify(token);
  clock.now = 301;
  let goOn;
  verifier.keys.get = () => new Promise((_, reject) => (goOn = () => reject(new Error("no answer"))));
  const fetching = verifier.verify(token);
  await verifier.verify(token); // at once, while the other still waits
  goOn();
  await fetching;
});

test("many at once cause one fetch", async (context) => {
  const issuer = await startIssuer(context, key);
  const verifier = createVerifier({ issuer: issuer.url, audience: API });
  await Promise.all(Array.from({ length: 20 }, () => verifier.verify(key.sign(issuer.claims()))));
  assert.equal(issuer.count("/certs"), 1);
});

test("discovery that is wrong is not believed", async (context) => {
  const issuer = await startIssuer(context, key);
  for (const document of [
    { issuer: "https://evil.example", jwks_uri: `${issuer.url}/certs` },
    { issuer: issuer.url },
    { issuer: `${issuer.url}/`, jwks_uri: `${issuer.url}/certs` },
    { issuer: issuer.url, jwks_uri: "file:///etc/passwd" },
    { issuer: issuer.url, jwks_uri: 1 },
    { jwks_uri: `${issuer.url}/certs` },
    [],
    "x",
  ]) {
    issuer.document = document;
    const verifier = createVerifier({ issuer: issuer.url, audience: API });
    await assert.rejects(verifier.verify(key.sign(issuer.claims())), UnavailableError);
  }
});

test("redirects are not followed, and huge answers are not read", async (context) => {
  const issuer = await startIssuer(context, key);
  const attempt = () => createVerifier({ issuer: issuer.url, audience: API }).verify(key.sign(issuer.claims()));
  issuer.status = 302;
  await assert.rejects(attempt(), UnavailableError);
  assert.equal(issuer.count("/elsewhere"), 0);
  issuer.status = 200;
  issuer.body = " ".repeat(1_000_001);
  await assert.rejects(attempt(), /larger than 1000000 bytes/);
});
