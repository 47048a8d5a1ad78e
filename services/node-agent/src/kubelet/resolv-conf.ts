// /etc/resolv.conf, /etc/hosts and the host name of a pod, pure (network/dns/dns.go, kubelet_pods.go).
import type { Pod } from "@podwire/api";

export interface DnsSettings {
  clusterDNS: readonly string[];
  clusterDomain: string;
  /** The node's own resolv.conf. */
  host: { nameservers: readonly string[]; search: readonly string[]; options: readonly string[] };
}

const MAX_SEARCH = 32;
const MAX_NAMESERVERS = 3;

export function resolvConf(pod: Pod, s: DnsSettings): string {
  const spec = pod.spec!;
  const namespace = pod.metadata!.namespace;
  let policy = spec.dnsPolicy ?? "ClusterFirst";
  if (policy === "ClusterFirst" && spec.hostNetwork) policy = "Default";
  if (policy === "ClusterFirstWithHostNet") policy = "ClusterFirst";
  let nameservers: string[] = [];
  let search: string[] = [];
  let options: string[] = [];
  if (policy === "ClusterFirst" && s.clusterDNS.length > 0) {
    nameservers = [...s.clusterDNS];
    search = [`${namespace}.svc.${s.clusterDomain}`, `svc.${s.clusterDomain}`, s.clusterDomain, ...s.host.search];
    options = ["ndots:5"];
  } else if (policy !== "None") {
    nameservers = [...s.host.nameservers];
    search = [...s.host.search];
    options = [...s.host.options];
  }
  const c = spec.dnsConfig;
  if (c) {
    nameservers = unique([...nameservers, ...(c.nameservers ?? [])]);
    search = unique([...search, ...(c.searches ?? [])]);
    const merged = new Map(options.map((o) => [o.split(":")[0] as string, o]));
    for (const o of c.options ?? []) merged.set(o.name!, o.value === undefined || o.value === null ? o.name! : `${o.name}:${o.value}`);
    options = [...merged.values()];
  }
  let out = "";
  if (search.length > 0) out += `search ${search.slice(0, MAX_SEARCH).join(" ")}\n`;
  for (const n of nameservers.slice(0, MAX_NAMESERVERS)) out += `nameserver ${n}\n`;
  if (options.length > 0) out += `options ${options.join(" ")}\n`;
  return out;
}

function unique(list: string[]): string[] {
  return [...new Set(list)];
}

/** What `hostname` says in the pod: its own name, cut to 63 characters, or the FQDN when the pod asks so. */
export function podHostname(pod: Pod, nodeName: string, clusterDomain: string): { hostname: string; domain: string } {
  const spec = pod.spec!;
  if (spec.hostNetwork) return { hostname: nodeName, domain: "" };
  const name = (spec.hostname || pod.metadata!.name!).slice(0, 63).replace(/[-.]+$/, "");
  const domain = spec.subdomain ? `${spec.subdomain}.${pod.metadata!.namespace}.svc.${clusterDomain}` : "";
  return { hostname: spec.setHostnameAsFQDN && domain ? `${name}.${domain}` : name, domain };
}

export function etcHosts(pod: Pod, ips: readonly string[], hostname: string, domain: string): string {
  const short = hostname.split(".")[0] as string;
  let out =
    "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";
  for (const ip of ips) out += domain ? `${ip}\t${short}.${domain}\t${short}\n` : `${ip}\t${hostname}\n`;
  const aliases = pod.spec!.hostAliases ?? [];
  if (aliases.length > 0) out += "\n# Entries added by HostAliases.\n";
  for (const a of aliases) out += `${a.ip}\t${(a.hostnames ?? []).join("\t")}\n`;
  return out;
}

/** The node's /etc/hosts for pods on the node's network. */
export function nodeHosts(pod: Pod, nodeName: string, nodeIP: string): string {
  let out = `# Kubernetes-managed hosts file (host network).\n127.0.0.1\tlocalhost\n${nodeIP}\t${nodeName}\n`;
  const aliases = pod.spec!.hostAliases ?? [];
  if (aliases.length > 0) out += "\n# Entries added by HostAliases.\n";
  for (const a of aliases) out += `${a.ip}\t${(a.hostnames ?? []).join("\t")}\n`;
  return out;
}
