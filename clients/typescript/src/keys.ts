import { constants, createPublicKey, type KeyObject, verify } from "node:crypto";
import { Buffer } from "node:buffer";

import { isObject } from "./json.js";
import { decode, type Token } from "./token.js";

/** A key with the one algorithm that it is for. */
export interface PublicKey {
  readonly algorithm: string;
  readonly key: KeyObject;
}

export type Algorithm = "RS256" | "PS256" | "ES256";

/** Members of a JWK that nobody publishes (RFC 7518 §6). */
const PRIVATE = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
const OPERATIONS = {
  sig: ["sign", "verify"],
  all: ["sign", "verify", "encrypt", "decrypt", "wrapKey", "unwrapKey", "deriveKey", "deriveBits"],
};

/** Bytes of a coordinate, by the name of the curve. */
const CURVES = new Map([
  ["P-256", 32],
  ["P-384", 48],
  ["P-521", 66],
]);

/** Tell whether a key has signed a token; the key must be for the token's algorithm. */
export function isSignedBy(token: Token, { algorithm, key }: PublicKey): boolean {
  const signature = decode(token.signature);
  if (!signature) return false;
  const message = Buffer.from(token.signed);
  const kind = key.asymmetricKeyType;
  try {
    switch (algorithm) {
      case "RS256":
        return kind === "rsa" && verify("sha256", message, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
      case "PS256":
        return (
          kind === "rsa" &&
          verify("sha256", message, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }, signature)
        );
      case "ES256":
        return (
          kind === "ec" &&
          key.asymmetricKeyDetails?.namedCurve === "prime256v1" &&
          signature.length === 64 &&
          verify("sha256", message, { key, dsaEncoding: "ieee-p1363" }, signature)
        );
      default:
        return false;
    }
  } catch {
    return false;
  }
}

/** Return the signature keys of a key set by id; what cannot be used is passed over. */
export function usableKeys(document: Record<string, unknown>): Map<string, PublicKey> {
  const keys = new Map<string, PublicKey>();
  for (const jwk of Array.isArray(document["keys"]) ? (document["keys"] as unknown[]) : []) {
    if (!isObject(jwk) || typeof jwk["kid"] !== "string") continue;
    const key = importKey(jwk);
    if (key) keys.set(jwk["kid"], key);
  }
  return keys;
}

type Jwk = Record<string, unknown>;

/** Make a key of a public JWK for signatures (RFC 7517), or null where that is not to be. */
function importKey(jwk: Jwk): PublicKey | null {
  if (!verifies(jwk) || !hasUsableMembers(jwk)) return null;
  const usual = jwk["kty"] === "RSA" ? "RS256" : jwk["kty"] === "EC" ? "ES256" : "";
  const members = jwk["kty"] === "RSA" ? rsa(jwk) : jwk["kty"] === "EC" ? ec(jwk) : okp(jwk);
  if (!members) return null;
  try {
    // an EC point that is not on its curve is refused here
    const key = createPublicKey({ key: members, format: "jwk" });
    return { algorithm: (jwk["alg"] as string | undefined) || usual, key };
  } catch {
    return null;
  }
}

/** Tell whether a key is published to check signatures with (RFC 7517 §4.2 and §4.3), and none of its private half with it. */
function verifies(jwk: Jwk): boolean {
  if (PRIVATE.some((name) => Object.hasOwn(jwk, name))) return false;
  const hasUse = Object.hasOwn(jwk, "use");
  if (hasUse && jwk["use"] !== "sig") return false;
  if (!Object.hasOwn(jwk, "key_ops")) return true;
  const operations: unknown = jwk["key_ops"];
  const allowed: unknown[] = hasUse ? OPERATIONS.sig : OPERATIONS.all;
  return Array.isArray(operations) && operations.includes("verify") && operations.every((each) => allowed.includes(each));
}

/** Tell whether members that are not looked at have the type that they must have (RFC 7517 §4). */
function hasUsableMembers(jwk: Jwk): boolean {
  const isText = (value: unknown) => typeof value === "string";
  const url = jwk["x5u"];
  const chain = jwk["x5c"];
  return (
    ["alg", "x5t", "x5t#S256"].every((name) => jwk[name] === undefined || isText(jwk[name])) &&
    (url === undefined || (typeof url === "string" && /^https?:\/\//.test(url))) &&
    (chain === undefined || (Array.isArray(chain) && chain.every(isText)))
  );
}

function ec(jwk: Jwk): Record<string, string> | null {
  const crv = jwk["crv"];
  const size = typeof crv === "string" ? CURVES.get(crv) : undefined;
  const x = size === undefined ? null : coordinate(jwk["x"], size);
  const y = size === undefined ? null : coordinate(jwk["y"], size);
  return x && y ? { kty: "EC", crv: crv as string, x, y } : null;
}

/** Return a coordinate in its full length (RFC 7518 §6.2.1.2): some write it without zeros in front. */
function coordinate(text: unknown, size: number): string | null {
  const number = toNumber(decode(text));
  if (number === null || number >> BigInt(size * 8) > 0n) return null;
  return Buffer.from(number.toString(16).padStart(size * 2, "0"), "hex").toString("base64url");
}

function okp(jwk: Jwk): Record<string, string> | null {
  const x = jwk["kty"] === "OKP" && jwk["crv"] === "Ed25519" ? decode(jwk["x"]) : null;
  return x?.length === 32 ? { kty: "OKP", crv: "Ed25519", x: x.toString("base64url") } : null;
}

function rsa(jwk: Jwk): Record<string, string> | null {
  const [n, e] = [decode(jwk["n"]), decode(jwk["e"])];
  if (!n || !e || n.length > 1024 || e.length > 1024 || isWeak(toNumber(n) ?? 0n, toNumber(e) ?? 0n)) return null;
  return { kty: "RSA", n: jwk["n"] as string, e: jwk["e"] as string };
}

function toNumber(data: Buffer | null): bigint | null {
  return data ? BigInt(`0x${data.toString("hex")}`) : null;
}

const SHORTEST_RSA = 2048;
const LONGEST_RSA = 8192;
const LARGEST_EXPONENT = 2n ** 32n;

function primesBelow(limit: number): number[] {
  const primes: number[] = [];
  for (let number = 3; number < limit; number += 2) {
    if (primes.every((prime) => number % prime !== 0)) primes.push(number);
  }
  return primes;
}

const SMALL_PRIMES = [2, ...primesBelow(2000)].map(BigInt);

/**
 * For each prime the powers of 65537 in the remainders by it.
 *
 * The library of CVE-2017-15361 took primes of the form k*M + (65537^a mod M), where M is the product of the first primes, so the
 * modulus is such a power by each of them (Nemec et al., "The Return of Coppersmith's Attack", 2017, section 4).
 */
const INFINEON = primesBelow(168).map((prime) => {
  const powers = new Set<number>();
  for (let power = 1; !powers.has(power); power = (power * 65537) % prime) powers.add(power);
  return { prime: BigInt(prime), powers };
});

/** Tell whether an RSA key can be factored although it is long, or costs whoever checks a signature too much. */
function isWeak(n: bigint, e: bigint): boolean {
  const bits = n.toString(2).length;
  if (bits < SHORTEST_RSA || bits > LONGEST_RSA) return true;
  if (e < 3n || e % 2n === 0n || e > LARGEST_EXPONENT) return true;
  if (SMALL_PRIMES.some((prime) => n % prime === 0n)) return true;
  return INFINEON.every(({ prime, powers }) => powers.has(Number(n % prime)));
}
