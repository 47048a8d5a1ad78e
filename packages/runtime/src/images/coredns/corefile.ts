// The Corefile: server blocks of directives with arguments and nested properties (CoreDNS's configuration language). Only parsing;
// what a directive means is `setup.ts`. Errors name file and line as CoreDNS does.
import { PodwireError } from "@podwire/base";

export interface Directive {
  name: string;
  args: string[];
  block: Directive[];
  line: number;
}

export interface ServerBlock {
  /** Lower case, with a final dot: "." or "example.org.". */
  zones: string[];
  port: number;
  directives: Directive[];
}

export class CorefileError extends PodwireError {
  constructor(line: number, message: string) {
    super(`Corefile:${line} - Error during parsing: ${message}`);
  }
}

interface Token {
  text: string;
  line: number;
}

/** A newline ends a directive, so it is a token too. */
function tokens(text: string): Token[] {
  const out: Token[] = [];
  text.split("\n").forEach((raw, i) => {
    const line = i + 1;
    const code = raw.replace(/(^|\s)#.*$/, "");
    for (const m of code.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)) out.push({ text: m[1] ?? (m[2] as string), line });
    out.push({ text: "\n", line });
  });
  return out;
}

export function parseCorefile(text: string): ServerBlock[] {
  const t = tokens(text);
  let at = 0;
  const last = () => t.at(-1)?.line ?? 1;

  const directives = (): Directive[] => {
    const out: Directive[] = [];
    for (;;) {
      while (t[at]?.text === "\n") at++;
      const token = t[at];
      if (!token) throw new CorefileError(last(), "Unexpected EOF, expecting '}'");
      at++;
      if (token.text === "}") return out;
      const d: Directive = { name: token.text, args: [], block: [], line: token.line };
      while (t[at] && !["\n", "{", "}"].includes(t[at]?.text as string)) d.args.push(t[at++]?.text as string);
      if (t[at]?.text === "{") {
        at++;
        d.block = directives();
      }
      out.push(d);
    }
  };

  const blocks: ServerBlock[] = [];
  for (;;) {
    while (t[at]?.text === "\n") at++;
    const first = t[at];
    if (!first) return blocks;
    const keys: string[] = [];
    while (t[at] && t[at]?.text !== "{") {
      const key = t[at++]?.text as string;
      if (key !== "\n") keys.push(key.replace(/,$/, ""));
    }
    if (!t[at]) throw new CorefileError(last(), "Unexpected EOF, expecting '{'");
    at++;
    blocks.push({ ...addresses(keys, first.line), directives: directives() });
  }
}

/** Keys of a block: "cluster.local:1053", "dns://.:53", "10.0.0.0/8" (reverse). */
function addresses(keys: string[], line: number): { zones: string[]; port: number } {
  let port = 53;
  const zones = keys.flatMap((k) => {
    const m = /^(?:([a-z]+):\/\/)?(.*?)(?::(\d+))?$/.exec(k) as RegExpExecArray;
    if (m[1] !== undefined && m[1] !== "dns") throw new CorefileError(line, `transport ${m[1]}:// is not built in Podwire, only dns://`);
    if (m[3] !== undefined) port = Number(m[3]);
    return zonesOf(m[2] as string);
  });
  return { zones, port };
}

/** A zone as written, or the reverse zones of an IPv4 prefix on an octet boundary. */
export function zonesOf(text: string): string[] {
  const cidr = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(8|16|24|32)$/.exec(text);
  if (cidr) {
    const octets = cidr.slice(1, 1 + Number(cidr[5]) / 8).reverse();
    return [`${octets.join(".")}.in-addr.arpa.`];
  }
  const lower = text.toLowerCase();
  return [lower === "" || lower === "." ? "." : lower.endsWith(".") ? lower : `${lower}.`];
}

/** Whether `name` (lower case, final dot) lies in `zone`. */
export function inZone(name: string, zone: string): boolean {
  return zone === "." || name === zone || name.endsWith(`.${zone}`);
}
