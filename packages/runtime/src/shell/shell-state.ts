// What a shell knows: variables, options, parameters, functions; and how expansion looks these up. The interpreter is shell.ts.
// Invariant: a copy for a subshell shares nothing that either side can change.
import type { Process } from "../kernel/process.ts";
import type { Tty } from "../kernel/tty.ts";
import type { Node } from "./ast.ts";
import { byBytes, type Expander } from "./expand.ts";
import { Jobs } from "./jobs.ts";
import { ShellError } from "./shell-error.ts";
import { Traps } from "./traps.ts";
import { Variables } from "./variables.ts";

export type OptionName =
  | "errexit"
  | "noglob"
  | "ignoreeof"
  | "interactive"
  | "monitor"
  | "stdin"
  | "xtrace"
  | "verbose"
  | "noclobber"
  | "allexport"
  | "notify"
  | "nounset"
  | "noexec"
  | "pipefail"
  | "nolog"
  | "debug"
  | "vi";

/** Letters of `set -x` and of "$-"; an option without one has only a name (`set -o`). */
export const OPTION_LETTERS: Readonly<Partial<Record<OptionName, string>>> = {
  errexit: "e",
  noglob: "f",
  ignoreeof: "I",
  interactive: "i",
  monitor: "m",
  stdin: "s",
  noexec: "n",
  xtrace: "x",
  verbose: "v",
  noclobber: "C",
  allexport: "a",
  notify: "b",
  nounset: "u",
  vi: "V",
};

/** What "$-" shows, in its order. */
const IN_DOLLAR_DASH: readonly OptionName[] = [
  "errexit",
  "noglob",
  "interactive",
  "monitor",
  "stdin",
  "xtrace",
  "verbose",
  "noclobber",
  "allexport",
  "notify",
  "nounset",
  "noexec",
];

const NOTHING: ReadonlyMap<string, never> = new Map<string, never>();

export interface Shared {
  functions: Map<string, Node> | undefined;
  aliases: Map<string, string> | undefined;
}

export class ShellState implements Expander {
  readonly p: Process;
  readonly vars: Variables;
  /** Made when the first one is defined. */
  #functions: Map<string, Node> | undefined;
  #aliases: Map<string, string> | undefined;
  readonly options: Set<OptionName>;
  readonly jobs: Jobs;
  readonly traps: Traps;
  arg0: string;
  params: string[];
  status = 0;
  /** What loops and functions look at after each command. */
  skip: "" | "break" | "continue" | "return" | "exit" = "";
  skipCount = 0;
  loopDepth = 0;
  callDepth = 0;
  line = 0;
  /** pid that "$$" shows: the top shell's. */
  readonly shellPid: number;
  lastBackground = 0;
  /** Status of the last command substitution of an assignment. */
  substitutionStatus: number | undefined;
  readonly isSubshell: boolean;
  getoptsOffset = 0;
  /** "c" in "$-" for `sh -c`. */
  fromCommand = "";
  /** Where an interactive shell does job control. */
  terminal: Tty | undefined;
  /** Ctrl-C was typed while the shell itself was busy. */
  interrupted = false;
  /** Exit message prefix of `-c` and scripts: "sh". */
  name: string;
  #random: number;

  constructor(
    p: Process,
    o: {
      arg0: string;
      params: string[];
      vars?: Variables;
      shared?: Shared;
      options?: Set<OptionName>;
      shellPid?: number;
      traps?: Traps;
      isSubshell?: boolean;
      name?: string;
    },
  ) {
    this.p = p;
    this.arg0 = o.arg0;
    this.name = o.name ?? o.arg0;
    this.params = o.params;
    this.vars = o.vars ?? Variables.fromEnvironment(p.env);
    this.vars.onMemory = (bytes) => p.charge(bytes);
    this.#functions = o.shared?.functions;
    this.#aliases = o.shared?.aliases;
    this.options = o.options ?? new Set();
    this.shellPid = o.shellPid ?? p.pid;
    this.isSubshell = o.isSubshell ?? false;
    this.jobs = new Jobs();
    this.traps = o.traps ?? new Traps(p);
    this.#random = p.random.uint32();
  }

  get functions(): ReadonlyMap<string, Node> {
    return this.#functions ?? NOTHING;
  }
  get aliases(): ReadonlyMap<string, string> {
    return this.#aliases ?? NOTHING;
  }
  /** The map to define functions in. */
  get ownFunctions(): Map<string, Node> {
    this.#functions ??= new Map();
    return this.#functions;
  }
  get ownAliases(): Map<string, string> {
    this.#aliases ??= new Map();
    return this.#aliases;
  }

  /** Functions and aliases for a subshell: copies. */
  definitions(): Shared {
    const copy = <T>(m: Map<string, T> | undefined) => (m === undefined || m.size === 0 ? undefined : new Map(m));
    return { functions: copy(this.#functions), aliases: copy(this.#aliases) };
  }

  // --- Expander

  get(name: string): string | undefined {
    const v = this.vars.get(name);
    if (v !== undefined) return v;
    if (name === "LINENO") return String(this.line);
    if (name === "RANDOM") {
      this.#random = (Math.imul(this.#random, 1_103_515_245) + 12_345) >>> 0;
      return String((this.#random >>> 16) & 0x7fff);
    }
    return undefined;
  }
  set(name: string, value: string): void {
    this.vars.set(name, value);
    if (this.options.has("allexport")) this.vars.mark(name, "exported");
    if (name === "OPTIND") this.getoptsOffset = 0;
  }
  positional(): readonly string[] {
    return this.params;
  }
  special(name: string): string | undefined {
    switch (name) {
      case "?":
        return String(this.status);
      case "$":
        return String(this.shellPid);
      case "!":
        return this.lastBackground === 0 ? undefined : String(this.lastBackground);
      case "#":
        return String(this.params.length);
      case "0":
        return this.arg0;
      case "-":
        return this.fromCommand + this.optionLetters();
      default:
        return undefined;
    }
  }
  ifs(): string {
    return this.vars.get("IFS") ?? " \t\n";
  }
  noglob(): boolean {
    return this.options.has("noglob");
  }
  nounset(): boolean {
    return this.options.has("nounset");
  }
  fail(text: string): never {
    throw new ShellError(text);
  }
  home(user: string): string | undefined {
    if (user === "") return this.vars.get("HOME");
    for (const line of this.#passwd().split("\n")) {
      const f = line.split(":");
      if (f[0] === user) return f[5];
    }
    return undefined;
  }
  #passwd(): string {
    try {
      return this.p.fs.readText("/etc/passwd");
    } catch {
      return "";
    }
  }
  list(path: string): string[] | undefined {
    try {
      return [".", "..", ...this.p.fs.readdir(path).map((e) => e.name)].sort(byBytes);
    } catch {
      return undefined;
    }
  }
  exists(path: string): boolean {
    return this.p.fs.tryStat(path, false) !== undefined;
  }
  isDir(path: string): boolean {
    return this.p.fs.tryStat(path === "" ? "." : path)?.kind === "dir";
  }

  optionLetters(): string {
    return IN_DOLLAR_DASH.filter((n) => this.options.has(n))
      .map((n) => OPTION_LETTERS[n])
      .join("");
  }
}
