// PodSecurity: the words of each check, the rules of earlier versions, and what a namespace's labels make of pods, templates and existing pods.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type InProcess, startInProcess } from "../in-process.ts";
import { policyOf } from "./pod-security.ts";
import { type Level, violations, violationText } from "./pod-security-checks.ts";

const GOOD = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  runAsNonRoot: true,
  seccompProfile: { type: "RuntimeDefault" },
};
const minds = (spec: object, o: { level?: Level; version?: string; annotations?: object } = {}) =>
  violationText(
    violations(o.level ?? "baseline", o.version ?? "latest", {
      metadata: { annotations: o.annotations },
      spec: { containers: [{ name: "a", securityContext: GOOD }], ...spec },
    }),
  );
const one = (securityContext: object, more: object = {}) => ({ containers: [{ name: "a", securityContext, ...more }] });

describe("checks", () => {
  test.each([
    ["host namespaces (hostNetwork=true, hostPID=true)", { hostNetwork: true, hostPID: true }],
    ['hostPath volumes (volume "v")', { volumes: [{ name: "v", hostPath: { path: "/" } }] }],
    [
      'hostPort (containers "a", "b" use hostPorts 8080, 90)',
      {
        containers: [
          { name: "a", ports: [{ hostPort: 8080 }] },
          { name: "b", ports: [{ hostPort: 90 }] },
        ],
      },
    ],
    [
      'probe or lifecycle host (container "a" uses probe or lifecycle hosts "h1", "h2")',
      one({}, { livenessProbe: { httpGet: { host: "h2" } }, lifecycle: { preStop: { tcpSocket: { host: "h1" } } } }),
    ],
    ['privileged (container "a" must not set securityContext.privileged=true)', one({ privileged: true })],
    [
      'procMount (container "a" must not set securityContext.procMount to "Unmasked")',
      { hostUsers: false, ...one({ procMount: "Unmasked" }) },
    ],
    [
      'seLinuxOptions (pod and container "a" set forbidden securityContext.seLinuxOptions: types "bad", "worse"; user may not be set)',
      { securityContext: { seLinuxOptions: { type: "worse" } }, ...one({ seLinuxOptions: { type: "bad", user: "u" } }) },
    ],
    [
      'seccompProfile (pod and container "a" must not set securityContext.seccompProfile.type to "Unconfined")',
      { securityContext: { seccompProfile: { type: "Unconfined" } }, ...one({ seccompProfile: { type: "Unconfined" } }) },
    ],
    ["forbidden sysctls (kernel.msgmax, net.a)", { securityContext: { sysctls: [{ name: "kernel.msgmax" }, { name: "net.a" }] } }],
    [
      'hostProcess (pod and container "a" must not set securityContext.windowsOptions.hostProcess=true)',
      { securityContext: { windowsOptions: { hostProcess: true } }, ...one({ windowsOptions: { hostProcess: true } }) },
    ],
    [
      'non-default capabilities (container "a" must not include "NET_ADMIN", "SYS_TIME" in securityContext.capabilities.add)',
      one({ capabilities: { add: ["SYS_TIME", "NET_ADMIN", "CHOWN"] } }),
    ],
  ])("baseline: %s", (words, spec) => {
    expect(minds(spec)).toBe(words);
  });

  test("baseline: AppArmor by field and by annotation, in one list", () => {
    expect(
      minds(one({ appArmorProfile: { type: "Unconfined" } }), {
        annotations: { "container.apparmor.security.beta.kubernetes.io/b": "unconfined" },
      }),
    ).toBe(
      'forbidden AppArmor profiles (container "a" and annotation must not set AppArmor profile type to "Unconfined", "container.apparmor.security.beta.kubernetes.io/b="unconfined"")',
    );
  });

  test("restricted: everything at once, baseline first, each in order of its id", () => {
    const volumes = [
      { name: "v", nfs: {} },
      { name: "w", hostPath: { path: "/" } },
      { name: "i", image: {} },
    ];
    expect(minds({ hostIPC: true, volumes, ...one({ capabilities: { add: ["CHOWN"] }, runAsUser: 0 }) }, { level: "restricted" })).toBe(
      [
        "host namespaces (hostIPC=true)",
        'allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false)',
        'unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]; container "a" must not include "CHOWN" in securityContext.capabilities.add)',
        'restricted volume types (volumes "v", "w" use restricted volume types "hostPath", "nfs")',
        'runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true)',
        'runAsUser=0 (container "a" must not set runAsUser=0)',
        'seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
      ].join(", "),
    );
    expect(minds({ ...one({ ...GOOD, runAsNonRoot: false }), securityContext: { runAsNonRoot: false } }, { level: "restricted" })).toBe(
      'runAsNonRoot != true (pod and container "a" must not set securityContext.runAsNonRoot=false)',
    );
  });

  test("a version's rules are those of its time", () => {
    const at = (version: string, spec: object, level: Level = "baseline", annotations?: object) =>
      minds(spec, { level, version, ...(annotations ? { annotations } : {}) });
    const probe = one({}, { readinessProbe: { tcpSocket: { host: "h" } } });
    expect([at("v1.33", probe), at("v1.34", probe) === ""]).toEqual(["", false]);
    const keepalive = { securityContext: { sysctls: [{ name: "net.ipv4.tcp_keepalive_time" }] } };
    expect([at("v1.28", keepalive), at("v1.29", keepalive)]).toEqual(["forbidden sysctls (net.ipv4.tcp_keepalive_time)", ""]);
    const engine = one({ seLinuxOptions: { type: "container_engine_t" } });
    expect([at("v1.30", engine) === "", at("v1.31", engine)]).toEqual([false, ""]);
    const root = one({ ...GOOD, runAsUser: 0 });
    expect([at("v1.22", root, "restricted"), at("v1.23", root, "restricted")]).toEqual([
      "",
      'runAsUser=0 (container "a" must not set runAsUser=0)',
    ]);
    const windows = { os: { name: "windows" }, ...one({ runAsNonRoot: true }) };
    expect([at("v1.24", windows, "restricted").split(" (")[0], at("v1.25", windows, "restricted")]).toEqual([
      "allowPrivilegeEscalation != false",
      "",
    ]);
    const annotation = { "seccomp.security.alpha.kubernetes.io/pod": "unconfined" };
    expect(at("v1.18", {}, "baseline", annotation)).toBe(
      'seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")',
    );
    expect(at("v1.19", {}, "baseline", annotation)).toBe("");
    expect(at("v1.99", { hostIPC: true })).toBe("host namespaces (hostIPC=true)");
  });
});

test("labels: warn follows enforce when that is stricter, errors are strict for enforce and silent for the others", () => {
  const p = "pod-security.kubernetes.io/";
  expect(policyOf({ [`${p}enforce`]: "baseline", [`${p}enforce-version`]: "v1.30" }).policy.warn).toEqual({
    level: "baseline",
    version: "v1.30",
  });
  expect(policyOf({ [`${p}enforce`]: "baseline", [`${p}warn-version`]: "v1.2" }).policy.warn).toEqual({
    level: "baseline",
    version: "v1.2",
  });
  expect(policyOf({ [`${p}enforce`]: "baseline", [`${p}warn`]: "privileged" }).policy.warn.level).toBe("privileged");
  const wrong = policyOf({ [`${p}enforce`]: "tight", [`${p}audit`]: "tight", [`${p}warn-version`]: "1.2" });
  expect(wrong.policy).toEqual({
    enforce: { level: "restricted", version: "latest" },
    audit: { level: "privileged", version: "latest" },
    warn: { level: "privileged", version: "latest" },
  });
  expect(wrong.errors.map((e) => [e.field, e.detail])).toEqual([
    [`metadata.labels[${p}enforce]`, "must be one of privileged, baseline, restricted"],
    [`metadata.labels[${p}audit]`, "must be one of privileged, baseline, restricted"],
    [`metadata.labels[${p}warn-version]`, 'must be "latest" or "v1.x"'],
  ]);
});

describe("in a namespace", () => {
  let api: InProcess;
  beforeAll(async () => {
    api = await startInProcess({ flags: { "disable-admission-plugins": "ServiceAccount" } });
  });
  afterAll(() => api.stop());

  const warnings = (headers: Record<string, string | string[]>) =>
    [headers["warning"] ?? []].flat().map((w) => w.replace(/^299 - "|"$/g, "").replaceAll("\\", ""));
  const namespace = (name: string, labels: object) => api.request("POST", "/api/v1/namespaces", { metadata: { name, labels } });
  const pod = (name: string, namespace: string, o: object = {}, metadata: object = {}) =>
    api.request("POST", `/api/v1/namespaces/${namespace}/pods`, {
      metadata: { name, ...metadata },
      spec: { containers: [{ name: "a", image: "i" }], ...o },
    });

  test("refuses pods, warns of templates, and says which pods a stricter level would refuse", async () => {
    await namespace("open", {});
    const owner = { apiVersion: "v1", kind: "ReplicaSet", name: "r", uid: "u", controller: true };
    for (const n of ["p2", "p1"]) await pod(n, "open", { hostNetwork: true }, { ownerReferences: [owner] });
    await pod("p0", "open", { hostIPC: true });
    const closed = await api.request("PATCH", "/api/v1/namespaces/open", {
      metadata: { labels: { "pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/enforce-version": "v1.34" } },
    });
    expect(warnings(closed.headers)).toEqual([
      'existing pods in namespace "open" violate the new PodSecurity enforce level "baseline:v1.34"',
      "p0 (and 2 other pods): host namespaces",
    ]);
    const refused = await pod("x", "open", { hostPID: true });
    expect([refused.status, refused.body.message]).toEqual([
      403,
      'pods "x" is forbidden: violates PodSecurity "baseline:v1.34": host namespaces (hostPID=true)',
    ]);
    const template = { metadata: { labels: { a: "b" } }, spec: { hostPID: true, containers: [{ name: "a", image: "i" }] } };
    const deployment = await api.request("POST", "/apis/apps/v1/namespaces/open/deployments", {
      metadata: { name: "d" },
      spec: { selector: { matchLabels: { a: "b" } }, template },
    });
    expect([deployment.status, warnings(deployment.headers)]).toEqual([
      201,
      ['would violate PodSecurity "baseline:v1.34": host namespaces (hostPID=true)'],
    ]);
    const image = await api.request("PATCH", "/api/v1/namespaces/open/pods/p0", { metadata: { labels: { x: "y" } } });
    expect(image.status).toBe(200);
    const containers = { spec: { containers: [{ name: "a", image: "j" }] } };
    const changed = await api.request("PATCH", "/api/v1/namespaces/open/pods/p0", containers, {
      headers: { "content-type": "application/strategic-merge-patch+json" },
    });
    expect(changed.status).toBe(403);
  });

  test("refuses labels that mean nothing, unless they were there", async () => {
    const bad = await namespace("bad", { "pod-security.kubernetes.io/enforce": "tight" });
    expect([bad.status, bad.body.details?.causes]).toEqual([
      422,
      [
        {
          reason: "FieldValueInvalid",
          message: 'Invalid value: "tight": must be one of privileged, baseline, restricted',
          field: "metadata.labels[pod-security.kubernetes.io/enforce]",
        },
      ],
    ]);
  });
});
