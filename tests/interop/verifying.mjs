// Verifies access tokens with jose, for the drill that replaces signing keys: a token on each line that it reads, and on each that it
// writes an empty one, or why the token is refused. Its key set is fetched again when the max-age that it came with is over, and no sooner.
//
//   node verifying.mjs <key set> <issuer> <audience>

import { createInterface } from "node:readline";
import { createRemoteJWKSet, jwtVerify } from "jose";

const [address, issuer, audience] = process.argv.slice(2);
const answer = await fetch(address);
const seconds = Number(/max-age=(\d+)/.exec(answer.headers.get("cache-control"))[1]);
const keys = createRemoteJWKSet(new URL(address), { cacheMaxAge: 1000 * seconds, cooldownDuration: Infinity });

for await (const token of createInterface({ input: process.stdin })) {
  const refused = await jwtVerify(token, keys, { issuer, audience, algorithms: ["RS256", "ES256"] }).then(
    () => "",
    (error) => `${error.code}: ${error.message}`,
  );
  process.stdout.write(`${refused}\n`);
}
