// awk: runs the tree of awk-parser.ts over records. Strings are byte strings inside, as input and output are bytes.
import { SysError, strerror } from "../kernel/errno.ts";
import type { ExitStatus, Process } from "../kernel/process.ts";
import { formatFloat } from "../shell/printf.ts";
import { AwkError, type AwkProgram, type Expr, parseAwk, type Stmt } from "./awk-parser.ts";
import { strftime } from "./date.ts";
import { complain, die, options, usage } from "./options.ts";
import { launch } from "./process.ts";
import { ere } from "./regex.ts";
import { encode, lines, openInput, raw } from "./streams.ts";

/** A number, a string, or a string that looks like a number (from input). */
type Value = number | string | Strnum;
class Strnum {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}
type Table = Map<string, Value>;
type Reader = AsyncGenerator<{ text: string; ended: boolean }>;

class Next extends Error {}
class Exit extends Error {}
class Break extends Error {}
class Continue extends Error {}
class Return extends Error {
  readonly value: Value;
  constructor(value: Value) {
    super();
    this.value = value;
  }
}

const NUMERIC = /^\s*[-+]?(\d+\.?\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?)\s*$/;
const USAGE = "[OPTIONS] [AWK_PROGRAM] [FILE]...";
/** Calls of functions within functions. */
const MAX_DEPTH = 1000;

export async function awk(p: Process): Promise<number> {
  const o = await options(p, "+F:v:f:e:W:", USAGE);
  let text = (o.all.get("e") ?? []).join("\n");
  for (const f of o.all.get("f") ?? []) text += `${Buffer.from(p.fs.readFile(f)).toString("latin1")}\n`;
  let args = o.args;
  if (text === "") {
    if (args.length === 0) return usage(p, USAGE);
    text = encode(args[0] as string);
    args = args.slice(1);
  }
  let program: AwkProgram;
  try {
    program = parseAwk(text);
  } catch (e) {
    if (e instanceof AwkError) return die(p, `cmd. line:1: ${e.message}`);
    throw e;
  }
  const run = new Awk(p, program, args.map(encode));
  const fs = o.values.get("F");
  if (fs !== undefined) run.vars.set("FS", unescaped(encode(fs === "t" ? "\t" : fs)));
  for (const v of o.all.get("v") ?? []) run.vars.set(v.slice(0, v.indexOf("=")), input(unescaped(encode(v.slice(v.indexOf("=") + 1)))));
  try {
    return await run.main();
  } catch (e) {
    if (e instanceof AwkError) {
      await run.flush();
      return die(p, `cmd. line:1: ${e.message}`);
    }
    throw e;
  }
}

function unescaped(s: string): string {
  return s.replace(/\\(.)/g, (_, c: string) => ({ n: "\n", t: "\t", r: "\r", "\\": "\\" })[c] ?? `\\${c}`);
}
function input(s: string): Value {
  return NUMERIC.test(s) ? new Strnum(s) : s;
}

class Awk {
  readonly p: Process;
  readonly program: AwkProgram;
  readonly vars = new Map<string, Value>();
  readonly arrays = new Map<string, Table>();
  #locals: Map<string, Value | Table>[] = [];
  #record = "";
  #fields: string[] | undefined;
  #exit = 0;
  #out = "";
  readonly #files = new Map<string, number>();
  readonly #readers = new Map<string, { reader: Reader; fd: number }>();
  readonly #commands = new Map<string, { text: string }>();
  #main: Reader | undefined;
  #argIndex = 1;
  #usedFile = false;
  readonly #regexes = new Map<string, RegExp>();
  #seed = 1;
  #status = 0;

  constructor(p: Process, program: AwkProgram, args: string[]) {
    this.p = p;
    this.program = program;
    for (const [k, v] of Object.entries({
      FS: " ",
      OFS: " ",
      ORS: "\n",
      RS: "\n",
      SUBSEP: "\x1c",
      CONVFMT: "%.6g",
      OFMT: "%.6g",
      FILENAME: "",
    }))
      this.vars.set(k, v);
    for (const k of ["NR", "NF", "FNR", "RSTART"]) this.vars.set(k, 0);
    this.vars.set("RLENGTH", -1);
    const argv: Table = new Map([["0", "awk"]]);
    for (const [i, a] of args.entries()) argv.set(String(i + 1), input(a));
    this.arrays.set("ARGV", argv);
    this.vars.set("ARGC", args.length + 1);
    this.arrays.set("ENVIRON", new Map([...p.env].map(([k, v]) => [encode(k), input(encode(v))])));
  }

  async main(): Promise<number> {
    try {
      for (const b of this.program.begin) await this.#exec(b);
      if (this.program.rules.length > 0 || this.program.end.length > 0) {
        for (;;) {
          const line = await this.#nextRecord();
          if (line === undefined) break;
          this.#setRecord(line);
          const pause = this.p.checkpoint();
          if (pause) await pause;
          try {
            for (const r of this.program.rules) {
              if (!(await this.#selected(r))) continue;
              if (r.body) await this.#exec(r.body);
              else this.#print(`${this.#record}${this.#text("ORS")}`);
            }
          } catch (e) {
            if (!(e instanceof Next)) throw e;
          }
        }
      }
    } catch (e) {
      if (!(e instanceof Exit)) throw e;
      if (this.#exit !== 0 || this.program.end.length === 0) {
        await this.#closeAll();
        return this.#exit;
      }
    }
    try {
      for (const b of this.program.end) await this.#exec(b);
    } catch (e) {
      if (!(e instanceof Exit)) throw e;
    }
    await this.#closeAll();
    return this.#exit || this.#status;
  }

  async #selected(r: AwkProgram["rules"][number]): Promise<boolean> {
    if (!r.pattern) return true;
    if (!r.to) return truth(await this.#eval(r.pattern));
    if (!r.active && !truth(await this.#eval(r.pattern))) return false;
    r.active = !truth(await this.#eval(r.to));
    return true;
  }

  #text(name: string): string {
    return this.#str(this.vars.get(name) ?? "");
  }

  async #nextRecord(): Promise<string | undefined> {
    for (;;) {
      if (!this.#main) {
        const argc = num(this.vars.get("ARGC") ?? 0);
        let name: string | undefined;
        while (this.#argIndex < argc) {
          const a = this.#str(this.arrays.get("ARGV")?.get(String(this.#argIndex++)) ?? "");
          const assign = /^([A-Za-z_]\w*)=(.*)$/s.exec(a);
          if (assign) this.vars.set(assign[1] as string, input(unescaped(assign[2] as string)));
          else if (a !== "") {
            name = a;
            break;
          }
        }
        if (name === undefined) {
          if (this.#usedFile) return undefined;
          name = "-";
        }
        this.#usedFile = true;
        try {
          this.#main = this.#records(await openInput(this.p, Buffer.from(name, "latin1").toString("utf8")));
        } catch (e) {
          if (!(e instanceof SysError)) throw e;
          await this.flush();
          await complain(this.p, `${name}: ${strerror(e)}`);
          this.#status = 1;
          continue;
        }
        this.vars.set("FILENAME", name === "-" ? "" : name);
        this.vars.set("FNR", 0);
      }
      const r = await this.#main.next();
      if (r.done) {
        this.#main = undefined;
        continue;
      }
      this.vars.set("NR", num(this.vars.get("NR") ?? 0) + 1);
      this.vars.set("FNR", num(this.vars.get("FNR") ?? 0) + 1);
      return r.value.text;
    }
  }

  async *#records(fd: number): Reader {
    const rs = this.#text("RS");
    if (rs === "\n") {
      yield* lines(this.p, fd);
      return;
    }
    let all = "";
    for await (const l of lines(this.p, fd)) all += l.text + (l.ended ? "\n" : "");
    const parts = rs === "" ? all.replace(/^\n+|\n+$/g, "").split(/\n\n+/) : all.split(rs.length === 1 ? rs : this.#regex(rs));
    if (parts.at(-1) === "" || parts.at(-1) === "\n") parts.pop();
    for (const text of parts) yield { text: rs.length === 1 ? text : text, ended: true };
  }

  #setRecord(text: string): void {
    this.#record = text;
    this.#fields = undefined;
  }

  #split(): string[] {
    if (this.#fields) return this.#fields;
    this.#fields = this.#splitText(this.#record, this.#text("FS"));
    this.vars.set("NF", this.#fields.length);
    return this.#fields;
  }

  #splitText(text: string, fs: string): string[] {
    if (text === "") return [];
    if (fs === " ") {
      const t = text.replace(/^[ \t\n]+|[ \t\n]+$/g, "");
      return t === "" ? [] : t.split(/[ \t\n]+/);
    }
    if (fs === "") return [...text];
    if (fs.length === 1 && fs !== "\\") return text.split(fs);
    return text.split(this.#regex(fs));
  }

  #field(n: number): Value {
    if (n === 0) return input(this.#record);
    return input(this.#split()[n - 1] ?? "");
  }

  #setField(n: number, value: string): void {
    if (n < 0) throw new AwkError("Access to negative field");
    if (n === 0) {
      this.#setRecord(value);
      return;
    }
    const f = this.#split();
    while (f.length < n) f.push("");
    f[n - 1] = value;
    this.vars.set("NF", f.length);
    this.#record = f.join(this.#text("OFS"));
  }

  #print(text: string): void {
    this.#out += text;
  }

  async flush(): Promise<void> {
    const t = this.#out;
    this.#out = "";
    if (t !== "") await this.p.write(1, raw(t));
  }

  async #closeAll(): Promise<void> {
    await this.flush();
    for (const [command, c] of this.#commands) await this.#pipeTo(command, c.text);
    this.#commands.clear();
  }

  async #pipeTo(command: string, text: string): Promise<number> {
    const [read, write] = this.p.pipe();
    write.ref();
    const fds = this.p.fds.clone(false);
    fds.set(0, read);
    const found = this.p.container.resolveProgram(this.p, "sh");
    const child = this.p.spawn({ program: found.program, argv: ["sh", "-c", Buffer.from(command, "latin1").toString("utf8")], fds });
    const bytes = raw(text);
    for (let at = 0; at < bytes.length; ) {
      const n = write.writeNow(bytes.subarray(at));
      at += n;
      if (n === 0) await this.p.block((wake) => write.onWritable(wake));
    }
    write.unref();
    const s = ((await this.p.waitpid(child.pid)) as { status: ExitStatus }).status;
    return s.signal !== 0 ? 256 + s.signal : s.code;
  }

  async #exec(s: Stmt): Promise<void> {
    switch (s.t) {
      case "block":
        for (const x of s.list) await this.#exec(x);
        return;
      case "expr":
        await this.#eval(s.e);
        return;
      case "print":
        return this.#execPrint(s);
      case "if":
        if (truth(await this.#eval(s.c))) await this.#exec(s.a);
        else if (s.b) await this.#exec(s.b);
        return;
      case "while":
        for (let first = s.first; first || truth(await this.#eval(s.c)); first = false) if (!(await this.#body(s.body))) return;
        return;
      case "for":
        if (s.init) await this.#exec(s.init);
        while (s.c === undefined || truth(await this.#eval(s.c))) {
          if (!(await this.#body(s.body))) return;
          if (s.step) await this.#exec(s.step);
        }
        return;
      case "forin":
        for (const k of [...this.#array(s.array).keys()]) {
          this.#setVar(s.name, input(k));
          if (!(await this.#body(s.body))) return;
        }
        return;
      case "delete": {
        const a = this.#array(s.name);
        if (s.subs === undefined) a.clear();
        else a.delete(await this.#subscript(s.subs));
        return;
      }
      case "next":
        throw new Next();
      case "nextfile":
        this.#main = undefined;
        throw new Next();
      case "break":
        throw new Break();
      case "continue":
        throw new Continue();
      case "exit":
        if (s.e) this.#exit = num(await this.#eval(s.e)) & 255;
        throw new Exit();
      case "return":
        throw new Return(s.e ? await this.#eval(s.e) : "");
      case "nothing":
        return;
    }
  }

  /** False when the loop is to end. */
  async #body(s: Stmt): Promise<boolean> {
    const pause = this.p.checkpoint();
    if (pause) await pause;
    try {
      await this.#exec(s);
    } catch (e) {
      if (e instanceof Break) return false;
      if (!(e instanceof Continue)) throw e;
    }
    return true;
  }

  async #execPrint(s: Extract<Stmt, { t: "print" }>): Promise<void> {
    const values: Value[] = [];
    for (const a of s.args) values.push(await this.#eval(a));
    let text: string;
    if (s.printf) text = this.#format(this.#str(values[0] ?? ""), values.slice(1));
    else
      text =
        (values.length === 0
          ? this.#record
          : values
              .map((v) => (typeof v === "number" && !Number.isInteger(v) ? this.#format(this.#text("OFMT"), [v]) : this.#str(v)))
              .join(this.#text("OFS"))) + this.#text("ORS");
    if (s.redirect === "") {
      this.#print(text);
      if (this.#out.length > 65_536) await this.flush();
      return;
    }
    const target = this.#str(await this.#eval(s.target as Expr));
    if (s.redirect === "|") {
      const c = this.#commands.get(target) ?? { text: "" };
      c.text += text;
      this.#commands.set(target, c);
      return;
    }
    if (target === "/dev/stdout") return this.#print(text);
    if (target === "/dev/stderr") {
      await this.flush();
      await this.p.write(2, raw(text));
      return;
    }
    let fd = this.#files.get(target);
    if (fd === undefined) {
      const path = Buffer.from(target, "latin1").toString("utf8");
      try {
        fd = await this.p.open(path, { write: true, create: true, truncate: s.redirect === ">", append: s.redirect === ">>" });
      } catch (e) {
        return die(this.p, `can't open '${path}': ${strerror(e)}`) as never;
      }
      this.#files.set(target, fd);
    }
    await this.p.write(fd, raw(text));
  }

  #array(name: string): Table {
    for (const frame of this.#locals.slice(-1)) {
      const v = frame.get(name);
      if (v instanceof Map) return v;
      if (frame.has(name)) {
        const made: Table = new Map();
        frame.set(name, made);
        return made;
      }
    }
    let a = this.arrays.get(name);
    if (!a) {
      a = new Map();
      this.arrays.set(name, a);
    }
    return a;
  }

  #getVar(name: string): Value {
    const frame = this.#locals.at(-1);
    if (frame?.has(name)) {
      const v = frame.get(name);
      return v instanceof Map ? "" : (v ?? "");
    }
    if (name === "NF") this.#split();
    return this.vars.get(name) ?? "";
  }

  #setVar(name: string, v: Value): void {
    const frame = this.#locals.at(-1);
    if (frame?.has(name)) {
      frame.set(name, v);
      return;
    }
    if (name === "NF") {
      const f = this.#split();
      const n = num(v);
      while (f.length < n) f.push("");
      f.length = n;
      this.#record = f.join(this.#text("OFS"));
    }
    this.vars.set(name, v);
  }

  async #subscript(subs: Expr[]): Promise<string> {
    const parts: string[] = [];
    for (const s of subs) parts.push(this.#str(await this.#eval(s)));
    return parts.join(this.#text("SUBSEP"));
  }

  #str(v: Value): string {
    if (typeof v === "string") return v;
    if (v instanceof Strnum) return v.text;
    if (Number.isInteger(v)) return Math.abs(v) < 1e16 ? String(v) : BigInt(v).toString();
    return this.#format(this.#text("CONVFMT"), [v]);
  }

  #regex(source: string): RegExp {
    let re = this.#regexes.get(source);
    if (!re) {
      re = new RegExp(ere(source), "g");
      this.#regexes.set(source, re);
    }
    re.lastIndex = 0;
    return re;
  }

  async #pattern(e: Expr): Promise<RegExp> {
    return this.#regex(e.t === "re" ? e.v : this.#str(await this.#eval(e)));
  }

  async #assign(to: Expr, v: Value): Promise<Value> {
    if (to.t === "var") this.#setVar(to.name, v);
    else if (to.t === "index") this.#array(to.name).set(await this.#subscript(to.subs), v);
    else if (to.t === "field") this.#setField(num(await this.#eval(to.e)), this.#str(v));
    else throw new AwkError("Unexpected token");
    return v;
  }

  async #eval(e: Expr): Promise<Value> {
    switch (e.t) {
      case "num":
      case "str":
        return e.v;
      case "re":
        return this.#regex(e.v).test(this.#record) ? 1 : 0;
      case "var":
        return this.#getVar(e.name);
      case "index": {
        const a = this.#array(e.name);
        const k = await this.#subscript(e.subs);
        if (!a.has(k)) a.set(k, "");
        return a.get(k) as Value;
      }
      case "field":
        return this.#field(num(await this.#eval(e.e)));
      case "group":
        if (e.list.length === 1) return this.#eval(e.list[0] as Expr);
        return this.#subscript(e.list);
      case "assign": {
        const right = await this.#eval(e.e);
        if (e.op === "=") return this.#assign(e.to, right);
        return this.#assign(e.to, arithmetic(e.op[0] as string, num(await this.#eval(e.to)), num(right)));
      }
      case "inc": {
        const old = num(await this.#eval(e.to));
        await this.#assign(e.to, old + e.by);
        return e.post ? old : old + e.by;
      }
      case "cond":
        return this.#eval(truth(await this.#eval(e.c)) ? e.a : e.b);
      case "un": {
        const v = await this.#eval(e.a);
        return e.op === "!" ? (truth(v) ? 0 : 1) : e.op === "-" ? -num(v) : num(v);
      }
      case "in":
        return this.#array(e.name).has(await this.#subscript(e.subs)) ? 1 : 0;
      case "bin":
        return this.#binary(e);
      case "call":
        return this.#call(e.name, e.args);
      case "builtin":
        return this.#builtin(e.name, e.args);
      case "getline":
        return this.#getline(e);
    }
  }

  async #binary(e: Extract<Expr, { t: "bin" }>): Promise<Value> {
    if (e.op === "&&") return truth(await this.#eval(e.a)) && truth(await this.#eval(e.b)) ? 1 : 0;
    if (e.op === "||") return truth(await this.#eval(e.a)) || truth(await this.#eval(e.b)) ? 1 : 0;
    if (e.op === "~" || e.op === "!~") {
      const text = this.#str(await this.#eval(e.a));
      return (await this.#pattern(e.b)).test(text) === (e.op === "~") ? 1 : 0;
    }
    const a = await this.#eval(e.a);
    const b = await this.#eval(e.b);
    if (e.op === " ") return this.#str(a) + this.#str(b);
    if ("+-*/%^".includes(e.op)) return arithmetic(e.op, num(a), num(b));
    const numeric = (v: Value) => typeof v === "number" || v instanceof Strnum || v === "";
    let c: number;
    if (numeric(a) && numeric(b) && !(typeof a === "string" && typeof b === "string")) c = num(a) - num(b);
    else {
      const x = this.#str(a);
      const y = this.#str(b);
      c = x < y ? -1 : x > y ? 1 : 0;
    }
    switch (e.op) {
      case "<":
        return c < 0 ? 1 : 0;
      case "<=":
        return c <= 0 ? 1 : 0;
      case "==":
        return c === 0 ? 1 : 0;
      case "!=":
        return c !== 0 ? 1 : 0;
      case ">":
        return c > 0 ? 1 : 0;
      default:
        return c >= 0 ? 1 : 0;
    }
  }

  async #call(name: string, args: Expr[]): Promise<Value> {
    const f = this.program.functions.get(name);
    if (!f) throw new AwkError(`Call to undefined function`);
    if (this.#locals.length >= MAX_DEPTH) throw new AwkError("function call nesting too deep");
    const frame = new Map<string, Value | Table>();
    for (let i = 0; i < f.params.length; i++) {
      const a = args[i];
      const isArray = a?.t === "var" && (this.arrays.has(a.name) || this.#locals.at(-1)?.get(a.name) instanceof Map);
      frame.set(f.params[i] as string, a === undefined ? "" : isArray ? this.#array((a as { name: string }).name) : await this.#eval(a));
    }
    this.#locals.push(frame);
    try {
      await this.#exec(f.body);
    } catch (e) {
      if (e instanceof Return) return e.value;
      throw e;
    } finally {
      this.#locals.pop();
    }
    return "";
  }

  async #getline(e: Extract<Expr, { t: "getline" }>): Promise<Value> {
    let line: string | undefined;
    if (e.kind === "") line = await this.#nextRecord();
    else {
      const name = this.#str(await this.#eval(e.from as Expr));
      let r = this.#readers.get(name);
      if (!r) {
        try {
          const fd = e.kind === "<" ? await openInput(this.p, Buffer.from(name, "latin1").toString("utf8")) : await this.#pipeFrom(name);
          r = { reader: this.#records(fd), fd };
        } catch (err) {
          if (err instanceof SysError) return -1;
          throw err;
        }
        this.#readers.set(name, r);
      }
      const n = await r.reader.next();
      line = n.done ? undefined : n.value.text;
      if (line !== undefined && e.kind === "|") this.vars.set("NR", num(this.vars.get("NR") ?? 0) + 1);
    }
    if (line === undefined) return 0;
    if (e.to) await this.#assign(e.to, input(line));
    else this.#setRecord(line);
    return 1;
  }

  async #pipeFrom(command: string): Promise<number> {
    await this.flush();
    const [read, write] = this.p.pipe();
    const fds = this.p.fds.clone(false);
    fds.set(1, write);
    const found = this.p.container.resolveProgram(this.p, "sh");
    this.p.spawn({ program: found.program, argv: ["sh", "-c", Buffer.from(command, "latin1").toString("utf8")], fds });
    return this.p.fds.add(read, 3);
  }

  async #builtin(name: string, args: Expr[]): Promise<Value> {
    const arg = async (i: number): Promise<Value> => (args[i] === undefined ? "" : this.#eval(args[i] as Expr));
    const text = async (i: number) => this.#str(await arg(i));
    switch (name) {
      case "length": {
        const a = args[0];
        if (a === undefined) return this.#record.length;
        if (a.t === "var" && (this.arrays.has(a.name) || this.#locals.at(-1)?.get(a.name) instanceof Map)) return this.#array(a.name).size;
        return (await text(0)).length;
      }
      case "substr": {
        const s = await text(0);
        const from = Math.round(num(await arg(1)));
        const to = args[2] === undefined ? s.length + 1 : from + Math.round(num(await arg(2)));
        // busybox counts a start before the string from the string's beginning.
        const start = Math.max(1, from);
        const end = args[2] === undefined ? to : from < 1 ? Math.max(start, Math.round(num(await arg(2))) + start) : to;
        return s.slice(start - 1, Math.max(start - 1, end - 1));
      }
      case "index":
        return (await text(0)).indexOf(await text(1)) + 1;
      case "split": {
        const s = await text(0);
        const table = this.#array((args[1] as { name: string }).name);
        const sep = args[2];
        const parts =
          sep === undefined
            ? this.#splitText(s, this.#text("FS"))
            : sep.t === "re"
              ? s === ""
                ? []
                : s.split(this.#regex(sep.v))
              : this.#splitText(s, await text(2));
        table.clear();
        parts.forEach((x, i) => void table.set(String(i + 1), input(x)));
        return parts.length;
      }
      case "sub":
      case "gsub": {
        const re = await this.#pattern(args[0] as Expr);
        const to = await text(1);
        const target: Expr = args[2] ?? { t: "field", e: { t: "num", v: 0 } };
        const s = this.#str(await this.#eval(target));
        let n = 0;
        const result = s.replace(new RegExp(re.source, name === "gsub" ? "g" : ""), (m: string) => {
          n++;
          return to.replace(/\\\\&|\\&|&/g, (x) => (x === "&" ? m : x === "\\&" ? "&" : `\\${m}`));
        });
        if (n > 0) await this.#assign(target, result);
        return n;
      }
      case "gensub": {
        const re = await this.#pattern(args[0] as Expr);
        const to = await text(1);
        const how = await text(2);
        const s = args[3] === undefined ? this.#record : await text(3);
        let n = 0;
        return s.replace(new RegExp(re.source, "g"), (...m) => {
          n++;
          if (!/^[gG]/.test(how) && n !== Number(how)) return m[0] as string;
          return to.replace(/\\(\d)|&/g, (x, d: string | undefined) => (x === "&" ? (m[0] as string) : String(m[Number(d)] ?? "")));
        });
      }
      case "match": {
        const s = await text(0);
        const re = await this.#pattern(args[1] as Expr);
        const m = new RegExp(re.source).exec(s);
        this.vars.set("RSTART", m ? m.index + 1 : 0);
        this.vars.set("RLENGTH", m ? m[0].length : -1);
        return m ? m.index + 1 : 0;
      }
      case "sprintf": {
        const rest: Value[] = [];
        for (let i = 1; i < args.length; i++) rest.push(await arg(i));
        return this.#format(await text(0), rest);
      }
      case "tolower":
        return (await text(0)).replace(/[A-Z]/g, (c) => c.toLowerCase());
      case "toupper":
        return (await text(0)).replace(/[a-z]/g, (c) => c.toUpperCase());
      case "int":
        return Math.trunc(num(await arg(0)));
      case "sin":
      case "cos":
      case "exp":
      case "log":
      case "sqrt":
        return Math[name](num(await arg(0)));
      case "atan2":
        return Math.atan2(num(await arg(0)), num(await arg(1)));
      case "rand": {
        this.#seed = (Math.imul(this.#seed, 1_103_515_245) + 12_345) >>> 0;
        return (this.#seed >>> 1) / 2 ** 31;
      }
      case "srand": {
        const old = this.#seed;
        this.#seed = args[0] === undefined ? Math.floor(this.p.clock.nowMs() / 1000) : num(await arg(0)) >>> 0;
        return old;
      }
      case "systime":
        return Math.floor(this.p.clock.nowMs() / 1000);
      case "strftime":
        return strftime(
          args[0] === undefined ? "%c" : await text(0),
          args[1] === undefined ? this.p.clock.nowMs() : num(await arg(1)) * 1000,
        );
      case "and":
        return (num(await arg(0)) & num(await arg(1))) >>> 0;
      case "or":
        return (num(await arg(0)) | num(await arg(1))) >>> 0;
      case "xor":
        return (num(await arg(0)) ^ num(await arg(1))) >>> 0;
      case "lshift":
        return (num(await arg(0)) << num(await arg(1))) >>> 0;
      case "rshift":
        return num(await arg(0)) >>> num(await arg(1));
      case "compl":
        return ~num(await arg(0)) >>> 0;
      case "fflush":
        await this.flush();
        return 0;
      case "system": {
        await this.flush();
        const child = await launch(this.p, ["sh", "-c", Buffer.from(await text(0), "latin1").toString("utf8")]);
        if (child instanceof SysError) return 127;
        const s = ((await this.p.waitpid(child.pid)) as { status: ExitStatus }).status;
        return s.signal !== 0 ? 256 + s.signal : s.code;
      }
      case "close": {
        const target = await text(0);
        const fd = this.#files.get(target);
        if (fd !== undefined) {
          this.p.fds.close(fd);
          this.#files.delete(target);
          return 0;
        }
        const c = this.#commands.get(target);
        if (c) {
          this.#commands.delete(target);
          await this.flush();
          return this.#pipeTo(target, c.text);
        }
        const r = this.#readers.get(target);
        if (r) {
          if (r.fd !== 0) this.p.fds.close(r.fd);
          this.#readers.delete(target);
          return 0;
        }
        return -1;
      }
      default:
        throw new AwkError("Unexpected token");
    }
  }

  #format(format: string, args: Value[]): string {
    let i = 0;
    return format.replace(
      /%([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+)?)?([a-zA-Z%])/g,
      (whole, flags: string, widthText: string | undefined, precisionText: string | undefined, kind: string) => {
        if (kind === "%") return "%";
        const width = widthText === "*" ? num(args[i++] ?? 0) : Number(widthText ?? 0);
        const precision = /\./.test(whole) ? (precisionText === "*" ? num(args[i++] ?? 0) : Number(precisionText ?? 0)) : undefined;
        const v = args[i++] ?? "";
        let text: string;
        switch (kind) {
          case "c":
            text = typeof v === "number" ? String.fromCharCode(v & 255) : this.#str(v).slice(0, 1);
            break;
          case "s":
            text = this.#str(v);
            if (precision !== undefined) text = text.slice(0, precision);
            break;
          case "d":
          case "i": {
            const n = Math.trunc(num(v));
            text =
              (n < 0 ? "-" : flags.includes("+") ? "+" : flags.includes(" ") ? " " : "") +
              BigInt(Number.isFinite(n) ? Math.abs(n) : 0)
                .toString()
                .padStart(precision ?? 0, "0");
            break;
          }
          case "o":
          case "x":
          case "X":
          case "u": {
            const n = BigInt.asUintN(64, BigInt(Math.trunc(num(v)) || 0));
            text = n.toString(kind === "o" ? 8 : kind === "u" ? 10 : 16).padStart(precision ?? 0, "0");
            if (kind === "X") text = text.toUpperCase();
            break;
          }
          default:
            text = "eEfFgG".includes(kind) ? formatFloat(num(v), kind, precision, flags) : whole;
        }
        if (text.length >= width) return text;
        if (flags.includes("-")) return text.padEnd(width);
        if (flags.includes("0") && kind !== "s" && kind !== "c") {
          const sign = /^[-+ ]/.exec(text)?.[0] ?? "";
          return sign + text.slice(sign.length).padStart(width - sign.length, "0");
        }
        return text.padStart(width);
      },
    );
  }
}

function num(v: Value): number {
  if (typeof v === "number") return v;
  const n = Number.parseFloat(typeof v === "string" ? v : v.text);
  return Number.isNaN(n) ? 0 : n;
}

function truth(v: Value): boolean {
  if (typeof v === "number") return v !== 0;
  if (v instanceof Strnum) return num(v) !== 0;
  return v !== "";
}

function arithmetic(op: string, a: number, b: number): number {
  switch (op) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      if (b === 0) throw new AwkError("Division by zero");
      return a / b;
    case "%":
      if (b === 0) throw new AwkError("Division by zero");
      return a % b;
    default:
      return a ** b;
  }
}
