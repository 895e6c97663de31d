import { Buffer } from "node:buffer";

import { InvalidTokenError } from "./errors.js";
import { type JsonObject, parseObject } from "./json.js";

/** Longest token that is looked at, in characters. */
export const MAX_TOKEN = 16_384;

/** The end of the year 9999 in seconds since 1970; no token is about later times. */
const LATEST = 253_402_300_800;

const SEGMENT = /^[A-Za-z0-9_-]+$/;
const NOT_A_TOKEN = "The token is not a signed JWT.";

/** A JWT that was taken apart. Nothing of it is known to be true before its signature was checked. */
export interface Token {
  readonly header: JsonObject;
  readonly claims: JsonObject;
  /** What the signature is over. */
  readonly signed: string;
  /** The signature as it was sent. */
  readonly signature: string;
}

/** Decode base64url, strictly: alphabet, no padding, no stray bits; null for what is not. */
export function decode(text: unknown): Buffer | null {
  if (typeof text !== "string" || !SEGMENT.test(text)) return null;
  const data = Buffer.from(text, "base64url");
  return data.toString("base64url") === text ? data : null;
}

/**
 * Take a compact JWS apart without checking its signature.
 *
 * @throws InvalidTokenError too long, not three segments of base64url, or not JSON objects.
 */
export function readUnverified(text: string, longest = MAX_TOKEN): Token {
  if (typeof text !== "string") throw new InvalidTokenError("malformed", NOT_A_TOKEN);
  if (text.length > longest) {
    throw new InvalidTokenError("malformed", `The token is longer than ${longest} characters.`);
  }
  const [header, payload, signature, ...more] = text.split(".", 4);
  if (header === undefined || payload === undefined || signature === undefined || more.length > 0) {
    throw new InvalidTokenError("malformed", NOT_A_TOKEN);
  }
  if (!SEGMENT.test(signature)) throw new InvalidTokenError("malformed", "The token has no signature.");
  return { header: readSegment(header), claims: readSegment(payload), signed: `${header}.${payload}`, signature };
}

function readSegment(segment: string): JsonObject {
  const data = decode(segment);
  try {
    if (data) return parseObject(data);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new InvalidTokenError("malformed", NOT_A_TOKEN);
}

/** Return the kind of token that the header names, in lower case and without `application/`. */
export function typeOf(token: Token): string {
  const typ = token.header["typ"];
  // only letters of ASCII: there are others whose small letter is one of ASCII
  const lower = typeof typ === "string" ? typ.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : "";
  return lower.startsWith("application/") ? lower.slice("application/".length) : lower;
}

export type Kind = "access token" | "ID token" | "session token";

/**
 * Tell what a token is for; null for what is none of these.
 *
 * A header of `JWT` says nothing, so there the claim `typ` has to: without `Bearer` it is no access token.
 */
export function kindOf(token: Token): Kind | null {
  const typ = typeOf(token);
  const claim = token.claims["typ"] === undefined ? "" : token.claims["typ"];
  if (typ === "session+jwt") return "session token";
  if (typ === "at+jwt") return claim === "Bearer" || claim === "" ? "access token" : null;
  if (typ !== "jwt") return null;
  if (claim === "Bearer") return "access token";
  return claim === "ID" ? "ID token" : null;
}

/**
 * Check `exp`, `nbf` and `iat` (RFC 7519 §4.1.4 to §4.1.6).
 *
 * @throws InvalidTokenError expired, not valid yet, or a date that is no usable number.
 */
export function checkTimes(claims: JsonObject, now: number, leeway: number): void {
  const times = { exp: 0, nbf: 0, iat: 0 };
  for (const name of ["exp", "nbf", "iat"] as const) {
    const value = claims[name];
    if (value === undefined && name !== "exp") continue;
    if (typeof value !== "number" || !(value >= 0 && value < LATEST)) {
      throw new InvalidTokenError("claims", `The token's ${name} is missing or not a usable number.`);
    }
    times[name] = value;
  }
  if (times.exp + leeway <= now) throw new InvalidTokenError("expired", "The token has expired. Fetch a new one.");
  if (Math.max(times.nbf, times.iat) - leeway > now) {
    throw new InvalidTokenError("early", "The token is not valid yet. Check the clocks.");
  }
}

/** Tell whether `aud` is or holds one of the accepted values, compared as whole texts (RFC 7519 §4.1.3). */
export function hasAudience(claims: JsonObject, accepted: ReadonlySet<string>): boolean {
  const audience = claims["aud"];
  const values: unknown[] = Array.isArray(audience) ? audience : [audience];
  const texts = values.filter((value): value is string => typeof value === "string");
  return texts.length === values.length && texts.some((value) => value !== "" && accepted.has(value));
}
