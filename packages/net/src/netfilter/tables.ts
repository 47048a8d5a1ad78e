// The four tables of one family: chains by name, replaced whole as `iptables-restore --noflush` does, and printed as
// `iptables-save` does.
// Invariant: every jump leads to a chain of the same table; a chain that is jumped to cannot be deleted; an update is applied
// whole or not at all. A chain whose Rule[] is the very same array is left alone, so that its compiled form lives on.
import { PodwireError } from "@podwire/base";
import { type CompiledChain, compileChain } from "./compile.ts";
import { type HookName, printRule, type Rule, type TableName } from "./rule.ts";

export type Policy = "ACCEPT" | "DROP";

/** Rules of one table; an update that would pass it is refused. */
export const RULE_LIMIT = 1_000_000;

export class RulesetError extends PodwireError {}

export interface Chain {
  readonly name: string;
  rules: readonly Rule[];
  /** Set for the built-in chains. */
  policy: Policy | undefined;
  /** Made when the chain is first walked after a change. */
  compiled: CompiledChain | undefined;
  /** How many rules jump here. */
  references: number;
  /** Deleted: whoever remembers it has to look again. */
  gone: boolean;
}

/** Chains to set (created when absent) and to delete, as one transaction. */
export interface TableUpdate {
  chains: ReadonlyMap<string, readonly Rule[]>;
  remove?: readonly string[];
}

export const BUILT_IN: Readonly<Record<TableName, readonly HookName[]>> = {
  raw: ["prerouting", "output"],
  mangle: ["prerouting", "input", "forward", "output", "postrouting"],
  nat: ["prerouting", "input", "output", "postrouting"],
  filter: ["input", "forward", "output"],
};

export class Table {
  readonly name: TableName;
  readonly chains = new Map<string, Chain>();
  /** Built-in chains by hook. */
  readonly byHook: Partial<Record<HookName, Chain>> = {};
  private ruleCount = 0;
  /** Chains that updates really changed, for tests and counters. */
  changedChains = 0;

  constructor(name: TableName) {
    this.name = name;
    for (const hook of BUILT_IN[name]) {
      const chain = newChain(hook.toUpperCase(), "ACCEPT");
      this.chains.set(chain.name, chain);
      this.byHook[hook] = chain;
    }
  }

  get rules(): number {
    return this.ruleCount;
  }

  /** Applies an update; throws RulesetError (and changes nothing) when it would break the table. */
  apply(u: TableUpdate): void {
    const remove = new Set(u.remove ?? []);
    const changed = [...u.chains].filter(([name, rules]) => this.chains.get(name)?.rules !== rules && !remove.has(name));
    this.check(changed, remove, u.chains);
    for (const [name] of changed) if (!this.chains.has(name)) this.chains.set(name, newChain(name, undefined));
    for (const [name, rules] of changed) this.replace(this.chains.get(name)!, rules);
    for (const name of remove) {
      const chain = this.chains.get(name);
      if (chain === undefined) continue;
      this.replace(chain, []);
      this.chains.delete(name);
      chain.gone = true;
    }
    this.changedChains += changed.length + remove.size;
  }

  /** Puts a rule at the end (or the front) of a chain unless an equal one is there already. */
  ensureRule(chainName: string, rule: Rule, at: "append" | "prepend" = "append"): void {
    const rules = this.chains.get(chainName)?.rules ?? [];
    const text = printRule(rule);
    if (rules.some((r) => printRule(r) === text)) return;
    this.apply({ chains: new Map([[chainName, at === "append" ? [...rules, rule] : [rule, ...rules]]]) });
  }

  /** Deletes the rules equal to this one. */
  deleteRule(chainName: string, rule: Rule): void {
    const rules = this.chains.get(chainName)?.rules ?? [];
    const text = printRule(rule);
    const kept = rules.filter((r) => printRule(r) !== text);
    if (kept.length !== rules.length) this.apply({ chains: new Map([[chainName, kept]]) });
  }

  setPolicy(hook: HookName, policy: Policy): void {
    const chain = this.byHook[hook];
    if (chain === undefined) throw new RulesetError(`table ${this.name} has no hook ${hook}`);
    chain.policy = policy;
  }

  /** As `iptables-save -t <table>` prints it, without the comment lines; counters when `counters`. */
  save(counters = false): string {
    const lines = [`*${this.name}`];
    const builtIn = BUILT_IN[this.name].map((h) => h.toUpperCase());
    const own = [...this.chains.keys()].filter((n) => !builtIn.includes(n)).sort();
    for (const name of [...builtIn, ...own]) lines.push(`:${name} ${this.chains.get(name)!.policy ?? "-"} [0:0]`);
    for (const name of [...builtIn, ...own]) {
      const chain = this.chains.get(name)!;
      chain.rules.forEach((r, i) => {
        const text = printRule(r);
        const count = counters ? `[${chain.compiled?.rules[i]?.packets ?? 0}:0] ` : "";
        lines.push(`${count}-A ${name}${text === "" ? "" : ` ${text}`}`);
      });
    }
    lines.push("COMMIT");
    return `${lines.join("\n")}\n`;
  }

  private check(
    changed: readonly (readonly [string, readonly Rule[]])[],
    remove: ReadonlySet<string>,
    sets: ReadonlyMap<string, readonly Rule[]>,
  ): void {
    const delta = new Map<string, number>();
    let rules = this.ruleCount;
    const count = (list: readonly Rule[], by: number) => {
      rules += by * list.length;
      for (const r of list)
        if (r.target?.t === "JUMP" || r.target?.t === "GOTO") delta.set(r.target.chain, (delta.get(r.target.chain) ?? 0) + by);
    };
    for (const [name, list] of changed) {
      count(list, 1);
      count(this.chains.get(name)?.rules ?? [], -1);
    }
    for (const name of remove) {
      const chain = this.chains.get(name);
      if (chain?.policy !== undefined) throw new RulesetError(`the built-in chain ${name} cannot be deleted`);
      count(chain?.rules ?? [], -1);
    }
    if (rules > RULE_LIMIT) throw new RulesetError(`table ${this.name} would have more than ${RULE_LIMIT} rules`);
    for (const [name, by] of delta) {
      const exists = (this.chains.has(name) || sets.has(name)) && !remove.has(name);
      if (by > 0 && !exists) throw new RulesetError(`table ${this.name}: a rule jumps to ${name}, which does not exist`);
    }
    for (const name of remove)
      if ((this.chains.get(name)?.references ?? 0) + (delta.get(name) ?? 0) > 0)
        throw new RulesetError(`table ${this.name}: chain ${name} is still jumped to`);
  }

  private replace(chain: Chain, rules: readonly Rule[]): void {
    this.refer(chain.rules, -1);
    this.ruleCount += rules.length - chain.rules.length;
    chain.rules = rules;
    chain.compiled = undefined;
    this.refer(rules, 1);
  }

  private refer(rules: readonly Rule[], by: number): void {
    for (const r of rules)
      if (r.target?.t === "JUMP" || r.target?.t === "GOTO") {
        const chain = this.chains.get(r.target.chain);
        if (chain !== undefined) chain.references += by;
      }
  }
}

function newChain(name: string, policy: Policy | undefined): Chain {
  return { name, rules: [], policy, compiled: undefined, references: 0, gone: false };
}

export function compiledOf(chain: Chain): CompiledChain {
  chain.compiled ??= compileChain(chain.name, chain.rules);
  return chain.compiled;
}

/** The tables of one family: what `iptables` (4) or `ip6tables` (6) would show. */
export class Ruleset {
  readonly family: 4 | 6;
  readonly raw = new Table("raw");
  readonly mangle = new Table("mangle");
  readonly nat = new Table("nat");
  readonly filter = new Table("filter");

  constructor(family: 4 | 6) {
    this.family = family;
  }

  table(name: TableName): Table {
    return this[name];
  }

  save(counters = false): string {
    return [this.mangle, this.raw, this.nat, this.filter]
      .filter((t) => t.rules > 0 || t.chains.size > BUILT_IN[t.name].length)
      .map((t) => t.save(counters))
      .join("");
  }
}
