/**
 * For APIs that accept Realmgate's access tokens: check them against the realm's key set, and against its feed of what was recalled.
 *
 *     import { createVerifier } from "@realmgate/verifier";
 *
 *     const verifier = createVerifier({ issuer: "https://id.example.com/auth/realms/acme", audience: "https://api.example.com" });
 *     const identity = await verifier.verify(token); // or InvalidTokenError, UnavailableError
 *     identity.hasRole("researcher", "vision");
 */
export { bearer, bearerFetch, bearerToken, RefusalError } from "./bearer.js";
export type { BearerOptions, IdentifiedRequest } from "./bearer.js";
export { InvalidTokenError, UnavailableError } from "./errors.js";
export type { Cause } from "./errors.js";
export type { Fetch } from "./fetching.js";
export type { Json, JsonObject } from "./json.js";
export type { Algorithm } from "./keys.js";
export type { RecallOptions } from "./recall.js";
export { createVerifier } from "./verifier.js";
export type { Identity, Verifier, VerifierOptions } from "./verifier.js";

/** The version of Realmgate that this package belongs to. */
export const VERSION = "0.1.0";
