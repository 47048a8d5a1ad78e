// [sig-storage] ConfigMap, Secrets and Projected volumes: keys as files, modes, users, updates.
import { expect } from "vitest";
import { type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";

const NODE = "[NodeConformance] [Conformance]";
const LINUX = `[LinuxOnly] ${NODE}`;
const NON_ROOT = { securityContext: { runAsUser: 1000 } };

interface Source {
  /** As the titles begin. */
  title: string;
  secret: boolean;
  projected: boolean;
}
const CONFIG_MAP: Source = { title: "ConfigMap", secret: false, projected: false };
const PROJECTED_MAP: Source = { title: "Projected configMap", secret: false, projected: true };
const SECRET: Source = { title: "Secrets", secret: true, projected: false };
const PROJECTED_SECRET: Source = { title: "Projected secret", secret: true, projected: true };

function object(s: Source, name: string, data: Record<string, string>): Json {
  if (!s.secret) return { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data };
  return { apiVersion: "v1", kind: "Secret", metadata: { name }, stringData: data };
}

/** The volume of an object; `o` are items, optional and defaultMode. */
function volume(s: Source, name: string, volumeName: string, o: Json = {}): Json {
  const { defaultMode, ...rest } = o;
  const mode = defaultMode === undefined ? {} : { defaultMode };
  if (s.projected)
    return { name: volumeName, projected: { ...mode, sources: [{ [s.secret ? "secret" : "configMap"]: { name, ...rest } }] } };
  return {
    name: volumeName,
    ...(s.secret ? { secret: { secretName: name, ...mode, ...rest } } : { configMap: { name, ...mode, ...rest } }),
  };
}

const DATA = { "data-1": "value-1", "data-2": "value-2", "data-3": "value-3" };

/** Creates the object and runs mounttest over a file of its volume. */
async function content(t: Context, s: Source, o: { path?: string; volume?: Json; spec?: Json; mode?: boolean } = {}): Promise<string> {
  await t.create(object(s, "source", DATA));
  const file = `/etc/v/${o.path ?? "data-1"}`;
  return t.output("reader", {
    args: ["mounttest", `--file_content=${file}`, ...(o.mode ? [`--file_mode=${file}`] : [])],
    container: { volumeMounts: [{ name: "v", mountPath: "/etc/v", readOnly: true }] },
    spec: { volumes: [volume(s, "source", "v", o.volume)], ...o.spec },
  });
}

for (const s of [CONFIG_MAP, PROJECTED_MAP, SECRET, PROJECTED_SECRET]) {
  const of = s.title;
  if (s !== CONFIG_MAP)
    conformance(`[sig-storage] ${of} should be consumable from pods in volume ${NODE}`, async (t) => {
      const out = await content(t, s, { mode: true });
      expect(out).toContain('content of file "/etc/v/data-1": value-1');
      expect(out).toContain('mode of file "/etc/v/data-1": -rw-r--r--');
    });
  conformance(`[sig-storage] ${of} should be consumable from pods in volume with defaultMode set ${LINUX}`, async (t) => {
    const out = await content(t, s, { volume: { defaultMode: 0o400 }, mode: true });
    expect(out).toContain('content of file "/etc/v/data-1": value-1');
    expect(out).toContain('mode of file "/etc/v/data-1": -r--------');
  });
  conformance(`[sig-storage] ${of} should be consumable from pods in volume with mappings ${NODE}`, async (t) => {
    const out = await content(t, s, { path: "path/to/data-2", volume: { items: [{ key: "data-2", path: "path/to/data-2" }] } });
    expect(out).toContain('content of file "/etc/v/path/to/data-2": value-2');
  });
  if (!s.secret) {
    conformance(`[sig-storage] ${of} should be consumable from pods in volume as non-root ${NODE}`, async (t) => {
      expect(await content(t, s, { spec: NON_ROOT })).toContain("value-1");
    });
    conformance(`[sig-storage] ${of} should be consumable from pods in volume with mappings as non-root ${NODE}`, async (t) => {
      const out = await content(t, s, {
        path: "path/to/data-2",
        volume: { items: [{ key: "data-2", path: "path/to/data-2" }] },
        spec: NON_ROOT,
      });
      expect(out).toContain("value-2");
    });
  }
  const same = s.secret ? "in multiple volumes in a pod" : "in multiple volumes in the same pod";
  conformance(`[sig-storage] ${of} should be consumable ${same} ${NODE}`, async (t) => {
    await t.create(object(s, "source", DATA));
    const out = await t.output("reader", {
      args: ["mounttest", "--file_content=/etc/a/data-1", "--file_mode=/etc/b/data-1"],
      container: {
        volumeMounts: [
          { name: "a", mountPath: "/etc/a", readOnly: true },
          { name: "b", mountPath: "/etc/b", readOnly: true },
        ],
      },
      spec: { volumes: [volume(s, "source", "a"), volume(s, "source", "b")] },
    });
    expect(out).toContain('content of file "/etc/a/data-1": value-1');
    expect(out).toContain('mode of file "/etc/b/data-1": -rw-r--r--');
  });
  conformance(`[sig-storage] ${of} optional updates should be reflected in volume ${NODE}`, async (t) => {
    const plural = s.secret ? "secrets" : "configmaps";
    await t.create(object(s, "del", DATA));
    await t.create(object(s, "upd", DATA));
    const names = ["del", "upd", "create"];
    await t.runPod("watcher", {
      container: { volumeMounts: names.map((n) => ({ name: n, mountPath: `/etc/v/${n}` })) },
      spec: { volumes: names.map((n) => volume(s, n, n, { optional: true })) },
    });
    expect(await t.exec("watcher", "cat /etc/v/del/data-1; ls /etc/v/create")).toBe("value-1");
    await t.api.delete(`${t.path(plural)}/del`);
    await t.modify(`${t.path(plural)}/upd`, (o) => {
      if (s.secret) o.data = { "data-3": Buffer.from("new").toString("base64") };
      else o.data = { "data-3": "new" };
    });
    await t.create(object(s, "create", { "data-1": "made" }));
    await t.eventually("the volumes follow", async () => {
      const out = await t.exec("watcher", "cd /etc/v; ls del upd create; cat upd/data-3 create/data-1");
      return out === "create:\ndata-1\n\ndel:\n\nupd:\ndata-3\nnewmade" ? true : undefined;
    });
  });
}

conformance(`[sig-storage] ConfigMap should be consumable from pods in volume with mappings and Item mode set ${LINUX}`, async (t) => {
  const items = [{ key: "data-2", path: "path/to/data-2", mode: 0o400 }];
  const out = await content(t, CONFIG_MAP, { path: "path/to/data-2", volume: { items }, mode: true });
  expect(out).toContain('mode of file "/etc/v/path/to/data-2": -r--------');
});

conformance(
  `[sig-storage] Projected secret should be consumable from pods in volume as non-root with defaultMode and fsGroup set ${LINUX}`,
  async (t) => {
    const out = await content(t, PROJECTED_SECRET, {
      volume: { defaultMode: 0o440 },
      spec: { securityContext: { runAsUser: 1000, fsGroup: 1001 } },
      mode: true,
    });
    expect(out).toContain('mode of file "/etc/v/data-1": -r--r-----');
    expect(out).toContain("value-1");
  },
);

for (const s of [CONFIG_MAP, PROJECTED_MAP])
  conformance(`[sig-storage] ${s.title} updates should be reflected in volume ${NODE}`, async (t) => {
    await t.create(object(s, "source", { "data-1": "value-1" }));
    await t.runPod("watcher", {
      container: { volumeMounts: [{ name: "v", mountPath: "/etc/v", readOnly: true }] },
      spec: { volumes: [volume(s, "source", "v")] },
    });
    expect(await t.exec("watcher", "cat /etc/v/data-1")).toBe("value-1");
    await t.modify(`${t.path("configmaps")}/source`, (o) => {
      o.data["data-1"] = "value-2";
    });
    await t.eventually("the file follows", async () => (await t.exec("watcher", "cat /etc/v/data-1")) === "value-2" || undefined);
  });

conformance(`[sig-storage] ConfigMap binary data should be reflected in volume ${NODE}`, async (t) => {
  await t.create({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "binary" },
    data: { "data-1": "value-1" },
    binaryData: { "dump.bin": Buffer.from([0xde, 0xca, 0xfe, 0xba, 0xd0, 0xfe, 0xff]).toString("base64") },
  });
  await t.runPod("reader", {
    container: { volumeMounts: [{ name: "v", mountPath: "/etc/v", readOnly: true }] },
    spec: { volumes: [volume(CONFIG_MAP, "binary", "v")] },
  });
  expect(await t.exec("reader", "cat /etc/v/data-1; od -An -tx1 /etc/v/dump.bin")).toBe("value-1 de ca fe ba d0 fe ff\n");
});

conformance("[sig-storage] ConfigMap should be immutable if `immutable` field is set [Conformance]", async (t) => {
  const path = `${t.path("configmaps")}/fixed`;
  await t.create(object(CONFIG_MAP, "fixed", { "data-1": "value-1" }));
  await t.modify(path, (o) => {
    o.data["data-4"] = "value-4";
  });
  await t.modify(path, (o) => {
    o.immutable = true;
  });
  await expect(t.modify(path, (o) => void (o.data["data-5"] = "value-5"))).rejects.toThrow("field is immutable when `immutable` is set");
  await expect(t.modify(path, (o) => void (o.immutable = false))).rejects.toThrow("field is immutable when `immutable` is set");
  await t.modify(path, (o) => {
    o.metadata.labels = { still: "mine" };
  });
  await t.api.delete(path);
});

conformance(
  `[sig-storage] Secrets should be able to mount in a volume regardless of a different secret existing with same name in different namespace ${NODE}`,
  async (t) => {
    const other = `${t.namespace}-other`;
    await t.createForCluster({ apiVersion: "v1", kind: "Namespace", metadata: { name: other } });
    await t.create({ ...object(SECRET, "source", { "data-1": "theirs" }), metadata: { name: "source", namespace: other } });
    expect(await content(t, SECRET)).toContain('content of file "/etc/v/data-1": value-1');
  },
);

conformance(
  "[sig-storage] Projected combined should project all components that make up the projection API [Projection] [NodeConformance] [Conformance]",
  async (t) => {
    await t.create(object(SECRET, "s", { "secret-data": "secret-value-1" }));
    await t.create(object(CONFIG_MAP, "cm", { "configmap-data": "configmap-value-1" }));
    const out = await t.output("all", {
      command: ["sh", "-c", "cat /all/podname /all/secret-data /all/configmap-data; stat -c %a -L /all/podname"],
      image: "registry.k8s.io/e2e-test-images/busybox:1.37.0-1",
      container: { volumeMounts: [{ name: "all", mountPath: "/all" }] },
      spec: {
        volumes: [
          {
            name: "all",
            projected: {
              sources: [
                { secret: { name: "s" } },
                { configMap: { name: "cm" } },
                { downwardAPI: { items: [{ path: "podname", fieldRef: { fieldPath: "metadata.name" } }] } },
              ],
            },
          },
        ],
      },
    });
    expect(out).toBe("allsecret-value-1configmap-value-1644\n");
  },
);
