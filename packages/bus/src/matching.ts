// Which subscriptions match a subject, by the rules of NATS: tokens between dots, `*` is one token, `>` the rest.
// Invariant: a subscription is found once for a subject, whatever the number of its wildcards.

/** True when `subject` (no wildcards) matches `pattern`. */
export function matches(pattern: string, subject: string): boolean {
  const p = pattern.split(".");
  const s = subject.split(".");
  for (let i = 0; i < p.length; i++) {
    if (p[i] === ">") return i < s.length;
    if (i >= s.length || (p[i] !== "*" && p[i] !== s[i])) return false;
  }
  return p.length === s.length;
}

/** True when every subject that `inner` (a pattern) matches is matched by `outer`. */
export function covers(outer: string, inner: string): boolean {
  const o = outer.split(".");
  const n = inner.split(".");
  for (let i = 0; i < o.length; i++) {
    if (o[i] === ">") return i < n.length;
    if (i >= n.length || n[i] === ">") return false;
    if (o[i] !== "*" && o[i] !== n[i]) return false;
  }
  return o.length === n.length;
}

/** A subject that can be published to: no empty token, no wildcard, no white space. */
export function isSubject(subject: string): boolean {
  return /^[^\s.*>]+(\.[^\s.*>]+)*$/.test(subject);
}

interface Level<T> {
  next: Map<string, Level<T>>;
  here: Set<T>;
  rest: Set<T>;
}

/** Patterns with values, looked up by subject. Results are cached until the set changes. */
export class PatternTable<T> {
  private readonly root: Level<T> = { next: new Map(), here: new Set(), rest: new Set() };
  private readonly cache = new Map<string, readonly T[]>();

  add(pattern: string, value: T): void {
    this.cache.clear();
    let level = this.root;
    for (const t of pattern.split(".")) {
      if (t === ">") {
        level.rest.add(value);
        return;
      }
      let n = level.next.get(t);
      if (!n) {
        n = { next: new Map(), here: new Set(), rest: new Set() };
        level.next.set(t, n);
      }
      level = n;
    }
    level.here.add(value);
  }

  remove(pattern: string, value: T): void {
    this.cache.clear();
    const path: [Level<T>, string][] = [];
    let level = this.root;
    for (const t of pattern.split(".")) {
      if (t === ">") {
        level.rest.delete(value);
        break;
      }
      const n = level.next.get(t);
      if (!n) return;
      path.push([level, t]);
      level = n;
    }
    level.here.delete(value);
    for (const [parent, t] of path.reverse()) {
      const child = parent.next.get(t) as Level<T>;
      if (child.next.size + child.here.size + child.rest.size > 0) break;
      parent.next.delete(t);
    }
  }

  find(subject: string): readonly T[] {
    const cached = this.cache.get(subject);
    if (cached) return cached;
    const out: T[] = [];
    const tokens = subject.split(".");
    const walk = (level: Level<T>, i: number) => {
      if (i === tokens.length) {
        out.push(...level.here);
        return;
      }
      out.push(...level.rest);
      const exact = level.next.get(tokens[i] as string);
      if (exact) walk(exact, i + 1);
      const any = level.next.get("*");
      if (any) walk(any, i + 1);
    };
    walk(this.root, 0);
    if (this.cache.size >= MAX_CACHED_SUBJECTS) this.cache.clear();
    this.cache.set(subject, out);
    return out;
  }
}

/** Past this many subjects the cache starts again. */
const MAX_CACHED_SUBJECTS = 8192;
