// The shell: nothing is followed before a policy exists; then pods and namespaces are, and what they say is enforced.
import { silentLogger, systemClock } from "@podwire/base";
import { listen, settle, two, udp } from "@podwire/testkit";
import { afterEach, expect, test } from "vitest";
import { type NetworkPolicyEnforcer, startNetworkPolicy } from "./network-policy.ts";

/** An informer that the test feeds. */
function feed(...objects: any[]) {
  const handlers: any[] = [];
  const known = new Map(objects.map((o) => [o.metadata.name, o]));
  return {
    asked: 0,
    informer: {
      handle: (h: any) => void handlers.push(h),
      whenSynced: () => Promise.resolve(),
      lister: { list: () => [...known.values()] },
    } as any,
    set(o: any) {
      const old = known.get(o.metadata.name);
      known.set(o.metadata.name, o);
      for (const h of handlers) old === undefined ? h.onAdd(o) : h.onUpdate(o, old);
    },
    remove(name: string) {
      const old = known.get(name);
      known.delete(name);
      for (const h of handlers) h.onDelete(old);
    },
  };
}

let net: ReturnType<typeof two> | undefined;
let enforcer: NetworkPolicyEnforcer | undefined;
afterEach(() => {
  enforcer?.stop();
  net?.close();
});

const pod = (name: string, ip: string, labels: Record<string, string>) => ({
  metadata: { namespace: "default", name, labels },
  spec: { nodeName: "node-1", containers: [] },
  status: { phase: "Running", podIPs: [{ ip }] },
});

test("policies come, change with labels, and go", async () => {
  net = two();
  const [client, server] = [net.a.addPod(2), net.a.addPod(3)];
  const [gotServer] = [listen(server), listen(client)];
  const policies = feed();
  const pods = feed(pod("client", "10.244.1.2", {}), pod("server", "10.244.1.3", { app: "server" }));
  const namespaces = feed({ metadata: { name: "default", labels: {} } });
  enforcer = startNetworkPolicy({
    namespace: net.a.root,
    nodeName: "node-1",
    policies: policies.informer,
    pods: () => {
      pods.asked++;
      return pods.informer;
    },
    namespaces: () => namespaces.informer,
    clock: systemClock,
    log: silentLogger,
  });
  await enforcer.ready;
  let port = 1;
  const reaches = async () => {
    const before = gotServer.length;
    client.output(udp("10.244.1.2", port++, "10.244.1.3", 80, "x"));
    await settle();
    return gotServer.length > before;
  };
  expect(await reaches()).toBe(true);
  expect(pods.asked).toBe(0);
  policies.set({
    metadata: { namespace: "default", name: "only-friends" },
    spec: {
      podSelector: { matchLabels: { app: "server" } },
      policyTypes: ["Ingress"],
      ingress: [{ from: [{ podSelector: { matchLabels: { friend: "yes" } } }] }],
    },
  });
  await settle();
  expect(await reaches()).toBe(false);
  expect(pods.asked).toBe(1);
  pods.set(pod("client", "10.244.1.2", { friend: "yes" }));
  await settle();
  expect(await reaches()).toBe(true);
  pods.set(pod("client", "10.244.1.2", { friend: "no" }));
  await settle();
  expect(await reaches()).toBe(false);
  policies.remove("only-friends");
  await settle();
  expect(await reaches()).toBe(true);
  expect(enforcer.counters()).toMatchObject({ failures: 0, isolatedPods: 0 });
});

test("a new pod's policy holds from its first packet, before the API tells of its address", async () => {
  net = two();
  const client = net.a.addPod(2);
  const policies = feed({ metadata: { namespace: "default", name: "closed" }, spec: { podSelector: {}, policyTypes: ["Ingress"] } });
  const pods = feed(pod("client", "10.244.1.2", {}));
  enforcer = startNetworkPolicy({
    namespace: net.a.root,
    nodeName: "node-1",
    policies: policies.informer,
    pods: () => pods.informer,
    namespaces: () => feed({ metadata: { name: "default", labels: {} } }).informer,
    clock: systemClock,
    log: silentLogger,
  });
  await enforcer.ready;
  const server = net.a.addPod(3);
  const fresh = { metadata: { namespace: "default", name: "server", uid: "u", labels: {} }, spec: { nodeName: "node-1", containers: [] } };
  enforcer.attached(fresh, ["10.244.1.3"]);
  const got = listen(server);
  client.output(udp("10.244.1.2", 1, "10.244.1.3", 80, "x"));
  await settle();
  expect(got).toEqual([]);
  enforcer.detached("u");
  await settle();
  expect(enforcer.engine.isolated().flatMap((p) => p.addresses)).not.toContain(0x0af40103);
});
