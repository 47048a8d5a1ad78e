// Services (core/validation of Kubernetes 1.34). Addresses and node ports are allocated by the apiserver.
import { duplicate, forbidden, invalid, notSupported, required } from "../errors/field-error.ts";
import { CIDR_ERROR, endpointIpErrors, IP_ERROR, isIp, parseCidr, parseIp } from "../meta/addresses.ts";
import { isDns1123Subdomain, isPortNumber, isQualifiedName } from "../meta/names.ts";
import { deepEqual } from "../patch/json-patch.ts";
import { validateLabels } from "./meta.ts";
import { dnsLabel, type Errors, invalidAll, type Obj, oneOf, portOrName } from "./rules.ts";

const TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const PROTOCOLS = ["SCTP", "TCP", "UDP"];
const AFFINITY_SECONDS_MAX = 86400;
const FAMILIES = ["IPv4", "IPv6"];
const FAMILY_POLICIES = ["SingleStack", "PreferDualStack", "RequireDualStack"];
const DISTRIBUTIONS = ["PreferClose", "PreferSameNode", "PreferSameZone"];

const isHeadless = (s: Obj): boolean => s.clusterIP === "None" || s.clusterIPs?.[0] === "None";

export function validateService(errs: Errors, o: Obj): void {
  const s = o.spec;
  const ports: Obj[] = s.ports ?? [];
  if (ports.length === 0 && !isHeadless(s) && s.type !== "ExternalName") errs.push(required("spec.ports"));
  if (s.type === "LoadBalancer") {
    ports.forEach((p, i) => {
      if (p.port === 10250)
        errs.push(invalid(`spec.ports[${i}]`, p.port, "may not expose port 10250 externally since it is used by kubelet"));
    });
    if (isHeadless(s)) errs.push(invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services"));
  }
  if (s.type === "NodePort" && isHeadless(s))
    errs.push(invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for NodePort services"));
  if (s.type === "ExternalName") {
    if ((s.clusterIPs ?? []).length > 0 || s.clusterIP) errs.push(forbidden("spec.clusterIPs", "may not be set for ExternalName services"));
    const name = (s.externalName ?? "").replace(/\.$/, "");
    if (name !== "") invalidAll(errs, "spec.externalName", name, isDns1123Subdomain(name));
    else errs.push(required("spec.externalName"));
  }
  const names = new Set<string>();
  ports.forEach((p, i) => {
    servicePort(errs, p, ports.length > 1, names, `spec.ports[${i}]`);
  });
  if (s.selector) validateLabels(errs, s.selector, "spec.selector");
  if (!s.sessionAffinity) errs.push(required("spec.sessionAffinity"));
  else if (!["ClientIP", "None"].includes(s.sessionAffinity))
    errs.push(notSupported("spec.sessionAffinity", s.sessionAffinity, ["ClientIP", "None"]));
  affinityConfig(errs, s);
  clusterIps(errs, s);
  (s.externalIPs ?? []).forEach((ip: string, i: number) => {
    if (!isIp(ip)) errs.push(invalid(`spec.externalIPs[${i}]`, ip, IP_ERROR));
    else invalidAll(errs, `spec.externalIPs[${i}]`, ip, endpointIpErrors(ip));
  });
  if (!s.type) errs.push(required("spec.type"));
  else if (!TYPES.includes(s.type)) errs.push(notSupported("spec.type", s.type, TYPES));
  if (s.type === "ClusterIP") {
    ports.forEach((p, i) => {
      if (p.nodePort) errs.push(forbidden(`spec.ports[${i}].nodePort`, "may not be used when `type` is 'ClusterIP'"));
    });
  }
  duplicatePorts(errs, ports);
  sourceRanges(errs, o);
  if (s.allocateLoadBalancerNodePorts !== undefined && s.type !== "LoadBalancer") {
    errs.push(forbidden("spec.allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'"));
  }
  if (s.loadBalancerClass !== undefined) {
    if (s.type !== "LoadBalancer") errs.push(forbidden("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'"));
    else invalidAll(errs, "spec.loadBalancerClass", s.loadBalancerClass, isQualifiedName(s.loadBalancerClass));
  }
  trafficPolicies(errs, s);
  if (s.trafficDistribution !== undefined && !DISTRIBUTIONS.includes(s.trafficDistribution)) {
    errs.push(notSupported("spec.trafficDistribution", s.trafficDistribution, DISTRIBUTIONS));
  }
}

function servicePort(errs: Errors, p: Obj, requireName: boolean, names: Set<string>, path: string): void {
  if (requireName && !p.name) errs.push(required(`${path}.name`));
  else if (p.name) {
    dnsLabel(errs, `${path}.name`, p.name);
    if (names.has(p.name)) errs.push(duplicate(`${path}.name`, p.name));
    else names.add(p.name);
  }
  invalidAll(errs, `${path}.port`, p.port ?? 0, isPortNumber(p.port ?? 0));
  if (!p.protocol) errs.push(required(`${path}.protocol`));
  else if (!PROTOCOLS.includes(p.protocol)) errs.push(notSupported(`${path}.protocol`, p.protocol, PROTOCOLS));
  portOrName(errs, `${path}.targetPort`, p.targetPort);
  if (p.appProtocol !== undefined) invalidAll(errs, `${path}.appProtocol`, p.appProtocol, isQualifiedName(p.appProtocol));
}

/** Node ports and service ports may each be used once per protocol. */
function duplicatePorts(errs: Errors, ports: Obj[]): void {
  const nodePorts = new Set<string>();
  ports.forEach((p, i) => {
    if (!p.nodePort) return;
    const key = `${p.protocol}/${p.nodePort}`;
    if (nodePorts.has(key)) errs.push(duplicate(`spec.ports[${i}].nodePort`, p.nodePort));
    nodePorts.add(key);
  });
  const seen = new Set<string>();
  ports.forEach((p, i) => {
    const key = `${p.protocol}/${p.port}`;
    if (seen.has(key)) {
      errs.push(
        duplicate(`spec.ports[${i}]`, { Name: "", Protocol: p.protocol, AppProtocol: null, Port: p.port, TargetPort: 0, NodePort: 0 }),
      );
    }
    seen.add(key);
  });
}

function affinityConfig(errs: Errors, s: Obj): void {
  if (s.sessionAffinity === "ClientIP") {
    const t = s.sessionAffinityConfig?.clientIP?.timeoutSeconds;
    const path = "spec.sessionAffinityConfig";
    if (s.sessionAffinityConfig === undefined) errs.push(required(path, "when session affinity type is ClientIP"));
    else if (t === undefined) errs.push(required(`${path}.clientIP.timeoutSeconds`, "when session affinity type is ClientIP"));
    else if (t <= 0 || t > AFFINITY_SECONDS_MAX)
      errs.push(invalid(`${path}.clientIP.timeoutSeconds`, t, `must be greater than 0 and less than or equal to ${AFFINITY_SECONDS_MAX}`));
  } else if (s.sessionAffinity === "None" && s.sessionAffinityConfig !== undefined) {
    errs.push(forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None"));
  }
}

function clusterIps(errs: Errors, s: Obj): void {
  const ips: string[] = s.clusterIPs ?? (s.clusterIP ? [s.clusterIP] : []);
  const families: string[] = s.ipFamilies ?? [];
  families.forEach((f, i) => {
    if (!FAMILIES.includes(f)) errs.push(notSupported(`spec.ipFamilies[${i}]`, f, FAMILIES));
    if (families.indexOf(f) < i) errs.push(duplicate(`spec.ipFamilies[${i}]`, f));
  });
  if (s.ipFamilyPolicy !== undefined) oneOf(errs, "spec.ipFamilyPolicy", s.ipFamilyPolicy, FAMILY_POLICIES);
  if (s.type === "ExternalName") return;
  if (s.clusterIP && s.clusterIPs?.length && s.clusterIP !== s.clusterIPs[0])
    errs.push(invalid("spec.clusterIPs", s.clusterIPs, "first value must match `clusterIP`"));
  if (ips.length > 2) errs.push(invalid("spec.clusterIPs", ips, "may only hold up to 2 values"));
  ips.forEach((ip, i) => {
    const path = `spec.clusterIPs[${i}]`;
    if (ip === "None") {
      if (ips.length > 1) errs.push(invalid("spec.clusterIPs", ips, "'None' must be the first and only value"));
      return;
    }
    const parsed = parseIp(ip);
    if (parsed === undefined) {
      errs.push(invalid(path, ip, IP_ERROR));
      return;
    }
    const family = families[i];
    if (family === "IPv6" && parsed.family === 4)
      errs.push(invalid(path, ip, `expected an IPv6 value as indicated by \`ipFamilies[${i}]\``));
    if (family === "IPv4" && parsed.family === 6)
      errs.push(invalid(path, ip, `expected an IPv4 value as indicated by \`ipFamilies[${i}]\``));
  });
}

function sourceRanges(errs: Errors, o: Obj): void {
  const s = o.spec;
  const ranges: string[] = s.loadBalancerSourceRanges ?? [];
  if (ranges.length > 0) {
    if (s.type !== "LoadBalancer") errs.push(forbidden("spec.loadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'"));
    ranges.forEach((r, i) => {
      if (parseCidr(r.trim()) === undefined) errs.push(invalid(`spec.loadBalancerSourceRanges[${i}]`, r, CIDR_ERROR));
    });
  }
}

function trafficPolicies(errs: Errors, s: Obj): void {
  const external = s.type === "LoadBalancer" || s.type === "NodePort" || (s.type === "ClusterIP" && (s.externalIPs ?? []).length > 0);
  if (s.internalTrafficPolicy !== undefined) oneOf(errs, "spec.internalTrafficPolicy", s.internalTrafficPolicy, ["Cluster", "Local"]);
  if (external) {
    if (s.externalTrafficPolicy !== undefined && s.externalTrafficPolicy !== "")
      oneOf(errs, "spec.externalTrafficPolicy", s.externalTrafficPolicy, ["Cluster", "Local"]);
    else if (s.type !== "ClusterIP") errs.push(required("spec.externalTrafficPolicy"));
  } else if (s.externalTrafficPolicy) {
    errs.push(invalid("spec.externalTrafficPolicy", s.externalTrafficPolicy, "may only be set for externally-accessible services"));
  }
  if (s.healthCheckNodePort) {
    if (s.healthCheckNodePort < 0)
      errs.push(invalid("spec.healthCheckNodePort", s.healthCheckNodePort, "must be greater than or equal to 0"));
    if (!(s.type === "LoadBalancer" && s.externalTrafficPolicy === "Local")) {
      errs.push(
        invalid(
          "spec.healthCheckNodePort",
          s.healthCheckNodePort,
          "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        ),
      );
    }
  }
}

export function validateServiceUpdate(errs: Errors, o: Obj, old: Obj): void {
  if (old.spec.type !== "ExternalName" && o.spec.type !== "ExternalName") {
    const was: string[] = old.spec.clusterIPs ?? [];
    const now: string[] = o.spec.clusterIPs ?? [];
    if (was.length > 0 && now.length > 0 && was[0] !== now[0]) errs.push(invalid("spec.clusterIPs[0]", now, "may not change once set"));
    if (was.length > 1 && now.length > 1 && was[1] !== now[1]) errs.push(invalid("spec.clusterIPs[1]", now, "may not change once set"));
    if (errs.some((e) => e.field.startsWith("spec.clusterIPs"))) return;
    const families: string[] = old.spec.ipFamilies ?? [];
    if (families.length > 0 && (o.spec.ipFamilies ?? []).length > 0 && families[0] !== o.spec.ipFamilies[0] && !now.length) {
      errs.push(invalid("spec.ipFamilies[0]", o.spec.ipFamilies, "may not change once set"));
    }
  }
  if (
    old.spec.type === "LoadBalancer" &&
    o.spec.type === "LoadBalancer" &&
    !deepEqual(old.spec.loadBalancerClass ?? null, o.spec.loadBalancerClass ?? null)
  ) {
    errs.push(invalid("spec.loadBalancerClass", o.spec.loadBalancerClass ?? null, "may not change once set"));
  }
  validateService(errs, o);
}

export function validateServiceStatus(errs: Errors, o: Obj): void {
  const ingress: Obj[] = o.status?.loadBalancer?.ingress ?? [];
  if (ingress.length > 0 && o.spec.type !== "LoadBalancer")
    errs.push(forbidden("status.loadBalancer.ingress", "may only be used when `spec.type` is 'LoadBalancer'"));
  else validateLoadBalancerIngress(errs, ingress, "status.loadBalancer.ingress");
}

export function validateLoadBalancerIngress(errs: Errors, ingress: Obj[], path: string): void {
  ingress.forEach((x, i) => {
    const p = `${path}[${i}]`;
    if (x.ip && !isIp(x.ip)) errs.push(invalid(`${p}.ip`, x.ip, IP_ERROR));
    if (x.ip && x.ipMode === undefined) errs.push(required(`${p}.ipMode`, "must be specified when `ip` is set"));
    if (!x.ip && x.ipMode !== undefined) errs.push(forbidden(`${p}.ipMode`, "may not be specified when `ip` is not set"));
    if (x.ipMode !== undefined) oneOf(errs, `${p}.ipMode`, x.ipMode, ["Proxy", "VIP"]);
    if (x.hostname) {
      invalidAll(errs, `${p}.hostname`, x.hostname, isDns1123Subdomain(x.hostname));
      if (isIp(x.hostname)) errs.push(invalid(`${p}.hostname`, x.hostname, "must be a DNS name, not an IP address"));
    }
  });
}
