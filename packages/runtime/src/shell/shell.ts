// The interpreter of the POSIX shell (busybox ash): walks the tree, keeps status and control flow, starts processes.
// Invariant: `status` is what "$?" shows; after every command pending traps have run; a subshell is a process of its own with a
// copy of the state, so nothing it does is seen here.
import { SysError, strerror } from "../kernel/errno.ts";
import type { ExitStatus, Process } from "../kernel/process.ts";
import { ArithError } from "./arith.ts";
import type { Node, Redirect, SimpleNode, Word } from "./ast.ts";
import { BUILTINS, type Builtin, SPECIAL_BUILTINS } from "./builtins/index.ts";
import { execute } from "./execute.ts";
import { type Expansion, expandPattern, expandText, expandWords } from "./expand.ts";
import { foreground, ShellInterrupt } from "./foreground.ts";
import { matches } from "./glob.ts";
import { Parser, parseHereDoc, ShellSyntaxError } from "./parser.ts";
import { runPipeline } from "./pipeline.ts";
import { maybeQuoted } from "./quote.ts";
import { applyRedirects, RedirectError } from "./redirect.ts";
import { ShellError } from "./shell-error.ts";
import { ShellState } from "./shell-state.ts";

export type { OptionName } from "./shell-state.ts";

import { ReadonlyError } from "./variables.ts";

/** How deep functions may call each other. */
const MAX_CALLS = 1000;

export class Shell extends ShellState {
  /** Runs an expansion, running the commands that it needs. Synchronous when it needs none. */
  #expand<T>(g: Expansion<T>): T | Promise<T> {
    const r = g.next();
    return r.done ? r.value : this.#expandAsync(g, r.value);
  }

  async #expandAsync<T>(g: Expansion<T>, first: Node): Promise<T> {
    let node = first;
    for (;;) {
      const text = await this.substitute(node);
      const r = g.next(text);
      if (r.done) return r.value;
      node = r.value;
    }
  }

  text(word: Word, o: { tilde?: boolean } = {}): string | Promise<string> {
    return this.#expand(expandText(word, this, o));
  }

  /** Standard output of a command in a subshell. */
  async substitute(body: Node): Promise<string> {
    const [read, write] = this.p.pipe();
    read.ref();
    write.ref();
    const child = this.fork(body, (fds) => fds.set(1, write));
    write.unref();
    const parts: Buffer[] = [];
    for (;;) {
      const bytes = read.readNow(65_536);
      if (bytes === undefined) {
        await this.p.block((wake) => read.onReadable(wake));
        continue;
      }
      if (bytes.length === 0) break;
      parts.push(Buffer.from(bytes));
    }
    read.unref();
    const status = await this.wait(child);
    this.substitutionStatus = statusOf(status);
    this.status = this.substitutionStatus;
    return Buffer.concat(parts).toString("utf8").replaceAll("\0", "");
  }

  /** A child process that runs `body` with a copy of this state. */
  fork(body: Node, prepare?: (fds: Process["fds"]) => void, o: { background?: boolean } = {}): Process {
    const fds = this.p.fds.clone(false);
    prepare?.(fds);
    const vars = this.vars.clone();
    const shared = this.definitions();
    const { params, arg0, shellPid, status, name, callDepth, loopDepth, line } = this;
    const options = new Set(this.options);
    options.delete("monitor");
    const traps = this.traps;
    const inherited = [...this.jobs.all()];
    return this.p.spawn({
      program: async (q) => {
        const sub = new Shell(q, {
          arg0,
          params: [...params],
          vars,
          shared,
          options,
          shellPid,
          traps: traps.forSubshell(q),
          isSubshell: true,
          name,
        });
        sub.status = status;
        sub.line = line;
        sub.callDepth = callDepth;
        sub.loopDepth = loopDepth;
        sub.lastBackground = this.lastBackground;
        sub.fromCommand = this.fromCommand;
        sub.jobs.inherit(inherited);
        if (o.background) sub.#ignoreInput(q);
        return sub.runToEnd(() => sub.run(body, false, true));
      },
      argv: this.p.argv,
      fds,
      env: this.p.env,
      exe: this.p.exe,
    });
  }

  /** A background command without job control reads from /dev/null and ignores INT and QUIT (POSIX 2.11). */
  #ignoreInput(q: Process): void {
    q.onSignal(2, "ignore");
    q.onSignal(3, "ignore");
  }

  async wait(child: Process): Promise<ExitStatus> {
    const r = await this.p.waitpid(child.pid);
    return (r as { status: ExitStatus }).status;
  }

  /** Runs something as the whole life of this shell process: errors become exit codes, the EXIT trap runs. */
  async runToEnd(body: () => Promise<void>): Promise<number> {
    try {
      await body();
    } catch (e) {
      await this.report(e);
    }
    return this.exitTrap();
  }

  async exitTrap(): Promise<number> {
    const action = this.traps.takeExit();
    if (action !== undefined) {
      const status = this.status;
      this.skip = "";
      try {
        await this.evalText(action);
        if ((this.skip as string) !== "exit") this.status = status;
      } catch (e) {
        await this.report(e);
      }
    }
    return this.status;
  }

  /** Prints what a shell says of an error that ends it, and sets the status; anything else is thrown on. */
  async report(e: unknown): Promise<void> {
    if (e instanceof ShellSyntaxError) {
      await this.error(e.message);
      this.status = 2;
    } else if (e instanceof ShellError) {
      if (e.message !== "") await this.error(e.message);
      this.status = e.status;
    } else if (e instanceof ReadonlyError || e instanceof ArithError) {
      await this.error(e.message);
      this.status = 2;
    } else if (e instanceof RedirectError) {
      await this.error(e.message);
      this.status = 1;
    } else throw e;
  }

  /** A line on standard error: "sh: text". */
  async error(text: string): Promise<void> {
    await this.writeError(`${this.name}: ${text}\n`);
  }

  async writeError(text: string): Promise<void> {
    try {
      await this.p.write(2, text);
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
    }
  }

  /** Parses and runs text in this shell; stops when something asked to leave. */
  async evalText(text: string, o: { exitAfter?: boolean; firstLine?: number } = {}): Promise<void> {
    const parser = new Parser(text, { aliases: this.aliases, ...(o.firstLine === undefined ? {} : { firstLine: o.firstLine }) });
    let next = parser.next();
    if (next === undefined) this.status = 0;
    while (next !== undefined) {
      const node = next;
      if (node === null) {
        next = parser.next();
        continue;
      }
      if (this.options.has("verbose")) await this.writeError(`${text}\n`);
      if (o.exitAfter) {
        // The last command may take over this process; what is behind it must be known not to exist.
        let after: Node | null | undefined | ShellSyntaxError;
        try {
          do after = parser.next();
          while (after === null);
        } catch (e) {
          if (!(e instanceof ShellSyntaxError)) throw e;
          after = e;
        }
        await this.run(node, false, after === undefined);
        if (this.skip !== "") return;
        if (after instanceof ShellSyntaxError) throw after;
        next = after;
      } else {
        await this.run(node, false);
        if (this.skip !== "") return;
        next = parser.next();
      }
    }
  }

  // --- running the tree

  /** `tested`: the status is being looked at, so errexit does not apply. `last`: the process ends with this command. */
  async run(node: Node, tested: boolean, last = false): Promise<void> {
    const pause = this.p.checkpoint();
    if (pause) await pause;
    if (this.interrupted) throw new ShellInterrupt();
    if (this.options.has("noexec")) return;
    switch (node.t) {
      case "seq":
        for (let i = 0; i < node.list.length; i++) {
          await this.run(node.list[i] as Node, tested, last && i === node.list.length - 1);
          if (this.skip !== "") return;
        }
        return;
      case "simple":
        await this.#simple(node, tested, last);
        break;
      case "and":
      case "or":
        await this.run(node.left, true);
        if (this.skip !== "") return;
        if ((this.status === 0) === (node.t === "and")) await this.run(node.right, tested, last);
        return;
      case "pipe":
        await runPipeline(this, node, tested);
        break;
      case "background":
        this.#background(node.body);
        return;
      case "function":
        this.ownFunctions.set(node.name, node.body);
        this.status = 0;
        return;
      case "subshell":
        await this.#withRedirects(node.redirects, async () => {
          const child = this.fork(node.body);
          this.status = statusOf(await this.waitReporting(child, node));
        });
        this.checkErrexit(tested);
        break;
      default:
        if (node.redirects.length === 0) await this.#compound(node, tested);
        else await this.#withRedirects(node.redirects, () => this.#compound(node, tested));
    }
    if (this.traps.pending) await this.runTraps();
  }

  async #compound(node: Exclude<Node, SimpleNode>, tested: boolean): Promise<void> {
    switch (node.t) {
      case "group":
        return this.run(node.body, tested);
      case "if":
        await this.run(node.cond, true);
        if (this.skip !== "") return;
        if (this.status === 0) return this.run(node.then, tested);
        if (node.else) return this.run(node.else, tested);
        this.status = 0;
        return;
      case "while":
      case "until":
        return this.#loop(node, tested);
      case "for":
        return this.#for(node, tested);
      case "case":
        return this.#case(node, tested);
      default:
        throw new ShellError(`not a compound command: ${node.t}`);
    }
  }

  async #loop(node: Extract<Node, { t: "while" | "until" }>, tested: boolean): Promise<void> {
    let status = 0;
    this.loopDepth++;
    try {
      for (;;) {
        await this.run(node.cond, true);
        if (this.#leavesLoop()) break;
        if (this.skip === "") {
          if ((this.status === 0) !== (node.t === "while")) break;
          await this.run(node.body, tested);
          status = this.status;
        }
        if (this.#leavesLoop()) {
          status = this.status;
          break;
        }
        this.skip = this.skip === "continue" ? "" : this.skip;
      }
    } finally {
      this.loopDepth--;
    }
    if (this.skip === "") this.status = status;
  }

  /** After a command of a loop's body: takes in break and continue; true when the loop is over. */
  #leavesLoop(): boolean {
    if (this.skip === "") return false;
    if (this.skip === "break" || this.skip === "continue") {
      if (--this.skipCount > 0) return true;
      const over = this.skip === "break";
      this.skip = "";
      return over;
    }
    return true;
  }

  async #for(node: Extract<Node, { t: "for" }>, tested: boolean): Promise<void> {
    const list = node.words === undefined ? [...this.params] : await this.#expand(expandWords(node.words, this));
    let status = 0;
    this.loopDepth++;
    try {
      for (const value of list) {
        this.set(node.name, value);
        await this.run(node.body, tested);
        status = this.status;
        if (this.#leavesLoop()) break;
      }
    } finally {
      this.loopDepth--;
    }
    if (this.skip === "") this.status = status;
  }

  async #case(node: Extract<Node, { t: "case" }>, tested: boolean): Promise<void> {
    const value = await this.text(node.word, { tilde: true });
    for (const item of node.items)
      for (const pattern of item.patterns) {
        const p = await this.#expand(expandPattern(pattern, this));
        if (!matches(p, value)) continue;
        this.status = 0;
        if (item.body) await this.run(item.body, tested);
        return;
      }
    this.status = 0;
  }

  #background(body: Node): void {
    const monitor = this.options.has("monitor");
    const child = this.fork(
      body,
      (fds) => {
        if (monitor) return;
        const open = this.p.container.mounts.open(this.p.cwd, "/dev/null", this.p.cred, { read: true });
        if ("readNow" in open) fds.set(0, open);
      },
      { background: !monitor },
    );
    this.lastBackground = child.pid;
    if (this.terminal) child.pgid = child.pid;
    this.jobs.add(child, body);
    this.status = 0;
  }

  /** Waits for a foreground child; says how it died when a signal killed it. */
  async waitReporting(child: Process, node?: Node): Promise<ExitStatus> {
    return (await foreground(this, [child], node))[0] as ExitStatus;
  }

  async #withRedirects(redirects: readonly Redirect[], body: () => Promise<void>): Promise<void> {
    if (redirects.length === 0) return body();
    let undo: () => void;
    try {
      undo = await applyRedirects(this, redirects);
    } catch (e) {
      if (!(e instanceof RedirectError)) throw e;
      await this.error(e.message);
      this.status = 1;
      this.checkErrexit(false);
      return;
    }
    try {
      await body();
    } finally {
      undo();
    }
  }

  checkErrexit(tested: boolean): void {
    if (!tested && this.status !== 0 && this.skip === "") this.traps.failed();
    if (!tested && this.status !== 0 && this.skip === "" && this.options.has("errexit")) this.skip = "exit";
  }

  async runTraps(): Promise<void> {
    for (let s = this.traps.take(); s !== undefined; s = this.traps.take()) {
      const status = this.status;
      await this.evalText(s);
      if ((this.skip as string) === "") this.status = status;
      if (this.skip !== "") return;
    }
  }

  async #simple(node: SimpleNode, tested: boolean, last: boolean): Promise<void> {
    this.line = node.line;
    this.substitutionStatus = undefined;
    const expanded = this.#expand(expandWords(node.words, this));
    const argv = expanded instanceof Promise ? await expanded : expanded;
    if (argv.length === 0) return this.#assignmentsOnly(node, tested);
    const name = argv[0] as string;
    const special = SPECIAL_BUILTINS.get(name);
    if (special === undefined) {
      const fn = this.functions.get(name);
      if (fn !== undefined) return this.#callFunction(node, fn, argv, tested);
    }
    const builtin = special ?? BUILTINS.get(name);
    if (builtin !== undefined && node.redirects.length === 0 && node.assigns.length === 0 && !this.options.has("xtrace")) {
      // The common case costs no promise when the builtin does not wait.
      try {
        const r = builtin(this, argv, tested);
        this.status = typeof r === "number" ? r : await r;
      } catch (e) {
        await this.#builtinFailed(e, argv);
      }
    } else if (builtin !== undefined) await this.#callBuiltin(node, builtin, argv, special !== undefined, tested);
    else await this.#callProgram(node, argv, last);
    this.checkErrexit(tested);
  }

  async #assignmentsOnly(node: SimpleNode, tested: boolean): Promise<void> {
    const shown: string[] = [];
    let status = this.substitutionStatus ?? 0;
    const assign = async () => {
      for (const a of node.assigns) {
        this.substitutionStatus = undefined;
        const value = await this.text(a.value, { tilde: true });
        status = this.substitutionStatus ?? status;
        this.set(a.name, value);
        if (this.options.has("xtrace")) shown.push(`${a.name}=${value === "" ? "" : maybeQuoted(value)}`);
      }
    };
    await assign();
    if (shown.length > 0) await this.trace(shown.join(" "));
    this.status = status;
    if (node.redirects.length > 0) await this.#withRedirects(node.redirects, async () => undefined);
    this.checkErrexit(tested);
  }

  async trace(text: string): Promise<void> {
    const ps4 = await this.text(parseHereDoc(this.vars.get("PS4") ?? "+ "));
    await this.writeError(`${ps4}${text}\n`);
  }

  async #prefix(node: SimpleNode): Promise<[string, string][]> {
    const out: [string, string][] = [];
    for (const a of node.assigns) out.push([a.name, await this.text(a.value, { tilde: true })]);
    return out;
  }

  async #traceCommand(assigns: readonly [string, string][], argv: readonly string[]): Promise<void> {
    await this.trace([...assigns.map(([k, v]) => `${k}=${v === "" ? "" : maybeQuoted(v)}`), ...argv.map(maybeQuoted)].join(" "));
  }

  async #callFunction(node: SimpleNode, body: Node, argv: readonly string[], tested: boolean): Promise<void> {
    if (this.callDepth >= MAX_CALLS) throw new ShellError(`${argv[0]}: maximum function nesting level exceeded`);
    const assigns = node.assigns.length > 0 ? await this.#prefix(node) : [];
    if (this.options.has("xtrace")) await this.#traceCommand(assigns, argv);
    await this.#withRedirects(node.redirects, async () => {
      const params = this.params;
      const offset = this.getoptsOffset;
      const loops = this.loopDepth;
      this.params = argv.slice(1);
      this.loopDepth = 0;
      this.callDepth++;
      this.vars.enter();
      try {
        for (const [k, v] of assigns) {
          this.vars.local(k);
          this.set(k, v);
          this.vars.mark(k, "exported");
        }
        await this.run(body, tested);
      } finally {
        this.vars.leave();
        this.callDepth--;
        this.params = params;
        this.loopDepth = loops;
        this.getoptsOffset = offset;
      }
      if (this.skip === "return") this.skip = "";
      else if (this.skip === "break" || this.skip === "continue") this.skip = "";
    });
    this.checkErrexit(tested);
  }

  async #callBuiltin(node: SimpleNode, builtin: Builtin, argv: string[], special: boolean, tested: boolean): Promise<void> {
    const assigns = node.assigns.length > 0 ? await this.#prefix(node) : [];
    if (this.options.has("xtrace")) await this.#traceCommand(assigns, argv);
    let undo: (() => void) | undefined;
    const keep = argv[0] === "exec";
    if (node.redirects.length > 0) {
      try {
        undo = await applyRedirects(this, node.redirects, keep && argv.length === 1);
      } catch (e) {
        if (!(e instanceof RedirectError)) throw e;
        if (special) throw e;
        await this.error(e.message);
        this.status = 1;
        return;
      }
    }
    if (assigns.length > 0 && !special) this.vars.enter();
    try {
      for (const [k, v] of assigns) {
        if (!special) this.vars.local(k);
        this.set(k, v);
        if (!special || keep) this.vars.mark(k, "exported");
      }
      const r = builtin(this, argv, tested);
      this.status = r instanceof Promise ? await r : r;
    } catch (e) {
      await this.#builtinFailed(e, argv);
    } finally {
      if (assigns.length > 0 && !special) this.vars.leave();
      undo?.();
    }
  }

  async #builtinFailed(e: unknown, argv: readonly string[]): Promise<void> {
    if (e instanceof SysError && e.code === "EPIPE") this.status = 1;
    else if (e instanceof SysError) {
      await this.error(`${argv[0] === "echo" || argv[0] === "printf" ? "write error: " : ""}${strerror(e)}`);
      this.status = 1;
    } else throw e;
  }

  /** A program of the file system, in a process of its own unless this one ends with it. */
  async #callProgram(node: SimpleNode, argv: string[], last: boolean): Promise<void> {
    const assigns = node.assigns.length > 0 ? await this.#prefix(node) : [];
    if (this.options.has("xtrace")) await this.#traceCommand(assigns, argv);
    const env = this.vars.environment();
    for (const [k, v] of assigns) env.set(k, v);
    if (last && !this.traps.any) {
      try {
        await applyRedirects(this, node.redirects, true);
      } catch (e) {
        if (!(e instanceof RedirectError)) throw e;
        await this.error(e.message);
        this.status = 1;
        return;
      }
      await this.execute(argv, env);
      return;
    }
    const fds = this.p.fds.clone(false);
    const child = this.p.spawn({
      program: async (q) => {
        const sub = this.#programShell(q);
        return sub.runToEnd(async () => {
          await applyRedirects(sub, node.redirects, true);
          await sub.execute(argv, env);
        });
      },
      argv,
      fds,
      env,
    });
    this.status = statusOf(await this.waitReporting(child, node));
  }

  /** A shell that only lives until it executes a program: shares the state instead of copying it. */
  #programShell(q: Process): Shell {
    const sub = new Shell(q, {
      arg0: this.arg0,
      params: this.params,
      vars: this.vars,
      shared: { functions: this.ownFunctions, aliases: this.ownAliases },
      options: this.options,
      shellPid: this.shellPid,
      traps: this.traps.forSubshell(q),
      isSubshell: true,
      name: this.name,
    });
    sub.status = this.status;
    sub.line = this.line;
    return sub;
  }

  /** execve(2): this process becomes the program and ends with it. A program that cannot run is 126 or 127. */
  execute(argv: string[], env: Map<string, string>, o: { message?: (name: string, e: SysError) => string } = {}): Promise<void> {
    return execute(this, argv, env, o);
  }
}

/** What "$?" shows of a status. */
export function statusOf(s: ExitStatus): number {
  return s.signal !== 0 ? 128 + s.signal : s.code;
}
