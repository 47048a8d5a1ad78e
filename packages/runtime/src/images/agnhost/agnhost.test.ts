// agnhost's servers that no recording covers: tcp-reset, fake-gitserver and audit-proxy, over the pod's own network.
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { NetNamespace } from "@podwire/net";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createPodSandbox, type PodSandbox } from "../../container/sandbox.ts";
import type { NetStack } from "../../net/net-stack.ts";
import { ImageCatalogue } from "../catalogue.ts";

let ns: NetNamespace;
let pod: PodSandbox;

beforeEach(() => {
  const common = { clock: systemClock, random: seededRandom(1), log: silentLogger };
  ns = new NetNamespace({ name: "t/p", process: "t", ...common });
  pod = createPodSandbox({ name: "p", namespace: "t", uid: "1", hostname: "p", netns: ns as unknown as NetStack, ...common });
});
afterEach(() => {
  pod.stop();
  ns.close();
});

function start(...command: string[]) {
  const r = new ImageCatalogue({ strict: true }).resolve("registry.k8s.io/e2e-test-images/agnhost:2.56");
  if (r.kind !== "image") throw new Error(r.kind);
  const c = pod.createContainer({ name: "c", image: r.image, command, env: {}, mounts: [] });
  const got = { stdout: "", stderr: "" };
  c.onOutput((stream, b) => {
    got[stream] += Buffer.from(b).toString();
  });
  c.start();
  return { c, got };
}

async function client(script: string): Promise<string> {
  const { c, got } = start("sh", "-c", script);
  await c.wait();
  return got.stdout + got.stderr;
}

it("tcp-reset resets each connection once it has read", async () => {
  const { got } = start("/agnhost", "tcp-reset", "--port=8081");
  await vi.waitFor(() => expect(got.stderr).toContain("Serving on port 8081."), { timeout: 5_000 });
  expect(await client("curl -sS http://127.0.0.1:8081/")).toMatch(/Connection reset by peer/);
  expect(got.stderr).toContain("TCP request from 127.0.0.1:");
});

it("fake-gitserver says one sentence", async () => {
  start("/agnhost", "fake-gitserver");
  await vi.waitFor(async () => expect(await client("curl -s http://127.0.0.1:8000/any")).toBe("I am a fake git server"), {
    timeout: 5_000,
  });
});

it("audit-proxy prints the events of a list, one a line", async () => {
  const { got } = start("/agnhost", "audit-proxy");
  const post = (body: string) => client(`curl -s -o /dev/null -w '%{http_code}' -d '${body}' http://127.0.0.1:8080/`);
  await vi.waitFor(async () => expect(await post("junk")).toBe("500"), { timeout: 5_000 });
  expect(await post('{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"auditID":"a"},{"auditID":"b"}]}')).toBe("200");
  expect(got.stdout).toBe(
    '{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a"}\n{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"b"}\n',
  );
});
