import { createHash } from "node:crypto";

import { InvalidTokenError, UnavailableError } from "./errors.js";
import { type Fetch, fetchWhole, isHttp } from "./fetching.js";
import { isObject, type Json, type JsonObject } from "./json.js";
import { isSignedBy } from "./keys.js";
import type { KeySet } from "./keyset.js";
import { decode, readUnverified, type Token, typeOf } from "./token.js";

/** Characters of the longest feed that is read. */
const MAX_FEED = 4_000_000;

/** Seconds by which causes are announced, and by which documents may be early, late or older than one before. */
const AHEAD = 60;

/** Seconds that the server may wait for news; between questions where there are none; after errors at most; as it asks for at most. */
const LONG_POLL = 25;
const SHORTEST_PAUSE = 1;
const LONGEST_PAUSE = 15;
const LONGEST_RETRY = 600;

/** How to follow the realm's feed of what was taken back. */
export interface RecallOptions {
  /** Address of the feed; by default the issuer's. */
  url?: string;
  /** Seconds for which tokens are accepted after the feed was last heard of: 60 by default, at least 5, `Infinity` for ever. */
  failOpenSeconds?: number;
}

/** What a feed says, once it was found to be right. Times are seconds since 1970. */
interface Feed {
  readonly iat: number;
  readonly exp: number;
  readonly epoch: string;
  readonly position: number;
  readonly since: number | null;
  readonly life: number;
  readonly closed: boolean;
  readonly tokensFrom: number;
  /** When something was taken back, by kind and by identifier. */
  readonly causes: Map<string, Map<string, number>>;
  readonly lifted: ReadonlyMap<string, readonly string[]>;
}

interface Surroundings {
  readonly issuer: string;
  readonly keys: KeySet;
  readonly algorithms: ReadonlySet<string>;
  readonly fetch: Fetch;
  readonly timeout: number;
  /** Seconds since 1970. */
  readonly clock: () => number;
  /** Seconds that only ever go forward. */
  readonly steady: () => number;
}

/** An answer that was none, and how long the server asks to be left alone. */
class FeedError extends Error {
  constructor(
    message: string,
    readonly retryAfter = 0,
    /** What was answered does not follow what is there, so the next question is for the whole. */
    readonly refused = false,
  ) {
    super(message);
  }
}

function refuse(message: string): never {
  throw new FeedError(message, 0, true);
}

/** Knows what was taken back, and follows the feed of it. */
export class Recall {
  private readonly url: string;
  private readonly failOpen: number;
  private readonly ended = new AbortController();
  private readonly tried: Promise<void>;
  private setTried: () => void = () => undefined;
  private feed: Feed | null = null;
  private heard = -Infinity;
  private etag: string | null = null;

  constructor(
    options: RecallOptions,
    private readonly own: Surroundings,
  ) {
    this.url = options.url ?? `${own.issuer}/protocol/realmgate/revocations`;
    this.failOpen = options.failOpenSeconds ?? 60;
    if (!isHttp(this.url)) throw new TypeError("recall.url takes an http or https URL");
    if (!(this.failOpen >= 5)) throw new TypeError("recall.failOpenSeconds takes 5 seconds at least, or Infinity");
    this.tried = new Promise((resolve) => {
      this.setTried = resolve;
    });
  }

  /** Seconds that the server may wait for news: shorter than what nothing may be heard for. */
  private get wait(): number {
    return Math.max(1, Math.floor(Math.min(LONG_POLL, this.failOpen / 2)));
  }

  start(): void {
    void this.follow();
  }

  stop(): void {
    this.ended.abort();
    this.setTried();
  }

  /**
   * Refuse a token that was taken back.
   *
   * @throws InvalidTokenError it was.
   * @throws UnavailableError it is not known whether it was.
   */
  async check(token: Token): Promise<void> {
    if (!this.feed) await Promise.race([this.tried, pause(this.own.timeout)]); // just begun: the first answer takes moments
    const advice = `Check that this API reaches ${this.url}.`;
    if (!this.feed) throw new UnavailableError(`What was recalled in ${this.own.issuer} is not known yet. ${advice}`);
    if (this.own.steady() - this.heard > this.failOpen) {
      throw new UnavailableError(`Nothing was heard of what was recalled in ${this.own.issuer} for too long. ${advice}`);
    }
    const reason = reasonOf(this.feed, token, this.own.clock());
    if (reason !== null) throw new InvalidTokenError("recalled", `The token does not count any more: ${reason}.`);
  }

  /**
   * Note that the document which is there still is the newest.
   *
   * @throws Error it has ended.
   */
  notModified(): void {
    if (!this.feed || this.own.clock() >= this.feed.exp + AHEAD) refuse("nothing is new about a feed that has ended");
    this.heard = this.own.steady();
  }

  /**
   * Read a document and keep what it says. Return whether anything has changed.
   *
   * @throws Error it is not to be believed.
   */
  async take(text: string): Promise<boolean> {
    const token = await this.open(text);
    const next = readFeed(token.claims);
    const now = this.own.clock();
    const last = this.feed;
    this.mayFollow(next, last, token, now);
    if (last && next.since !== null) add(next, last, now);
    this.feed = next;
    this.heard = this.own.steady();
    return last?.epoch !== next.epoch || last.position !== next.position;
  }

  /** Check header and signature of a document. */
  private async open(text: string): Promise<Token> {
    const token = readUnverified(text, MAX_FEED);
    const { alg, kid, typ } = token.header;
    const isKnown = typeof alg === "string" && this.own.algorithms.has(alg) && typ === "revocations+jwt";
    if (!isKnown || typeof kid !== "string" || Object.keys(token.header).length !== 3) refuse("the feed has another header");
    const key = await this.own.keys.find(kid, alg);
    if (!key || !isSignedBy(token, key)) refuse("the feed is not signed by a key of the realm");
    return token;
  }

  private mayFollow(next: Feed, last: Feed | null, token: Token, now: number): void {
    if (token.claims["iss"] !== this.own.issuer) refuse("the feed is another issuer's");
    if (next.iat > now + AHEAD || next.exp < now - AHEAD) refuse("the feed is from another time");
    if (!last) {
      if (next.since !== null) refuse("the feed adds to what is not there");
      return;
    }
    if (timeOf(last, "signing_key", token.header["kid"]) !== null) refuse("the feed is signed by a key that was recalled");
    if (next.iat < last.iat - AHEAD) refuse("the feed is older than the one before");
    if (next.epoch !== last.epoch) {
      if (next.since !== null) refuse("the feed adds to another timeline");
    } else if (next.position < last.position || (next.since ?? 0) > last.position) {
      refuse("the feed does not continue the one before");
    }
  }

  /** Ask for the feed again and again until `stop`. */
  private async follow(): Promise<void> {
    const { signal } = this.ended;
    let failures = 0;
    while (!signal.aborted) {
      const began = performance.now() / 1000;
      let seconds = 0;
      try {
        const news = await this.ask();
        failures = 0;
        if (!news) seconds = SHORTEST_PAUSE - (performance.now() / 1000 - began);
      } catch (error) {
        const { retryAfter, refused } = error instanceof FeedError ? error : { retryAfter: 0, refused: error instanceof InvalidTokenError };
        if (refused) this.etag = null;
        seconds = Math.max(Math.min(2 ** failures, LONGEST_PAUSE), Math.min(retryAfter, LONGEST_RETRY));
        failures++;
      }
      this.setTried();
      if (seconds > 0) await pause(seconds, signal);
    }
  }

  /** Ask once: with the ETag of what is there wait for news of it, without one ask for the whole. Return whether there are news. */
  private async ask(): Promise<boolean> {
    const url = new URL(this.url);
    const headers: Record<string, string> = { Accept: "application/jwt" };
    if (this.etag !== null && this.feed) {
      url.searchParams.set("since", `${this.feed.epoch}.${this.feed.position}`);
      headers["If-None-Match"] = this.etag;
      headers["Prefer"] = `wait=${this.wait}`;
    }
    const answer = await fetchWhole(this.own.fetch, url.href, {
      headers,
      seconds: LONG_POLL + this.own.timeout,
      largest: MAX_FEED,
      signal: this.ended.signal,
    });
    if (answer.status === 304) {
      this.notModified();
      return false;
    }
    if (answer.status !== 200) {
      const asksToWait = answer.status === 429 || answer.status === 503;
      const retryAfter = asksToWait ? Number(answer.headers.get("retry-after") ?? 0) || 0 : 0;
      throw new FeedError(`${this.url} answered ${answer.status}`, retryAfter);
    }
    const news = await this.take(answer.body.toString("latin1"));
    this.etag = answer.headers.get("etag");
    return news;
  }
}

/** Wait, without keeping the process alive. */
function pause(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, seconds * 1000);
    timer.unref();
    signal?.addEventListener("abort", done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
  });
}

/** Return when something was taken back, or null. */
function timeOf(feed: Feed, kind: string, name: unknown): number | null {
  const causes = feed.causes.get(kind);
  if (!causes || causes.size === 0 || typeof name !== "string") return null;
  const id = createHash("sha256").update(`${kind}\0${name}`).digest().toString("latin1", 0, 8);
  return causes.get(id) ?? null;
}

/** What has happened, for each kind of cause. */
const REASONS = {
  subject: "whose token it is, or who acted for them, was disabled or deleted",
  session: "its session has ended",
  key: "the API key that it was exchanged for does not work any more",
  grant: "the sign-in that it belongs to has ended",
  token: "it was revoked, or a token that it was exchanged for",
  signing_key: "the key that signed it was revoked",
  issuer: "the issuer by whose word it was issued is not trusted any more",
  rule: "the rule by which it was issued admits nobody any more",
  credential: "the secret or the public key that it was fetched with was taken away",
};

/** Return why a token does not count any more, or null. */
function reasonOf(feed: Feed, token: Token, now: number): string | null {
  const iat = typeof token.claims["iat"] === "number" ? token.claims["iat"] : 0;
  if (feed.closed) return "its issuer works no more";
  if (iat < feed.tokensFrom) return "it is of before a backup was put back";
  for (const [kind, name] of namedBy(token)) {
    const at = timeOf(feed, kind, name);
    if (at === null || at > now + AHEAD) continue; // few are announced before they count
    if (iat <= at || (kind !== "issuer" && kind !== "rule")) return REASONS[kind];
  }
  return null;
}

/** Return what of a token causes are compared with. */
function* namedBy(token: Token): Iterable<[keyof typeof REASONS, unknown]> {
  const { header, claims } = token;
  yield ["subject", claims["sub"]];
  yield ["token", claims["jti"]];
  yield ["signing_key", header["kid"]];
  yield ["grant", claims["grant_id"]];
  if (typeOf(token) === "session+jwt") {
    yield ["session", claims["sid"]];
    yield ["key", claims["key"]];
  }
  for (const each of listed(claims["origin"])) yield ["token", each];
  for (const each of listed(claims["credential"])) yield ["credential", each];
  yield* admittedBy(claims);
  for (let actor = claims["act"]; isObject(actor); actor = actor["act"]) {
    yield ["subject", actor["sub"]];
    yield* admittedBy(actor);
  }
}

/** Return what a claim names that is a list of texts or one text. */
function listed(value: Json | undefined): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

/** Return by whose word the subject of a token was admitted, or who acts in it. */
function* admittedBy(claims: JsonObject): Iterable<[keyof typeof REASONS, unknown]> {
  const federation = claims["federation"];
  if (!isObject(federation)) return;
  yield ["issuer", federation["iss"]];
  yield ["rule", federation["rule"]];
}

/** Put what was known before under what a document adds. */
function add(next: Feed, last: Feed, now: number): void {
  for (const [kind, before] of last.causes) {
    const causes = next.causes.get(kind) ?? new Map<string, number>();
    next.causes.set(kind, causes);
    for (const [id, at] of before) {
      if (!causes.has(id) && at + next.life >= now) causes.set(id, at);
    }
  }
  for (const [kind, ids] of next.lifted) {
    for (const id of ids) next.causes.get(kind)?.delete(id);
  }
}

const WRONG = "the feed has members of another type";

/** Read claims; every one must have its type. */
function readFeed(claims: JsonObject): Feed {
  const { epoch, closed, tokens_from: from, causes, lifted, since } = claims;
  const isText = typeof epoch === "string" && /^[A-Za-z0-9_-]+$/.test(epoch);
  if (!isText || (closed !== undefined && typeof closed !== "boolean") || (from !== undefined && typeof from !== "number")) {
    refuse(WRONG);
  }
  if (!isObject(causes) || (lifted !== undefined && !isObject(lifted))) refuse(WRONG);
  const base = integer(claims["base"], -Infinity);
  return {
    iat: integer(claims["iat"]),
    exp: integer(claims["exp"]),
    epoch,
    position: integer(claims["position"]),
    since: since === undefined ? null : integer(since),
    life: integer(claims["life"]),
    closed: closed ?? false,
    tokensFrom: from ?? -Infinity,
    causes: new Map(Object.entries(causes).map(([kind, value]) => [kind, readCauses(value, base)])),
    lifted: new Map(Object.entries(isObject(lifted) ? lifted : {}).map(([kind, value]) => [kind, readIds(value)])),
  };
}

function integer(value: Json | undefined, least = 0): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least) refuse(WRONG);
  return value;
}

function readCauses(value: Json | undefined, base: number): Map<string, number> {
  if (!isObject(value) || !Array.isArray(value["at"])) refuse(WRONG);
  const ids = readIds(value["ids"]);
  const steps = value["at"];
  if (ids.length !== steps.length) refuse(WRONG);
  const causes = new Map<string, number>();
  let at = base;
  ids.forEach((id, index) => {
    at += integer(steps[index], index === 0 ? -Infinity : 0);
    causes.set(id, at);
  });
  return causes;
}

function readIds(value: Json | undefined): string[] {
  const data = value === "" ? "" : decode(value)?.toString("latin1");
  if (data === undefined || data.length % 8 !== 0) refuse(WRONG);
  return Array.from({ length: data.length / 8 }, (_, index) => data.slice(index * 8, index * 8 + 8));
}
