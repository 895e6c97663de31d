// The vectors that the verifiers in Python, TypeScript and Go share.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createVerifier } from "@realmgate/verifier";
import { asJson, issuerOf, readVectors, verdict } from "./vectors.mjs";

const file = readVectors("tokens.json");

function tokenOf(parts) {
  if (typeof parts === "string") return parts;
  return parts.map((part) => (typeof part === "string" ? part : part.repeat.repeat(part.times))).join("");
}

test("there are enough vectors", () => assert.ok(file.vectors.length >= 150));

for (const vector of file.vectors) {
  test(vector.name, async () => {
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
    assert.deepEqual(await verdict(verifier, tokenOf(vector.token)), asJson(vector.expect));
  });
}
