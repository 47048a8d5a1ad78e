// One class per condition, each with what failed, why (cause) and, where a person will read it, the next step.

/** Base of every error that Podwire raises on purpose. `next` is a command or action that a person can try. */
export class PodwireError extends Error {
  readonly next: string | undefined;
  constructor(message: string, opts: { cause?: unknown; next?: string } = {}) {
    super(message, opts.cause === undefined ? undefined : { cause: opts.cause });
    this.name = new.target.name;
    this.next = opts.next;
  }
}

/** A bug: a state that the code says cannot be. */
export class AssertionError extends PodwireError {}

/** Configuration that cannot be used; lists every problem at once. */
export class ConfigError extends PodwireError {
  readonly problems: readonly string[];
  constructor(component: string, problems: readonly string[]) {
    super(`${component}: ${problems.join("; ")}`, { next: `${component} --help` });
    this.problems = problems;
  }
}

/** Something that is planned but not built answers with this, naming itself; it stands in docs/fidelity.md as absent. */
export class NotBuiltError extends PodwireError {
  constructor(what: string) {
    super(`${what} is not built yet (docs/fidelity.md)`);
  }
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** For the default branch of an exhaustive switch: a new case will not compile until it is handled. */
export function unreachable(x: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(x)}`);
}

/** The message of anything thrown, with its causes: "a: b: c". */
export function reasonOf(e: unknown): string {
  if (!(e instanceof Error)) return String(e);
  return e.cause === undefined ? e.message : `${e.message}: ${reasonOf(e.cause)}`;
}
