// [sig-node] Containers, Container Runtime, InitContainer, Ephemeral Containers, Kubelet: commands, ends, termination messages, order of starting.
import { expect } from "vitest";
import { AGNHOST, BUSYBOX, type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";

conformance(
  "[sig-node] Containers should be able to override the image''s default command (container entrypoint) [NodeConformance] [Conformance]",
  async (t) => {
    expect(await t.output("p", { command: ["/agnhost-2", "entrypoint-tester"] })).toContain("[/agnhost-2 entrypoint-tester]");
  },
);

conformance(
  "[sig-node] Containers should be able to override the image''s default command and arguments [NodeConformance] [Conformance]",
  async (t) => {
    const out = await t.output("p", { command: ["/agnhost-2"], args: ["entrypoint-tester", "override", "arguments"] });
    expect(out).toContain("[/agnhost-2 entrypoint-tester override arguments]");
  },
);

conformance(
  "[sig-node] Containers should use the image defaults if command and args are blank [NodeConformance] [Conformance]",
  async (t) => {
    await t.runPod("p", { image: AGNHOST });
    await t.eventually("the image's own command", async () => (await t.logs("p")).includes("Paused"));
  },
);

const ended = (t: Context, name: string) => t.podWhen(name, "ended", (p) => p.status.containerStatuses?.[0].state.terminated !== undefined);

async function terminationMessage(t: Context, script: string, o: Json, code = 0): Promise<string> {
  await t.create(t.pod("m", { image: BUSYBOX, command: ["sh", "-c", script], container: o, spec: { restartPolicy: "Never" } }));
  const { terminated } = (await ended(t, "m")).status.containerStatuses[0].state;
  expect(terminated.exitCode).toBe(code);
  return terminated.message ?? "";
}
const FALLBACK = { terminationMessagePath: "/dev/termination-log", terminationMessagePolicy: "FallbackToLogsOnError" };
const MESSAGE = "[sig-node] Container Runtime blackbox test on terminated container should report termination message";

conformance(
  `${MESSAGE} as empty when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set [NodeConformance] [Conformance]`,
  async (t) => {
    expect(await terminationMessage(t, "/bin/echo DONE; /bin/true", FALLBACK)).toBe("");
  },
);
conformance(
  `${MESSAGE} from file when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set [NodeConformance] [Conformance]`,
  async (t) => {
    expect(await terminationMessage(t, "/bin/echo -n OK > /dev/termination-log; /bin/echo DONE; /bin/true", FALLBACK)).toBe("OK");
  },
);
conformance(
  `${MESSAGE} from log output if TerminationMessagePolicy FallbackToLogsOnError is set [NodeConformance] [Conformance]`,
  async (t) => {
    expect(await terminationMessage(t, "/bin/echo -n DONE; /bin/false", FALLBACK, 1)).toBe("DONE");
  },
);
conformance(
  `${MESSAGE} if TerminationMessagePath is set as non-root user and at a non-default path [NodeConformance] [Conformance]`,
  async (t) => {
    const o = { terminationMessagePath: "/dev/termination-custom-log", securityContext: { runAsUser: 1000 } };
    expect(await terminationMessage(t, "/bin/echo -n DONE > /dev/termination-custom-log", o)).toBe("DONE");
  },
);

conformance(
  "[sig-node] Container Runtime blackbox test when starting a container that exits should run with the expected status [NodeConformance] [Conformance]",
  async (t) => {
    // Fails the first time, then stays (Always), ends well (OnFailure), or is not asked again (Never).
    const script = (after: string) =>
      `f=/restart-count/c; count=$(echo hello >> $f; wc -l $f | awk {'print $1'}); if [ $count -eq 1 ]; then exit 1; fi; ${after}`;
    const start = (name: string, restartPolicy: string, after: string) =>
      t.create(
        t.pod(name, {
          image: BUSYBOX,
          command: ["sh", "-c", script(after)],
          container: { volumeMounts: [{ name: "restart-count", mountPath: "/restart-count" }] },
          spec: { restartPolicy, volumes: [{ name: "restart-count", emptyDir: {} }] },
        }),
      );
    await start("always", "Always", "while true; do sleep 1; done");
    await start("onfailure", "OnFailure", "exit 0");
    await start("never", "Never", "exit 0");
    const status = async (name: string, phase: string, restarts: number) => {
      const p = await t.podWhen(name, phase, (x) => x.status.phase === phase && x.status.containerStatuses?.[0].restartCount === restarts);
      return p.status.containerStatuses[0];
    };
    await t.podReady("always");
    expect(await status("always", "Running", 1)).toMatchObject({
      ready: true,
      lastState: { terminated: { exitCode: 1, reason: "Error" } },
    });
    expect(await status("onfailure", "Succeeded", 1)).toMatchObject({
      ready: false,
      state: { terminated: { exitCode: 0, reason: "Completed" } },
    });
    expect(await status("never", "Failed", 0)).toMatchObject({ ready: false, state: { terminated: { exitCode: 1, reason: "Error" } } });
  },
);

const init = (names: [string, string][]) => names.map(([name, program]) => ({ name, image: BUSYBOX, command: [program] }));
const initialized = (p: Json) => p.status.conditions?.find((c: Json) => c.type === "Initialized");

conformance("[sig-node] InitContainer [NodeConformance] should invoke init containers on a RestartAlways pod [Conformance]", async (t) => {
  await t.create(
    t.pod("p", {
      spec: {
        restartPolicy: "Always",
        initContainers: init([
          ["init1", "/bin/true"],
          ["init2", "/bin/true"],
        ]),
      },
    }),
  );
  const p = await t.podReady("p");
  expect(initialized(p).status).toBe("True");
  expect(p.status.initContainerStatuses.map((s: Json) => [s.ready, s.state.terminated.exitCode])).toEqual([
    [true, 0],
    [true, 0],
  ]);
  const [first, second] = p.status.initContainerStatuses.map((s: Json) => s.state.terminated);
  expect(Date.parse(second.startedAt)).toBeGreaterThanOrEqual(Date.parse(first.finishedAt));
});

conformance("[sig-node] InitContainer [NodeConformance] should invoke init containers on a RestartNever pod [Conformance]", async (t) => {
  await t.create(
    t.pod("p", {
      image: BUSYBOX,
      command: ["/bin/true"],
      spec: {
        restartPolicy: "Never",
        initContainers: init([
          ["init1", "/bin/true"],
          ["init2", "/bin/true"],
        ]),
      },
    }),
  );
  const p = await t.podSucceeded("p");
  expect(initialized(p)).toMatchObject({ status: "True", reason: "PodCompleted" });
  expect(p.status.initContainerStatuses.map((s: Json) => [s.ready, s.state.terminated.exitCode])).toEqual([
    [true, 0],
    [true, 0],
  ]);
});

conformance(
  "[sig-node] InitContainer [NodeConformance] should not start app containers and fail the pod if init containers fail on a RestartNever pod [Conformance]",
  async (t) => {
    await t.create(
      t.pod("p", {
        image: BUSYBOX,
        command: ["/bin/true"],
        spec: {
          restartPolicy: "Never",
          initContainers: init([
            ["init1", "/bin/true"],
            ["init2", "/bin/false"],
          ]),
        },
      }),
    );
    const p = await t.podWhen("p", "failed", (x) => x.status.phase === "Failed");
    expect(initialized(p)).toMatchObject({
      status: "False",
      reason: "ContainersNotInitialized",
      message: "containers with incomplete status: [init2]",
    });
    expect(p.status.initContainerStatuses[1].state.terminated.exitCode).toBe(1);
    expect(p.status.containerStatuses[0].state.waiting.reason).toBe("PodInitializing");
  },
);

conformance(
  "[sig-node] InitContainer [NodeConformance] should not start app containers if init containers fail on a RestartAlways pod [Conformance]",
  async (t) => {
    await t.create(
      t.pod("p", {
        spec: {
          restartPolicy: "Always",
          initContainers: init([
            ["init1", "/bin/false"],
            ["init2", "/bin/true"],
          ]),
        },
      }),
    );
    const p = await t.podWhen("p", "restarted init1 twice", (x) => {
      expect(x.status.containerStatuses?.[0].state.waiting?.reason ?? "PodInitializing").toBe("PodInitializing");
      return x.status.initContainerStatuses?.[0].restartCount >= 2;
    });
    expect(p.status.phase).toBe("Pending");
    expect(initialized(p)).toMatchObject({
      status: "False",
      reason: "ContainersNotInitialized",
      message: "containers with incomplete status: [init1 init2]",
    });
    expect(p.status.initContainerStatuses[1].state.waiting.reason).toBe("PodInitializing");
  },
);

const debugging = (name: string) => ({
  name,
  image: BUSYBOX,
  command: ["sh", "-c", "while true; do echo polo; sleep 1; done"],
  stdin: true,
  tty: true,
});
const running = (name: string) => (p: Json) =>
  p.status.ephemeralContainerStatuses?.find((s: Json) => s.name === name)?.state.running !== undefined;

conformance(
  "[sig-node] Ephemeral Containers [NodeConformance] will start an ephemeral container in an existing pod [Conformance]",
  async (t) => {
    await t.runPod("p");
    await t.api.patch(t.path("pods/p/ephemeralcontainers"), { spec: { ephemeralContainers: [debugging("debugger")] } }, "strategic");
    await t.podWhen("p", "runs the debugger", running("debugger"));
    expect((await t.exec("p", ["/bin/echo", "marco"], "debugger")).trim()).toBe("marco");
    await t.eventually("its output", async () => (await t.logs("p", "debugger")).includes("polo"));
  },
);

conformance(
  "[sig-node] Ephemeral Containers [NodeConformance] should update the ephemeral containers in an existing pod [Conformance]",
  async (t) => {
    await t.runPod("p");
    await t.api.patch(t.path("pods/p/ephemeralcontainers"), { spec: { ephemeralContainers: [debugging("debugger")] } }, "strategic");
    await t.podWhen("p", "runs the debugger", running("debugger"));
    expect((await t.getPod("p")).spec.ephemeralContainers).toHaveLength(1);
    await t.modify(t.path("pods/p"), (p) => p.spec.ephemeralContainers.push(debugging("debugger2")), "ephemeralcontainers");
    const p = await t.podWhen("p", "runs the second debugger", running("debugger2"));
    expect(p.spec.ephemeralContainers.map((c: Json) => c.name)).toEqual(["debugger", "debugger2"]);
  },
);

conformance(
  "[sig-node] Kubelet when scheduling a busybox command in a pod should print the output to logs [NodeConformance] [Conformance]",
  async (t) => {
    await t.runPod("p", { image: BUSYBOX, command: ["sh", "-c", "echo 'Hello World' ; sleep 240"] });
    await t.eventually("the output", async () => (await t.logs("p")) === "Hello World\n");
  },
);

conformance(
  "[sig-node] Kubelet when scheduling a busybox command that always fails in a pod should have an terminated reason [NodeConformance] [Conformance]",
  async (t) => {
    await t.create(t.pod("p", { image: BUSYBOX, command: ["/bin/false"], spec: { restartPolicy: "Never" } }));
    const p = await ended(t, "p");
    expect(p.status.containerStatuses).toHaveLength(1);
    expect(p.status.containerStatuses[0].state.terminated).toMatchObject({ exitCode: 1, reason: "Error" });
  },
);

conformance(
  "[sig-node] Kubelet when scheduling a busybox command that always fails in a pod should be possible to delete [NodeConformance] [Conformance]",
  async (t) => {
    await t.create(t.pod("p", { image: BUSYBOX, command: ["/bin/false"] }));
    await t.podWhen("p", "failed once", (p) => (p.status.containerStatuses?.[0].restartCount ?? 0) >= 1);
    await t.deletePod("p", 1);
    await t.podGone("p");
  },
);

conformance(
  "[sig-node] Kubelet when scheduling a read only busybox container should not write to root filesystem [LinuxOnly] [NodeConformance] [Conformance]",
  async (t) => {
    await t.runPod("p", {
      image: BUSYBOX,
      command: ["/bin/sh", "-c", "echo test > /file; sleep 240"],
      container: { securityContext: { readOnlyRootFilesystem: true } },
    });
    await t.eventually("the error", async () => (await t.logs("p")) === "/bin/sh: can't create /file: Read-only file system\n");
  },
);
