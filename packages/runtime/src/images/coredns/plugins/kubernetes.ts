// `kubernetes [ZONES...] { pods MODE; ttl N; namespaces ...; ignore empty_service; fallthrough [ZONES...] }`
import { CorefileError, type Directive, inZone, zonesOf } from "../corefile.ts";
import { emptyReply, type Plugin, type Reply } from "../plugin.ts";
import { type Answer, answerKubernetes, type KubernetesConfig, type KubernetesIndex } from "../records.ts";

export interface KubernetesState {
  index: KubernetesIndex;
  synced(): boolean;
  /** Own addresses, for ns.dns.<zone>. */
  addresses(): string[];
}

/** Properties that name how to reach the API or export to it: the node provides both. */
const ACCEPTED = new Set([
  "endpoint",
  "kubeconfig",
  "tls",
  "apiserver_qps",
  "apiserver_burst",
  "apiserver_max_inflight",
  "noendpoints",
  "endpoint_pod_names",
]);

export function kubernetesPlugin(d: Directive, blockZones: readonly string[], state: KubernetesState): Plugin {
  const { config, fallthrough } = parse(d, blockZones);
  return {
    name: "kubernetes",
    ready: () => state.synced(),
    async answer(q, next): Promise<Reply> {
      const a = answerKubernetes(state.index, { ...config, serverIPs: state.addresses() }, q.name, q.type);
      if (a === undefined) return next(q);
      if (!state.synced()) return { ...emptyReply("SERVFAIL", "plugin/kubernetes: not synced"), authoritative: true };
      if (a.rcode === "NXDOMAIN" && fallthrough.some((z) => inZone(q.name.toLowerCase(), z))) return next(q);
      const reply = replyOf(a);
      if (a.external === undefined) return reply;
      // An ExternalName leads outside: the rest of the chain resolves its target.
      const outside = await next({ ...q, name: a.external });
      return { ...reply, answers: [...reply.answers, ...outside.answers] };
    },
  };
}

function replyOf(a: Answer): Reply {
  return { rcode: a.rcode, answers: a.answers, authority: a.authority, additional: a.additional, authoritative: true };
}

function parse(d: Directive, blockZones: readonly string[]): { config: KubernetesConfig; fallthrough: string[] } {
  const zones = d.args.length > 0 ? d.args.flatMap(zonesOf) : [...blockZones];
  const config: KubernetesConfig = {
    zones,
    podMode: "disabled",
    ignoreEmptyService: false,
    exposedNamespaces: null,
    ttl: 5,
    serverIPs: [],
  };
  let fallthrough: string[] = [];
  for (const o of d.block) {
    const bad = (why: string) => new CorefileError(o.line, `plugin/kubernetes: ${why}`);
    const [first] = o.args;
    switch (o.name) {
      case "pods":
        if (first !== "disabled" && first !== "insecure" && first !== "verified")
          throw bad(`wrong value for pods: ${first},  must be one of: disabled, verified, insecure`);
        config.podMode = first;
        break;
      case "ttl": {
        const ttl = Number(first);
        if (!Number.isInteger(ttl) || ttl < 0 || ttl > 3600) throw bad(`ttl must be in range [0, 3600]: ${first}`);
        config.ttl = ttl;
        break;
      }
      case "namespaces":
        if (o.args.length === 0) throw bad("Wrong argument count or unexpected line ending after 'namespaces'");
        config.exposedNamespaces = o.args;
        break;
      case "ignore":
        if (first !== "empty_service") throw bad(`unable to parse ignore value: '${first}'`);
        config.ignoreEmptyService = true;
        break;
      case "fallthrough":
        fallthrough = o.args.length > 0 ? o.args.flatMap(zonesOf) : ["."];
        break;
      default:
        if (!ACCEPTED.has(o.name)) throw bad(`unknown property '${o.name}'`);
    }
  }
  return { config, fallthrough };
}
