// Which pods stand behind a Service and on which ports, for EndpointSlices and for Endpoints. Pure (discovery/v1, core/v1).
import type { KubeObject } from "@podwire/client";
import { isReady, isTerminal, isTerminating } from "../../pods/status.ts";

export interface Port {
  name: string;
  port: number;
  protocol: string;
  appProtocol?: string;
}

export const isHeadless = (service: KubeObject): boolean => service["spec"].clusterIP === "None";

/** Pods with an address that are not finished; a terminating one counts only when asked. */
export function hasEndpoint(pod: KubeObject, includeTerminating: boolean): boolean {
  if (isTerminal(pod) || !pod["status"]?.podIP) return false;
  return includeTerminating || !isTerminating(pod);
}

/** Ports of a Service on one pod; a named target port that the pod does not have is left out. */
export function portsOn(service: KubeObject, pod: KubeObject): Port[] {
  const ports: Port[] = [];
  for (const p of service["spec"].ports ?? []) {
    const port = targetPort(p, pod);
    if (port === undefined) continue;
    ports.push({ name: p.name ?? "", port, protocol: p.protocol ?? "TCP", ...(p.appProtocol ? { appProtocol: p.appProtocol } : {}) });
  }
  return ports;
}

function targetPort(p: any, pod: KubeObject): number | undefined {
  const target = p.targetPort ?? p.port;
  if (typeof target === "number") return target === 0 ? p.port : target;
  const sidecars = (pod["spec"].initContainers ?? []).filter((c: any) => c.restartPolicy === "Always");
  for (const c of [...(pod["spec"].containers ?? []), ...sidecars])
    for (const cp of c.ports ?? []) if (cp.name === target && (cp.protocol ?? "TCP") === (p.protocol ?? "TCP")) return cp.containerPort;
  return undefined;
}

/** The pod's addresses of a family. */
export function addressesOf(pod: KubeObject, family: string): string[] {
  const ips: string[] = (pod["status"].podIPs ?? [{ ip: pod["status"].podIP }]).map((x: { ip: string }) => x.ip);
  return ips.filter((ip) => ip !== undefined && ip.includes(":") === (family === "IPv6"));
}

/** The pod's name inside the Service's domain, for headless Services. */
export function hostnameFor(service: KubeObject, pod: KubeObject): string | undefined {
  const { hostname, subdomain } = pod["spec"];
  return hostname && subdomain === service.metadata.name ? hostname : undefined;
}

export interface Conditions {
  ready: boolean;
  serving: boolean;
  terminating: boolean;
}

export function conditionsOf(service: KubeObject, pod: KubeObject): Conditions {
  const serving = isReady(pod);
  const terminating = isTerminating(pod);
  return { ready: service["spec"].publishNotReadyAddresses === true || (serving && !terminating), serving, terminating };
}
