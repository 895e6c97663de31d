import type { IncomingMessage, ServerResponse } from "node:http";

import { InvalidTokenError, UnavailableError } from "./errors.js";
import type { Identity, Verifier } from "./verifier.js";

const CREDENTIALS = /^[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)$/;

/** An answer that ends a request: a status, an error code (empty when nothing was presented), a sentence (RFC 6750 §3). */
export class RefusalError extends Error {
  override readonly name = "RefusalError";

  constructor(
    readonly status: 400 | 401 | 403 | 503,
    readonly error: string,
    readonly description: string,
  ) {
    super(description);
  }

  /** Headers of the answer. */
  get headers(): Record<string, string> {
    const plain = { "Content-Type": "application/json", "Cache-Control": "no-store" };
    if (this.status === 503) return { ...plain, "Retry-After": "5" };
    const details = ` error="${this.error}", error_description="${this.description}"`;
    return { ...plain, "WWW-Authenticate": this.error ? `Bearer${details}` : "Bearer" };
  }

  /** Body of the answer, JSON. */
  get body(): string {
    return JSON.stringify({ error: this.error || "invalid_token", error_description: this.description });
  }
}

/** Whom to let through. */
export interface BearerOptions<Request> {
  /** The caller must hold one of these; by default any token will do. */
  roles?: string | readonly string[];
  /** Which project a request is about: the role must be held on that project then, and on the realm otherwise. */
  project?: (request: Request) => string;
  /** Let through what browsers ask, without any token, before a call from another origin. The handler answers it. */
  preflights?: boolean;
}

/** A request of Node's HTTP server, once `bearer` has let it through; without identity where it is a preflight. */
export interface IdentifiedRequest extends IncomingMessage {
  identity?: Identity;
}

/**
 * Return what protects routes of Express, Connect, or Node's own HTTP server: `request.identity` then says who calls.
 *
 *     app.get("/jobs", bearer(verifier, { roles: "viewer" }), (request, response) => response.json(...));
 */
export function bearer<Request extends IdentifiedRequest>(
  verifier: Verifier,
  options: BearerOptions<Request> = {},
): (request: Request, response: ServerResponse, next: (error?: unknown) => void) => void {
  return (request, response, next) => {
    const { origin, "access-control-request-method": asked } = request.headers;
    if (options.preflights && isPreflight(request.method, origin, asked)) {
      next();
      return;
    }
    const headers = request.rawHeaders.filter((_, index, all) => index % 2 === 1 && all[index - 1]?.toLowerCase() === "authorization");
    identify(verifier, headers, request, options).then(
      (identity) => {
        request.identity = identity;
        next();
      },
      (error: unknown) => {
        const refusal = refusalOf(error);
        if (!refusal) {
          next(error);
          return;
        }
        response.writeHead(refusal.status, refusal.headers);
        response.end(refusal.body);
      },
    );
  };
}

/**
 * Wrap a handler that takes a `Request` of the Fetch standard and returns a `Response`: it is told who calls, or null for a preflight.
 *
 *     export default { fetch: bearerFetch(verifier, (request, identity) => Response.json({ hello: identity.clientId })) };
 */
export function bearerFetch<More extends unknown[]>(
  verifier: Verifier,
  handler: (request: Request, identity: Identity, ...more: More) => Response | Promise<Response>,
  options?: BearerOptions<Request> & { preflights?: false },
): (request: Request, ...more: More) => Promise<Response>;
export function bearerFetch<More extends unknown[]>(
  verifier: Verifier,
  handler: (request: Request, identity: Identity | null, ...more: More) => Response | Promise<Response>,
  options: BearerOptions<Request>,
): (request: Request, ...more: More) => Promise<Response>;
export function bearerFetch<More extends unknown[]>(
  verifier: Verifier,
  handler: (request: Request, identity: Identity & null, ...more: More) => Response | Promise<Response>,
  options: BearerOptions<Request> = {},
): (request: Request, ...more: More) => Promise<Response> {
  return async (request, ...more) => {
    const { headers } = request;
    if (options.preflights && isPreflight(request.method, headers.get("origin"), headers.get("access-control-request-method"))) {
      return handler(request, null as never, ...more);
    }
    let identity: Identity;
    try {
      const sent = headers.get("authorization"); // several are joined with a comma, which no token has
      identity = await identify(verifier, sent === null ? [] : [sent], request, options);
    } catch (error) {
      const refusal = refusalOf(error);
      if (!refusal) throw error;
      return new Response(refusal.body, { status: refusal.status, headers: refusal.headers });
    }
    return handler(request, identity as never, ...more);
  };
}

/**
 * Return the one bearer token of a request (RFC 6750 §2.1), from the values of all its `Authorization` headers.
 *
 * @throws RefusalError none, several, or another form.
 */
export function bearerToken(authorization: readonly string[]): string {
  const [first] = authorization;
  if (first === undefined) throw new RefusalError(401, "", "This call needs an access token in the Authorization header.");
  const token = CREDENTIALS.exec(first)?.[1];
  if (authorization.length > 1 || token === undefined) {
    throw new RefusalError(400, "invalid_request", "Send one Authorization header with Bearer, a space and the token.");
  }
  return token;
}

function isPreflight(method: string | undefined, origin: unknown, asked: unknown): boolean {
  return method === "OPTIONS" && typeof origin === "string" && typeof asked === "string";
}

async function identify<Request>(
  verifier: Verifier,
  authorization: readonly string[],
  request: Request,
  options: BearerOptions<Request>,
): Promise<Identity> {
  const identity = await verifier.verify(bearerToken(authorization));
  const roles = typeof options.roles === "string" ? [options.roles] : (options.roles ?? []);
  const project = options.project?.(request);
  if (roles.length > 0 && !roles.some((role) => identity.hasRole(role, project))) {
    const where = project === undefined ? "on the realm" : "on this project";
    throw new RefusalError(403, "insufficient_scope", `This call needs the role ${[...roles].sort().join(" or ")} ${where}.`);
  }
  return identity;
}

function refusalOf(error: unknown): RefusalError | null {
  if (error instanceof RefusalError) return error;
  if (error instanceof InvalidTokenError) return new RefusalError(401, "invalid_token", error.message);
  if (!(error instanceof UnavailableError)) return null;
  return new RefusalError(503, "temporarily_unavailable", "No keys, or no news of what was recalled, to verify tokens with.");
}
