// `forward FROM TO... { except ...; force_tcp; prefer_udp; policy random|round_robin|sequential; max_fails N; expire D; max_concurrent N }`
// An upstream that failed `max_fails` times in a row is passed over for a while; when all are, one is tried all the same.
import { reasonOf } from "@podwire/base";
import { parseResolvConf } from "../../../net/resolver.ts";
import { CorefileError, type Directive, inZone, zonesOf } from "../corefile.ts";
import { emptyReply, type Plugin, type Surroundings } from "../plugin.ts";

interface Upstream {
  address: string;
  port: number;
  fails: number;
  downUntilMs: number;
}

const TRY_TIMEOUT_MS = 2_000;
const TOTAL_TIMEOUT_MS = 5_000;
const DOWN_MS = 500;
const MAX_UPSTREAMS = 15;

export function forwardPlugin(d: Directive, around: Surroundings): Plugin {
  const bad = (why: string, line = d.line) => new CorefileError(line, `plugin/forward: ${why}`);
  const [from, ...to] = d.args;
  if (from === undefined || to.length === 0) throw bad("Wrong argument count or unexpected line ending after 'forward'");
  const zone = zonesOf(from)[0] as string;
  const upstreams: Upstream[] = to.flatMap((t) => upstreamsOf(t, around, bad)).map((u) => ({ ...u, fails: 0, downUntilMs: 0 }));
  if (upstreams.length > MAX_UPSTREAMS) throw bad(`more than ${MAX_UPSTREAMS} TOs configured: ${upstreams.length}`);
  let except: string[] = [];
  let forceTcp = false;
  let policy = "random";
  let maxFails = 2;
  let maxConcurrent = Number.POSITIVE_INFINITY;
  for (const o of d.block) {
    switch (o.name) {
      case "except":
        except = o.args.flatMap(zonesOf);
        break;
      case "force_tcp":
        forceTcp = true;
        break;
      case "policy":
        if (!["random", "round_robin", "sequential"].includes(o.args[0] ?? "")) throw bad(`unknown policy '${o.args[0]}'`, o.line);
        policy = o.args[0] as string;
        break;
      case "max_fails":
        maxFails = Number(o.args[0]);
        break;
      case "max_concurrent":
        maxConcurrent = Number(o.args[0]) || Number.POSITIVE_INFINITY;
        break;
      case "prefer_udp":
      case "expire":
      case "health_check":
      case "failover":
        break;
      default:
        throw bad(`unknown property '${o.name}'`, o.line);
    }
  }
  let turn = 0;
  let running = 0;

  const inOrder = (): Upstream[] => {
    const list = [...upstreams];
    if (policy === "random") around.random.shuffle(list);
    if (policy === "round_robin") for (let i = turn++ % list.length; i > 0; i--) list.push(list.shift() as Upstream);
    const now = around.clock.monotonicMs();
    const up = list.filter((u) => u.downUntilMs <= now);
    return up.length > 0 ? up : list.slice(0, 1);
  };

  return {
    name: "forward",
    async answer(q, next) {
      const name = q.name.toLowerCase();
      if (!inZone(name, zone) || except.some((z) => inZone(name, z))) return next(q);
      if (upstreams.length === 0) return emptyReply("SERVFAIL", "plugin/forward: no upstream: the pod's resolv.conf names none");
      if (running >= maxConcurrent) {
        around.metrics.add("coredns_forward_max_concurrent_rejects_total");
        return emptyReply("SERVFAIL", "plugin/forward: concurrent queries exceeded maximum");
      }
      running++;
      try {
        return await ask(q, inOrder());
      } finally {
        running--;
      }
    },
  };

  async function ask(q: { name: string; type: string; protocol: "udp" | "tcp" }, candidates: Upstream[]) {
    const deadlineMs = around.clock.monotonicMs() + TOTAL_TIMEOUT_MS;
    let reason = "no healthy proxies or upstream error";
    for (const u of candidates) {
      const leftMs = deadlineMs - around.clock.monotonicMs();
      if (leftMs <= 0) break;
      around.metrics.add("coredns_forward_requests_total", { to: `${u.address}:${u.port}` });
      try {
        const timeoutMs = Math.min(TRY_TIMEOUT_MS, leftMs);
        let reply = await around.exchange(u, q, { tcp: forceTcp || q.protocol === "tcp", timeoutMs });
        if (reply.truncated) reply = await around.exchange(u, q, { tcp: true, timeoutMs });
        u.fails = 0;
        return reply;
      } catch (e) {
        reason = `read ${forceTcp ? "tcp" : q.protocol} ->${u.address}:${u.port}: ${reasonOf(e)}`;
        around.metrics.add("coredns_proxy_healthcheck_failures_total", { to: `${u.address}:${u.port}` });
        if (++u.fails >= maxFails && maxFails > 0) u.downUntilMs = around.clock.monotonicMs() + DOWN_MS;
      }
    }
    return emptyReply("SERVFAIL", reason);
  }
}

/** "10.0.0.1", "10.0.0.1:1053", "dns://...", "[::1]:53", or a resolv.conf to read. */
function upstreamsOf(to: string, around: Surroundings, bad: (why: string) => Error): { address: string; port: number }[] {
  if (to.startsWith("/")) {
    let text: string;
    try {
      text = around.readText(to);
    } catch {
      throw bad(`not an IP address or file: "${to}"`);
    }
    return parseResolvConf(text).nameservers.map((address) => ({ address, port: 53 }));
  }
  if (/^(tls|https|grpc):\/\//.test(to)) throw bad(`${to}: only plain DNS is built in Podwire`);
  const m = /^(?:dns:\/\/)?(?:\[([0-9a-fA-F:]+)\]|([\d.]+)|([0-9a-fA-F:]*::[0-9a-fA-F:]*))(?::(\d+))?$/.exec(to);
  if (!m) throw bad(`not an IP address or file: "${to}"`);
  return [{ address: (m[1] ?? m[2] ?? m[3]) as string, port: Number(m[4] ?? 53) }];
}
