// The environment of a container: Service variables, envFrom, env with its sources and $(VAR) expansion, in the kubelet's order.
import type { ConfigMap, Container as ContainerSpec, Pod, Secret, Service } from "@podwire/api";
import { PodwireError } from "@podwire/base";
import { expand } from "./expansion.ts";
import { fieldValue } from "./field-ref.ts";
import { resourceValue } from "./resource-field.ts";

/** A reference that cannot be resolved: waiting reason CreateContainerConfigError. */
export class ContainerConfigError extends PodwireError {}

export interface EnvironmentSources {
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(namespace: string, name: string): Promise<Secret | undefined>;
  /** Services of the pod's namespace, and default/kubernetes. */
  services(): readonly Service[];
  podIP: string;
  podIPs: readonly string[];
  hostIPs: readonly string[];
  nodeName: string;
  allocatable: Readonly<Record<string, string>>;
  onInvalid(kind: "ConfigMap" | "Secret", name: string, keys: string[]): void;
}

/** IsRelaxedEnvVarName (KEP-4369): printable ASCII but for "=". */
const NAME = /^[ -<>-~]+$/;

export async function environment(pod: Pod, spec: ContainerSpec, s: EnvironmentSources): Promise<Map<string, string>> {
  const namespace = pod.metadata!.namespace!;
  const result = new Map<string, string>();
  const serviceEnv = serviceVariables(pod, s.services());
  for (const from of spec.envFrom ?? []) {
    const prefix = from.prefix ?? "";
    if (from.configMapRef) {
      const name = from.configMapRef.name!;
      const cm = await s.configMap(namespace, name);
      if (!cm) {
        if (from.configMapRef.optional) continue;
        throw new ContainerConfigError(`configmap "${name}" not found`);
      }
      take(result, prefix, cm.data ?? {}, (bad) => s.onInvalid("ConfigMap", name, bad));
    }
    if (from.secretRef) {
      const name = from.secretRef.name!;
      const secret = await s.secret(namespace, name);
      if (!secret) {
        if (from.secretRef.optional) continue;
        throw new ContainerConfigError(`secret "${name}" not found`);
      }
      take(result, prefix, decodeSecret(secret), (bad) => s.onInvalid("Secret", name, bad));
    }
  }
  for (const e of spec.env ?? []) {
    let value = e.value ?? "";
    if (value !== "") value = expand(value, new Map([...serviceEnv, ...result]));
    else if (e.valueFrom?.fieldRef) {
      const path = e.valueFrom.fieldRef.fieldPath!;
      const v = fieldValue(pod, path, s);
      if (v === undefined) throw new ContainerConfigError(`unsupported fieldPath: ${path}`);
      value = v;
    } else if (e.valueFrom?.resourceFieldRef) {
      const ref = e.valueFrom.resourceFieldRef;
      const target = ref.containerName
        ? [...pod.spec!.containers, ...(pod.spec!.initContainers ?? [])].find((c) => c.name === ref.containerName)
        : spec;
      if (!target) throw new ContainerConfigError(`container ${ref.containerName} not found`);
      value = resourceValue(target, ref.resource!, String(ref.divisor ?? "0"), s.allocatable);
    } else if (e.valueFrom?.configMapKeyRef) {
      const ref = e.valueFrom.configMapKeyRef;
      const cm = await s.configMap(namespace, ref.name!);
      if (!cm && !ref.optional) throw new ContainerConfigError(`configmap "${ref.name}" not found`);
      const v = cm?.data?.[ref.key!];
      if (v === undefined) {
        if (ref.optional) continue;
        throw new ContainerConfigError(`couldn't find key ${ref.key} in ConfigMap ${namespace}/${ref.name}`);
      }
      value = v;
    } else if (e.valueFrom?.secretKeyRef) {
      const ref = e.valueFrom.secretKeyRef;
      const secret = await s.secret(namespace, ref.name!);
      if (!secret && !ref.optional) throw new ContainerConfigError(`secret "${ref.name}" not found`);
      const v = secret ? decodeSecret(secret)[ref.key!] : undefined;
      if (v === undefined) {
        if (ref.optional) continue;
        throw new ContainerConfigError(`couldn't find key ${ref.key} in Secret ${namespace}/${ref.name}`);
      }
      value = v;
    }
    result.set(e.name!, value);
  }
  for (const [k, v] of serviceEnv) if (!result.has(k)) result.set(k, v);
  return result;
}

function take(into: Map<string, string>, prefix: string, data: Record<string, string>, onInvalid: (keys: string[]) => void): void {
  const bad: string[] = [];
  for (const [k, v] of Object.entries(data)) {
    if (!NAME.test(prefix + k)) bad.push(prefix + k);
    else into.set(prefix + k, v);
  }
  if (bad.length > 0) onInvalid(bad.sort());
}

export function decodeSecret(secret: Secret): Record<string, string> {
  return Object.fromEntries(Object.entries(secret.data ?? {}).map(([k, v]) => [k, Buffer.from(String(v), "base64").toString("utf8")]));
}

/** {NAME}_SERVICE_HOST and friends (envvars.FromServices). The master's are there even with enableServiceLinks false. */
export function serviceVariables(pod: Pod, services: readonly Service[]): Map<string, string> {
  const out = new Map<string, string>();
  const own = pod.metadata!.namespace;
  const chosen = new Map<string, Service>();
  for (const s of services) {
    const { name, namespace } = s.metadata!;
    const ip = s.spec?.clusterIP;
    if (!ip || ip === "None") continue;
    if (namespace === "default" && name === "kubernetes") {
      if (!chosen.has("kubernetes")) chosen.set("kubernetes", s);
    } else if (namespace === own && pod.spec!.enableServiceLinks !== false) chosen.set(name!, s);
  }
  for (const [name, s] of chosen) {
    const prefix = name.toUpperCase().replaceAll("-", "_");
    const host = s.spec!.clusterIP as string;
    const ports = s.spec!.ports ?? [];
    out.set(`${prefix}_SERVICE_HOST`, host);
    if (ports[0]) out.set(`${prefix}_SERVICE_PORT`, String(ports[0].port));
    for (const p of ports) if (p.name) out.set(`${prefix}_SERVICE_PORT_${p.name.toUpperCase().replaceAll("-", "_")}`, String(p.port));
    const bracketed = host.includes(":") ? `[${host}]` : host;
    ports.forEach((p, i) => {
      const protocol = p.protocol ?? "TCP";
      const url = `${protocol.toLowerCase()}://${bracketed}:${p.port}`;
      const base = `${prefix}_PORT_${p.port}_${protocol}`;
      if (i === 0) out.set(`${prefix}_PORT`, url);
      out.set(base, url);
      out.set(`${base}_PROTO`, protocol.toLowerCase());
      out.set(`${base}_PORT`, String(p.port));
      out.set(`${base}_ADDR`, host);
    });
  }
  return out;
}
