// NetworkPolicy and the traffic policies of Services on three node processes: what is cut and what goes on, seen from pods, from other
// nodes and from outside; the Service half in each of kube-proxy's modes, which are switched on the live nodes in between.
// Every test has a namespace of its own; those of a group run at the same time.
import { afterAll, beforeAll, describe, expect } from "vitest";
import { type Cluster, curl, eventually, missing, startCluster } from "./cluster.ts";
import { AGNHOST, BUSYBOX, type Context, conformance as scenario, useKubeconfig } from "./conformance/harness.ts";
import { dial, netexec, service } from "./conformance/network/endpoints.ts";
import type { Json } from "./conformance/rest.ts";

const skip = missing("kubectl", "curl");
const NETWORKING = "networking.k8s.io/v1";

let cluster: Cluster;

const on = (node: number, o: Json = {}): Json => ({ ...o, spec: { nodeName: `node-${node}`, ...o.spec } });
/** A pod that tells its name (`dial`) on a certain node. */
const teller = (t: Context, name: string, node: number, o: Json = {}) => netexec(t, name, on(node, o));
/** One of the node's own network: for other nodes it is a stranger from outside the pods' range. */
const hostPod = (t: Context, name: string, node: number, port: number) =>
  t.runPod(name, {
    image: AGNHOST,
    args: ["netexec", `--http-port=${port}`, "--udp-port=-1"],
    ...on(node, { spec: { hostNetwork: true } }),
  });

const policy = (name: string, spec: Json): Json => ({ apiVersion: NETWORKING, kind: "NetworkPolicy", metadata: { name }, spec });
const policyPath = (t: Context, name: string) => `${t.path("networkpolicies", NETWORKING)}/${name}`;

/** Standard output of a GET from inside pod `from`, or undefined when nobody answers within `seconds`. */
async function get(t: Context, from: string, url: string, seconds = 1): Promise<string | undefined> {
  const r = await t.tryExec(from, ["curl", "-g", "-s", "--max-time", String(seconds), url]);
  return r.code === 0 ? r.stdout : undefined;
}
const reached = (t: Context, from: string, url: string) =>
  t.eventually(`${from} reaches ${url}`, async () => (await get(t, from, url)) !== undefined);
/** Not at the first attempt that fails: a policy takes some milliseconds to reach a node, and must then hold. */
async function cutOff(t: Context, from: string, url: string): Promise<void> {
  await t.eventually(`${from} is cut off from ${url}`, async () => (await get(t, from, url)) === undefined);
  expect(await get(t, from, url), `${from} to ${url} stays cut`).toBeUndefined();
}
const web = (pod: Json, port = 8080) => `http://${pod.status.podIP}:${port}/hostname`;

describe.skipIf(skip)(`the network of three nodes${skip ? ` (skipped: ${skip})` : ""}`, () => {
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 3, name: "network" });
    useKubeconfig(cluster.kubeconfig);
  });
  afterAll(() => cluster?.stop());

  describe("network policies", () => {
    scenario("a pod that is denied everything is let in rule by rule: pods, namespaces, ports, blocks", async (t) => {
      const [server, friend, stranger] = await Promise.all([
        teller(t, "server", 1, { args: ["netexec", "--http-port=8080", "--udp-port=8081"], ports: [{ name: "web", containerPort: 8080 }] }),
        teller(t, "friend", 2, { labels: { friend: "yes" } }),
        teller(t, "stranger", 3),
        teller(t, "near", 1),
        hostPod(t, "own-node", 1, 19_101),
        hostPod(t, "other-node", 2, 19_102),
      ]);
      await Promise.all(["friend", "stranger", "near"].map((from) => reached(t, from, web(server))));
      await t.create(policy("deny", { podSelector: { matchLabels: { app: "server" } }, policyTypes: ["Ingress"] }));
      await Promise.all(["friend", "stranger", "near", "other-node"].map((from) => cutOff(t, from, web(server))));
      expect(await get(t, "own-node", web(server)), "a node always reaches its own pods").toBe("server");
      expect(await get(t, "server", web(friend)), "egress is not isolated").toBe("friend");

      await t.create(
        policy("friends", {
          podSelector: { matchLabels: { app: "server" } },
          ingress: [{ from: [{ podSelector: { matchLabels: { friend: "yes" } } }], ports: [{ port: "web" }] }],
        }),
      );
      await reached(t, "friend", web(server));
      await expect(dial(t, "friend", server.status.podIP, { port: 8081, protocol: "udp" }), "UDP is another port").rejects.toThrow();
      await cutOff(t, "stranger", web(server));
      // Labels of pods count as they are now.
      await t.api.patch(t.path("pods/stranger"), { metadata: { labels: { friend: "yes" } } });
      await reached(t, "stranger", web(server));
      await t.api.patch(t.path("pods/stranger"), { metadata: { labels: { friend: null } } });
      await cutOff(t, "stranger", web(server));
      // A block with a hole: the other node itself, but none of its pods.
      const except = [`${friend.status.podIP}/32`, `${stranger.status.podIP}/32`];
      await t.create(
        policy("blocks", {
          podSelector: { matchLabels: { app: "server" } },
          ingress: [{ from: [{ ipBlock: { cidr: "0.0.0.0/0", except } }], ports: [{ port: 8000, endPort: 8090 }] }],
        }),
      );
      await reached(t, "other-node", web(server));
      await reached(t, "near", web(server));
      await cutOff(t, "stranger", web(server));
      // A pod that comes later is judged from its first packet.
      await t.create(policy("deny-all", { podSelector: { matchLabels: { late: "yes" } }, policyTypes: ["Ingress"] }));
      const late = await teller(t, "late", 2, { labels: { late: "yes" } });
      expect(await get(t, "near", web(late))).toBeUndefined();
      expect(await get(t, "friend", web(late))).toBeUndefined();
    });

    scenario("egress: only DNS and one namespace, whatever Service is in between", async (t) => {
      const inside = teller(t, "inside", 1);
      const outside = teller(t, "outside", 2, { labels: { side: "out" } });
      const [asker] = await Promise.all([teller(t, "asker", 3), inside, outside]);
      await t.create(service("out", { selector: { side: "out" }, ports: [{ port: 80, targetPort: 8080 }] }));
      await reached(t, "asker", "http://out/hostname");
      await t.create(
        policy("only-inside", {
          podSelector: { matchLabels: { app: "asker" } },
          policyTypes: ["Egress"],
          egress: [
            {
              to: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } } }],
              ports: [{ port: 53, protocol: "UDP" }],
            },
            {
              to: [
                {
                  namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": t.namespace } },
                  podSelector: { matchLabels: { app: "inside" } },
                },
              ],
            },
          ],
        }),
      );
      await cutOff(t, "asker", "http://out/hostname");
      await cutOff(t, "asker", web(await outside));
      expect(await get(t, "asker", web(await inside))).toBe("inside");
      expect(await t.exec("asker", `dig +short out.${t.namespace}.svc.cluster.local`)).toMatch(/^10\./);
      expect(await get(t, "outside", web(asker)), "who may not call may be called").toBe("asker");
      await t.create(
        policy("out-too", {
          podSelector: {},
          policyTypes: ["Egress"],
          egress: [{ to: [{ podSelector: { matchLabels: { side: "out" } } }] }],
        }),
      );
      await reached(t, "asker", "http://out/hostname");
    });

    scenario("a policy cuts a connection that is open, and the connection lives on when the policy goes", async (t) => {
      const server = await t.runPod("server", { image: BUSYBOX, command: ["sh", "-c", "tail -f /dev/null | nc -lk -p 9000"], ...on(1) });
      const talk = `i=0; while true; do i=$((i+1)); echo line-$i; sleep 0.1; done | nc ${server.status.podIP} 9000`;
      await t.runPod("client", { image: BUSYBOX, command: ["sh", "-c", talk], ...on(2) });
      const lines = async () => (await t.logs("server")).trim().split("\n");
      await t.eventually("lines arrive", async () => (await lines()).length > 3);
      await t.create(policy("deny", { podSelector: { matchLabels: { app: "server" } }, policyTypes: ["Ingress"] }));
      const stopped = await t.eventually("lines stop", async () => {
        const n = (await lines()).length;
        await new Promise((r) => setTimeout(r, 700));
        return (await lines()).length === n ? n : undefined;
      });
      await t.api.delete(policyPath(t, "deny"));
      await t.eventually("lines go on", async () => (await lines()).length > stopped + 10);
      // The same connection, and nothing of it lost: TCP has sent again what the policy swallowed.
      const all = await lines();
      expect(all).toEqual(all.map((_, i) => `line-${i + 1}`));
    });

    scenario("a trace names the policy and the rule: of a drop and of what let a packet in", async (t) => {
      const [server, client] = await Promise.all([teller(t, "server", 3), teller(t, "client", 1, { labels: { may: "yes" } })]);
      await t.create(policy("closed", { podSelector: { matchLabels: { app: "server" } }, policyTypes: ["Ingress"] }));
      await t.create(
        policy("open-8080", {
          podSelector: { matchLabels: { app: "server" } },
          ingress: [
            { from: [{ podSelector: { matchLabels: { nobody: "here" } } }] },
            { from: [{ podSelector: { matchLabels: { may: "yes" } } }], ports: [{ port: 8080 }] },
          ],
        }),
      );
      await reached(t, "client", web(server));
      await cutOff(t, "client", web(server, 8082));
      const follow = async (port: number) => {
        const done = cluster.podwire([
          "trace",
          `--src=${client.status.podIP}`,
          `--dst=${server.status.podIP}`,
          `--port=${port}`,
          "-o",
          "json",
        ]);
        let points: Json[] | undefined;
        done.then((r) => (points = JSON.parse(r.stdout)));
        while (points === undefined) {
          await Promise.race([get(t, "client", web(server, port)), done]);
        }
        return points as Json[];
      };
      const [allowed, denied] = await Promise.all([follow(8080), follow(8082)]);
      const verdict = (points: Json[]) => points.filter((p) => p.place === "policy").map((p) => [p.process, p.verdict, p.rule])[0];
      expect(verdict(allowed)).toEqual(["node-3", "accept", `NetworkPolicy ${t.namespace}/open-8080 ingress[1]`]);
      const [process, dropped, rule] = verdict(denied) as [string, string, string];
      expect([process, dropped]).toEqual(["node-3", "drop"]);
      expect(rule).toContain(`NetworkPolicy ${t.namespace}/closed, ${t.namespace}/open-8080 ingress: no rule allows`);
      expect(rule).toContain(`${client.status.podIP} to ${server.status.podIP} tcp 8082`);
      expect(denied.find((p) => p.place === "drop")).toMatchObject({ process: "node-3", detail: { reason: "networkPolicy" } });
    });
  });

  for (const mode of ["iptables", "ipvs", "nftables"] as const)
    describe(`Services in mode ${mode}`, () => {
      beforeAll(async () => {
        await cluster.podwire(["proxy", "mode", mode]);
        const { stdout } = await cluster.podwire(["proxy", "-o", "json"]);
        expect(JSON.parse(stdout).map((p: Json) => p.mode)).toEqual([mode, mode, mode]);
      });
      services(mode);
    });

  scenario("the mode is switched on a live node under a connection, which goes on; the rules are shown", async (t) => {
    const listen = "tail -f /dev/null | nc -lk -p 9000";
    await t.runPod("server", { image: BUSYBOX, command: ["sh", "-c", listen], ...on(2) });
    const { clusterIP } = (await t.create(service("lines", { selector: { app: "server" }, ports: [{ port: 90, targetPort: 9000 }] }))).spec;
    await t.eventually("rules", async () => (await cluster.podwire(["proxy", "rules", "node-1"])).stdout.includes(clusterIP));
    const talk = `i=0; while true; do i=$((i+1)); echo line-$i; sleep 0.1; done | nc ${clusterIP} 90`;
    await t.runPod("client", { image: BUSYBOX, command: ["sh", "-c", talk], ...on(1) });
    const lines = async () => (await t.logs("server")).trim().split("\n");
    const goesOn = async () => {
      const { length } = await lines();
      await t.eventually("lines go on", async () => (await lines()).length > length + 3);
    };
    await goesOn();
    expect((await cluster.podwire(["proxy", "rules", "node-1"])).stdout).toContain("table ip kube-proxy");
    for (const mode of ["ipvs", "iptables"]) {
      await cluster.podwire(["proxy", "mode", mode, "node-1"]);
      await goesOn();
    }
    const all = await lines();
    expect(all).toEqual(all.map((_, i) => `line-${i + 1}`));
    expect((await cluster.podwire(["proxy"])).stdout).toMatch(/node-1\s+iptables[\s\S]*node-2\s+nftables[\s\S]*node-3\s+nftables/);
    const rules = (await cluster.podwire(["proxy", "rules", "node-1"])).stdout;
    expect(rules).toMatch(new RegExp(`^-A KUBE-SERVICES -d ${clusterIP}/32 .* -j KUBE-SVC-`, "m"));
    expect(rules).not.toContain("table ip kube-proxy");
    const wrong = await cluster.podwire(["proxy", "mode", "ebpf"], { expect: 1 });
    expect(wrong.stderr).toContain("the mode is one of iptables, ipvs, nftables");
    expect((await cluster.podwire(["proxy", "rules", "node-9"], { expect: 2 })).stderr).toContain("there is no node node-9");
  });
});

/** Answers of `tries` requests from a pod, each over a connection of its own, counted by name. */
async function answers(t: Context, from: string, host: string, port: number, tries: number): Promise<Set<string>> {
  return new Set(await dial(t, from, host, { port, tries }));
}

function services(mode: string): void {
  scenario(`${mode}: internalTrafficPolicy Local keeps to the node; where it has no endpoint nobody answers`, async (t) => {
    await Promise.all([teller(t, "end-1", 1, { labels: { role: "end" } }), teller(t, "end-2", 2, { labels: { role: "end" } })]);
    await Promise.all([teller(t, "ask-1", 1), teller(t, "ask-2", 2), teller(t, "ask-3", 3)]);
    const spec = { selector: { role: "end" }, ports: [{ port: 80, targetPort: 8080 }], internalTrafficPolicy: "Local" };
    const { clusterIP } = (await t.create(service("local", spec))).spec;
    await t.eventually("ask-1", async () => (await dial(t, "ask-1", clusterIP, { port: 80 })).length === 1);
    expect(await answers(t, "ask-1", clusterIP, 80, 8)).toEqual(new Set(["end-1"]));
    expect(await answers(t, "ask-2", clusterIP, 80, 8)).toEqual(new Set(["end-2"]));
    expect(await get(t, "ask-3", `http://${clusterIP}/hostname`)).toBeUndefined();
    await t.modify(t.path("services/local"), (s) => void (s.spec.internalTrafficPolicy = "Cluster"));
    await t.eventually("both from node 3", async () => (await answers(t, "ask-3", clusterIP, 80, 12)).size === 2);
  });

  scenario(
    `${mode}: externalTrafficPolicy Local shows the client and uses the node's own endpoints; health-check node ports follow`,
    async (t) => {
      const ports = { iptables: 19_110, ipvs: 19_120, nftables: 19_130 }[mode] as number;
      const [, , ...hosts] = await Promise.all([
        teller(t, "end-1", 1, { labels: { role: "end" } }),
        teller(t, "end-2", 2, { labels: { role: "end" } }),
        hostPod(t, "host-1", 1, ports + 1),
        hostPod(t, "host-2", 2, ports + 2),
        hostPod(t, "host-3", 3, ports + 3),
      ]);
      const nodes = hosts.map((h) => h.status.hostIP as string);
      const spec = {
        type: "LoadBalancer",
        selector: { role: "end" },
        ports: [{ port: 80, targetPort: 8080 }],
        externalTrafficPolicy: "Local",
      };
      const made = await t.create(service("ext", spec));
      const {
        healthCheckNodePort,
        ports: [{ nodePort }],
      } = made.spec;
      const at = (node: number, path = "clientip", port = nodePort) => `http://${nodes[node - 1]}:${port}/${path}`;
      const health = async (node: number) =>
        JSON.parse((await get(t, "host-3", at(node, "", healthCheckNodePort), 3)) ?? "{}").localEndpoints;
      await t.eventually("node 1 has one endpoint", async () => (await health(1)) === 1);
      await t.eventually("node 2 has one endpoint", async () => (await health(2)) === 1);
      expect(await health(3)).toBe(0);
      // From outside the node: its own endpoint alone, and the client's address as it is.
      expect(await get(t, "host-3", at(1))).toMatch(new RegExp(`^${nodes[2]}:`));
      for (let i = 0; i < 4; i++) expect(await get(t, "host-3", at(2, "hostname"))).toBe("end-2");
      expect(await get(t, "host-1", at(3)), "a node without an endpoint drops what comes from outside").toBeUndefined();
      // The world outside, by a real address of this host: an internet client, seen as it is.
      const address = await t.eventually("an address on this host", async () => {
        const s = await t.api.get(t.path("services/ext"));
        return s.metadata.annotations?.["podwire.io/host-address"] as string | undefined;
      });
      const world = (client: number, path: string) => curl(`http://${address}/${path}`, "--interface", `127.0.0.${client}`);
      expect(await world(41, "clientip")).toMatch(/^203\.0\.113\.41:/);
      // The node's only endpoint goes: its check says so, and the load balancer leaves it.
      await t.deletePod("end-1");
      await t.eventually("node 1 has none", async () => (await health(1)) === 0);
      for (let i = 0; i < 4; i++) expect(await world(42, "hostname")).toBe("end-2");
      expect(await get(t, "host-3", at(1))).toBeUndefined();
      await t.modify(t.path("services/ext"), (s) => void (s.spec.externalTrafficPolicy = "Cluster"));
      await reached(t, "host-1", at(3));
      // Now the node that took the packet stands for the client.
      expect(await get(t, "host-1", at(3))).not.toMatch(new RegExp(`^${nodes[0]}:`));
    },
  );

  scenario(`${mode}: session affinity holds a client until its time is over`, async (t) => {
    await Promise.all([1, 2, 3].map((n) => teller(t, `end-${n}`, n, { labels: { role: "end" } })));
    await teller(t, "asker", 2);
    const sessionAffinityConfig = { clientIP: { timeoutSeconds: 2 } };
    const spec = { type: "LoadBalancer", selector: { role: "end" }, ports: [{ port: 80, targetPort: 8080 }] };
    const made = await t.create(service("sticky", spec));
    const { clusterIP } = made.spec;
    await t.eventually("all three", async () => (await answers(t, "asker", clusterIP, 80, 20)).size === 3);
    await t.modify(t.path("services/sticky"), (s) => Object.assign(s.spec, { sessionAffinity: "ClientIP", sessionAffinityConfig }));
    await t.eventually("one", async () => (await answers(t, "asker", clusterIP, 80, 12)).size === 1);
    const address = await t.eventually("an address on this host", async () => {
      const s = await t.api.get(t.path("services/sticky"));
      return s.metadata.annotations?.["podwire.io/host-address"] as string | undefined;
    });
    // Affinity is each node's own: from outside it holds for one connection (keep-alive) and, by one node, for a client.
    expect(await curl(`http://${address}/hostname`, "--interface", "127.0.0.51")).toMatch(/^end-/);
    // Idle for longer than the time: another may answer. Three endpoints, nine attempts: that none differs is one in 20,000.
    const seen = new Set<string>();
    for (let i = 0; i < 9 && seen.size < 2; i++) {
      if (i > 0) await new Promise((r) => setTimeout(r, 2200));
      for (const name of await answers(t, "asker", clusterIP, 80, 1)) seen.add(name);
    }
    expect(seen.size).toBe(2);
  });

  scenario(`${mode}: loadBalancerSourceRanges let in whom they name`, async (t) => {
    await teller(t, "end", 1);
    const spec = {
      type: "LoadBalancer",
      selector: { app: "end" },
      ports: [{ port: 80, targetPort: 8080 }],
      loadBalancerSourceRanges: ["203.0.113.60/31"],
    };
    await t.create(service("ranged", spec));
    const address = await t.eventually("an address on this host", async () => {
      const s = await t.api.get(t.path("services/ranged"));
      return s.metadata.annotations?.["podwire.io/host-address"] as string | undefined;
    });
    const from = (client: number) =>
      curl(`http://${address}/hostname`, "--interface", `127.0.0.${client}`, "--max-time", "2").catch(() => undefined);
    await eventually("a client within", async () => (await from(61)) === "end");
    expect(await from(60)).toBe("end");
    expect(await from(62)).toBeUndefined();
    await t.modify(t.path("services/ranged"), (s) => void (s.spec.loadBalancerSourceRanges = ["203.0.113.62/32"]));
    await eventually("the other client", async () => (await from(62)) === "end");
    expect(await from(61)).toBeUndefined();
  });

  scenario(`${mode}: a pod reaches itself through its Service; a terminating endpoint serves while it is the only one`, async (t) => {
    const args = ["netexec", "--http-port=8080", "--udp-port=-1", "--delay-shutdown=30"];
    await Promise.all([teller(t, "end", 1, { args, spec: { terminationGracePeriodSeconds: 30 } }), teller(t, "asker", 2)]);
    const { clusterIP } = (await t.create(service("one", { selector: { app: "end" }, ports: [{ port: 80, targetPort: 8080 }] }))).spec;
    await t.eventually("itself", async () => (await get(t, "end", `http://${clusterIP}/hostname`)) === "end");
    await t.eventually("asker", async () => (await get(t, "asker", `http://${clusterIP}/hostname`)) === "end");
    await t.api.delete(t.path("pods/end"), { gracePeriodSeconds: 30 });
    await t.eventually("it is terminating", async () => {
      const { items } = await t.api.get(t.path("endpointslices", "discovery.k8s.io/v1"), {
        query: { labelSelector: "kubernetes.io/service-name=one" },
      });
      const [e] = items[0]?.endpoints ?? [];
      return e?.conditions.terminating === true && e.conditions.serving === true && e.conditions.ready === false;
    });
    for (let i = 0; i < 3; i++) expect(await get(t, "asker", `http://${clusterIP}/hostname`)).toBe("end");
    await t.deletePod("end");
    await t.eventually("nobody is left, and the Service says so at once", async () => {
      const r = await t.tryExec("asker", ["curl", "-s", "--max-time", "2", `http://${clusterIP}/hostname`]);
      return r.code === 7; // Refused, not timed out.
    });
  });
}
