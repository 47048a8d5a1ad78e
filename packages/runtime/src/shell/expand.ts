// Word expansion (POSIX 2.6): tilde, parameters, command substitution, arithmetic, field splitting, path names, quote removal.
// Written as generators that yield the commands to be substituted, so that words without them expand without a promise.

import { type ArithVariables, evaluate } from "./arith.ts";
import type { Node, Word, WordPart } from "./ast.ts";
import { hasGlob, matches, type Pattern, patternSource, trim } from "./glob.ts";

/** What expansion needs of the shell. */
export interface Expander extends ArithVariables {
  get(name: string): string | undefined;
  set(name: string, value: string): void;
  /** "$@" and friends. */
  positional(): readonly string[];
  special(name: string): string | undefined;
  ifs(): string;
  noglob(): boolean;
  nounset(): boolean;
  /** Ends the shell (or subshell) with a message. */
  fail(text: string): never;
  home(user: string): string | undefined;
  /** Sorted names in a directory; undefined when it cannot be read. */
  list(path: string): string[] | undefined;
  exists(path: string): boolean;
  isDir(path: string): boolean;
}

/** Yields a command to run; is resumed with what it wrote. */
export type Expansion<T> = Generator<Node, T, string>;

interface Segment {
  text: string;
  /** Literal: neither split nor a pattern. */
  quoted: boolean;
  /** Result of an expansion: subject to field splitting when not quoted. */
  expanded: boolean;
  /** A field ends before this segment ("$@"). */
  breakBefore?: boolean;
}

/** Fields of a list of words. */
export function* expandWords(words: readonly Word[], x: Expander): Expansion<string[]> {
  const out: string[] = [];
  for (const w of words) {
    const only = w.length === 1 ? (w[0] as WordPart) : undefined;
    if (only?.t === "lit") {
      if (only.quoted || !/[*?~\\]|\[.*\]/s.test(only.text)) {
        out.push(only.text);
        continue;
      }
    } else if (only?.t === "param" && only.quoted && only.op === "" && only.name !== "@" && only.name !== "*") {
      out.push(parameter(only.name, x));
      continue;
    }
    const segments: Segment[] = [];
    yield* expandParts(w, x, segments, false);
    splitFields(segments, x, out);
  }
  return out;
}

/** One string, without splitting or path names: assignments, redirections, case words, here-documents. */
export function* expandText(word: Word, x: Expander, o: { tilde?: boolean } = {}): Expansion<string> {
  const only = word.length === 1 ? (word[0] as WordPart) : undefined;
  if (only === undefined && word.length === 0) return "";
  if (only?.t === "lit" && (only.quoted || !only.text.includes("~"))) return only.text;
  const segments: Segment[] = [];
  yield* expandParts(word, x, segments, o.tilde ?? false);
  return joined(segments, x);
}

function joined(segments: readonly Segment[], x: Expander): string {
  let out = "";
  const ifs = x.ifs();
  for (const s of segments) out += (s.breakBefore ? (ifs === "" ? " " : " ") : "") + s.text;
  return out;
}

/** A pattern: what is quoted is literal. */
export function* expandPattern(word: Word, x: Expander): Expansion<Pattern> {
  const segments: Segment[] = [];
  yield* expandParts(word, x, segments, false);
  const p: Pattern = { text: "", literal: [] };
  for (const s of segments) {
    p.text += s.text;
    for (let i = 0; i < s.text.length; i++) p.literal.push(s.quoted);
  }
  return p;
}

function parameter(name: string, x: Expander): string {
  const v = parameterValue(name, x);
  if (v === undefined) {
    if (x.nounset() && name !== "@" && name !== "*") x.fail(`${name}: parameter not set`);
    return "";
  }
  return v;
}

function parameterValue(name: string, x: Expander): string | undefined {
  if (/^[A-Za-z_]/.test(name)) return x.get(name);
  if (/^[1-9]/.test(name)) return x.positional()[Number(name) - 1];
  return x.special(name);
}

function* expandParts(word: Word, x: Expander, out: Segment[], assignment: boolean): Expansion<void> {
  for (let i = 0; i < word.length; i++) {
    const part = word[i] as WordPart;
    switch (part.t) {
      case "lit":
        if (!part.quoted && part.text.includes("~")) tilde(part.text, i === 0, i === word.length - 1, assignment, x, out);
        else out.push({ text: part.text, quoted: part.quoted, expanded: false });
        break;
      case "cmd": {
        const text = part.body === undefined ? "" : yield part.body;
        out.push({ text: text.replace(/\n+$/, ""), quoted: part.quoted, expanded: true });
        break;
      }
      case "arith": {
        const text = yield* expandText(part.expr, x);
        out.push({ text: String(evaluate(text, x)), quoted: part.quoted, expanded: true });
        break;
      }
      case "bad":
        x.fail("syntax error: bad substitution");
        break;
      case "param":
        yield* expandParam(part, x, out);
        break;
    }
  }
}

function tilde(text: string, first: boolean, last: boolean, assignment: boolean, x: Expander, out: Segment[]): void {
  const pieces = assignment ? text.split(/(:)/) : [text];
  pieces.forEach((piece, i) => {
    const leads = (i === 0 && first) || (i > 0 && pieces[i - 1] === ":");
    const m = leads ? /^~([A-Za-z_][A-Za-z0-9_.-]*)?(?=\/|$)/.exec(piece) : null;
    const whole = m !== null && (m[0].length < piece.length || last || i < pieces.length - 1);
    const home = m && whole ? x.home(m[1] ?? "") : undefined;
    if (m && home !== undefined) {
      out.push({ text: home, quoted: true, expanded: false });
      out.push({ text: piece.slice(m[0].length), quoted: false, expanded: false });
    } else out.push({ text: piece, quoted: false, expanded: false });
  });
}

function pushParameters(list: readonly string[], star: boolean, quoted: boolean, x: Expander, out: Segment[]): void {
  if (star && quoted) {
    out.push({ text: list.join(x.ifs() === "" ? "" : (x.ifs()[0] as string)), quoted: true, expanded: true });
    return;
  }
  list.forEach((v, i) => {
    out.push({ text: v, quoted, expanded: true, ...(i > 0 ? { breakBefore: true } : {}) });
  });
}

function* expandParam(part: Extract<WordPart, { t: "param" }>, x: Expander, out: Segment[]): Expansion<void> {
  const { name, op, quoted } = part;
  const isList = name === "@" || name === "*";
  const list = isList ? x.positional() : [];
  const raw = isList ? (list.length === 0 ? undefined : list.join(" ")) : parameterValue(name, x);
  const push = (text: string) => out.push({ text, quoted, expanded: true });
  switch (op) {
    case "":
      if (isList) pushParameters(list, name === "*", quoted, x, out);
      else push(parameter(name, x));
      return;
    case "#len":
      if (isList) push(String(list.length));
      else push(String(lengthOf(parameter(name, x))));
      return;
    case "-":
    case ":-":
      if (raw === undefined || (op === ":-" && raw === "")) {
        const before = out.length;
        yield* expandAlternative(part.word as Word, x, out);
        // In quotes, nothing is an empty word.
        if (quoted && out.length === before) push("");
      } else if (isList) pushParameters(list, name === "*", quoted, x, out);
      else push(raw);
      return;
    case "+":
    case ":+":
      if (!(raw === undefined || (op === ":+" && raw === ""))) yield* expandAlternative(part.word as Word, x, out);
      else if (quoted) push("");
      return;
    case "=":
    case ":=":
      if (raw === undefined || (op === ":=" && raw === "")) {
        const v = yield* expandText(part.word as Word, x);
        if (!/^[A-Za-z_]/.test(name)) x.fail(`${name}: bad variable name`);
        x.set(name, v);
        push(v);
      } else push(raw);
      return;
    case "?":
    case ":?": {
      if (raw !== undefined && !(op === ":?" && raw === "")) {
        if (isList) pushParameters(list, name === "*", quoted, x, out);
        else push(raw);
        return;
      }
      const text = yield* expandText(part.word as Word, x);
      x.fail(`${name}: ${text !== "" ? text : op === ":?" ? "parameter null or not set" : "parameter not set"}`);
      return;
    }
    case "#":
    case "##":
    case "%":
    case "%%": {
      const p = yield* expandPattern(part.word as Word, x);
      push(trim(parameter(name, x), p, op));
      return;
    }
    case "/":
    case "//":
      yield* replace(part, x, push);
      return;
    case ":": {
      const text = yield* expandText(part.word as Word, x);
      push(substring(isList ? list.join(" ") : parameter(name, x), text, x));
      return;
    }
    default:
      x.fail("syntax error: bad substitution");
  }
}

/** The word of ${v-word}: its own unquoted text is split too. */
function* expandAlternative(word: Word, x: Expander, out: Segment[]): Expansion<void> {
  const from = out.length;
  yield* expandParts(word, x, out, false);
  for (let i = from; i < out.length; i++) (out[i] as Segment).expanded = true;
}

function lengthOf(text: string): number {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return Buffer.byteLength(text);
  return text.length;
}

function substring(value: string, text: string, x: Expander): string {
  // "off:len" of arithmetic; a "?:" inside is not looked for.
  const at = text.indexOf(":");
  const offset = Number(evaluate(at < 0 ? text : text.slice(0, at), x));
  const start = offset < 0 ? value.length + offset : offset;
  if (start < 0) return at < 0 ? "" : "";
  if (at < 0) return value.slice(start);
  const length = Number(evaluate(text.slice(at + 1), x));
  return length < 0 ? value.slice(start, Math.max(start, value.length + length)) : value.slice(start, start + length);
}

function* replace(part: Extract<WordPart, { t: "param" }>, x: Expander, push: (t: string) => void): Expansion<void> {
  // Pattern and replacement are parted at the first unquoted "/".
  const word = part.word as Word;
  const before: Word = [];
  let after: Word | undefined;
  for (const p of word) {
    if (after !== undefined) after.push(p);
    else if (p.t === "lit" && !p.quoted && p.text.includes("/")) {
      const at = p.text.indexOf("/");
      before.push({ t: "lit", text: p.text.slice(0, at), quoted: false });
      after = [{ t: "lit", text: p.text.slice(at + 1), quoted: false }];
    } else before.push(p);
  }
  const pattern = yield* expandPattern(before, x);
  const replacement = after === undefined ? "" : yield* expandText(after, x);
  const value = parameter(part.name, x);
  if (pattern.text === "") return void push(value);
  const source = patternSource(pattern);
  push(value.replace(new RegExp(source, part.op === "//" ? "g" : ""), () => replacement));
}

/** Field splitting and path name expansion of one word's segments. */
function splitFields(segments: readonly Segment[], x: Expander, out: string[]): void {
  const ifs = x.ifs();
  const white = [...ifs].filter((c) => " \t\n".includes(c)).join("");
  let text = "";
  let literal: boolean[] = [];
  let open = false;
  let anyGlob = false;
  const end = () => {
    if (!open) return;
    if (anyGlob && !x.noglob()) globField({ text, literal }, x, out);
    else out.push(text);
    text = "";
    literal = [];
    open = false;
    anyGlob = false;
  };
  const add = (t: string, quoted: boolean) => {
    text += t;
    for (let i = 0; i < t.length; i++) {
      literal.push(quoted);
      if (!quoted && !anyGlob && "*?[".includes(t[i] as string)) anyGlob = true;
    }
  };
  for (const s of segments) {
    if (s.breakBefore) end();
    if (s.quoted || !s.expanded || ifs === "") {
      if (s.quoted || s.text !== "") open = true;
      add(s.text, s.quoted);
      continue;
    }
    let i = 0;
    const t = s.text;
    while (i < t.length) {
      const c = t[i] as string;
      if (!ifs.includes(c)) {
        let j = i + 1;
        while (j < t.length && !ifs.includes(t[j] as string)) j++;
        open = true;
        add(t.slice(i, j), false);
        i = j;
        continue;
      }
      if (white.includes(c)) {
        while (i < t.length && white.includes(t[i] as string)) i++;
        const next = t[i];
        // White space around one other separator belongs to it.
        if (next !== undefined && ifs.includes(next)) {
          if (!open) open = true;
          end();
          i++;
          while (i < t.length && white.includes(t[i] as string)) i++;
        } else end();
        continue;
      }
      open = true;
      end();
      i++;
      while (i < t.length && white.includes(t[i] as string)) i++;
    }
  }
  end();
}

/** Names that match; the text itself when none does. */
function globField(p: Pattern, x: Expander, out: string[]): void {
  if (!hasGlob(p)) {
    out.push(p.text);
    return;
  }
  const parts: Pattern[] = [];
  let start = 0;
  for (let i = 0; i <= p.text.length; i++)
    if (i === p.text.length || p.text[i] === "/") {
      parts.push({ text: p.text.slice(start, i), literal: p.literal.slice(start, i) });
      start = i + 1;
    }
  let found: string[] = [""];
  parts.forEach((part, i) => {
    const last = i === parts.length - 1;
    const next: string[] = [];
    if (part.text === "") {
      // A leading, doubled or trailing slash.
      for (const f of found) if (!last || x.isDir(f)) next.push(last ? f : `${f}/`);
      found = i === 0 ? ["/"] : next.map((f) => (last && !f.endsWith("/") ? f : f));
      return;
    }
    for (const base of found) {
      const prefix = base === "" || base.endsWith("/") ? base : `${base}/`;
      if (!hasGlob(part)) {
        const name = prefix + unescaped(part);
        if (last ? x.exists(name) : x.isDir(name)) next.push(last ? name : `${name}/`);
        continue;
      }
      for (const name of x.list(prefix === "" ? "." : prefix) ?? []) {
        if (name.startsWith(".") && part.text[0] !== ".") continue;
        if (!matches(part, name)) continue;
        if (last) next.push(prefix + name);
        else if (x.isDir(prefix + name)) next.push(`${prefix}${name}/`);
      }
    }
    found = next;
  });
  if (found.length === 0 || (found.length === 1 && found[0] === "")) out.push(p.text);
  else out.push(...found.sort(byBytes));
}

function unescaped(p: Pattern): string {
  return p.text.replace(/\\(.)/g, "$1");
}

export function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
