// traceroute as busybox has it: probes of growing TTL, UDP datagrams to ports from 33434 on or (-I) echo requests; routers' "time
// exceeded" and the host's "port unreachable" tell the way. Needs the packet stack: IP_TTL and ICMP errors of a socket.
import { parseAddress, type UdpSocket } from "@podwire/net";
import type { Process } from "../kernel/process.ts";
import { namespaceOf } from "../net/namespace-of.ts";
import { hostName } from "./netstat.ts";
import { die, options, usage } from "./options.ts";

const USAGE = "[-46Inlv] [-f 1ST_TTL] [-m MAXTTL] [-q PROBES] [-p PORT] [-s SRC_IP] [-w WAIT_SEC] [-z PAUSE_MSEC] HOST [BYTES]";
/** IP and UDP header, in the size that BYTES means. */
const HEADERS = 28;
const MAX_BYTES = 32_768;

interface Answer {
  from: string;
  rttMs: number;
  ttl: number;
  /** "" on the way or arrived, else traceroute's mark: !N, !H, !X. */
  mark: string;
  arrived: boolean;
}

export async function traceroute(p: Process): Promise<number> {
  const o = await options(p, "46Inlvf:m:q:p:w:z:s:", USAGE);
  const host = o.args[0];
  if (host === undefined) return usage(p, USAGE);
  const value = (c: string, standard: number, max: number) => {
    const n = Number(o.values.get(c) ?? standard);
    return Number.isInteger(n) && n >= 0 && n <= max ? n : undefined;
  };
  const first = value("f", 1, 255);
  const last = value("m", 30, 255);
  const probes = value("q", 3, 100);
  const port = value("p", 33_434, 65_535);
  const wait = value("w", 3, 86_400);
  const pause = value("z", 0, 3_600_000);
  const bytes = Number(o.args[1] ?? 46);
  if (first === undefined || last === undefined || probes === undefined || port === undefined || wait === undefined || pause === undefined)
    return die(p, "number out of range");
  if (!Number.isInteger(bytes) || bytes < HEADERS || bytes > MAX_BYTES)
    return die(p, `number ${o.args[1]} is not in ${HEADERS}..${MAX_BYTES} range`);
  const six = o.flags.has("6") || p.name === "traceroute6";
  let address: string;
  try {
    address = (await p.until(p.net.lookup(host, six ? 6 : 4)))[0] as string;
  } catch {
    p.check();
    return die(p, `bad address '${host}'`);
  }
  const ns = await namespaceOf(p);
  const source = o.values.get("s");
  if (source !== undefined && (parseAddress(source) === undefined || !ns.isLocal(parseAddress(source) as number)))
    return die(p, `can't set multicast source interface`);
  await p.print(`traceroute to ${host} (${address}), ${last} hops max, ${bytes} byte packets\n`);
  let sent = 0;
  for (let ttl = first; ttl <= last; ttl++) {
    let line = String(ttl).padStart(2);
    let lastFrom = "";
    let end = false;
    for (let n = 0; n < probes; n++) {
      if (sent > 0 && pause > 0) await p.sleep(pause);
      sent++;
      const size = bytes - HEADERS;
      const a = o.flags.has("I")
        ? await p.until(echo(p, address, ttl, size, wait * 1000))
        : await p.until(
            datagram(p, {
              address,
              ttl,
              size,
              port: (port + sent) & 0xffff,
              timeoutMs: wait * 1000,
              ...(source === undefined ? {} : { source }),
            }),
          );
      if (a === "unreachable") {
        await p.print(line);
        return die(p, "sendto: Network is unreachable");
      }
      if (a === undefined) {
        line += "  *";
        continue;
      }
      if (a.from !== lastFrom) {
        line += `  ${o.flags.has("n") ? a.from : `${await hostName(p, a.from)} (${a.from})`}`;
        lastFrom = a.from;
      }
      line += `  ${a.rttMs.toFixed(3)} ms${o.flags.has("l") ? ` (${a.ttl})` : ""}${a.mark === "" ? "" : ` ${a.mark}`}`;
      if (a.arrived || a.mark !== "") end = true;
    }
    await p.print(`${line}\n`);
    if (end) return 0;
  }
  return 0;
}

async function echo(
  p: Process,
  address: string,
  ttl: number,
  size: number,
  timeoutMs: number,
): Promise<Answer | "unreachable" | undefined> {
  try {
    const a = await p.net.stack.ping(address, { ttl, size, timeoutMs });
    return { from: a.from, rttMs: a.rttMs, ttl: a.ttl, mark: a.type === "unreachable" ? "!H" : "", arrived: a.type === "reply" };
  } catch (e) {
    return (e as { code?: string }).code === "ENETUNREACH" ? "unreachable" : undefined;
  }
}

function datagram(
  p: Process,
  o: { address: string; ttl: number; size: number; port: number; timeoutMs: number; source?: string },
): Promise<Answer | "unreachable" | undefined> {
  const s = p.net.udp(p, o.source === undefined ? {} : { host: o.source }) as unknown as UdpSocket;
  return new Promise((resolve) => {
    const started = p.clock.monotonicMs();
    const finish = (a: Answer | "unreachable" | undefined) => {
      timer.cancel();
      s.close();
      resolve(a);
    };
    const timer = p.clock.after(o.timeoutMs, () => finish(undefined));
    s.connect(o.port, o.address);
    s.ttl = o.ttl;
    s.onIcmp = (r) => {
      const six = o.address.includes(":");
      const exceeded = r.type === (six ? 3 : 11);
      const arrived = !exceeded && r.code === (six ? 4 : 3);
      finish({
        from: r.from,
        rttMs: p.clock.monotonicMs() - started,
        ttl: r.ttl,
        arrived,
        mark: exceeded || arrived ? "" : markOf(r.code, six),
      });
    };
    // A program that answers the probe's port is the host as well.
    s.onMessage((_, from) => finish({ from: from.address, rttMs: p.clock.monotonicMs() - started, ttl: 0, mark: "", arrived: true }));
    const failed = s.send(new Uint8Array(o.size));
    if (failed === "ENETUNREACH") finish("unreachable");
  });
}

/** Codes of "destination unreachable" (RFC 792, RFC 1122, RFC 4443). */
function markOf(code: number, six: boolean): string {
  if (six) return code === 0 ? "!N" : code === 1 ? "!X" : "!H";
  if (code === 0 || code === 6 || code === 11) return "!N";
  if (code === 2) return "!P";
  if (code === 4) return "!F";
  return code === 9 || code === 10 || code === 13 ? "!X" : "!H";
}
