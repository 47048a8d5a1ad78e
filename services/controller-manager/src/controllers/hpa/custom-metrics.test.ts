// Metrics of adapters: how they are asked for, and the sizes that they call for.
import type { ApiClient, KubeObject } from "@podwire/client";
import { expect, test } from "vitest";
import { externalMetric, objectMetric, podMetric, replicasForValue } from "./custom-metrics.ts";

/** The one call that matters of a client: answers as an adapter behind the API would. */
function adapter(answers: Record<string, { status: number; body: unknown }>): ApiClient {
  const raw = async (r: { path: string }) => {
    const answer = answers[r.path] ?? { status: 404, body: "404 page not found" };
    const text = typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body);
    return { status: answer.status, headers: {}, body: new TextEncoder().encode(text) };
  };
  return { raw } as unknown as ApiClient;
}
const ready = (name: string): KubeObject => ({
  metadata: { name },
  status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
});
const pods = ["a", "b", "c"].map(ready);
const TOLERANCE = { up: 0.1, down: 0.1 };

test("asks for a metric of pods, of an object, and of the outside", async () => {
  const value = (v: string, name = "") => ({ describedObject: { name }, value: v, timestamp: "2026-01-01T00:00:00Z" });
  const client = adapter({
    "/apis/custom.metrics.k8s.io/v1beta2/namespaces/n/pods/*/rps?labelSelector=app%3Dx": {
      status: 200,
      body: { items: [value("1500m", "a"), value("2", "b")] },
    },
    "/apis/custom.metrics.k8s.io/v1beta2/namespaces/n/ingresses.networking.k8s.io/main/rps": {
      status: 200,
      body: { items: [value("2k")] },
    },
    "/apis/external.metrics.k8s.io/v1beta1/namespaces/n/queue?labelSelector=name%3Djobs": {
      status: 200,
      body: { items: [{ value: "30" }, { value: "12" }] },
    },
  });
  const uses = await podMetric(client, "n", "app=x", { name: "rps" });
  expect([...uses].map(([name, u]) => [name, u.milli])).toEqual([
    ["a", 1_500],
    ["b", 2_000],
  ]);
  expect(await objectMetric(client, "n", "ingresses.networking.k8s.io", "main", { name: "rps" })).toBe(2_000_000);
  expect(await externalMetric(client, "n", { name: "queue", selector: { matchLabels: { name: "jobs" } } })).toBe(42_000);
});

test("says what Kubernetes says without an adapter, and what an adapter says", async () => {
  await expect(externalMetric(adapter({}), "n", { name: "queue" })).rejects.toThrow(
    "unable to fetch metrics from external metrics API: the server could not find the requested resource",
  );
  const body = { kind: "Status", message: "the server could not find the metric rps for pods" };
  const client = adapter({ "/apis/custom.metrics.k8s.io/v1beta2/namespaces/n/pods/*/rps": { status: 404, body } });
  await expect(podMetric(client, "n", "", { name: "rps" })).rejects.toThrow("could not find the metric rps for pods");
});

test("a value of the whole against a target, or an average for each replica", () => {
  const size = (milli: number, target: { type: string; value?: string; averageValue?: string }, current = 3) =>
    replicasForValue(current, current, pods, milli, target, TOLERANCE);
  expect(size(20_000, { type: "Value", value: "10" })).toBe(6);
  expect(size(10_500, { type: "Value", value: "10" })).toBe(3); // Within the tolerance.
  expect(size(25_000, { type: "Value", value: "10" }, 0)).toBe(3);
  expect(size(25_000, { type: "AverageValue", averageValue: "5" })).toBe(5);
  expect(size(15_500, { type: "AverageValue", averageValue: "5" })).toBe(3);
});
