import { Buffer } from "node:buffer";

/** What a fetch came back with. */
export interface Fetched {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export function isHttp(url: unknown): url is string {
  return typeof url === "string" && /^https?:\/\/[^/]/i.test(url) && URL.canParse(url);
}

/**
 * Fetch a URL, whole, within a time for all of it. No redirect is followed: keys come from the configured issuer, and from nowhere else.
 *
 * @throws Error no answer, too late, too large, or a redirect.
 */
export async function fetchWhole(
  fetch: Fetch,
  url: string,
  options: { headers: Record<string, string>; seconds: number; largest: number; signal?: AbortSignal },
): Promise<Fetched> {
  const deadline = AbortSignal.timeout(options.seconds * 1000);
  const signal = options.signal ? AbortSignal.any([deadline, options.signal]) : deadline;
  const response = await fetch(url, { headers: options.headers, redirect: "error", signal });
  const parts: Uint8Array[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    size += part.value.length;
    if (size > options.largest) {
      await reader?.cancel();
      throw new Error(`the answer of ${url} is larger than ${options.largest} bytes`);
    }
    parts.push(part.value);
  }
  return { status: response.status, headers: response.headers, body: Buffer.concat(parts) };
}
