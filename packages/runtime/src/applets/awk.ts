// awk: runs the tree of awk-parser.ts over records. Strings are byte strings inside, as input and output are bytes.
import { SysError, strerror } from "../kernel/errno.ts";
import type { ExitStatus, Process } from "../kernel/process.ts";
import { callBuiltin } from "./awk-builtins.ts";
import { AwkError, type AwkProgram, type Expr, type Stmt } from "./awk-parser.ts";
import { Break, Continue, Exit, Next, Return } from "./awk-signals.ts";
import { arithmetic, format, input, num, Strnum, truth, unescaped, type Value } from "./awk-values.ts";
import { complain, die } from "./options.ts";
import { ere } from "./regex.ts";
import { encode, lines, openInput, raw } from "./streams.ts";

type Table = Map<string, Value>;
type Reader = AsyncGenerator<{ text: string; ended: boolean }>;

/** Calls of functions within functions. */
const MAX_DEPTH = 1000;

export class Awk {
  readonly p: Process;
  readonly program: AwkProgram;
  readonly vars = new Map<string, Value>();
  readonly arrays = new Map<string, Table>();
  locals: Map<string, Value | Table>[] = [];
  record = "";
  #fields: string[] | undefined;
  #exit = 0;
  #out = "";
  readonly files = new Map<string, number>();
  readonly readers = new Map<string, { reader: Reader; fd: number }>();
  readonly commands = new Map<string, { text: string }>();
  #main: Reader | undefined;
  #argIndex = 1;
  #usedFile = false;
  readonly #regexes = new Map<string, RegExp>();
  seed = 1;
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
              else this.#print(`${this.record}${this.setting("ORS")}`);
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
    if (!r.to) return truth(await this.eval(r.pattern));
    if (!r.active && !truth(await this.eval(r.pattern))) return false;
    r.active = !truth(await this.eval(r.to));
    return true;
  }

  setting(name: string): string {
    return this.str(this.vars.get(name) ?? "");
  }

  async #nextRecord(): Promise<string | undefined> {
    for (;;) {
      if (!this.#main) {
        const argc = num(this.vars.get("ARGC") ?? 0);
        let name: string | undefined;
        while (this.#argIndex < argc) {
          const a = this.str(this.arrays.get("ARGV")?.get(String(this.#argIndex++)) ?? "");
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
    const rs = this.setting("RS");
    if (rs === "\n") {
      yield* lines(this.p, fd);
      return;
    }
    let all = "";
    for await (const l of lines(this.p, fd)) all += l.text + (l.ended ? "\n" : "");
    const parts = rs === "" ? all.replace(/^\n+|\n+$/g, "").split(/\n\n+/) : all.split(rs.length === 1 ? rs : this.regex(rs));
    if (parts.at(-1) === "" || parts.at(-1) === "\n") parts.pop();
    for (const text of parts) yield { text: rs.length === 1 ? text : text, ended: true };
  }

  #setRecord(text: string): void {
    this.record = text;
    this.#fields = undefined;
  }

  #split(): string[] {
    if (this.#fields) return this.#fields;
    this.#fields = this.splitText(this.record, this.setting("FS"));
    this.vars.set("NF", this.#fields.length);
    return this.#fields;
  }

  splitText(text: string, fs: string): string[] {
    if (text === "") return [];
    if (fs === " ") {
      const t = text.replace(/^[ \t\n]+|[ \t\n]+$/g, "");
      return t === "" ? [] : t.split(/[ \t\n]+/);
    }
    if (fs === "") return [...text];
    if (fs.length === 1 && fs !== "\\") return text.split(fs);
    return text.split(this.regex(fs));
  }

  #field(n: number): Value {
    if (n === 0) return input(this.record);
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
    this.record = f.join(this.setting("OFS"));
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
    for (const [command, c] of this.commands) await this.pipeTo(command, c.text);
    this.commands.clear();
  }

  async pipeTo(command: string, text: string): Promise<number> {
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
        await this.eval(s.e);
        return;
      case "print":
        return this.#execPrint(s);
      case "if":
        if (truth(await this.eval(s.c))) await this.#exec(s.a);
        else if (s.b) await this.#exec(s.b);
        return;
      case "while":
        for (let first = s.first; first || truth(await this.eval(s.c)); first = false) if (!(await this.#body(s.body))) return;
        return;
      case "for":
        if (s.init) await this.#exec(s.init);
        while (s.c === undefined || truth(await this.eval(s.c))) {
          if (!(await this.#body(s.body))) return;
          if (s.step) await this.#exec(s.step);
        }
        return;
      case "forin":
        for (const k of [...this.array(s.array).keys()]) {
          this.#setVar(s.name, input(k));
          if (!(await this.#body(s.body))) return;
        }
        return;
      case "delete": {
        const a = this.array(s.name);
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
        if (s.e) this.#exit = num(await this.eval(s.e)) & 255;
        throw new Exit();
      case "return":
        throw new Return(s.e ? await this.eval(s.e) : "");
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
    for (const a of s.args) values.push(await this.eval(a));
    let text: string;
    if (s.printf) text = format(this.str(values[0] ?? ""), values.slice(1), (x) => this.str(x));
    else
      text =
        (values.length === 0
          ? this.record
          : values
              .map((v) =>
                typeof v === "number" && !Number.isInteger(v) ? format(this.setting("OFMT"), [v], (x) => this.str(x)) : this.str(v),
              )
              .join(this.setting("OFS"))) + this.setting("ORS");
    if (s.redirect === "") {
      this.#print(text);
      if (this.#out.length > 65_536) await this.flush();
      return;
    }
    const target = this.str(await this.eval(s.target as Expr));
    if (s.redirect === "|") {
      const c = this.commands.get(target) ?? { text: "" };
      c.text += text;
      this.commands.set(target, c);
      return;
    }
    if (target === "/dev/stdout") return this.#print(text);
    if (target === "/dev/stderr") {
      await this.flush();
      await this.p.write(2, raw(text));
      return;
    }
    let fd = this.files.get(target);
    if (fd === undefined) {
      const path = Buffer.from(target, "latin1").toString("utf8");
      try {
        fd = await this.p.open(path, { write: true, create: true, truncate: s.redirect === ">", append: s.redirect === ">>" });
      } catch (e) {
        return die(this.p, `can't open '${path}': ${strerror(e)}`) as never;
      }
      this.files.set(target, fd);
    }
    await this.p.write(fd, raw(text));
  }

  array(name: string): Table {
    for (const frame of this.locals.slice(-1)) {
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
    const frame = this.locals.at(-1);
    if (frame?.has(name)) {
      const v = frame.get(name);
      return v instanceof Map ? "" : (v ?? "");
    }
    if (name === "NF") this.#split();
    return this.vars.get(name) ?? "";
  }

  #setVar(name: string, v: Value): void {
    const frame = this.locals.at(-1);
    if (frame?.has(name)) {
      frame.set(name, v);
      return;
    }
    if (name === "NF") {
      const f = this.#split();
      const n = num(v);
      while (f.length < n) f.push("");
      f.length = n;
      this.record = f.join(this.setting("OFS"));
    }
    this.vars.set(name, v);
  }

  async #subscript(subs: Expr[]): Promise<string> {
    const parts: string[] = [];
    for (const s of subs) parts.push(this.str(await this.eval(s)));
    return parts.join(this.setting("SUBSEP"));
  }

  str(v: Value): string {
    if (typeof v === "string") return v;
    if (v instanceof Strnum) return v.text;
    if (Number.isInteger(v)) return Math.abs(v) < 1e16 ? String(v) : BigInt(v).toString();
    return format(this.setting("CONVFMT"), [v], (x) => this.str(x));
  }

  regex(source: string): RegExp {
    let re = this.#regexes.get(source);
    if (!re) {
      re = new RegExp(ere(source), "g");
      this.#regexes.set(source, re);
    }
    re.lastIndex = 0;
    return re;
  }

  async pattern(e: Expr): Promise<RegExp> {
    return this.regex(e.t === "re" ? e.v : this.str(await this.eval(e)));
  }

  async assign(to: Expr, v: Value): Promise<Value> {
    if (to.t === "var") this.#setVar(to.name, v);
    else if (to.t === "index") this.array(to.name).set(await this.#subscript(to.subs), v);
    else if (to.t === "field") this.#setField(num(await this.eval(to.e)), this.str(v));
    else throw new AwkError("Unexpected token");
    return v;
  }

  async eval(e: Expr): Promise<Value> {
    switch (e.t) {
      case "num":
      case "str":
        return e.v;
      case "re":
        return this.regex(e.v).test(this.record) ? 1 : 0;
      case "var":
        return this.#getVar(e.name);
      case "index": {
        const a = this.array(e.name);
        const k = await this.#subscript(e.subs);
        if (!a.has(k)) a.set(k, "");
        return a.get(k) as Value;
      }
      case "field":
        return this.#field(num(await this.eval(e.e)));
      case "group":
        if (e.list.length === 1) return this.eval(e.list[0] as Expr);
        return this.#subscript(e.list);
      case "assign": {
        const right = await this.eval(e.e);
        if (e.op === "=") return this.assign(e.to, right);
        return this.assign(e.to, arithmetic(e.op[0] as string, num(await this.eval(e.to)), num(right)));
      }
      case "inc": {
        const old = num(await this.eval(e.to));
        await this.assign(e.to, old + e.by);
        return e.post ? old : old + e.by;
      }
      case "cond":
        return this.eval(truth(await this.eval(e.c)) ? e.a : e.b);
      case "un": {
        const v = await this.eval(e.a);
        return e.op === "!" ? (truth(v) ? 0 : 1) : e.op === "-" ? -num(v) : num(v);
      }
      case "in":
        return this.array(e.name).has(await this.#subscript(e.subs)) ? 1 : 0;
      case "bin":
        return this.#binary(e);
      case "call":
        return this.#call(e.name, e.args);
      case "builtin":
        return callBuiltin(this, e.name, e.args);
      case "getline":
        return this.#getline(e);
    }
  }

  async #binary(e: Extract<Expr, { t: "bin" }>): Promise<Value> {
    if (e.op === "&&") return truth(await this.eval(e.a)) && truth(await this.eval(e.b)) ? 1 : 0;
    if (e.op === "||") return truth(await this.eval(e.a)) || truth(await this.eval(e.b)) ? 1 : 0;
    if (e.op === "~" || e.op === "!~") {
      const text = this.str(await this.eval(e.a));
      return (await this.pattern(e.b)).test(text) === (e.op === "~") ? 1 : 0;
    }
    const a = await this.eval(e.a);
    const b = await this.eval(e.b);
    if (e.op === " ") return this.str(a) + this.str(b);
    if ("+-*/%^".includes(e.op)) return arithmetic(e.op, num(a), num(b));
    const numeric = (v: Value) => typeof v === "number" || v instanceof Strnum || v === "";
    let c: number;
    if (numeric(a) && numeric(b) && !(typeof a === "string" && typeof b === "string")) c = num(a) - num(b);
    else {
      const x = this.str(a);
      const y = this.str(b);
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
    if (this.locals.length >= MAX_DEPTH) throw new AwkError("function call nesting too deep");
    const frame = new Map<string, Value | Table>();
    for (let i = 0; i < f.params.length; i++) {
      const a = args[i];
      const isArray = a?.t === "var" && (this.arrays.has(a.name) || this.locals.at(-1)?.get(a.name) instanceof Map);
      frame.set(f.params[i] as string, a === undefined ? "" : isArray ? this.array((a as { name: string }).name) : await this.eval(a));
    }
    this.locals.push(frame);
    try {
      await this.#exec(f.body);
    } catch (e) {
      if (e instanceof Return) return e.value;
      throw e;
    } finally {
      this.locals.pop();
    }
    return "";
  }

  async #getline(e: Extract<Expr, { t: "getline" }>): Promise<Value> {
    let line: string | undefined;
    if (e.kind === "") line = await this.#nextRecord();
    else {
      const name = this.str(await this.eval(e.from as Expr));
      let r = this.readers.get(name);
      if (!r) {
        try {
          const fd = e.kind === "<" ? await openInput(this.p, Buffer.from(name, "latin1").toString("utf8")) : await this.#pipeFrom(name);
          r = { reader: this.#records(fd), fd };
        } catch (err) {
          if (err instanceof SysError) return -1;
          throw err;
        }
        this.readers.set(name, r);
      }
      const n = await r.reader.next();
      line = n.done ? undefined : n.value.text;
      if (line !== undefined && e.kind === "|") this.vars.set("NR", num(this.vars.get("NR") ?? 0) + 1);
    }
    if (line === undefined) return 0;
    if (e.to) await this.assign(e.to, input(line));
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
}
