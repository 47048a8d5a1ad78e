// [sig-node] Security Context, Sysctls, KubeletManagedEtcHosts: who a process is, what it may do, what its /etc/hosts says.
import { expect } from "vitest";
import { AGNHOST, BUSYBOX, conformance } from "../harness.ts";
import { ApiError, type Json } from "../rest.ts";

conformance(
  "[sig-node] Security Context When creating a pod with privileged should run the container as unprivileged when false [LinuxOnly] [NodeConformance] [Conformance]",
  async (t) => {
    const add = (name: string, privileged: boolean) =>
      t.output(name, {
        image: BUSYBOX,
        command: ["sh", "-c", "ip link add dummy0 type dummy || true"],
        container: { securityContext: { privileged } },
      });
    expect(await add("unprivileged", false)).toContain("Operation not permitted");
    expect(await add("privileged", true)).not.toContain("Operation not permitted");
  },
);

conformance(
  "[sig-node] Security Context should support pod.Spec.SecurityContext.RunAsUser And pod.Spec.SecurityContext.RunAsGroup [LinuxOnly] [Conformance]",
  async (t) => {
    const out = await t.output("p", {
      image: BUSYBOX,
      command: ["sh", "-c", "id"],
      spec: { securityContext: { runAsUser: 1001, runAsGroup: 2002 } },
    });
    expect(out).toMatch(/^uid=1001 gid=2002/);
  },
);

conformance(
  "[sig-node] Security Context when creating containers with AllowPrivilegeEscalation should not allow privilege escalation when false [LinuxOnly] [NodeConformance] [Conformance]",
  async (t) => {
    const run = (name: string, allowPrivilegeEscalation: boolean) =>
      t.output(name, {
        image: "registry.k8s.io/e2e-test-images/nonewprivs:1.3",
        container: { securityContext: { allowPrivilegeEscalation, runAsUser: 1000 } },
      });
    expect(await run("denied", false)).toContain("Effective uid: 1000");
    expect(await run("allowed", true)).toContain("Effective uid: 0");
  },
);

const sysctls = (...list: [string, string][]) => ({ securityContext: { sysctls: list.map(([name, value]) => ({ name, value })) } });

conformance(
  "[sig-node] Sysctls [LinuxOnly] [NodeConformance] should support sysctls [MinimumKubeletVersion:1.21] [Environment:NotInUserNS] [Conformance]",
  async (t) => {
    const show = (name: string, spec: Json = {}) =>
      t.output(name, { image: BUSYBOX, command: ["/bin/sysctl", "kernel.shm_rmid_forced"], spec });
    expect(await show("default")).toContain("kernel.shm_rmid_forced = 0");
    expect(await show("forced", sysctls(["kernel.shm_rmid_forced", "1"]))).toContain("kernel.shm_rmid_forced = 1");
  },
);

conformance(
  "[sig-node] Sysctls [LinuxOnly] [NodeConformance] should reject invalid sysctls [MinimumKubeletVersion:1.21] [Conformance]",
  async (t) => {
    const spec = sysctls(["foo-", "bar"], ["kernel.shmmax", "100000000"], ["safe-and-unsafe", "100000000"], ["bar..", "42"]);
    const e = (await t.create(t.pod("p", { spec })).catch((x: unknown) => x)) as ApiError;
    expect(e).toBeInstanceOf(ApiError);
    expect(e.code).toBe(422);
    expect(e.message).toContain('Invalid value: "foo-"');
    expect(e.message).toContain('Invalid value: "bar.."');
    expect(e.message).not.toContain("safe-and-unsafe");
    expect(e.message).not.toContain("kernel.shmmax");
  },
);

conformance("[sig-node] KubeletManagedEtcHosts should test kubelet managed /etc/hosts file [NodeConformance] [Conformance]", async (t) => {
  const MANAGED = "# Kubernetes-managed hosts file.\n";
  const original = { name: "host-etc-hosts", mountPath: "/etc/hosts-original" };
  const container = (name: string, mounts: Json[] = []) => ({ name, image: AGNHOST, args: ["pause"], volumeMounts: [original, ...mounts] });
  const volumes = [{ name: "host-etc-hosts", hostPath: { path: "/etc/hosts", type: "File" } }];
  const own = [
    container("busybox-1"),
    container("busybox-2"),
    container("busybox-3", [{ name: "host-etc-hosts", mountPath: "/etc/hosts" }]),
  ];
  await t.create(t.pod("test-pod", { spec: { containers: own, volumes } }));
  await t.create(t.pod("test-host", { spec: { hostNetwork: true, containers: own.slice(0, 2), volumes } }));
  await t.podReady("test-pod");
  await t.podReady("test-host");
  const hosts = (pod: string, c: string, file = "/etc/hosts") => t.exec(pod, ["cat", file], c);
  expect(await hosts("test-pod", "busybox-1")).toContain(MANAGED);
  expect(await hosts("test-pod", "busybox-2")).toContain(MANAGED);
  const unmanaged = await hosts("test-pod", "busybox-3");
  expect(unmanaged).not.toContain(MANAGED);
  expect(unmanaged).toBe(await hosts("test-pod", "busybox-3", "/etc/hosts-original"));
  for (const c of ["busybox-1", "busybox-2"]) {
    for (const line of (await hosts("test-host", c, "/etc/hosts-original")).trim().split("\n"))
      expect(await hosts("test-host", c)).toContain(line);
    expect(await hosts("test-host", c)).not.toContain(MANAGED);
  }
});
