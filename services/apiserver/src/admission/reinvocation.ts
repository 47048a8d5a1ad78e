// Who is asked again when a later plugin changed the object: mutating webhooks and policies with reinvocationPolicy IfNeeded, once
// (apiserver/pkg/admission/reinvocation.go, plugin/webhook/mutating/reinvocationcontext.go).
// Invariant: one request runs the mutating plugins at most twice, and a webhook or policy at most twice.

/** One request's second round, shared by all plugins. */
export class Reinvocation {
  /** True while the plugins run for the second time. */
  again = false;
  /** Set by whoever changed the object: there will be a second round. */
  wanted = false;
  readonly #plugins = new Map<string, PluginReinvocation>();

  of(plugin: string): PluginReinvocation {
    let p = this.#plugins.get(plugin);
    if (!p) {
      p = new PluginReinvocation(this);
      this.#plugins.set(plugin, p);
    }
    return p;
  }
}

/** What one plugin keeps: which of its hooks ran, and which of them must run again. */
export class PluginReinvocation {
  readonly #round: Reinvocation;
  readonly #ran = new Set<string>();
  readonly #again = new Set<string>();
  #lastOutput: string | undefined;

  constructor(round: Reinvocation) {
    this.#round = round;
  }

  /** Before the plugin's hooks run; in the second round, what others changed since calls all earlier hooks again. */
  begin(object: unknown): void {
    if (this.#round.again && this.#lastOutput !== undefined && JSON.stringify(object) !== this.#lastOutput) this.#callEarlierAgain();
  }

  /** After the plugin's hooks ran. */
  end(object: unknown): void {
    this.#lastOutput = JSON.stringify(object);
  }

  /** False for a hook that has had its say. */
  runs(hook: string): boolean {
    return !this.#round.again || this.#again.has(hook);
  }

  ran(hook: string, changed: boolean, ifNeeded: boolean): void {
    if (changed) {
      this.#callEarlierAgain();
      this.#round.wanted = true;
    }
    if (ifNeeded) this.#ran.add(hook);
  }

  #callEarlierAgain(): void {
    for (const h of this.#ran) this.#again.add(h);
    this.#ran.clear();
  }
}
