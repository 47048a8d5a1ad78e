import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { encode, memoryBus, subjectsOf } from "@podwire/bus";
import { afterEach, describe, expect, test } from "vitest";
import type { LiveCluster } from "./live.ts";
import { type DashboardServer, serveDashboard } from "./server.ts";
import { traceDesk } from "./traces.ts";
import { clusterView } from "./view.ts";

const view = clusterView("demo", { nodes: [], pods: [], services: [], endpointSlices: [] });
const live: LiveCluster = {
  synced: () => true,
  view: () => view,
  listen: (cb) => {
    cb({ type: "cluster", data: view });
    return () => undefined;
  },
  stop: () => undefined,
};

describe("the dashboard's server", () => {
  const broker = memoryBus();
  const around = { cluster: "demo", clock: systemClock, random: seededRandom(1), log: silentLogger };
  let server: DashboardServer;
  const start = async () => {
    const bus = broker.connect({ ...around, identity: "dashboard" });
    server = await serveDashboard({ live, traces: traceDesk({ ...around, bus }), ...around, host: "127.0.0.1", port: 0 });
    return server.url;
  };
  afterEach(() => server.close());

  test("serves the page, its files and the cluster", async () => {
    const url = await start();
    expect(await (await fetch(url)).text()).toContain("<title>Podwire</title>");
    expect((await fetch(`${url}page.js`)).headers.get("content-type")).toContain("javascript");
    expect(await (await fetch(`${url}api/cluster`)).json()).toEqual(view);
    expect((await fetch(`${url}../../etc/passwd`)).status).toBe(404);
    expect((await fetch(url, { method: "POST" })).status).toBe(405);
  });

  test("refuses names that are not its own", async () => {
    const url = new URL(await start());
    const { request } = await import("node:http");
    const status = await new Promise((resolve) =>
      request({ port: url.port, host: "127.0.0.1", headers: { host: "evil.example" } }, (r) => resolve(r.statusCode)).end(),
    );
    expect(status).toBe(421);
  });

  test("arms a trace and hands on its points", async () => {
    const url = await start();
    const other = broker.connect({ ...around, identity: "node:node-1" });
    const subjects = subjectsOf("demo");
    const { decode } = await import("@podwire/bus");
    other.subscribe(subjects.traceArm, (m) => {
      const { traceId, dport } = decode(m.data) as { traceId: number; dport: number };
      other.publish(subjects.tracePoint("node-1"), encode([{ traceId, hop: 1, process: "node-1", dport }, { traceId: traceId + 1 }]));
    });
    const stop = new AbortController();
    const answer = await fetch(`${url}api/trace?dst=10.96.0.10&dport=53`, { signal: stop.signal });
    let text = "";
    for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      if (text.includes("event: point")) break;
    }
    stop.abort();
    expect(text).toContain("event: armed");
    expect(text.match(/event: point/g)).toHaveLength(1);
    expect(text).toContain('"dport":53');
  });

  test.each(["", "?dport=0", "?dport=x&dst=a", "?colour=red"])("refuses the trace %j and says why", async (query) => {
    const answer = await fetch(`${await start()}api/trace${query}`);
    expect(answer.status).toBe(400);
    expect((await answer.text()).length).toBeGreaterThan(5);
  });
});
