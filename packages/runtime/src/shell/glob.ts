// Shell patterns (fnmatch(3), glob(7)): *, ?, [...] with classes and negation. A pattern is text with a mask of quoted characters,
// which are literal. Compiled to regular expressions and cached.

export interface Pattern {
  text: string;
  /** Same length as text: true where the character is literal. */
  literal: boolean[];
}

const CLASSES: Record<string, string> = {
  alpha: "A-Za-z",
  digit: "0-9",
  alnum: "A-Za-z0-9",
  upper: "A-Z",
  lower: "a-z",
  space: " \\t\\n\\r\\f\\v",
  blank: " \\t",
  punct: "!-\\/:-@\\[-`{-~",
  print: " -~",
  graph: "!-~",
  cntrl: "\\x00-\\x1f\\x7f",
  xdigit: "0-9A-Fa-f",
};

export function plainPattern(text: string): Pattern {
  return { text, literal: [] };
}

export function hasGlob(p: Pattern): boolean {
  for (let i = 0; i < p.text.length; i++) {
    const c = p.text[i];
    if (!p.literal[i] && (c === "*" || c === "?" || (c === "[" && p.text.includes("]", i)))) return true;
  }
  return false;
}

const MAX_CACHED = 1000;
const cache = new Map<string, RegExp>();

/** The pattern as a regular expression source. `path`: wildcards do not match "/". */
export function patternSource(p: Pattern, o: { path?: boolean; shortest?: boolean } = {}): string {
  const any = o.path ? "[^/]" : "[\\s\\S]";
  let out = "";
  for (let i = 0; i < p.text.length; i++) {
    const c = p.text[i] as string;
    if (p.literal[i]) {
      out += escaped(c);
      continue;
    }
    if (c === "\\" && i + 1 < p.text.length) {
      out += escaped(p.text[++i] as string);
      continue;
    }
    if (c === "*") out += `${any}*${o.shortest ? "?" : ""}`;
    else if (c === "?") out += any;
    else if (c === "[") {
      const set = bracket(p, i);
      if (set === undefined) out += "\\[";
      else {
        out += set.source;
        i = set.end;
      }
    } else out += escaped(c);
  }
  return out;
}

function bracket(p: Pattern, start: number): { source: string; end: number } | undefined {
  const t = p.text;
  let i = start + 1;
  let negate = false;
  if ((t[i] === "!" || t[i] === "^") && !p.literal[i]) {
    negate = true;
    i++;
  }
  let body = "";
  for (let first = true; ; first = false) {
    const c = t[i];
    if (c === undefined) return undefined;
    if (c === "]" && !first && !p.literal[i]) break;
    if (c === "[" && t[i + 1] === ":" && !p.literal[i]) {
      const end = t.indexOf(":]", i + 2);
      const name = end < 0 ? "" : t.slice(i + 2, end);
      if (CLASSES[name] !== undefined) {
        body += CLASSES[name];
        i = end + 2;
        continue;
      }
    }
    let ch = c;
    if (c === "\\" && !p.literal[i] && t[i + 1] !== undefined) ch = t[++i] as string;
    i++;
    if (t[i] === "-" && !p.literal[i] && t[i + 1] !== undefined && t[i + 1] !== "]") {
      let to = t[i + 1] as string;
      i += 2;
      if (to === "\\" && t[i] !== undefined) to = t[i++] as string;
      if (ch <= to) body += `${escapeInSet(ch)}-${escapeInSet(to)}`;
    } else body += escapeInSet(ch);
  }
  return { source: body === "" ? (negate ? "[\\s\\S]" : "[]") : `[${negate ? "^" : ""}${body}]`, end: i };
}

function escaped(c: string): string {
  return /[\\^$.*+?()[\]{}|/-]/.test(c) ? `\\${c}` : c;
}
function escapeInSet(c: string): string {
  return /[\\\]^[-]/.test(c) ? `\\${c}` : c;
}

export function matches(p: Pattern, text: string, o: { path?: boolean } = {}): boolean {
  const key = `${o.path ? "p" : "s"}${p.text}\0${p.literal.map((b) => (b ? 1 : 0)).join("")}`;
  let re = cache.get(key);
  if (re === undefined) {
    re = new RegExp(`^${patternSource(p, o)}$`, "s");
    if (cache.size >= MAX_CACHED) cache.clear();
    cache.set(key, re);
  }
  return re.test(text);
}

/** ${v#p}, ${v##p}, ${v%p}, ${v%%p}. */
export function trim(text: string, p: Pattern, op: "#" | "##" | "%" | "%%"): string {
  if (op === "#" || op === "##") {
    const m = new RegExp(`^(?:${patternSource(p, { shortest: op === "#" })})`).exec(text);
    return m ? text.slice(m[0].length) : text;
  }
  // The longest suffix begins at the first position that matches, the shortest at the last.
  const re = new RegExp(`^(?:${patternSource(p)})$`, "s");
  if (op === "%%") {
    for (let i = 0; i <= text.length; i++) if (re.test(text.slice(i))) return text.slice(0, i);
  } else for (let i = text.length; i >= 0; i--) if (re.test(text.slice(i))) return text.slice(0, i);
  return text;
}
