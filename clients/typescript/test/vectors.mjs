// Reading the vectors that the verifiers in Python, TypeScript and Go share.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { InvalidTokenError, UnavailableError } from "@realmgate/verifier";

/** Return a file of vectors. */
export function readVectors(name) {
  return JSON.parse(readFileSync(new URL(`../../vectors/${name}`, import.meta.url), "utf8"));
}

/** Stand in for an issuer that serves a key set. */
export function issuerOf(issuer, keys) {
  const served = {
    [`${issuer}/.well-known/openid-configuration`]: { issuer, jwks_uri: `${issuer}/certs` },
    [`${issuer}/certs`]: keys,
  };
  return async (url) => {
    assert.ok(url in served, `nobody is to be asked but the issuer: ${url}`);
    return Response.json(served[url]);
  };
}

/** Return what is expected, with a Map of projects, since a name may be __proto__. */
export function asJson(expected) {
  if (!expected.accepted) return expected;
  return { accepted: { ...expected.accepted, projects: new Map(Object.entries(expected.accepted.projects)) } };
}

/** Return what becomes of a token. */
export async function verdict(verifier, token) {
  try {
    const { subject, clientId, roles, projects } = await verifier.verify(token);
    const held = [...projects].map(([name, on]) => [name, [...on].sort()]);
    return { accepted: { subject, client_id: clientId, roles: [...roles].sort(), projects: new Map(held) } };
  } catch (error) {
    if (error instanceof InvalidTokenError) return { refused: error.code };
    if (error instanceof UnavailableError) return { refused: error.message.startsWith("The keys of") ? "keys" : "unavailable" };
    throw error;
  }
}
