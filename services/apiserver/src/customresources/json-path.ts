// The JSONPath subset of printer columns, scale paths and selectable fields: .a.b, ['a.b'], [0], [*], [?(@.k=="v")]. Pure, never evaluated as code.

type Step = { name: string } | { index: number } | { all: true } | { filter: { path: Step[]; value: string } };

const compiled = new Map<string, Step[] | undefined>();
const MAX_COMPILED = 2_000;

/** Values at a path; empty when nothing is there or the path is not of the subset. */
export function jsonPath(o: unknown, path: string): unknown[] {
  let steps = compiled.get(path);
  if (!compiled.has(path)) {
    if (compiled.size >= MAX_COMPILED) compiled.clear();
    steps = parse(path);
    compiled.set(path, steps);
  }
  return steps ? walk(o, steps) : [];
}

function walk(o: unknown, steps: readonly Step[]): unknown[] {
  let values: any[] = [o];
  for (const s of steps) {
    if ("name" in s) values = values.flatMap((v) => (v !== null && typeof v === "object" && Object.hasOwn(v, s.name) ? [v[s.name]] : []));
    else if ("index" in s) values = values.flatMap((v) => (Array.isArray(v) && v.at(s.index) !== undefined ? [v.at(s.index)] : []));
    else if ("all" in s)
      values = values.flatMap((v) => (Array.isArray(v) ? v : v !== null && typeof v === "object" ? Object.values(v) : []));
    else
      values = values
        .flatMap((v) => (Array.isArray(v) ? v : []))
        .filter((v) => walk(v, s.filter.path).some((x) => String(x) === s.filter.value));
  }
  return values;
}

function parse(path: string): Step[] | undefined {
  const steps: Step[] = [];
  let rest = path.replace(/^\{(.*)\}$/s, "$1");
  while (rest !== "") {
    const m = /^\.([A-Za-z0-9_$-]+(?:\\\.[A-Za-z0-9_$-]+)*)/.exec(rest) ?? /^\['([^']*)'\]/.exec(rest) ?? /^\["([^"]*)"\]/.exec(rest);
    if (m) steps.push({ name: (m[1] as string).replaceAll("\\.", ".") });
    else {
      const index = /^\[(-?\d+)\]/.exec(rest);
      const all = /^\[\*\]|^\.\*/.exec(rest);
      const filter = /^\[\?\(@((?:\.[A-Za-z0-9_-]+)+)\s*==\s*["']([^"']*)["']\s*\)\]/.exec(rest);
      const taken = index ?? all ?? filter;
      if (!taken) return undefined;
      if (index) steps.push({ index: Number(index[1]) });
      else if (all) steps.push({ all: true });
      else if (filter) {
        const inner = parse(filter[1] as string);
        if (!inner) return undefined;
        steps.push({ filter: { path: inner, value: filter[2] as string } });
      }
      rest = rest.slice(taken[0].length);
      continue;
    }
    rest = rest.slice(m[0].length);
  }
  return steps;
}
