// JSON text -> values, with Go's rules: duplicate keys are found, numbers that a double would change keep their text,
// and syntax errors read as encoding/json's do.
// Invariant: parseJson never loops or recurses without bound (DEPTH_MAX, as Go's decoder has).
import { PodwireError } from "@podwire/base";
import { RawNumber } from "../schema/conform.ts";

export class JsonSyntaxError extends PodwireError {}

export const DEPTH_MAX = 10_000;
/** Our own walkers recurse; nesting past this in free-form values is refused with the same sentence. */
const RECURSION_MAX = 1_000;

export interface ParsedJson {
  value: any;
  /** Keys of objects that were given twice, in the order met. */
  duplicates: Map<object, string[]> | undefined;
  /** Keys in the text, each occurrence counted; undefined when duplicates are already known. */
  keys: number | undefined;
}

/** Parses fast, and exactly where the text needs it. */
export function parseJson(bytes: Uint8Array): ParsedJson {
  const scan = scanText(bytes);
  const text = textOf(bytes);
  if (!scan.exact && scan.depth <= RECURSION_MAX) {
    try {
      return { value: JSON.parse(text), duplicates: undefined, keys: scan.keys };
    } catch {
      // The exact parser below says what is wrong, in Go's words.
    }
  }
  return parseExact(text);
}

export function parseExact(text: string): ParsedJson {
  const p = new ExactParser(text);
  return { value: p.document(), duplicates: p.duplicates.size > 0 ? p.duplicates : undefined, keys: undefined };
}

const utf8 = new TextDecoder("utf-8");
function textOf(bytes: Uint8Array): string {
  return bytes.length < 256 ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8") : utf8.decode(bytes);
}

/** Counts keys outside strings and notices numbers whose text matters and deep nesting. */
function scanText(b: Uint8Array): { keys: number; exact: boolean; depth: number } {
  let keys = 0;
  let exact = false;
  let depth = 0;
  let deepest = 0;
  let digits = 0;
  const n = b.length;
  for (let i = 0; i < n; i++) {
    const c = b[i]!;
    if (c === 0x22) {
      digits = 0;
      for (i++; i < n; i++) {
        const d = b[i]!;
        if (d === 0x22) break;
        if (d === 0x5c) i++;
      }
    } else if (c >= 0x30 && c <= 0x39) {
      if (++digits > 15) exact = true;
    } else {
      if (digits > 0 && (c === 0x2e || c === 0x65 || c === 0x45)) exact = true;
      digits = 0;
      if (c === 0x3a) keys++;
      else if (c === 0x7b || c === 0x5b) {
        if (++depth > deepest) deepest = depth;
      } else if (c === 0x7d || c === 0x5d) depth--;
    }
  }
  return { keys, exact, depth: deepest };
}

const END = "unexpected end of JSON input";

class ExactParser {
  readonly duplicates = new Map<object, string[]>();
  private at = 0;
  private depth = 0;
  private readonly s: string;
  constructor(s: string) {
    this.s = s;
  }

  document(): any {
    const v = this.value();
    this.space();
    if (this.at < this.s.length) throw this.bad("after top-level value");
    return v;
  }

  private space(): void {
    for (; this.at < this.s.length; this.at++) {
      const c = this.s.charCodeAt(this.at);
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return;
    }
  }

  private bad(context: string): JsonSyntaxError {
    const cp = this.s.codePointAt(this.at);
    if (cp === undefined) return new JsonSyntaxError(END);
    return new JsonSyntaxError(`invalid character ${quoteChar(String.fromCodePoint(cp))} ${context}`);
  }

  private value(): any {
    this.space();
    const c = this.s[this.at];
    switch (c) {
      case "{":
        return this.nested(() => this.object());
      case "[":
        return this.nested(() => this.array());
      case '"':
        return this.string();
      case "t":
        return this.literal("true", true);
      case "f":
        return this.literal("false", false);
      case "n":
        return this.literal("null", null);
    }
    if (c === "-" || (c !== undefined && c >= "0" && c <= "9")) return this.number();
    throw this.bad("looking for beginning of value");
  }

  private nested<T>(read: () => T): T {
    if (++this.depth > RECURSION_MAX) throw new JsonSyntaxError("exceeded max depth");
    this.at++;
    const v = read();
    this.depth--;
    return v;
  }

  private object(): any {
    const out: Record<string, any> = {};
    this.space();
    if (this.s[this.at] === "}") {
      this.at++;
      return out;
    }
    for (;;) {
      this.space();
      if (this.s[this.at] !== '"') throw this.bad("looking for beginning of object key string");
      const key = this.string();
      this.space();
      if (this.s[this.at] !== ":") throw this.bad("after object key");
      this.at++;
      const v = this.value();
      if (Object.hasOwn(out, key)) {
        const list = this.duplicates.get(out);
        if (list === undefined) this.duplicates.set(out, [key]);
        else if (!list.includes(key)) list.push(key);
      }
      if (key === "__proto__") Object.defineProperty(out, key, { value: v, enumerable: true, configurable: true, writable: true });
      else out[key] = v;
      this.space();
      const c = this.s[this.at];
      if (c === "}") {
        this.at++;
        return out;
      }
      if (c !== ",") throw this.bad("after object key:value pair");
      this.at++;
    }
  }

  private array(): any[] {
    const out: any[] = [];
    this.space();
    if (this.s[this.at] === "]") {
      this.at++;
      return out;
    }
    for (;;) {
      out.push(this.value());
      this.space();
      const c = this.s[this.at];
      if (c === "]") {
        this.at++;
        return out;
      }
      if (c !== ",") throw this.bad("after array element");
      this.at++;
    }
  }

  private string(): string {
    const start = this.at;
    this.at++;
    for (; this.at < this.s.length; this.at++) {
      const c = this.s.charCodeAt(this.at);
      if (c === 0x22) {
        this.at++;
        return JSON.parse(this.s.slice(start, this.at));
      }
      if (c < 0x20) throw this.bad("in string literal");
      if (c === 0x5c) {
        this.at++;
        const e = this.s[this.at];
        if (e === undefined) throw new JsonSyntaxError(END);
        if (e === "u") {
          for (let i = 0; i < 4; i++) {
            this.at++;
            if (!/[0-9a-fA-F]/.test(this.s[this.at] ?? "")) throw this.bad("in \\u hexadecimal character escape");
          }
        } else if (!'"\\/bfnrt'.includes(e)) throw this.bad("in string escape code");
      }
    }
    throw new JsonSyntaxError(END);
  }

  private literal<T>(word: string, v: T): T {
    for (let i = 0; i < word.length; i++, this.at++) {
      if (this.s[this.at] !== word[i]) throw this.bad(`in literal ${word} (expecting ${quoteChar(word[i]!)})`);
    }
    return v;
  }

  private number(): number | RawNumber {
    const start = this.at;
    if (this.s[this.at] === "-") this.at++;
    if (this.s[this.at] === "0") this.at++;
    else if (!this.digits()) throw this.bad("in numeric literal");
    if (this.s[this.at] === ".") {
      this.at++;
      if (!this.digits()) throw this.bad("after decimal point in numeric literal");
    }
    if (this.s[this.at] === "e" || this.s[this.at] === "E") {
      this.at++;
      if (this.s[this.at] === "+" || this.s[this.at] === "-") this.at++;
      if (!this.digits()) throw this.bad("in exponent of numeric literal");
    }
    const text = this.s.slice(start, this.at);
    return text.length > 15 || /[.eE]/.test(text) ? new RawNumber(text) : Number(text);
  }

  private digits(): boolean {
    const start = this.at;
    while (this.at < this.s.length && this.s[this.at]! >= "0" && this.s[this.at]! <= "9") this.at++;
    return this.at > start;
  }
}

function quoteChar(c: string): string {
  if (c === "'") return "'\\''";
  if (c === '"') return "'\"'";
  const q = JSON.stringify(c).slice(1, -1);
  return `'${q.replace(/^\\u00/, "\\x")}'`;
}
