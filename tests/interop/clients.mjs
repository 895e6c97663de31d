// Drives jose and openid-client against a running server, and prints what they found as JSON.
//
//   node clients.mjs <issuer> <client_id> <client_secret> <audience>

import { createRemoteJWKSet, jwtVerify } from "jose";
import * as client from "openid-client";

const [issuer, clientId, clientSecret, audience] = process.argv.slice(2);
const found = {};

for (const [name, authenticate] of [
  ["basic", client.ClientSecretBasic(clientSecret)],
  ["post", client.ClientSecretPost(clientSecret)],
]) {
  const options = { execute: [client.allowInsecureRequests] };
  const config = await client.discovery(new URL(issuer), clientId, undefined, authenticate, options);
  const tokens = await client.clientCredentialsGrant(config, { scope: "openid" });
  const shown = await client.tokenIntrospection(config, tokens.access_token);
  await client.tokenRevocation(config, tokens.access_token);
  const after = await client.tokenIntrospection(config, tokens.access_token);
  found[name] = { expires_in: tokens.expires_in, active: shown.active, active_after: after.active };

  const keys = createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri));
  const access = await jwtVerify(tokens.access_token, keys, { issuer, audience, typ: "at+jwt" });
  const id = await jwtVerify(tokens.id_token, keys, { issuer, audience: clientId, typ: "JWT" });
  found[name].subject = access.payload.sub;
  found[name].same_subject = access.payload.sub === id.payload.sub;
  found[name].id_token_refused = await jwtVerify(tokens.id_token, keys, { issuer, audience, typ: "at+jwt" }).then(
    () => false,
    () => true,
  );
}

console.log(JSON.stringify(found));
