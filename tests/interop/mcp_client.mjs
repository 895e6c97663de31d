// MCP's client, unchanged: connects to an MCP server, gets a token for it from where the server's refusal leads, and connects.
//
//   node mcp_client.mjs <URL of the MCP server> <redirect URI> <how> <what>
//
// How: `registered` with a registration token, `document` with the URL of a client ID metadata document, `machine` with an id and
// a secret. It prints where a person has to go, reads where they were sent back to, and prints what it found as JSON.

import { createInterface } from "node:readline/promises";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { ClientCredentialsProvider } from "@modelcontextprotocol/sdk/client/auth-extensions.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [server, redirectUrl, how, what] = process.argv.slice(2);

class PersonsProvider {
  clientMetadata = {
    client_name: "Tool in TypeScript",
    redirect_uris: [redirectUrl],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
    application_type: "native",
  };
  redirectUrl = redirectUrl;
  clientMetadataUrl = how === "document" ? what : undefined;
  clientInformation = () => this.client;
  saveClientInformation = (client) => (this.client = client);
  tokens = () => this.saved;
  saveTokens = (tokens) => (this.saved = tokens);
  codeVerifier = () => this.verifier;
  saveCodeVerifier = (verifier) => (this.verifier = verifier);
  redirectToAuthorization = (url) => console.log(url.href);
}

// registering takes a token here, which the client leaves to whoever uses it
const withToken = (url, init = {}) => {
  const headers = new Headers(init.headers);
  if (how === "registered" && String(url).includes("/clients-registrations/")) headers.set("Authorization", `Bearer ${what}`);
  return fetch(url, { ...init, headers });
};

const [clientId, clientSecret] = how === "machine" ? what.split(" ") : [];
const authProvider = how === "machine" ? new ClientCredentialsProvider({ clientId, clientSecret }) : new PersonsProvider();
const transport = () => new StreamableHTTPClientTransport(new URL(server), { authProvider, fetch: withToken });
const connect = async (over) => {
  const client = new Client({ name: "tool", version: "1" });
  await client.connect(over);
  return client;
};

let client;
try {
  client = await connect(transport());
} catch (error) {
  if (!(error instanceof UnauthorizedError) || how === "machine") throw error;
  const input = createInterface({ input: process.stdin });
  const back = new URL((await input[Symbol.asyncIterator]().next()).value);
  input.close();
  const first = transport();
  await first.finishAuth(back.searchParams.get("code"));
  client = await connect(transport());
}
const tokens = authProvider.tokens();
console.log(JSON.stringify({ server: client.getServerVersion().name, client: authProvider.clientInformation().client_id, tokens }));
await client.close();
