// Comparing an answer with a recorded one: what differs from run to run (names, revisions, uids, times, addresses) becomes placeholders,
// and the placeholders must stand for the same things in the same order. Pure.
import type { Scenario } from "./api.ts";

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const TIME = /(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)/g;
const SERVICE_IP = /\b10\.(9[6-9]|10\d|11[01])\.\d{1,3}\.\d{1,3}\b/g;
const AGE = /^(\d+[ydhms]){1,2}$/;
const AGE_COLUMNS = new Set(["Age", "Duration", "Last Seen", "First Seen", "Last Schedule"]);
const PLACEHOLDER = /<(uid|rv|rand):(\d+)>/g;
const FIVE_DAYS_MS = 5 * 86_400_000;

/** Answers with everything that differs from run to run replaced. */
export function normalise(scenario: Scenario, answers: readonly any[], ns: string): any[] {
  const literal = JSON.stringify(scenario.steps.map((s) => s.request));
  const prepared = answers.map((r, i) => prepare(scenario.steps[i] as any, structuredClone(r ?? { status: 0 })));
  const uids = new Map<string, string>();
  const revisions = new Set<string>();
  const generated = new Map<string, string>();
  walk(prepared, (o, key) => {
    if (typeof o === "string")
      for (const [u] of o.matchAll(UUID)) if (!literal.includes(u) && !uids.has(u)) uids.set(u, `<uid:${uids.size + 1}>`);
    if (o === null || typeof o !== "object" || Array.isArray(o)) return;
    const { generateName: g, name: n } = o;
    if (typeof g === "string" && g && typeof n === "string" && n.startsWith(g) && n.length > g.length && !generated.has(n))
      generated.set(n, `${g}<rand:${generated.size + 1}>`);
    if (key === "metadata" && o.uid && typeof o.resourceVersion === "string") revisions.add(o.resourceVersion);
  });
  const ranks = new Map([...revisions].sort((a, b) => Number(a) - Number(b)).map((v, i) => [v, `<rv:${i + 1}>`]));
  const prefixes = [...literal.matchAll(/"generateName":"([^"]+)"/g)].map((m) => m[1] as string);
  const context = { literal, ns, uids, ranks, generated, prefixes, columns: [] as string[] };
  return prepared.map((r) => replaced(r, undefined, context));
}

interface Context {
  literal: string;
  ns: string;
  uids: ReadonlyMap<string, string>;
  ranks: ReadonlyMap<string, string>;
  generated: ReadonlyMap<string, string>;
  prefixes: readonly string[];
  columns: string[];
}

/** What the step's options leave out. */
function prepare(s: Record<string, any>, r: any): any {
  const whole = r.body;
  if (s["shape"] && r.body !== undefined) r.body = shape(r.body);
  if (s["pointers"] && r.body !== undefined) r.body = Object.fromEntries(s["pointers"].map((p: string) => [p, pointer(r.body, p)]));
  if (s["unorderedCauses"] && r.body?.kind === "Status") sortCauses(r.body);
  if (s["statusOnly"]) for (const k of ["body", "text", "events"]) delete r[k];
  if (s["lastLine"] && "text" in r) r.text = r.text.replace(/\n+$/, "").split("\n").at(-1);
  if (s["dropExample"] && whole && typeof whole === "object") dropExamples(whole, r.body);
  if (r.events) {
    let seen = false;
    r.events = r.events.filter((e: any) => {
      if (e.type !== "BOOKMARK" || JSON.stringify(e).includes("k8s.io/initial-events-end")) return true;
      if (!s["bookmarks"] || seen) return false;
      seen = true;
      return true;
    });
  }
  return r;
}

function sortCauses(status: any): void {
  const causes = status.details?.causes;
  const id = (c: any) => JSON.stringify(c, Object.keys(c).sort());
  causes?.sort((a: any, b: any) => (id(a) < id(b) ? -1 : 1));
  const m = /^(.* is invalid: )\[(.*)\]$/s.exec(status.message ?? "");
  if (!m) return;
  const parts = (m[2] as string).split(
    /, (?=[^\s:,]+: (?:Invalid value|Required value|Unsupported value|Duplicate value|Too|Forbidden|Internal error|<nil>))/,
  );
  status.message = `${m[1]}[${parts.sort().join(", ")}]`;
}

/** Leaves out the groups that other scenarios made; lists are taken from the whole answer. */
function dropExamples(whole: any, into: any): void {
  for (const k of ["groups", "items"]) {
    if (Array.isArray(whole[k])) into[k] = whole[k].filter((g: any) => !(g.name ?? g.metadata?.name ?? "").includes("example.com"));
  }
  if (Array.isArray(whole.paths)) into.paths = whole.paths.filter((p: string) => !p.includes("example.com"));
  else if (whole.paths) into.paths = Object.fromEntries(Object.entries(whole.paths).filter(([k]) => !k.includes("example.com")));
}

function replaced(o: any, key: string | undefined, c: Context): any {
  if (typeof o === "string") return text(o, key, c);
  if (Array.isArray(o)) return o.map((x) => replaced(x, key, c));
  if (o === null || typeof o !== "object") return o;
  const out: Record<string, any> = {};
  for (const [k, v0] of Object.entries(o)) {
    let v: any = v0;
    const name = text(k, undefined, c);
    if (k === "resourceVersion" && typeof v === "string" && v) {
      out[name] = key === "metadata" || !c.literal.includes(v) ? ((o.uid ? c.ranks.get(v) : undefined) ?? "<rv>") : v;
      continue;
    }
    if (k === "continue" && typeof v === "string" && v) v = "<continue>";
    else if ((k === "nodePort" || k === "healthCheckNodePort") && typeof v === "number" && v && !c.literal.includes(String(v)))
      v = "<port>";
    else if (k === "storageVersionHash") v = "<hash>";
    else {
      if (k === "sources" && Array.isArray(v)) v = v.filter((x) => !x?.configMap?.name?.endsWith("-service-ca.crt"));
      if ((k === "resourceRules" || k === "nonResourceRules") && Array.isArray(v) && o.incomplete !== undefined)
        v = [...v].sort((a, b) => (sortedText(a) < sortedText(b) ? -1 : 1));
      if (k === "managedFields" && Array.isArray(v)) v = [...v].sort((a, b) => (writer(a) < writer(b) ? -1 : 1));
      if (k === "rows" && Array.isArray(v) && o.kind === "Table") v = rows(v, o, c);
      v = replaced(v, k, c);
    }
    out[name] = v;
  }
  return out;
}

function rows(list: any[], table: any, c: Context): any[] {
  const columns = table.columnDefinitions?.map((d: any) => d.name);
  if (columns?.length) c.columns = columns;
  return list.map((row) => ({
    ...row,
    cells: (row.cells ?? []).map((x: unknown, i: number) =>
      AGE_COLUMNS.has(c.columns[i] ?? "") && typeof x === "string" && AGE.test(x) ? "<age>" : x,
    ),
  }));
}

function text(v0: string, key: string | undefined, c: Context): string {
  if (key === "resourceVersion") return v0;
  let v = v0;
  for (const [n, g] of c.generated) v = v.replaceAll(n, g);
  for (const p of c.prefixes)
    if (v.includes(p))
      v = v.replace(
        new RegExp(`${p.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}[bcdfghjklmnpqrstvwxz2456789]{5}(?![a-z0-9<])`, "g"),
        `${p}<rand>`,
      );
  v = v.replace(UUID, (u) => c.uids.get(u) ?? u);
  v = v.replace(TIME, (all, date, time, fraction) => {
    const at = Date.parse(`${date}T${time}Z`);
    if (Number.isNaN(at) || Math.abs(at - Date.now()) > FIVE_DAYS_MS || c.literal.includes(all)) return all;
    return fraction ? "<microtime>" : "<time>";
  });
  v = v.replace(SERVICE_IP, (ip) => (c.literal.includes(ip) ? ip : "<ip>"));
  v = v.replace(/kube-api-access-[a-z0-9]{5}\b/g, "kube-api-access-<rand>");
  v = v.replace(/(\d+):3[0-2]\d{3}\//g, (all, p) => (c.literal.includes(all) ? all : `${p}:<port>/`));
  v = v.replaceAll(c.ns, "${" + "ns}");
  if (/resource ?version/i.test(v)) {
    v = v.replace(/\b\d+\b/g, (n) => (c.literal.includes(n) ? n : (c.ranks.get(n) ?? n)));
    v = v.replace(/current: \d+/g, "current: <rv>").replace(/(too old resource version: \d+) \(\d+\)/g, "$1 (<rv>)");
  }
  v = v.replace(/\?hash=[0-9A-Fa-f]+/g, "?hash=<hash>");
  if (v.startsWith("eyJhbGciOi") && v.split(".").length === 3) v = "<token>";
  return v.replace(/\blatency \d+(\.\d+)?m?s/g, "latency <dur>");
}

function writer(e: any): string {
  return [e.operation, e.manager, e.subresource ?? "", e.apiVersion].join("\u0000");
}

function sortedText(o: any): string {
  return JSON.stringify(o, (_, v) => (v && typeof v === "object" && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).sort()) : v));
}

function walk(o: any, visit: (o: any, key?: string) => void, key?: string): void {
  visit(o, key);
  if (Array.isArray(o)) for (const x of o) walk(x, visit, key);
  else if (o !== null && typeof o === "object") for (const k of Object.keys(o).sort()) walk(o[k], visit, k);
}

function shape(o: any): any {
  if (Array.isArray(o)) return o.length > 0 ? [shape(o[0])] : [];
  if (o !== null && typeof o === "object") return Object.fromEntries(Object.entries(o).map(([k, v]) => [k, shape(v)]));
  return o === null ? null : typeof o === "boolean" ? "<bool>" : typeof o === "number" ? "<number>" : "<string>";
}

function pointer(o: any, p: string): any {
  let v = o;
  for (const t of p.split("/").slice(1)) {
    const k = t.replaceAll("~1", "/").replaceAll("~0", "~");
    if (v === null || typeof v !== "object" || !Object.hasOwn(v, k)) return "<absent>";
    v = v[k];
  }
  return v;
}

export type Compare = (expected: any, actual: any, path: string) => string[];

/** Compares the answers of one scenario with the recorded ones: a placeholder must stand for the same thing in all of them. */
export function comparison(): Compare {
  const forward = new Map<string, string>();
  const back = new Map<string, string>();
  return (expected, actual, path) => differences(withoutVendorSource(expected), actual, path, forward, back);
}

/**
 * The recording server mounted one more projected source into every pod (`*-service-ca.crt`), which its answers do not show: in a diff
 * of a pod's spec, whose volumes come first, the lines after it stand this many further down.
 */
const VENDOR_SOURCE_LINES = 18;

function withoutVendorSource(recorded: any): any {
  if (typeof recorded?.body?.message !== "string" || !recorded.body.message.includes("pod updates may not change fields")) return recorded;
  const text = JSON.stringify(recorded).replace(
    /@@ -(\d+),(\d+) \+(\d+),(\d+) @@/g,
    (_, a, n, b, m) => `@@ -${a - VENDOR_SOURCE_LINES},${n} +${b - VENDOR_SOURCE_LINES},${m} @@`,
  );
  return JSON.parse(text);
}

function differences(expected: any, actual: any, path: string, forward: Map<string, string>, back: Map<string, string>): string[] {
  const out: string[] = [];
  const cmp = (e: any, a: any, p: string): void => {
    if (typeof e === "string" && typeof a === "string") {
      strings(e, a, p);
      return;
    }
    if (Array.isArray(e) && Array.isArray(a)) {
      if (e.length !== a.length) out.push(`${p}: length ${a.length}, recorded ${e.length}`);
      for (let i = 0; i < Math.min(e.length, a.length); i++) cmp(e[i], a[i], `${p}[${i}]`);
      return;
    }
    if (e !== null && a !== null && typeof e === "object" && typeof a === "object" && !Array.isArray(e) && !Array.isArray(a)) {
      for (const k of [...new Set([...Object.keys(e), ...Object.keys(a)])].sort()) {
        if (!(k in a)) out.push(`${p}.${k}: missing, recorded ${show(e[k])}`);
        else if (!(k in e)) out.push(`${p}.${k}: ${show(a[k])}, not recorded`);
        else cmp(e[k], a[k], `${p}.${k}`);
      }
      return;
    }
    if (e !== a) out.push(`${p}: ${show(a)}, recorded ${show(e)}`);
  };
  const strings = (e: string, a: string, p: string): void => {
    const [pe, pa] = [[...e.matchAll(PLACEHOLDER)], [...a.matchAll(PLACEHOLDER)]];
    if (e.replace(PLACEHOLDER, "<$1>") !== a.replace(PLACEHOLDER, "<$1>")) {
      out.push(`${p}: ${show(a)}, recorded ${show(e)}`);
      return;
    }
    for (const [i, m] of pe.entries()) {
      const [ke, ka] = [m[0], pa[i]?.[0] as string];
      if ((forward.get(ke) ?? ka) !== ka || (back.get(ka) ?? ke) !== ke)
        out.push(`${p}: ${ka} stands elsewhere for another thing than ${ke}`);
      else if (m[1] === "rv" && !forward.has(ke)) outOfOrder(ke, ka, p);
      forward.set(ke, ka);
      back.set(ka, ke);
    }
  };
  const rank = (placeholder: string) => Number(/\d+/.exec(placeholder)?.[0]);
  const outOfOrder = (ke: string, ka: string, p: string): void => {
    for (const [oe, oa] of forward)
      if (oe.startsWith("<rv:") && rank(oe) < rank(ke) !== rank(oa) < rank(ka)) {
        out.push(`${p}: ${ka} is not in the order of ${ke}`);
        return;
      }
  };
  cmp(expected, actual, path);
  return out;
}

function show(v: unknown): string {
  const s = JSON.stringify(v) ?? "undefined";
  return s.length > 160 ? `${s.slice(0, 157)}...` : s;
}
