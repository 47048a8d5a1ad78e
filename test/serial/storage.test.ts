// Volumes over processes: data that outlives pods, nodes and the storage's own process; moves between nodes; is shared live; grows.

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, eventually, FAST_NODE_FAILURE, root, startCluster } from "../cluster.ts";

const BUSYBOX = "registry.k8s.io/e2e-test-images/busybox:1.37.0-1";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ nodes: 2, args: [...FAST_NODE_FAILURE, "node-agent=--csi-attach-limit=3"] });
});
afterAll(() => cluster?.stop());

const apply = (manifest: string) => cluster.kubectl(["apply", "-f", "-"], { input: manifest });
const claim = (name: string, extra = "", modes = "ReadWriteOnce", size = "1Mi") => `apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: ${name} }
spec: { accessModes: [${modes}], resources: { requests: { storage: ${size} } }${extra} }
---
`;
const pod = (name: string, node: string, volumes: string, o: { command?: string; spec?: string } = {}) => `apiVersion: v1
kind: Pod
metadata: { name: ${name} }
spec:
  nodeSelector: { kubernetes.io/hostname: ${node} }
  terminationGracePeriodSeconds: 0
  tolerations: [{ key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute }, { key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute }]
  ${o.spec ?? ""}
  containers:
    - name: c
      image: ${BUSYBOX}
      command: [sh, -c, "${o.command ?? "sleep 1000000"}"]
      volumeMounts: [{ name: v, mountPath: /data }]
  volumes: [${volumes}]
---
`;
const ofClaim = (name: string) => `{ name: v, persistentVolumeClaim: { claimName: ${name} } }`;
const ready = (name: string) => cluster.kubectl(["wait", "--for=condition=Ready", `pod/${name}`, "--timeout=60s"]);
const sh = (name: string, command: string) => cluster.kubectl(["exec", name, "--", "sh", "-c", command]);
const remove = (name: string) => cluster.kubectl(["delete", "pod", name, "--force", "--grace-period=0"]);
const events = async (reason: string, name: string) =>
  ((await cluster.object("get", "events", `--field-selector=reason=${reason},involvedObject.name=${name}`)).items as any[]).map(
    (e) => e.message as string,
  );

describe("a claim of the default class", () => {
  it("gets a volume when its pod is placed, keeps its data on another node, grows, and goes with its claim", async () => {
    await apply(claim("data"));
    const pending = await eventually("the claim waits", async () => (await events("WaitForFirstConsumer", "data"))[0]);
    expect(pending).toBe("waiting for first consumer to be created before binding");
    await apply(pod("one", "node-1", ofClaim("data")));
    await ready("one");
    const bound = await cluster.object("get", "pvc", "data");
    expect(bound.spec.storageClassName).toBe("standard");
    const pv = bound.spec.volumeName as string;
    expect((await cluster.object("get", "pv", pv)).spec).toMatchObject({
      capacity: { storage: "1Mi" },
      persistentVolumeReclaimPolicy: "Delete",
      csi: { driver: "csi.podwire.io" },
    });
    expect(await events("SuccessfulAttachVolume", "one")).toEqual([`AttachVolume.Attach succeeded for volume "${pv}" `]);
    await sh("one", "mkdir /data/d; echo hello > /data/d/f; chmod 640 /data/d/f; ln -s d/f /data/l");
    expect(await sh("one", "dd if=/dev/zero of=/data/big bs=1024 count=2000 2>&1 || rm /data/big")).toContain("No space left on device");

    // Elsewhere it cannot be while it is here.
    await apply(pod("two", "node-2", ofClaim("data")));
    const conflict = await eventually("the second node is refused", async () => (await events("FailedAttachVolume", "two"))[0]);
    expect(conflict).toBe(`Multi-Attach error for volume "${pv}" Volume is already used by pod(s) one`);
    await cluster.kubectl(["delete", "pod", "one"]);
    await ready("two");
    expect(await sh("two", "cat /data/l; stat -c '%a %F' /data/d/f")).toBe("hello\n640 regular file");
    const attached = (await cluster.object("get", "volumeattachments")).items;
    expect(attached.map((a: any) => [a.spec.nodeName, a.status.attached])).toEqual([["node-2", true]]);
    expect((await cluster.object("get", "node", "node-2")).status.volumesAttached).toEqual([
      { name: `kubernetes.io/csi/csi.podwire.io^${pv}`, devicePath: "" },
    ]);

    await cluster.kubectl(["patch", "pvc", "data", "-p", '{"spec":{"resources":{"requests":{"storage":"4Mi"}}}}']);
    await eventually("the claim has grown", async () => (await cluster.object("get", "pvc", "data")).status.capacity.storage === "4Mi");
    await sh("two", "dd if=/dev/zero of=/data/big bs=1024 count=2000");
    expect((await cluster.object("get", "pvc", "data")).status.conditions).toBeUndefined();

    // A copy of it.
    await apply(
      claim("copy", ", dataSource: { kind: PersistentVolumeClaim, name: data }", "ReadWriteOnce", "4Mi") +
        pod("three", "node-1", ofClaim("copy")),
    );
    await ready("three");
    expect(await sh("three", "cat /data/l; echo changed > /data/d/f")).toBe("hello");
    expect(await sh("two", "cat /data/l")).toBe("hello");

    await remove("two");
    await cluster.kubectl(["delete", "pvc", "data"]);
    await eventually("the volume is gone", async () => !(await cluster.kubectl(["get", "pv", "-o", "name"])).includes(pv));
    await remove("three");
    await cluster.kubectl(["delete", "pvc", "copy"]);
    await eventually("all volumes are gone", async () => (await cluster.kubectl(["get", "pv", "-o", "name"])) === "");
  });
});

describe("shared volumes", () => {
  for (const [what, manifest, source] of [
    ["a claim of mode ReadWriteMany", claim("shared", "", "ReadWriteMany"), ofClaim("shared")],
    ["an NFS export", "", "{ name: v, nfs: { server: nfs.example.com, path: /exports/a } }"],
  ] as const)
    it(`${what} is one directory on both nodes`, async () => {
      await apply(`${manifest}${pod("left", "node-1", source)}${pod("right", "node-2", source)}`);
      await Promise.all([ready("left"), ready("right")]);
      await sh("left", "echo from-left > /data/a; mkdir /data/dir");
      expect(await eventually("right sees it", async () => (await sh("right", "cat /data/a 2>/dev/null || true")) || undefined)).toBe(
        "from-left",
      );
      await sh("right", "echo more >> /data/a; mv /data/a /data/dir/b");
      expect(await eventually("left sees it", async () => (await sh("left", "cat /data/dir/b 2>/dev/null || true")) || undefined)).toBe(
        "from-left\nmore",
      );
      // Both at once: nothing is lost, nothing differs.
      await Promise.all([
        sh("left", "for i in $(seq 100); do echo $i > /data/dir/l$i; done"),
        sh("right", "for i in $(seq 100); do echo $i > /data/dir/r$i; done"),
      ]);
      const sums = () => Promise.all(["left", "right"].map((n) => sh(n, "cd /data; find . -type f | sort | xargs md5sum")));
      await eventually("both see the same", async () => {
        const [l, r] = await sums();
        return l === r && l?.split("\n").length === 201;
      });
      await Promise.all([remove("left"), remove("right")]);
    });
});

describe("volumes of a node", () => {
  it("attaches as many as its CSINode allows, and no more", async () => {
    const csiNode = await cluster.object("get", "csinode", "node-1");
    expect(csiNode.spec.drivers).toEqual([{ name: "csi.podwire.io", nodeID: "node-1", topologyKeys: null, allocatable: { count: 3 } }]);
    const names = ["a", "b", "c", "d"];
    for (const n of names) await apply(claim(`limit-${n}`) + pod(`limit-${n}`, "node-1", ofClaim(`limit-${n}`)));
    const waiting = await eventually("one pod waits", async () => {
      const all = await Promise.all(names.map((n) => cluster.object("get", "pod", `limit-${n}`)));
      const running = all.filter((p) => p.status.phase === "Running");
      return running.length === 3 ? all.find((p) => p.status.phase === "Pending") : undefined;
    });
    expect(waiting.status.conditions[0].message).toContain("1 node(s) exceed max volume count");
    await remove(names.map((n) => `limit-${n}`).find((n) => n !== waiting.metadata.name) as string);
    await ready(waiting.metadata.name);
    await cluster.kubectl(["delete", "pod", ...names.map((n) => `limit-${n}`), "--force", "--grace-period=0", "--ignore-not-found"]);
    await cluster.kubectl(["delete", "pvc", ...names.map((n) => `limit-${n}`)]);
  });

  it("local and hostPath volumes, generic ephemeral ones, subPathExpr and fsGroup", async () => {
    await apply(`apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: { name: local }
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolume
metadata: { name: local-1 }
spec:
  capacity: { storage: 1Gi }
  accessModes: [ReadWriteOnce]
  storageClassName: local
  persistentVolumeReclaimPolicy: Retain
  local: { path: /mnt/disk1 }
  nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ key: kubernetes.io/hostname, operator: In, values: [node-2] }] }] } }
---
apiVersion: v1
kind: PersistentVolume
metadata: { name: host-1 }
spec: { capacity: { storage: 1Gi }, accessModes: [ReadWriteOnce], storageClassName: manual, hostPath: { path: /data/pv, type: DirectoryOrCreate } }
---
${claim("local", ", storageClassName: local")}${claim("host", ", storageClassName: manual")}apiVersion: v1
kind: Pod
metadata: { name: mixed }
spec:
  terminationGracePeriodSeconds: 0
  securityContext: { runAsUser: 1000, runAsGroup: 3000, fsGroup: 2000 }
  containers:
    - name: c
      image: ${BUSYBOX}
      command: [sh, -c, "sleep 1000000"]
      env: [{ name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }]
      volumeMounts:
        - { name: local, mountPath: /local }
        - { name: own, mountPath: /own, subPathExpr: "logs/$(POD_NAME)" }
        - { name: own, mountPath: /all, readOnly: true, recursiveReadOnly: IfPossible }
        - { name: host, mountPath: /host }
  volumes:
    - { name: local, persistentVolumeClaim: { claimName: local } }
    - { name: host, persistentVolumeClaim: { claimName: host } }
    - { name: own, ephemeral: { volumeClaimTemplate: { spec: { accessModes: [ReadWriteOncePod], resources: { requests: { storage: 1Mi } } } } } }
---
`);
    const refused = await eventually("the path is missing", async () => (await events("FailedMount", "mixed"))[0]);
    expect(refused).toBe('MountVolume.SetUp failed for volume "local-1" : path "/mnt/disk1" does not exist');
    expect((await cluster.object("get", "pod", "mixed")).spec.nodeName).toBe("node-2");
    await apply(pod("mkdir", "node-2", "{ name: v, hostPath: { path: /mnt/disk1 } }"));
    await ready("mixed");
    expect(
      await sh("mixed", "id -G; stat -c '%a %g' /local /own; touch /own/f /local/f; stat -c '%u %g' /own/f /local/f; ls /all/logs"),
    ).toBe("3000 2000\n2775 2000\n2777 2000\n1000 2000\n1000 2000\nmixed");
    expect(await sh("mixed", "touch /all/x 2>&1 || true")).toContain("Read-only file system");
    const status = (await cluster.object("get", "pod", "mixed")).status.containerStatuses[0].volumeMounts;
    expect(status).toContainEqual({ name: "own", mountPath: "/all", readOnly: true, recursiveReadOnly: "Enabled" });
    expect((await cluster.object("get", "pvc", "mixed-own")).metadata.ownerReferences[0]).toMatchObject({ kind: "Pod", name: "mixed" });
    await cluster.kubectl(["delete", "pod", "mixed", "mkdir"]);
    await eventually(
      "the ephemeral claim goes with its pod",
      async () => !(await cluster.kubectl(["get", "pvc", "-o", "name"])).includes("mixed-own"),
    );
    await cluster.kubectl(["delete", "pvc", "local", "host"]);
    const released = async () => (await cluster.object("get", "pv", "local-1")).status.phase === "Released";
    await eventually("a volume that is retained is released", released);
    await cluster.kubectl(["delete", "pv", "local-1", "host-1"]);
  });
});

describe("many volumes at once", () => {
  it("[sig-storage] EmptyDir wrapper volumes should not cause race condition when used for configmaps [Serial] [Conformance]", async () => {
    const names = Array.from({ length: 50 }, (_, i) => `racey-configmap-${i}`);
    await apply(names.map((n) => `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${n} }\ndata: { data-1: value-1 }\n---\n`).join(""));
    const mounts = names.map((n) => `{ name: ${n}, mountPath: /etc/config/${n} }`).join(", ");
    const volumes = names.map((n) => `{ name: ${n}, configMap: { name: ${n}, items: [{ key: data-1, path: data-1 }] } }`).join(", ");
    for (let round = 0; round < 3; round++) {
      const name = `wrapped-volume-race-${round}`;
      await apply(`apiVersion: v1
kind: ReplicationController
metadata: { name: ${name} }
spec:
  replicas: 5
  selector: { name: ${name} }
  template:
    metadata: { labels: { name: ${name} } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: test-container
          image: ${BUSYBOX}
          command: [sleep, "10000"]
          volumeMounts: [${mounts}]
      volumes: [${volumes}]
`);
      await eventually("all of them run", async () => (await cluster.object("get", "rc", name)).status.readyReplicas === 5);
      const pods = (await cluster.object("get", "pods", "-l", `name=${name}`)).items.map((p: any) => p.metadata.name as string);
      expect(await sh(pods[0], "cat /etc/config/*/data-1 | sed s/value-1/x/g")).toBe("x".repeat(50));
      await cluster.kubectl(["delete", "rc", name]);
    }
  });
});

describe("failures", () => {
  it("a blog and its database outlive the node that they run on", async () => {
    await cluster.kubectl(["apply", "-f", join(root, "examples/wordpress.yaml")]);
    const available = () => cluster.kubectl(["wait", "--for=condition=Available", "deployment", "--all", "--timeout=90s"]);
    await available();
    const get = (path: string, ...args: string[]) =>
      cluster.kubectl(["exec", "deployment/wordpress", "--", "wget", "-qO-", ...args, `http://localhost${path}`]);
    await eventually("it is installed", async () =>
      (await get("/wp-admin/install.php?step=2", "--post-data", "weblog_title=Volumes")).includes("Success!"),
    );
    await get("/wp-json/wp/v2/posts", "--post-data", "title=Kept&content=across+nodes");
    await cluster.kubectl(["exec", "deployment/wordpress", "--", "sh", "-c", "echo picture > /var/www/html/wp-content/uploads/a.txt"]);
    const pods = async () => (await cluster.object("get", "pods", "-l", "app=wordpress")).items as any[];
    const node = (await pods()).find((p) => p.metadata.labels.tier === "mysql").spec.nodeName as string;

    await cluster.podwire(["nodes", "kill", node]);
    await cluster.kubectl(["wait", "--for=condition=Ready=Unknown", `node/${node}`, "--timeout=60s"]);
    await cluster.kubectl(["taint", "node", node, "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"]);
    await eventually(
      "both run on the other node",
      async () => (await pods()).every((p) => p.spec.nodeName && p.spec.nodeName !== node),
      60_000,
    );
    await available();
    // The database's headless name may lead to its old address for the 30 s of the Corefile's ttl and cache.
    const page = await eventually(
      "the posts are there",
      async () => {
        const text = await get("/");
        return text.includes("<h2>Kept</h2>") ? text : undefined;
      },
      60_000,
    );
    expect(page).toContain("<h1>Volumes</h1>");
    expect(await get("/wp-content/uploads/a.txt")).toBe("picture");

    const claims = (await cluster.object("get", "pvc", "-l", "app=wordpress")).items as any[];
    const volumes = claims.map((c) => c.spec.volumeName as string);
    expect(volumes).toHaveLength(2);
    await cluster.kubectl(["delete", "-f", join(root, "examples/wordpress.yaml")]);
    await cluster.podwire(["nodes", "restart", node]);
    await cluster.kubectl(["taint", "node", node, "node.kubernetes.io/out-of-service-"]);
    await cluster.kubectl(["wait", "--for=condition=Ready", `node/${node}`, "--timeout=60s"]);
    await eventually("nothing is left", async () => {
      const left = await cluster.kubectl(["get", "pv,volumeattachments", "-o", "json"]);
      const names = volumes.filter((name) => left.includes(name));
      if (names.length > 0) throw new Error(left);
      return true;
    });
  }, 240_000);

  it("data outlive a killed node and a killed storage; emptyDirs and hostPaths their node's reboot", async () => {
    const volumes = `${ofClaim("kept")}, { name: e, emptyDir: {} }, { name: h, hostPath: { path: /data/h } }, { name: m, emptyDir: { medium: Memory, sizeLimit: 1Mi } }`;
    await apply(
      claim("kept") +
        pod("victim", "node-2", volumes).replace(
          "{ name: v, mountPath: /data }",
          "{ name: v, mountPath: /data }, { name: e, mountPath: /e }, { name: h, mountPath: /h }, { name: m, mountPath: /m }",
        ),
    );
    await ready("victim");
    expect(await sh("victim", "for d in data e h m; do echo $d > /$d/f; done; df -k /m | tail -1 | awk '{print $2}'")).toBe("1024");

    const storage = (await cluster.status()).processes.find((p: any) => p.name === "edge");
    process.kill(storage.pid, "SIGKILL");
    await sh("victim", "echo after >> /data/f");
    await cluster.podwire(["status", "--wait"]);
    await sh("victim", "echo later >> /data/f");
    await new Promise((r) => setTimeout(r, 1500));

    await cluster.podwire(["nodes", "kill", "node-2"]);
    await cluster.podwire(["nodes", "restart", "node-2"]);
    await eventually("the pod runs again", async () => {
      const p = await cluster.object("get", "pod", "victim");
      return p.status.containerStatuses?.[0]?.restartCount > 0 && p.status.containerStatuses[0].ready;
    });
    expect(await sh("victim", "cat /data/f /e/f /h/f; ls /m")).toBe("data\nafter\nlater\ne\nh");

    // The node stays away: its volume goes to another once it is declared out of service.
    await cluster.podwire(["nodes", "kill", "node-2"]);
    await cluster.kubectl(["wait", "--for=condition=Ready=Unknown", "node/node-2", "--timeout=60s"]);
    await cluster.kubectl(["taint", "node", "node-2", "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"]);
    await cluster.kubectl(["delete", "pod", "victim", "--force", "--grace-period=0", "--ignore-not-found"]);
    await apply(pod("heir", "node-1", ofClaim("kept")));
    await ready("heir");
    expect(await sh("heir", "cat /data/f")).toBe("data\nafter\nlater");
  });
});
