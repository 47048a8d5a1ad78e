// Shell variables: values, export and readonly marks, and the scopes that functions and prefixed assignments open.
// Invariant: leaving a scope puts back exactly what entering it found.
import { PodwireError } from "@podwire/base";

export interface Variable {
  value: string | undefined;
  exported: boolean;
  readonly: boolean;
}

export class ReadonlyError extends PodwireError {
  constructor(name: string) {
    super(`${name}: is read only`);
  }
}

/** A value from this length on counts as memory of its process. */
const LARGE = 64 * 1024;

export class Variables {
  readonly map: Map<string, Variable>;
  /** Told how many bytes more (or fewer) large values hold. */
  onMemory: ((bytes: number) => void) | undefined;
  #scopes: Map<string, Variable | undefined>[] = [];
  constructor(map = new Map<string, Variable>()) {
    this.map = map;
  }

  static fromEnvironment(env: ReadonlyMap<string, string>): Variables {
    const v = new Variables();
    for (const [k, value] of env) if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(k)) v.map.set(k, { value, exported: true, readonly: false });
    return v;
  }

  clone(): Variables {
    const map = new Map<string, Variable>();
    for (const [k, v] of this.map) map.set(k, { ...v });
    return new Variables(map);
  }

  get(name: string): string | undefined {
    return this.map.get(name)?.value;
  }

  set(name: string, value: string): void {
    const v = this.map.get(name);
    const before = v?.value?.length ?? 0;
    if (before >= LARGE || value.length >= LARGE)
      this.onMemory?.((value.length >= LARGE ? value.length : 0) - (before >= LARGE ? before : 0));
    if (v === undefined) this.map.set(name, { value, exported: false, readonly: false });
    else {
      if (v.readonly) throw new ReadonlyError(name);
      v.value = value;
    }
  }

  unset(name: string): void {
    const v = this.map.get(name);
    if (v?.readonly) throw new ReadonlyError(name);
    this.map.delete(name);
  }

  mark(name: string, what: "exported" | "readonly"): void {
    const v = this.map.get(name);
    if (v) v[what] = true;
    else this.map.set(name, { value: undefined, exported: what === "exported", readonly: what === "readonly" });
  }

  /** The environment of a program. */
  environment(): Map<string, string> {
    const env = new Map<string, string>();
    for (const [k, v] of this.map) if (v.exported && v.value !== undefined) env.set(k, v.value);
    return env;
  }

  enter(): void {
    this.#scopes.push(new Map());
  }

  leave(): void {
    const scope = this.#scopes.pop();
    for (const [name, old] of scope ?? []) {
      if (old === undefined) this.map.delete(name);
      else this.map.set(name, old);
    }
  }

  get inScope(): boolean {
    return this.#scopes.length > 0;
  }

  /** Makes `name` local to the innermost scope. */
  local(name: string): void {
    const scope = this.#scopes.at(-1) as Map<string, Variable | undefined>;
    if (scope.has(name)) return;
    const old = this.map.get(name);
    scope.set(name, old === undefined ? undefined : { ...old });
  }
}
