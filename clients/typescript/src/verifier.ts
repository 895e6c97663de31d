import { InvalidTokenError } from "./errors.js";
import { type Fetch, isHttp } from "./fetching.js";
import { isObject, type Json, type JsonObject } from "./json.js";
import { type Algorithm, isSignedBy } from "./keys.js";
import { KeySet } from "./keyset.js";
import { Recall, type RecallOptions } from "./recall.js";
import { checkTimes, hasAudience, type Kind, kindOf, readUnverified, type Token, typeOf } from "./token.js";

/** Which tokens to accept. All lengths of time are in seconds. */
export interface VerifierOptions {
  /** The realm's issuer, `<public url>/auth/realms/<realm>`, compared as a whole. */
  issuer: string;
  /** What this API is called in `aud`; mandatory, for a token made for another API is none for this. */
  audience: string | readonly string[];
  /** Signature algorithms to accept; RS256 and ES256 by default. */
  algorithms?: readonly Algorithm[];
  /** Client ids whose *ID tokens* are accepted as well; by default none are. An ID token carries no roles or projects. */
  idTokenAudience?: string | readonly string[];
  /** Accept the session tokens of people, and of exchanged API keys, too. They are made for the whole realm. */
  sessionTokens?: boolean;
  /** How far clocks may differ, 30 by default, at most 60. */
  leewaySeconds?: number;
  /** Address of the key set; by default the issuer is asked for it. */
  jwksUri?: string;
  /** Time between two fetches that unknown key ids may cause, 10 by default. */
  cooldownSeconds?: number;
  /** Time that a fetch may take, 5 by default. */
  timeoutSeconds?: number;
  /** Follow the realm's feed of what was taken back; `close()` ends that. By default it is not followed. */
  recall?: boolean | RecallOptions;
  /** What fetches keys and the feed; `globalThis.fetch` by default. */
  fetch?: Fetch;
  /** Seconds since 1970; the machine's clock by default. */
  clock?: () => number;
}

/** Who calls, as an accepted token says. */
export interface Identity {
  /** `sub`: the application's id, which never changes and is never given to another. */
  readonly subject: string;
  /** The application's name. */
  readonly clientId: string;
  /** Roles on the whole realm. */
  readonly roles: ReadonlySet<string>;
  /** Roles by project name. Neither here nor on the realm are there roles that have ended since the token was issued. */
  readonly projects: ReadonlyMap<string, ReadonlySet<string>>;
  /** All claims of the token. */
  readonly claims: JsonObject;
  /** Tell whether the caller holds a role: on the realm, or on one project when that is named. */
  hasRole(role: string, project?: string): boolean;
}

/** Checks tokens of one issuer for one API. Make one and keep it. */
export interface Verifier {
  /**
   * Check a bearer token as it was sent, and return who calls.
   *
   * @throws InvalidTokenError the token is refused; answer 401 `invalid_token`.
   * @throws UnavailableError nothing to check it with; answer 503.
   */
  verify(token: string): Promise<Identity>;
  /** Stop following the feed of what was taken back. */
  close(): void;
}

const HEADERS = new Set(["alg", "kid", "typ", "cty"]);
const ALGORITHMS: readonly string[] = ["RS256", "PS256", "ES256"];

/**
 * Prepare to check tokens. Keys are fetched when the first token comes; the feed is followed at once.
 *
 * @throws TypeError an option that is missing or would not be safe.
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const audience = names(options.audience);
  const leeway = options.leewaySeconds ?? 30;
  const algorithms = new Set<string>(options.algorithms ?? ["RS256", "ES256"]);
  const idTokenAudience = names(options.idTokenAudience ?? []);
  if (!isHttp(options.issuer)) {
    throw new TypeError("issuer takes an http or https URL: the realm's issuer, such as https://id.example.com/auth/realms/acme");
  }
  if (audience.size === 0 || audience.has("")) {
    throw new TypeError("audience is mandatory: name this API as the tokens' aud does");
  }
  if (!(leeway >= 0 && leeway <= 60)) throw new TypeError("leewaySeconds takes 0 to 60");
  if (algorithms.size === 0 || [...algorithms].some((each) => !ALGORITHMS.includes(each))) {
    throw new TypeError("algorithms takes RS256, PS256 and ES256");
  }
  if (options.jwksUri !== undefined && !isHttp(options.jwksUri)) throw new TypeError("jwksUri takes an http or https URL");
  const fetch: Fetch = options.fetch ?? ((url, init) => globalThis.fetch(url, init));
  const timeout = positive("timeoutSeconds", options.timeoutSeconds ?? 5);
  const cooldown = positive("cooldownSeconds", options.cooldownSeconds ?? 10);
  const clock = options.clock ?? (() => Date.now() / 1000);
  const keys = new KeySet(options.issuer, options.jwksUri, cooldown, timeout, fetch);
  const accepted = new Map<Kind, ReadonlySet<string>>([["access token", audience]]);
  if (idTokenAudience.size > 0) accepted.set("ID token", idTokenAudience);
  if (options.sessionTokens) accepted.set("session token", new Set([options.issuer]));
  const follows = options.recall === true ? {} : options.recall || null;
  const steady = options.clock ?? (() => performance.now() / 1000);
  const recall = follows && new Recall(follows, { issuer: options.issuer, keys, algorithms, fetch, timeout, clock, steady });
  recall?.start();
  return new TokenVerifier(options.issuer, accepted, algorithms, leeway, clock, keys, recall);
}

function names(value: string | readonly string[]): ReadonlySet<string> {
  return new Set(typeof value === "string" ? [value] : value);
}

function positive(name: string, value: number): number {
  if (!(value > 0 && value < 86_400)) throw new TypeError(`${name} takes a number of seconds that is more than 0`);
  return value;
}

class TokenVerifier implements Verifier {
  constructor(
    private readonly issuer: string,
    private readonly audience: ReadonlyMap<Kind, ReadonlySet<string>>,
    private readonly algorithms: ReadonlySet<string>,
    private readonly leeway: number,
    private readonly clock: () => number,
    private readonly keys: KeySet,
    private readonly recall: Recall | null,
  ) {}

  async verify(text: string): Promise<Identity> {
    const token = await this.open(text);
    const { claims } = token;
    if (claims["iss"] !== this.issuer) throw new InvalidTokenError("issuer", "The token was issued by another issuer.");
    checkTimes(claims, this.clock(), this.leeway);
    const kind = kindOf(token);
    const audience = kind && this.audience.get(kind);
    if (!audience) {
      const shown = "This is an ID token; send access_token, which came with it.";
      throw new InvalidTokenError("type", kind === "ID token" ? shown : "The token is not of the kind expected here.");
    }
    if (!hasAudience(claims, audience)) throw new InvalidTokenError("audience", "The token is meant for another API.");
    await this.recall?.check(token);
    const identity = identityOf(claims, this.clock());
    if (!identity) throw new InvalidTokenError("claims", "The token's claims do not have the expected form.");
    if ("cnf" in claims) {
      // whatever to, and to nothing: who sends it has shown none of it
      const sentence = "The token is bound to a key or a certificate, and this API takes no proofs. Fetch one that is not bound.";
      throw new InvalidTokenError("bound", sentence);
    }
    return identity;
  }

  close(): void {
    this.recall?.stop();
  }

  /** Check header and signature (RFC 8725 §3). */
  private async open(text: string): Promise<Token> {
    const token = readUnverified(text);
    const { alg, kid, cty } = token.header;
    if (Object.keys(token.header).some((name) => !HEADERS.has(name)) || (cty !== undefined && typeof cty !== "string")) {
      throw new InvalidTokenError("header", "The token's header has members that are not supported.");
    }
    if (typeof alg !== "string" || !this.algorithms.has(alg)) {
      throw new InvalidTokenError("algorithm", "The token's algorithm is not accepted here.");
    }
    const typ = typeOf(token);
    if (typ !== "at+jwt" && typ !== "jwt" && !(typ === "session+jwt" && this.audience.has("session token"))) {
      throw new InvalidTokenError("type", "The token is not of the type expected here.");
    }
    if (kid !== undefined && (typeof kid !== "string" || [...kid].length > 255)) {
      throw new InvalidTokenError("header", "The token's kid is not a usable text.");
    }
    const key = kid === undefined ? null : await this.keys.find(kid, alg);
    if (!key || !isSignedBy(token, key)) {
      throw new InvalidTokenError("signature", "The token's signature does not match any key that is accepted here.");
    }
    return token;
  }
}

/** Return who calls, or null where the claims have another form. */
function identityOf(claims: JsonObject, now: number): Identity | null {
  const { sub: subject, client_id: client, azp, realm_access: access, projects: list } = claims;
  const clientId = client !== undefined ? client : azp !== undefined ? azp : "";
  if (typeof subject !== "string" || typeof clientId !== "string") return null;
  if (access !== undefined && !isObject(access)) return null;
  const roles = live(access?.["roles"] === undefined ? [] : access["roles"], access?.["ends"], now);
  if (!roles || (list !== undefined && !Array.isArray(list))) return null;
  const projects = new Map<string, ReadonlySet<string>>();
  for (const project of list ?? []) {
    const held = isObject(project) ? live(project["roles"], project["ends"], now) : null;
    if (!held || !isObject(project) || typeof project["name"] !== "string") return null;
    projects.set(project["name"], held);
  }
  const hasRole = (role: string, project?: string) =>
    (project === undefined ? roles : projects.get(project))?.has(role) ?? false;
  return { subject, clientId, roles, projects, claims, hasRole };
}

/** Return roles without those whose end, which stands beside them, has passed; null where they have another form. */
function live(list: Json | undefined, ends: Json | undefined, now: number): ReadonlySet<string> | null {
  if (!Array.isArray(list) || (ends !== undefined && !isObject(ends))) return null;
  const roles = new Set<string>();
  for (const role of list) {
    if (typeof role !== "string") return null;
    const end = ends?.[role];
    if (end !== undefined && typeof end !== "number") return null;
    if (end === undefined || now < end) roles.add(role);
  }
  return roles;
}
