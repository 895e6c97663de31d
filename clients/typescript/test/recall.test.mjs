// Following the feed of what was taken back.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createVerifier, UnavailableError } from "@realmgate/verifier";
import { API, eventually, Feed, newKey, startIssuer } from "./issuer.mjs";

const key = newKey("ec-1");

async function follow(context, signer = key, status = 200) {
  const issuer = await startIssuer(context, key);
  const feed = new Feed(issuer, signer);
  feed.status = status;
  const verifier = createVerifier({ issuer: issuer.url, audience: API, recall: true });
  context.after(() => verifier.close());
  return { issuer, feed, verifier };
}

test("the feed is followed in the background", async (context) => {
  const { issuer, feed, verifier } = await follow(context);
  const token = key.sign(issuer.claims());
  await verifier.verify(token);
  feed.takeBack("somebody");
  feed.takeBack("1f0e");
  const codeOf = async (shown) => verifier.verify(shown).then(() => "accepted", (error) => error.code);
  await eventually("the refusal", async () => (await codeOf(token)) === "recalled");
  assert.equal(await codeOf(key.sign(issuer.claims({ sub: "other" }))), "accepted");
  await eventually("the next question", () => feed.asked.at(-1).headers["if-none-match"] === '"e.2"');
  assert.equal(feed.asked.at(-1).headers.prefer, "wait=25");
  assert.equal(feed.asked.at(-1).query, "since=e.2");
  assert.deepEqual([feed.asked[0].headers["if-none-match"], feed.asked[0].headers.prefer, feed.asked[0].query], [undefined, undefined, undefined]);
  await assert.rejects(verifier.verify(token), /^InvalidTokenError: The token does not count any more: whose token it is/);
});

test("without a feed no token is accepted", async (context) => {
  const issuer = await startIssuer(context, key);
  const verifier = createVerifier({ issuer: issuer.url, audience: API, recall: true });
  context.after(() => verifier.close());
  await assert.rejects(verifier.verify(key.sign(issuer.claims())), UnavailableError);
  await assert.rejects(verifier.verify(key.sign(issuer.claims({ exp: 1 }))), { code: "expired" });
});

test("a feed by a stranger is not believed", async (context) => {
  const { issuer, verifier } = await follow(context, newKey("ec-1"));
  await assert.rejects(verifier.verify(key.sign(issuer.claims())), UnavailableError);
});

test("a feed that fails is left alone for a while, and asked again", async (context) => {
  const { issuer, feed, verifier } = await follow(context, key, 500);
  await assert.rejects(verifier.verify(key.sign(issuer.claims())), UnavailableError);
  assert.ok(feed.asked.length <= 2);
  feed.status = 200;
  await eventually("recovery", () => verifier.verify(key.sign(issuer.claims())).then(() => true, () => false));
});

test("after close nothing is asked", async (context) => {
  const { issuer, feed, verifier } = await follow(context);
  await verifier.verify(key.sign(issuer.claims()));
  await eventually("the long question", () => feed.asked.length === 2);
  verifier.close();
  feed.takeBack("1f0e");
  await verifier.verify(key.sign(issuer.claims())); // what was known stays
  assert.equal(feed.asked.length, 2);
});
