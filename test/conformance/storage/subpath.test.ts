// [sig-storage] Subpath of atomic writer volumes: one file of the volume at a path of its own, read while the volume stays.
import { expect } from "vitest";
import { BUSYBOX, type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";

/** An init container and the main one both see the file at `mountPath` through `subPath`. */
async function seesFile(t: Context, volume: Json, subPath: string, expected: string, mountPath = "/test-volume"): Promise<void> {
  const mount = { volumeMounts: [{ name: "v", mountPath, subPath }] };
  const name = "pod-subpath-test";
  await t.create({
    ...t.pod(name),
    spec: {
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 0,
      volumes: [{ name: "v", ...volume }],
      initContainers: [{ name: "init", image: BUSYBOX, command: ["sh", "-c", `test "$(cat ${mountPath})" = "${expected}"`], ...mount }],
      containers: [
        {
          name: "c",
          image: "registry.k8s.io/e2e-test-images/agnhost:2.56",
          args: ["mounttest", `--file_content_in_loop=${mountPath}`, "--retry_time=2"],
          ...mount,
        },
      ],
    },
  });
  await t.podSucceeded(name);
  expect(await t.logs(name)).toContain(expected);
}

const configMap = (t: Context) =>
  t.create({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "my-configmap" }, data: { "configmap-key": "configmap-value" } });
const secret = (t: Context) =>
  t.create({ apiVersion: "v1", kind: "Secret", metadata: { name: "my-secret" }, stringData: { "secret-key": "secret-value" } });
const podname = { items: [{ path: "downward/podname", fieldRef: { fieldPath: "metadata.name" } }] };

conformance("[sig-storage] Subpath Atomic writer volumes should support subpaths with configmap pod [Conformance]", async (t) => {
  await configMap(t);
  await seesFile(t, { configMap: { name: "my-configmap" } }, "configmap-key", "configmap-value");
});

conformance(
  "[sig-storage] Subpath Atomic writer volumes should support subpaths with configmap pod with mountPath of existing file [Conformance]",
  async (t) => {
    await configMap(t);
    await seesFile(t, { configMap: { name: "my-configmap" } }, "configmap-key", "configmap-value", "/etc/resolv.conf");
  },
);

conformance("[sig-storage] Subpath Atomic writer volumes should support subpaths with downward pod [Conformance]", async (t) => {
  await seesFile(t, { downwardAPI: podname }, "downward/podname", "pod-subpath-test");
});

conformance("[sig-storage] Subpath Atomic writer volumes should support subpaths with projected pod [Conformance]", async (t) => {
  await configMap(t);
  const sources = [
    { configMap: { name: "my-configmap", items: [{ key: "configmap-key", path: "projected/configmap-key" }] } },
    { downwardAPI: podname },
  ];
  await seesFile(t, { projected: { sources } }, "projected/configmap-key", "configmap-value");
});

conformance("[sig-storage] Subpath Atomic writer volumes should support subpaths with secret pod [Conformance]", async (t) => {
  await secret(t);
  await seesFile(t, { secret: { secretName: "my-secret" } }, "secret-key", "secret-value");
});
