// [sig-storage] EmptyDir volumes: modes, media, users, sharing between containers; volumes beside each other.
import { expect } from "vitest";
import { AGNHOST, BUSYBOX, type Context, conformance } from "../harness.ts";

const VOLUME = "/test-volume";
const NON_ROOT = 1001;

interface Case {
  medium: "" | "Memory";
  user?: number;
  args: string[];
}

const mounttest = (t: Context, c: Case) =>
  t.output("test", {
    args: ["mounttest", ...c.args],
    container: {
      volumeMounts: [{ name: "v", mountPath: VOLUME }],
      ...(c.user === undefined ? {} : { securityContext: { runAsUser: c.user } }),
    },
    spec: { volumes: [{ name: "v", emptyDir: { medium: c.medium } }] },
  });

for (const [medium, title] of [
  ["Memory", "volume on tmpfs should have the correct mode"],
  ["", "volume on default medium should have the correct mode"],
] as const)
  conformance(`[sig-storage] EmptyDir volumes ${title} [LinuxOnly] [NodeConformance] [Conformance]`, async (t) => {
    const out = await mounttest(t, { medium, args: [`--fs_type=${VOLUME}`, `--file_perm=${VOLUME}`] });
    expect(out).toContain(`perms of file "${VOLUME}": -rwxrwxrwx`);
    if (medium === "Memory") expect(out).toContain(`mount type of "${VOLUME}": tmpfs`);
    else expect(out).not.toContain("tmpfs");
  });

const PERMS = { "0644": "-rw-r--r--", "0666": "-rw-rw-rw-", "0777": "-rwxrwxrwx" } as const;
for (const [who, mode, where] of [
  ["non-root", "0644", "default"],
  ["non-root", "0644", "tmpfs"],
  ["non-root", "0666", "default"],
  ["non-root", "0666", "tmpfs"],
  ["non-root", "0777", "tmpfs"],
  ["root", "0644", "default"],
  ["root", "0644", "tmpfs"],
  ["root", "0666", "tmpfs"],
  ["root", "0777", "default"],
  ["root", "0777", "tmpfs"],
] as const)
  conformance(
    `[sig-storage] EmptyDir volumes should support (${who},${mode},${where}) [LinuxOnly] [NodeConformance] [Conformance]`,
    async (t) => {
      const file = `${VOLUME}/test-file`;
      const out = await mounttest(t, {
        medium: where === "tmpfs" ? "Memory" : "",
        ...(who === "root" ? {} : { user: NON_ROOT }),
        args: [`--fs_type=${VOLUME}`, `--new_file_${mode}=${file}`, `--file_perm=${file}`],
      });
      expect(out).toContain(`content of file "${file}": mount-tester new file`);
      expect(out).toContain(`perms of file "${file}": ${PERMS[mode]}`);
      expect(out.includes("tmpfs")).toBe(where === "tmpfs");
    },
  );

conformance("[sig-storage] EmptyDir volumes pod should support shared volumes between containers [Conformance]", async (t) => {
  const mounts = { volumeMounts: [{ name: "shared", mountPath: "/usr/share/volumeshare" }] };
  await t.create({
    ...t.pod("shared"),
    spec: {
      terminationGracePeriodSeconds: 0,
      volumes: [{ name: "shared", emptyDir: {} }],
      containers: [
        { name: "main", image: BUSYBOX, command: ["/bin/sh", "-c", "sleep 100000"], ...mounts },
        {
          name: "sub",
          image: BUSYBOX,
          command: ["/bin/sh", "-c", "echo Hello from the busy-box sub-container > /usr/share/volumeshare/shareddata.txt; sleep 100000"],
          ...mounts,
        },
      ],
    },
  });
  await t.podReady("shared");
  await t.eventually("the file is there", async () => {
    const r = await t.tryExec("shared", ["cat", "/usr/share/volumeshare/shareddata.txt"], "main");
    return r.code === 0 && r.stdout === "Hello from the busy-box sub-container\n";
  });
});

conformance("[sig-storage] EmptyDir wrapper volumes should not conflict [Conformance]", async (t) => {
  await t.create({ apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, stringData: { "data-1": "value-1" } });
  await t.create({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "cm" }, data: { "data-1": "value-2" } });
  await t.runPod("both", {
    image: AGNHOST,
    args: ["pause"],
    container: {
      volumeMounts: [
        { name: "secret-volume", mountPath: "/etc/secret-volume", readOnly: true },
        { name: "configmap-volume", mountPath: "/etc/configmap-volume" },
      ],
    },
    spec: {
      volumes: [
        { name: "secret-volume", secret: { secretName: "s" } },
        { name: "configmap-volume", configMap: { name: "cm" } },
      ],
    },
  });
  expect(await t.exec("both", "cat /etc/secret-volume/data-1 /etc/configmap-volume/data-1")).toBe("value-1value-2");
});
