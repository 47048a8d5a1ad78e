// The kubernetes plugin of CoreDNS, pure: an index of Services, EndpointSlices and pods, and the answer to one question.
// Follows the Kubernetes DNS specification 1.1.0; where it is silent, CoreDNS (NXDOMAIN for a headless Service without
// endpoints, SRV weight floor(100/n), TTL).
// Invariant: answers are made from the objects as they are; nothing is cached but the index.

export interface Record {
  name: string;
  type: string;
  ttl: number;
  data: unknown;
}

export interface Answer {
  rcode: "NOERROR" | "NXDOMAIN" | "SERVFAIL" | "REFUSED";
  answers: Record[];
  authority: Record[];
  additional: Record[];
  /** A CNAME's target that somebody else has to resolve. */
  external?: string;
}

export interface KubernetesConfig {
  /** With a final dot. */
  zones: string[];
  podMode: "disabled" | "insecure" | "verified";
  ignoreEmptyService: boolean;
  /** null: all. */
  exposedNamespaces: readonly string[] | null;
  ttl: number;
  /** Own addresses, for NS. */
  serverIPs: readonly string[];
}

interface Endpoint {
  address: string;
  hostname: string;
}
interface Port {
  name: string;
  port: number;
  protocol: string;
}
interface Slice {
  namespace: string;
  service: string;
  endpoints: Endpoint[];
  ports: Port[];
}
interface Svc {
  namespace: string;
  name: string;
  type: string;
  clusterIPs: string[];
  headless: boolean;
  externalName: string;
  ports: Port[];
}

export class KubernetesIndex {
  readonly #services = new Map<string, Svc>();
  readonly #slices = new Map<string, Slice>();
  readonly #slicesOf = new Map<string, Set<Slice>>();
  readonly #serviceByIp = new Map<string, Svc>();
  readonly #slicesByIp = new Map<string, Set<Slice>>();
  readonly #namespaces = new Map<string, number>();
  readonly #pods = new Map<string, Set<string>>();
  readonly #podIp = new Map<string, { namespace: string; ip: string }>();

  setNamespace(name: string): void {
    this.#count(name, 1);
  }
  removeNamespace(name: string): void {
    this.#count(name, -1);
  }
  #count(name: string, by: number): void {
    const n = (this.#namespaces.get(name) ?? 0) + by;
    if (n <= 0) this.#namespaces.delete(name);
    else this.#namespaces.set(name, n);
  }
  hasNamespace(name: string): boolean {
    return this.#namespaces.has(name);
  }

  setService(o: any): void {
    this.removeService(o);
    const spec = o.spec ?? {};
    const ips: string[] = spec.clusterIPs?.length ? spec.clusterIPs : spec.clusterIP ? [spec.clusterIP] : [];
    const s: Svc = {
      namespace: o.metadata.namespace,
      name: o.metadata.name,
      type: spec.type ?? "ClusterIP",
      clusterIPs: ips.filter((i) => i !== "None" && i !== "").map(canonicalIp),
      headless: ips.includes("None"),
      externalName: spec.externalName ?? "",
      ports: (spec.ports ?? []).map(portOf),
    };
    this.#services.set(`${s.namespace}/${s.name}`, s);
    for (const ip of s.clusterIPs) this.#serviceByIp.set(ip, s);
    this.#count(s.namespace, 1);
  }
  removeService(o: any): void {
    const key = `${o.metadata.namespace}/${o.metadata.name}`;
    const s = this.#services.get(key);
    if (!s) return;
    this.#services.delete(key);
    for (const ip of s.clusterIPs) if (this.#serviceByIp.get(ip) === s) this.#serviceByIp.delete(ip);
    this.#count(s.namespace, -1);
  }

  setSlice(o: any): void {
    this.removeSlice(o);
    const service = o.metadata.labels?.["kubernetes.io/service-name"];
    if (!service) return;
    const s: Slice = { namespace: o.metadata.namespace, service, endpoints: [], ports: (o.ports ?? []).map(portOf) };
    for (const e of o.endpoints ?? []) {
      if (e.conditions?.ready === false) continue;
      for (const a of e.addresses ?? []) {
        const address = canonicalIp(a);
        s.endpoints.push({ address, hostname: e.hostname || address.replace(/[.:]/g, "-") });
      }
    }
    this.#slices.set(`${o.metadata.namespace}/${o.metadata.name}`, s);
    add(this.#slicesOf, `${s.namespace}/${service}`, s);
    for (const e of s.endpoints) add(this.#slicesByIp, e.address, s);
  }
  removeSlice(o: any): void {
    const key = `${o.metadata.namespace}/${o.metadata.name}`;
    const s = this.#slices.get(key);
    if (!s) return;
    this.#slices.delete(key);
    drop(this.#slicesOf, `${s.namespace}/${s.service}`, s);
    for (const e of s.endpoints) drop(this.#slicesByIp, e.address, s);
  }

  setPod(o: any): void {
    this.removePod(o);
    const ip = o.status?.podIP;
    if (!ip) return;
    add(this.#pods, o.metadata.namespace, ip);
    this.#podIp.set(`${o.metadata.namespace}/${o.metadata.name}`, { namespace: o.metadata.namespace, ip });
  }
  removePod(o: any): void {
    const key = `${o.metadata.namespace}/${o.metadata.name}`;
    const old = this.#podIp.get(key);
    if (!old) return;
    this.#podIp.delete(key);
    drop(this.#pods, old.namespace, old.ip);
  }

  service(namespace: string, name: string): Svc | undefined {
    return this.#services.get(`${namespace}/${name}`);
  }
  slices(namespace: string, name: string): Slice[] {
    return [...(this.#slicesOf.get(`${namespace}/${name}`) ?? [])];
  }
  serviceAt(ip: string): Svc | undefined {
    return this.#serviceByIp.get(ip);
  }
  slicesAt(ip: string): Slice[] {
    return [...(this.#slicesByIp.get(ip) ?? [])];
  }
  hasPod(namespace: string, ip: string): boolean {
    return this.#pods.get(namespace)?.has(ip) ?? false;
  }
}

function add<V>(m: Map<string, Set<V>>, k: string, v: V): void {
  const s = m.get(k);
  if (s) s.add(v);
  else m.set(k, new Set([v]));
}
function drop<V>(m: Map<string, Set<V>>, k: string, v: V): void {
  const s = m.get(k);
  s?.delete(v);
  if (s?.size === 0) m.delete(k);
}
function portOf(p: any): Port {
  return { name: p.name ?? "", port: p.port ?? -1, protocol: (p.protocol ?? "TCP").toLowerCase() };
}

/** Lower case, zeros compressed as Go's net.IP prints. */
export function canonicalIp(ip: string): string {
  if (!ip.includes(":")) return ip;
  return new URL(`http://[${ip}]/`).hostname.slice(1, -1);
}

interface Found {
  rcode: "NOERROR" | "NXDOMAIN";
  /** Address records behind the name, with the name that an SRV points at. */
  targets: { address: string; host: string; port: number }[];
  cname?: string;
}

const NX: Found = { rcode: "NXDOMAIN", targets: [] };
const NODATA: Found = { rcode: "NOERROR", targets: [] };

/** undefined when the name is in none of the zones. */
export function answerKubernetes(index: KubernetesIndex, c: KubernetesConfig, qname: string, qtype: string): Answer | undefined {
  const lower = qname.toLowerCase();
  const matched = c.zones.filter((z) => lower === z || lower.endsWith(`.${z}`)).sort((a, b) => b.length - a.length)[0];
  if (matched === undefined) return undefined;
  // The zone in the letters of the question: resolvers that mix case to be harder to fool compare them.
  const zone = qname.slice(qname.length - matched.length);
  const primary = c.zones.find((z) => !z.endsWith(".arpa.")) ?? zone;
  const soa = soaOf(zone, c.ttl);
  const done = (rcode: Answer["rcode"], answers: Record[], additional: Record[] = []): Answer => ({
    rcode,
    answers,
    authority: answers.length === 0 ? [soa] : [],
    additional,
  });
  if (matched.endsWith(".arpa.")) return answerReverse(index, c, zone, primary, qname, qtype, done);
  const prefix = lower.slice(0, -zone.length).replace(/\.$/, "");
  if (prefix === "") return answerApex(c, zone, qname, qtype, soa, done);
  if (prefix === "dns-version")
    return qtype === "TXT" ? done("NOERROR", [{ name: qname, type: "TXT", ttl: 28_800, data: ["1.1.0"] }]) : done("NOERROR", []);
  if (prefix === "ns.dns") return done("NOERROR", addresses(qname, qtype, c.serverIPs, c.ttl));
  const found = findName(index, c, zone, prefix.split("."));
  if (found.rcode === "NXDOMAIN") return done("NXDOMAIN", []);
  if (found.cname !== undefined) {
    const target = found.cname.endsWith(".") ? found.cname : `${found.cname}.`;
    if (qtype !== "A" && qtype !== "AAAA" && qtype !== "CNAME") return done("NOERROR", []);
    const cname: Record = { name: qname, type: "CNAME", ttl: c.ttl, data: target };
    if (qtype === "CNAME") return done("NOERROR", [cname]);
    const inner = answerKubernetes(index, c, target, qtype);
    if (inner !== undefined) return { ...inner, answers: [cname, ...inner.answers], authority: [] };
    return { ...done("NOERROR", [cname]), external: target };
  }
  if (qtype === "A" || qtype === "AAAA")
    return done("NOERROR", addresses(qname, qtype, unique(found.targets.map((t) => t.address)), c.ttl));
  if (qtype === "SRV") return answerSrv(found, c, qname, done);
  return done("NOERROR", []);
}

type Done = (rcode: Answer["rcode"], answers: Record[], additional?: Record[]) => Answer;

function answerSrv(found: Found, c: KubernetesConfig, qname: string, done: Done): Answer {
  const pairs = new Map<string, { host: string; port: number }>();
  const additional = new Map<string, Record>();
  for (const t of found.targets) {
    pairs.set(`${t.host} ${t.port}`, { host: t.host, port: t.port });
    for (const r of addresses(t.host, t.address.includes(":") ? "AAAA" : "A", [t.address], c.ttl))
      additional.set(`${r.name} ${r.type} ${r.data}`, r);
  }
  const weight = Math.floor(100 / Math.max(1, found.targets.length));
  const answers = [...pairs.values()].map(
    (x): Record => ({
      name: qname,
      type: "SRV",
      ttl: c.ttl,
      data: { priority: 0, weight: Math.max(weight, 1), port: x.port, target: x.host },
    }),
  );
  return done("NOERROR", answers, [...additional.values()]);
}

function answerApex(c: KubernetesConfig, zone: string, qname: string, qtype: string, soa: Record, done: Done): Answer {
  if (qtype === "SOA") return { rcode: "NOERROR", answers: [{ ...soa, name: qname }], authority: [], additional: [] };
  if (qtype !== "NS") return done("NOERROR", []);
  const host = `ns.dns.${zone}`;
  const glue = c.serverIPs.map((ip): Record => ({ name: host, type: ip.includes(":") ? "AAAA" : "A", ttl: c.ttl, data: ip }));
  return done("NOERROR", [{ name: qname, type: "NS", ttl: c.ttl, data: host }], glue);
}

function answerReverse(
  index: KubernetesIndex,
  c: KubernetesConfig,
  zone: string,
  primary: string,
  qname: string,
  qtype: string,
  done: Done,
): Answer | undefined {
  const lower = qname.toLowerCase();
  if (lower === zone) return answerApex(c, zone, qname, qtype, soaOf(zone, c.ttl), done);
  const ip = reverseIp(lower);
  if (ip === undefined) return done("NXDOMAIN", []);
  const names: string[] = [];
  const s = index.serviceAt(ip);
  if (s && exposed(c, s.namespace)) names.push(`${s.name}.${s.namespace}.svc.${primary}`);
  else
    for (const slice of index.slicesAt(ip))
      if (exposed(c, slice.namespace))
        for (const e of slice.endpoints)
          if (e.address === ip) names.push(`${e.hostname}.${slice.service}.${slice.namespace}.svc.${primary}`);
  if (names.length === 0) return done("NXDOMAIN", []);
  if (qtype !== "PTR") return done("NOERROR", []);
  return done(
    "NOERROR",
    unique(names).map((n): Record => ({ name: qname, type: "PTR", ttl: c.ttl, data: n })),
  );
}

function findName(index: KubernetesIndex, c: KubernetesConfig, zone: string, labels: string[]): Found {
  const kind = labels.at(-1);
  if (kind !== "svc" && kind !== "pod") return NX;
  const rest = labels.slice(0, -1);
  if (rest.length === 0) return NODATA;
  const namespace = rest.at(-1) as string;
  if (kind === "pod") return findPod(index, c, namespace, rest.slice(0, -1));
  if (!exposed(c, namespace) || !index.hasNamespace(namespace)) return NX;
  if (rest.length === 1) return NODATA;
  const name = rest.at(-2) as string;
  const front = rest.slice(0, -2);
  let endpoint = "";
  let port = "";
  let protocol = "";
  if (front.length === 1) {
    // "_tcp.svc" names a protocol only; anything else is an endpoint.
    if (/^_/.test(front[0] as string)) return NX;
    endpoint = front[0] as string;
  } else if (front.length === 2) {
    if (!/^_/.test(front[0] as string) || !/^_/.test(front[1] as string)) return NX;
    port = (front[0] as string).slice(1);
    protocol = (front[1] as string).slice(1);
  } else if (front.length > 2) return NX;
  const s = index.service(namespace, name);
  if (!s) return NX;
  const matches = (p: Port) => (port === "" || port === p.name) && (protocol === "" || protocol === p.protocol);
  const fqdn = `${name}.${namespace}.svc.${zone}`;
  if (s.type === "ExternalName") return endpoint !== "" || port !== "" ? NX : { rcode: "NOERROR", targets: [], cname: s.externalName };
  const slices = index.slices(namespace, name);
  if (s.headless || endpoint !== "") {
    const targets: Found["targets"] = [];
    for (const slice of slices)
      for (const e of slice.endpoints) {
        if (endpoint !== "" && e.hostname.toLowerCase() !== endpoint) continue;
        for (const p of slice.ports.length === 0 ? [NO_PORT] : slice.ports)
          if (matches(p)) targets.push({ address: e.address, host: `${e.hostname}.${fqdn}`, port: p.port });
      }
    return targets.length === 0 ? NX : { rcode: "NOERROR", targets };
  }
  if (c.ignoreEmptyService && slices.every((x) => x.endpoints.length === 0)) return NX;
  const targets: Found["targets"] = [];
  let any = false;
  for (const p of s.ports) {
    if (!matches(p)) continue;
    any = true;
    for (const ip of s.clusterIPs) targets.push({ address: ip, host: fqdn, port: p.port });
  }
  return any ? { rcode: "NOERROR", targets } : NX;
}

const NO_PORT: Port = { name: "", port: -1, protocol: "" };

function findPod(index: KubernetesIndex, c: KubernetesConfig, namespace: string, front: string[]): Found {
  if (c.podMode === "disabled" || !exposed(c, namespace)) return NX;
  if (front.length === 0)
    return index.hasNamespace(namespace) || c.podMode === "insecure" ? (index.hasNamespace(namespace) ? NODATA : NX) : NX;
  if (front.length > 1) return NX;
  const label = front[0] as string;
  const ip = /^\d+-\d+-\d+-\d+$/.test(label) ? label.replaceAll("-", ".") : label.replaceAll("-", ":");
  if (!isIp(ip)) return NX;
  const canonical = canonicalIp(ip);
  if (c.podMode === "verified" ? !index.hasPod(namespace, canonical) : !index.hasNamespace(namespace)) return NX;
  return { rcode: "NOERROR", targets: [{ address: canonical, host: "", port: -1 }] };
}

function isIp(ip: string): boolean {
  if (/^\d+(\.\d+){3}$/.test(ip)) return ip.split(".").every((x) => Number(x) <= 255);
  try {
    return ip.includes(":") && new URL(`http://[${ip}]/`).hostname !== "";
  } catch {
    return false;
  }
}

function exposed(c: KubernetesConfig, namespace: string): boolean {
  return c.exposedNamespaces === null || c.exposedNamespaces.includes(namespace);
}

function addresses(name: string, qtype: string, ips: readonly string[], ttl: number): Record[] {
  return ips.filter((ip) => ip.includes(":") === (qtype === "AAAA")).map((data) => ({ name, type: qtype, ttl, data }));
}

function unique<T>(list: T[]): T[] {
  return [...new Set(list)];
}

/** "100.0.0.10.in-addr.arpa." -> "10.0.0.100". */
export function reverseIp(name: string): string | undefined {
  const v4 = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa\.$/.exec(name);
  if (v4) return `${v4[4]}.${v4[3]}.${v4[2]}.${v4[1]}`;
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa\.$/.exec(name);
  if (!v6) return undefined;
  const hex = (v6[1] as string).split(".").filter(Boolean).reverse().join("");
  return canonicalIp((hex.match(/.{4}/g) as string[]).join(":"));
}

function soaOf(zone: string, ttl: number): Record {
  return {
    name: zone,
    type: "SOA",
    ttl,
    data: { mname: `ns.dns.${zone}`, rname: `hostmaster.${zone}`, serial: 1, refresh: 7200, retry: 1800, expire: 86_400, minimum: ttl },
  };
}
