// The Pod Security Standards (k8s.io/pod-security-admission/policy): each check looks at a pod and says what it minds, in upstream's words.
// Pure. Invariant: a restricted check that overrides a baseline one replaces it at level restricted.
import { SAFE_SYSCTLS } from "@podwire/api";

export type Level = "privileged" | "baseline" | "restricted";

export interface Violation {
  reason: string;
  detail: string;
}

type Check = (pod: { metadata: any; spec: any }) => Violation | undefined;

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
const SELINUX_TYPES = new Set(["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"]);
const RESTRICTED_VOLUMES = new Set([
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "persistentVolumeClaim",
  "projected",
  "secret",
]);
const APPARMOR_PREFIX = "container.apparmor.security.beta.kubernetes.io/";

const baseline: Record<string, Check> = {
  appArmorProfile(pod) {
    const bad: string[] = [];
    for (const [k, v] of Object.entries(pod.metadata?.annotations ?? {})) {
      if (k.startsWith(APPARMOR_PREFIX) && v !== "" && v !== "runtime/default" && !String(v).startsWith("localhost/"))
        bad.push(`annotation ${k}=${JSON.stringify(v)}`);
    }
    if (pod.spec.securityContext?.appArmorProfile?.type === "Unconfined")
      bad.unshift('pod must not set AppArmor profile type to "Unconfined"');
    const c = named(pod, (x) => x.securityContext?.appArmorProfile?.type === "Unconfined");
    if (c.length > 0) bad.unshift(`${containers(c)} must not set AppArmor profile type to "Unconfined"`);
    return bad.length > 0
      ? { reason: bad.length > 1 ? "forbidden AppArmor profiles" : "forbidden AppArmor profile", detail: bad.join(", ") }
      : undefined;
  },
  capabilitiesBaseline(pod) {
    const added = new Set<string>();
    const c = named(pod, (x) => {
      const bad = (x.securityContext?.capabilities?.add ?? []).filter((k: string) => !DEFAULT_CAPABILITIES.has(k));
      for (const k of bad) added.add(k);
      return bad.length > 0;
    });
    return c.length > 0
      ? {
          reason: "non-default capabilities",
          detail: `${containers(c)} must not include ${quoted([...added].sort())} in securityContext.capabilities.add`,
        }
      : undefined;
  },
  hostNamespaces(pod) {
    const bad = ["hostNetwork", "hostPID", "hostIPC"].filter((k) => pod.spec[k] === true).map((k) => `${k}=true`);
    return bad.length > 0 ? { reason: "host namespaces", detail: bad.join(", ") } : undefined;
  },
  hostPathVolumes(pod) {
    const bad = (pod.spec.volumes ?? []).filter((v: any) => v.hostPath).map((v: any) => v.name);
    return bad.length > 0 ? { reason: "hostPath volumes", detail: `${plural("volume", bad.length)} ${quoted(bad)}` } : undefined;
  },
  hostPorts(pod) {
    const ports = new Set<number>();
    const c = named(pod, (x) => {
      const bad = (x.ports ?? []).filter((p: any) => p.hostPort).map((p: any) => p.hostPort);
      for (const p of bad) ports.add(p);
      return bad.length > 0;
    });
    if (c.length === 0) return undefined;
    const list = [...ports].map(String).sort();
    const word = plural("hostPort", list.length);
    return { reason: word, detail: `${containers(c)} ${c.length > 1 ? "use" : "uses"} ${word} ${list.join(", ")}` };
  },
  privileged(pod) {
    const c = named(pod, (x) => x.securityContext?.privileged === true);
    return c.length > 0 ? { reason: "privileged", detail: `${containers(c)} must not set securityContext.privileged=true` } : undefined;
  },
  procMount(pod) {
    const kinds = new Set<string>();
    const c = named(pod, (x) => {
      const p = x.securityContext?.procMount;
      if (!p || p === "Default" || pod.spec.hostUsers === false) return false;
      kinds.add(p);
      return true;
    });
    return c.length > 0
      ? { reason: "procMount", detail: `${containers(c)} must not set securityContext.procMount to ${quoted([...kinds].sort())}` }
      : undefined;
  },
  seLinuxOptions(pod) {
    const what: string[] = [];
    const check = (o: any) => {
      if (!o) return false;
      const bad: string[] = [];
      if (!SELINUX_TYPES.has(o.type ?? "")) bad.push(`type ${JSON.stringify(o.type)}`);
      if (o.user) bad.push("user may not be set");
      if (o.role) bad.push("role may not be set");
      for (const b of bad) if (!what.includes(b)) what.push(b);
      return bad.length > 0;
    };
    const podBad = check(pod.spec.securityContext?.seLinuxOptions);
    const c = named(pod, (x) => check(x.securityContext?.seLinuxOptions));
    if (!podBad && c.length === 0) return undefined;
    const who = [...(podBad ? ["pod"] : []), ...(c.length > 0 ? [containers(c)] : [])].join(" and ");
    return { reason: "seLinuxOptions", detail: `${who} set forbidden securityContext.seLinuxOptions: ${what.join("; ")}` };
  },
  seccompBaseline(pod) {
    const bad: string[] = [];
    if (pod.spec.securityContext?.seccompProfile?.type === "Unconfined")
      bad.push('pod must not set securityContext.seccompProfile.type to "Unconfined"');
    const c = named(pod, (x) => x.securityContext?.seccompProfile?.type === "Unconfined");
    if (c.length > 0) bad.push(`${containers(c)} must not set securityContext.seccompProfile.type to "Unconfined"`);
    return bad.length > 0 ? { reason: "seccompProfile", detail: bad.join(", ") } : undefined;
  },
  sysctls(pod) {
    const bad = (pod.spec.securityContext?.sysctls ?? []).map((s: any) => s.name).filter((n: string) => !SAFE_SYSCTLS.has(n));
    return bad.length > 0 ? { reason: "forbidden sysctls", detail: bad.join(", ") } : undefined;
  },
  windowsHostProcess(pod) {
    const bad: string[] = [];
    if (pod.spec.securityContext?.windowsOptions?.hostProcess) bad.push("pod must not set securityContext.windowsOptions.hostProcess=true");
    const c = named(pod, (x) => x.securityContext?.windowsOptions?.hostProcess === true);
    if (c.length > 0) bad.push(`${containers(c)} must not set securityContext.windowsOptions.hostProcess=true`);
    return bad.length > 0 ? { reason: "hostProcess", detail: bad.join(", ") } : undefined;
  },
};

const restricted: Record<string, Check> = {
  allowPrivilegeEscalation(pod) {
    if (pod.spec.os?.name === "windows") return undefined;
    const c = named(pod, (x) => x.securityContext?.allowPrivilegeEscalation !== false);
    return c.length > 0
      ? { reason: "allowPrivilegeEscalation != false", detail: `${containers(c)} must set securityContext.allowPrivilegeEscalation=false` }
      : undefined;
  },
  capabilitiesRestricted(pod) {
    if (pod.spec.os?.name === "windows") return undefined;
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
  },
  restrictedVolumes(pod) {
    const kinds = new Set<string>();
    const bad: string[] = [];
    for (const v of pod.spec.volumes ?? []) {
      const kind = Object.keys(v).find((k) => k !== "name") ?? "unknown";
      if (RESTRICTED_VOLUMES.has(kind)) continue;
      bad.push(v.name);
      kinds.add(kind);
    }
    return bad.length > 0
      ? {
          reason: "restricted volume types",
          detail: `${plural("volume", bad.length)} ${quoted(bad)} ${bad.length > 1 ? "use" : "uses"} restricted volume ${plural("type", kinds.size)} ${quoted([...kinds].sort())}`,
        }
      : undefined;
  },
  runAsNonRoot(pod) {
    const own = pod.spec.securityContext?.runAsNonRoot;
    const bad: string[] = [];
    const explicit = named(pod, (x) => x.securityContext?.runAsNonRoot === false);
    const implicit = named(pod, (x) => x.securityContext?.runAsNonRoot === undefined && own !== true);
    if (own === false) bad.push("pod must not set securityContext.runAsNonRoot=false");
    if (explicit.length > 0) bad.push(`${containers(explicit)} must not set securityContext.runAsNonRoot=false`);
    if (bad.length === 0 && implicit.length > 0) bad.push(`pod or ${containers(implicit)} must set securityContext.runAsNonRoot=true`);
    return bad.length > 0 ? { reason: "runAsNonRoot != true", detail: bad.join(" and ") } : undefined;
  },
  runAsUser(pod) {
    const bad: string[] = [];
    if (pod.spec.securityContext?.runAsUser === 0) bad.push("pod must not set runAsUser=0");
    const c = named(pod, (x) => x.securityContext?.runAsUser === 0);
    if (c.length > 0) bad.push(`${containers(c)} must not set runAsUser=0`);
    return bad.length > 0 ? { reason: "runAsUser=0", detail: bad.join(" and ") } : undefined;
  },
  seccompRestricted(pod) {
    if (pod.spec.os?.name === "windows") return undefined;
    const good = (t: unknown) => t === "RuntimeDefault" || t === "Localhost";
    const own = pod.spec.securityContext?.seccompProfile?.type;
    const bad: string[] = [];
    if (own !== undefined && !good(own)) bad.push(`pod must not set securityContext.seccompProfile.type to ${JSON.stringify(own)}`);
    const explicit = named(
      pod,
      (x) => x.securityContext?.seccompProfile?.type !== undefined && !good(x.securityContext.seccompProfile.type),
    );
    if (explicit.length > 0) {
      const types = [
        ...new Set(
          containersOf(pod)
            .map((x) => x.securityContext?.seccompProfile?.type)
            .filter((t) => t !== undefined && !good(t)),
        ),
      ];
      bad.push(`${containers(explicit)} must not set securityContext.seccompProfile.type to ${quoted(types as string[])}`);
    }
    const implicit = named(pod, (x) => x.securityContext?.seccompProfile?.type === undefined && own === undefined);
    if (bad.length === 0 && implicit.length > 0)
      bad.push(`pod or ${containers(implicit)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`);
    return bad.length > 0 ? { reason: "seccompProfile", detail: bad.join(" and ") } : undefined;
  },
};

/** Baseline checks that a restricted one stands in for. */
const OVERRIDDEN = new Set(["capabilitiesBaseline", "hostPathVolumes", "seccompBaseline"]);

/** What a level minds about a pod; empty when it is allowed. */
export function violations(level: Level, pod: { metadata: any; spec: any }): Violation[] {
  if (level === "privileged") return [];
  const found: Violation[] = [];
  const run = (checks: Record<string, Check>, skip: ReadonlySet<string>) => {
    for (const [id, check] of Object.entries(checks)) {
      const v = skip.has(id) ? undefined : check(pod);
      if (v) found.push(v);
    }
  };
  run(baseline, level === "restricted" ? OVERRIDDEN : new Set());
  if (level === "restricted") run(restricted, new Set());
  return found;
}

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
