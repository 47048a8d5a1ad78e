// [sig-storage] Downward API volumes, by themselves and projected: names, labels, resources, modes.
import { expect } from "vitest";
import { type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";

const NODE = "[NodeConformance] [Conformance]";
const LINUX = `[LinuxOnly] ${NODE}`;
const RESOURCES = { requests: { cpu: "250m", memory: "32Mi" }, limits: { cpu: "1250m", memory: "64Mi" } };

function bytesOf(quantity: string): number {
  const unit = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 }[quantity.slice(-2)] ?? 1;
  return Number.parseInt(quantity, 10) * unit;
}

for (const [title, projected] of [
  ["Downward API volume", false],
  ["Projected downwardAPI", true],
] as const) {
  const volume = (items: Json[], defaultMode?: number): Json => {
    const mode = defaultMode === undefined ? {} : { defaultMode };
    return {
      name: "podinfo",
      ...(projected ? { projected: { ...mode, sources: [{ downwardAPI: { items } }] } } : { downwardAPI: { ...mode, items } }),
    };
  };
  const named = (mode?: number): Json => ({
    path: "podname",
    fieldRef: { fieldPath: "metadata.name" },
    ...(mode === undefined ? {} : { mode }),
  });
  const read = (t: Context, v: Json, file: string, o: { mode?: boolean; resources?: Json } = {}) =>
    t.output("reader", {
      args: ["mounttest", `--file_content=/etc/podinfo/${file}`, ...(o.mode ? [`--file_mode=/etc/podinfo/${file}`] : [])],
      container: { volumeMounts: [{ name: "podinfo", mountPath: "/etc/podinfo" }], ...(o.resources ? { resources: o.resources } : {}) },
      spec: { volumes: [v] },
    });

  conformance(`[sig-storage] ${title} should provide podname only ${NODE}`, async (t) => {
    expect(await read(t, volume([named()]), "podname")).toContain('content of file "/etc/podinfo/podname": reader');
  });
  conformance(`[sig-storage] ${title} should set DefaultMode on files ${LINUX}`, async (t) => {
    expect(await read(t, volume([named()], 0o400), "podname", { mode: true })).toContain('mode of file "/etc/podinfo/podname": -r--------');
  });
  conformance(`[sig-storage] ${title} should set mode on item file ${LINUX}`, async (t) => {
    expect(await read(t, volume([named(0o400)]), "podname", { mode: true })).toContain('mode of file "/etc/podinfo/podname": -r--------');
  });

  const resource = (what: string, divisor: string): Json => ({
    path: "value",
    resourceFieldRef: { containerName: "c", resource: what, divisor },
  });
  for (const [what, field, divisor, value] of [
    ["cpu limit", "limits.cpu", "1m", "1250"],
    ["cpu request", "requests.cpu", "1m", "250"],
    ["memory limit", "limits.memory", "1", String(64 * 1024 * 1024)],
    ["memory request", "requests.memory", "1", String(32 * 1024 * 1024)],
  ] as const)
    if (projected || what.startsWith("cpu"))
      conformance(`[sig-storage] ${title} should provide container''s ${what} ${NODE}`, async (t) => {
        const out = await read(t, volume([resource(field, divisor)]), "value", { resources: RESOURCES });
        expect(out).toContain(`content of file "/etc/podinfo/value": ${value}\n`);
      });
  for (const what of ["cpu", "memory"] as const)
    if (projected || what === "cpu")
      conformance(
        `[sig-storage] ${title} should provide node allocatable (${what}) as default ${what} limit if the limit is not set ${NODE}`,
        async (t) => {
          const out = await read(t, volume([resource(`limits.${what}`, "1")]), "value");
          const { nodeName } = (await t.getPod("reader")).spec;
          const { allocatable } = (await t.api.get(`/api/v1/nodes/${nodeName}`)).status;
          const wanted = what === "cpu" ? allocatable.cpu : String(bytesOf(allocatable.memory));
          expect(out).toContain(`content of file "/etc/podinfo/value": ${wanted}\n`);
        },
      );

  if (projected) continue;
  for (const what of ["labels", "annotations"] as const)
    conformance(`[sig-storage] ${title} should update ${what} on modification ${NODE}`, async (t) => {
      await t.runPod("watcher", {
        [what]: { key1: "value1", key2: "value2" },
        container: { volumeMounts: [{ name: "podinfo", mountPath: "/etc/podinfo" }] },
        spec: { volumes: [volume([{ path: what, fieldRef: { fieldPath: `metadata.${what}` } }])] },
      });
      expect(await t.exec("watcher", `cat /etc/podinfo/${what}`)).toContain('key1="value1"\nkey2="value2"');
      await t.modify(`${t.path("pods")}/watcher`, (p) => {
        p.metadata[what].key3 = "value3";
      });
      await t.eventually(
        "the file follows",
        async () => (await t.exec("watcher", `cat /etc/podinfo/${what}`)).includes('key3="value3"') || undefined,
      );
    });
}
