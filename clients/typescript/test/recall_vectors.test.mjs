// Feeds of what was taken back, and tokens that they cover or do not, as the vectors have them.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createVerifier, UnavailableError } from "@realmgate/verifier";
import { asJson, issuerOf, readVectors, verdict } from "./vectors.mjs";

const file = readVectors("recall.json");

test("there are enough stories", () => assert.ok(file.stories.length >= 20));

for (const story of file.stories) {
  test(story.name, async () => {
    const settings = { ...file.settings, ...story.settings };
    let now = 0;
    const verifier = createVerifier({
      issuer: settings.issuer,
      audience: settings.audience,
      sessionTokens: settings.session_tokens,
      clock: () => now,
      timeoutSeconds: 0.05,
      fetch: issuerOf(settings.issuer, file.key_set),
      recall: { failOpenSeconds: story.fail_open_seconds },
    });
    verifier.close(); // the feeds come from the story
    for (const [number, step] of story.steps.entries()) {
      now = step.time;
      const { recall } = verifier;
      const attempt = async () => (step.feed === null ? recall.notModified() : await recall.take(step.feed));
      const got = step.token ? await verdict(verifier, step.token) : await attempt().then(() => "taken", () => "refused");
      assert.deepEqual(got, asJson(step.expect), `step ${number}`);
    }
  });
}

test("no answer is another kind of error", async () => {
  const verifier = createVerifier({ ...file.settings, audience: "x", timeoutSeconds: 0.05, fetch: () => Promise.reject(new Error("no")) });
  await assert.rejects(verifier.verify(file.stories.find(({ name }) => name === "before the first document").steps[0].token), UnavailableError);
});
