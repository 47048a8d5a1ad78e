// The parser of the POSIX shell as busybox ash reads it: one complete command (up to a newline) at a time, so that what comes before
// a syntax error runs. Messages are ash's. Invariant: `next` either advances past one command or throws ShellSyntaxError.
import { type Assignment, type Node, type Redirect, type SimpleNode, trimmed, type Word } from "./ast.ts";
import { WordLexer } from "./lexer.ts";

export { ShellSyntaxError } from "./lexer.ts";

type Token =
  | { t: "eof" }
  | { t: "nl" }
  | { t: "op"; op: string }
  | { t: "redir"; fd: number; kind: Redirect["kind"] | "<<-" }
  /** `bare` is the text when nothing in it is quoted or expanded: keywords and function names are bare words. */
  | { t: "word"; word: Word; bare: string | undefined; start: number };

const KEYWORDS = new Set([
  "if",
  "then",
  "else",
  "elif",
  "fi",
  "do",
  "done",
  "case",
  "esac",
  "while",
  "until",
  "for",
  "{",
  "}",
  "!",
  "in",
  "function",
  "[[",
]);
/** Keywords that cannot begin a command. */
const CLOSERS = new Set(["then", "else", "elif", "fi", "do", "done", "esac", "}", "in"]);
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Nesting of commands; past it the script is refused. */
const MAX_DEPTH = 500;

export interface ParserOptions {
  aliases?: ReadonlyMap<string, string>;
  firstLine?: number;
}

export class Parser extends WordLexer {
  #peeked: Token | undefined;
  #peekedAs = 0;
  #pendingDocs: { redirect: Redirect; delimiter: string; quoted: boolean; strip: boolean }[] = [];
  readonly #aliases: ReadonlyMap<string, string> | undefined;
  #aliasEnd = -1;
  #aliasUsed: Set<string> | undefined;
  #depth = 0;
  /** Between "[[" and "]]", where && and || are words. */
  #inDouble = false;

  constructor(src: string, o: ParserOptions = {}) {
    super(src, o.firstLine ?? 1);
    this.#aliases = o.aliases;
  }

  /** The next complete command; undefined at the end; null for an empty line. */
  next(): Node | null | undefined {
    const t = this.#peek(COMMAND);
    if (t.t === "eof") return undefined;
    if (t.t === "nl") {
      this.#take();
      return null;
    }
    return this.#list(true);
  }

  /** Position behind what was parsed: for $(...) inside of words. */
  get position(): number {
    return this.at;
  }

  // --- grammar

  #unexpected(t: Token, expecting?: string): never {
    if (t.t === "eof") this.incomplete = true;
    this.fail(`unexpected ${tokenName(t)}${expecting === undefined ? "" : ` (expecting "${expecting}")`}`);
  }

  /** A list; `toNewline`: ends at a newline (a complete command), else newlines separate. */
  #list(toNewline: boolean): Node {
    if (++this.#depth > MAX_DEPTH) this.fail("maximum nesting of commands exceeded");
    const list: Node[] = [];
    try {
      for (;;) {
        if (!toNewline) this.#skipNewlines();
        const t = this.#peek(COMMAND);
        if (t.t === "eof") break;
        if (t.t === "op" && (t.op === ")" || t.op === ";;")) {
          if (toNewline) this.#unexpected(t);
          break;
        }
        if (t.t === "word" && t.bare !== undefined && CLOSERS.has(t.bare)) {
          if (toNewline) this.#unexpected(t);
          break;
        }
        let node = this.#andOr();
        const sep = this.#peek();
        if (sep.t === "op" && sep.op === "&") {
          this.#take();
          node = { t: "background", body: node };
          list.push(node);
        } else {
          list.push(node);
          if (sep.t === "op" && sep.op === ";") this.#take();
          else if (sep.t === "nl") {
            this.#take();
            if (toNewline) break;
          } else if (sep.t === "eof") break;
          else if (sep.t === "op" && (sep.op === ")" || sep.op === ";;")) {
            if (toNewline) this.#unexpected(sep);
            break;
          } else if (toNewline) this.#unexpected(sep);
          else break;
          continue;
        }
        if (this.#peek(COMMAND).t === "nl" && toNewline) {
          this.#take();
          break;
        }
      }
    } finally {
      this.#depth--;
    }
    return list.length === 1 ? (list[0] as Node) : { t: "seq", list };
  }

  #andOr(): Node {
    let left = this.#pipeline();
    for (;;) {
      const t = this.#peek();
      if (t.t !== "op" || (t.op !== "&&" && t.op !== "||")) return left;
      this.#take();
      this.#skipNewlines();
      left = { t: t.op === "&&" ? "and" : "or", left, right: this.#pipeline() };
    }
  }

  #pipeline(): Node {
    const negate = this.#isKeyword(this.#peek(COMMAND), "!");
    if (negate) this.#take();
    // ash, unlike others, takes one only.
    if (negate && this.#isKeyword(this.#peek(COMMAND), "!")) this.#unexpected(this.#peek(COMMAND));
    const commands = [this.#command()];
    for (;;) {
      const t = this.#peek();
      if (t.t !== "op" || t.op !== "|") break;
      this.#take();
      this.#skipNewlines();
      commands.push(this.#command());
    }
    if (commands.length === 1 && !negate) return commands[0] as Node;
    return { t: "pipe", commands, negate };
  }

  #isKeyword(t: Token, word: string): boolean {
    return t.t === "word" && t.bare === word;
  }

  #expect(word: string): void {
    const t = this.#peek(COMMAND);
    if (!this.#isKeyword(t, word)) this.#unexpected(t, word);
    this.#take();
  }

  /** A list inside of a compound command, which may not be empty. */
  #body(): Node {
    this.#skipNewlines();
    const t = this.#peek(COMMAND);
    const n = this.#list(false);
    if (n.t === "seq" && n.list.length === 0) this.#unexpected(t.t === "eof" ? t : this.#peek(COMMAND));
    return n;
  }

  #command(): Node {
    const t = this.#peek(COMMAND);
    if (t.t === "op" && t.op === "(") {
      this.#take();
      const body = this.#bodyUntilParen();
      return { t: "subshell", body, redirects: this.#redirects() };
    }
    if (t.t === "word" && t.bare !== undefined) {
      switch (t.bare) {
        case "if":
          return this.#if();
        case "while":
        case "until": {
          this.#take();
          const cond = this.#conditionBefore("do");
          this.#expect("do");
          const body = this.#body();
          this.#expect("done");
          return { t: t.bare, cond, body, redirects: this.#redirects() };
        }
        case "for":
          return this.#for();
        case "case":
          return this.#case();
        case "{": {
          this.#take();
          const body = this.#bodyBefore("}");
          this.#expect("}");
          return { t: "group", body, redirects: this.#redirects() };
        }
        case "function": {
          this.#take();
          const n = this.#take();
          if (n.t !== "word" || n.bare === undefined) this.#unexpected(n);
          const paren = this.#peek();
          if (paren.t === "op" && paren.op === "(") {
            this.#take();
            const close = this.#take();
            if (close.t !== "op" || close.op !== ")") this.#unexpected(close, ")");
          }
          this.#skipNewlines();
          return { t: "function", name: n.bare, body: this.#command() };
        }
        default:
          if (CLOSERS.has(t.bare)) this.#unexpected(t);
      }
    }
    return this.#simple();
  }

  #bodyUntilParen(): Node {
    this.#skipNewlines();
    const n = this.#list(false);
    const end = this.#peek();
    if (end.t === "op" && end.op === ")") {
      if (n.t === "seq" && n.list.length === 0) this.#unexpected(end);
      this.#take();
      return n;
    }
    this.#unexpected(end, ")");
  }

  #bodyBefore(word: string): Node {
    this.#skipNewlines();
    const n = this.#list(false);
    const end = this.#peek(COMMAND);
    if (n.t === "seq" && n.list.length === 0) {
      if (end.t === "eof") this.#unexpected(end, word);
      this.#unexpected(end);
    }
    return n;
  }

  /** `if LIST`, `while LIST`: an empty list is reported as what stands there. */
  #conditionBefore(word: string): Node {
    this.#skipNewlines();
    const first = this.#peek(COMMAND);
    if (first.t === "op" && first.op !== "(") this.#unexpected(first);
    const n = this.#list(false);
    if (n.t === "seq" && n.list.length === 0) {
      const t = this.#peek(COMMAND);
      this.#unexpected(t, t.t === "eof" ? word : undefined);
    }
    return n;
  }

  #if(): Node {
    this.#take();
    const cond = this.#conditionBefore("then");
    this.#expect("then");
    const then = this.#bodyBefore("fi");
    const t = this.#peek(COMMAND);
    let otherwise: Node | undefined;
    if (this.#isKeyword(t, "elif")) {
      otherwise = this.#if();
      return { t: "if", cond, then, else: otherwise, redirects: [] };
    }
    if (this.#isKeyword(t, "else")) {
      this.#take();
      otherwise = this.#bodyBefore("fi");
    }
    this.#expect("fi");
    return { t: "if", cond, then, else: otherwise, redirects: this.#redirects() };
  }

  #for(): Node {
    this.#take();
    const n = this.#take();
    if (n.t !== "word" || n.bare === undefined || !NAME.test(n.bare)) this.fail("bad for loop variable");
    let words: Word[] | undefined;
    this.#skipNewlines();
    let t = this.#peek(COMMAND);
    if (this.#isKeyword(t, "in")) {
      this.#take();
      words = [];
      for (t = this.#peek(); t.t === "word"; t = this.#peek()) {
        words.push(t.word);
        this.#take();
      }
      if (t.t !== "nl" && !(t.t === "op" && t.op === ";")) this.#unexpected(t);
      this.#take();
    } else if (t.t === "op" && t.op === ";") this.#take();
    this.#skipNewlines();
    const open = this.#peek(COMMAND);
    if (this.#isKeyword(open, "{")) {
      this.#take();
      const body = this.#bodyBefore("}");
      this.#expect("}");
      return { t: "for", name: n.bare, words, body, redirects: this.#redirects() };
    }
    this.#expect("do");
    const body = this.#body();
    this.#expect("done");
    return { t: "for", name: n.bare, words, body, redirects: this.#redirects() };
  }

  #case(): Node {
    this.#take();
    const w = this.#take();
    if (w.t !== "word") this.#unexpected(w, "word");
    this.#skipNewlines();
    this.#expect("in");
    const items: { patterns: Word[]; body: Node | undefined }[] = [];
    for (;;) {
      this.#skipNewlines();
      let t = this.#peek(COMMAND);
      if (this.#isKeyword(t, "esac")) break;
      if (t.t === "op" && t.op === "(") {
        this.#take();
        t = this.#peek();
      }
      const patterns: Word[] = [];
      for (;;) {
        const p = this.#peek();
        if (p.t !== "word") this.#unexpected(p, p.t === "eof" ? ")" : undefined);
        patterns.push(p.word);
        this.#take();
        const sep = this.#peek();
        if (sep.t === "op" && sep.op === "|") {
          this.#take();
          continue;
        }
        if (!(sep.t === "op" && sep.op === ")")) this.#unexpected(sep, ")");
        this.#take();
        break;
      }
      const body = this.#list(false);
      items.push({ patterns, body: body.t === "seq" && body.list.length === 0 ? undefined : body });
      const end = this.#peek(COMMAND);
      if (end.t === "op" && end.op === ";;") this.#take();
      else if (!this.#isKeyword(end, "esac")) this.#unexpected(end, ";;");
    }
    this.#expect("esac");
    return { t: "case", word: w.word, items, redirects: this.#redirects() };
  }

  #redirects(): Redirect[] {
    const out: Redirect[] = [];
    for (let t = this.#peek(); t.t === "redir"; t = this.#peek()) out.push(this.#redirect());
    return out;
  }

  #redirect(): Redirect {
    const r = this.#take() as Extract<Token, { t: "redir" }>;
    const w = this.#peek();
    if (w.t !== "word") this.#unexpected(w);
    this.#take();
    const strip = r.kind === "<<-";
    const out: Redirect = { fd: r.fd, kind: strip ? "<<" : (r.kind as Redirect["kind"]), target: w.word };
    if (out.kind === "<<") {
      const quoted = w.word.some((p) => p.t === "lit" && p.quoted);
      const delimiter = w.word.map((p) => (p.t === "lit" ? p.text : "")).join("");
      this.#pendingDocs.push({ redirect: out, delimiter, quoted, strip });
    }
    return out;
  }

  #simple(): Node {
    const n: SimpleNode = { t: "simple", assigns: [], words: [], redirects: [], line: this.line };
    for (;;) {
      const first = n.words.length === 0;
      const t = this.#peek(first ? COMMAND : 0);
      if (t.t === "redir") {
        n.redirects.push(this.#redirect());
        continue;
      }
      if (t.t === "word") {
        if (first) {
          const a = assignmentOf(t.word);
          if (a) {
            this.#take();
            n.assigns.push(a);
            continue;
          }
        }
        if (n.words.length === 0 && t.bare === "[[") this.#inDouble = true;
        else if (this.#inDouble && t.bare === "]]") this.#inDouble = false;
        this.#take();
        n.words.push(t.word);
        continue;
      }
      if (t.t === "op" && t.op === "(" && n.words.length === 1 && n.assigns.length === 0 && n.redirects.length === 0) {
        const name =
          (n.words[0] as Word).length === 1 && n.words[0]?.[0]?.t === "lit" && !n.words[0][0].quoted ? n.words[0][0].text : undefined;
        this.#take();
        const close = this.#peek();
        if (!(close.t === "op" && close.op === ")"))
          this.#unexpected(
            name === undefined || close.t === "word" ? t : close,
            name === undefined || close.t === "word" ? undefined : ")",
          );
        this.#take();
        if (name === undefined || !NAME.test(name)) this.fail("bad function name");
        this.#skipNewlines();
        const body = this.#peek(COMMAND);
        if (body.t === "eof") this.#unexpected(body);
        return { t: "function", name, body: this.#command() };
      }
      break;
    }
    this.#inDouble = false;
    if (n.words.length === 0 && n.assigns.length === 0 && n.redirects.length === 0) this.#unexpected(this.#peek(COMMAND));
    return trimmed(n);
  }

  // --- tokens

  #skipNewlines(): void {
    while (this.#peek(COMMAND).t === "nl") this.#take();
  }

  #take(): Token {
    const t = this.#peek();
    this.#peeked = undefined;
    if (t.t === "nl") this.#readDocs();
    return t;
  }

  #peek(as = 0): Token {
    if (this.#peeked === undefined) {
      this.#peeked = this.#token();
      this.#peekedAs = 0;
    }
    const t = this.#peeked;
    if (as === COMMAND && this.#peekedAs !== COMMAND) {
      this.#peekedAs = COMMAND;
      if (t.t === "word" && t.bare !== undefined && this.#aliases && !KEYWORDS.has(t.bare)) return this.#expandAlias(t, t.bare);
    }
    return t;
  }

  #expandAlias(t: Extract<Token, { t: "word" }>, name: string): Token {
    if (this.at > this.#aliasEnd) {
      this.#aliasUsed = undefined;
      this.#aliasEnd = -1;
    }
    const value = this.#aliases?.get(name);
    if (value === undefined || this.#aliasUsed?.has(name)) return t;
    this.#aliasUsed ??= new Set();
    this.#aliasUsed.add(name);
    const rest = this.src.slice(this.at);
    this.src = `${this.src.slice(0, t.start)}${value} ${rest}`;
    this.#aliasEnd = t.start + value.length;
    this.at = t.start;
    this.#peeked = undefined;
    return this.#peek(COMMAND);
  }

  #token(): Token {
    for (;;) {
      const c = this.src[this.at];
      if (c === undefined) return { t: "eof" };
      if (c === " " || c === "\t") this.at++;
      else if (c === "\\" && this.src[this.at + 1] === "\n") {
        this.at += 2;
        this.line++;
      } else if (c === "#") while (this.at < this.src.length && this.src[this.at] !== "\n") this.at++;
      else break;
    }
    const c = this.src[this.at] as string;
    if (c === "\n") {
      this.at++;
      this.line++;
      return { t: "nl" };
    }
    const two = this.src.slice(this.at, this.at + 2);
    if (this.#inDouble && (two === "&&" || two === "||")) {
      const start = this.at;
      this.at += 2;
      return { t: "word", word: [{ t: "lit", text: two, quoted: true }], bare: undefined, start };
    }
    if (two === "&&" || two === "||" || two === ";;") {
      this.at += 2;
      return { t: "op", op: two };
    }
    if (c === "&" || c === "|" || c === ";" || c === "(" || c === ")") {
      this.at++;
      return { t: "op", op: c };
    }
    const m = /[0-9]*[<>]/y;
    m.lastIndex = this.at;
    const redirect = m.exec(this.src);
    if (redirect) {
      const digits = redirect[0].slice(0, -1);
      this.at += redirect[0].length;
      const dir = redirect[0].at(-1) as "<" | ">";
      const after = this.src.slice(this.at, this.at + 2);
      let kind: Redirect["kind"] | "<<-" = dir;
      if (dir === "<") {
        if (after.startsWith("<")) kind = after === "<-" ? "<<-" : "<<";
        else if (after.startsWith("&")) kind = "<&";
        else if (after.startsWith(">")) kind = "<>";
      } else if (after.startsWith(">")) kind = ">>";
      else if (after.startsWith("&")) kind = ">&";
      else if (after.startsWith("|")) kind = ">|";
      this.at += kind.length - 1;
      return { t: "redir", fd: digits === "" ? (dir === "<" ? 0 : 1) : Number(digits), kind };
    }
    const start = this.at;
    const word = this.word(false);
    const only = word.length === 1 ? word[0] : undefined;
    return { t: "word", word, bare: only?.t === "lit" && !only.quoted ? only.text : undefined, start };
  }

  protected override commandSubstitution(): Node | undefined {
    const inner = new Parser(this.src.slice(this.at), { firstLine: this.line, ...(this.#aliases ? { aliases: this.#aliases } : {}) });
    try {
      const list = inner.#list(false);
      const end = inner.#take();
      if (!(end.t === "op" && end.op === ")")) inner.#unexpected(end, ")");
      this.at += inner.at;
      this.line = inner.line;
      return list.t === "seq" && list.list.length === 0 ? undefined : list;
    } catch (e) {
      this.incomplete = inner.incomplete;
      throw e;
    }
  }

  protected override nested(text: string): Node | undefined {
    const list: Node[] = [];
    const inner = new Parser(text, { firstLine: this.line });
    for (let n = inner.next(); n !== undefined; n = inner.next()) if (n) list.push(n);
    return list.length === 0 ? undefined : list.length === 1 ? list[0] : { t: "seq", list };
  }

  // --- here-documents

  #readDocs(): void {
    for (const d of this.#pendingDocs.splice(0)) {
      let body = "";
      for (;;) {
        if (this.at >= this.src.length) {
          this.incomplete = true;
          break;
        }
        let end = this.src.indexOf("\n", this.at);
        if (end < 0) end = this.src.length;
        let line = this.src.slice(this.at, end);
        this.at = Math.min(end + 1, this.src.length);
        this.line++;
        if (d.strip) line = line.replace(/^\t+/, "");
        if (line === d.delimiter) break;
        body += this.src.charCodeAt(end) === 10 ? `${line}\n` : line;
      }
      d.redirect.heredoc = d.quoted ? [{ t: "lit", text: body, quoted: true }] : parseHereDoc(body, this.line);
    }
  }
}

const COMMAND = 1;

/** Text as in double quotes (here-documents, PS1, arithmetic strings). */
export function parseHereDoc(text: string, line = 1): Word {
  return new Parser(text, { firstLine: line }).hereDoc();
}

function assignmentOf(word: Word): Assignment | undefined {
  const first = word[0];
  if (first?.t !== "lit" || first.quoted) return undefined;
  const m = /^([A-Za-z_][A-Za-z0-9_]*)=/.exec(first.text);
  if (!m) return undefined;
  const rest = first.text.slice(m[0].length);
  return { name: m[1] as string, value: rest === "" ? word.slice(1) : [{ t: "lit", text: rest, quoted: false }, ...word.slice(1)] };
}

function tokenName(t: Token): string {
  switch (t.t) {
    case "eof":
      return "end of file";
    case "nl":
      return "newline";
    case "redir":
      return "redirection";
    case "op":
      return `"${t.op}"`;
    case "word":
      return t.bare !== undefined && KEYWORDS.has(t.bare) && t.bare !== "[[" && t.bare !== "function" ? `"${t.bare}"` : "word";
  }
}
