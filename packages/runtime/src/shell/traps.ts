// Traps of one shell: actions by signal, and signals that came and wait for the end of the current command.
import type { Process } from "../kernel/process.ts";

/** The pseudo signal ERR. */
export const ERR = -1;

const NO_ACTIONS: ReadonlyMap<number, string> = new Map();

export class Traps {
  readonly #p: Process;
  /** Signal number (0 is EXIT) -> action; "" ignores. */
  #actions: Map<number, string> | undefined;
  /** What a subshell shows with `trap` before it sets one of its own. */
  #inherited: ReadonlyMap<number, string> | undefined;
  readonly #pending: number[] = [];
  /** Called when a signal with an action has come: wakes `wait` and `read`. */
  onSignal: (() => void) | undefined;
  lastSignal = 0;

  constructor(p: Process) {
    this.#p = p;
  }

  get actions(): ReadonlyMap<number, string> {
    return this.#actions ?? NO_ACTIONS;
  }
  /** The map to set actions in: made for the first one. */
  #own(): Map<number, string> {
    this.#actions ??= new Map();
    return this.#actions;
  }

  get pending(): boolean {
    return this.#pending.length > 0;
  }
  get any(): boolean {
    return this.actions.size > 0;
  }

  /** Signals that were ignored when the shell started cannot be trapped: they stay as they are. */
  set(signal: number, action: string | undefined): void {
    this.#inherited = undefined;
    if (action === undefined) {
      this.#actions?.delete(signal);
      if (signal > 0) this.#p.onSignal(signal, "default");
      return;
    }
    this.#own().set(signal, action);
    if (signal <= 0 || signal === 9 || signal === 19) return;
    if (action === "") this.#p.onSignal(signal, "ignore");
    else
      this.#p.onSignal(signal, (s) => {
        this.#pending.push(s);
        this.lastSignal = s;
        this.onSignal?.();
      });
  }

  shown(): ReadonlyMap<number, string> {
    return this.#inherited ?? this.actions;
  }

  /** A command has failed: the ERR trap. */
  failed(): void {
    if (this.actions.has(ERR)) this.#pending.push(ERR);
  }

  /** The next pending action. */
  take(): string | undefined {
    const s = this.#pending.shift();
    return s === undefined ? undefined : (this.actions.get(s) ?? "");
  }

  takeExit(): string | undefined {
    const a = this.actions.get(0);
    this.#actions?.delete(0);
    return a === "" ? undefined : a;
  }

  /** In a subshell, actions are back to default; ignored signals stay ignored (the process inherits that). */
  forSubshell(q: Process): Traps {
    const t = new Traps(q);
    for (const [s, a] of this.actions) if (a === "") t.#own().set(s, "");
    t.#inherited = new Map(this.actions);
    return t;
  }

  /** Before a program takes over the process: handlers go. */
  reset(): void {
    for (const [s, a] of this.actions) if (s > 0 && a !== "") this.#p.onSignal(s, "default");
    this.#actions?.clear();
  }

  /** The shell ends without its EXIT trap. */
  drop(): void {
    this.#actions?.delete(0);
  }
}
