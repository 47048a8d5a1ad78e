// Pods and pod templates (core/validation of Kubernetes 1.34). Order of checks = order of causes that clients see.
import { duplicate, forbidden, invalid, notSupported, required } from "../errors/field-error.ts";
import { IP_ERROR, isIp } from "../meta/addresses.ts";
import { isDns1123Subdomain } from "../meta/names.ts";
import { parseQuantity, type Quantity } from "../meta/quantity.ts";
import { validateAffinity, validateSpreadConstraints, validateTolerations } from "./affinity.ts";
import {
  type ContainerContext,
  validateContainers,
  validateContainersOnlyForPod,
  validateEphemeralContainers,
  validateHostNetworkPorts,
  validateInitContainers,
} from "./container.ts";
import { SUBDOMAIN_NAME, validateAnnotations, validateLabels, validateObjectMeta } from "./meta.ts";
import { validateAmount, validateContainerResources, validateResourceName } from "./resources.ts";
import { dnsLabel, dnsSubdomain, type Errors, INT32_MAX, invalidAll, type Obj, oneOf, qualifiedName, rangeMessage } from "./rules.ts";
import { validatePodSecurityContext, validateProfileAnnotations } from "./security.ts";
import { validateVolumes } from "./volumes.ts";

const DNS_POLICIES = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
const RESTART_POLICIES = ["Always", "Never", "OnFailure"];
const NAMESERVERS_MAX = 3;
const SEARCH_PATHS_MAX = 32;
const SEARCH_CHARS_MAX = 2048;

export function validatePodSpec(errs: Errors, s: Obj, path: string, isPod = false): void {
  const volumes = validateVolumes(errs, s.volumes, `${path}.volumes`);
  const claims = validateResourceClaims(errs, s.resourceClaims, `${path}.resourceClaims`);
  const c: ContainerContext = {
    volumes,
    claims,
    graceSeconds: s.terminationGracePeriodSeconds,
    restartPolicy: s.restartPolicy,
    hostUsers: s.hostUsers !== false,
  };
  validateContainers(errs, s.containers, `${path}.containers`, c);
  validateInitContainers(errs, s.initContainers, s.containers, `${path}.initContainers`, c);
  validateEphemeralContainers(errs, s.ephemeralContainers, s, `${path}.ephemeralContainers`, c);
  if (s.resources) validatePodResources(errs, s, `${path}.resources`);
  if (s.hostNetwork === true) validateHostNetworkPorts(errs, s.containers, `${path}.containers`, isPod);
  oneOf(errs, `${path}.restartPolicy`, s.restartPolicy, RESTART_POLICIES, "required");
  oneOf(errs, `${path}.dnsPolicy`, s.dnsPolicy, DNS_POLICIES, "required");
  if (s.nodeSelector) validateLabels(errs, s.nodeSelector, `${path}.nodeSelector`);
  validatePodSecurityContext(errs, s.securityContext, s, `${path}.securityContext`);
  validateAffinity(errs, s.affinity, `${path}.affinity`);
  validateDnsConfig(errs, s, `${path}.dnsConfig`);
  (s.readinessGates ?? []).forEach((g: Obj, i: number) => {
    qualifiedName(errs, `${path}.readinessGates[${i}].conditionType`, g.conditionType);
  });
  validateSchedulingGates(errs, s, path);
  validateSpreadConstraints(errs, s.topologySpreadConstraints, `${path}.topologySpreadConstraints`);
  if (s.hostUsers === false) {
    const why = "when `pod.Spec.HostUsers` is false";
    if (s.hostNetwork === true) errs.push(forbidden(`${path}.hostNetwork`, why));
    if (s.hostPID === true) errs.push(forbidden(`${path}.HostPID`, why));
    if (s.hostIPC === true) errs.push(forbidden(`${path}.HostIPC`, why));
  }
  if (s.serviceAccountName) invalidAll(errs, `${path}.serviceAccountName`, s.serviceAccountName, isDns1123Subdomain(s.serviceAccountName));
  if (s.nodeName) invalidAll(errs, `${path}.nodeName`, s.nodeName, isDns1123Subdomain(s.nodeName));
  if (s.activeDeadlineSeconds !== undefined && (s.activeDeadlineSeconds < 1 || s.activeDeadlineSeconds > INT32_MAX)) {
    errs.push(invalid(`${path}.activeDeadlineSeconds`, s.activeDeadlineSeconds, rangeMessage(1, INT32_MAX)));
  }
  if (s.hostname) dnsLabel(errs, `${path}.hostname`, s.hostname);
  if (s.subdomain) dnsLabel(errs, `${path}.subdomain`, s.subdomain);
  validateTolerations(errs, s.tolerations, `${path}.tolerations`);
  validateHostAliases(errs, s.hostAliases, `${path}.hostAliases`);
  if (s.priorityClassName) dnsSubdomain(errs, `${path}.priorityClassName`, s.priorityClassName);
  if (s.runtimeClassName !== undefined) dnsSubdomain(errs, `${path}.runtimeClassName`, s.runtimeClassName);
  if (s.preemptionPolicy !== undefined)
    oneOf(errs, `${path}.preemptionPolicy`, s.preemptionPolicy, ["Never", "PreemptLowerPriority"], "required");
  for (const r in s.overhead) {
    validateResourceName(errs, r, `${path}.overhead.limits[${r}]`);
    validateAmount(errs, r, s.overhead[r], `${path}.overhead.limits[${r}]`);
  }
  if (s.os) validateOs(errs, s, path);
}

/** Resources of the whole pod: no claims, at least what its containers ask for together, at least each one's limits. */
function validatePodResources(errs: Errors, s: Obj, path: string): void {
  const r = s.resources;
  if (r.claims !== undefined) errs.push(forbidden(`${path}.claims`, "claims cannot be set for Resources at pod-level"));
  validateContainerResources(errs, { limits: r.limits, requests: r.requests }, path, new Set());
  const wanted = aggregateRequests(s);
  for (const name of Object.keys(wanted).sort()) {
    const own = parseQuantity(r.requests?.[name] ?? "0");
    const all = wanted[name]!;
    if (all.cmp(own) > 0)
      errs.push(
        invalid(`${path}.requests[${name}]`, own.toString(), `must be greater than or equal to aggregate container requests of ${all}`),
      );
  }
  (s.containers ?? []).forEach((c: Obj, i: number) => {
    for (const [name, limit] of Object.entries<string>(c.resources?.limits ?? {})) {
      const own = r.limits?.[name];
      if (own !== undefined && parseQuantity(limit).cmp(parseQuantity(own)) > 0)
        errs.push(invalid(`${path}.containers[${i}][${name}].limits`, limit, `must be less than or equal to pod limits of ${own}`));
    }
  });
}

/** What containers and sidecars ask for together, or the most that an init container asks for while it runs (component-helpers/resource). */
function aggregateRequests(s: Obj): Record<string, Quantity> {
  const sum: Record<string, Quantity> = {};
  const add = (to: Record<string, Quantity>, requests: Record<string, string> | undefined) => {
    for (const [k, v] of Object.entries(requests ?? {})) to[k] = to[k] ? to[k].add(parseQuantity(v)) : parseQuantity(v);
  };
  for (const c of s.containers ?? []) add(sum, c.resources?.requests);
  const sidecars: Record<string, Quantity> = {};
  const peak: Record<string, Quantity> = {};
  for (const c of s.initContainers ?? []) {
    const running = { ...sidecars };
    add(running, c.resources?.requests);
    if (c.restartPolicy === "Always") {
      add(sidecars, c.resources?.requests);
      add(sum, c.resources?.requests);
    }
    for (const [k, v] of Object.entries(running)) if (!peak[k] || v.cmp(peak[k]) > 0) peak[k] = v;
  }
  for (const [k, v] of Object.entries(peak)) if (!sum[k] || v.cmp(sum[k]) > 0) sum[k] = v;
  return sum;
}

function validateResourceClaims(errs: Errors, claims: Obj[] | undefined, path: string): Set<string> {
  const names = new Set<string>();
  (claims ?? []).forEach((c, i) => {
    const p = `${path}[${i}]`;
    if (!c.name) errs.push(required(`${p}.name`));
    else if (names.has(c.name)) errs.push(duplicate(`${p}.name`, c.name));
    else {
      dnsLabel(errs, `${p}.name`, c.name);
      names.add(c.name);
    }
    if (c.resourceClaimName !== undefined && c.resourceClaimTemplateName !== undefined) {
      errs.push(invalid(p, { name: c.name }, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"));
    }
    if (c.resourceClaimName === undefined && c.resourceClaimTemplateName === undefined) {
      errs.push(invalid(p, { name: c.name }, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"));
    }
    for (const f of ["resourceClaimName", "resourceClaimTemplateName"]) if (c[f] !== undefined) dnsSubdomain(errs, `${p}.${f}`, c[f]);
  });
  return names;
}

function validateDnsConfig(errs: Errors, s: Obj, path: string): void {
  const d = s.dnsConfig;
  if (s.dnsPolicy === "None" && (d === undefined || (d.nameservers ?? []).length === 0)) {
    if (d === undefined) {
      errs.push(required(path, "must provide `dnsConfig` when `dnsPolicy` is None"));
      return;
    }
    errs.push(required(`${path}.nameservers`, "must provide at least one DNS nameserver when `dnsPolicy` is None"));
    return;
  }
  if (d === undefined) return;
  const servers: string[] = d.nameservers ?? [];
  if (servers.length > NAMESERVERS_MAX)
    errs.push(invalid(`${path}.nameservers`, servers, `must not have more than ${NAMESERVERS_MAX} nameservers`));
  servers.forEach((n, i) => {
    if (!isIp(n)) errs.push(invalid(`${path}.nameservers[${i}]`, n, IP_ERROR));
  });
  const searches: string[] = d.searches ?? [];
  if (searches.length > SEARCH_PATHS_MAX)
    errs.push(invalid(`${path}.searches`, searches, `must not have more than ${SEARCH_PATHS_MAX} search paths`));
  const length = searches.join(" ").length;
  if (length > SEARCH_CHARS_MAX)
    errs.push(
      invalid(`${path}.searches`, searches, `must not have more than ${SEARCH_CHARS_MAX} characters (including spaces) in the search list`),
    );
  searches.forEach((x, i) => {
    if (x === ".") return;
    const t = (x.endsWith(".") ? x.slice(0, -1) : x).replaceAll("_", "-");
    invalidAll(errs, `${path}.searches[${i}]`, x, isDns1123Subdomain(t));
  });
  (d.options ?? []).forEach((o: Obj, i: number) => {
    if (!o.name) errs.push(required(`${path}.options[${i}]`, "must not be empty"));
  });
}

function validateSchedulingGates(errs: Errors, s: Obj, path: string): void {
  const seen = new Set<string>();
  (s.schedulingGates ?? []).forEach((g: Obj, i: number) => {
    const p = `${path}.schedulingGates[${i}]`;
    qualifiedName(errs, p, g.name);
    if (seen.has(g.name)) errs.push(duplicate(p, g.name));
    seen.add(g.name);
  });
}

function validateHostAliases(errs: Errors, aliases: Obj[] | undefined, path: string): void {
  (aliases ?? []).forEach((a, i) => {
    if (!isIp(a.ip ?? "")) errs.push(invalid(`${path}[${i}].ip`, a.ip ?? "", IP_ERROR));
    (a.hostnames ?? []).forEach((h: string, j: number) => {
      dnsSubdomain(errs, `${path}[${i}].hostnames[${j}]`, h);
    });
  });
}

function validateOs(errs: Errors, s: Obj, path: string): void {
  if (!s.os.name) errs.push(required(`${path}.os.name`, "cannot be empty"));
  else if (!["linux", "windows"].includes(s.os.name)) errs.push(notSupported(`${path}.os`, s.os.name, ["linux", "windows"]));
  else forOs(errs, s, path);
}

const NOT_ON_WINDOWS = "cannot be set for a windows pod";
const LINUX_POD_FIELDS = [
  "securityContext.appArmorProfile",
  "securityContext.seLinuxOptions",
  "hostUsers",
  "hostPID",
  "hostIPC",
  "securityContext.seccompProfile",
  "securityContext.fsGroup",
  "securityContext.fsGroupChangePolicy",
  "securityContext.sysctls",
  "shareProcessNamespace",
  "securityContext.runAsUser",
  "securityContext.runAsGroup",
  "securityContext.supplementalGroups",
  "securityContext.supplementalGroupsPolicy",
  "securityContext.seLinuxChangePolicy",
];
const LINUX_CONTAINER_FIELDS = [
  "appArmorProfile",
  "seLinuxOptions",
  "seccompProfile",
  "capabilities",
  "readOnlyRootFilesystem",
  "privileged",
  "allowPrivilegeEscalation",
  "procMount",
  "runAsUser",
  "runAsGroup",
];

/** What a pod of one operating system may not set, because only the other knows it. */
function forOs(errs: Errors, s: Obj, path: string): void {
  const isSet = (v: unknown) => v !== undefined && v !== null && !(Array.isArray(v) && v.length === 0);
  const windows = s.os.name === "windows";
  const noWindowsOptions = "windows options cannot be set for a linux pod";
  if (windows) {
    for (const f of LINUX_POD_FIELDS) {
      const v = f.split(".").reduce((o: Obj, k) => o?.[k], s);
      // Of host namespaces only "true" counts: upstream cannot tell false from absent.
      if (f === "hostPID" || f === "hostIPC" ? v === true : isSet(v)) errs.push(forbidden(`${path}.${f}`, NOT_ON_WINDOWS));
    }
  } else if (s.securityContext?.windowsOptions) errs.push(forbidden(`${path}.securityContext.windowsOptions`, noWindowsOptions));
  for (const list of ["initContainers", "containers", "ephemeralContainers"])
    (s[list] ?? []).forEach((c: Obj, i: number) => {
      const at = `${path}.${list}[${i}].securityContext`;
      if (!windows) {
        if (c.securityContext?.windowsOptions) errs.push(forbidden(`${at}.windowsOptions`, noWindowsOptions));
        return;
      }
      for (const f of LINUX_CONTAINER_FIELDS) if (isSet(c.securityContext?.[f])) errs.push(forbidden(`${at}.${f}`, NOT_ON_WINDOWS));
    });
}

/** A template inside a workload: labels, annotations and the spec. */
export function validatePodTemplate(errs: Errors, t: Obj, path: string): void {
  if (t.metadata?.labels) validateLabels(errs, t.metadata.labels, `${path}.labels`);
  if (t.metadata?.annotations) validateAnnotations(errs, t.metadata.annotations, `${path}.annotations`);
  validatePodSpec(errs, t.spec ?? {}, `${path}.spec`);
  if ((t.spec?.ephemeralContainers ?? []).length > 0)
    errs.push(forbidden(`${path}.spec.ephemeralContainers`, "ephemeral containers not allowed in pod template"));
}

export function validatePod(errs: Errors, o: Obj): void {
  validateObjectMeta(errs, o.metadata, { namespaced: true, name: SUBDOMAIN_NAME });
  const s = o.spec;
  validatePodSpec(errs, s, "spec", true);
  if (!s.serviceAccountName) {
    (s.volumes ?? []).forEach((v: Obj, i: number) => {
      (v.projected?.sources ?? []).forEach((x: Obj, j: number) => {
        if (x.serviceAccountToken)
          errs.push(
            forbidden(
              `spec.volumes[${i}].projected.sources[${j}].serviceAccountToken`,
              "must not be specified when serviceAccountName is not set",
            ),
          );
      });
    });
  }
  validateContainersOnlyForPod(errs, s.containers, "spec.containers");
  validateContainersOnlyForPod(errs, s.initContainers, "spec.initContainers");
  validateContainersOnlyForPod(errs, s.ephemeralContainers, "spec.ephemeralContainers");
}

export function validatePodCreate(errs: Errors, o: Obj): void {
  validatePod(errs, o);
  if ((o.spec.ephemeralContainers ?? []).length > 0) errs.push(forbidden("spec.ephemeralContainers", "cannot be set on create"));
  if (o.spec.nodeName && (o.spec.schedulingGates ?? []).length > 0)
    errs.push(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"));
  validateProfileAnnotations(errs, o);
}
