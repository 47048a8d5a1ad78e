// Endpoints, EndpointSlices, Ingresses, NetworkPolicies, IP addresses (core, discovery and networking validation of Kubernetes 1.34).
import { duplicate, forbidden, invalid, notSupported, required, tooMany, Verbatim } from "../errors/field-error.ts";
import { CIDR_ERROR, cidrContains, endpointIpErrors, IP_ERROR, isIp, parseCidr, parseIp } from "../meta/addresses.ts";
import {
  isDns1035Label,
  isDns1123Label,
  isDns1123Subdomain,
  isPortName,
  isPortNumber,
  isQualifiedName,
  isWildcardDns1123Subdomain,
} from "../meta/names.ts";
import { deepEqual } from "../patch/json-patch.ts";
import { dnsLabel, dnsSubdomain, type Errors, IMMUTABLE, invalidAll, type Obj, oneOf, portOrName } from "./rules.ts";
import { validateLabelSelector } from "./selectors.ts";

export function validateEndpoints(errs: Errors, o: Obj): void {
  (o.subsets ?? []).forEach((s: Obj, i: number) => {
    const p = `subsets[${i}]`;
    const addresses = [...(s.addresses ?? []), ...(s.notReadyAddresses ?? [])];
    if (addresses.length === 0) errs.push(required(p, "must specify `addresses` or `notReadyAddresses`"));
    for (const f of ["addresses", "notReadyAddresses"]) {
      (s[f] ?? []).forEach((a: Obj, j: number) => {
        endpointAddress(errs, a, `${p}.${f}[${j}]`);
      });
    }
    const ports: Obj[] = s.ports ?? [];
    ports.forEach((x, j) => {
      const at = `${p}.ports[${j}]`;
      if (ports.length > 1 && !x.name) errs.push(required(`${at}.name`));
      else if (x.name) dnsLabel(errs, `${at}.name`, x.name);
      invalidAll(errs, `${at}.port`, x.port, isPortNumber(x.port));
      oneOf(errs, `${at}.protocol`, x.protocol, ["SCTP", "TCP", "UDP"], "required");
      if (x.appProtocol !== undefined) invalidAll(errs, `${at}.appProtocol`, x.appProtocol, isQualifiedName(x.appProtocol));
    });
  });
}

function endpointAddress(errs: Errors, a: Obj, path: string): void {
  if (!isIp(a.ip ?? "")) errs.push(invalid(`${path}.ip`, a.ip ?? "", IP_ERROR));
  if (a.hostname) dnsLabel(errs, `${path}.hostname`, a.hostname);
  if (a.nodeName !== undefined) invalidAll(errs, `${path}.nodeName`, a.nodeName, isDns1123Subdomain(a.nodeName));
  invalidAll(errs, `${path}.ip`, a.ip ?? "", endpointIpErrors(a.ip ?? ""));
}

const ENDPOINTS_MAX = 1000;
const ADDRESSES_MAX = 100;
const PORTS_MAX = 20_000;

export function validateEndpointSlice(errs: Errors, o: Obj): void {
  if (!o.addressType) errs.push(required("addressType"));
  else oneOf(errs, "addressType", o.addressType, ["FQDN", "IPv4", "IPv6"]);
  const endpoints: Obj[] = o.endpoints ?? [];
  if (endpoints.length > ENDPOINTS_MAX) errs.push(tooMany("endpoints", endpoints.length, ENDPOINTS_MAX));
  else
    endpoints.forEach((e, i) => {
      sliceEndpoint(errs, e, o.addressType, `endpoints[${i}]`);
    });
  const ports: Obj[] = o.ports ?? [];
  if (ports.length > PORTS_MAX) {
    errs.push(tooMany("ports", ports.length, PORTS_MAX));
    return;
  }
  const names = new Set<string>();
  ports.forEach((p, i) => {
    const at = `ports[${i}]`;
    if (p.name) dnsLabelOnly(errs, `${at}.name`, p.name);
    if (names.has(p.name ?? "")) errs.push(duplicate(`${at}.name`, p.name ?? ""));
    else names.add(p.name ?? "");
    if (p.protocol === undefined) errs.push(required(`${at}.protocol`));
    else oneOf(errs, `${at}.protocol`, p.protocol, ["SCTP", "TCP", "UDP"]);
    if (p.port !== undefined) invalidAll(errs, `${at}.port`, p.port, isPortNumber(p.port));
    if (p.appProtocol !== undefined) invalidAll(errs, `${at}.appProtocol`, p.appProtocol, isQualifiedName(p.appProtocol));
  });
}

function dnsLabelOnly(errs: Errors, path: string, value: string): void {
  invalidAll(errs, path, value, isDns1123Label(value));
}

function sliceEndpoint(errs: Errors, e: Obj, type: string, path: string): void {
  const addresses: string[] = e.addresses ?? [];
  if (addresses.length === 0) errs.push(required(`${path}.addresses`, "must contain at least 1 address"));
  else if (addresses.length > ADDRESSES_MAX) errs.push(tooMany(`${path}.addresses`, addresses.length, ADDRESSES_MAX));
  addresses.forEach((a, i) => {
    const at = `${path}.addresses[${i}]`;
    if (type === "FQDN") dnsSubdomain(errs, at, a);
    else if (type === "IPv4" || type === "IPv6") {
      const ip = parseIp(a);
      if (ip === undefined) errs.push(invalid(at, a, IP_ERROR));
      else {
        if ((ip.family === 4) !== (type === "IPv4"))
          errs.push(invalid(at, a, type === "IPv4" ? "must be an IPv4 address" : "must be an IPv6 address"));
        invalidAll(errs, at, a, endpointIpErrors(a));
      }
    }
  });
  if (e.nodeName !== undefined) invalidAll(errs, `${path}.nodeName`, e.nodeName, isDns1123Subdomain(e.nodeName));
  if (e.hostname !== undefined) dnsLabelOnly(errs, `${path}.hostname`, e.hostname);
}

export function validateEndpointSliceUpdate(errs: Errors, o: Obj, old: Obj): void {
  validateEndpointSlice(errs, o);
  if (o.addressType !== old.addressType) errs.push(invalid("addressType", o.addressType ?? "", IMMUTABLE));
}

const CLASS_ANNOTATION = "kubernetes.io/ingress.class";

export function validateIngress(errs: Errors, o: Obj, creating = false): void {
  const s = o.spec;
  if (creating && s.ingressClassName !== undefined && o.metadata.annotations?.[CLASS_ANNOTATION] !== undefined) {
    errs.push(
      invalid(
        `annotations.${CLASS_ANNOTATION}`,
        o.metadata.annotations[CLASS_ANNOTATION],
        "can not be set when the class field is also set",
      ),
    );
  }
  if ((s.rules ?? []).length === 0 && s.defaultBackend === undefined) {
    errs.push(invalid("spec", new Verbatim("null"), "either `defaultBackend` or `rules` must be specified"));
  }
  if (s.defaultBackend !== undefined) backend(errs, s.defaultBackend, "spec.defaultBackend");
  (s.rules ?? []).forEach((r: Obj, i: number) => {
    ingressRule(errs, r, `spec.rules[${i}]`);
  });
  (s.tls ?? []).forEach((t: Obj, i: number) => {
    (t.hosts ?? []).forEach((h: string, j: number) => {
      host(errs, h, `spec.tls[${i}].hosts[${j}]`, false);
    });
    if (t.secretName) dnsSubdomain(errs, `spec.tls[${i}].secretName`, t.secretName);
  });
  if (s.ingressClassName !== undefined) dnsSubdomain(errs, "spec.ingressClassName", s.ingressClassName);
}

function host(errs: Errors, h: string, path: string, noIp: boolean): void {
  if (noIp && isIp(h)) errs.push(invalid(path, h, "must be a DNS name, not an IP address"));
  invalidAll(errs, path, h, h.includes("*") ? isWildcardDns1123Subdomain(h) : isDns1123Subdomain(h));
}

const BAD_SEQUENCES = ["//", "/./", "/../", "%2f", "%2F"];
const BAD_SUFFIXES = ["/..", "/."];

function ingressRule(errs: Errors, r: Obj, path: string): void {
  if (r.host) host(errs, r.host, `${path}.host`, true);
  if (r.http === undefined) return;
  const paths: Obj[] = r.http.paths ?? [];
  if (paths.length === 0) errs.push(required(`${path}.http.paths`));
  paths.forEach((x, i) => {
    const p = `${path}.http.paths[${i}]`;
    if (x.pathType === undefined || x.pathType === null) {
      errs.push(required(`${p}.pathType`, "pathType must be specified"));
      return;
    }
    const value: string = x.path ?? "";
    if (x.pathType === "Exact" || x.pathType === "Prefix") {
      if (!value.startsWith("/")) errs.push(invalid(`${p}.path`, value, "must be an absolute path"));
      if (value !== "") {
        for (const b of BAD_SEQUENCES) if (value.includes(b)) errs.push(invalid(`${p}.path`, value, `must not contain '${b}'`));
        for (const b of BAD_SUFFIXES) if (value.endsWith(b)) errs.push(invalid(`${p}.path`, value, `cannot end with '${b}'`));
      }
    } else if (x.pathType === "ImplementationSpecific") {
      if (value !== "" && !value.startsWith("/")) errs.push(invalid(`${p}.path`, value, "must be an absolute path"));
    } else errs.push(notSupported(`${p}.pathType`, x.pathType, ["Exact", "ImplementationSpecific", "Prefix"]));
    backend(errs, x.backend, `${p}.backend`);
  });
}

function backend(errs: Errors, b: Obj, path: string): void {
  const hasService = b?.service !== undefined;
  const hasResource = b?.resource !== undefined;
  if (hasService && hasResource) errs.push(invalid(path, "", "cannot set both resource and service backends"));
  else if (hasResource) {
    if (!b.resource.kind) errs.push(required(`${path}.resource.kind`));
    if (!b.resource.name) errs.push(required(`${path}.resource.name`));
  } else if (!hasService) errs.push(required(path, "must specify a service or resource backend"));
  else service(errs, b.service, path);
}

function service(errs: Errors, s: Obj, path: string): void {
  if (!s.name) errs.push(required(`${path}.service.name`));
  else invalidAll(errs, `${path}.service.name`, s.name, isDns1035Label(s.name));
  const name = s.port?.name ?? "";
  const number = s.port?.number ?? 0;
  if (name !== "" && number !== 0) errs.push(invalid(path, "", "cannot set both port name & port number"));
  else if (name !== "") invalidAll(errs, `${path}.service.port.name`, name, isPortName(name));
  else if (number !== 0) invalidAll(errs, `${path}.service.port.number`, number, isPortNumber(number));
  else errs.push(required(path, "port name or number is required"));
}

export function validateIngressStatus(errs: Errors, o: Obj): void {
  (o.status?.loadBalancer?.ingress ?? []).forEach((x: Obj, i: number) => {
    const p = `status.loadBalancer.ingress[${i}]`;
    if (x.ip && !isIp(x.ip)) errs.push(invalid(`${p}.ip`, x.ip, IP_ERROR));
    if (x.hostname) {
      invalidAll(errs, `${p}.hostname`, x.hostname, isDns1123Subdomain(x.hostname));
      if (isIp(x.hostname)) errs.push(invalid(`${p}.hostname`, x.hostname, "must be a DNS name, not an IP address"));
    }
  });
}

const CONTROLLER_MAX = 250;

export function validateIngressClass(errs: Errors, o: Obj): void {
  const s = o.spec ?? {};
  if ((s.controller ?? "").length > CONTROLLER_MAX)
    errs.push({
      type: "FieldValueTooLong",
      field: "spec.controller",
      detail: `may not be more than ${CONTROLLER_MAX} bytes`,
      badValue: "",
    });
  if (!s.controller) errs.push(required("spec.controller"));
  else if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?\/.+/.test(s.controller)) {
    errs.push(invalid("spec.controller", s.controller, 'must be a domain-prefixed path (such as "acme.io/foo")'));
  }
  const p = s.parameters;
  if (!p) return;
  if (!p.kind) errs.push(required("spec.parameters.kind"));
  if (!p.name) errs.push(required("spec.parameters.name"));
  if (!p.scope) errs.push(required("spec.parameters.scope"));
  else oneOf(errs, "spec.parameters.scope", p.scope, ["Cluster", "Namespace"]);
  if (p.scope === "Namespace" && !p.namespace) errs.push(required("spec.parameters.namespace", "`parameters.scope` is set to 'Namespace'"));
  if (p.scope === "Cluster" && p.namespace !== undefined)
    errs.push(forbidden("spec.parameters.namespace", "`parameters.scope` is set to 'Cluster'"));
}

export function validateIngressClassUpdate(errs: Errors, o: Obj, old: Obj): void {
  if (o.spec?.controller !== old.spec?.controller) errs.push(invalid("spec.controller", o.spec?.controller ?? "", IMMUTABLE));
  validateIngressClass(errs, o);
}

export function validateNetworkPolicy(errs: Errors, o: Obj): void {
  const s = o.spec;
  validateLabelSelector(errs, s.podSelector, "spec.podSelector");
  for (const [rules, peers] of [
    ["ingress", "from"],
    ["egress", "to"],
  ] as const) {
    (s[rules] ?? []).forEach((r: Obj, i: number) => {
      const p = `spec.${rules}[${i}]`;
      (r.ports ?? []).forEach((x: Obj, j: number) => {
        policyPort(errs, x, `${p}.ports[${j}]`);
      });
      (r[peers] ?? []).forEach((x: Obj, j: number) => {
        peer(errs, x, `${p}.${peers}[${j}]`);
      });
    });
  }
  const types: string[] = s.policyTypes ?? [];
  if (types.length > 2) {
    errs.push(invalid("spec.policyTypes", types, "may not specify more than two policyTypes"));
    return;
  }
  types.forEach((t, i) => {
    oneOf(errs, `spec.policyTypes[${i}]`, t, ["Ingress", "Egress"]);
  });
}

function policyPort(errs: Errors, x: Obj, path: string): void {
  if (x.protocol !== undefined && !["TCP", "UDP", "SCTP"].includes(x.protocol))
    errs.push(notSupported(`${path}.protocol`, x.protocol, ["TCP", "UDP", "SCTP"]));
  if (x.port !== undefined) {
    portOrName(errs, `${path}.port`, x.port);
    if (typeof x.port === "number" && x.endPort !== undefined) {
      if (x.endPort < x.port) errs.push(invalid(`${path}.endPort`, x.port, "must be greater than or equal to `port`"));
      invalidAll(errs, `${path}.endPort`, x.endPort, isPortNumber(x.endPort));
    }
    if (typeof x.port === "string" && x.endPort !== undefined)
      errs.push(invalid(`${path}.endPort`, x.endPort, "may not be specified when `port` is non-numeric"));
  } else if (x.endPort !== undefined) errs.push(invalid(`${path}.endPort`, x.endPort, "may not be specified when `port` is not specified"));
}

function peer(errs: Errors, x: Obj, path: string): void {
  let n = 0;
  for (const f of ["podSelector", "namespaceSelector"]) {
    if (x[f] === undefined) continue;
    n++;
    validateLabelSelector(errs, x[f], `${path}.${f}`);
  }
  if (x.ipBlock !== undefined) {
    n++;
    ipBlock(errs, x.ipBlock, `${path}.ipBlock`);
  }
  if (n === 0) errs.push(required(path, "must specify a peer"));
  else if (n > 1 && x.ipBlock !== undefined) errs.push(forbidden(path, "may not specify both ipBlock and another peer"));
}

function ipBlock(errs: Errors, b: Obj, path: string): void {
  if (!b.cidr) {
    errs.push(required(`${path}.cidr`));
    return;
  }
  const cidr = parseCidr(b.cidr);
  if (cidr === undefined) {
    errs.push(invalid(`${path}.cidr`, b.cidr, CIDR_ERROR));
    return;
  }
  (b.except ?? []).forEach((x: string, i: number) => {
    const p = `${path}.except[${i}]`;
    const e = parseCidr(x);
    if (e === undefined) errs.push(invalid(p, x, CIDR_ERROR));
    else if (!cidrContains(cidr, e) || e.bits <= cidr.bits) errs.push(invalid(p, x, "must be a strict subset of `cidr`"));
  });
}

export function validateIpAddress(errs: Errors, o: Obj): void {
  const p = o.spec?.parentRef;
  if (p === undefined || p === null) errs.push(required("spec.parentRef"));
  else {
    if (!p.resource) errs.push(required("spec.parentRef.resource"));
    if (!p.name) errs.push(required("spec.parentRef.name"));
  }
}

export function validateServiceCidr(errs: Errors, o: Obj): void {
  const cidrs: string[] = o.spec?.cidrs ?? [];
  if (cidrs.length === 0) {
    errs.push(required("spec.cidrs", "at least one CIDR required"));
    return;
  }
  if (cidrs.length > 2) errs.push(invalid("spec", o.spec, "may only hold up to 2 values"));
  cidrs.forEach((c, i) => {
    if (parseCidr(c) === undefined) errs.push(invalid(`spec.cidrs[${i}]`, c, CIDR_ERROR));
  });
}

export function immutableSpec(errs: Errors, o: Obj, old: Obj): void {
  if (!deepEqual(o.spec, old.spec)) errs.push(invalid("spec", o.spec, IMMUTABLE));
}
