// From a Corefile to servers: which plugins a block has, in CoreDNS's order, and which HTTP ports it opens.
// A directive that CoreDNS has and Podwire has not is refused by name; one that neither has, as CoreDNS refuses it.
import { CorefileError, type Directive, inZone, parseCorefile, type ServerBlock } from "./corefile.ts";
import { emptyReply, type Plugin, type Question, type Reply, type Surroundings } from "./plugin.ts";
import { cachePlugin } from "./plugins/cache.ts";
import { forwardPlugin } from "./plugins/forward.ts";
import { hostsPlugin } from "./plugins/hosts.ts";
import { type KubernetesState, kubernetesPlugin } from "./plugins/kubernetes.ts";
import { loadbalancePlugin } from "./plugins/loadbalance.ts";
import { errorsPlugin, logPlugin } from "./plugins/log.ts";
import { rewritePlugin } from "./plugins/rewrite.ts";

/** plugin.cfg of CoreDNS 1.12, those that take part here. */
const ORDER = ["errors", "log", "cache", "rewrite", "loadbalance", "hosts", "kubernetes", "forward"];
/** Directives without a place in the chain: handled by the server, or without a meaning in a simulated process. */
const BESIDE = new Set([
  "health",
  "ready",
  "prometheus",
  "reload",
  "loop",
  "bind",
  "bufsize",
  "debug",
  "minimal",
  "lameduck",
  "cancel",
  "timeouts",
  "pprof",
]);
const NOT_BUILT = new Set(
  "acl any auto autopath azure chaos clouddns dns64 dnssec dnstap erratic etcd file geoip grpc header import k8s_external local metadata multisocket nsid nomad quic root route53 secondary sign template tls trace transfer tsig view whoami".split(
    " ",
  ),
);

export interface ServerSetup {
  zones: string[];
  port: number;
  answer(q: Question): Promise<Reply>;
}

export interface Setup {
  servers: ServerSetup[];
  /** Ports of /health, /ready and /metrics; 0 is off. */
  healthPort: number;
  lameduckMs: number;
  readyPort: number;
  metricsPort: number;
  /** Seconds between looks at the Corefile; 0 is off. */
  reloadSeconds: number;
  /** Names of plugins that are not ready. */
  notReady(): string[];
}

/** Throws CorefileError. */
export function setUp(corefile: string, around: Surroundings, state: KubernetesState, sizeOf: (r: Reply) => number): Setup {
  const blocks = parseCorefile(corefile);
  if (blocks.length === 0) throw new CorefileError(1, "no server block");
  const plugins: Plugin[] = [];
  const setup: Setup = {
    servers: [],
    healthPort: 0,
    lameduckMs: 0,
    readyPort: 0,
    metricsPort: 0,
    reloadSeconds: 0,
    notReady: () => plugins.filter((p) => p.ready?.() === false).map((p) => p.name),
  };
  for (const block of blocks) {
    for (const d of block.directives) beside(d, setup);
    const chain = ORDER.flatMap((name) => chained(name, block, around, state, sizeOf));
    plugins.push(...chain);
    setup.servers.push({ zones: block.zones, port: block.port, answer: (q) => down(chain, 0, q) });
  }
  return setup;
}

function chained(name: string, block: ServerBlock, around: Surroundings, state: KubernetesState, sizeOf: (r: Reply) => number): Plugin[] {
  const own = block.directives.filter((d) => d.name === name);
  if (own.length === 0) return [];
  const first = own[0] as Directive;
  switch (name) {
    case "errors":
      return [errorsPlugin(around)];
    case "log":
      return [logPlugin(first, block.zones, around, sizeOf)];
    case "cache":
      return own.map((d) => cachePlugin(d, block.zones, around));
    case "rewrite":
      return [rewritePlugin(own)];
    case "loadbalance":
      return [loadbalancePlugin(first, around.random)];
    case "hosts":
      return own.map((d) => hostsPlugin(d, block.zones, around));
    case "kubernetes":
      return own.map((d) => kubernetesPlugin(d, block.zones, state));
    default:
      return own.map((d) => forwardPlugin(d, around));
  }
}

function beside(d: Directive, setup: Setup): void {
  if (ORDER.includes(d.name)) return;
  if (NOT_BUILT.has(d.name)) throw new CorefileError(d.line, `plugin/${d.name} is not built in Podwire (docs/fidelity.md)`);
  if (!BESIDE.has(d.name)) throw new CorefileError(d.line, `Unknown directive '${d.name}'`);
  const port = (standard: number) => Number(/:(\d+)$/.exec(d.args[0] ?? "")?.[1] ?? standard);
  if (d.name === "health") {
    setup.healthPort = port(8080);
    const lameduck = d.block.find((o) => o.name === "lameduck")?.args[0];
    setup.lameduckMs = Number(/^(\d+)s$/.exec(lameduck ?? "")?.[1] ?? 0) * 1000;
  }
  if (d.name === "ready") setup.readyPort = port(8181);
  if (d.name === "prometheus") setup.metricsPort = port(9153);
  if (d.name === "reload") setup.reloadSeconds = Math.max(2, Number(/^(\d+)s$/.exec(d.args[0] ?? "")?.[1] ?? 30));
}

function down(chain: readonly Plugin[], at: number, q: Question): Promise<Reply> {
  const plugin = chain[at];
  // Nobody answered: CoreDNS refuses.
  if (!plugin) return Promise.resolve(emptyReply("REFUSED"));
  return plugin.answer(q, (next) => down(chain, at + 1, next));
}

/** The server of this port with the longest zone that has the name. */
export function serverFor(servers: readonly ServerSetup[], port: number, name: string): ServerSetup | undefined {
  const lower = name.toLowerCase();
  let best: ServerSetup | undefined;
  let length = -1;
  for (const s of servers)
    for (const z of s.zones)
      if (s.port === port && z.length > length && inZone(lower, z)) {
        best = s;
        length = z.length;
      }
  return best;
}
