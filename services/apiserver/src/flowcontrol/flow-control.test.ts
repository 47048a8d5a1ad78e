// Priority and fairness: whom a request belongs to, seats and queues on a virtual clock, and a server whose only seat an admission webhook
// holds for as long as the test wants.
import { virtualClock } from "@podwire/testkit";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type HttpsServer, type InProcess, startHttps, startInProcess } from "../in-process.ts";
import { boundsOf, type LevelConfig, shared } from "./concurrency.ts";
import { dealHand, QueueSet } from "./queue-set.ts";

let api: InProcess;
let hook: HttpsServer;
let release: () => void = () => {};
let held = 0;
const flow = "/apis/flowcontrol.apiserver.k8s.io/v1";
const slow = { name: "slow", groups: ["system:masters-of-nothing", "system:authenticated"] };
const other = { name: "other", groups: ["system:authenticated"] };
const node = { name: "system:node:n", groups: ["system:nodes", "system:authenticated"] };

beforeAll(async () => {
  hook = await startHttps([], {}, async ({ body }) => {
    held++;
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    return { body: { ...body, response: { uid: body.request.uid, allowed: true } } };
  });
  api = await startInProcess({ flags: { "max-requests-inflight": 400, "max-mutating-requests-inflight": 200 } });
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  await api.request("POST", `${rbac}/clusterrolebindings`, {
    metadata: { name: "all" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
    subjects: [{ kind: "Group", apiGroup: "rbac.authorization.k8s.io", name: "system:authenticated" }],
  });
  await api.request("POST", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", {
    metadata: { name: "slow" },
    webhooks: [
      {
        name: "slow.example.com",
        clientConfig: { url: hook.url, caBundle: hook.caBundle },
        rules: [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] }],
        sideEffects: "None",
        admissionReviewVersions: ["v1"],
        timeoutSeconds: 20,
        objectSelector: { matchLabels: { slow: "yes" } },
      },
    ],
  });
});
afterAll(async () => {
  release();
  await api.stop();
  await hook.close();
});

const uid = (r: { headers: Record<string, unknown> }) => [
  r.headers["x-kubernetes-pf-flowschema-uid"],
  r.headers["x-kubernetes-pf-prioritylevel-uid"],
];
const uidsOf = async (schema: string, level: string) =>
  Promise.all(
    [`flowschemas/${schema}`, `prioritylevelconfigurations/${level}`].map(
      async (p) => (await api.request("GET", `${flow}/${p}`)).body.metadata.uid,
    ),
  );

it("names the flow schema and the priority level of every answer, refusals too", async () => {
  const expected: [object, string, string, string, string][] = [
    [{ name: "a", groups: ["system:masters"] }, "GET", "/api/v1/pods", "exempt", "exempt"],
    [other, "GET", "/api/v1/pods", "global-default", "global-default"],
    [other, "GET", "/healthz", "probes", "exempt"],
    [node, "PATCH", "/api/v1/nodes/n/status", "system-node-high", "node-high"],
    [node, "GET", "/api/v1/pods", "system-nodes", "system"],
    [
      { name: "system:kube-scheduler", groups: ["system:authenticated"] },
      "GET",
      "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x",
      "system-leader-election",
      "leader-election",
    ],
    [
      { name: "system:serviceaccount:kube-system:x", groups: ["system:serviceaccounts", "system:authenticated"] },
      "GET",
      "/api/v1/pods",
      "kube-system-service-accounts",
      "workload-high",
    ],
    [
      { name: "system:serviceaccount:ns:x", groups: ["system:serviceaccounts", "system:authenticated"] },
      "GET",
      "/api/v1/pods",
      "service-accounts",
      "workload-low",
    ],
    [{ name: "system:anonymous", groups: ["system:unauthenticated"] }, "GET", "/api/v1/pods", "global-default", "global-default"],
    [{ name: "stranger", groups: [] }, "GET", "/api/v1/pods", "catch-all", "catch-all"],
  ];
  for (const [user, method, path, schema, level] of expected)
    expect(uid(await api.request(method, path, method === "PATCH" ? {} : undefined, { user: user as never })), `${schema} ${path}`).toEqual(
      await uidsOf(schema, level),
    );
});

it("writes whether a schema's level exists, and keeps its own objects to itself", async () => {
  const dangling = async (name: string) => (await api.request("GET", `${flow}/flowschemas/${name}`)).body.status?.conditions?.[0];
  await vi.waitFor(async () => expect(await dangling("exempt")).toMatchObject({ type: "Dangling", status: "False", reason: "Found" }));
  const rules = [
    {
      subjects: [{ kind: "User", user: { name: "slow" } }],
      resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"], clusterScope: true, namespaces: ["*"] }],
    },
  ];
  const spec = { matchingPrecedence: 50, priorityLevelConfiguration: { name: "one-seat" }, rules };
  await api.request("POST", `${flow}/flowschemas`, { metadata: { name: "slow" }, spec });
  await vi.waitFor(async () =>
    expect(await dangling("slow")).toMatchObject({
      status: "True",
      reason: "NotFound",
      message: 'This FlowSchema references the PriorityLevelConfiguration object named "one-seat" but there is no such object',
    }),
  );
  const limited = {
    nominalConcurrencyShares: 0,
    limitResponse: { type: "Queue", queuing: { queues: 2, handSize: 1, queueLengthLimit: 1 } },
  };
  await api.request("POST", `${flow}/prioritylevelconfigurations`, { metadata: { name: "one-seat" }, spec: { type: "Limited", limited } });
  await vi.waitFor(async () => expect((await dangling("slow")).status).toBe("False"));
  expect((await api.request("GET", `${flow}/flowschemas/exempt`)).body.metadata.annotations).toEqual({
    "apf.kubernetes.io/autoupdate-spec": "true",
  });
});

it("lets one in, keeps one waiting and refuses the next with 429, while others are served", async () => {
  const post = (name: string) =>
    api.request("POST", "/api/v1/namespaces/default/configmaps", { metadata: { name, labels: { slow: "yes" } } }, { user: slow });
  const first = post("first");
  await vi.waitFor(() => expect(held).toBe(1));
  const second = post("second");
  const third = await post("third");
  expect([third.status, third.headers["retry-after"], third.body]).toEqual([429, "1", "Too many requests, please try again later.\n"]);
  expect(uid(third)).toEqual(await uidsOf("slow", "one-seat"));
  expect((await api.request("GET", "/api/v1/namespaces/default/configmaps", undefined, { user: other })).status).toBe(200);
  const dump = (await api.request("GET", "/debug/api_priority_and_fairness/dump_priority_levels")).body as string;
  expect(
    dump
      .split("\n")
      .find((l) => l.startsWith("one-seat"))
      ?.split(/,\s*/),
  ).toEqual(["one-seat", "1", "false", "false", "1", "1"]);
  const requests = (await api.request("GET", "/debug/api_priority_and_fairness/dump_requests?includeRequestDetails=1")).body as string;
  expect(requests).toMatch(/one-seat,\s+slow,\s+\d,\s+0,\s.*slow,\s+create,\s+\/api\/v1\/namespaces\/default\/configmaps,\s+default/);
  release();
  expect((await first).status).toBe(201);
  await vi.waitFor(() => expect(held).toBe(2));
  release();
  expect((await second).status).toBe(201);
});

it("answers 504 after ?timeout, and 400 when that is no duration", async () => {
  const body = { metadata: { name: "late", labels: { slow: "yes" } } };
  const late = await api.request("POST", "/api/v1/namespaces/default/configmaps?timeout=50ms", body);
  expect([late.status, late.body.reason, late.body.message]).toEqual([
    504,
    "Timeout",
    "Timeout: request did not complete within the allotted timeout",
  ]);
  await vi.waitFor(() => expect(held).toBe(3));
  release();
  const wrong = await api.request("GET", "/api/v1/pods?timeout=5");
  expect([wrong.status, wrong.body.message]).toEqual([
    400,
    'invalid timeout specified in the request URL - time: missing unit in duration "5"',
  ]);
});

it("counts plainly when priority and fairness is off", async () => {
  const plain = await startInProcess({ flags: { "enable-priority-and-fairness": "false", "max-mutating-requests-inflight": 1 } });
  try {
    for (const path of [
      "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
      "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    ]) {
      const name = path.endsWith("bindings") ? "all" : "slow";
      const { metadata: _, ...rest } = (await api.request("GET", `${path}/${name}`)).body;
      await plain.request("POST", path, { ...rest, metadata: { name } });
    }
    const post = (name: string, user = slow) =>
      plain.request("POST", "/api/v1/namespaces/default/configmaps", { metadata: { name, labels: { slow: "yes" } } }, { user });
    const before = held;
    const first = post("a");
    await vi.waitFor(() => expect(held).toBe(before + 1));
    const refused = await post("b");
    expect([refused.status, refused.headers["x-kubernetes-pf-flowschema-uid"]]).toEqual([429, undefined]);
    expect((await plain.request("GET", "/api/v1/pods", undefined, { user: slow })).status).toBe(200);
    release();
    expect((await first).status).toBe(201);
  } finally {
    await plain.stop();
  }
});

it("gives turns to flows, however many requests one of them has", async () => {
  const clock = virtualClock();
  const set = new QueueSet(clock, 1, { queues: 64, handSize: 4, queueLengthLimit: 100 });
  const seat = set.trySeat(1);
  const order: string[] = [];
  const ask = (flow: string) =>
    set.wait({ seats: 1, schema: "s", flow, about: undefined, waitMs: 60_000 }).then((s) => {
      order.push(flow);
      if (s) set.leave(s);
    });
  const all = [...Array.from({ length: 20 }, () => ask("flood")), ask("mouse"), ask("cat")];
  if (seat) set.leave(seat);
  await Promise.all(all);
  expect(order.indexOf("mouse")).toBeLessThan(8);
  expect(order.indexOf("cat")).toBeLessThan(8);
  expect([set.seatsInUse, set.executing, set.waiting]).toEqual([0, 0, 0]);
});

it("gives up after the longest wait", async () => {
  const clock = virtualClock();
  const set = new QueueSet(clock, 1, { queues: 1, handSize: 1, queueLengthLimit: 10 });
  set.trySeat(1);
  const waiting = set.wait({ seats: 1, schema: "s", flow: "f", about: undefined, waitMs: 15_000 });
  await clock.advance(15_000);
  expect(await waiting).toBeUndefined();
  expect(set.waiting).toBe(0);
});

it("deals hands without repetition, the same to the same flow, and different to others", () => {
  const hands = Array.from({ length: 200 }, (_, i) => dealHand("s", `f${i}`, 128, 6));
  for (const h of hands) {
    expect(new Set(h).size).toBe(6);
    expect(Math.max(...h)).toBeLessThan(128);
  }
  expect(dealHand("s", "f0", 128, 6)).toEqual(hands[0]);
  expect(new Set(hands.map((h) => h.join())).size).toBe(200);
  expect(dealHand("s", "x", 3, 6).sort()).toEqual([0, 1, 2]);
});

it("shares seats by shares, and lends what is not wanted", () => {
  const level = (name: string, shares: number, lendablePercent: number, borrowingLimitPercent?: number): LevelConfig => ({
    name,
    uid: "",
    exempt: false,
    shares,
    lendablePercent,
    borrowingLimitPercent,
    queuing: { queues: 0, handSize: 0, queueLengthLimit: 0 },
  });
  const bounds = boundsOf([level("a", 30, 50), level("b", 10, 0, 50), level("c", 20, 0)], 60);
  expect(bounds.get("a")).toEqual({ nominal: 30, min: 15, max: 90 });
  expect(bounds.get("b")).toEqual({ nominal: 10, min: 10, max: 15 });
  const of = (a: number, b: number, c: number) =>
    shared(
      ["a", "b", "c"].map((n, i) => ({ bounds: bounds.get(n) as never, want: [a, b, c][i] as number })),
      60,
    );
  const [a, b, c] = of(0, 40, 60) as [number, number, number];
  expect(a).toBeLessThan(20);
  expect(b).toBe(15);
  expect(c).toBeGreaterThan(25);
  expect(Math.abs(a + b + c - 60)).toBeLessThanOrEqual(2);
});
