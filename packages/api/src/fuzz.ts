// Seeded noise for everything that reads what a client sends: JSON, YAML, protobuf, selectors, patches, quantities, times,
// cron, CEL. A round must end with a value or with one of the package's own errors; anything else is a bug.
// Shared by the short run in the tests and the long one in bench/fuzz.
import { PodwireError, type Random, seededRandom, systemClock } from "@podwire/base";
import {
  applyDefaults,
  applyManaged,
  CEL_DYN,
  canonicalQuantity,
  canonicalTime,
  compileCel,
  decodeBody,
  decodeProtobuf,
  encodeProtobuf,
  type KubeObject,
  parseCron,
  parseDuration,
  parseFieldSelector,
  parseLabelSelector,
  patchObject,
  prepareForCreate,
  registry,
  validateCreate,
} from "./index.ts";

const pods = registry.byResource("", "v1", "pods")!;
const deployments = registry.byResource("apps", "v1", "deployments")!;
const POD = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", labels: { a: "b" } },
  spec: {
    containers: [{ name: "c", image: "i", ports: [{ containerPort: 80 }], resources: { limits: { cpu: "1" } } }],
    volumes: [{ name: "v", emptyDir: {} }],
  },
};
const SEEDS: Record<string, string[]> = {
  json: [JSON.stringify(POD), '{"metadata":{"name":"a"},"data":{"x":"1"}}', '[{"op":"add","path":"/spec/x","value":[1,2]}]'],
  yaml: [
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n  - name: c\n    image: &i x\n  - name: d\n    image: *i\n",
  ],
  label: ["a=b,c in (d,e),!f,g>3", "x notin (y)"],
  field: ["spec.nodeName=n1,metadata.name!=x", "status.phase=a\\,b"],
  text: ["1.5Gi", "1e3", "2024-01-02T03:04:05.123Z", "1h30m", "*/5 1-3 * jan mon", "@every 1h"],
  cel: [
    "self.a.all(x, x > 1 && has(self.b)) ? [1, 2.0, 'x'] : {'k': self.c[0]}",
    "'a'.matches('^(a|b)*$') || quantity('1Gi') < quantity('2')",
  ],
};
const NOISE = [
  "{",
  "}",
  "[",
  "]",
  '"',
  "\\",
  ":",
  ",",
  "null",
  "true",
  "-1",
  "1e999",
  "\u0000",
  "\ud800",
  "__proto__",
  "$patch",
  "a",
  "\n",
  "*",
  "&x",
  "!!",
  "..",
  "/",
  "(",
  ")",
  "%",
  "é",
  "99999999999999999999",
];

const AMPLIFY_ONE_IN = 20;
const MAX_REPEATS = 1_000;
const MAX_INPUT = 8_192;

export function mutate(random: Random, text: string): string {
  let s = text;
  const rounds = 1 + random.below(3 + 1);
  for (let i = 0; i < rounds; i++) {
    const at = random.below(s.length + 1);
    const span = random.below(4 + 1);
    switch (random.below(3 + 1)) {
      case 0:
        s = s.slice(0, at) + NOISE[random.below(NOISE.length)] + s.slice(at);
        break;
      case 1:
        s = s.slice(0, at) + s.slice(at + span);
        break;
      case 2:
        s = s.slice(0, at) + NOISE[random.below(NOISE.length)] + s.slice(at + span);
        break;
      default:
        s = s.slice(0, at) + s.slice(random.below(s.length + 1));
    }
  }
  // Now and then one part many times over: what costs more than its length shows there.
  if (random.below(AMPLIFY_ONE_IN) === 0) {
    const at = random.below(s.length + 1);
    const part = s.slice(at, at + 1 + random.below(8));
    s = s.slice(0, at) + part.repeat(random.below(MAX_REPEATS)) + s.slice(at);
  }
  return s.slice(0, MAX_INPUT);
}

const live: KubeObject = prepared(structuredClone(POD));
const wire = encodeProtobuf("v1", "Pod", live);

function prepared(o: any): KubeObject {
  const { object } = decodeBody(pods, Buffer.from(JSON.stringify(o)), "application/json");
  applyDefaults(pods, object);
  return object;
}

function throughServer(object: KubeObject): void {
  applyDefaults(pods, object);
  prepareForCreate(pods, object, { nowMs: 0 });
  validateCreate(pods, object);
}

export type Target = (random: Random, seeds: Record<string, string[]>) => void;
const pick = (random: Random, list: string[]): string => list[random.below(list.length)]!;

export const TARGETS: Record<string, Target> = {
  json: (r) => throughServer(decodeBody(pods, Buffer.from(mutate(r, pick(r, SEEDS["json"]!))), "application/json").object),
  deployment: (r) => {
    const { object } = decodeBody(
      deployments,
      Buffer.from(
        mutate(
          r,
          `{"spec":{"selector":{"matchLabels":{"a":"b"}},"template":${JSON.stringify({ metadata: POD.metadata, spec: POD.spec })}}}`,
        ),
      ),
      "application/json",
    );
    applyDefaults(deployments, object);
    prepareForCreate(deployments, object, { nowMs: 0 });
    validateCreate(deployments, object);
  },
  yaml: (r) => throughServer(decodeBody(pods, Buffer.from(mutate(r, pick(r, SEEDS["yaml"]!))), "application/yaml").object),
  protobuf: (r) => {
    const b = Buffer.from(wire);
    for (let i = 0; i < 3; i++) b[4 + r.below(b.length - 4)] = r.below(255 + 1);
    throughServer(decodeProtobuf(b.subarray(0, 4 + r.below(b.length - 3))).object);
  },
  labels: (r) => void parseLabelSelector(mutate(r, pick(r, SEEDS["label"]!))).matches({ a: "b" }),
  fields: (r) => void parseFieldSelector(mutate(r, pick(r, SEEDS["field"]!)), pods).matches(live),
  text: (r) => {
    const s = mutate(r, pick(r, SEEDS["text"]!));
    for (const f of [canonicalQuantity, canonicalTime, parseDuration, parseCron]) {
      try {
        f(s);
      } catch (e) {
        if (!(e instanceof PodwireError)) throw e;
      }
    }
  },
  jsonPatch: (r) =>
    void patchObject(
      pods,
      live,
      Buffer.from(
        mutate(
          r,
          '[{"op":"replace","path":"/spec/containers/0/image","value":"x"},{"op":"copy","from":"/spec","path":"/metadata/labels/x"}]',
        ),
      ),
      "application/json-patch+json",
    ),
  mergePatch: (r) =>
    void patchObject(
      pods,
      live,
      Buffer.from(mutate(r, '{"spec":{"containers":[{"name":"x"}],"nodeName":null},"metadata":{"labels":{"q":"r"}}}')),
      "application/merge-patch+json",
    ),
  strategic: (r) =>
    void patchObject(
      pods,
      live,
      Buffer.from(
        mutate(
          r,
          '{"spec":{"$setElementOrder/containers":[{"name":"c"}],"containers":[{"name":"c","$patch":"delete"}],"$retainKeys":["containers"]}}',
        ),
      ),
      "application/strategic-merge-patch+json",
    ),
  apply: (r) => {
    const text = mutate(r, JSON.stringify(POD));
    let config: any;
    try {
      config = JSON.parse(text);
    } catch {
      return;
    }
    if (config === null || typeof config !== "object" || Array.isArray(config)) return;
    if (config.metadata === null || typeof config.metadata !== "object") return;
    applyManaged(pods, live, config, { manager: "fuzz", time: "2024-01-01T00:00:00Z", force: true });
  },
  cel: (r) => {
    const program = compileCel(mutate(r, pick(r, SEEDS["cel"]!)), { self: CEL_DYN });
    program.run({ self: { a: [1, 2], c: [3] } }, 10_000);
  },
};

/** No input of the fuzzer may take more processor time than this; noise of the machine is taken out by asking again. */
const SLOW_MS = 100;
const SLOW_ATTEMPTS = 3;

/**
 * Runs `rounds` of every target, each round by a seed of its own; returns what failed in a way that no client may cause, or took too long, with
 * the target and the round.
 */
export function fuzz(seed: number, rounds: number, targets: Record<string, Target> = TARGETS): string[] {
  const failures: string[] = [];
  for (const [index, [name, target]] of Object.entries(targets).entries()) {
    for (let i = 0; i < rounds && failures.length < 20; i++) {
      const round = (seed * 31 + index) * 10_000_019 + i;
      try {
        const started = systemClock.monotonicMs();
        target(seededRandom(round), SEEDS);
        if (systemClock.monotonicMs() - started > SLOW_MS && isSlow(target, round))
          failures.push(`${name} round ${i}: slower than ${SLOW_MS} ms`);
      } catch (e) {
        if (!(e instanceof PodwireError)) failures.push(`${name} round ${i}: ${(e as Error).stack?.slice(0, 400) ?? String(e)}`);
      }
    }
  }
  return failures;
}

function isSlow(target: Target, round: number): boolean {
  for (let attempt = 0; attempt < SLOW_ATTEMPTS; attempt++) {
    const before = process.cpuUsage();
    try {
      target(seededRandom(round), SEEDS);
    } catch (e) {
      if (!(e instanceof PodwireError)) throw e;
    }
    const used = process.cpuUsage(before);
    if ((used.user + used.system) / 1000 < SLOW_MS) return false;
  }
  return true;
}
