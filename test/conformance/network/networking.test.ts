// [sig-network] Networking, HostPort and the API server's proxy: packets between pods, nodes and the control plane.
import { expect } from "vitest";
import { type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";
import { dial, NETEXEC, netexec, service, workers } from "./endpoints.ts";

/** A pod on every node, and their names. */
async function everywhere(t: Context): Promise<Json[]> {
  const nodes = await workers(t);
  expect(nodes.length).toBeGreaterThan(1);
  return Promise.all(nodes.map((n) => netexec(t, `on-${n.name}`, { spec: { nodeName: n.name } })));
}

for (const [protocol, port] of [
  ["http", 8080],
  ["udp", 8081],
] as const) {
  conformance(
    `[sig-network] Networking Granular Checks: Pods should function for intra-pod communication: ${protocol} [NodeConformance] [Conformance]`,
    async (t) => {
      const [pods] = await Promise.all([everywhere(t), netexec(t, "asker")]);
      for (const p of pods) expect(await dial(t, "asker", p.status.podIP, { port, protocol })).toEqual([p.metadata.name]);
    },
  );

  conformance(
    `[sig-network] Networking Granular Checks: Pods should function for node-pod communication: ${protocol} [LinuxOnly] [NodeConformance] [Conformance]`,
    async (t) => {
      const spec = { hostNetwork: true };
      const [pods] = await Promise.all([everywhere(t), t.runPod("on-host", { args: ["pause"], spec })]);
      for (const p of pods) {
        const command =
          protocol === "http"
            ? `curl -g -q -s --max-time 15 http://${p.status.podIP}:${port}/hostName`
            : `echo hostName | nc -w 1 -u ${p.status.podIP} ${port}`;
        expect((await t.exec("on-host", command)).trim()).toBe(p.metadata.name);
      }
    },
  );
}

conformance(
  "[sig-network] HostPort validates that there is no conflict between pods with same hostPort but different hostIP and protocol [LinuxOnly] [Conformance]",
  async (t) => {
    const [node] = await workers(t);
    const { name: nodeName, address } = node!;
    const hostPort = 54_323;
    const pod = (name: string, hostIP: string, protocol: string, containerPort: number) =>
      netexec(t, name, { ports: [{ containerPort, hostPort, hostIP, protocol }], spec: { nodeName } });
    await Promise.all([
      pod("pod1", "127.0.0.1", "TCP", 8080),
      pod("pod2", address, "TCP", 8080),
      pod("pod3", address, "UDP", 8081),
      t.runPod("on-host", { args: ["pause"], spec: { hostNetwork: true, nodeName } }),
    ]);
    const ask = (command: string) => t.exec("on-host", command);
    expect(await ask(`curl -g -s --max-time 5 --interface ${address} http://127.0.0.1:${hostPort}/hostname`)).toBe("pod1");
    expect(await ask(`curl -g -s --max-time 5 http://${address}:${hostPort}/hostname`)).toBe("pod2");
    expect((await ask(`echo hostname | nc -w 1 -u ${address} ${hostPort}`)).trim()).toBe("pod3");
  },
);

conformance(
  "[sig-network] Proxy version v1 A set of valid responses are returned for both pod and service ProxyWithPath [Conformance]",
  async (t) => {
    await netexec(t, "agnhost", {
      args: ["porter"],
      env: [{ name: "SERVE_PORT_80", value: '{"Method":"porter"}' }],
      ports: [{ containerPort: 80 }],
    });
    await t.create(service("e2e-proxy-test", { selector: { app: "agnhost" }, ports: [{ name: "portname", port: 80 }] }));
    const bases = [`${t.path("pods")}/agnhost`, `${t.path("services")}/e2e-proxy-test`, `${t.path("services")}/http:e2e-proxy-test:80`];
    await t.eventually(
      "the Service has its endpoint",
      async () => (await t.api.call("GET", `${bases[1]}/proxy/some/path`)).code === 200 || undefined,
    );
    for (const base of bases)
      for (const method of ["DELETE", "OPTIONS", "PATCH", "POST", "PUT", "GET"]) {
        const answer = await t.api.call(method, `${base}/proxy/some/path/with/${method}`, { accept: "*/*" });
        expect([method, answer.code, answer.text]).toEqual([method, 200, '{"Method":"porter"}']);
      }
    const head = await t.api.call("HEAD", `${bases[0]}/proxy/some/path/with/HEAD`, { accept: "*/*" });
    expect([head.code, head.text]).toEqual([200, ""]);
  },
);

conformance("the address that a pod sees is the one that others have of it", async (t) => {
  const [pods] = await Promise.all([everywhere(t), netexec(t, "asker")]);
  const own = (await t.getPod("asker")).status.podIP;
  for (const p of pods)
    expect(await t.exec("asker", ["curl", "-s", `http://${p.status.podIP}:8080/clientip`])).toMatch(new RegExp(`^${own}:`));
  expect(NETEXEC).toContain("netexec");
});
