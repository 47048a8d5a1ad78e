// Defaults of Pods and of everything that holds a pod template (core/v1 defaulting of Kubernetes 1.34).
// Invariant: defaulting twice changes nothing.
import { defaultPullPolicy } from "../meta/image.ts";

type Obj = Record<string, any>;

const SECRET_MODE = 0o644;
const TOKEN_SECONDS = 3600;
const GRACE_SECONDS = 30;

export function defaultPodSpec(spec: Obj): void {
  spec.dnsPolicy ??= "ClusterFirst";
  spec.restartPolicy ??= "Always";
  spec.securityContext ??= {};
  spec.terminationGracePeriodSeconds ??= GRACE_SECONDS;
  spec.schedulerName ??= "default-scheduler";
  if (spec.serviceAccountName !== undefined) spec.serviceAccount = spec.serviceAccountName;
  else if (spec.serviceAccount !== undefined) spec.serviceAccountName = spec.serviceAccount;
  if (spec.volumes) for (const v of spec.volumes) defaultVolume(v);
  if (spec.initContainers) for (const c of spec.initContainers) defaultContainer(c);
  if (spec.containers) for (const c of spec.containers) defaultContainer(c);
  if (spec.ephemeralContainers) for (const c of spec.ephemeralContainers) defaultContainer(c);
}

/** What is defaulted in a Pod but not in a template. */
export function defaultPod(pod: Obj): void {
  const spec = pod.spec;
  pairIps(pod.status);
  defaultPodSpec(spec);
  spec.enableServiceLinks ??= true;
  for (const list of [spec.containers, spec.initContainers]) {
    if (!list) continue;
    for (const c of list) {
      requestsFromLimits(c.resources);
      if (spec.hostNetwork === true && c.ports) for (const p of c.ports) p.hostPort ??= p.containerPort;
    }
  }
  if (spec.resources !== undefined) defaultPodResources(spec);
}

/** The address of old and the first of the list are one; the list gives way. */
function pairIps(status: Obj | undefined): void {
  if (status === undefined) return;
  const list: Obj[] = status.podIPs ?? [];
  if (status.podIP !== undefined && status.podIP !== list[0]?.ip) status.podIPs = [{ ip: status.podIP }];
  else if (status.podIP === undefined && list.length > 0) status.podIP = list[0]!.ip;
}

function requestsFromLimits(resources: Obj | undefined): void {
  const limits = resources?.limits;
  if (limits === undefined) return;
  for (const name in limits) {
    resources!.requests ??= {};
    resources!.requests[name] ??= limits[name];
  }
}

/** Pod-level resources: a missing request comes from the containers when all set it, else from the pod's limit. */
function defaultPodResources(spec: Obj): void {
  const limits = spec.resources.limits;
  if (limits === undefined) return;
  for (const name of ["cpu", "memory"]) {
    if (limits[name] === undefined || spec.resources.requests?.[name] !== undefined) continue;
    const requested = (spec.containers ?? []).some((c: Obj) => c.resources?.requests?.[name] !== undefined);
    if (!requested) {
      spec.resources.requests ??= {};
      spec.resources.requests[name] = limits[name];
    }
  }
}

function defaultContainer(c: Obj): void {
  c.imagePullPolicy ??= defaultPullPolicy(c.image ?? "");
  c.terminationMessagePath ??= "/dev/termination-log";
  c.terminationMessagePolicy ??= "File";
  if (c.ports) for (const p of c.ports) p.protocol ??= "TCP";
  if (c.env) {
    for (const e of c.env) {
      const from = e.valueFrom;
      if (from?.fieldRef) from.fieldRef.apiVersion ??= "v1";
      if (from?.fileKeyRef) from.fileKeyRef.optional ??= false;
    }
  }
  defaultProbe(c.livenessProbe);
  defaultProbe(c.readinessProbe);
  defaultProbe(c.startupProbe);
  if (c.lifecycle) {
    defaultHttpGet(c.lifecycle.postStart?.httpGet);
    defaultHttpGet(c.lifecycle.preStop?.httpGet);
  }
}

function defaultProbe(p: Obj | undefined): void {
  if (p === undefined) return;
  p.timeoutSeconds ??= 1;
  p.periodSeconds ??= 10;
  p.successThreshold ??= 1;
  p.failureThreshold ??= 3;
  defaultHttpGet(p.httpGet);
  if (p.grpc) p.grpc.service ??= "";
}

function defaultHttpGet(h: Obj | undefined): void {
  if (h === undefined) return;
  h.path ??= "/";
  h.scheme ??= "HTTP";
}

function defaultFieldRefs(items: Obj[] | undefined): void {
  if (items) for (const i of items) if (i.fieldRef) i.fieldRef.apiVersion ??= "v1";
}

function defaultVolume(v: Obj): void {
  let sources = 0;
  for (const key in v) if (key !== "name") sources++;
  if (sources === 0) v.emptyDir = {};
  if (v.secret) v.secret.defaultMode ??= SECRET_MODE;
  if (v.configMap) v.configMap.defaultMode ??= SECRET_MODE;
  if (v.downwardAPI) {
    v.downwardAPI.defaultMode ??= SECRET_MODE;
    defaultFieldRefs(v.downwardAPI.items);
  }
  if (v.projected) {
    v.projected.defaultMode ??= SECRET_MODE;
    for (const s of v.projected.sources ?? []) {
      if (s.serviceAccountToken) s.serviceAccountToken.expirationSeconds ??= TOKEN_SECONDS;
      defaultFieldRefs(s.downwardAPI?.items);
    }
  }
  if (v.hostPath) v.hostPath.type ??= "";
  if (v.image) v.image.pullPolicy ??= defaultPullPolicy(v.image.reference ?? "");
  if (v.ephemeral?.volumeClaimTemplate) defaultClaimSpec(v.ephemeral.volumeClaimTemplate.spec);
  defaultLegacySources(v);
}

/** Network volume plug-ins of old, shared with PersistentVolumes. */
export function defaultLegacySources(v: Obj): void {
  if (v.iscsi) v.iscsi.iscsiInterface ??= "default";
  if (v.rbd) {
    v.rbd.pool ??= "rbd";
    v.rbd.user ??= "admin";
    v.rbd.keyring ??= "/etc/ceph/keyring";
  }
  if (v.azureDisk) {
    v.azureDisk.cachingMode ??= "ReadWrite";
    v.azureDisk.fsType ??= "ext4";
    v.azureDisk.readOnly ??= false;
    v.azureDisk.kind ??= "Shared";
  }
  if (v.scaleIO) {
    v.scaleIO.storageMode ??= "ThinProvisioned";
    v.scaleIO.fsType ??= "xfs";
  }
}

export function defaultClaimSpec(spec: Obj): void {
  spec.volumeMode ??= "Filesystem";
}
