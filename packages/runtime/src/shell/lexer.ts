// Words as the shell reads them: quotes, parameters, command substitution, arithmetic, here-documents. The grammar on top is parser.ts.
// Invariant: each method begins at `at` and leaves `at` behind what it read, or throws ShellSyntaxError.
import { PodwireError } from "@podwire/base";
import type { Node, Word, WordPart } from "./ast.ts";

export class ShellSyntaxError extends PodwireError {
  readonly line: number;
  constructor(text: string, line: number) {
    super(`syntax error: ${text}`);
    this.line = line;
  }
}

export abstract class WordLexer {
  protected src: string;
  protected at = 0;
  line: number;
  /** True when the end came inside of something: an interactive shell asks for more. */
  incomplete = false;

  constructor(src: string, firstLine: number) {
    this.src = src;
    this.line = firstLine;
  }

  /** The list inside of $( ), whose ")" is taken too. */
  protected abstract commandSubstitution(): Node | undefined;
  /** The commands of a text of its own (backquotes). */
  protected abstract nested(text: string): Node | undefined;

  protected fail(text: string): never {
    throw new ShellSyntaxError(text, this.line);
  }

  /** A word up to an unquoted separator; `inBraces`: up to the "}" of ${...}. */
  protected word(inBraces: boolean, quotedOutside = false): Word {
    const parts: Word = [];
    let text = "";
    const flush = (quoted: boolean) => {
      if (text !== "") parts.push({ t: "lit", text, quoted });
      text = "";
    };
    for (;;) {
      const c = this.src[this.at];
      if (c === undefined) {
        if (inBraces) {
          this.incomplete = true;
          this.fail('unexpected end of file (expecting "}")');
        }
        break;
      }
      if (inBraces ? c === "}" : " \t\n&|;()<>".includes(c)) break;
      if (c === "\\") {
        const next = this.src[this.at + 1];
        if (next === "\n") {
          this.at += 2;
          this.line++;
          continue;
        }
        if (quotedOutside) {
          // Inside of "${v-...}" a backslash escapes what it does in double quotes, and "}".
          if (next !== undefined && '$`"\\}'.includes(next)) {
            flush(true);
            parts.push({ t: "lit", text: next, quoted: true });
            this.at += 2;
          } else {
            text += "\\";
            this.at++;
          }
          continue;
        }
        flush(false);
        parts.push({ t: "lit", text: next ?? "\\", quoted: true });
        this.at += next === undefined ? 1 : 2;
        continue;
      }
      if (c === "'" && !quotedOutside) {
        flush(false);
        const end = this.src.indexOf("'", this.at + 1);
        if (end < 0) {
          this.incomplete = true;
          this.fail("unterminated quoted string");
        }
        const inner = this.src.slice(this.at + 1, end);
        this.line += inner.split("\n").length - 1;
        parts.push({ t: "lit", text: inner, quoted: true });
        this.at = end + 1;
        continue;
      }
      if (c === '"') {
        flush(quotedOutside);
        this.at++;
        if (quotedOutside) this.doubleQuotes(parts, false);
        else this.doubleQuotes(parts, true);
        continue;
      }
      if (c === "$" && !quotedOutside && this.src[this.at + 1] === "'") {
        flush(false);
        this.at += 2;
        parts.push({ t: "lit", text: this.ansiC(), quoted: true });
        continue;
      }
      if (this.expansion(parts, quotedOutside, () => flush(quotedOutside))) continue;
      if (c === "\n") this.line++;
      text += c;
      this.at++;
    }
    flush(quotedOutside);
    return parts.slice();
  }

  /** After the opening quote. An empty pair leaves an empty quoted part, so that the word exists. */
  protected doubleQuotes(parts: Word, quoted: boolean): void {
    let text = "";
    const before = parts.length;
    const flush = () => {
      if (text !== "") parts.push({ t: "lit", text, quoted: true });
      text = "";
    };
    for (;;) {
      const c = this.src[this.at];
      if (c === undefined) {
        this.incomplete = true;
        this.fail("unterminated quoted string");
      }
      if (c === '"') {
        this.at++;
        break;
      }
      if (c === "\\") {
        const next = this.src[this.at + 1];
        if (next === "\n") {
          this.line++;
          this.at += 2;
          continue;
        }
        if (next !== undefined && '$`"\\'.includes(next)) {
          text += next;
          this.at += 2;
          continue;
        }
        text += "\\";
        this.at++;
        continue;
      }
      if (this.expansion(parts, true, flush)) continue;
      if (c === "\n") this.line++;
      text += c;
      this.at++;
    }
    flush();
    if (parts.length === before && quoted) parts.push({ t: "lit", text: "", quoted: true });
  }

  protected ansiC(): string {
    let out = "";
    for (;;) {
      const c = this.src[this.at++];
      if (c === undefined) {
        this.incomplete = true;
        this.fail("unterminated quoted string");
      }
      if (c === "'") return out;
      if (c !== "\\") {
        out += c;
        continue;
      }
      const e = this.src[this.at++] ?? "";
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
        const m = /^[0-9a-fA-F]{1,2}/.exec(this.src.slice(this.at, this.at + 2));
        this.at += m ? m[0].length : 0;
        out += m ? String.fromCharCode(Number.parseInt(m[0], 16)) : "\\x";
      } else if (/[0-7]/.test(e)) {
        const m = /^[0-7]{0,2}/.exec(this.src.slice(this.at, this.at + 2)) as RegExpExecArray;
        this.at += m[0].length;
        out += String.fromCharCode(Number.parseInt(e + m[0], 8) & 255);
      } else out += `\\${e}`;
    }
  }

  /** Where an expansion begins here: flushes what stands before it and adds it. False when nothing begins. */
  protected expansion(parts: Word, quoted: boolean, flush: () => void): boolean {
    const c = this.src[this.at];
    if (c !== "$" && c !== "`") return false;
    const part = this.dollar(quoted);
    if (part === undefined) return false;
    flush();
    parts.push(part);
    return true;
  }

  /** At "$" or "`": what it begins; undefined when the "$" is itself. */
  protected dollar(quoted: boolean): WordPart | undefined {
    if (this.src[this.at] === "`") return this.backquote(quoted);
    const next = this.src[this.at + 1];
    if (next === undefined) return undefined;
    if (next === "(") {
      if (this.src[this.at + 2] === "(") {
        const arith = this.arith(quoted);
        if (arith) return arith;
      }
      this.at += 2;
      return { t: "cmd", body: this.commandSubstitution(), quoted };
    }
    if (next === "{") return this.braces(quoted);
    const m = /[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]/y;
    m.lastIndex = this.at + 1;
    const name = m.exec(this.src);
    if (!name) return undefined;
    this.at += 1 + name[0].length;
    return { t: "param", name: name[0], op: "", word: undefined, quoted };
  }

  protected backquote(quoted: boolean): WordPart {
    let text = "";
    let i = this.at + 1;
    for (; ; i++) {
      const c = this.src[i];
      if (c === undefined) {
        this.incomplete = true;
        this.fail("EOF in backquote substitution");
      }
      if (c === "`") break;
      if (c === "\\") {
        const e = this.src[i + 1];
        if (e === "`" || e === "\\" || e === "$" || (e === '"' && quoted)) {
          text += e;
          i++;
          continue;
        }
      }
      text += c;
    }
    const body = this.nested(text);
    this.line += text.split("\n").length - 1;
    this.at = i + 1;
    return { t: "cmd", body, quoted };
  }

  /** $((...)); undefined when it turns out to be $( (...) ). */
  protected arith(quoted: boolean): WordPart | undefined {
    const start = this.at;
    const line = this.line;
    this.at += 3;
    const parts: Word = [];
    let text = "";
    const flush = () => {
      if (text !== "") parts.push({ t: "lit", text, quoted: true });
      text = "";
    };
    let depth = 0;
    for (;;) {
      const c = this.src[this.at];
      if (c === undefined) {
        this.incomplete = true;
        this.fail("missing '))'");
      }
      if (c === "(") depth++;
      if (c === ")") {
        if (depth === 0) {
          if (this.src[this.at + 1] === ")") {
            this.at += 2;
            break;
          }
          if (/^\s*\)/.test(this.src.slice(this.at + 1)) && !/[;|&\n]/.test(this.src.slice(start, this.at))) this.fail("missing '))'");
          this.at = start;
          this.line = line;
          return undefined;
        }
        depth--;
      }
      if (this.expansion(parts, true, flush)) continue;
      if (c === "\\" && this.src[this.at + 1] === "\n") {
        this.at += 2;
        this.line++;
        continue;
      }
      if (c === '"') {
        this.at++;
        continue;
      }
      if (c === "\n") this.line++;
      text += c;
      this.at++;
    }
    flush();
    return { t: "arith", expr: parts, quoted };
  }

  protected braces(quoted: boolean): WordPart {
    this.at += 2;
    const bad = (): WordPart => {
      // Skipped to the closing brace; the error comes when the word is expanded.
      let depth = 1;
      while (this.at < this.src.length && depth > 0) {
        const c = this.src[this.at++];
        if (c === "{") depth++;
        if (c === "}") depth--;
      }
      return { t: "bad" };
    };
    const m = /#?(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-])/y;
    m.lastIndex = this.at;
    if (this.src[this.at] === "#" && this.src[this.at + 1] === "}") {
      this.at += 2;
      return { t: "param", name: "#", op: "", word: undefined, quoted };
    }
    const found = m.exec(this.src);
    if (!found) return bad();
    let name = found[0];
    if (name.startsWith("#") && name.length > 1) {
      if (this.src[this.at + name.length] === "}") {
        this.at += name.length + 1;
        return { t: "param", name: name.slice(1), op: "#len", word: undefined, quoted };
      }
      // "${#-x}", "${#?}": the parameter "#" with an operator.
      if (/^#[?\-#]/.test(name)) name = "#";
      else return bad();
    }
    this.at += name.length;
    const rest = this.src.slice(this.at, this.at + 2);
    if (rest.startsWith("}")) {
      this.at++;
      return { t: "param", name, op: "", word: undefined, quoted };
    }
    let op: string | undefined;
    if (/^:[-=?+]/.test(rest)) op = rest;
    else if (/^[-=?+]/.test(rest)) op = rest[0] as string;
    else if (rest === "##" || rest === "%%" || rest === "//") op = rest;
    else if (/^[#%/:]/.test(rest)) op = rest[0] as string;
    if (op === undefined) return bad();
    this.at += op.length;
    const trims = op.startsWith("#") || op.startsWith("%") || op.startsWith("/");
    const word = this.word(true, quoted && !trims);
    this.at++;
    return { t: "param", name, op, word, quoted };
  }

  /** The text as if in double quotes, but that quotes mean nothing. */
  hereDoc(): Word {
    const parts: Word = [];
    let text = "";
    const flush = () => {
      if (text !== "") parts.push({ t: "lit", text, quoted: true });
      text = "";
    };
    while (this.at < this.src.length) {
      const c = this.src[this.at] as string;
      if (c === "\\") {
        const next = this.src[this.at + 1];
        if (next === "\n") {
          this.at += 2;
          continue;
        }
        if (next !== undefined && "$`\\".includes(next)) {
          text += next;
          this.at += 2;
          continue;
        }
      }
      if (this.expansion(parts, true, flush)) continue;
      text += c;
      this.at++;
    }
    flush();
    return parts;
  }
}
