// Suite `api`: transcripts of a real kube-apiserver 1.34, replayed against the apiserver's own pipeline on a memory store.
// File: {name, setup[], steps[], cleanup[]}; the format is described in the folder's README.
import { generateKeyPairSync } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { statusErrors } from "@podwire/api";
import { silentLogger, systemClock, systemRandom, z } from "@podwire/base";
import { openMemoryStore } from "@podwire/store";
import { type ApiResponse, ApiServer, type ApiServerConfig, FLAGS } from "../../../services/apiserver/src/index.ts";
import { comparison, normalise } from "./api-compare.ts";
import type { SuiteResult } from "./suite.ts";

export interface Step {
  id: string;
  request: {
    method: string;
    path: string;
    headers?: Record<string, string>;
    body?: any;
    rawBody?: any;
    bodyFill?: any;
    auth?: string;
    respHeaders?: string[];
  };
  response: any;
  [option: string]: any;
}

export interface Scenario {
  name: string;
  setup?: Step[];
  steps: Step[];
  cleanup?: Step[];
}

const TOKEN = "admintoken";
const MAX_BODY_BYTES = 3 * 1024 * 1024;

/** Scenarios that run at once: each has a namespace of its own, most of their time is waiting. */
export const SCENARIOS_AT_ONCE = 6;

/** Replays every transcript of a folder (or those that `only` names). */
export async function run(dir: string, only?: (name: string) => boolean): Promise<SuiteResult> {
  const server = await startServer();
  const alive = systemClock.every(1_000, () => {}); // A watch's timers alone do not keep a process.
  const failures: string[] = [];
  let passed = 0;
  const excepted = exceptions(dir);
  const waiting = scenarios(dir).filter((s) => !only || only(s.name));
  const worker = async () => {
    for (let s = waiting.shift(); s; s = waiting.shift()) {
      const differences = unexcused(await replay(server, s), excepted);
      if (differences.length === 0) passed++;
      else failures.push(`${s.name}: ${differences.slice(0, 3).join("; ")}`);
    }
  };
  await Promise.all(Array.from({ length: SCENARIOS_AT_ONCE }, worker));
  alive.cancel();
  await server.stop();
  return { passed, failed: failures.length, failures };
}

/** The transcripts of a folder, by name. */
export function scenarios(dir: string): Scenario[] {
  const files = readdirSync(dir).filter((f) => f.endsWith(".json"));
  return files.sort().map((f) => JSON.parse(readFileSync(join(dir, f), "utf8")) as Scenario);
}

/** The differences that no exception excuses. */
export const unexcused = (differences: readonly string[], excepted: readonly string[]): string[] =>
  differences.filter((d) => !excepted.some((e) => d.startsWith(`${e}.`)));

/** `exceptions.txt` beside the transcripts: "scenario step: reason" a line. */
export function exceptions(dir: string): string[] {
  try {
    return readFileSync(join(dir, "exceptions.txt"), "utf8")
      .split("\n")
      .filter((l) => l !== "" && !l.startsWith("#"))
      .map((l) => l.split(":", 1)[0] as string);
  } catch {
    return [];
  }
}

export async function startServer(): Promise<ApiServer> {
  const config = z.object(FLAGS).parse({ "secure-port": "16443" }) as ApiServerConfig;
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const server = new ApiServer({
    clock: systemClock,
    random: systemRandom(),
    log: silentLogger,
    store: openMemoryStore({ clock: systemClock }),
    config,
    files: { tokens: `${TOKEN},admin,admin,"system:masters"` },
    serviceAccountKeyPem: String(privateKey.export({ type: "pkcs8", format: "pem" })),
  });
  await server.start();
  return server;
}

/** The differences of one scenario, each "name step: what". */
export async function replay(server: ApiServer, scenario: Scenario): Promise<string[]> {
  const ns = `o-${scenario.name}-${systemRandom().suffix(4)}`;
  const answers: Record<string, any> = { ns };
  for (const s of scenario.setup ?? []) await settle(server, s, answers);
  const got: any[] = [];
  const background: Promise<void>[] = [];
  for (const [i, s] of scenario.steps.entries()) {
    if (s["background"]) {
      const frozen = { ...answers };
      background.push(settle(server, s, frozen).then((r) => void (got[i] = r)));
      await systemClock.sleep(50);
      continue;
    }
    const r = await settle(server, s, answers);
    got[i] = r;
    answers[s.id] = r.body ?? { events: r.events };
  }
  await Promise.all(background);
  for (const s of scenario.cleanup ?? []) await settle(server, s, answers);
  const actual = normalise(scenario, got, ns);
  const compare = comparison();
  return scenario.steps.flatMap((s, i) => compare(s.response, actual[i], s.id)).map((d) => `${scenario.name} ${d}`);
}

/** Sends a step, again and again when it waits for something. */
async function settle(server: ApiServer, s: Step, answers: Record<string, any>): Promise<any> {
  if (s["sleepMs"]) await systemClock.sleep(s["sleepMs"]);
  const until = systemClock.nowMs() + (s["timeoutMs"] ?? 10_000);
  for (;;) {
    const r = await send(server, s, answers);
    if (!s["until"] || holds(s["until"], r) || systemClock.nowMs() > until) return r;
    await systemClock.sleep(30);
  }
}

function holds(until: any, r: any): boolean {
  if (until.status !== undefined && r.status !== until.status) return false;
  if (until.path !== undefined) {
    const v = at(r.body, until.path);
    if (v === undefined || ("eq" in until && v !== until.eq)) return false;
  }
  const text = JSON.stringify(r.body ?? r.events ?? r.text ?? "");
  return (
    !(until.contains !== undefined && !text.includes(until.contains)) &&
    !(until.notContains !== undefined && text.includes(until.notContains))
  );
}

async function send(server: ApiServer, s: Step, answers: Record<string, any>): Promise<any> {
  const q = s.request;
  const path = fill(q.path, answers, true) as string;
  const headers: Record<string, string> = { "user-agent": "oracle/1.0", accept: "application/json" };
  if (q.auth === undefined) headers["authorization"] = `Bearer ${TOKEN}`;
  else if (q.auth === "invalid") headers["authorization"] = "Bearer this-is-not-a-valid-token";
  else if (q.auth.startsWith("token:")) headers["authorization"] = `Bearer ${fill(q.auth.slice(6), answers)}`;
  for (const [k, v] of Object.entries(q.headers ?? {})) headers[k.toLowerCase()] = String(fill(v, answers));
  let text: string | undefined;
  if (q.rawBody !== undefined) text = String(fill(q.rawBody, answers));
  else if (q.bodyFill !== undefined)
    text = `${fill(q.bodyFill.prefix, answers)}${q.bodyFill.fill.repeat(q.bodyFill.count)}${q.bodyFill.suffix}`;
  else if (q.body !== undefined) text = JSON.stringify(fill(q.body, answers));
  if (text !== undefined) headers["content-type"] ??= "application/json";
  const { r, bytes } = await ask(server, q.method, path, headers, text);
  return shown(q, path, r, bytes);
}

async function ask(server: ApiServer, method: string, path: string, headers: Record<string, string>, body: string | undefined) {
  const gone = new AbortController();
  let r: ApiResponse;
  try {
    const user = await server.authenticate(headers["authorization"]);
    const bytes = body === undefined ? undefined : Buffer.from(body);
    if (bytes && bytes.length > MAX_BODY_BYTES) throw statusErrors.requestEntityTooLarge(`limit is ${MAX_BODY_BYTES}`);
    r = await server.handler.handle({ method, path, headers, signal: gone.signal, ...(bytes ? { body: bytes } : {}) }, user);
  } catch (e) {
    const status = (e as { status?: { code: number } }).status ?? { code: 500 };
    r = { status: status.code, headers: { "content-type": "application/json" }, body: JSON.stringify(status) };
  }
  if (!r.stream) return { r, bytes: Array.isArray(r.body) ? Buffer.concat(r.body) : Buffer.from((r.body as string | undefined) ?? "") };
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve) => {
    let closed = false;
    r.stream?.({
      write: (b) => chunks.push(Buffer.from(b)) > 0,
      end: () => {
        closed = true;
        resolve();
      },
      get closed() {
        return closed;
      },
      backlog: 0,
      onClose: () => {},
      onDrain: (cb) => cb(),
    });
  });
  return { r, bytes: Buffer.concat(chunks) };
}

function shown(q: Step["request"], path: string, r: ApiResponse, bytes: Buffer): any {
  const contentType = String(r.headers["content-type"] ?? "");
  const out: any = { status: r.status, contentType };
  const warnings = r.headers["warning"];
  if (warnings)
    out.warnings = [warnings].flat().map((w) =>
      w
        .replace(/^299 - "(.*)"$/s, "$1")
        .replaceAll('\\"', '"')
        .replaceAll("\\\\", "\\"),
    );
  for (const h of q.respHeaders ?? []) out.headers = { ...out.headers, [h]: r.headers[h.toLowerCase()] ?? null };
  const text = bytes.toString("utf8");
  if (q.method === "HEAD") return out;
  if (/[?&]watch=(1|true)/.test(path) && r.status === 200) {
    out.events = text
      .split("\n")
      .filter((l) => l.trim() !== "")
      .map((l) => JSON.parse(l));
  } else if (contentType.includes("json") || (path.startsWith("/openapi/") && text.startsWith("{"))) out.body = JSON.parse(text);
  else out.text = text;
  return out;
}

/** Replaces ${...} by what earlier steps answered, and edits copies of answers ({"$base", "$set", "$del"}). */
function fill(o: any, answers: Record<string, any>, url = false): any {
  if (typeof o === "string") {
    const whole = /^\$\{([^}]+)\}$/.exec(o);
    if (whole && !url) return structuredClone(lookUp(whole[1] as string, answers));
    return o.replace(/\$\{([^}]+)\}/g, (_, e) => {
      const v = String(lookUp(e, answers));
      return url ? encodeURIComponent(v) : v;
    });
  }
  if (Array.isArray(o)) return o.map((x) => fill(x, answers));
  if (o === null || typeof o !== "object") return o;
  if ("$base" in o) {
    const copy = structuredClone(lookUp(o.$base, answers));
    for (const [p, v] of Object.entries(o.$set ?? {})) put(copy, p, fill(v, answers));
    for (const p of o.$del ?? []) drop(copy, p);
    return copy;
  }
  return Object.fromEntries(Object.entries(o).map(([k, v]) => [k.includes("${") ? fill(k, answers) : k, fill(v, answers)]));
}

function lookUp(e: string, answers: Record<string, any>): any {
  if (e in answers) return answers[e];
  const head = (/^[^.[]+/.exec(e) as RegExpExecArray)[0];
  return at(answers[head], e.slice(head.length).replace(/^\./, ""));
}

function keys(path: string): (string | number)[] {
  return [...path.matchAll(/[^.[\]]+|\[\d+\]/g)].map(([p]) => (p.startsWith("[") ? Number(p.slice(1, -1)) : p.replaceAll("~1", ".")));
}

function at(o: any, path: string): any {
  return keys(path).reduce((v, k) => v?.[k], o);
}

function put(o: any, path: string, value: unknown): void {
  const list = keys(path);
  const last = list.pop() as string | number;
  let v = o;
  for (const [i, k] of list.entries()) v = v[k] ??= typeof (list[i + 1] ?? last) === "number" ? [] : {};
  v[last] = value;
}

function drop(o: any, path: string): void {
  const list = keys(path);
  const last = list.pop() as string | number;
  const v = list.reduce((x, k) => x?.[k], o);
  if (v) delete v[last];
}
