// Handlers of Node's HTTP server, of Express, and of the Fetch standard: which answer for which token (RFC 6750 §3).
import assert from "node:assert/strict";
import { createServer, request as send } from "node:http";
import { test } from "node:test";

import { bearer, bearerFetch, createVerifier } from "@realmgate/verifier";
import { API, newKey, startIssuer } from "./issuer.mjs";

const key = newKey("ec-1");
const PREFLIGHT = { Origin: "https://app.example", "Access-Control-Request-Method": "PUT" };

/** Serve a handler as Express does, and return what asks it. */
async function serve(context, verifier, options) {
  const guard = bearer(verifier, options);
  const server = createServer((request, response) => {
    guard(request, response, (error) => response.writeHead(error ? 500 : 200).end(request.identity?.clientId ?? ""));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  return (headers, { method = "GET", path = "/" } = {}) =>
    new Promise((resolve, reject) => {
      const asked = send({ port: server.address().port, agent: false, method, path, headers }, (answer) => {
        let body = "";
        answer.on("data", (part) => (body += part));
        answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, body }));
      });
      asked.on("error", reject);
      asked.end();
    });
}

async function setUp(context) {
  const issuer = await startIssuer(context, key);
  const verifier = createVerifier({ issuer: issuer.url, audience: API });
  return { issuer, verifier, good: `Bearer ${key.sign(issuer.claims())}` };
}

test("a good token comes through, and no other", async (context) => {
  const { issuer, verifier, good } = await setUp(context);
  const ask = await serve(context, verifier);
  const expired = `Bearer ${key.sign(issuer.claims({ exp: 1 }))}`;
  for (const [authorization, status, challenge] of [
    [good, 200, undefined],
    [good.replace("Bearer", "BEARER"), 200, undefined],
    [undefined, 401, "Bearer"],
    [[good, good], 400, /^Bearer error="invalid_request"/],
    ["Basic eDp5", 400, /^Bearer error="invalid_request"/],
    ["Bearer", 400, /^Bearer error="invalid_request"/],
    ["Bearer a b", 400, /^Bearer error="invalid_request"/],
    ["Bearer a,b", 400, /^Bearer error="invalid_request"/],
    [expired, 401, /^Bearer error="invalid_token", error_description="The token has expired\. Fetch a new one\."$/],
  ]) {
    const answer = await ask(authorization === undefined ? {} : { Authorization: authorization });
    assert.equal(answer.status, status, String(authorization));
    if (challenge instanceof RegExp) assert.match(answer.headers["www-authenticate"], challenge);
    else assert.equal(answer.headers["www-authenticate"], challenge);
    if (status === 200) assert.equal(answer.body, "ci-bot");
    else assert.equal(typeof JSON.parse(answer.body).error_description, "string");
  }
});

test("a bound token does not come through, whatever it is sent as", async (context) => {
  const { issuer, verifier, good } = await setUp(context);
  const ask = await serve(context, verifier);
  const fetched = bearerFetch(verifier, () => new Response());
  for (const cnf of [{ jkt: "x" }, { "x5t#S256": "x" }, {}, null]) {
    const token = key.sign(issuer.claims({ cnf }));
    const answer = await ask({ Authorization: `Bearer ${token}` });
    assert.equal(answer.status, 401, JSON.stringify(cnf));
    assert.match(answer.headers["www-authenticate"], /^Bearer error="invalid_token", error_description="The token is bound to [^"]+"$/);
    assert.equal(JSON.parse(answer.body).error, "invalid_token");
    assert.equal((await ask({ Authorization: `DPoP ${token}`, DPoP: "x" })).status, 400);
    const other = await fetched(new Request("https://api.example/", { headers: { Authorization: `Bearer ${token}` } }));
    assert.deepEqual([other.status, other.headers.get("www-authenticate")], [401, answer.headers["www-authenticate"]]);
  }
  assert.equal((await ask({ Authorization: good })).status, 200);
});

test("a role must be held, on the very project where one is named", async (context) => {
  const { verifier, good } = await setUp(context);
  const editors = await serve(context, verifier, { roles: ["editor", "administrator"] });
  const answer = await editors({ Authorization: good });
  assert.equal(answer.status, 403);
  assert.equal(JSON.parse(answer.body).error_description, "This call needs the role administrator or editor on the realm.");
  assert.equal((await (await serve(context, verifier, { roles: "viewer" }))({ Authorization: good })).status, 200);
  const onProject = await serve(context, verifier, { roles: "researcher", project: (request) => request.url.slice(1) });
  assert.equal((await onProject({ Authorization: good }, { path: "/vision" })).status, 200);
  assert.equal((await onProject({ Authorization: good }, { path: "/speech" })).status, 403);
});

test("preflights come through where they are let", async (context) => {
  const { verifier } = await setUp(context);
  const [open, closed] = [await serve(context, verifier, { preflights: true }), await serve(context, verifier)];
  assert.equal((await open(PREFLIGHT, { method: "OPTIONS" })).status, 200);
  assert.equal((await open({ Origin: PREFLIGHT.Origin }, { method: "OPTIONS" })).status, 401);
  assert.equal((await open(PREFLIGHT)).status, 401);
  assert.equal((await closed(PREFLIGHT, { method: "OPTIONS" })).status, 401);
});

test("no keys is 503", async (context) => {
  const { issuer, verifier, good } = await setUp(context);
  issuer.status = 500;
  const answer = await (await serve(context, verifier))({ Authorization: good });
  assert.deepEqual([answer.status, answer.headers["retry-after"]], [503, "5"]);
});

test("handlers of the Fetch standard", async (context) => {
  const { issuer, verifier, good } = await setUp(context);
  const handler = bearerFetch(verifier, (_request, identity, more) => Response.json([identity?.clientId ?? null, more]), { preflights: true });
  const ask = (headers, method = "GET") => handler(new Request("https://api.example/", { method, headers }), "more");
  assert.deepEqual(await (await ask({ Authorization: good })).json(), ["ci-bot", "more"]);
  assert.deepEqual(await (await ask(PREFLIGHT, "OPTIONS")).json(), [null, "more"]);
  const bare = await ask({});
  assert.deepEqual([bare.status, bare.headers.get("www-authenticate")], [401, "Bearer"]);
  const twice = new Headers([["Authorization", good], ["Authorization", good]]);
  assert.equal((await ask(twice)).status, 400);
  assert.equal((await ask({ Authorization: `Bearer ${key.sign(issuer.claims({ aud: "x" }))}` })).status, 401);
  const broken = bearerFetch(verifier, () => { throw new RangeError("of the handler's own"); });
  await assert.rejects(broken(new Request("https://api.example/", { headers: { Authorization: good } })), RangeError);
});
