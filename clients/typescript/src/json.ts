/** What JSON can hold. Objects have no prototype, so that no name means something of its own. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [name: string]: Json | undefined;
}

/** How many objects and lists may be inside each other. */
const MAX_DEPTH = 64;

/** How long an integer may be. */
const MAX_DIGITS = 4300;

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPES: Record<string, string> = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Read a JSON object by the letter (RFC 8259).
 *
 * `JSON.parse` is more lenient where that matters for a token: it takes the last of two members with one name, and half of a
 * surrogate pair.
 *
 * @throws SyntaxError it is none.
 */
export function parseObject(data: Uint8Array): JsonObject {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw new SyntaxError("not UTF-8");
  }
  const value = new Reader(text).document();
  if (!isObject(value)) throw new SyntaxError("not an object");
  return value;
}

class Reader {
  private at = 0;

  constructor(private readonly text: string) {}

  document(): Json {
    const value = this.value(0);
    this.space();
    if (this.at !== this.text.length) throw new SyntaxError("more than one value");
    return value;
  }

  private space(): void {
    while (" \t\r\n".includes(this.text.charAt(this.at)) && this.at < this.text.length) this.at++;
  }

  /** Read one character after spaces if it is the one given. */
  private take(wanted: string): boolean {
    this.space();
    if (this.text.charAt(this.at) !== wanted) return false;
    this.at++;
    return true;
  }

  private need(wanted: string): void {
    if (!this.take(wanted)) throw new SyntaxError(`${wanted} is missing`);
  }

  private value(depth: number): Json {
    this.space();
    switch (this.text.charAt(this.at)) {
      case "{":
        return this.object(depth + 1);
      case "[":
        return this.list(depth + 1);
      case '"':
        return this.string();
      case "t":
        return this.word("true", true);
      case "f":
        return this.word("false", false);
      case "n":
        return this.word("null", null);
      default:
        return this.number();
    }
  }

  private word(word: string, value: Json): Json {
    if (!this.text.startsWith(word, this.at)) throw new SyntaxError("no value");
    this.at += word.length;
    return value;
  }

  private enter(depth: number): void {
    if (depth > MAX_DEPTH) throw new SyntaxError("too deep");
    this.at++;
  }

  private object(depth: number): JsonObject {
    this.enter(depth);
    const members = Object.create(null) as JsonObject;
    if (this.take("}")) return members;
    do {
      this.space();
      const name = this.string();
      if (name in members) throw new SyntaxError("a member is repeated");
      this.need(":");
      members[name] = this.value(depth);
    } while (this.take(","));
    this.need("}");
    return members;
  }

  private list(depth: number): Json[] {
    this.enter(depth);
    const values: Json[] = [];
    if (this.take("]")) return values;
    do values.push(this.value(depth));
    while (this.take(","));
    this.need("]");
    return values;
  }

  private number(): number {
    NUMBER.lastIndex = this.at;
    const match = NUMBER.exec(this.text);
    if (!match) throw new SyntaxError("no value");
    const isInteger = match[1] === undefined && match[2] === undefined;
    if (isInteger && match[0].length > MAX_DIGITS + (match[0].startsWith("-") ? 1 : 0)) throw new SyntaxError("too long");
    this.at += match[0].length;
    return Number(match[0]);
  }

  private string(): string {
    if (this.text.charAt(this.at) !== '"') throw new SyntaxError("no text");
    this.at++;
    let text = "";
    for (;;) {
      PLAIN.lastIndex = this.at;
      const plain = PLAIN.exec(this.text)?.[0] ?? "";
      text += plain;
      this.at += plain.length;
      const letter = this.text.charAt(this.at++);
      if (letter === '"') return text;
      if (letter !== "\\") throw new SyntaxError("no end of a text");
      const escape = this.text.charAt(this.at++);
      text += escape === "u" ? this.escaped() : this.simple(escape);
    }
  }

  private simple(escape: string): string {
    const letter = Object.hasOwn(ESCAPES, escape) ? ESCAPES[escape] : undefined;
    if (letter === undefined) throw new SyntaxError("an unknown escape");
    return letter;
  }

  /** Read four digits, and the second half of a pair where they are its first. */
  private escaped(): string {
    const first = this.unit();
    if (first < 0xd800 || first > 0xdfff) return String.fromCharCode(first);
    if (first > 0xdbff || !this.text.startsWith("\\u", this.at)) throw new SyntaxError("half a pair");
    this.at += 2;
    const second = this.unit();
    if (second < 0xdc00 || second > 0xdfff) throw new SyntaxError("half a pair");
    return String.fromCharCode(first, second);
  }

  private unit(): number {
    const digits = this.text.slice(this.at, this.at + 4);
    if (!/^[0-9A-Fa-f]{4}$/.test(digits)) throw new SyntaxError("an unknown escape");
    this.at += 4;
    return parseInt(digits, 16);
  }
}
