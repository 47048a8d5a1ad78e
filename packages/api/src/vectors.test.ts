// The recorded transcripts of a real kube-apiserver, as far as pure functions can answer them. The full replay, over
// HTTPS and against a running cluster, is the suite `api` under test/.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { differences, NotPureError, Replay, type Scenario, type Step } from "./vectors.replay.ts";

const folder = join(import.meta.dirname, "../../../test/vectors/api");
const PURE = /^(validate|crud|patch|ssa|table|sub|concurrency|admission-vap-invalid)/;

/** Steps whose recorded answer is the vendor build's, or needs more than this imitation; each with its reason. */
const EXCEPT: Record<string, string> = {
  "ssa-pod step3": "the vendor build adds a volume source that its answers do not show, so line numbers of the diff differ",
  "validate-pod-immutable step2": "as above",
  "validate-pod-immutable step3": "as above",
  "sub-ephemeralcontainers step5": "as above",
};

describe("recorded transcripts", () => {
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith(".json") || !PURE.test(file)) continue;
    const scenario = JSON.parse(readFileSync(join(folder, file), "utf8")) as Scenario;
    test(`${file.slice(0, -5)}: ${scenario.description}`, () => {
      const replay = new Replay("o-ns");
      const problems: string[] = [];
      const steps = [...scenario.setup.map((s, i) => ({ ...s, id: `setup${i}` })), ...scenario.steps];
      for (const step of steps) problems.push(...compare(replay, step, scenario.name ?? file.slice(0, -5)));
      expect(problems).toEqual([]);
    });
  }
});

function compare(replay: Replay, step: Step, name: string): string[] {
  let answer: ReturnType<Replay["run"]>;
  try {
    answer = replay.run(step);
  } catch (e) {
    if (e instanceof NotPureError) return [];
    throw e;
  }
  if (step.response === undefined || answer.body === undefined || EXCEPT[`${name} ${step.id}`] !== undefined) return [];
  const at = `${step.id} ${step.request.method} ${step.request.path}`;
  if (answer.status !== step.response.status)
    return [`${at}: want ${step.response.status}, got ${answer.status} ${answer.body.message ?? ""}`];
  const out = step["statusOnly"] ? [] : differences(step.response.body, answer.body, "o-ns");
  const want = JSON.stringify(step.response.warnings ?? []);
  if (want !== JSON.stringify(answer.warnings)) out.push(`warnings: want ${want}, got ${JSON.stringify(answer.warnings)}`);
  return out.filter((d) => !/columnDefinitions\[\d+\]\.description/.test(d)).map((d) => `${at}: ${d}`);
}
