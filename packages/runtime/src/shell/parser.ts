// The parser of the POSIX shell as busybox ash reads it: one complete command (up to a newline) at a time, so that what comes before
// a syntax error runs. Messages are ash's. Invariant: `next` either advances past one command or throws ShellSyntaxError.
import { PodwireError } from "@podwire/base";
import type { Assignment, Node, Redirect, SimpleNode, Word, WordPart } from "./ast.ts";

export class ShellSyntaxError extends PodwireError {
  readonly line: number;
  constructor(text: string, line: number) {
    super(`syntax error: ${text}`);
    this.line = line;
  }
}

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

export class Parser {
  #src: string;
  #at = 0;
  line: number;
  #peeked: Token | undefined;
  #peekedAs = 0;
  #pendingDocs: { redirect: Redirect; delimiter: string; quoted: boolean; strip: boolean }[] = [];
  readonly #aliases: ReadonlyMap<string, string> | undefined;
  #aliasEnd = -1;
  #aliasUsed = new Set<string>();
  #depth = 0;
  /** Between "[[" and "]]", where && and || are words. */
  #inDouble = false;
  /** True when the end came inside of something: an interactive shell asks for more. */
  incomplete = false;

  constructor(src: string, o: ParserOptions = {}) {
    this.#src = src;
    this.line = o.firstLine ?? 1;
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
    return this.#at;
  }

  // --- grammar

  #fail(text: string): never {
    throw new ShellSyntaxError(text, this.line);
  }

  #unexpected(t: Token, expecting?: string): never {
    if (t.t === "eof") this.incomplete = true;
    this.#fail(`unexpected ${tokenName(t)}${expecting === undefined ? "" : ` (expecting "${expecting}")`}`);
  }

  /** A list; `toNewline`: ends at a newline (a complete command), else newlines separate. */
  #list(toNewline: boolean): Node {
    if (++this.#depth > MAX_DEPTH) this.#fail("maximum nesting of commands exceeded");
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
    let negate = false;
    while (this.#isKeyword(this.#peek(COMMAND), "!")) {
      this.#take();
      negate = !negate;
    }
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
    if (n.t !== "word" || n.bare === undefined || !NAME.test(n.bare)) this.#fail("bad for loop variable");
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
        if (name === undefined || !NAME.test(name)) this.#fail("bad function name");
        this.#skipNewlines();
        const body = this.#peek(COMMAND);
        if (body.t === "eof") this.#unexpected(body);
        return { t: "function", name, body: this.#command() };
      }
      break;
    }
    this.#inDouble = false;
    if (n.words.length === 0 && n.assigns.length === 0 && n.redirects.length === 0) this.#unexpected(this.#peek(COMMAND));
    return n;
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
    if (this.#at > this.#aliasEnd) {
      this.#aliasUsed.clear();
      this.#aliasEnd = -1;
    }
    const value = this.#aliases?.get(name);
    if (value === undefined || this.#aliasUsed.has(name)) return t;
    this.#aliasUsed.add(name);
    const rest = this.#src.slice(this.#at);
    this.#src = `${this.#src.slice(0, t.start)}${value} ${rest}`;
    this.#aliasEnd = t.start + value.length;
    this.#at = t.start;
    this.#peeked = undefined;
    return this.#peek(COMMAND);
  }

  #token(): Token {
    for (;;) {
      const c = this.#src[this.#at];
      if (c === undefined) return { t: "eof" };
      if (c === " " || c === "\t") this.#at++;
      else if (c === "\\" && this.#src[this.#at + 1] === "\n") {
        this.#at += 2;
        this.line++;
      } else if (c === "#") while (this.#at < this.#src.length && this.#src[this.#at] !== "\n") this.#at++;
      else break;
    }
    const c = this.#src[this.#at] as string;
    if (c === "\n") {
      this.#at++;
      this.line++;
      return { t: "nl" };
    }
    const two = this.#src.slice(this.#at, this.#at + 2);
    if (this.#inDouble && (two === "&&" || two === "||")) {
      const start = this.#at;
      this.#at += 2;
      return { t: "word", word: [{ t: "lit", text: two, quoted: true }], bare: undefined, start };
    }
    if (two === "&&" || two === "||" || two === ";;") {
      this.#at += 2;
      return { t: "op", op: two };
    }
    if (c === "&" || c === "|" || c === ";" || c === "(" || c === ")") {
      this.#at++;
      return { t: "op", op: c };
    }
    const m = /[0-9]*[<>]/y;
    m.lastIndex = this.#at;
    const redirect = m.exec(this.#src);
    if (redirect) {
      const digits = redirect[0].slice(0, -1);
      this.#at += redirect[0].length;
      const dir = redirect[0].at(-1) as "<" | ">";
      const after = this.#src.slice(this.#at, this.#at + 2);
      let kind: Redirect["kind"] | "<<-" = dir;
      if (dir === "<") {
        if (after.startsWith("<")) kind = after === "<-" ? "<<-" : "<<";
        else if (after.startsWith("&")) kind = "<&";
        else if (after.startsWith(">")) kind = "<>";
      } else if (after.startsWith(">")) kind = ">>";
      else if (after.startsWith("&")) kind = ">&";
      else if (after.startsWith("|")) kind = ">|";
      this.#at += kind.length - 1;
      return { t: "redir", fd: digits === "" ? (dir === "<" ? 0 : 1) : Number(digits), kind };
    }
    const start = this.#at;
    const word = this.#word(false);
    const only = word.length === 1 ? word[0] : undefined;
    return { t: "word", word, bare: only?.t === "lit" && !only.quoted ? only.text : undefined, start };
  }

  /** A word up to an unquoted separator; `inBraces`: up to the "}" of ${...}. */
  #word(inBraces: boolean, quotedOutside = false): Word {
    const parts: Word = [];
    let text = "";
    const flush = (quoted: boolean) => {
      if (text !== "") parts.push({ t: "lit", text, quoted });
      text = "";
    };
    for (;;) {
      const c = this.#src[this.#at];
      if (c === undefined) {
        if (inBraces) {
          this.incomplete = true;
          this.#fail('unexpected end of file (expecting "}")');
        }
        break;
      }
      if (inBraces ? c === "}" : " \t\n&|;()<>".includes(c)) break;
      if (c === "\\") {
        const next = this.#src[this.#at + 1];
        if (next === "\n") {
          this.#at += 2;
          this.line++;
          continue;
        }
        if (quotedOutside) {
          // Inside of "${v-...}" a backslash escapes what it does in double quotes, and "}".
          if (next !== undefined && '$`"\\}'.includes(next)) {
            flush(true);
            parts.push({ t: "lit", text: next, quoted: true });
            this.#at += 2;
          } else {
            text += "\\";
            this.#at++;
          }
          continue;
        }
        flush(false);
        parts.push({ t: "lit", text: next ?? "\\", quoted: true });
        this.#at += next === undefined ? 1 : 2;
        continue;
      }
      if (c === "'" && !quotedOutside) {
        flush(false);
        const end = this.#src.indexOf("'", this.#at + 1);
        if (end < 0) {
          this.incomplete = true;
          this.#fail("unterminated quoted string");
        }
        const inner = this.#src.slice(this.#at + 1, end);
        this.line += inner.split("\n").length - 1;
        parts.push({ t: "lit", text: inner, quoted: true });
        this.#at = end + 1;
        continue;
      }
      if (c === '"') {
        flush(quotedOutside);
        this.#at++;
        if (quotedOutside) this.#doubleQuotes(parts, false);
        else this.#doubleQuotes(parts, true);
        continue;
      }
      if (c === "$" && !quotedOutside && this.#src[this.#at + 1] === "'") {
        flush(false);
        this.#at += 2;
        parts.push({ t: "lit", text: this.#ansiC(), quoted: true });
        continue;
      }
      if (c === "$" || c === "`") {
        const part = this.#dollar(quotedOutside);
        if (part === undefined) {
          text += c;
          this.#at++;
        } else {
          flush(quotedOutside);
          parts.push(part);
        }
        continue;
      }
      if (c === "\n") this.line++;
      text += c;
      this.#at++;
    }
    flush(quotedOutside);
    return parts;
  }

  /** After the opening quote. An empty pair leaves an empty quoted part, so that the word exists. */
  #doubleQuotes(parts: Word, quoted: boolean): void {
    let text = "";
    const before = parts.length;
    const flush = () => {
      if (text !== "") parts.push({ t: "lit", text, quoted: true });
      text = "";
    };
    for (;;) {
      const c = this.#src[this.#at];
      if (c === undefined) {
        this.incomplete = true;
        this.#fail("unterminated quoted string");
      }
      if (c === '"') {
        this.#at++;
        break;
      }
      if (c === "\\") {
        const next = this.#src[this.#at + 1];
        if (next === "\n") {
          this.line++;
          this.#at += 2;
          continue;
        }
        if (next !== undefined && '$`"\\'.includes(next)) {
          text += next;
          this.#at += 2;
          continue;
        }
        text += "\\";
        this.#at++;
        continue;
      }
      if (c === "$" || c === "`") {
        const part = this.#dollar(true);
        if (part === undefined) {
          text += c;
          this.#at++;
        } else {
          flush();
          parts.push(part);
        }
        continue;
      }
      if (c === "\n") this.line++;
      text += c;
      this.#at++;
    }
    flush();
    if (parts.length === before && quoted) parts.push({ t: "lit", text: "", quoted: true });
  }

  #ansiC(): string {
    let out = "";
    for (;;) {
      const c = this.#src[this.#at++];
      if (c === undefined) {
        this.incomplete = true;
        this.#fail("unterminated quoted string");
      }
      if (c === "'") return out;
      if (c !== "\\") {
        out += c;
        continue;
      }
      const e = this.#src[this.#at++] ?? "";
      const simple: Record<string, string> = {
        a: "\x07",
        b: "\b",
        e: "\x1b",
        f: "\f",
        n: "\n",
        r: "\r",
        t: "\t",
        v: "\v",
        "\\": "\\",
        "'": "'",
        '"': '"',
        "?": "?",
      };
      if (e in simple) out += simple[e];
      else if (e === "x") {
        const m = /^[0-9a-fA-F]{1,2}/.exec(this.#src.slice(this.#at, this.#at + 2));
        this.#at += m ? m[0].length : 0;
        out += m ? String.fromCharCode(Number.parseInt(m[0], 16)) : "\\x";
      } else if (/[0-7]/.test(e)) {
        const m = /^[0-7]{0,2}/.exec(this.#src.slice(this.#at, this.#at + 2)) as RegExpExecArray;
        this.#at += m[0].length;
        out += String.fromCharCode(Number.parseInt(e + m[0], 8) & 255);
      } else out += `\\${e}`;
    }
  }

  /** At "$" or "`": what it begins; undefined when the "$" is itself. */
  #dollar(quoted: boolean): WordPart | undefined {
    if (this.#src[this.#at] === "`") return this.#backquote(quoted);
    const next = this.#src[this.#at + 1];
    if (next === undefined) return undefined;
    if (next === "(") {
      if (this.#src[this.#at + 2] === "(") {
        const arith = this.#arith(quoted);
        if (arith) return arith;
      }
      this.#at += 2;
      return { t: "cmd", body: this.#commandSubstitution(), quoted };
    }
    if (next === "{") return this.#braces(quoted);
    const m = /[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]/y;
    m.lastIndex = this.#at + 1;
    const name = m.exec(this.#src);
    if (!name) return undefined;
    this.#at += 1 + name[0].length;
    return { t: "param", name: name[0], op: "", word: undefined, quoted };
  }

  #commandSubstitution(): Node | undefined {
    const inner = new Parser(this.#src.slice(this.#at), { firstLine: this.line, ...(this.#aliases ? { aliases: this.#aliases } : {}) });
    try {
      const list = inner.#list(false);
      const end = inner.#take();
      if (!(end.t === "op" && end.op === ")")) inner.#unexpected(end, ")");
      this.#at += inner.#at;
      this.line = inner.line;
      return list.t === "seq" && list.list.length === 0 ? undefined : list;
    } catch (e) {
      this.incomplete = inner.incomplete;
      throw e;
    }
  }

  #backquote(quoted: boolean): WordPart {
    let text = "";
    let i = this.#at + 1;
    for (; ; i++) {
      const c = this.#src[i];
      if (c === undefined) {
        this.incomplete = true;
        this.#fail("EOF in backquote substitution");
      }
      if (c === "`") break;
      if (c === "\\") {
        const e = this.#src[i + 1];
        if (e === "`" || e === "\\" || e === "$" || (e === '"' && quoted)) {
          text += e;
          i++;
          continue;
        }
      }
      text += c;
    }
    const list: Node[] = [];
    const inner = new Parser(text, { firstLine: this.line });
    for (let n = inner.next(); n !== undefined; n = inner.next()) if (n) list.push(n);
    this.line += text.split("\n").length - 1;
    this.#at = i + 1;
    return { t: "cmd", body: list.length === 0 ? undefined : list.length === 1 ? list[0] : { t: "seq", list }, quoted };
  }

  /** $((...)); undefined when it turns out to be $( (...) ). */
  #arith(quoted: boolean): WordPart | undefined {
    const start = this.#at;
    const line = this.line;
    this.#at += 3;
    const parts: Word = [];
    let text = "";
    let depth = 0;
    for (;;) {
      const c = this.#src[this.#at];
      if (c === undefined) {
        this.incomplete = true;
        this.#fail("missing '))'");
      }
      if (c === "(") depth++;
      if (c === ")") {
        if (depth === 0) {
          if (this.#src[this.#at + 1] === ")") {
            this.#at += 2;
            break;
          }
          if (/^\s*\)/.test(this.#src.slice(this.#at + 1)) && !/[;|&\n]/.test(this.#src.slice(start, this.#at))) this.#fail("missing '))'");
          this.#at = start;
          this.line = line;
          return undefined;
        }
        depth--;
      }
      if (c === "$" || c === "`") {
        const part = this.#dollar(true);
        if (part) {
          if (text !== "") parts.push({ t: "lit", text, quoted: true });
          text = "";
          parts.push(part);
          continue;
        }
      }
      if (c === "\\" && this.#src[this.#at + 1] === "\n") {
        this.#at += 2;
        this.line++;
        continue;
      }
      if (c === '"') {
        this.#at++;
        continue;
      }
      if (c === "\n") this.line++;
      text += c;
      this.#at++;
    }
    if (text !== "") parts.push({ t: "lit", text, quoted: true });
    return { t: "arith", expr: parts, quoted };
  }

  #braces(quoted: boolean): WordPart {
    this.#at += 2;
    const bad = (): WordPart => {
      // Skipped to the closing brace; the error comes when the word is expanded.
      let depth = 1;
      while (this.#at < this.#src.length && depth > 0) {
        const c = this.#src[this.#at++];
        if (c === "{") depth++;
        if (c === "}") depth--;
      }
      return { t: "bad" };
    };
    const m = /#?(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-])/y;
    m.lastIndex = this.#at;
    if (this.#src[this.#at] === "#" && this.#src[this.#at + 1] === "}") {
      this.#at += 2;
      return { t: "param", name: "#", op: "", word: undefined, quoted };
    }
    const found = m.exec(this.#src);
    if (!found) return bad();
    let name = found[0];
    if (name.startsWith("#") && name.length > 1) {
      if (this.#src[this.#at + name.length] === "}") {
        this.#at += name.length + 1;
        return { t: "param", name: name.slice(1), op: "#len", word: undefined, quoted };
      }
      // "${#-x}", "${#?}": the parameter "#" with an operator.
      if (/^#[?\-#]/.test(name)) name = "#";
      else return bad();
    }
    this.#at += name.length;
    const rest = this.#src.slice(this.#at, this.#at + 2);
    if (rest.startsWith("}")) {
      this.#at++;
      return { t: "param", name, op: "", word: undefined, quoted };
    }
    let op: string | undefined;
    if (/^:[-=?+]/.test(rest)) op = rest;
    else if (/^[-=?+]/.test(rest)) op = rest[0] as string;
    else if (rest === "##" || rest === "%%" || rest === "//") op = rest;
    else if (/^[#%/:]/.test(rest)) op = rest[0] as string;
    if (op === undefined) return bad();
    this.#at += op.length;
    const trims = op.startsWith("#") || op.startsWith("%") || op.startsWith("/");
    const word = this.#word(true, quoted && !trims);
    this.#at++;
    return { t: "param", name, op, word, quoted };
  }

  // --- here-documents

  #readDocs(): void {
    for (const d of this.#pendingDocs.splice(0)) {
      let body = "";
      for (;;) {
        if (this.#at >= this.#src.length) {
          this.incomplete = true;
          break;
        }
        let end = this.#src.indexOf("\n", this.#at);
        if (end < 0) end = this.#src.length;
        let line = this.#src.slice(this.#at, end);
        this.#at = Math.min(end + 1, this.#src.length);
        this.line++;
        if (d.strip) line = line.replace(/^\t+/, "");
        if (line === d.delimiter) break;
        body += this.#src.charCodeAt(end) === 10 ? `${line}\n` : line;
      }
      d.redirect.heredoc = d.quoted ? [{ t: "lit", text: body, quoted: true }] : parseHereDoc(body, this.line);
    }
  }

  /** The text as if in double quotes, but that quotes mean nothing. */
  hereDoc(): Word {
    const parts: Word = [];
    let text = "";
    while (this.#at < this.#src.length) {
      const c = this.#src[this.#at] as string;
      if (c === "\\") {
        const next = this.#src[this.#at + 1];
        if (next === "\n") {
          this.#at += 2;
          continue;
        }
        if (next !== undefined && "$`\\".includes(next)) {
          text += next;
          this.#at += 2;
          continue;
        }
      }
      if (c === "$" || c === "`") {
        const part = this.#dollar(true);
        if (part) {
          if (text !== "") parts.push({ t: "lit", text, quoted: true });
          text = "";
          parts.push(part);
          continue;
        }
      }
      text += c;
      this.#at++;
    }
    if (text !== "") parts.push({ t: "lit", text, quoted: true });
    return parts;
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
