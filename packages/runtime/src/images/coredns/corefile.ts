// The Corefile: server blocks of plugins with arguments and nested properties (CoreDNS's configuration language). Only parsing;
// which plugins mean something is `coredns/index.ts`.
import { PodwireError } from "@podwire/base";

export interface Directive {
  name: string;
  args: string[];
  block: Directive[];
}

export interface ServerBlock {
  /** "." or "example.org", without a port. */
  zones: string[];
  port: number;
  plugins: Directive[];
}

export class CorefileError extends PodwireError {}

/** Tokens with their line; a newline ends a directive. */
function tokens(text: string): string[] {
  const out: string[] = [];
  for (const raw of text.split("\n")) {
    const line = raw.replace(/(^|\s)#.*$/, "");
    for (const m of line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)) out.push(m[1] ?? (m[2] as string));
    out.push("\n");
  }
  return out;
}

export function parseCorefile(text: string): ServerBlock[] {
  const t = tokens(text);
  let at = 0;
  const blocks: ServerBlock[] = [];
  const directives = (): Directive[] => {
    const out: Directive[] = [];
    for (;;) {
      while (t[at] === "\n") at++;
      if (at >= t.length) throw new CorefileError("Corefile: unexpected EOF, expecting '}'");
      if (t[at] === "}") {
        at++;
        return out;
      }
      const d: Directive = { name: t[at++] as string, args: [], block: [] };
      while (at < t.length && t[at] !== "\n" && t[at] !== "{" && t[at] !== "}") d.args.push(t[at++] as string);
      if (t[at] === "{") {
        at++;
        d.block = directives();
      }
      out.push(d);
    }
  };
  for (;;) {
    while (t[at] === "\n") at++;
    if (at >= t.length) return blocks;
    const keys: string[] = [];
    while (at < t.length && t[at] !== "{") {
      if (t[at] !== "\n") keys.push((t[at] as string).replace(/,$/, ""));
      at++;
    }
    if (at >= t.length) throw new CorefileError("Corefile: unexpected EOF, expecting '{'");
    at++;
    const plugins = directives();
    let port = 53;
    const zones = keys.map((k) => {
      const m = /^(?:dns:\/\/)?(.*?)(?::(\d+))?$/.exec(k) as RegExpExecArray;
      if (m[2] !== undefined) port = Number(m[2]);
      return m[1] === "" ? "." : (m[1] as string);
    });
    blocks.push({ zones, port, plugins });
  }
}
