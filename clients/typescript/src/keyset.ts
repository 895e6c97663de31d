import { UnavailableError } from "./errors.js";
import { type Fetch, fetchWhole, isHttp } from "./fetching.js";
import { isObject } from "./json.js";
import { type PublicKey, usableKeys } from "./keys.js";

const MAX_DOCUMENT = 1_000_000;
const DEFAULT_MAX_AGE = 300;
const LONGEST_MAX_AGE = 86_400;

/** Seconds past `max-age` in which known keys serve when the issuer cannot be reached. */
const STALE_FOR = 600;

/**
 * The keys of one issuer.
 *
 * They are fetched again when the `max-age` they came with is over, and when a token names an unknown `kid`; for the latter at most
 * once in `cooldown` seconds, so that made-up key ids cannot be used to flood the issuer.
 */
export class KeySet {
  private keys = new Map<string, PublicKey>();
  private expires = -Infinity;
  private lastFetch = -Infinity;
  private nextTry = -Infinity;
  private fetching: Promise<void> | null = null;

  constructor(
    private readonly issuer: string,
    private jwksUri: string | undefined,
    private readonly cooldown: number,
    private readonly timeout: number,
    private readonly fetch: Fetch,
    /** Seconds that only ever go forward. */
    private readonly clock: () => number = () => performance.now() / 1000,
  ) {}

  /**
   * Return the key with this id if it is for this algorithm.
   *
   * @throws UnavailableError the keys could not be fetched and none are fresh enough.
   */
  async find(kid: string, algorithm: string): Promise<PublicKey | null> {
    // Who holds a key that may still serve does not wait for somebody else's fetch.
    if (this.mustFetch(kid) && !(this.fetching && this.mayServe(kid))) {
      if (this.fetching) await this.fetching.catch(() => undefined);
      if (this.mustFetch(kid)) await this.refreshOnce();
    }
    if (this.clock() >= this.expires + STALE_FOR) {
      throw new UnavailableError(`The keys of ${this.issuer} could not be fetched.`);
    }
    const found = this.keys.get(kid);
    return found?.algorithm === algorithm ? found : null;
  }

  private mustFetch(kid: string): boolean {
    const now = this.clock();
    if (now >= this.expires) return now >= this.nextTry;
    return !this.keys.has(kid) && now >= this.lastFetch + this.cooldown;
  }

  private mayServe(kid: string): boolean {
    return this.keys.has(kid) && this.clock() < this.expires + STALE_FOR;
  }

  private refreshOnce(): Promise<void> {
    this.fetching ??= this.refresh().finally(() => {
      this.fetching = null;
    });
    return this.fetching;
  }

  private async refresh(): Promise<void> {
    this.lastFetch = this.clock();
    try {
      const { document, maxAge } = await this.get(this.jwksUri ?? (await this.discover()));
      const keys = usableKeys(document);
      if (keys.size === 0) throw new Error("the key set holds no usable key");
      this.keys = keys;
      this.expires = this.clock() + maxAge;
    } catch (error) {
      const servesOn = this.clock() < this.expires + STALE_FOR;
      this.nextTry = this.clock() + (servesOn ? this.cooldown : Math.min(this.cooldown, 1));
      if (!servesOn) {
        const why = error instanceof Error ? error.message : String(error);
        throw new UnavailableError(`The keys of ${this.issuer} cannot be fetched: ${why}`, { cause: error });
      }
    }
  }

  /** Ask the issuer where its keys are (OpenID Connect Discovery §4; the issuer must name itself, §4.3). */
  private async discover(): Promise<string> {
    const { document } = await this.get(`${this.issuer}/.well-known/openid-configuration`);
    const jwksUri = document["jwks_uri"];
    if (document["issuer"] !== this.issuer) throw new Error("its discovery document names another issuer");
    if (!isHttp(jwksUri)) throw new Error("its discovery document has no jwks_uri");
    if (/^https:/i.test(this.issuer) && !/^https:/i.test(jwksUri)) throw new Error("its keys are not served over https");
    this.jwksUri = jwksUri;
    return jwksUri;
  }

  private async get(url: string): Promise<{ document: Record<string, unknown>; maxAge: number }> {
    const answer = await fetchWhole(this.fetch, url, {
      headers: { Accept: "application/json" },
      seconds: this.timeout,
      largest: MAX_DOCUMENT,
    });
    if (answer.status < 200 || answer.status > 299) throw new Error(`${url} answered ${answer.status}`);
    const document: unknown = JSON.parse(answer.body.toString("utf8"));
    if (!isObject(document)) throw new Error(`${url} did not answer a JSON object`);
    const match = /max-age=(\d{1,9})/.exec(answer.headers.get("cache-control") ?? "");
    return { document, maxAge: match ? Math.min(Number(match[1]), LONGEST_MAX_AGE) : DEFAULT_MAX_AGE };
  }
}
