// Sets of paths into an object, as managedFields hold them (FieldsV1): a tree whose nodes may be members themselves.
// Invariant: no empty child is kept, so that an empty set has neither members nor children.
// Specification: structured-merge-diff fieldpath.Set and its JSON form.

const NO_CHILDREN: ReadonlyMap<string, FieldSet> = new Map();
const NO_MEMBERS: ReadonlySet<string> = new Set();

export class FieldSet {
  // Most nodes have neither: allocated when first written.
  private own: Set<string> | undefined;
  private below: Map<string, FieldSet> | undefined;

  get members(): ReadonlySet<string> {
    return this.own ?? NO_MEMBERS;
  }

  get children(): ReadonlyMap<string, FieldSet> {
    return this.below ?? NO_CHILDREN;
  }

  get empty(): boolean {
    return this.own === undefined && this.below === undefined;
  }

  add(element: string): void {
    this.own ??= new Set();
    this.own.add(element);
  }

  attach(element: string, set: FieldSet): void {
    if (set.empty) return;
    this.below ??= new Map();
    this.below.set(element, set);
  }

  static fromJson(v: any): FieldSet {
    const out = new FieldSet();
    if (v === null || typeof v !== "object") return out;
    for (const key of Object.keys(v)) {
      if (key === ".") continue;
      const sub = v[key];
      const child = FieldSet.fromJson(sub);
      if (child.empty || (sub !== null && typeof sub === "object" && "." in sub)) out.add(key);
      out.attach(key, child);
    }
    return out;
  }

  toJson(): Record<string, any> {
    const out: Record<string, any> = {};
    const keys: string[] = [...this.members];
    for (const k of this.children.keys()) if (!this.members.has(k)) keys.push(k);
    for (const key of keys.sort()) {
      const child = this.children.get(key);
      if (child === undefined) out[key] = {};
      else out[key] = this.members.has(key) ? { ".": {}, ...child.toJson() } : child.toJson();
    }
    return out;
  }

  union(other: FieldSet): FieldSet {
    if (other.empty) return this;
    if (this.empty) return other;
    const out = new FieldSet();
    for (const m of this.members) out.add(m);
    for (const m of other.members) out.add(m);
    for (const [k, c] of this.children) out.attach(k, c);
    for (const [k, c] of other.children) out.attach(k, out.children.get(k)?.union(c) ?? c);
    return out;
  }

  intersection(other: FieldSet): FieldSet {
    const out = new FieldSet();
    for (const m of this.members) if (other.members.has(m)) out.add(m);
    for (const [k, c] of this.children) {
      const o = other.children.get(k);
      if (o) out.attach(k, c.intersection(o));
    }
    return out;
  }

  /** Members of this that are not members of the other. */
  difference(other: FieldSet): FieldSet {
    if (other.empty) return this;
    const out = new FieldSet();
    for (const m of this.members) if (!other.members.has(m)) out.add(m);
    for (const [k, c] of this.children) {
      const o = other.children.get(k);
      out.attach(k, o ? c.difference(o) : c);
    }
    return out;
  }

  /** As difference, and a member of the other takes everything below it along. */
  recursiveDifference(other: FieldSet): FieldSet {
    if (other.empty) return this;
    const out = new FieldSet();
    for (const m of this.members) if (!other.members.has(m)) out.add(m);
    for (const [k, c] of this.children) {
      if (other.members.has(k)) continue;
      const o = other.children.get(k);
      out.attach(k, o ? c.recursiveDifference(o) : c);
    }
    return out;
  }

  equals(other: FieldSet): boolean {
    if (this.members.size !== other.members.size || this.children.size !== other.children.size) return false;
    for (const m of this.members) if (!other.members.has(m)) return false;
    for (const [k, c] of this.children) {
      const o = other.children.get(k);
      if (o === undefined || !c.equals(o)) return false;
    }
    return true;
  }

  /** Every member, as a list of path elements, parents before children. */
  *paths(prefix: readonly string[] = []): Generator<string[]> {
    for (const m of [...this.members].sort(compareElements)) yield [...prefix, m];
    for (const k of [...this.children.keys()].sort(compareElements)) yield* this.children.get(k)!.paths([...prefix, k]);
  }

  static of(...paths: string[][]): FieldSet {
    let out = new FieldSet();
    for (const path of paths) {
      let one = new FieldSet();
      one.add(path.at(-1)!);
      for (const p of path.slice(0, -1).reverse()) {
        const parent = new FieldSet();
        parent.attach(p, one);
        one = parent;
      }
      out = out.union(one);
    }
    return out;
  }
}

function compareElements(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** ".spec.ports[port=80,protocol=\"TCP\"].name" */
export function printPath(path: readonly string[]): string {
  return path
    .map((p) => {
      const rest = p.slice(2);
      switch (p[0]) {
        case "f":
          return `.${rest}`;
        case "k":
          return `[${Object.entries(JSON.parse(rest))
            .map(([k, v]) => `${k}=${JSON.stringify(v)}`)
            .join(",")}]`;
        case "v":
          return `[=${rest}]`;
        default:
          return `[${rest}]`;
      }
    })
    .join("");
}
