// Drives oauth4webapi, which refuses what a standard does not allow, against a running server, and prints what it found as JSON.
//
//   node oauth4webapi.mjs <issuer> <client_id> <client_secret> <audience> <algorithm>

import * as oauth from "oauth4webapi";

const [issuer, clientId, clientSecret, audience, algorithm] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: true };
const client = { client_id: clientId, id_token_signed_response_alg: algorithm };
const found = {};

async function discover(kind) {
  const response = await oauth.discoveryRequest(new URL(issuer), { ...insecure, algorithm: kind });
  return oauth.processDiscoveryResponse(new URL(issuer), response);
}

function refused(promise) {
  return promise.then(
    () => "",
    (error) => error.code,
  );
}

const server = await discover("oidc");
found.same_document = JSON.stringify(server) === JSON.stringify(await discover("oauth2"));

async function fetchTokens(authentication, parameters) {
  const response = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, insecure);
  return oauth.processClientCredentialsResponse(server, client, response);
}

async function introspect(authentication, token) {
  const response = await oauth.introspectionRequest(server, client, authentication, token, insecure);
  return oauth.processIntrospectionResponse(server, client, response);
}

function check(token, expected) {
  const request = new Request("https://api.example.com/", { headers: { Authorization: `Bearer ${token}` } });
  return oauth.validateJwtAccessToken(server, request, expected, { ...insecure, signingAlgorithms: [algorithm] });
}

for (const [name, authentication] of [
  ["basic", oauth.ClientSecretBasic(clientSecret)],
  ["post", oauth.ClientSecretPost(clientSecret)],
]) {
  const tokens = await fetchTokens(authentication, { scope: "openid" });
  const claims = await check(tokens.access_token, audience);
  const person = await oauth.userInfoRequest(server, client, tokens.access_token, insecure);
  const seen = {
    token_type: tokens.token_type,
    expires_in: tokens.expires_in,
    id_token_subject: oauth.getValidatedIdTokenClaims(tokens)?.sub,
    subject: claims.sub,
    userinfo: await oauth.processUserInfoResponse(server, client, claims.sub, person),
    another_audience: await refused(check(tokens.access_token, "elsewhere")),
    id_token: await refused(check(tokens.id_token, clientId)),
    active: (await introspect(authentication, tokens.access_token)).active,
  };
  const revoked = await oauth.revocationRequest(server, client, authentication, tokens.access_token, insecure);
  await oauth.processRevocationResponse(revoked);
  seen.active_after = (await introspect(authentication, tokens.access_token)).active;
  seen.userinfo_after = await refused(
    oauth
      .userInfoRequest(server, client, tokens.access_token, insecure)
      .then((response) => oauth.processUserInfoResponse(server, client, claims.sub, response)),
  );
  found[name] = seen;
}

const wrong = fetchTokens(oauth.ClientSecretBasic("wrong"), {});
found.wrong_secret = await wrong.catch((error) => [error.code, error.cause[0].scheme]);
const unknown = fetchTokens(oauth.ClientSecretPost(clientSecret), { scope: "nothing" });
found.unknown_scope = await unknown.catch((error) => [error.code, error.error]);

console.log(JSON.stringify(found));
