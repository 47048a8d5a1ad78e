// Defaults of Services, endpoints, Ingresses and network policies (Kubernetes 1.34).

type Obj = Record<string, any>;

const AFFINITY_SECONDS = 10800;

export function defaultService(o: Obj): void {
  const s = o.spec;
  s.sessionAffinity ??= "None";
  if (s.sessionAffinity === "None") delete s.sessionAffinityConfig;
  if (s.sessionAffinity === "ClientIP") {
    const timeout = s.sessionAffinityConfig?.clientIP?.timeoutSeconds;
    if (timeout === undefined) s.sessionAffinityConfig = { clientIP: { timeoutSeconds: AFFINITY_SECONDS } };
  }
  s.type ??= "ClusterIP";
  for (const p of s.ports ?? []) {
    p.protocol ??= "TCP";
    if (p.targetPort === undefined || p.targetPort === 0 || p.targetPort === "") p.targetPort = p.port;
  }
  const external = s.type === "NodePort" || s.type === "LoadBalancer";
  if (external || (s.type === "ClusterIP" && s.externalIPs?.length > 0)) s.externalTrafficPolicy ??= "Cluster";
  if (external || s.type === "ClusterIP") s.internalTrafficPolicy ??= "Cluster";
  if (s.type === "LoadBalancer") {
    s.allocateLoadBalancerNodePorts ??= true;
    for (const i of o.status?.loadBalancer?.ingress ?? []) if (i.ip !== undefined) i.ipMode ??= "VIP";
  }
}

export function defaultEndpoints(o: Obj): void {
  for (const s of o.subsets ?? []) for (const p of s.ports ?? []) p.protocol ??= "TCP";
}

export function defaultEndpointSlice(o: Obj): void {
  for (const p of o.ports ?? []) {
    p.name ??= "";
    p.protocol ??= "TCP";
  }
}

export function defaultNetworkPolicy(o: Obj): void {
  const s = o.spec;
  for (const r of [...(s.ingress ?? []), ...(s.egress ?? [])]) for (const p of r.ports ?? []) p.protocol ??= "TCP";
  if ((s.policyTypes ?? []).length === 0) s.policyTypes = (s.egress ?? []).length > 0 ? ["Ingress", "Egress"] : ["Ingress"];
}

export function defaultIngressClass(o: Obj): void {
  if (o.spec?.parameters) o.spec.parameters.scope ??= "Cluster";
}
