// Every kubectl from 1.27 to 1.33 that is installed, each from its own binary, against one cluster: what an operator's hands do, a
// group of commands per case. The kubectl on PATH may be a dispatcher that picks a client by the server's version: the clients stand
// beside the file that it is a link to, named kubectl.1.NN. A version that is absent is skipped by name.
import { createHash, randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, eventually, root, run, startCluster } from "./cluster.ts";
import { scenarios } from "./vectors/suites/api.ts";

const WANTED = ["1.27", "1.28", "1.29", "1.30", "1.31", "1.32", "1.33"];

/** Version -> path of the client: kubectl.1.27, kubectl-1.27, kubectl1.27 on PATH or beside what PATH's kubectl is a link to. */
function installed(): Map<string, string> {
  const found = new Map<string, string>();
  const dirs = (process.env["PATH"] ?? "").split(delimiter).filter((d) => existsSync(d));
  const behind = dirs.map((d) => join(d, "kubectl")).filter((f) => existsSync(f));
  for (const dir of [...dirs, ...behind.map((f) => dirname(realpathSync(f)))])
    for (const file of readdirSync(dir)) {
      const version = /^kubectl[.-]?v?(1\.\d+)(\.\d+)?$/.exec(file)?.[1];
      if (version !== undefined && !found.has(version)) found.set(version, join(dir, file));
    }
  return found;
}

interface Context {
  version: string;
  /** A name that no other case uses: the namespace of the case, and part of cluster-wide names. */
  ns: string;
  /** Standard output of a command that must succeed. */
  k(args: string, o?: { input?: unknown; env?: Record<string, string> }): Promise<string>;
  /** The command's end, whatever it is. */
  ends(
    args: string,
    o?: { input?: unknown; env?: Record<string, string> },
  ): Promise<{ code: number | undefined; stdout: string; stderr: string }>;
  folder: string;
}

const configMap = (data: Record<string, string>) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c" }, data });
const deployment = (replicas: number, image = "registry.k8s.io/pause:3.10.1") => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "d", labels: { app: "d" } },
  spec: {
    replicas,
    selector: { matchLabels: { app: "d" } },
    template: {
      metadata: { labels: { app: "d" } },
      spec: { terminationGracePeriodSeconds: 0, containers: [{ name: "c", image, ports: [{ containerPort: 80 }] }] },
    },
  },
});

const CASES: Record<string, (c: Context) => Promise<void>> = {
  "create, get in every output, delete": async ({ k, ends }) => {
    expect(await k("create configmap c --from-literal=a=b --from-literal=x=y")).toBe("configmap/c created");
    expect((await ends("create configmap c")).stderr).toContain('configmaps "c" already exists');
    expect(await k("create -f -", { input: deployment(0) })).toBe("deployment.apps/d created");
    await k("create secret generic s --from-literal=p=q");
    await k("create service clusterip web --tcp=80:8080");
    await k("create job j --image=registry.k8s.io/pause:3.10.1");
    await k("create cronjob cj --image=registry.k8s.io/pause:3.10.1 --schedule=@daily");
    await k("create role r --verb=get,list --resource=pods");
    await k("create rolebinding rb --role=r --user=jane");
    await k("create quota q --hard=pods=10");
    await k("create poddisruptionbudget p --selector=app=d --min-available=1");
    await k("create ingress i --rule=host.example/*=web:80");
    expect(await k("get configmap c -o wide")).toMatch(/^NAME\s+DATA\s+AGE\nc\s+2\s+\d+s$/);
    expect(await k("get deployment d -o wide")).toMatch(
      /^NAME\s+READY\s+UP-TO-DATE\s+AVAILABLE\s+AGE\s+CONTAINERS\s+IMAGES\s+SELECTOR\nd\s+0\/0\s+0\s+0\s+\d+s\s+c\s+registry\.k8s\.io\/pause:3\.10\.1\s+app=d$/,
    );
    expect(JSON.parse(await k("get configmap c -o json")).data).toEqual({ a: "b", x: "y" });
    expect(await k("get configmap c -o yaml")).toMatch(/^apiVersion: v1\ndata:\n {2}a: b\n {2}x: "y"\nkind: ConfigMap\nmetadata:/);
    expect(await k("get configmap,secret c s -o name --ignore-not-found")).toContain("configmap/c\n");
    expect(await k("get configmap c -o jsonpath={.data.a}{.data['x']}")).toBe("by");
    expect(await k("get configmap c -o custom-columns=N:.metadata.name,A:.data.a,Z:.data.zz")).toMatch(/^N\s+A\s+Z\nc\s+b\s+<none>$/);
    expect(await k("get configmap c -o go-template={{.data.a}}")).toBe("b");
    expect(await k("get configmap --field-selector=metadata.name=c --no-headers -o name")).toBe("configmap/c");
    expect(await k("get deployment --show-labels --sort-by=.metadata.name")).toMatch(/LABELS\nd\s.*app=d$/);
    expect((await ends("get configmap none")).stderr).toBe('Error from server (NotFound): configmaps "none" not found');
    expect((await ends("get nonsense")).stderr).toBe('error: the server doesn\'t have a resource type "nonsense"');
    expect(await k("delete configmap c")).toBe('configmap "c" deleted');
    expect(await k("delete deployment,service,secret --all --wait=false")).toContain('deployment.apps "d" deleted');
  },

  "apply on the client and on the server, diff, replace": async ({ k, ends }) => {
    expect(await k("apply -f -", { input: configMap({ a: "1", gone: "x" }) })).toBe("configmap/c created");
    expect(await k("apply -f -", { input: configMap({ a: "1", gone: "x" }) })).toBe("configmap/c unchanged");
    const diff = await ends("diff -f -", { input: configMap({ a: "2" }) });
    expect(diff.code, diff.stderr).toBe(1);
    expect(diff.stdout).toMatch(/^-\s+a: "1"$/m);
    expect(diff.stdout).toMatch(/^\+\s+a: "2"$/m);
    expect(await k("apply -f -", { input: configMap({ a: "2" }) })).toBe("configmap/c configured");
    expect(await k("get configmap c -o jsonpath={.data}")).toBe('{"a":"2"}');
    expect((await ends("diff -f -", { input: configMap({ a: "2" }) })).code).toBe(0);
    const typo = { ...configMap({ a: "2" }), dta: {} };
    expect((await ends("apply -f -", { input: typo })).stderr).toMatch(/unknown field "dta"/);
    const server = { ...configMap({ b: "1" }), metadata: { name: "s" } };
    expect(await k("apply --server-side -f -", { input: server })).toBe("configmap/s serverside-applied");
    await k('patch configmap s --type=merge -p {"data":{"b":"9"}} --field-manager=other');
    const conflict = await ends("apply --server-side -f -", { input: server });
    expect(conflict.code).toBe(1);
    expect(conflict.stderr).toContain('conflict with "other" using v1: .data.b');
    await k("apply --server-side --force-conflicts -f -", { input: server });
    expect(await k("get configmap s -o jsonpath={.data.b}")).toBe("1");
    expect(await k("apply -f - --dry-run=server", { input: deployment(1) })).toBe("deployment.apps/d created (server dry run)");
    expect((await ends("get deployment d")).code).toBe(1);
    expect(await k("replace -f -", { input: configMap({ r: "1" }) })).toBe("configmap/c replaced");
    expect(await k("get configmap c -o jsonpath={.data}")).toBe('{"r":"1"}');
    expect(await k("replace --force -f -", { input: configMap({ r: "2" }) })).toBe('configmap "c" deleted\nconfigmap/c replaced');
  },

  "a List is validated by the OpenAPI v2 document in protobuf": async ({ k, ends }) => {
    const list = { apiVersion: "v1", kind: "List", items: [configMap({ a: "1" }), deployment(0)] };
    expect(await k("apply -f -", { input: list })).toBe("configmap/c created\ndeployment.apps/d created");
    const typo = { ...list, items: [{ ...configMap({ a: "1" }), dta: {} }] };
    expect((await ends("apply -f -", { input: typo })).stderr).toContain(
      'ValidationError(ConfigMap): unknown field "dta" in io.k8s.api.core.v1.ConfigMap',
    );
  },

  "edit, patch, label, annotate, set, scale": async ({ k, folder }) => {
    await k("create -f -", { input: deployment(0) });
    const editor = join(folder, "editor.sh");
    writeFileSync(editor, '#!/bin/sh\nsed -i "s/revisionHistoryLimit: 10/revisionHistoryLimit: 4/" "$1"\n');
    chmodSync(editor, 0o755);
    expect(await k("edit deployment d", { env: { EDITOR: editor, KUBE_EDITOR: editor } })).toBe("deployment.apps/d edited");
    expect(await k("get deployment d -o jsonpath={.spec.revisionHistoryLimit}")).toBe("4");
    await k('patch deployment d -p {"spec":{"template":{"spec":{"containers":[{"name":"two","image":"registry.k8s.io/pause:3.9"}]}}}}');
    expect(await k("get deployment d -o jsonpath={.spec.template.spec.containers[*].name}")).toBe("two c");
    await k('patch deployment d --type=json -p [{"op":"remove","path":"/spec/template/spec/containers/0"}]');
    await k('patch deployment d --type=merge -p {"spec":{"paused":true}}');
    expect(await k("get deployment d -o jsonpath={.spec.template.spec.containers[*].name}{.spec.paused}")).toBe("ctrue");
    expect(await k("label deployment d tier=front")).toBe("deployment.apps/d labeled");
    expect(await k("label deployment d tier=back --overwrite")).toBe("deployment.apps/d labeled");
    expect(await k("annotate deployment d note=one")).toMatch(/^deployment\.apps\/d annotated?$/); // 1.27 says "annotate".
    expect(await k("get deployment d -o jsonpath={.metadata.labels.tier}{.metadata.annotations.note}")).toBe("backone");
    expect(await k("label deployment d tier-")).toContain("unlabeled");
    await k("set image deployment/d c=registry.k8s.io/pause:3.9");
    await k("set resources deployment d --limits=cpu=200m,memory=64Mi");
    expect(await k("scale deployment d --replicas=2 --current-replicas=0")).toBe("deployment.apps/d scaled");
    const d = JSON.parse(await k("get deployment d -o json"));
    expect(d.spec.replicas).toBe(2);
    expect(d.spec.template.spec.containers[0]).toMatchObject({
      image: "registry.k8s.io/pause:3.9",
      resources: { limits: { cpu: "200m", memory: "64Mi" } },
    });
    await k("autoscale deployment d --min=1 --max=3 --cpu-percent=80");
    expect(await k("get hpa d -o jsonpath={.spec.maxReplicas}")).toBe("3");
  },

  "explain --recursive, api-resources, api-versions, version": async ({ k, version }) => {
    const explained = await k("explain deployment.spec --recursive");
    expect(explained).toMatch(/VERSION:\s+(apps\/)?v1/);
    expect(explained).toMatch(/^\s+maxUnavailable\s+<(IntOrString|string)>/m);
    expect(explained).toMatch(/^\s+topologySpreadConstraints\s+<\[\](Object|TopologySpreadConstraint)>/m);
    expect(await k("explain pod.spec.containers.image")).toMatch(/FIELD:\s+image <string>[\s\S]*DESCRIPTION:\s+\S/);
    const resources = await k("api-resources --verbs=list --namespaced -o wide");
    expect(resources).toMatch(/^deployments\s+deploy\s+apps\/v1\s+true\s+Deployment\s+\S*create\S*\s+all$/m);
    expect(resources).not.toMatch(/^nodes\s/m);
    expect((await k("api-versions")).split("\n")).toEqual(expect.arrayContaining(["v1", "apps/v1", "batch/v1", "events.k8s.io/v1"]));
    const v = JSON.parse(await k("version -o json"));
    expect(v.serverVersion).toMatchObject({ major: "1", minor: "34" });
    expect(v.clientVersion.gitVersion).toMatch(new RegExp(`^v${version.replace(".", "\\.")}\\.`));
  },

  "auth can-i, auth whoami, certificate approve, create token": async ({ k, ends, ns, version }) => {
    expect(await k("auth can-i create pods")).toBe("yes");
    const no = await ends("auth can-i delete nodes --as=jane");
    expect([no.code, no.stdout]).toEqual([1, "no"]);
    expect(await k("auth can-i --list --as=jane")).toMatch(/selfsubjectaccessreviews\.authorization\.k8s\.io\s.*\[create\]/);
    if (version === "1.27") {
      // It asks for the alpha and beta versions only, which a server of 1.34 does not have any more.
      expect((await ends("auth whoami")).stderr).toContain("the selfsubjectreviews API is not enabled in the cluster");
    } else {
      expect(await k("auth whoami")).toMatch(/^ATTRIBUTE\s+VALUE\nUsername\s+\S+/);
      expect(await k("auth whoami -o jsonpath={.status.userInfo.groups}")).toContain("system:masters");
    }
    const request = scenarios(join(root, "test/vectors/api")).find((s) => s.name === "sub-csr")?.steps[0]?.request.body;
    await k("create -f -", { input: { ...request, metadata: { name: ns } } });
    expect(await k(`get csr ${ns}`)).toMatch(/\sPending$/);
    expect(await k(`certificate approve ${ns}`)).toBe(`certificatesigningrequest.certificates.k8s.io/${ns} approved`);
    await eventually("a certificate", async () => (await k(`get csr ${ns} -o jsonpath={.status.certificate}`)) !== "");
    expect(await k(`get csr ${ns}`)).toMatch(/\sApproved,Issued$/);
    await k("create serviceaccount robot");
    const token = await k("create token robot --duration=1h --audience=https://a.example");
    const claims = JSON.parse(Buffer.from(token.split(".")[1] as string, "base64url").toString());
    expect(claims).toMatchObject({ aud: ["https://a.example"], sub: `system:serviceaccount:${ns}:robot` });
    expect(claims.exp - claims.iat).toBe(3600);
    await k(`delete csr ${ns}`);
  },

  "wait, rollout, logs of a running Deployment": async ({ k, ends }) => {
    await k("create -f -", { input: deployment(1) });
    expect(await k("wait deployment/d --for=condition=Available --timeout=60s")).toBe("deployment.apps/d condition met");
    expect(await k("rollout status deployment/d --timeout=60s")).toContain("successfully rolled out");
    expect(await k("wait deployment/d --for=jsonpath={.status.readyReplicas}=1 --timeout=60s")).toContain("condition met");
    expect((await ends("wait deployment/d --for=condition=Progressing=False --timeout=1s")).stderr).toContain(
      "timed out waiting for the condition",
    );
    await k("rollout restart deployment/d");
    await k("rollout status deployment/d --timeout=60s");
    expect(await k("rollout history deployment/d")).toMatch(/^1\s.*\n2\s/m);
    await k("delete deployment d --wait=false");
    await k("wait pod -l app=d --for=delete --timeout=60s");
  },

  "cordon, taint, drain": async ({ k, ends, ns }) => {
    // A node without a kubelet, so that the versions do not take each other's away.
    await k("create -f -", { input: { apiVersion: "v1", kind: "Node", metadata: { name: ns, labels: { drained: ns } } } });
    const pod = (name: string) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, labels: { app: name } },
      spec: { nodeName: ns, terminationGracePeriodSeconds: 0, containers: [{ name: "c", image: "registry.k8s.io/pause:3.10.1" }] },
    });
    expect(await k(`cordon ${ns}`)).toBe(`node/${ns} cordoned`);
    expect(await k(`cordon ${ns}`)).toBe(`node/${ns} already cordoned`);
    expect(await k(`get node ${ns}`)).toMatch(/SchedulingDisabled/);
    expect(await k(`taint node ${ns} dedicated=me:NoSchedule`)).toBe(`node/${ns} tainted`);
    expect((await ends(`taint node ${ns} dedicated=you:NoSchedule`)).code).toBe(1);
    expect(await k(`get node ${ns} -o jsonpath={.spec.taints[?(@.key=='dedicated')].value}`)).toBe("me");
    expect(await k(`taint node ${ns} dedicated-`)).toBe(`node/${ns} untainted`);
    await k("create -f -", { input: pod("alone") });
    const ready = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] };
    await k(`patch pod alone --subresource=status --type=merge -p ${JSON.stringify({ status: ready })}`);
    expect((await ends(`drain ${ns}`)).stderr).toContain("cannot delete");
    await k("create poddisruptionbudget held --selector=app=alone --min-available=1");
    await eventually("the budget was looked at", async () => (await k("get pdb held -o jsonpath={.status.observedGeneration}")) === "1");
    const held = await ends(`drain ${ns} --force --ignore-daemonsets --timeout=2s`);
    expect(held.code).toBe(1);
    expect(held.stderr + held.stdout).toMatch(/Cannot evict pod as it would violate the pod's disruption budget|global timeout reached/);
    await k("delete pdb held");
    expect(await k(`drain ${ns} --force --ignore-daemonsets --grace-period=0 --timeout=30s`)).toContain(`node/${ns} drained`);
    expect((await ends("get pod alone")).stderr).toContain("not found");
    expect(await k(`uncordon ${ns}`)).toBe(`node/${ns} uncordoned`);
    await k(`delete node ${ns}`);
  },

  "describe, run, expose, exec, logs, cp": async ({ k, folder, version }) => {
    await k("run web --image=registry.k8s.io/e2e-test-images/agnhost:2.56 --port=80 --labels=app=web -- netexec --http-port=80");
    await k("wait pod/web --for=condition=Ready --timeout=60s");
    await k("expose pod web --port=80");
    expect(await k("describe pod web")).toMatch(/Status:\s+Running[\s\S]*Events:\s+Type\s+Reason/);
    expect(await k("describe service web")).toMatch(/Endpoints:\s+10\.244\.\d+\.\d+:80/);
    expect(await k("exec web -- echo out")).toBe("out");
    expect(await k("logs web")).toContain("Started HTTP server on port 80");
    writeFileSync(join(folder, "up.txt"), "carried");
    await k(`cp ${join(folder, "up.txt")} web:/tmp/up.txt`);
    expect(await k("exec web -- cat /tmp/up.txt")).toBe("carried");
    if (version === "1.28" || version === "1.33") {
      // More than a frame, a window or a buffer holds: the one speaks SPDY, the other WebSocket.
      const content = randomBytes(20_000_000);
      writeFileSync(join(folder, "up.bin"), content);
      await k(`cp ${join(folder, "up.bin")} web:/tmp/up.bin`);
      expect(await k("exec web -- sha256sum /tmp/up.bin")).toContain(createHash("sha256").update(content).digest("hex"));
      await k(`cp web:/tmp/up.bin ${join(folder, "down.bin")}`);
      expect(readFileSync(join(folder, "down.bin")).equals(content)).toBe(true);
    }
    await k("delete pod,service web --grace-period=0 --force");
  },
};

describe("kubectl 1.27 to 1.33", () => {
  const clients = installed();
  let cluster: Cluster;
  let attempts = 0;
  beforeAll(async () => {
    if (clients.size > 0) cluster = await startCluster({ nodes: 2 });
  });
  afterAll(() => cluster?.stop());

  for (const version of WANTED) {
    const binary = clients.get(version);
    if (binary === undefined) {
      it.skip(`kubectl ${version} (skipped: not installed)`, () => {});
      continue;
    }
    for (const [i, [title, body]] of Object.entries(CASES).entries())
      it.concurrent(`kubectl ${version}: ${title}`, async () => {
        const ns = `v${version.replace(".", "-")}-${i}-${attempts++}`;
        const folder = join(cluster.home, ns);
        const home = join(cluster.home, `kubectl-${version}`); // Discovery is cached per version.
        mkdirSync(folder, { recursive: true });
        mkdirSync(home, { recursive: true });
        const ends: Context["ends"] = (args, o = {}) =>
          run(binary, ["--namespace", ns, ...args.split(" ")], {
            env: { KUBECONFIG: cluster.kubeconfig, HOME: home, ...o.env },
            timeoutMs: 90_000,
            ...(o.input === undefined ? {} : { input: JSON.stringify(o.input) }),
          });
        const k: Context["k"] = async (args, o) => {
          const r = await ends(args, o);
          if (r.code !== 0) throw new Error(`kubectl ${args}: exit code ${r.code}\n${r.stdout}\n${r.stderr}`);
          return r.stdout;
        };
        await k(`create namespace ${ns}`);
        await eventually("the default service account", async () =>
          (await k("get serviceaccounts -o name")).includes("serviceaccount/default"),
        );
        await body({ version, ns, k, ends, folder });
        await k(`delete namespace ${ns} --wait=false`);
      });
  }
});
