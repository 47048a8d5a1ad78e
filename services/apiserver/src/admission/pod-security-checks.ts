// The Pod Security Standards (k8s.io/pod-security-admission/policy): each check looks at a pod and says what it minds, in upstream's words,
// in the rules of the version that is asked for. Pure. Invariant: a restricted check that overrides a baseline one replaces it at level
// restricted.

export type Level = "privileged" | "baseline" | "restricted";

export interface Violation {
  reason: string;
  detail: string;
}

type Pod = { metadata: any; spec: any };
type Check = (pod: Pod) => Violation | undefined;

interface VersionedCheck {
  level: "baseline" | "restricted";
  /** Minor versions of Kubernetes from which a rule holds, until the next one; none before the first. */
  versions: readonly (readonly [sinceMinor: number, check: Check])[];
  /** The baseline check that this one stands in for. */
  overrides?: string;
}

const DEFAULT_CAPABILITIES = new Set([
  "AUDIT_WRITE",
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "MKNOD",
  "NET_BIND_SERVICE",
  "SETFCAP",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYS_CHROOT",
]);
const SELINUX_1_0 = new Set(["", "container_t", "container_init_t", "container_kvm_t"]);
const SELINUX_1_31 = new Set([...SELINUX_1_0, "container_engine_t"]);
const SYSCTLS_1_0 = new Set([
  "kernel.shm_rmid_forced",
  "net.ipv4.ip_local_port_range",
  "net.ipv4.tcp_syncookies",
  "net.ipv4.ping_group_range",
  "net.ipv4.ip_unprivileged_port_start",
]);
const SYSCTLS_1_27 = new Set([...SYSCTLS_1_0, "net.ipv4.ip_local_reserved_ports"]);
const SYSCTLS_1_29 = new Set([
  ...SYSCTLS_1_27,
  "net.ipv4.tcp_keepalive_time",
  "net.ipv4.tcp_fin_timeout",
  "net.ipv4.tcp_keepalive_intvl",
  "net.ipv4.tcp_keepalive_probes",
]);
const SYSCTLS_1_32 = new Set([...SYSCTLS_1_29, "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"]);
const ALLOWED_VOLUMES = [
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "image",
  "persistentVolumeClaim",
  "projected",
  "secret",
];
const OTHER_VOLUMES = [
  "hostPath",
  "gcePersistentDisk",
  "awsElasticBlockStore",
  "gitRepo",
  "nfs",
  "iscsi",
  "glusterfs",
  "rbd",
  "flexVolume",
  "cinder",
  "cephfs",
  "flocker",
  "fc",
  "azureFile",
  "vsphereVolume",
  "quobyte",
  "azureDisk",
  "photonPersistentDisk",
  "portworxVolume",
  "scaleIO",
  "storageos",
];
const APPARMOR_PREFIX = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/";

const goodProfile = (type: unknown) => type === "RuntimeDefault" || type === "Localhost";

/** Names of those that set something bad themselves: the pod, then its containers. */
function setters(podToo: boolean, names: readonly string[]): string {
  return [...(podToo ? ["pod"] : []), ...(names.length > 0 ? [containers(names)] : [])].join(" and ");
}

/** By id; upstream runs baseline checks before restricted ones, each in order of their ids. */
const CHECKS: Readonly<Record<string, VersionedCheck>> = {
  appArmorProfile: { level: "baseline", versions: [[0, appArmorProfile]] },
  capabilities_baseline: { level: "baseline", versions: [[0, capabilitiesBaseline]] },
  hostNamespaces: { level: "baseline", versions: [[0, hostNamespaces]] },
  hostPathVolumes: { level: "baseline", versions: [[0, hostPathVolumes]] },
  hostPorts: { level: "baseline", versions: [[0, hostPorts]] },
  hostProbesAndHostLifecycle: { level: "baseline", versions: [[34, hostProbes]] },
  privileged: { level: "baseline", versions: [[0, privileged]] },
  procMount: { level: "baseline", versions: [[0, procMount]] },
  seLinuxOptions: {
    level: "baseline",
    versions: [
      [0, (pod) => seLinuxOptions(pod, SELINUX_1_0)],
      [31, (pod) => seLinuxOptions(pod, SELINUX_1_31)],
    ],
  },
  seccompProfile_baseline: {
    level: "baseline",
    versions: [
      [0, seccompAnnotations],
      [19, seccompBaseline],
    ],
  },
  sysctls: {
    level: "baseline",
    versions: [
      [0, (pod) => sysctls(pod, SYSCTLS_1_0)],
      [27, (pod) => sysctls(pod, SYSCTLS_1_27)],
      [29, (pod) => sysctls(pod, SYSCTLS_1_29)],
      [32, (pod) => sysctls(pod, SYSCTLS_1_32)],
    ],
  },
  windowsHostProcess: { level: "baseline", versions: [[0, windowsHostProcess]] },
  allowPrivilegeEscalation: {
    level: "restricted",
    versions: [
      [8, allowPrivilegeEscalation],
      [25, (pod) => (isWindows(pod) ? undefined : allowPrivilegeEscalation(pod))],
    ],
  },
  capabilities_restricted: {
    level: "restricted",
    overrides: "capabilities_baseline",
    versions: [
      [22, capabilitiesRestricted],
      [25, (pod) => (isWindows(pod) ? undefined : capabilitiesRestricted(pod))],
    ],
  },
  restrictedVolumes: { level: "restricted", overrides: "hostPathVolumes", versions: [[0, restrictedVolumes]] },
  runAsNonRoot: { level: "restricted", versions: [[0, runAsNonRoot]] },
  runAsUser: { level: "restricted", versions: [[23, runAsUser]] },
  seccompProfile_restricted: {
    level: "restricted",
    overrides: "seccompProfile_baseline",
    versions: [
      [19, seccompRestricted],
      [25, (pod) => (isWindows(pod) ? undefined : seccompRestricted(pod))],
    ],
  },
};

function isWindows(pod: Pod): boolean {
  return pod.spec.os?.name === "windows";
}

function appArmorProfile(pod: Pod): Violation | undefined {
  const values = new Set<string>();
  const bad = (s: any) => {
    const type = s?.appArmorProfile?.type;
    if (!s?.appArmorProfile || goodProfile(type)) return false;
    values.add(type ?? "");
    return true;
  };
  const podBad = bad(pod.spec.securityContext);
  const who = setters(
    podBad,
    named(pod, (c) => bad(c.securityContext)),
  );
  const annotations = Object.entries<string>(pod.metadata?.annotations ?? {})
    .filter(([k, v]) => k.startsWith(APPARMOR_PREFIX) && v !== "" && v !== "runtime/default" && !v.startsWith("localhost/"))
    .map(([k, v]) => `${k}=${JSON.stringify(v)}`)
    .sort();
  const all = [who, ...(annotations.length > 0 ? [plural("annotation", annotations.length)] : [])].filter((x) => x !== "");
  if (all.length === 0) return undefined;
  const listed = [...[...values].sort(), ...annotations];
  return {
    reason: plural("forbidden AppArmor profile", listed.length),
    // Annotations hold quotation marks already; upstream quotes the list as it is.
    detail: `${all.join(" and ")} must not set AppArmor profile type to "${listed.join('", "')}"`,
  };
}

function capabilitiesBaseline(pod: Pod): Violation | undefined {
  const added = new Set<string>();
  const c = named(pod, (x) => {
    const bad = (x.securityContext?.capabilities?.add ?? []).filter((k: string) => !DEFAULT_CAPABILITIES.has(k));
    for (const k of bad) added.add(k);
    return bad.length > 0;
  });
  if (c.length === 0) return undefined;
  const detail = `${containers(c)} must not include ${quoted([...added].sort())} in securityContext.capabilities.add`;
  return { reason: "non-default capabilities", detail };
}

function hostNamespaces(pod: Pod): Violation | undefined {
  const bad = ["hostNetwork", "hostPID", "hostIPC"].filter((k) => pod.spec[k] === true).map((k) => `${k}=true`);
  return bad.length > 0 ? { reason: "host namespaces", detail: bad.join(", ") } : undefined;
}

function hostPathVolumes(pod: Pod): Violation | undefined {
  const bad = (pod.spec.volumes ?? []).filter((v: any) => v.hostPath).map((v: any) => v.name);
  return bad.length > 0 ? { reason: "hostPath volumes", detail: `${plural("volume", bad.length)} ${quoted(bad)}` } : undefined;
}

function hostPorts(pod: Pod): Violation | undefined {
  const ports = new Set<number>();
  const c = named(pod, (x) => {
    const bad = (x.ports ?? []).filter((p: any) => p.hostPort).map((p: any) => p.hostPort);
    for (const p of bad) ports.add(p);
    return bad.length > 0;
  });
  if (c.length === 0) return undefined;
  const list = [...ports].map(String).sort();
  return { reason: "hostPort", detail: `${containers(c)} ${uses(c.length)} ${plural("hostPort", list.length)} ${list.join(", ")}` };
}

function hostProbes(pod: Pod): Violation | undefined {
  const hosts = new Set<string>();
  const c = named(pod, (x) => {
    const handlers = [x.livenessProbe, x.readinessProbe, x.startupProbe, x.lifecycle?.postStart, x.lifecycle?.preStop];
    const bad = handlers.flatMap((h) => [h?.httpGet?.host, h?.tcpSocket?.host]).filter((h) => h);
    for (const h of bad) hosts.add(h);
    return bad.length > 0;
  });
  if (c.length === 0) return undefined;
  const what = plural("probe or lifecycle host", hosts.size);
  return {
    reason: "probe or lifecycle host",
    detail: `${containers([...c].sort())} ${uses(c.length)} ${what} ${quoted([...hosts].sort())}`,
  };
}

function privileged(pod: Pod): Violation | undefined {
  const c = named(pod, (x) => x.securityContext?.privileged === true);
  return c.length > 0 ? { reason: "privileged", detail: `${containers(c)} must not set securityContext.privileged=true` } : undefined;
}

function procMount(pod: Pod): Violation | undefined {
  const kinds = new Set<string>();
  const c = named(pod, (x) => {
    const p = x.securityContext?.procMount;
    if (p === undefined || p === "Default") return false;
    kinds.add(p);
    return true;
  });
  if (c.length === 0) return undefined;
  return { reason: "procMount", detail: `${containers(c)} must not set securityContext.procMount to ${quoted([...kinds].sort())}` };
}

function seLinuxOptions(pod: Pod, allowed: ReadonlySet<string>): Violation | undefined {
  const types = new Set<string>();
  let user = false;
  let role = false;
  const bad = (o: any) => {
    if (!o) return false;
    const type = !allowed.has(o.type ?? "");
    if (type) types.add(o.type);
    if (o.user) user = true;
    if (o.role) role = true;
    return type || !!o.user || !!o.role;
  };
  const podBad = bad(pod.spec.securityContext?.seLinuxOptions);
  const who = setters(
    podBad,
    named(pod, (x) => bad(x.securityContext?.seLinuxOptions)),
  );
  if (who === "") return undefined;
  const what = [
    ...(types.size > 0 ? [`${plural("type", types.size)} ${quoted([...types].sort())}`] : []),
    ...(user ? ["user may not be set"] : []),
    ...(role ? ["role may not be set"] : []),
  ];
  return { reason: "seLinuxOptions", detail: `${who} set forbidden securityContext.seLinuxOptions: ${what.join("; ")}` };
}

function seccompAnnotations(pod: Pod): Violation | undefined {
  const annotations: Record<string, string> = pod.metadata?.annotations ?? {};
  const names = [SECCOMP_POD, ...containersOf(pod).map((c) => `${SECCOMP_CONTAINER}${c.name}`)];
  const good = (v: string) => v === "runtime/default" || v === "docker/default" || v.startsWith("localhost/");
  const bad = [...new Set(names)].filter((n) => annotations[n] !== undefined && !good(annotations[n]));
  if (bad.length === 0) return undefined;
  const listed = bad.map((n) => `${n}=${JSON.stringify(annotations[n])}`).sort();
  return { reason: "seccompProfile", detail: `forbidden ${plural("annotation", bad.length)} ${listed.join(", ")}` };
}

/** Who sets a seccomp profile that is none of the two good ones. */
function badSeccomp(pod: Pod): Violation | undefined {
  const values = new Set<string>();
  const bad = (s: any) => {
    if (!s?.seccompProfile || goodProfile(s.seccompProfile.type)) return false;
    values.add(s.seccompProfile.type ?? "");
    return true;
  };
  const podBad = bad(pod.spec.securityContext);
  const who = setters(
    podBad,
    named(pod, (x) => bad(x.securityContext)),
  );
  if (who === "") return undefined;
  return { reason: "seccompProfile", detail: `${who} must not set securityContext.seccompProfile.type to ${quoted([...values].sort())}` };
}

function seccompBaseline(pod: Pod): Violation | undefined {
  return badSeccomp(pod);
}

function seccompRestricted(pod: Pod): Violation | undefined {
  const explicit = badSeccomp(pod);
  if (explicit) return explicit;
  if (goodProfile(pod.spec.securityContext?.seccompProfile?.type)) return undefined;
  const c = named(pod, (x) => !x.securityContext?.seccompProfile);
  if (c.length === 0) return undefined;
  const detail = `pod or ${containers(c)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`;
  return { reason: "seccompProfile", detail };
}

function sysctls(pod: Pod, allowed: ReadonlySet<string>): Violation | undefined {
  const bad = (pod.spec.securityContext?.sysctls ?? []).map((s: any) => s.name).filter((n: string) => !allowed.has(n));
  return bad.length > 0 ? { reason: "forbidden sysctls", detail: bad.join(", ") } : undefined;
}

function windowsHostProcess(pod: Pod): Violation | undefined {
  const bad = (s: any) => s?.windowsOptions?.hostProcess === true;
  const who = setters(
    bad(pod.spec.securityContext),
    named(pod, (x) => bad(x.securityContext)),
  );
  return who === "" ? undefined : { reason: "hostProcess", detail: `${who} must not set securityContext.windowsOptions.hostProcess=true` };
}

function allowPrivilegeEscalation(pod: Pod): Violation | undefined {
  const c = named(pod, (x) => x.securityContext?.allowPrivilegeEscalation !== false);
  if (c.length === 0) return undefined;
  const detail = `${containers(c)} must set securityContext.allowPrivilegeEscalation=false`;
  return { reason: "allowPrivilegeEscalation != false", detail };
}

function capabilitiesRestricted(pod: Pod): Violation | undefined {
  const added = new Set<string>();
  const undropped = named(pod, (x) => !(x.securityContext?.capabilities?.drop ?? []).includes("ALL"));
  const adding = named(pod, (x) => {
    const bad = (x.securityContext?.capabilities?.add ?? []).filter((k: string) => k !== "NET_BIND_SERVICE");
    for (const k of bad) added.add(k);
    return bad.length > 0;
  });
  const bad: string[] = [];
  if (undropped.length > 0) bad.push(`${containers(undropped)} must set securityContext.capabilities.drop=["ALL"]`);
  if (adding.length > 0)
    bad.push(`${containers(adding)} must not include ${quoted([...added].sort())} in securityContext.capabilities.add`);
  return bad.length > 0 ? { reason: "unrestricted capabilities", detail: bad.join("; ") } : undefined;
}

function restrictedVolumes(pod: Pod): Violation | undefined {
  const kinds = new Set<string>();
  const bad: string[] = [];
  for (const v of pod.spec.volumes ?? []) {
    if (ALLOWED_VOLUMES.some((k) => v[k])) continue;
    bad.push(v.name);
    kinds.add(OTHER_VOLUMES.find((k) => v[k]) ?? "unknown");
  }
  if (bad.length === 0) return undefined;
  const what = plural("restricted volume type", kinds.size);
  return {
    reason: "restricted volume types",
    detail: `${plural("volume", bad.length)} ${quoted(bad)} ${uses(bad.length)} ${what} ${quoted([...kinds].sort())}`,
  };
}

function runAsNonRoot(pod: Pod): Violation | undefined {
  const own = pod.spec.securityContext?.runAsNonRoot;
  const who = setters(
    own === false,
    named(pod, (x) => x.securityContext?.runAsNonRoot === false),
  );
  const reason = "runAsNonRoot != true";
  if (who !== "") return { reason, detail: `${who} must not set securityContext.runAsNonRoot=false` };
  const implicit = named(pod, (x) => x.securityContext?.runAsNonRoot === undefined && own !== true);
  return implicit.length > 0 ? { reason, detail: `pod or ${containers(implicit)} must set securityContext.runAsNonRoot=true` } : undefined;
}

function runAsUser(pod: Pod): Violation | undefined {
  const who = setters(
    pod.spec.securityContext?.runAsUser === 0,
    named(pod, (x) => x.securityContext?.runAsUser === 0),
  );
  return who === "" ? undefined : { reason: "runAsUser=0", detail: `${who} must not set runAsUser=0` };
}

/** What a level minds about a pod; empty when it is allowed. `version` is "latest" or "v1.x": the rules as they were then. */
export function violations(level: Level, version: string, pod: Pod): Violation[] {
  if (level === "privileged") return [];
  return checksOf(level, version).flatMap((check) => check(pod) ?? []);
}

const made = new Map<string, Check[]>();

function checksOf(level: "baseline" | "restricted", version: string): Check[] {
  const minor = version === "latest" ? Number.POSITIVE_INFINITY : Number(version.slice("v1.".length));
  const id = `${level} ${minor}`;
  let checks = made.get(id);
  if (checks) return checks;
  const inForce = Object.entries(CHECKS).flatMap(([name, c]) => {
    const last = c.versions.filter(([since]) => since <= minor).at(-1);
    return last && (level === "restricted" || c.level === "baseline")
      ? [{ name, level: c.level, overrides: c.overrides, check: last[1] }]
      : [];
  });
  const overridden = new Set(inForce.map((c) => c.overrides));
  const order = (c: { level: string; name: string }) => `${c.level} ${c.name}`;
  checks = inForce
    .filter((c) => !overridden.has(c.name))
    .sort((a, b) => (order(a) < order(b) ? -1 : 1))
    .map((c) => c.check);
  if (made.size >= MADE_MAX) made.clear();
  made.set(id, checks);
  return checks;
}

/** Versions that namespaces name at the same time; past it they are put together anew. */
const MADE_MAX = 256;

export function violationText(v: readonly Violation[]): string {
  return v.map((x) => (x.detail === "" ? x.reason : `${x.reason} (${x.detail})`)).join(", ");
}

function containersOf(pod: { spec: any }): any[] {
  return [...(pod.spec.initContainers ?? []), ...(pod.spec.containers ?? []), ...(pod.spec.ephemeralContainers ?? [])];
}

function named(pod: { spec: any }, test: (c: any) => boolean): string[] {
  return containersOf(pod)
    .filter(test)
    .map((c) => c.name);
}

function containers(names: readonly string[]): string {
  return `${plural("container", names.length)} ${quoted(names)}`;
}

function quoted(names: readonly string[]): string {
  return names.map((n) => JSON.stringify(n)).join(", ");
}

function plural(word: string, n: number): string {
  return n === 1 ? word : `${word}s`;
}

function uses(n: number): string {
  return n === 1 ? "uses" : "use";
}
