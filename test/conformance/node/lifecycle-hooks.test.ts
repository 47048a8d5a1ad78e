// [sig-node] Container Lifecycle Hook, PreStop: hooks are called, through the network, before and after.
import { expect } from "vitest";
import { BUSYBOX, type Context, conformance } from "../harness.ts";

async function listener(t: Context): Promise<string> {
  const p = await t.runPod("listener", { args: ["netexec", "--http-port", "8080"] });
  return p.status.podIP;
}
const called = (t: Context, what: string) =>
  t.eventually(
    `GET /echo?msg=${what} at the listener`,
    async () =>
      /GET \/echo\?msg=(poststart|prestop)/.test(await t.logs("listener")) && (await t.logs("listener")).includes(`GET /echo?msg=${what}`),
  );

conformance(
  "[sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute poststart http hook properly [NodeConformance] [Conformance]",
  async (t) => {
    const host = await listener(t);
    await t.runPod("hooked", { container: { lifecycle: { postStart: { httpGet: { host, port: 8080, path: "/echo?msg=poststart" } } } } });
    await called(t, "poststart");
  },
);

conformance(
  "[sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute prestop http hook properly [NodeConformance] [Conformance]",
  async (t) => {
    const host = await listener(t);
    await t.runPod("hooked", {
      container: { lifecycle: { preStop: { httpGet: { host, port: 8080, path: "/echo?msg=prestop" } } } },
      spec: { terminationGracePeriodSeconds: 5 },
    });
    expect(await t.logs("listener")).not.toContain("prestop");
    await t.deletePod("hooked", 5);
    await t.podGone("hooked");
    await called(t, "prestop");
  },
);

conformance("[sig-node] PreStop should call prestop when killing a pod [Conformance]", async (t) => {
  const server = await t.runPod("server", { args: ["nettest"], ports: [{ containerPort: 8080 }] });
  await t.runPod("tester", {
    image: BUSYBOX,
    command: ["sleep", "600"],
    container: {
      lifecycle: {
        preStop: { exec: { command: ["wget", "-O-", '--post-data={"Source": "prestop"}', `http://${server.status.podIP}:8080/write`] } },
      },
    },
    spec: { terminationGracePeriodSeconds: 5 },
  });
  await t.deletePod("tester", 5);
  await t.eventually("the server to hear of it", async () => {
    const { text } = await t.api.call("GET", `${t.path("pods/server:8080/proxy")}/read`);
    return JSON.parse(text).Received?.prestop !== undefined;
  });
  await t.podGone("tester");
});
