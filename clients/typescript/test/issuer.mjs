// An issuer on loopback: discovery, a key set and a feed, as a test wants them.
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { createServer } from "node:http";

export const API = "https://api.example";

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Return a new key on P-256, which signs. */
export function newKey(kid) {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    kid,
    jwk: { ...publicKey.export({ format: "jwk" }), kid, use: "sig", alg: "ES256" },
    sign(claims, typ = "at+jwt", as = kid) {
      const unsigned = `${encode({ alg: "ES256", kid: as, typ })}.${encode(claims)}`;
      const signature = sign("sha256", Buffer.from(unsigned), { key: privateKey, dsaEncoding: "ieee-p1363" });
      return `${unsigned}.${signature.toString("base64url")}`;
    },
  };
}

/** Start an issuer; it ends with the test. */
export async function startIssuer(context, ...keys) {
  const issuer = {
    url: "",
    status: 200,
    maxAge: 300,
    keys: keys.map(({ jwk }) => jwk),
    document: undefined,
    requests: [],
    feed: null,
    body: null,
    count: (end) => issuer.requests.filter((path) => path.endsWith(end)).length,
    claims(changes = {}) {
      const now = Math.floor(Date.now() / 1000);
      const identity = { iss: issuer.url, sub: "1f0e", aud: API, client_id: "ci-bot", typ: "Bearer", jti: "j" };
      const held = { realm_access: { roles: ["viewer"] }, projects: [{ name: "vision", roles: ["researcher"] }] };
      return { ...identity, iat: now, exp: now + 60, ...held, ...changes };
    },
  };
  const server = createServer((request, response) => {
    const path = request.url.split("?")[0];
    issuer.requests.push(path);
    if (path.endsWith("/revocations") && issuer.feed) return issuer.feed(request, response);
    const own = issuer.document ?? { issuer: issuer.url, jwks_uri: `${issuer.url}/certs` };
    const answer = path.endsWith("/openid-configuration") ? own : { keys: issuer.keys };
    const status = path.endsWith("/revocations") ? 404 : issuer.status;
    response.writeHead(status, { "Cache-Control": `max-age=${issuer.maxAge}`, Location: "/elsewhere" });
    return response.end(issuer.body ?? JSON.stringify(answer));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  issuer.url = `http://127.0.0.1:${server.address().port}/auth/realms/acme`;
  return issuer;
}

/** A feed that a test adds to; whoever waits for news hears of them at once. */
export class Feed {
  position = 0;
  names = [];
  asked = [];
  status = 200;
  #waiting = [];

  constructor(issuer, key) {
    this.issuer = issuer;
    this.key = key;
    issuer.feed = (request, response) => {
      this.asked.push({ headers: request.headers, query: request.url.split("?")[1] });
      if (request.headers["if-none-match"] === this.etag) this.#waiting.push(response);
      else this.#answer(response);
    };
  }

  get etag() {
    return `"e.${this.position}"`;
  }

  takeBack(subject) {
    this.position++;
    this.names.push(subject);
    this.#waiting.splice(0).forEach((response) => this.#answer(response));
  }

  #answer(response) {
    if (this.status !== 200) return response.writeHead(this.status).end();
    const now = Math.floor(Date.now() / 1000);
    const ids = this.names.map((name) => createHash("sha256").update(`subject\0${name}`).digest().subarray(0, 8));
    const subject = { ids: Buffer.concat(ids).toString("base64url"), at: ids.map(() => 0) };
    const about = { iss: this.issuer.url, iat: now, exp: now + 60, epoch: "e", position: this.position, life: 36120, base: now };
    return response.writeHead(200, { ETag: this.etag }).end(this.key.sign({ ...about, causes: { subject } }, "revocations+jwt"));
  }
}

/** Wait until a condition holds. */
export async function eventually(what, condition) {
  for (let end = Date.now() + 60_000; Date.now() < end; ) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`${what} did not happen`);
}
