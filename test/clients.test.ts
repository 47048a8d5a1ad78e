// The client libraries that people write controllers with, unmodified: @kubernetes/client-node (create, watch, patch, delete, informers,
// election of a leader by a Lease: the library has none of its own) and Debian's python3-kubernetes (clients.py; .ci/run unpacks it and
// names it in PODWIRE_PYTHONPATH, otherwise .cache is looked at; skipped where neither it nor python3 is).
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as k8s from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, eventually, missing, root, run, startCluster } from "./cluster.ts";

const python = process.env["PODWIRE_PYTHONPATH"] ?? join(root, ".cache/python3-kubernetes/usr/lib/python3/dist-packages");
const noPython = missing("python3") ?? (existsSync(join(python, "kubernetes")) ? undefined : `python3-kubernetes is not in ${python}`);
const LABEL = "clients=node";

describe("client libraries", () => {
  let cluster: Cluster;
  let config: k8s.KubeConfig;
  let core: k8s.CoreV1Api;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 1 });
    config = new k8s.KubeConfig();
    config.loadFromFile(cluster.kubeconfig);
    core = config.makeApiClient(k8s.CoreV1Api);
  });
  afterAll(() => cluster?.stop());

  it("client-node: create, watch, patch, delete", async () => {
    const namespace = "default";
    const seen: string[] = [];
    const { metadata } = await core.listNamespacedConfigMap({ namespace });
    const watching = await new k8s.Watch(config).watch(
      `/api/v1/namespaces/${namespace}/configmaps`,
      { fieldSelector: "metadata.name=c", resourceVersion: metadata?.resourceVersion },
      (type, o) => void seen.push(`${type} ${JSON.stringify(o.data)}`),
      () => undefined,
    );
    await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "c" }, data: { a: "1" } } });
    const merge = k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch);
    await core.patchNamespacedConfigMap({ namespace, name: "c", body: { data: { b: "2" } } }, merge);
    const json = k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.JsonPatch);
    await core.patchNamespacedConfigMap({ namespace, name: "c", body: [{ op: "remove", path: "/data/a" }] }, json);
    const apply = k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.ServerSideApply);
    const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c" }, data: { c: "3" } };
    await core.patchNamespacedConfigMap({ namespace, name: "c", fieldManager: "test", body }, apply);
    await core.deleteNamespacedConfigMap({ namespace, name: "c" });
    await eventually("all events", () => seen.length === 5);
    watching.abort();
    const states = ['{"a":"1"}', '{"a":"1","b":"2"}', '{"b":"2"}', '{"b":"2","c":"3"}', '{"b":"2","c":"3"}'];
    expect(seen).toEqual(["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED"].map((type, i) => `${type} ${states[i]}`));
    await expect(core.readNamespacedConfigMap({ namespace, name: "c" })).rejects.toMatchObject({ code: 404 });
  });

  it("client-node: an informer follows, and lists again after its watch was cut", async () => {
    const namespace = "default";
    const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: LABEL });
    const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, list, LABEL);
    const told: string[] = [];
    for (const verb of ["add", "update", "delete"] as const) informer.on(verb, (o) => void told.push(`${verb} ${o.metadata?.name}`));
    informer.on("error", () => void informer.start());
    const create = (name: string) =>
      core.createNamespacedConfigMap({ namespace, body: { metadata: { name, labels: { clients: "node" } } } });
    await create("before");
    await informer.start();
    expect(informer.list().map((o) => o.metadata?.name)).toEqual(["before"]);
    await create("after");
    const merge = k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch);
    await core.patchNamespacedConfigMap({ namespace, name: "after", body: { data: { a: "b" } } }, merge);
    await core.deleteNamespacedConfigMap({ namespace, name: "before" });
    await eventually("all were told", () => told.length >= 4);
    expect(told).toEqual(["add before", "add after", "update after", "delete before"]);
    expect(informer.list().map((o) => o.metadata?.name)).toEqual(["after"]);
    await informer.stop();
    await create("meanwhile");
    await informer.start();
    await eventually("what came meanwhile", () => informer.list().some((o) => o.metadata?.name === "meanwhile"));
    await informer.stop();
  });

  it("client-node: one leader at a time by a Lease, and another when it lets go", async () => {
    const coordination = config.makeApiClient(k8s.CoordinationV1Api);
    const at = { namespace: "default", name: "leader" };
    /** Takes or renews the Lease for `me`; false when another holds it or was quicker. */
    const acquire = async (me: string): Promise<boolean> => {
      const now = new k8s.V1MicroTime();
      const spec = { holderIdentity: me, leaseDurationSeconds: 2, renewTime: now };
      try {
        const lease = await coordination.readNamespacedLease(at).catch((e: { code?: number }) => {
          if (e.code === 404) return undefined;
          throw e;
        });
        if (!lease) {
          await coordination.createNamespacedLease({ namespace: at.namespace, body: { metadata: { name: at.name }, spec } });
          return true;
        }
        const { holderIdentity, renewTime, leaseDurationSeconds } = lease.spec ?? {};
        const fresh = renewTime !== undefined && now.getTime() < new Date(renewTime).getTime() + (leaseDurationSeconds ?? 0) * 1_000;
        if (holderIdentity !== me && fresh) return false;
        await coordination.replaceNamespacedLease({ ...at, body: { ...lease, spec } });
        return true;
      } catch (e) {
        if ((e as { code?: number }).code === 409) return false; // Another writer came between: the revision decides.
        throw e;
      }
    };
    const candidates = ["one", "two", "three", "four"];
    const round = await Promise.all(candidates.map(acquire));
    expect(round.filter((won) => won)).toHaveLength(1);
    const leader = candidates[round.indexOf(true)] as string;
    expect(await acquire(leader)).toBe(true);
    const others = candidates.filter((c) => c !== leader);
    expect(await Promise.all(others.map(acquire))).toEqual([false, false, false]);
    await sleep(2_100); // The leader renews no more.
    expect((await Promise.all(others.map(acquire))).filter((won) => won)).toHaveLength(1);
  });

  it.skipIf(noPython)(`python3-kubernetes: clients.py${noPython ? ` (skipped: ${noPython})` : ""}`, async () => {
    const r = await run("python3", [join(root, "test/clients.py")], {
      env: { KUBECONFIG: cluster.kubeconfig, PYTHONPATH: python, PYTHONDONTWRITEBYTECODE: "1", PYTHONWARNINGS: "ignore" },
      timeoutMs: 110_000,
    });
    expect(r.stdout.split("\n").at(-1), r.stderr).toBe("ok");
  });
});
