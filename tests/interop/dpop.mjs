// Drives jose, oauth4webapi and openid-client as DPoP clients against a running server, and prints what they found as JSON.
//
//   node dpop.mjs <issuer> <client_id> <client_secret> <application that demands nonces> <its secret>

import { calculateJwkThumbprint, decodeJwt, exportJWK, generateKeyPair, SignJWT } from "jose";
import { createHash, randomUUID } from "node:crypto";
import * as oauth from "oauth4webapi";
import * as openid from "openid-client";

const [issuer, clientId, clientSecret, nonceId, nonceSecret] = process.argv.slice(2);
const found = {};
const insecure = { [oauth.allowInsecureRequests]: true };

// jose: proofs made by hand, as the RFC shows them
async function byHand(algorithm) {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = await exportJWK(publicKey);
  const prove = (htm, htu, token) =>
    new SignJWT({ htm, htu, ...(token && { ath: createHash("sha256").update(token).digest("base64url") }) })
      .setProtectedHeader({ alg: algorithm, typ: "dpop+jwt", jwk })
      .setIssuedAt()
      .setJti(randomUUID())
      .sign(privateKey);
  const url = `${issuer}/protocol/openid-connect/token`;
  const answer = await fetch(url, {
    method: "POST",
    headers: { DPoP: await prove("POST", url) },
    body: new URLSearchParams({ grant_type: "client_credentials", scope: "openid", client_id: clientId, client_secret: clientSecret }),
  });
  const tokens = await answer.json();
  const place = `${issuer}/protocol/openid-connect/userinfo`;
  const ask = async (scheme, proof) =>
    (await fetch(place, { headers: { Authorization: `${scheme} ${tokens.access_token}`, ...(proof && { DPoP: proof }) } })).status;
  return {
    token_type: tokens.token_type,
    bound: decodeJwt(tokens.access_token).cnf.jkt === (await calculateJwkThumbprint(jwk)),
    with_proof: await ask("DPoP", await prove("GET", place, tokens.access_token)),
    as_bearer: await ask("Bearer"),
  };
}

for (const algorithm of ["ES256", "PS256", "RS256", "EdDSA"]) found[algorithm] = await byHand(algorithm);

// oauth4webapi: with and without a nonce that the server demands
async function strict(id, secret) {
  const server = await oauth.processDiscoveryResponse(new URL(issuer), await oauth.discoveryRequest(new URL(issuer), insecure));
  const client = { client_id: id };
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair("ES256"));
  const seen = { nonces: 0 };
  const again = async (ask) => {
    try {
      return await ask();
    } catch (error) {
      if (!oauth.isDPoPNonceError(error)) throw error;
      seen.nonces += 1;
      return ask();
    }
  };
  const tokens = await again(async () => {
    const parameters = { scope: "openid" };
    const options = { ...insecure, DPoP };
    const answer = await oauth.clientCredentialsGrantRequest(server, client, oauth.ClientSecretPost(secret), parameters, options);
    return oauth.processClientCredentialsResponse(server, client, answer);
  });
  const subject = decodeJwt(tokens.access_token).sub;
  const person = await again(async () => {
    const answer = await oauth.userInfoRequest(server, client, tokens.access_token, { ...insecure, DPoP });
    return oauth.processUserInfoResponse(server, client, subject, answer);
  });
  return { ...seen, token_type: tokens.token_type, same_subject: person.sub === subject };
}

found.oauth4webapi = await strict(clientId, clientSecret);
found.oauth4webapi_nonce = await strict(nonceId, nonceSecret);

// openid-client: does the same behind a handle
async function handled(id, secret) {
  const options = { execute: [openid.allowInsecureRequests] };
  const config = await openid.discovery(new URL(issuer), id, undefined, openid.ClientSecretPost(secret), options);
  const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair("ES256"));
  const tokens = await openid.clientCredentialsGrant(config, { scope: "openid" }, { DPoP });
  const subject = decodeJwt(tokens.access_token).sub;
  const person = await openid.fetchUserInfo(config, tokens.access_token, subject, { DPoP });
  return { token_type: tokens.token_type, same_subject: person.sub === subject };
}

found.openid_client = await handled(clientId, clientSecret);
found.openid_client_nonce = await handled(nonceId, nonceSecret);

console.log(JSON.stringify(found));
