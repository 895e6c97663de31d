// The vectors that the verifiers in Python, TypeScript and Go share.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { createVerifier, InvalidTokenError, UnavailableError } from "@realmgate/verifier";

const read = (name) => JSON.parse(readFileSync(new URL(`../../vectors/${name}`, import.meta.url), "utf8"));
const file = read("tokens.json");

/** Stand in for an issuer that serves a key set. */
function issuerOf(issuer, keys) {
  const served = {
    [`${issuer}/.well-known/openid-configuration`]: { issuer, jwks_uri: `${issuer}/certs` },
    [`${issuer}/certs`]: keys,
  };
  return async (url) => {
    assert.ok(url in served, `nobody is to be asked but the issuer: ${url}`);
    return Response.json(served[url]);
  };
}

function tokenOf(parts) {
  if (typeof parts === "string") return parts;
  return parts.map((part) => (typeof part === "string" ? part : part.repeat.repeat(part.times))).join("");
}

async function verdictOn(vector) {
  const settings = { ...file.settings, ...vector.settings };
  const verifier = createVerifier({
    issuer: settings.issuer,
    audience: settings.audience,
    algorithms: settings.algorithms,
    idTokenAudience: settings.id_token_audience,
    sessionTokens: settings.session_tokens,
    leewaySeconds: settings.leeway,
    clock: () => vector.time,
    fetch: issuerOf(settings.issuer, file.key_sets[vector.keys]),
  });
  try {
    const { subject, clientId, roles, projects } = await verifier.verify(tokenOf(vector.token));
    const held = [...projects].map(([name, on]) => [name, [...on].sort()]);
    return { accepted: { subject, client_id: clientId, roles: [...roles].sort(), projects: new Map(held) } };
  } catch (error) {
    if (error instanceof InvalidTokenError) return { refused: error.code };
    if (error instanceof UnavailableError) return { refused: "keys" };
    throw error;
  }
}

test("there are enough vectors", () => assert.ok(file.vectors.length >= 150));

for (const vector of file.vectors) {
  test(vector.name, async () => {
    const expected = structuredClone(vector.expect);
    // a Map, since a name may be __proto__
    if (expected.accepted) expected.accepted.projects = new Map(Object.entries(vector.expect.accepted.projects));
    assert.deepEqual(await verdictOn(vector), expected);
  });
}
