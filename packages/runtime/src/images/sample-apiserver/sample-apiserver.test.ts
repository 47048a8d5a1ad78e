// The sample API server as the aggregator meets it: TLS, discovery, and the life of a Flunder.

import http from "node:http";
import tls from "node:tls";
import { afterEach, beforeEach, expect, it } from "vitest";
import { LonePod } from "../../container/lone-pod.ts";

let pod: LonePod;
beforeEach(() => {
  pod = new LonePod();
});
afterEach(() => pod.stop());

function ask(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const raw = pod.netns.tcpConnect({ host: "127.0.0.1", port: 443, timeoutMs: 3000 });
    raw.on("error", reject);
    const secure = tls.connect({ socket: raw as never, rejectUnauthorized: false });
    const req = http.request({
      createConnection: () => secure as never,
      method,
      path,
      headers: { "content-type": "application/json", ...headers },
    });
    req.on("error", reject);
    req.on("response", (res) => {
      let text = "";
      res.on("data", (c) => {
        text += String(c);
      });
      res.on("end", () => resolve({ status: res.statusCode ?? 0, text }));
    });
    req.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const FLUNDERS = "/apis/wardle.example.com/v1alpha1/namespaces/default/flunders";

it("serves discovery and the verbs of a namespaced resource", async () => {
  pod.start("registry.k8s.io/e2e-test-images/sample-apiserver:1.29.2", { args: ["--etcd-servers=http://127.0.0.1:2379"] });
  pod.start("registry.k8s.io/etcd:3.6.4-0");
  await new Promise((r) => setTimeout(r, 400));
  expect((await ask("GET", "/healthz")).text).toBe("ok");
  const list = JSON.parse((await ask("GET", "/apis/wardle.example.com/v1alpha1")).text);
  expect(list.resources.map((r: { name: string }) => r.name)).toEqual(["fischers", "flunders"]);
  const flunder = { apiVersion: "wardle.example.com/v1alpha1", kind: "Flunder", metadata: { name: "a", labels: { l: "1" } } };
  expect((await ask("POST", FLUNDERS, flunder)).status).toBe(201);
  const again = JSON.parse((await ask("POST", FLUNDERS, flunder)).text);
  expect(again).toMatchObject({ code: 409, reason: "AlreadyExists", message: 'flunders.wardle.example.com "a" already exists' });
  const merged = await ask("PATCH", `${FLUNDERS}/a`, { spec: { reference: "x" } }, { "content-type": "application/merge-patch+json" });
  expect(JSON.parse(merged.text).spec).toEqual({ reference: "x" });
  expect(JSON.parse((await ask("GET", `${FLUNDERS}?labelSelector=l%3D2`)).text).items).toEqual([]);
  const watched = ask("GET", `${FLUNDERS}?watch=1&timeoutSeconds=1`);
  await new Promise((r) => setTimeout(r, 100));
  expect((await ask("DELETE", `${FLUNDERS}/a`)).status).toBe(200);
  const events = (await watched).text
    .trim()
    .split("\n")
    .map((l) => JSON.parse(l).type);
  expect(events).toEqual(["ADDED", "DELETED"]);
  expect((await ask("GET", `${FLUNDERS}/a`)).status).toBe(404);
});
