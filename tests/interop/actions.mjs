// GitHub's own client, unchanged: a step of a workflow asks for an ID token, and the token endpoint for an access token.
//
//     node actions.mjs <issuer of the realm>
//
// ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are what a runner sets. It prints what each way in has answered.

import { writeSync } from "node:fs";
import { getIDToken } from "@actions/core";

const issuer = process.argv[2];
const jwt = "urn:ietf:params:oauth:token-type:jwt";
const ways = {
  client_assertion: (token) => ({
    grant_type: "client_credentials",
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: token,
  }),
  grant: (token) => ({ grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion: token }),
  exchange: (token) => ({
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token: token,
    subject_token_type: jwt,
  }),
};

const found = {};
for (const [name, form] of Object.entries(ways)) {
  const token = await getIDToken(issuer);
  const answer = await fetch(`${issuer}/protocol/openid-connect/token`, {
    method: "POST",
    body: new URLSearchParams(form(token)),
  });
  found[name] = { status: answer.status, ...(await answer.json()) };
}
// the runner reads lines that begin with ::, of which the client has written some (to mask its tokens)
writeSync(1, `\n${JSON.stringify(found)}\n`);
