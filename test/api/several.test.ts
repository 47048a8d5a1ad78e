// Two apiservers on one store: what one has written the other reads at once, watches go on across them, addresses and ports are given once,
// and the Service kubernetes lists the servers that live.
import https from "node:https";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type RunningApiServer, startApiServer, TOKEN } from "./apiserver-process.ts";

let a: RunningApiServer;
let b: RunningApiServer;
const agent = new https.Agent({ keepAlive: true, maxSockets: 32, rejectUnauthorized: false });

beforeAll(async () => {
  a = await startApiServer("jetstream", ["--advertise-address=172.30.0.2"]);
  b = await startApiServer("jetstream", ["--advertise-address=172.30.0.9"], a);
});
afterAll(async () => {
  agent.destroy();
  await b?.close();
  await a?.close();
});

interface Answer {
  status: number;
  body: any;
}

function ask(s: RunningApiServer, method: string, path: string, body?: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
    const headers = { authorization: `Bearer ${TOKEN}`, "content-type": type };
    const request = https.request({ host: "127.0.0.1", port: s.port, method, path, headers, agent }, (res) => {
      let text = "";
      res.on("data", (d) => {
        text += d;
      });
      res.on("end", () => resolve({ status: res.statusCode ?? 0, body: text.startsWith("{") ? JSON.parse(text) : text }));
    });
    request.on("error", reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const maps = "/api/v1/namespaces/default/configmaps";
const map = (name: string, n = 0) => ({ metadata: { name }, data: { n: String(n) } });

it("reads at either what was written at the other, at once", async () => {
  for (let i = 0; i < 50; i++) {
    const [writer, reader] = i % 2 === 0 ? [a, b] : [b, a];
    expect((await ask(writer, "POST", maps, map(`m${i}`))).status).toBe(201);
    expect((await ask(reader, "GET", `${maps}/m${i}`)).status).toBe(200);
    const changed = await ask(reader, "PATCH", `${maps}/m${i}`, { data: { n: "1" } });
    expect((await ask(writer, "GET", `${maps}/m${i}`)).body.metadata.resourceVersion).toBe(changed.body.metadata.resourceVersion);
    expect((await ask(writer, "GET", maps)).body.items.some((o: any) => o.metadata.name === `m${i}` && o.data.n === "1")).toBe(true);
  }
});

it("pages a list across servers, as of one revision", async () => {
  const first = await ask(a, "GET", `${maps}?limit=20`);
  await ask(a, "POST", maps, map("a-late"));
  const rest = await ask(b, "GET", `${maps}?continue=${encodeURIComponent(first.body.metadata.continue)}`);
  const names = [...first.body.items, ...rest.body.items].map((o: any) => o.metadata.name);
  expect(names.filter((n) => n.startsWith("m"))).toHaveLength(50);
  expect(names).not.toContain("a-late");
  expect(rest.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
});

it("watches at one from the revision of the other, every change once and in order", async () => {
  const from = (await ask(a, "GET", maps)).body.metadata.resourceVersion;
  const seen: string[] = [];
  const watching = new Promise<void>((resolve, reject) => {
    const path = `${maps}?watch=true&resourceVersion=${from}`;
    const request = https.request(
      { host: "127.0.0.1", port: b.port, path, headers: { authorization: `Bearer ${TOKEN}` }, agent },
      (res) => {
        let text = "";
        res.on("data", (d) => {
          text += d;
          const lines = text.split("\n");
          text = lines.pop() as string;
          for (const l of lines) {
            const e = JSON.parse(l);
            seen.push(`${e.type} ${e.object.metadata.name} ${e.object.data.n}`);
          }
          if (seen.length < 40) return;
          request.destroy();
          resolve();
        });
      },
    );
    request.on("error", (e) => (seen.length >= 40 ? undefined : reject(e)));
    request.end();
  });
  const expected: string[] = [];
  for (let i = 0; i < 20; i++) {
    await ask(i % 2 ? a : b, "POST", maps, map(`w${i}`));
    await ask(i % 2 ? b : a, "PATCH", `${maps}/w${i}`, { data: { n: "7" } });
    expected.push(`ADDED w${i} 0`, `MODIFIED w${i} 7`);
  }
  await watching;
  expect(seen).toEqual(expected);
});

it("loses no update when both change one object", async () => {
  await ask(a, "POST", maps, map("counter"));
  const add = async (s: RunningApiServer): Promise<void> => {
    for (;;) {
      const o = (await ask(s, "GET", `${maps}/counter`)).body;
      o.data.n = String(Number(o.data.n) + 1);
      if ((await ask(s, "PUT", `${maps}/counter`, o)).status === 200) return;
    }
  };
  await Promise.all(
    [a, b].map(async (s) => {
      for (let i = 0; i < 15; i++) await add(s);
    }),
  );
  expect((await ask(b, "GET", `${maps}/counter`)).body.data.n).toBe("30");
});

it("gives every Service an address and a node port of its own", async () => {
  const services = "/api/v1/namespaces/default/services";
  const service = (name: string, more: object = {}) => ({ metadata: { name }, spec: { type: "NodePort", ports: [{ port: 80 }], ...more } });
  const made = await Promise.all(Array.from({ length: 60 }, (_, i) => ask(i % 2 ? a : b, "POST", services, service(`s${i}`))));
  expect(made.map((m) => m.status)).toEqual(Array(60).fill(201));
  expect(new Set(made.map((m) => m.body.spec.clusterIP)).size).toBe(60);
  expect(new Set(made.map((m) => m.body.spec.ports[0].nodePort)).size).toBe(60);
  // What was drawn for one of the sixty is no wish that anybody can win.
  const drawn = new Set(made.flatMap((m) => [m.body.spec.clusterIP, m.body.spec.ports[0].nodePort]));
  const free = Array.from({ length: 250 }, (_, i) => i + 1).filter((i) => !drawn.has(`10.96.77.${i}`) && !drawn.has(31_000 + i));
  for (const i of free.slice(0, 5)) {
    const wish = { clusterIP: `10.96.77.${i}`, ports: [{ port: 80, nodePort: 31_000 + i }] };
    const both = await Promise.all([a, b].map((s, n) => ask(s, "POST", services, service(`wish-${i}-${n}`, wish))));
    expect(both.map((r) => r.status).sort()).toEqual([201, 422]);
  }
});

it("serves at one the custom resources that were defined at the other", async () => {
  const names = { plural: "gates", kind: "Gate" };
  const gate = { kind: "Gate", apiVersion: "x.example.com/v1", metadata: { generateName: "g" } };
  const versions = [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }];
  const spec = { group: "x.example.com", scope: "Cluster", names, versions };
  await ask(a, "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", { metadata: { name: "gates.x.example.com" }, spec });
  await vi.waitFor(async () => expect((await ask(b, "POST", "/apis/x.example.com/v1/gates", gate)).status).toBe(201), {
    timeout: 10_000,
  });
  expect((await ask(a, "GET", "/apis/x.example.com/v1/gates")).body.items.length).toBeGreaterThan(0);
});

it("lists both behind the Service kubernetes, and only the one that is left when the other is killed", async () => {
  const addresses = async (s: RunningApiServer) =>
    (await ask(s, "GET", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")).body.endpoints.flatMap(
      (e: any) => e.addresses,
    );
  await vi.waitFor(async () => expect(await addresses(a)).toEqual(["172.30.0.2", "172.30.0.9"]), { timeout: 15_000 });
  await b.kill();
  expect((await ask(a, "POST", maps, map("alone"))).status).toBe(201);
  await vi.waitFor(async () => expect(await addresses(a)).toEqual(["172.30.0.2"]), { timeout: 40_000, interval: 500 });
  const endpoints = (await ask(a, "GET", "/api/v1/namespaces/default/endpoints/kubernetes")).body;
  expect(endpoints.subsets[0].addresses).toEqual([{ ip: "172.30.0.2" }]);
});
