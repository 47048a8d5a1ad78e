// [sig-node] ConfigMap, Secrets, Downward API, Variable Expansion: what reaches a container as environment, command or subpath.
import { expect } from "vitest";
import { BUSYBOX, type Context, conformance } from "../harness.ts";
import { ApiError, type Json } from "../rest.ts";

const environmentOf = async (t: Context, container: Json, spec: Json = {}) =>
  t.output("env", { image: BUSYBOX, command: ["env"], container, spec });
const configMap = (name: string, data: Json, labels: Json = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, labels },
  data,
});
const secret = (name: string, data: Json, labels: Json = {}) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name, labels },
  data: Object.fromEntries(Object.entries(data).map(([k, v]) => [k, Buffer.from(String(v)).toString("base64")])),
});
const PREFIXES = ["", "p-", "1_", "#_", "$_*_", "%.:"];
const refused = async (call: Promise<unknown>) => {
  const e = await call.then(
    () => undefined,
    (x) => x,
  );
  expect(e).toBeInstanceOf(ApiError);
  return e as ApiError;
};

conformance("[sig-node] ConfigMap should be consumable as environment variable names with various prefixes [Conformance]", async (t) => {
  await t.create(configMap("cm", { data_1: "value-1", "data.2": "value-2" }));
  const env = await environmentOf(t, { envFrom: PREFIXES.map((prefix) => ({ prefix, configMapRef: { name: "cm" } })) });
  for (const p of PREFIXES) {
    expect(env.split("\n")).toContain(`${p}data_1=value-1`);
    expect(env.split("\n")).toContain(`${p}data.2=value-2`);
  }
});

conformance("[sig-node] ConfigMap should be consumable via environment variable [NodeConformance] [Conformance]", async (t) => {
  await t.create(configMap("cm", { "data-1": "value-1" }));
  const env = await environmentOf(t, {
    env: [
      { name: "CONFIG_DATA_1", valueFrom: { configMapKeyRef: { name: "cm", key: "data-1" } } },
      { name: "ABSENT", valueFrom: { configMapKeyRef: { name: "none", key: "x", optional: true } } },
    ],
  });
  expect(env.split("\n")).toContain("CONFIG_DATA_1=value-1");
  expect(env).not.toContain("ABSENT");
});

conformance("[sig-node] ConfigMap should fail to create ConfigMap with empty key [Conformance]", async (t) => {
  const e = await refused(t.create(configMap("cm", { "": "value-1" })));
  expect(e.code).toBe(422);
  expect(e.message).toContain('data[]: Invalid value: "": a valid config key must consist of alphanumeric characters');
});

conformance("[sig-node] ConfigMap should run through a ConfigMap lifecycle [Conformance]", async (t) => {
  const made = await t.create(configMap("cm", { key: "value" }, { "test-configmap-static": "true" }));
  const watch = t.api.watch(t.path("configmaps"), {
    query: { labelSelector: "test-configmap-static=true", resourceVersion: made.metadata.resourceVersion },
  });
  await t.api.patch(
    t.path("configmaps/cm"),
    { data: { key: "patched" }, metadata: { labels: { "test-configmap": "patched" } } },
    "strategic",
  );
  expect((await watch.next()).value).toMatchObject({ type: "MODIFIED", object: { data: { key: "patched" } } });
  expect((await t.api.get(t.path("configmaps/cm"))).metadata.labels["test-configmap"]).toBe("patched");
  const { items } = await t.api.get("/api/v1/configmaps", { query: { labelSelector: "test-configmap-static=true" } });
  expect(items.filter((c: Json) => c.metadata.namespace === t.namespace).map((c: Json) => c.data.key)).toEqual(["patched"]);
  await t.api.delete(t.path("configmaps"), {}, { query: { labelSelector: "test-configmap-static=true" } });
  expect((await watch.next()).value).toMatchObject({ type: "DELETED" });
  await watch.return(undefined);
  expect((await t.api.get(t.path("configmaps"), { query: { labelSelector: "test-configmap-static=true" } })).items).toEqual([]);
});

conformance(
  "[sig-node] Secrets should be consumable as environment variable names variable names with various prefixes [Conformance]",
  async (t) => {
    await t.create(secret("s", { data_1: "value-1", "data.2": "value-2" }));
    const env = await environmentOf(t, { envFrom: PREFIXES.map((prefix) => ({ prefix, secretRef: { name: "s" } })) });
    for (const p of PREFIXES) {
      expect(env.split("\n")).toContain(`${p}data_1=value-1`);
      expect(env.split("\n")).toContain(`${p}data.2=value-2`);
    }
  },
);

conformance("[sig-node] Secrets should be consumable from pods in env vars [NodeConformance] [Conformance]", async (t) => {
  await t.create(secret("s", { "data-1": "value-1" }));
  const env = await environmentOf(t, { env: [{ name: "SECRET_DATA", valueFrom: { secretKeyRef: { name: "s", key: "data-1" } } }] });
  expect(env.split("\n")).toContain("SECRET_DATA=value-1");
});

conformance("[sig-node] Secrets should fail to create secret due to empty secret key [Conformance]", async (t) => {
  const e = await refused(t.create(secret("s", { "": "value-1" })));
  expect(e.code).toBe(422);
  expect(e.message).toContain('data[]: Invalid value: ""');
});

conformance("[sig-node] Secrets should patch a secret [Conformance]", async (t) => {
  const only = { query: { labelSelector: "testsecret-constant=true" } };
  await t.create(secret("s", { key: "value" }, { "testsecret-constant": "true" }));
  expect((await t.api.get(t.path("secrets"), only)).items).toHaveLength(1);
  const patch = { metadata: { labels: { testsecret: "true" } }, data: { key: Buffer.from("value1").toString("base64") } };
  await t.api.patch(t.path("secrets/s"), patch, "strategic");
  const s = await t.api.get(t.path("secrets/s"));
  expect([Buffer.from(s.data.key, "base64").toString(), s.metadata.labels.testsecret]).toEqual(["value1", "true"]);
  await t.api.delete(t.path("secrets"), {}, only);
  expect((await t.api.get(t.path("secrets"), only)).items).toEqual([]);
});

const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
const resource = (name: string, of: string) => ({ name, valueFrom: { resourceFieldRef: { resource: of } } });

conformance(
  "[sig-node] Downward API should provide container''s limits.cpu/memory and requests.cpu/memory as env vars [NodeConformance] [Conformance]",
  async (t) => {
    const env = await environmentOf(t, {
      env: [
        resource("CPU_LIMIT", "limits.cpu"),
        resource("MEMORY_LIMIT", "limits.memory"),
        resource("CPU_REQUEST", "requests.cpu"),
        resource("MEMORY_REQUEST", "requests.memory"),
      ],
      resources: { requests: { cpu: "250m", memory: "32Mi" }, limits: { cpu: "1250m", memory: "64Mi" } },
    });
    for (const line of ["CPU_LIMIT=2", "MEMORY_LIMIT=67108864", "CPU_REQUEST=1", "MEMORY_REQUEST=33554432"])
      expect(env.split("\n")).toContain(line);
  },
);

conformance(
  "[sig-node] Downward API should provide default limits.cpu/memory from node allocatable [NodeConformance] [Conformance]",
  async (t) => {
    const env = await environmentOf(t, { env: [resource("CPU_LIMIT", "limits.cpu"), resource("MEMORY_LIMIT", "limits.memory")] });
    const node = await t.api.get(`/api/v1/nodes/${(await t.getPod("env")).spec.nodeName}`);
    const { cpu } = node.status.allocatable;
    expect(env.split("\n")).toContain(`CPU_LIMIT=${Math.ceil(cpu.endsWith("m") ? Number(cpu.slice(0, -1)) / 1000 : Number(cpu))}`);
    const [, amount, unit] = /^(\d+)([KMG])i$/.exec(node.status.allocatable.memory) as RegExpExecArray;
    expect(env.split("\n")).toContain(`MEMORY_LIMIT=${Number(amount) * 1024 ** " KMG".indexOf(unit as string)}`);
  },
);

conformance("[sig-node] Downward API should provide host IP as an env var [NodeConformance] [Conformance]", async (t) => {
  const env = await environmentOf(t, { env: [field("HOST_IP", "status.hostIP")] });
  expect(env.split("\n")).toContain(`HOST_IP=${(await t.getPod("env")).status.hostIP}`);
  expect(env).toMatch(/^HOST_IP=\d+\.\d+\.\d+\.\d+$/m);
});

conformance("[sig-node] Downward API should provide hostIPs as an env var [NodeConformance] [Conformance]", async (t) => {
  const env = await environmentOf(t, { env: [field("HOST_IPS", "status.hostIPs")] });
  const ips = (await t.getPod("env")).status.hostIPs.map((x: Json) => x.ip);
  expect(env.split("\n")).toContain(`HOST_IPS=${ips.join(",")}`);
  expect(ips.length).toBeGreaterThan(0);
});

conformance("[sig-node] Downward API should provide pod UID as env vars [NodeConformance] [Conformance]", async (t) => {
  const env = await environmentOf(t, { env: [field("POD_UID", "metadata.uid")] });
  expect(env.split("\n")).toContain(`POD_UID=${(await t.getPod("env")).metadata.uid}`);
});

conformance(
  "[sig-node] Downward API should provide pod name, namespace and IP address as env vars [NodeConformance] [Conformance]",
  async (t) => {
    const env = await environmentOf(t, {
      env: [field("POD_NAME", "metadata.name"), field("POD_NAMESPACE", "metadata.namespace"), field("POD_IP", "status.podIP")],
    });
    const pod = await t.getPod("env");
    for (const line of ["POD_NAME=env", `POD_NAMESPACE=${t.namespace}`, `POD_IP=${pod.status.podIP}`])
      expect(env.split("\n")).toContain(line);
  },
);

conformance(
  "[sig-node] Variable Expansion should allow composing env vars into new env vars [NodeConformance] [Conformance]",
  async (t) => {
    const env = await environmentOf(t, {
      env: [
        { name: "FOO", value: "foo-value" },
        { name: "BAR", value: "bar-value" },
        { name: "FOOBAR", value: "$(FOO);;$(BAR)" },
        { name: "ESCAPED", value: "$$(FOO) $(ABSENT)" },
      ],
    });
    expect(env.split("\n")).toContain("FOOBAR=foo-value;;bar-value");
    expect(env.split("\n")).toContain("ESCAPED=$(FOO) $(ABSENT)");
  },
);

conformance(
  "[sig-node] Variable Expansion should allow substituting values in a container''s command [NodeConformance] [Conformance]",
  async (t) => {
    const out = await t.output("command", {
      image: BUSYBOX,
      command: ["sh", "-c", 'TEST_VAR=wrong echo "$(TEST_VAR)"'],
      env: [{ name: "TEST_VAR", value: "test-value" }],
    });
    expect(out).toBe("test-value\n");
  },
);

const WORK = { volumes: [{ name: "workdir1", emptyDir: {} }] };
const mount = (subPathExpr: string, mountPath = "/testcontainer") => ({ name: "workdir1", mountPath, subPathExpr });

conformance("[sig-node] Variable Expansion should allow substituting values in a volume subpath [Conformance]", async (t) => {
  const out = await t.output("subpath", {
    image: BUSYBOX,
    command: ["sh", "-c", "test -d /testcontainer/subpath;echo $?"],
    container: {
      env: [field("POD_NAME", "metadata.name")],
      volumeMounts: [mount("$(POD_NAME)", "/logscontainer"), { name: "workdir1", mountPath: "/testcontainer" }],
    },
    spec: WORK,
  });
  expect(out).toBe("0\n");
});

async function failsWith(t: Context, value: string): Promise<void> {
  await t.create(
    t.pod("bad", {
      image: BUSYBOX,
      command: ["sh", "-c", "true"],
      container: { env: [{ name: "POD_NAME", value }], volumeMounts: [mount("$(POD_NAME)")] },
      spec: { ...WORK, restartPolicy: "Never" },
    }),
  );
  await t.podWhen("bad", "waits", (p) => p.status.containerStatuses?.[0].state.waiting?.reason === "CreateContainerConfigError");
}

conformance("[sig-node] Variable Expansion should fail substituting values in a volume subpath with absolute path [Conformance]", (t) =>
  failsWith(t, "/tmp"),
);
conformance("[sig-node] Variable Expansion should fail substituting values in a volume subpath with backticks [Conformance]", (t) =>
  failsWith(t, ".."),
);

const expanding = (t: Context, name: string, annotations: Record<string, string>) =>
  t.pod(name, {
    image: BUSYBOX,
    command: ["sh", "-c", "tail -f /dev/null"],
    annotations,
    container: {
      env: [field("POD_NAME", "metadata.name"), field("ANNOTATION", "metadata.annotations['mysubpath']")],
      volumeMounts: [mount("$(ANNOTATION)/$(POD_NAME)", "/subpath_mount"), { name: "workdir1", mountPath: "/volume_mount" }],
    },
    spec: WORK,
  });

conformance("[sig-node] Variable Expansion should succeed in writing subpaths in container [Conformance]", async (t) => {
  await t.create(expanding(t, "foo", { mysubpath: "mypath" }));
  await t.podReady("foo");
  await t.exec("foo", "touch /volume_mount/mypath/foo/test.log");
  await t.exec("foo", "test -f /subpath_mount/test.log");
  await t.api.patch(t.path("pods/foo"), { metadata: { annotations: { mysubpath: "mynewpath" } } });
  await t.podReady("foo");
  await t.deletePod("foo");
  await t.podGone("foo");
});

conformance(
  "[sig-node] Variable Expansion should verify that a failing subpath expansion can be modified during the lifecycle of a container [Slow] [Conformance]",
  async (t) => {
    await t.create(expanding(t, "foo", { notmysubpath: "mypath" }));
    await t.podWhen("foo", "waits", (p) => p.status.containerStatuses?.[0].state.waiting?.reason === "CreateContainerConfigError");
    await t.api.patch(t.path("pods/foo"), { metadata: { annotations: { mysubpath: "mypath" } } });
    await t.podReady("foo");
    await t.exec("foo", "test -d /volume_mount/mypath/foo");
  },
);
