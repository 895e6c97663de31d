/** What a token was refused for, in one word. */
export type Cause =
  | "malformed" // not a signed JWT: shape, length, base64url, JSON
  | "header" // members of the header that are not supported
  | "algorithm" // an algorithm that is not configured
  | "type" // another kind of token, such as an ID token
  | "signature" // no accepted key has signed it
  | "issuer" // another issuer's
  | "expired" // past its end
  | "early" // from the future
  | "audience" // meant for another API
  | "claims" // claims that are missing or have another form
  | "recalled" // taken back since it was issued
  | "bound"; // to a key or a certificate, and no proofs are taken here

/** The token is refused: answer 401 `invalid_token`. The message is for whoever sent it, and holds no part of it. */
export class InvalidTokenError extends Error {
  override readonly name = "InvalidTokenError";

  constructor(
    readonly code: Cause,
    message: string,
  ) {
    super(message);
  }
}

/** No token can be checked at the moment, for want of keys or of news about what was recalled: answer 503. */
export class UnavailableError extends Error {
  override readonly name = "UnavailableError";
}
