// Suite `dns`: questions to the kubernetes plugin of the coredns image, against the truth table. What an upstream would answer
// for names outside the zone is taken from the row, because no upstream runs here.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { answerKubernetes, type DnsRecord, type DnsReply, KubernetesIndex } from "@podwire/runtime";
import { type SuiteResult, Tally } from "./suite.ts";

interface Row {
  name: string;
  type: string;
  ttl?: number;
  data: unknown;
}

interface Query {
  name: string;
  type: string;
  rcode: string;
  answers: Row[];
  authority?: Row[];
  additional?: Row[];
  upstreamAnswers?: Row[];
}

interface Case {
  name: string;
  objectsRef: string;
  /** Why a row may be wrong in what upstream does not assert: its ttls are not compared. */
  doubt?: string;
  config: {
    zones: string[];
    podMode: "disabled" | "insecure" | "verified";
    ignoreEmptyService: boolean;
    exposedNamespaces: string[] | null;
    ttl: number | null;
    serverIPs?: string[];
  };
  queries: Query[];
}

interface Table {
  objects: Record<string, { namespaces: string[]; services: unknown[]; endpointSlices: unknown[]; pods?: unknown[] }>;
  cases: Case[];
}

export async function run(dir: string): Promise<SuiteResult> {
  const result = new Tally();
  for (const file of readdirSync(dir).filter((f) => f.endsWith(".json"))) {
    const table: Table = JSON.parse(readFileSync(join(dir, file), "utf8"));
    const indexes = new Map(Object.entries(table.objects).map(([key, o]) => [key, indexOf(o)]));
    for (const c of table.cases) {
      const problems = c.queries.flatMap((q) => check(indexes.get(c.objectsRef) as KubernetesIndex, c, q));
      result.note(c.name, problems);
    }
  }
  return result;
}

function indexOf(o: Table["objects"][string]): KubernetesIndex {
  const index = new KubernetesIndex();
  for (const n of o.namespaces) index.setNamespace(n);
  for (const s of o.services) index.setService(s);
  for (const s of o.endpointSlices) index.setSlice(s);
  for (const p of o.pods ?? []) index.setPod(p);
  return index;
}

function check(index: KubernetesIndex, c: Case, q: Query): string[] {
  const config = { ...c.config, ttl: c.config.ttl ?? 5, serverIPs: c.config.serverIPs ?? [] };
  const got = answerKubernetes(index, config, q.name, q.type);
  if (got === undefined) return ["answered by no zone"];
  if (got.rcode !== q.rcode) return [`rcode ${got.rcode}, wanted ${q.rcode}`];
  const answers = [...got.answers];
  if (got.external !== undefined)
    for (const u of q.upstreamAnswers ?? []) if (u.type === q.type && u.name === got.external) answers.push({ ttl: 0, ...u } as DnsRecord);
  return [
    ...section("answers", answers, asserted(c, q.answers)),
    ...(q.authority ? section("authority", got.authority, asserted(c, q.authority)) : []),
    ...(q.additional ? section("additional", got.additional, asserted(c, q.additional)) : []),
    ...cnameFirst(answers),
  ];
}

function asserted(c: Case, rows: Row[]): Row[] {
  return c.doubt === undefined ? rows : rows.map(({ ttl: _, ...row }) => row);
}

/** Every wanted row is there once and nothing else; a row without a ttl takes any. */
function section(name: string, got: DnsReply["answers"], wanted: Row[]): string[] {
  const left = [...got];
  const problems: string[] = [];
  for (const w of wanted) {
    const at = left.findIndex(
      (g) => g.name === w.name && g.type === w.type && (w.ttl === undefined || w.ttl === g.ttl) && covers(g.data, w.data),
    );
    if (at < 0) problems.push(`${name}: no ${w.type} ${JSON.stringify(w.data)} for ${w.name}`);
    else left.splice(at, 1);
  }
  return [...problems, ...left.map((g) => `${name}: unexpected ${g.type} ${JSON.stringify(g.data)} for ${g.name}`)];
}

const ANY_LABEL = "<any single label>";

function covers(got: unknown, wanted: unknown): boolean {
  if (typeof wanted === "string" && wanted.startsWith(ANY_LABEL))
    return typeof got === "string" && got.slice(got.indexOf(".")) === wanted.slice(ANY_LABEL.length);
  if (typeof wanted !== "object" || wanted === null || typeof got !== "object" || got === null) return got === wanted;
  return Object.entries(wanted).every(([k, v]) => covers((got as Record<string, unknown>)[k], v));
}

function cnameFirst(answers: DnsReply["answers"]): string[] {
  return answers.flatMap((a, i) =>
    a.type === "CNAME" && answers.slice(0, i).some((b) => b.name === a.data) ? [`the CNAME ${a.name} comes after what it leads to`] : [],
  );
}
