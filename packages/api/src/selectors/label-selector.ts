// Label selectors: the text form of query strings and the object form of specs (apimachinery labels).
// Invariant: a parsed selector prints back to a text that parses to the same selector. Matching allocates nothing.

import { statusErrors } from "../errors/status-error.ts";
import { isLabelValue, isQualifiedName } from "../meta/names.ts";
import { lookup } from "../schema/lookup.ts";

type Operator = "in" | "notin" | "=" | "==" | "!=" | "exists" | "!" | "gt" | "lt";

interface Requirement {
  readonly key: string;
  readonly op: Operator;
  readonly values: readonly string[];
}

export interface LabelSelectorMatcher {
  matches(labels: Readonly<Record<string, string>> | undefined): boolean;
  toString(): string;
  /** True when everything matches. */
  readonly empty: boolean;
  readonly requirements: readonly Requirement[];
}

const NO_LABELS: Readonly<Record<string, string>> = {};
const MAX_SELECTOR_LENGTH = 256 * 1024;

class Selector implements LabelSelectorMatcher {
  readonly requirements: readonly Requirement[];
  constructor(requirements: readonly Requirement[]) {
    this.requirements = requirements;
  }
  get empty(): boolean {
    return this.requirements.length === 0;
  }
  matches(labels: Readonly<Record<string, string>> | undefined): boolean {
    const l = labels ?? NO_LABELS;
    for (const r of this.requirements) if (!matchesOne(r, l)) return false;
    return true;
  }
  toString(): string {
    return this.requirements.map(printRequirement).join(",");
  }
}

const NOTHING: LabelSelectorMatcher = { matches: () => false, toString: () => "", empty: false, requirements: [] };

function matchesOne(r: Requirement, labels: Readonly<Record<string, string>>): boolean {
  const value = Object.hasOwn(labels, r.key) ? labels[r.key] : undefined;
  switch (r.op) {
    case "in":
    case "=":
    case "==":
      return value !== undefined && r.values.includes(value);
    case "notin":
    case "!=":
      return value === undefined || !r.values.includes(value);
    case "exists":
      return value !== undefined;
    case "!":
      return value === undefined;
    case "gt":
    case "lt": {
      if (value === undefined || !/^[+-]?\d+$/.test(value)) return false;
      const a = BigInt(value);
      const b = BigInt(r.values[0]!);
      return r.op === "gt" ? a > b : a < b;
    }
  }
}

function printRequirement(r: Requirement): string {
  switch (r.op) {
    case "exists":
      return r.key;
    case "!":
      return `!${r.key}`;
    case "=":
    case "==":
    case "!=":
      return `${r.key}${r.op}${r.values[0]}`;
    case "in":
    case "notin":
      return `${r.key} ${r.op} (${[...r.values].sort().join(",")})`;
    case "gt":
      return `${r.key}>${r.values[0]}`;
    case "lt":
      return `${r.key}<${r.values[0]}`;
  }
}

interface Token {
  readonly kind: "identifier" | "symbol" | "end";
  readonly text: string;
}

const SPECIAL = new Set(["=", "!", "(", ")", ",", ">", "<"]);
const isSpace = (c: string): boolean => c === " " || c === "\t" || c === "\r" || c === "\n";

function lex(text: string): Token[] {
  const tokens: Token[] = [];
  let i = 0;
  while (i < text.length) {
    const c = text[i]!;
    if (isSpace(c)) i++;
    else if (SPECIAL.has(c)) {
      const two = text.slice(i, i + 2);
      const symbol = two === "==" || two === "!=" ? two : c;
      tokens.push({ kind: "symbol", text: symbol });
      i += symbol.length;
    } else {
      const start = i;
      while (i < text.length && !SPECIAL.has(text[i]!) && !isSpace(text[i]!)) i++;
      tokens.push({ kind: "identifier", text: text.slice(start, i) });
    }
  }
  tokens.push({ kind: "end", text: "" });
  return tokens;
}

class Parser {
  private at = 0;
  private readonly tokens: Token[];
  constructor(text: string) {
    this.tokens = lex(text);
  }

  parse(): Requirement[] {
    const out: Requirement[] = [];
    for (;;) {
      const t = this.peek();
      if (t.kind === "identifier" || t.text === "!") {
        out.push(this.requirement());
        const next = this.next();
        if (next.kind === "end") return out;
        if (next.text !== ",") throw bad(`found '${next.text}', expected: ',' or 'end of string'`);
        const after = this.peek();
        if (after.kind !== "identifier" && after.text !== "!") throw bad(`found '${after.text}', expected: identifier after ','`);
      } else if (t.kind === "end") {
        return out;
      } else {
        throw bad(`found '${t.text}', expected: !, identifier, or 'end of string'`);
      }
    }
  }

  private peek(): Token {
    return this.tokens[this.at]!;
  }

  private next(): Token {
    const t = this.tokens[this.at]!;
    if (t.kind !== "end") this.at++;
    return t;
  }

  private requirement(): Requirement {
    let negated = false;
    if (this.peek().text === "!" && this.peek().kind === "symbol") {
      negated = true;
      this.next();
    }
    const key = this.next();
    if (key.kind !== "identifier") throw bad(`unable to parse requirement: found '${key.text}', expected: identifier`);
    const keyErrs = isQualifiedName(key.text);
    if (keyErrs.length > 0) throw bad(`unable to parse requirement: key: Invalid value: "${key.text}": ${keyErrs.join("; ")}`);
    const after = this.peek();
    if (negated || after.kind === "end" || after.text === ",") {
      return { key: key.text, op: negated ? "!" : "exists", values: [] };
    }
    const op = this.operator();
    const values = op === "in" || op === "notin" ? this.values() : [this.value()];
    checkValues(key.text, op, values);
    return { key: key.text, op, values };
  }

  private operator(): Operator {
    const t = this.next();
    switch (t.text) {
      case "in":
      case "notin":
      case "=":
      case "==":
      case "!=":
        return t.text;
      case ">":
        return "gt";
      case "<":
        return "lt";
      default:
        throw bad(`unable to parse requirement: found '${t.text}', expected: in, notin, =, ==, !=, gt, lt`);
    }
  }

  private value(): string {
    const t = this.peek();
    if (t.kind === "end" || t.text === ",") return "";
    this.next();
    if (t.kind !== "identifier") throw bad(`unable to parse requirement: found '${t.text}', expected: identifier`);
    return t.text;
  }

  private values(): string[] {
    const open = this.next();
    if (open.text !== "(") throw bad(`unable to parse requirement: found '${open.text}' expected: '('`);
    const out: string[] = [];
    for (;;) {
      const t = this.next();
      if (t.kind === "identifier") {
        out.push(t.text);
        const sep = this.next();
        if (sep.text === ")") return out;
        if (sep.text !== ",") throw bad(`unable to parse requirement: found '${sep.text}', expected: ',' or ')'`);
        if (this.peek().text === ")") {
          out.push("");
          this.next();
          return out;
        }
      } else if (t.text === ")") {
        out.push("");
        return out;
      } else if (t.text === ",") {
        out.push("");
      } else {
        throw bad(`unable to parse requirement: found '${t.text}', expected: ',', ')' or identifier`);
      }
    }
  }
}

function checkValues(key: string, op: Operator, values: readonly string[]): void {
  values.forEach((v, i) => {
    if ((op === "gt" || op === "lt") && !/^[+-]?\d+$/.test(v)) {
      throw bad(`unable to parse requirement: values[${i}]: Invalid value: "${v}": for 'Gt', 'Lt' operators, the value must be an integer`);
    }
    const errs = isLabelValue(v);
    if (errs.length > 0) throw bad(`unable to parse requirement: values[${i}][${key}]: Invalid value: "${v}": ${errs.join("; ")}`);
  });
}

function bad(message: string): Error {
  return statusErrors.badRequest(message);
}

/** Parses "a=b,c in (d,e),!f"; throws a BadRequest StatusError. */
export function parseLabelSelector(text: string): LabelSelectorMatcher {
  if (text.length > MAX_SELECTOR_LENGTH) throw bad("label selector is too long");
  return new Selector(new Parser(text).parse());
}

export interface LabelSelectorObject {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

/** The matcher of a spec's selector: undefined matches nothing, {} matches everything. */
export function labelSelector(selector: LabelSelectorObject | undefined | null): LabelSelectorMatcher {
  if (selector === undefined || selector === null) return NOTHING;
  const out: Requirement[] = [];
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) out.push({ key, op: "=", values: [value] });
  for (const e of selector.matchExpressions ?? []) {
    const op = EXPRESSION_OPERATORS[e.operator];
    if (op === undefined) throw statusErrors.badRequest(`"${e.operator}" is not a valid label selector operator`);
    out.push({ key: e.key, op, values: e.values ?? [] });
  }
  out.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return new Selector(out);
}

const EXPRESSION_OPERATORS: Record<string, Operator> = lookup({
  In: "in",
  NotIn: "notin",
  Exists: "exists",
  DoesNotExist: "!",
  Gt: "gt",
  Lt: "lt",
});

/** The matcher of a plain map, as Services and ReplicationControllers have; undefined or {} matches everything. */
export function labelSet(labels: Readonly<Record<string, string>> | undefined | null): LabelSelectorMatcher {
  return labelSelector({ matchLabels: (labels ?? {}) as Record<string, string> });
}
