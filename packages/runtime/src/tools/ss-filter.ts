// What `ss` selects: [ state STATE ]... [ EXPRESSION ], with sport, dport, src and dst, `and`, `or`, `not` and parentheses. Pure.
import { PodwireError } from "@podwire/base";
import { inPrefix, parseAddress, parsePrefix } from "@podwire/net";
import type { SocketRow, SocketState } from "../net/socket-rows.ts";

export class SsFilterError extends PodwireError {}

export interface SsFilter {
  /** undefined: what the options say. */
  states: ReadonlySet<SocketState> | undefined;
  match: (r: SocketRow) => boolean;
}

const NAMES: { [name: string]: SocketState } = {
  established: "established",
  "syn-sent": "synSent",
  "syn-recv": "synReceived",
  "fin-wait-1": "finWait1",
  "fin-wait-2": "finWait2",
  "time-wait": "timeWait",
  closed: "closed",
  "close-wait": "closeWait",
  "last-ack": "lastAck",
  listening: "listen",
  listen: "listen",
  closing: "closing",
};
const ALL = new Set<SocketState>(Object.values(NAMES));
const without = (...out: SocketState[]) => [...ALL].filter((s) => !out.includes(s));
const GROUPS: { [name: string]: readonly SocketState[] } = {
  all: [...ALL],
  connected: without("listen", "closed"),
  synchronized: without("listen", "closed", "synSent"),
  bucket: ["synReceived", "timeWait"],
  big: without("synReceived", "timeWait"),
};

export function parseSsFilter(words: readonly string[]): SsFilter {
  let states: Set<SocketState> | undefined;
  let at = 0;
  for (; words[at] === "state" || words[at] === "exclude"; at += 2) {
    const name = words[at + 1] ?? "";
    const named = GROUPS[name] ?? (NAMES[name] === undefined ? undefined : [NAMES[name]]);
    if (named === undefined) throw new SsFilterError(`wrong state name: ${name}`);
    if (words[at] === "state") states = new Set([...(states ?? []), ...named]);
    else states = new Set([...(states ?? ALL)].filter((s) => !named.includes(s)));
  }
  const tokens = words
    .slice(at)
    .join(" ")
    .replace(/([()!]|[<>=!]=?|\bsport\b|\bdport\b)/g, (t) => ` ${t} `)
    .replace(/! +=/g, "!=")
    .split(/\s+/)
    .filter((t) => t !== "");
  if (tokens.length === 0) return { states, match: () => true };
  const parser = new Parser(tokens);
  return { states, match: parser.whole() };
}

type Test = (r: SocketRow) => boolean;

class Parser {
  readonly #tokens: readonly string[];
  #at = 0;
  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  whole(): Test {
    const t = this.#or();
    if (this.#at < this.#tokens.length) throw new SsFilterError(`syntax error near "${this.#tokens[this.#at]}"`);
    return t;
  }

  #take(...wanted: string[]): boolean {
    if (!wanted.includes(this.#tokens[this.#at] ?? "")) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    const t = this.#tokens[this.#at++];
    if (t === undefined) throw new SsFilterError("the expression ends too early");
    return t;
  }

  #or(): Test {
    let left = this.#and();
    while (this.#take("or", "|", "||")) {
      const [a, b] = [left, this.#and()];
      left = (r) => a(r) || b(r);
    }
    return left;
  }

  #and(): Test {
    let left = this.#not();
    for (;;) {
      this.#take("and", "&", "&&");
      const t = this.#tokens[this.#at];
      if (t === undefined || t === ")" || t === "or" || t === "|" || t === "||") return left;
      const [a, b] = [left, this.#not()];
      left = (r) => a(r) && b(r);
    }
  }

  #not(): Test {
    if (this.#take("not", "!")) {
      const t = this.#not();
      return (r) => !t(r);
    }
    if (this.#take("(")) {
      const t = this.#or();
      if (!this.#take(")")) throw new SsFilterError('a ")" is missing');
      return t;
    }
    return this.#primary();
  }

  #primary(): Test {
    const what = this.#next();
    if (what === "sport" || what === "dport") {
      const compare = comparison(this.#operator());
      const text = this.#next().replace(/^.*:/, "");
      const port = Number(text);
      if (!Number.isInteger(port)) throw new SsFilterError(`a port is expected: ${text}`);
      return (r) => compare(what === "sport" ? r.localPort : r.remotePort, port);
    }
    if (what === "src" || what === "dst") {
      const negated = this.#operator() === "!=";
      const text = this.#next();
      const m = /^(\[?[0-9a-fA-F:.]*?\]?(?:\/\d+)?)(?::(\d+|\*))?$/.exec(text);
      const host = m?.[1]?.replace(/[[\]]/g, "") ?? "";
      const prefix = host === "" ? undefined : (parsePrefix(host) ?? parsePrefix(`${host}/${host.includes(":") ? 128 : 32}`));
      if (m === null || (host !== "" && prefix === undefined)) throw new SsFilterError(`an inet prefix is expected rather than "${text}"`);
      return (r) => {
        const address = parseAddress(what === "src" ? r.localAddress : r.remoteAddress);
        const port = what === "src" ? r.localPort : r.remotePort;
        const hit =
          (prefix === undefined ||
            (address !== undefined && typeof address === typeof prefix.address && inPrefix(address, prefix.address, prefix.length))) &&
          (m[2] === undefined || m[2] === "*" || Number(m[2]) === port);
        return hit !== negated;
      };
    }
    throw new SsFilterError(`"${what}" is not a filter here`);
  }

  #operator(): string {
    const t = this.#tokens[this.#at] ?? "";
    if (!/^(==?|!=|[<>]=?|eq|ne|neq|lt|gt|le|ge|leq|geq)$/.test(t)) return "=";
    this.#at++;
    return t;
  }
}

function comparison(operator: string): (a: number, b: number) => boolean {
  switch (operator) {
    case "!=":
    case "ne":
    case "neq":
      return (a, b) => a !== b;
    case "<":
    case "lt":
      return (a, b) => a < b;
    case ">":
    case "gt":
      return (a, b) => a > b;
    case "<=":
    case "le":
    case "leq":
      return (a, b) => a <= b;
    case ">=":
    case "ge":
    case "geq":
      return (a, b) => a >= b;
    default:
      return (a, b) => a === b;
  }
}
